"""A small project of its own for the tests that run, break or edit things."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from shared import registry

PARAMETERS = 'scale = "small"\nseeds = 2\ncontrol = False\nrate = 0.5'
VERDICT = """\
from IPython.display import display
claims = [{"id": "it-works", "measure": "m", "estimate": 0.0, "low": -0.1, "high": 0.1, "n": seeds,
           "holds_if": "<= 0.2", "verdict": "reproduced"}]
verdict = {"paper": "a-paper", "scale": scale, "seeds": seeds, "control": control,
           "verdict": "reproduced", "claims": claims}
display({"application/vnd.papers-in-miniature.verdict+json": verdict}, raw=True)"""
PAPERS = """\
- id: a-paper
  title: "A paper"
  year: 2020
  kind: replication
  claims:
    - id: it-works
      says: "It works."
      paper: "Table 1"
      measure: "m"
      holds_if: "<= 0.2"
  deviations:
    - "smaller"
"""


class Project:
    """A repository with one study, whose cells the test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.topic = root / "notebooks" / "topic"
        (root / "shared").mkdir(parents=True)
        self.topic.mkdir(parents=True)
        (root / "shared" / "__init__.py").write_text("")
        (root / "shared" / "used.py").write_text('"""Doc."""\nfrom shared import deep\nX = 1\n')
        (root / "shared" / "deep.py").write_text("def f():\n    return 1\n")
        (root / "shared" / "unused.py").write_text("Y = 1\n")
        (root / "environment.yml").write_text(
            "dependencies:\n  - python=3.11\n  - pip:\n      - numpy==2.0.0\n      - torch==1.0\n"
        )
        (self.topic / "papers.yaml").write_text(PAPERS)
        self.write(VERDICT)

    def write(self, *cells: str) -> None:
        """Write the notebook: the parameters cell, then these."""
        first = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
        nb = new_notebook(cells=[first, *map(new_code_cell, cells)])
        nbformat.write(nb, self.topic / "a-paper.ipynb")

    @property
    def paper(self) -> registry.Paper:
        return registry.find("a-paper", self.root)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a project")
