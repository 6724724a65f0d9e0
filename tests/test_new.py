"""The scaffold of a study has the shape that lint asks for, and is never written over a study."""

import ast

from workflow import lint, new, notebook


def test_the_scaffold_has_every_section_and_claim(project):
    nb = new.scaffold(project.paper)
    text = "\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
    assert all(f"## {heading}" in text for heading in lint.HEADINGS)
    assert nb.cells[0].source.startswith("# ") and "1. smaller" in text
    assert notebook.parameters(nb, "x") == {"scale": "small", "seeds": 5, "control": False}
    source = "\n".join(c.source for c in notebook.code_cells(nb))
    ast.parse(source)
    assert 'study.check("it-works", ...)' in source and 'Study("a-paper"' in source
    assert len(notebook.tagged(nb, "figure")) == 1


def test_bad_ids_are_refused(project, capsys, monkeypatch):
    assert new.main([""]) == 2
    assert new.main(["no-such-paper-at-all"]) == 2
    assert "Register it first" in capsys.readouterr().err


def test_a_study_that_is_there_is_left_alone(project, capsys, monkeypatch):
    monkeypatch.setattr(new, "ROOT", project.root)
    monkeypatch.setattr(new, "find", lambda paper_id: project.paper)
    path = project.root / project.paper.notebook
    before = path.read_bytes()
    assert new.main(["a-paper"]) == 2
    assert "is there already" in capsys.readouterr().err and path.read_bytes() == before
    path.unlink()
    assert new.main(["a-paper"]) == 0
    assert notebook.read(path).cells
