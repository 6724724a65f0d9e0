"""One self-contained HTML page of what the studies found: counts, every interval, a table."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from html import escape
from itertools import groupby
from pathlib import Path

from shared.evidence import REPRODUCED, VERDICTS, parse_criterion
from workflow.results import Result

HERE = Path(__file__).parent
NO_RESULT = "no result"
# A verdict has a shape of its own besides its colour, and its name always stands beside it.
STYLE = dict(zip((*VERDICTS, NO_RESULT), ("good", "part", "open", "bad", "none"), strict=True))
SHAPES = """<defs>
<g id="good"><circle r="5" fill="currentColor"/></g>
<g id="part"><circle r="4.2" class="hollow"/><path d="M0-5A5 5 0 0 0 0 5z" fill="currentColor"/></g>
<g id="open"><path d="M0-5.5 5.5 0 0 5.5-5.5 0z" class="hollow"/></g>
<g id="bad"><path d="M-5-5 5 5M-5 5 5-5" stroke="currentColor" stroke-width="3"/></g>
<g id="none"><path d="M-5 0H5" stroke="currentColor" stroke-width="2"/></g>
<g id="left"><path d="M1 0 8-5V5z" fill="currentColor"/></g>
<g id="right"><path d="M-1 0-8-5V5z" fill="currentColor"/></g>
</defs>"""
OPEN_UP_TO = 60  # papers; beyond, the topics start folded, so that the page stays quick


def interval(claim: dict) -> str:
    """The inside of an SVG of any size: one claim's interval against its criterion.

    `claim` is an entry of the verdict's `claims`. The bound stands at the middle and the side
    where the claim holds is shaded on its right: the axis of an upper bound is mirrored. Half
    the width is the size of the bound, more where the interval needs it, up to four times; what
    lies farther out is cut off with an arrow. A band `within [a, b]` reaches from 50 to 80 %.
    """
    criterion = parse_criterion(claim["holds_if"])
    low, value, high = claim["low"], claim["estimate"], claim["high"]
    bound, band = criterion.low, math.isfinite(criterion.low) and math.isfinite(criterion.high)
    if not math.isfinite(criterion.low):
        low, value, high, bound = -high, -value, -low, -criterion.high
    if band:
        half = (criterion.high - criterion.low) / 0.6
    else:
        reach = 1.15 * max(abs(low - bound), abs(high - bound))
        half = min(max(reach, abs(bound)), 4 * abs(bound) or math.inf)
    left, middle, right = (0.5 + (x - bound) / (half or 1) / 2 for x in (low, value, high))
    shade = '<rect class="side" x="50%" height="100%" width="' + ("30%" if band else "50%") + '"/>'
    lines = [(x, 0, x, 100, "bound") for x in ((50, 80) if band else (50,))]
    lines.append((_percent(left), 50, _percent(right), 50, "bar"))
    arrows = [("left", 0)] * (left < 0) + [("right", 100)] * (right > 1)
    marks = [*arrows, (STYLE[claim["verdict"]], _percent(min(max(middle, 0.04), 0.96)))]
    return (
        shade
        + "".join(
            f'<line class="{name}" x1="{x1:g}%" y1="{y1}%" x2="{x2:g}%" y2="{y2}%"/>'
            for x1, y1, x2, y2, name in lines
        )
        + "".join(f'<use href="#{name}" x="{x:g}%" y="50%"/>' for name, x in marks)
    )


def _percent(fraction: float) -> float:
    return round(100 * min(max(fraction, 0), 1), 1)


def verdict_of(result: Result) -> str:
    """The paper's verdict, or `no result`."""
    return result.verdict["verdict"] if result.verdict else NO_RESULT


def measured(claim: dict) -> str:
    """A claim's estimate and interval in words of three digits."""
    if claim["n"] == 0:
        return f"{claim['estimate']:.3g} (exact)"
    return f"{claim['estimate']:.3g} [{claim['low']:.3g}, {claim['high']:.3g}]"


