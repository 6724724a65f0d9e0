"""A trivial notebook through our runner, papermill's command, nbconvert, and as a plain script.

CPU seconds of the whole process tree, the four in turn, median of several rounds.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from workflow.notebook import ROOT

PARAMETERS = 'scale = "small"\nseeds = 2\ncontrol = False'
BODY = """\
import matplotlib.pyplot as plt
import numpy as np
import torch

x = torch.linspace(0, 6, 100)
fig, ax = plt.subplots()
ax.plot(x.numpy(), np.sin(x.numpy()))
fig.savefig("figure.png")
plt.close(fig)"""
SHOW = """\
from IPython.display import display
mime = "application/vnd.papers-in-miniature.verdict+json"
display({mime: {"verdict": "reproduced", "claims": []}}, raw=True)"""
ENTRY = """\
- id: trivial
  title: "A trivial study"
  year: 2026
  kind: stand-in
  claims:
    - id: nothing
      says: "Nothing."
      paper: "none"
      measure: "none"
      holds_if: "<= 0"
"""


def _cpu_seconds(command: list[str], cwd: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(rounds: int = 5) -> None:
    """Print CPU seconds and the ratio to the script."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder = root / "notebooks" / "bench"
        folder.mkdir(parents=True)
        (folder / "papers.yaml").write_text(ENTRY)
        (root / "environment.yml").write_text("dependencies:\n  - python=3.11\n")
        cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
        nb = new_notebook(cells=[*cells, new_code_cell(BODY), new_code_cell(SHOW)])
        nb.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
        nbformat.write(nb, folder / "trivial.ipynb")
        (folder / "script.py").write_text("\n".join([PARAMETERS, BODY, SHOW]))
        python, notebook = sys.executable, "trivial.ipynb"
        runner = [
            python,
            "-m",
            "workflow.execute",
            "trivial",
            "--root",
            root,
            "--out",
            root / "out",
        ]
        commands = {
            "plain script": [python, "script.py"],
            "make reproduce's runner": runner,
            "papermill command": [python, "-m", "papermill", notebook, "p.ipynb"],
            "nbconvert --execute": [
                *(python, "-m", "nbconvert", "--to", "notebook", "--execute"),
                *(notebook, "--output", "n.ipynb"),
            ],
        }
        times: dict[str, list[float]] = {key: [] for key in commands}
        for _ in range(rounds):
            for key, command in commands.items():
                times[key].append(_cpu_seconds(command, folder))
    print("A trivial notebook (torch, numpy, matplotlib, one figure), CPU seconds")
    print(f"  {'':<26}{'median':>8}{'min':>8}{'max':>8}{'/ script':>10}")
    script = times["plain script"]
    for key, own in times.items():
        ratio = statistics.median(a / b for a, b in zip(own, script, strict=True))
        middle = statistics.median(own)
        print(f"  {key:<26}{middle:>8.2f}{min(own):>8.2f}{max(own):>8.2f}{ratio:>10.2f}")


if __name__ == "__main__":
    main()
