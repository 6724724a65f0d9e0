"""What a committed study must look like; each rule answers something that went wrong once."""

from __future__ import annotations

import argparse
import ast
import re
import sys
from pathlib import Path

from nbformat import NotebookNode

from shared import registry
from shared.evidence import REPRODUCED
from shared.registry import Paper, RegistryError
from workflow import notebook, results
from workflow.notebook import ROOT, NotebookError
from workflow.select import add_selection, choose

HEADINGS = (
    "The idea",
    "Is it right?",
    "The experiment",
    "The verdict",
    "What we saw",
    "Try it",
    "Differences from the paper",
    "Reference",
)
MAX_BYTES = 300_000
MAX_CELL_LINES = 30
MAX_PRINTED_LINES = 25
MIN_WORDS = 400
_ABSOLUTE = re.compile(r"""["'](?:/(?:home|root|tmp|work|Users|mnt|usr|var)/|[A-Z]:\\)|~/""")


def study(paper: Paper, root: Path = ROOT) -> list[str]:
    """What is wrong with the study's committed notebook, a line each; empty if nothing."""
    try:
        path = root / paper.notebook
        nb = notebook.read(path)
        if magics := _magics(nb):
            return [f"{paper.notebook}: {p}" for p in magics]
        problems = [*_cells(nb), *_prose(nb, paper), *_claims(nb, paper)]
        defaults = notebook.parameters(nb, "the notebook")
        for name, kind in (("scale", str), ("seeds", int), ("control", bool)):
            if type(defaults.get(name)) is not kind:
                problems.append(f"parameters: {name} must be there as {kind.__name__}")
        if path.stat().st_size > MAX_BYTES:
            problems.append(f"{path.stat().st_size // 1000} kB, more than {MAX_BYTES // 1000}")
        if not notebook.figure(nb):
            problems.append("no cell tagged `figure` that shows a PNG")
        if results.committed(paper, root).stale:
            problems.append(f"outputs are stale: make refresh ID={paper.id}")
        cost = nb.metadata.get("study", {})
        if cost.get("cpu_seconds", 0) > 60 or cost.get("peak_mb", 0) > 2048:
            problems.append(f"over budget: {cost['cpu_seconds']} CPU s, {cost['peak_mb']} MB")
        return [f"{paper.notebook}: {p}" for p in problems]
    except NotebookError as error:
        return [str(error)]


def _magics(nb: NotebookNode) -> list[str]:
    return [
        f"code cell {number}: a magic or shell line; write Python"
        for number, cell in enumerate(notebook.code_cells(nb), 1)
        if re.search(r"^\s*[%!]", cell.source, re.M)
    ]


def _cells(nb: NotebookNode) -> list[str]:
    problems = []
    cells = notebook.code_cells(nb)
    counts = [cell.get("execution_count") for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        problems.append(f"cells were not all executed once in order: {counts}")
    for number, cell in enumerate(cells, 1):
        where = f"code cell {number}"
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if len(lines) > MAX_CELL_LINES:
            problems.append(f"{where}: {len(lines)} lines, more than {MAX_CELL_LINES}")
        if cell.source.rstrip().endswith(";"):
            problems.append(f"{where}: ends with `;`, which hides the output from comparison")
        if _ABSOLUTE.search(cell.source):
            problems.append(f"{where}: an absolute path")
        if any(output.output_type == "error" for output in cell.outputs):
            problems.append(f"{where}: ends in an error")
        uncompared = any("nbval" in t.lower() for t in cell.metadata.get("tags", []))
        if uncompared and "study.verdict()" in cell.source:
            problems.append(f"{where}: the verdict is always compared; take the nbval tag away")
        printed = sum("".join(o.get("text", "")).count("\n") for o in cell.outputs if "text" in o)
        if printed > MAX_PRINTED_LINES:
            problems.append(f"{where}: prints {printed} lines, more than {MAX_PRINTED_LINES}")
    return problems


def _prose(nb: NotebookNode, paper: Paper) -> list[str]:
    problems = []
    text = "\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
    if not nb.cells or not nb.cells[0].source.startswith("# "):
        problems.append("the first cell is not the title, `# Short name`")
    found = re.findall(r"^## (.+?)\s*$", text, re.M)
    places = [found.index(h) if h in found else -1 for h in HEADINGS]
    if missing := [h for h, place in zip(HEADINGS, places, strict=True) if place < 0]:
        problems.append(f"missing sections: {', '.join(missing)}")
    elif places != sorted(places):
        problems.append(f"sections are not in the order {', '.join(HEADINGS)}")
    if (words := len(text.split())) < MIN_WORDS:
        problems.append(f"only {words} words of prose")
    if paper.arxiv and paper.arxiv not in text:
        problems.append(f"no link to arXiv {paper.arxiv}")
    section = text.partition("## Differences from the paper")[2].partition("\n## ")[0]
    listed = [" ".join(item.split()) for item in re.split(r"(?m)^\d+\. ", section)[1:]]
    if listed != [" ".join(d.split()) for d in paper.deviations]:
        problems.append("the list of differences is not the deviations of papers.yaml")
    if not paper.deviations:
        problems.append("papers.yaml lists no deviations: say at least what is smaller")
    return problems


def _claims(nb: NotebookNode, paper: Paper) -> list[str]:
    problems = []
    checked: list[str] = []
    source = "\n".join(cell.source for cell in notebook.code_cells(nb))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "study.check":
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant):
                checked.append(first.value)
            else:
                problems.append("study.check takes the claim's id as a literal")
    registered = [claim.id for claim in paper.claims]
    if sorted(checked) != sorted(registered):
        problems.append(f"claims checked {sorted(checked)} are not those registered {registered}")
    if not re.search(rf"""Study\(\s*["']{paper.id}["']""", source):
        problems.append(f'no Study("{paper.id}", scale, seeds, control)')
    verdict = notebook.verdict(nb)
    if verdict is None:
        return [*problems, "no verdict among the outputs"]
    failed = {c["id"] for c in verdict["claims"] if c["verdict"] != REPRODUCED}
    if failed != set(paper.diagnosis):
        problems.append(
            f"papers.yaml: diagnosis is for the claims not reproduced, {sorted(failed)}; "
            f"it has {sorted(paper.diagnosis)}"
        )
    return problems


def sources(root: Path = ROOT) -> list[str]:
    """Imports that go the wrong way, and notebooks that no paper is registered for."""
    problems = []
    for path in sorted(root.glob("shared/**/*.py")):
        if re.search(r"^\s*(from|import) (workflow|notebooks)\b", path.read_text("utf8"), re.M):
            problems.append(f"{path.relative_to(root)}: shared imports nothing of workflow")
    registered = {root / paper.notebook for paper in registry.load(root)}
    for path in sorted(root.glob("notebooks/**/*.ipynb")):
        if path not in registered and ".ipynb_checkpoints" not in path.parts:
            problems.append(f"{path.relative_to(root)}: not registered in its papers.yaml")
    return problems


def main(argv: list[str] | None = None) -> int:
    """Print every problem; 1 if there is one."""
    parser = argparse.ArgumentParser(prog="make lint", description=main.__doc__)
    add_selection(parser)
    args = parser.parse_args(argv)
    try:
        problems = [*sources(), *(p for paper in choose(args.id, args.topic) for p in study(paper))]
    except (RegistryError, NotebookError) as error:
        problems = [str(error)]
    print("\n".join(problems) or "lint: nothing to complain of")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