def clean(message: str) -> str:
    """A kernel's message without terminal colours and control characters; its last 4,000."""
    message = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", message)
    message = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", message).strip()
    return message if len(message) <= 4000 else "... " + message[-4000:]


def _mark(verdict: str, words: str | None = None) -> str:
    style = STYLE[verdict]
    return (
        f'<span class="verdict {style}"><svg class="mark" viewBox="-7 -7 14 14" '
        f'aria-hidden="true"><use href="#{style}"/></svg>{escape(words or verdict)}</span>'
    )


def tallies(results: Iterable[Result]) -> list[tuple[str, int]]:
    """Each verdict that some paper has, with how many have it."""
    counts = Counter(map(verdict_of, results))
    return [(verdict, counts[verdict]) for verdict in STYLE if counts[verdict]]


def _scoreboard(results: list[Result]) -> str:
    claims = Counter(c["verdict"] for r in results if r.verdict for c in r.verdict["claims"])
    papers = Counter(map(verdict_of, results))
    tiles = []
    for verdict in STYLE:
        of_claims = f"<small>{claims[verdict]} claims</small>" if claims[verdict] else ""
        tiles.append(f"<div><dt>{_mark(verdict)}</dt><dd>{papers[verdict]}{of_claims}</dd></div>")
    seconds = sum(r.cpu_seconds or 0 for r in results)
    stale = sum(r.stale for r in results)
    return (
        f'<dl class="counts">{"".join(tiles)}</dl><p class="soft">{len(results)} papers, '
        f"{sum(claims.values())} claims judged, {seconds / 60:.1f} CPU minutes"
        f"{f', {stale} out of date' if stale else ''}.</p>"
    )


def _problems(results: list[Result]) -> str:
    items = []
    for r in sorted((r for r in results if r.status != "ok"), key=lambda r: r.status):
        reason = clean(r.message) or "no message"
        last = reason.splitlines()[-1][:200]
        line = f"{escape(r.status)}: <b>{escape(r.topic)}/{escape(r.paper.id)}</b>. {escape(last)}"
        if reason != last:
            line = f"<details><summary>{line}</summary><pre>{escape(reason)}</pre></details>"
        items.append(f"<li>{line}</li>")
    if not items:
        return ""
    return f"""<section class="problems" aria-labelledby="problems">
<h2 id="problems">Needs a look ({len(items)})</h2>
<ul tabindex="0" aria-labelledby="problems">{"".join(items)}</ul></section>"""


def _options(values: Iterable[str]) -> str:
    every = '<option value="">all</option>'
    return every + "".join(f"<option>{escape(value)}</option>" for value in values)


def _filters(results: list[Result]) -> str:
    topics = _options(sorted({r.topic for r in results}))
    verdicts = _options(verdict for verdict, _ in tallies(results))
    return f"""<form class="filters" id="filters" hidden aria-label="Filter papers">
<label class="text">Words <input type="search" id="by-text" autocomplete="off"></label>
<label>Topic <select id="by-topic">{topics}</select></label>
<label>Verdict <select id="by-verdict">{verdicts}</select></label>
<output id="shown" aria-live="polite"></output></form>"""


def _claim_row(says: str, claim: dict) -> str:
    """One claim: its words, its interval drawn (for the eye only), and the same in numbers."""
    return f"""<tr><th scope="row" class="claim">{escape(says)}
<br><small>{escape(claim["measure"])}</small></th>
<td class="plot {STYLE[claim["verdict"]]}"><svg aria-hidden="true">{interval(claim)}</svg></td>
<td class="values">{_mark(claim["verdict"])}<br>{escape(measured(claim))}
<br><small>holds if {escape(claim["holds_if"])}</small></td></tr>"""


def _forest_paper(number: int, result: Result) -> str:
    says = {claim.id: claim.says for claim in result.paper.claims}
    rows = (_claim_row(says.get(c["id"], c["id"]), c) for c in result.verdict["claims"])
    note = ", negative control" if result.verdict["control"] else ""
    return f"""<tbody id="plot-{number}"><tr class="paper"><th colspan="3" scope="rowgroup">
{escape(result.paper.title)} <small>{result.paper.year}{note}</small></th></tr>
{"".join(rows)}</tbody>"""


