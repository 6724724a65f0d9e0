"""Scaffold the notebook of a registered paper: `make new ID=hash-layers`."""

from __future__ import annotations

import sys

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from shared.registry import Paper, RegistryError, find
from workflow import notebook
from workflow.notebook import ROOT


def scaffold(paper: Paper) -> nbformat.NotebookNode:
    """A notebook in the house's shape, with the paper's claims waiting to be measured."""
    link = f", [arXiv:{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else ""
    checks = "\n".join(f'study.check("{c.id}", ...)  # {c.measure}' for c in paper.claims)
    differences = "\n".join(f"{i}. {d}" for i, d in enumerate(paper.deviations, 1))
    cells = [
        new_markdown_cell(
            f"# Short name\n*{paper.title}*, authors, {paper.year}{link}. "
            f"A {paper.kind}, topic {paper.topic}.\n\n"
            "What was believed before; what the paper says; why it matters."
        ),
        new_code_cell(
            'scale = "small"  # smoke | small | full\n'
            "seeds = 5  # independent repetitions\n"
            "control = False  # True: the mechanism is switched off; the headline must then fail",
            metadata={"tags": ["parameters"]},
        ),
        new_code_cell(
            "import matplotlib.pyplot as plt\nimport torch\n\n"
            "from shared import Study, plotting\n\n"
            f'study = Study("{paper.id}", scale, seeds, control)\nstudy'
        ),
        new_markdown_cell("## The idea\nThe equations in the paper's symbols, each then in code."),
        new_markdown_cell("## Is it right?\nA limit case, an identity or a reference, asserted."),
        new_markdown_cell("## The experiment\nData, baseline, and what makes it fair."),
        new_code_cell("steps = study.pick(smoke=20, small=600, full=20_000)"),
        new_markdown_cell("## The figure"),
        new_code_cell(
            'fig, ax = plt.subplots()\nplotting.show(fig, "what the picture shows")',
            metadata={"tags": ["figure"]},
        ),
        new_markdown_cell("## The verdict"),
        new_code_cell(f"{checks}\nstudy.verdict()"),
        new_markdown_cell("## What we saw\n"),
        new_markdown_cell("## Try it\n"),
        new_markdown_cell(f"## Differences from the paper\n{differences}"),
        new_markdown_cell(
            f"## Reference\n```bibtex\n@misc{{key,\n  title = {{{paper.title}}},\n"
            f"  year = {{{paper.year}}},\n}}\n```"
        ),
    ]
    return notebook.clean(new_notebook(cells=cells))


def main(argv: list[str] | None = None) -> int:
    """Write the scaffold; never over a notebook that is there."""
    argv = sys.argv[1:] if argv is None else argv
    if len(argv) != 1 or not argv[0]:
        print("error: which paper? make new ID=hash-layers", file=sys.stderr)
        return 2
    try:
        paper = find(argv[0])
    except RegistryError as error:
        print(
            f"error: {error}. Register it first in notebooks/<topic>/papers.yaml", file=sys.stderr
        )
        return 2
    path = ROOT / paper.notebook
    if path.exists():
        print(f"error: {paper.notebook} is there already", file=sys.stderr)
        return 2
    notebook.write(scaffold(paper), path)
    print(f"wrote {paper.notebook}; then `make lab`, and `make refresh ID={paper.id}`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
