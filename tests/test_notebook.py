"""Cleaning, and putting outputs back beside prose that was edited since."""

import pytest

from workflow import notebook
from workflow.execute import execute


def test_outputs_go_to_the_notebook_as_it_stands_now(project, tmp_path):
    project.write("print(1)", "2 + 3")
    execute(project.paper, {}, tmp_path, root=project.root)
    executed = notebook.read(tmp_path / "topic" / "a-paper.ipynb")
    nb = notebook.read(project.root / project.paper.notebook)
    nb.cells.insert(0, notebook.nbformat.v4.new_markdown_cell("# Edited since"))
    nb.cells[2].source += "  # a comment"
    done = notebook.clean(notebook.with_outputs(nb, executed), {"digest": "x"})
    assert done.cells[0].source == "# Edited since"
    assert done.cells[2].source.endswith("a comment") and done.cells[2].outputs[0].text == "1\n"
    assert [c.get("execution_count") for c in done.cells] == [None, 1, 2, 3]
    assert done.metadata["study"] == {"digest": "x"}


def test_other_cells_are_not_matched(project):
    nb = notebook.read(project.root / project.paper.notebook)
    project.write("x = 1", "y = 2")
    with pytest.raises(notebook.NotebookError, match="2 code cells were executed, 3 stand"):
        notebook.with_outputs(notebook.read(project.root / project.paper.notebook), nb)


def test_cleaning_takes_away_what_differs_between_machines(project, tmp_path):
    project.write("import sys\nprint('5 s left', file=sys.stderr)\nprint('kept')")
    execute(project.paper, {"seeds": 3}, tmp_path, root=project.root)
    done = notebook.clean(notebook.read(tmp_path / "topic" / "a-paper.ipynb"))
    text = notebook.nbformat.writes(done)
    assert [o.text for o in done.cells[1].outputs] == ["kept\n"] and "papermill" not in text
    assert "injected" not in text and "seeds = 3" not in text
    assert notebook.parameters(done, "x")["seeds"] == 2
    assert [c["id"] for c in done.cells] == ["cell-01", "cell-02"]
