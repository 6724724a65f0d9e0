"""papers.yaml: what is accepted, and that a complaint names file and line."""

import pytest

from shared import registry
from shared.registry import RegistryError

GOOD = """\
- id: a-paper
  title: "A paper"
  year: 2020
  arxiv: "2001.00001"
  kind: replication
  claims:
    - id: it-works
      says: "It works."
      paper: "Table 1"
      measure: "difference, nats"
      holds_if: "<= 0.1"
  deviations:
    - "smaller"
"""


def write(root, text, topic="topic"):
    folder = root / "notebooks" / topic
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "papers.yaml"
    path.write_text(text)
    return path


def test_reads_an_entry(tmp_path):
    (paper,) = registry.read(write(tmp_path, GOOD))
    assert (paper.id, paper.topic, paper.arxiv, paper.year) == (
        "a-paper",
        "topic",
        "2001.00001",
        2020,
    )
    assert paper.claims[0].criterion.holds(0.1)
    assert paper.deviations == ("smaller",)
    assert paper.notebook.as_posix() == "notebooks/topic/a-paper.ipynb"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("holds_if", "hold_if", 11, "did you mean 'holds_if'"),
        ("  title:", "  titel:", 2, "unknown key 'titel'"),
        ('"<= 0.1"', '"about 1"', 11, "cannot read the criterion"),
        ("kind: replication", "kind: copy", 5, "is not one of"),
        ("id: a-paper", "id: A_Paper", 1, "lower-case-with-hyphens"),
        ("year: 2020", "year: soon", 3, "no number"),
        ('      says: "It works."\n', "", 7, "missing says"),
        ("  year: 2020\n", "  year: 2020\n  year: 2021\n", 4, "stands twice"),
        ("  year: 2020\n", "  year: [2020\n", 4, "not valid YAML"),
        (
            '      holds_if: "<= 0.1"',
            '      holds_if: "<= 0.1"\n      timing: 3',
            12,
            "true or false",
        ),
        ("  deviations", "  diagnosis:\n    it-work: too small\n  deviations", 13, "'it-works'"),
    ],
)
def test_a_mistake_names_file_and_line(tmp_path, old, new, line, says):
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(RegistryError) as caught:
        registry.read(path)
    assert f"papers.yaml:{line}:" in str(caught.value)
    assert says in str(caught.value)


def test_an_id_stands_once_in_all_topics(tmp_path):
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, "other")
    with pytest.raises(RegistryError, match="stands twice"):
        registry.load(tmp_path)


def test_an_unknown_paper_gets_a_suggestion():
    with pytest.raises(RegistryError, match="did you mean 'hash-layers'"):
        registry.find("hash-layer")
    with pytest.raises(RegistryError, match="no claim 'matches-learnt-routing'; did you mean"):
        registry.find("hash-layers").claim("matches-learnt-routing")


def test_every_registered_paper_is_well_formed():
    papers = registry.load()
    assert len(papers) >= 7
    assert all(paper.claims for paper in papers)