def _forest(results: list[Result]) -> str:
    judged = [(number, r) for number, r in enumerate(results) if r.verdict]
    unfolded = " open" if len(judged) <= OPEN_UP_TO else ""
    sections = []
    for topic, group in groupby(judged, key=lambda pair: pair[1].topic):
        group = list(group)
        counts = " ".join(_mark(v, f"{n} {v}") for v, n in tallies(r for _, r in group))
        bodies = "".join(_forest_paper(number, r) for number, r in group)
        sections.append(f"""<details class="topic"{unfolded}>
<summary><b>{escape(topic)}</b> {counts}</summary>
<table class="forest"><thead><tr><th scope="col">Claim and measure</th>
<th scope="col">95 % interval</th><th scope="col">Measured</th></tr></thead>
{bodies}</table></details>""")
    return f"""<h2>Every claim against its criterion</h2>
<p>Each claim has a scale of its own. The vertical line is the bound that was written down before
the experiment; the claim holds in the shaded part, always right of it (the axis of an upper bound
is mirrored; a band has a second line). Bars are 95 % intervals; an arrow means that one goes on
beyond the picture.</p>{"".join(sections)}"""


def _cell(value: float | None, digits: int) -> str:
    text = "" if value is None else f"{value:,.{digits}f}"
    return f'<td class="number" data-value="{"" if value is None else f"{value:g}"}">{text}</td>'


def _paper_row(number: int, r: Result) -> str:
    verdict = verdict_of(r)
    held = [c["verdict"] for c in r.verdict["claims"]].count(REPRODUCED) if r.verdict else ""
    arxiv = ""
    if r.paper.arxiv:
        address = escape(r.paper.arxiv)
        arxiv = f' <a href="https://arxiv.org/abs/{address}">arXiv:{address}</a>'
    notes = ["out of date"] if r.stale else []
    if r.verdict:
        notes += [f"{r.verdict['scale']}, {r.verdict['seeds']} seeds"]
        notes += ["negative control"] if r.verdict["control"] else []
    if r.committed_verdict not in (None, verdict):
        notes.append(f"committed: {r.committed_verdict}")
    topic = escape(r.topic)
    return f"""<tr data-i="{number}" data-topic="{topic}" data-verdict="{verdict}">
<th scope="row">{escape(r.paper.title)}<br><small>{escape(r.path)}{arxiv}</small></th>
<td data-value="{list(STYLE).index(verdict)}">{_mark(verdict)}</td>
<td data-value="{held}">{f"{held} of {len(r.paper.claims)}" if r.verdict else ""}</td>
<td>{topic}</td>
<td class="number">{r.paper.year}</td><td>{escape(r.paper.kind)}</td>
{_cell(r.cpu_seconds, 1)}{_cell(r.peak_mb, 0)}
<td>{escape(r.status)}<br><small>{"<br>".join(map(escape, notes))}</small></td></tr>"""


def _table(results: list[Result]) -> str:
    heads = ["Paper", "Verdict", "Claims held", "Topic", "Year", "Kind", "CPU s", "Peak MB", "Run"]
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    rows = "\n".join(_paper_row(number, r) for number, r in enumerate(results))
    return f"""<h2 id="all">All papers</h2>
<div class="scroll" role="region" aria-labelledby="all" tabindex="0">
<table id="papers"><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"""


def render(results: Iterable[Result], title: str) -> str:
    """The page as one HTML text without any outside resource; the same results, the same text.

    Time and size grow linearly with the number of results. All text is escaped.
    """
    results = sorted(results, key=lambda r: (r.topic, r.paper.id))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{(HERE / "report.css").read_text("utf8")}</style></head>
<body><svg width="0" height="0" style="position:absolute" aria-hidden="true">{SHAPES}</svg>
<main><h1>{escape(title)}</h1>
{_scoreboard(results)}
{_problems(results)}
{_filters(results)}
{_forest(results)}
{_table(results)}
</main><script>{(HERE / "report.js").read_text("utf8")}</script></body></html>
"""
