"""The report page: every text escaped, every interval on the right side, no outside resource."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evidence import Estimate, judge, overall, parse_criterion
from shared.registry import Claim, Paper
from workflow import report
from workflow.results import Result

NASTY = """<script>alert("x")</script> a|b & 'c' </td>"""
WORDS = ("reproduced", "inconclusive", "not reproduced")
VOID = {"meta", "br", "input", "path", "rect", "line", "use", "circle"}


def judged(holds_if: str, value: float, low: float, high: float, **more: object) -> dict:
    """One entry of a verdict's claims."""
    verdict = judge(Estimate(value, low, high, 5), parse_criterion(holds_if))
    entry = {"id": "first", "measure": "loss(a) - loss(b), nats", "estimate": value, "low": low}
    return entry | {"high": high, "n": 5, "holds_if": holds_if, "verdict": verdict} | more


def result(paper_id: str = "hash-layers", topic: str = "experts", **more: object) -> Result:
    """A study with one claim, reproduced unless `claims` says otherwise."""
    claims = more.pop("claims", [judged("<= 0.01", 0.002, -0.004, 0.008)])
    says = more.pop("says", "Hash routing is as good.")
    registered = tuple(
        Claim(c["id"], says, "Table 1", c["measure"], c["holds_if"]) for c in claims or ()
    )
    title = more.pop("title", f"The paper on {paper_id}")
    paper = Paper(paper_id, title, 2021, "2106.04426", "replication", registered, (), topic)
    verdict = claims and {
        **{"paper": paper_id, "scale": "small", "seeds": 5, "control": False},
        **{"verdict": overall([c["verdict"] for c in claims]), "claims": claims},
    }
    fields = {"cpu_seconds": 12.5, "peak_mb": 400.0, "stale": False, "thumbnail": None} | more
    path = f"notebooks/{topic}/{paper_id}.ipynb"
    return Result(topic=topic, paper=paper, verdict=verdict, path=path, **fields)


def many(count: int) -> list[Result]:
    """Results of `count` papers in 25 topics, three claims each."""
    claims = [judged("> 0", 0.5, 0.1, 0.9), judged("> 0", 0.1, -1, 1), judged("<= 2", 3, 2.5, 4)]
    return [result(f"paper-{i}", f"topic-{i % 25}", claims=claims) for i in range(count)]


