"""What is known of each study: its committed verdict, and what the last run came to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from shared.evidence import Estimate, judge, parse_criterion
from shared.registry import Paper
from workflow import digest, notebook
from workflow.execute import Record
from workflow.notebook import ROOT

SLACK = 0.25  # of an interval's width: how far its ends may move with the processor


@dataclass(frozen=True)
class Result:
    """One study as the gallery and the report show it; `digest` is what a run now would get."""

    topic: str
    paper: Paper
    verdict: dict | None
    cpu_seconds: float | None
    peak_mb: float | None
    stale: bool
    thumbnail: bytes | None
    path: str
    status: str = "ok"
    message: str = ""
    committed_verdict: str | None = None
    digest: str = ""


def committed(paper: Paper, root: Path = ROOT) -> Result:
    """The study as its committed notebook has it; stale if its digest is no longer current."""
    nb = notebook.read(root / paper.notebook)
    study = nb.metadata.get("study", {})
    current = digest.digest(digest.parts(paper, nb, root))
    verdict = notebook.verdict(nb)
    return Result(
        topic=paper.topic,
        paper=paper,
        verdict=verdict,
        cpu_seconds=study.get("cpu_seconds"),
        peak_mb=study.get("peak_mb"),
        stale=study.get("digest") != current,
        thumbnail=notebook.figure(nb),
        path=paper.notebook.as_posix(),
        committed_verdict=verdict["verdict"] if verdict else None,
        digest=current,
    )


def record(paper: Paper, out: Path) -> Record | None:
    """The record of the last run in `out`, or None if there is none that can be read."""
    path = out / paper.topic / f"{paper.id}.json"
    try:
        return Record(**json.loads(path.read_text(encoding="utf8")))
    except (OSError, ValueError, TypeError):
        return None


def within_rounding(claim: dict) -> set[str]:
    """The verdicts that a claim could get from a processor that rounds differently.

    Training amplifies rounding, and the spread of a few repetitions is itself uncertain: either
    end of the committed interval may move by a quarter of its width.
    """
    criterion = parse_criterion(claim["holds_if"])
    slack = SLACK * (claim["high"] - claim["low"])
    found = {claim["verdict"]}
    for low in (claim["low"] - slack, claim["low"] + slack):
        for high in (claim["high"] - slack, claim["high"] + slack):
            found.add(judge(Estimate(claim["estimate"], low, high, claim["n"]), criterion))
    return found


def differences(new: dict, old: dict | None) -> list[str]:
    """How a run's verdict departs from the committed one, in words; empty if it does not.

    A claim's verdict must be equal, unless its interval ends so near the bound that rounding
    decides, and each estimate must lie in the committed interval, widened by a thousandth of its
    size for what instruction sets do to exact values. Timings: verdict only.
    """
    if old is None:
        return []
    lines = []
    before = {claim["id"]: claim for claim in old["claims"]}
    for claim in new["claims"]:
        was = before.get(claim["id"])
        if was is None:
            lines.append(f"{claim['id']}: not in the committed outputs")
            continue
        if claim["verdict"] not in within_rounding(was):
            lines.append(f"{claim['id']}: was {was['verdict']}, is {claim['verdict']}")
        slack = 1e-3 * abs(was["estimate"]) + 1e-4
        inside = was["low"] - slack <= claim["estimate"] <= was["high"] + slack
        if not claim.get("timing") and not inside:
            lines.append(
                f"{claim['id']}: {claim['estimate']:.4g} lies outside the committed interval "
                f"[{was['low']:.4g}, {was['high']:.4g}]"
            )
    return lines
