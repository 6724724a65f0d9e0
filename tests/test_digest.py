"""A digest moves with what the outputs depend on, and with nothing else."""

import pytest
from nbformat.v4 import new_output

from workflow import digest, notebook
from workflow.notebook import ROOT


def fresh(project):
    digest._module.cache_clear()
    digest.pins.cache_clear()
    return digest.parts(project.paper, root=project.root)


@pytest.fixture
def before(project):
    project.write("import numpy\nfrom shared import used\nused.X")
    return fresh(project)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_parts_are_the_notebook_its_entry_its_imports_and_their_versions(before):
    assert set(before) == {
        "notebook",
        "papers.yaml",
        "shared/__init__.py",
        "shared/used.py",
        "shared/deep.py",
        "numpy",
        "python",
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("shared/deep.py", "return 1", "return 2", ["shared/deep.py: changed"]),
        ("shared/used.py", "X = 1", "X = 2", ["shared/used.py: changed"]),
        ("environment.yml", "numpy==2.0.0", "numpy==2.1.0", ["numpy: 2.0.0 -> 2.1.0"]),
        ("notebooks/topic/papers.yaml", "<= 0.2", "<= 0.3", ["papers.yaml: changed"]),
        ("notebooks/topic/a-paper.ipynb", "used.X", "used.X + 1", ["notebook: changed"]),
        ("notebooks/topic/a-paper.ipynb", "seeds = 2", "seeds = 3", ["notebook: changed"]),
        ("shared/used.py", "import deep", "import deep, unused", None),
        # what must not count
        ("shared/unused.py", "Y = 1", "Y = 2", []),
        ("environment.yml", "torch==1.0", "torch==2.0", []),
        ("shared/deep.py", "return 1", "return 1  # a comment\n\n", []),
        ("shared/used.py", '"""Doc."""', '"""Another."""', []),
        ("notebooks/topic/papers.yaml", "smaller", "much smaller", []),
        (
            "notebooks/topic/papers.yaml",
            "  deviations",
            "  diagnosis:\n    it-works: chance\n  deviations",
            [],
        ),
        ("notebooks/topic/a-paper.ipynb", "used.X", "used.X  # comment", []),
    ],
)
def test_what_counts(project, before, file, old, new, changed):
    edit(project.root / file, old, new)
    lines = digest.changes(before, fresh(project))
    if changed is None:
        assert lines == ["shared/unused.py: newly used", "shared/used.py: changed"]
    else:
        assert lines == changed


def test_prose_and_outputs_do_not_count(project, before):
    path = project.root / project.paper.notebook
    nb = notebook.read(path)
    nb.cells[1].outputs = [new_output("stream", name="stdout", text="1")]
    notebook.write(nb, path)
    assert digest.changes(before, fresh(project)) == []


def test_an_archive_pin_is_part_of_the_module_that_loads_it():
    modules, _ = digest.closure({"shared.data.series"})
    assert "shared/data/series.py" in modules and "shared/data/assets.py" in modules
    assert "sha256" in (ROOT / "shared/data/series.py").read_text()


def test_every_study_depends_on_the_rule_that_judges_it():
    modules, packages = digest.closure({"shared.Study"})
    assert {"shared/study.py", "shared/evidence.py", "shared/registry.py"} <= set(modules)
    assert "shared/plotting.py" not in modules and "torch" in packages