class _Balance(HTMLParser):
    """Fails on a tag that is closed out of order; collects attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, f"</{tag}> closes another tag"


def parsed(page: str) -> _Balance:
    parser = _Balance()
    parser.feed(page)
    assert parser.stack == ["html"] * ("</html>" not in page)
    return parser


def places(svg: str) -> tuple[float, float]:
    """Where the bar of an interval begins and ends, in percent."""
    x1, x2 = re.search(r'class="bar" x1="([\d.]+)%".*? x2="([\d.]+)%"', svg).groups()
    return float(x1), float(x2)


def test_every_text_is_escaped():
    claim = judged("<= 0.01", 0.002, -0.004, 0.008, measure=NASTY)
    rows = [
        result(title=NASTY, says=NASTY, claims=[claim]),
        result("b", claims=None, status="error", message=NASTY + "\nlast " + NASTY),
    ]
    page = report.render(rows, NASTY)
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    parsed(page)


def test_nothing_comes_from_outside():
    page = report.render([result()], "Run")
    for tag, name, value in parsed(page).attributes:
        if name in ("src", "href") and not value.startswith("#"):
            assert tag == "a" and value == "https://arxiv.org/abs/2106.04426"
    assert "@import" not in page and "url(" not in page


def test_the_same_results_give_the_same_page_in_any_order():
    rows = many(30)
    assert report.render(rows, "Run") == report.render(rows[::-1], "Run")


def test_no_results_give_a_page():
    parsed(report.render([], "Run"))


def test_failed_runs_stand_at_the_top_with_their_reasons():
    rows = [
        result("fine"),
        result("slow", claims=None, status="time-out", message="still running after 900 s"),
        result("broken", claims=None, status="error", message="a\n\x1b[0;31mValueError\x1b[0m: b"),
    ]
    page = report.render(rows, "Run")
    top = page[page.index('class="problems"') : page.index('id="filters"')]
    assert "time-out: <b>experts/slow</b>. still running after 900 s" in top
    assert "error: <b>experts/broken</b>. ValueError: b" in top
    assert "fine" not in top and "\x1b" not in page
    assert 'class="problems"' not in report.render(rows[:1], "Run")


def test_long_messages_keep_their_end():
    assert report.clean("x" * 10_000 + "end").endswith("end")
    assert len(report.clean("x" * 10_000)) < 4_100


@pytest.mark.parametrize(
    ("holds_if", "low", "high", "side"),
    [
        (">= 2", 3, 4, "right"),
        (">= 2", 0.5, 1, "left"),
        ("<= 0.01", -0.02, 0.0, "right"),
        ("<= 0.01", 0.02, 0.03, "left"),
        ("> 0", 0.1, 0.2, "right"),
        ("< -3", -5, -4, "right"),
        ("within [-1, 1]", -0.5, 0.5, "right"),
        ("within [-1, 1]", -3, -2, "left"),
        ("within [2, 2]", 2, 2, "right"),
    ],
)
def test_intervals_lie_on_their_side_of_the_one_line(holds_if, low, high, side):
    left, right = places(report.interval(judged(holds_if, (low + high) / 2, low, high)))
    assert (left >= 50) if side == "right" else (right <= 50)
    assert left <= right


def test_a_band_ends_at_its_second_line():
    inside = places(report.interval(judged("within [-1, 1]", 0, -1, 1)))
    beyond = places(report.interval(judged("within [-1, 1]", 1.2, 1.1, 1.3)))
    assert inside == (50, 80) and beyond[0] > 80


def test_far_out_intervals_are_cut_off_with_an_arrow():
    svg = report.interval(judged(">= 1", 20, 10, 30))
    assert places(svg) == (100, 100) and "#right" in svg and "#left" not in svg
    assert "#right" in report.interval(judged("<= 1", -20, -30, -10))
    assert "#left" in report.interval(judged("<= 1", 20, 10, 30))


finite = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(st.lists(finite, min_size=3, max_size=3), finite, st.sampled_from(["<=", ">=", "<", ">"]))
def test_the_picture_agrees_with_the_verdict(values, bound, sign):
    low, value, high = sorted(values)
    claim = judged(f"{sign} {bound!r}", value, low, high)
    left, right = places(report.interval(claim))
    assert 0 <= left <= right <= 100
    if claim["verdict"] == "reproduced":
        assert left >= 50
    elif claim["verdict"] == "not reproduced":
        assert right <= 50


def test_a_verdict_is_told_by_shape_and_word_too():
    page = report.render(many(3), "Run")
    for style, word in (
        ("good", "reproduced"),
        ("open", "inconclusive"),
        ("bad", "not reproduced"),
    ):
        assert f'<use href="#{style}"/></svg>{word}</span>' in page
        assert f'<g id="{style}">' in page


def test_tables_are_accessible():
    page = report.render([result()], "Run")
    heads = re.findall(r"<th\b[^>]*>", page)
    assert heads and all("scope=" in head for head in heads)
    assert page.count("<label") == 3 and 'lang="en"' in page and 'aria-live="polite"' in page


def test_many_topics_start_folded():
    assert '<details class="topic" open>' in report.render(many(10), "Run")
    assert '<details class="topic" open>' not in report.render(many(480), "Run")


def test_growth_is_linear():
    def cost(rows: list[Result]) -> tuple[float, int]:
        start = time.process_time()
        page = report.render(rows, "Run")
        return time.process_time() - start, len(page)

    small, large = many(480), many(4_800)
    seconds, size = min(cost(small) for _ in range(3))
    more_seconds, more_size = min(cost(large) for _ in range(2))
    assert more_size < 11 * size
    assert more_seconds < 40 * max(seconds, 0.01)  # a quadratic step would be a hundredfold


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.skipif(not CHROMIUM, reason="no chromium on the PATH")
def test_a_browser_runs_the_page(tmp_path):
    probe = """<script>
      const before = byId("shown").textContent;
      byId("by-text").value = "slow"; filter();
      document.querySelectorAll("#papers thead button")[6].click();
      document.title = [before, byId("shown").textContent,
        document.querySelector("[aria-sort]").getAttribute("aria-sort")].join("; ");
    </script></body>"""
    rows = [result("fine"), result("slow", claims=None, status="time-out", message="too long")]
    page = tmp_path / "report.html"
    page.write_text(report.render(rows, "Run").replace("</body>", probe), encoding="utf8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "<title>2 of 2 papers; 1 of 2 papers; ascending</title>" in done.stdout
