"""Each rule of lint catches what it is there for."""

import pytest

from shared.study import MIME
from workflow import digest, lint, notebook

PROSE = "\n\n".join(
    ["## " + heading for heading in lint.HEADINGS[:-2]]
    + ["words " * 400, "## Differences from the paper\n1. smaller", "## Reference\nx"]
)
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


@pytest.fixture
def good(project):
    """A study without fault, and what to call after an edit."""
    project.write(
        'from shared import Study\nstudy = Study("a-paper", scale, seeds, control)',
        "figure = 1",
        'study.check("it-works", [1, 2])\nstudy.verdict()',
    )
    path = project.root / project.paper.notebook
    nb = notebook.read(path)
    for count, cell in enumerate(nb.cells, 1):
        cell.execution_count = count
    nb.cells[2].metadata["tags"] = ["figure"]
    nb.cells[2].outputs = [_output({"image/png": PNG})]
    nb.cells[3].outputs = [_output({MIME: {"verdict": "reproduced", "claims": []}})]
    nb.cells = [_markdown("# Name\nx"), *nb.cells, _markdown(PROSE)]
    digest._module.cache_clear()
    nb.metadata["study"] = {
        "digest": digest.digest(digest.parts(project.paper, nb, project.root)),
        "cpu_seconds": 20,
        "peak_mb": 500,
    }
    notebook.write(nb, path)

    def check(change=None, restamp=True):
        nb = notebook.read(path)
        if change:
            change(nb)
        if restamp:
            parts = digest.parts(project.paper, nb, project.root)
            nb.metadata["study"]["digest"] = digest.digest(parts)
        notebook.write(nb, path)
        return "\n".join(lint.study(project.paper, project.root))

    return check


def _output(data):
    return notebook.nbformat.from_dict(
        {"output_type": "display_data", "data": data, "metadata": {}}
    )


def _markdown(source):
    return notebook.nbformat.v4.new_markdown_cell(source)


def test_a_good_study_has_no_problems(good):
    assert good() == ""


def cell(number, **fields):
    return lambda nb: nb.cells[number].update(fields)


def append(text):
    return lambda nb: nb.cells[3].update(source=nb.cells[3].source + text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (cell(2, execution_count=7), "not all executed once in order"),
        (cell(2, execution_count=None), "not all executed once in order"),
        (cell(3, outputs=[]), "no cell tagged `figure`"),
        (cell(4, outputs=[]), "no verdict"),
        (append(";"), "ends with `;`"),
        (append("\nopen('/home/me/x')"), "an absolute path"),
        (append("\nx = 1" * 40), "41 lines"),
        (cell(0, source="Name"), "not the title"),
        (lambda nb: nb.cells[-1].update(source="## The idea"), "missing sections"),
        (
            lambda nb: nb.cells[-1].update(source=PROSE.replace("1. smaller", "1. larger")),
            "not the deviations",
        ),
        (
            lambda nb: nb.cells[-1].update(source=PROSE.replace("words " * 390, "")),
            "words of prose",
        ),
        (cell(4, source="study.check('other', [1, 2])"), "are not those registered"),
        (cell(4, source="x = 1"), "are not those registered"),
        (
            lambda nb: nb.cells[4]["outputs"][0]["data"][MIME].update(
                claims=[{"id": "it-works", "verdict": "inconclusive"}]
            ),
            "diagnosis is for the claims not reproduced, ['it-works']; it has []",
        ),
        (cell(2, source="x = 1"), 'no Study("a-paper"'),
        (
            lambda nb: nb.cells[4].metadata.update(tags=["nbval-ignore-output"]),
            "the verdict is always compared",
        ),
        (cell(1, source="scale = 'small'\nseeds = 2"), "control must be there as bool"),
        (lambda nb: nb.metadata["study"].update(cpu_seconds=70), "over budget: 70"),
        (
            cell(
                2,
                outputs=[
                    notebook.nbformat.from_dict(
                        {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
                    )
                ],
            ),
            "ends in an error",
        ),
        (
            cell(
                2,
                outputs=[
                    notebook.nbformat.from_dict(
                        {"output_type": "stream", "name": "stdout", "text": "x\n" * 40}
                    )
                ],
            ),
            "prints 40 lines",
        ),
        (append("\n# " + "x" * 400_000), "more than 300"),
    ],
)
def test_each_rule(good, change, says):
    assert says in good(change)


def test_stale_outputs_are_a_problem(good):
    assert "outputs are stale: make refresh ID=a-paper" in good(append("\ny = 2"), restamp=False)


def test_magics_are_refused(good):
    assert "a magic or shell line" in good(append("\n%time x"), restamp=False)
