"""The generated pages: nothing drifts unseen, nothing in a claim becomes markup, links exist."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.test_report import NASTY, judged, many, result
from workflow import gallery


def png(seed: int = 0, size: tuple[int, int] = (900, 600), noise: bool = False) -> bytes:
    """A PNG: a few flat rectangles, or noise, which compresses worst."""
    rng = np.random.default_rng(seed)
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    if noise:
        pixels = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    for _ in range(5):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        pixels[y : y + 90, x : x + 90] = rng.integers(0, 256, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def root(tmp_path):
    (tmp_path / "README.md").write_text(
        "# Title\n\n<!-- scoreboard -->\nold\n<!-- /scoreboard -->\n\n"
        "<!-- not-reproduced -->\n<!-- /not-reproduced -->\n\nAfter.\n",
        encoding="utf8",
    )
    return tmp_path


@pytest.fixture
def results():
    return [
        result("one", "experts", thumbnail=png(1)),
        result("two", "experts", claims=None),
        result("three", "theory", thumbnail=png(3)),
    ]


def test_written_pages_do_not_drift(root, results):
    written = gallery.write(root, results)
    assert "notebooks/experts/thumbnails/one.png" in written and "README.md" in written
    assert gallery.drift(root, results) == []
    assert gallery.write(root, results[::-1]) == []
    readme = (root / "README.md").read_text("utf8")
    assert "Papers: **3** (2 reproduced, 1 no result)." in readme
    assert readme.startswith("# Title\n") and readme.endswith("\n\nAfter.\n")
    assert "old" not in readme


def test_drift_names_what_differs_is_missing_or_left_over(root, results):
    gallery.write(root, results)
    (root / "notebooks/README.md").write_text("edited")
    (root / "notebooks/experts/thumbnails/one.png").unlink()
    assert gallery.drift(root, results[:2]) == [
        "README.md",
        "notebooks/README.md",
        "notebooks/experts/thumbnails/one.png",
        "notebooks/forest.svg",
        "notebooks/theory/README.md",
        "notebooks/theory/thumbnails/three.png",
    ]
    gallery.write(root, results[:2])
    assert not (root / "notebooks/theory/README.md").exists()
    assert gallery.drift(root, results[:2]) == []


def test_a_page_that_a_person_wrote_is_not_removed(root, results):
    mine = root / "notebooks/mine/README.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("my own words")
    gallery.write(root, results)
    assert mine.exists() and gallery.drift(root, results) == []


def test_thumbnails_are_compared_by_their_source(root, results):
    gallery.write(root, results)
    path = root / "notebooks/experts/thumbnails/one.png"
    with Image.open(path) as image:
        note = PngImagePlugin.PngInfo()
        note.add_text("source", image.info["source"])
        image.convert("RGB").save(path, pnginfo=note)  # as another version of Pillow might
    assert gallery.drift(root, results) == []
    results[0] = result("one", "experts", thumbnail=png(2))
    assert gallery.drift(root, results) == ["notebooks/experts/thumbnails/one.png"]
    path.write_bytes(b"cut off")
    assert gallery.drift(root, results) == ["notebooks/experts/thumbnails/one.png"]


@pytest.mark.parametrize(
    "figure", [png(), png(noise=True), png(size=(3000, 400)), png(size=(90, 60))]
)
def test_thumbnails_are_small(figure):
    made = gallery.thumbnail(figure)
    assert len(made) <= gallery.THUMBNAIL_BYTES
    width, height = Image.open(io.BytesIO(made)).size
    assert width <= 360 and height <= 300
    assert gallery.thumbnail(figure) == made


def test_a_figure_that_is_no_picture_is_named(root):
    with pytest.raises(ValueError, match=r"hash-layers\.ipynb: its figure is no PNG"):
        gallery.write(root, [result(thumbnail=b"no picture")])


def test_nothing_in_a_claim_becomes_markup(root):
    words = NASTY + " *bold* _it_ `code` [a](b) $x$ line\n\n# next"
    made = gallery.pages([result(title=words, says=words)])
    for path, page in made.items():
        assert "<script" not in page.decode(), path
    page = made["notebooks/experts/README.md"].decode()
    rows = page[page.index("<table>") :]
    assert not re.search(r"[|*_`$\[\]]", rows) and "\n\n" not in rows and "a&#124;b" in rows


def test_links_are_relative_and_exist(root, results):
    for r in results:
        (root / r.path).parent.mkdir(parents=True, exist_ok=True)
        (root / r.path).write_text("{}")
    gallery.write(root, results)
    for page in root.rglob("*.md"):
        text = page.read_text("utf8")
        for link in re.findall(r'\]\(([^)]+)\)|(?:href|src)="([^"]+)"', text):
            target = "".join(link)
            if not target.startswith("https://arxiv.org/abs/"):
                assert (page.parent / target).is_file(), f"{page}: {target}"


def test_the_pages_do_not_depend_on_what_is_stale():
    assert gallery.pages([result(stale=True)]) == gallery.pages([result(stale=False)])


@pytest.mark.parametrize("count", [0, 7, 480])
def test_the_forest_is_a_picture_of_readable_size(count):
    svg = gallery.forest(sorted(many(count), key=lambda r: (r.topic, r.paper.id)))
    height = int(ElementTree.fromstring(svg).get("viewBox").split()[3])
    assert height < 1_100


@pytest.mark.parametrize(
    "readme", [None, "no place", "<!-- /scoreboard -->\n<!-- scoreboard -->\n"]
)
def test_a_readme_without_a_place_is_a_clear_error(tmp_path, readme):
    if readme:
        (tmp_path / "README.md").write_text(readme)
    with pytest.raises(ValueError, match=r"README\.md: the scoreboard block has no place"):
        gallery.drift(tmp_path, [result()])


def test_the_command_says_what_is_out_of_date(root, results, monkeypatch, capsys):
    monkeypatch.setattr(gallery, "ROOT", root)
    monkeypatch.setattr(gallery, "choose", lambda: [r.paper for r in results])
    by_id = {r.paper.id: r for r in results}
    monkeypatch.setattr(gallery, "committed", lambda paper: by_id[paper.id])
    assert gallery.main(["--check"]) == 1
    assert "out of date: notebooks/README.md" in capsys.readouterr().out
    assert gallery.main([]) == 0
    assert gallery.main(["--check"]) == 0
    (root / "README.md").write_text("gone")
    assert gallery.main(["--check"]) == 2


def test_the_front_page_lists_refuted_headlines_and_counts_the_rest(root, results):
    failed = [judged("> 0", -1, -2, -0.5), judged("> 0", 0.1, -1, 1)]
    gallery.write(root, [*results, result("four", "theory", claims=failed)])
    front = (root / "README.md").read_text("utf8")
    assert front.count("[four](notebooks/theory/four.ipynb)") == 1 and "All 2 claims" in front


def test_a_gallery_gives_the_diagnosis_of_a_claim(root):
    failed = result("four", "theory", claims=[judged("> 0", -1, -2, -0.5)])
    paper = replace(failed.paper, diagnosis={"first": "The text was too short."})
    gallery.write(root, [replace(failed, paper=paper)])
    for page in ("README.md", "notebooks/theory/README.md"):
        assert "The text was too short." in (root / page).read_text("utf8")
