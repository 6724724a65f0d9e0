"""The contract of a study: a paper's claims, the scale it is run at, and the computed verdict."""

from __future__ import annotations

import os
import random
import zlib
from html import escape
from typing import TYPE_CHECKING, TypeVar

from shared import registry
from shared.evidence import Estimate, EvidenceError, judge, overall, student

if TYPE_CHECKING:
    import numpy as np

SCALES = ("smoke", "small", "full")
MIME = "application/vnd.papers-in-miniature.verdict+json"
_T = TypeVar("_T")
_MARKS = {"reproduced": "✔", "not reproduced": "✘", "inconclusive": "?", "partly reproduced": "◐"}


class StudyError(ValueError):
    """A study that cannot give a verdict; the message names the paper and the claim."""


class Study:
    """A registered paper, run at one scale with independent repetitions.

    Creating it seeds Python, NumPy and torch, pins torch to one thread (the thread count is
    part of a result) and picks the device: CUDA only at `full` scale and when there is one.

    Raises RegistryError for an unknown paper, StudyError for a bad scale, seeds or control.
    """

    def __init__(
        self, paper: str, scale: str = "small", seeds: int = 5, control: bool = False
    ) -> None:
        self.paper = registry.find(paper)
        if scale not in SCALES:
            raise StudyError(f"{paper}: scale {scale!r} is not one of {', '.join(SCALES)}")
        if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
            raise StudyError(
                f"{paper}: seeds is the number of repetitions, 1 or more; got {seeds!r}"
            )
        if not isinstance(control, bool):
            raise StudyError(f"{paper}: control is True or False; got {control!r}")
        # Late, so that what only reads claims and verdicts does not wait two seconds for torch.
        import numpy as np
        import torch

        self.scale = scale
        self.seeds = range(seeds)
        self.control = control
        self.device = "cuda" if scale == "full" and torch.cuda.is_available() else "cpu"
        self._estimates: dict[str, Estimate] = {}
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)

    def pick(self, *, smoke: _T, small: _T, full: _T) -> _T:
        """The value that belongs to this study's scale."""
        return {"smoke": smoke, "small": small, "full": full}[self.scale]

    def rng(self, seed: int, purpose: str = "") -> np.random.Generator:
        """A NumPy generator for one repetition and one purpose, the same on every machine.

        Two purposes give independent streams, so that drawing more data does not move the
        initial weights.
        """
        import numpy as np

        return np.random.default_rng([seed, zlib.crc32(purpose.encode())])

    def check(self, claim: str, values: object) -> None:
        """Record the measure of a claim: one value a repetition, shape (n,), or an Estimate.

        A 1-D array, list or tensor gives the mean and Student-t interval. For a bootstrap, or a
        measure without spread, pass `evidence.bootstrap(...)` or `evidence.exact(...)`.
        Raises RegistryError for an unknown claim, StudyError for NaN, a wrong shape or n < 2.
        """
        claim_id = self.paper.claim(claim).id
        if hasattr(values, "detach"):  # a torch tensor
            values = values.detach().cpu().numpy()
        try:
            estimate = values if isinstance(values, Estimate) else student(values)
        except (EvidenceError, TypeError, ValueError) as error:
            raise StudyError(f"{self.paper.id}/{claim_id}: {error}") from None
        self._estimates[claim_id] = estimate

    def verdict(self) -> Verdict:
        """The verdict on every claim; StudyError names the claims that were never checked."""
        missing = [c.id for c in self.paper.claims if c.id not in self._estimates]
        if missing:
            raise StudyError(
                f"{self.paper.id}: never checked: {', '.join(missing)}. "
                "Call study.check(claim, values) for each before study.verdict()."
            )
        return Verdict(self)

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        head = f"{self.paper.title} ({self.paper.year}), {self.paper.kind}"
        rows = [(c.says, c.paper, c.measure, c.holds_if) for c in self.paper.claims]
        columns = ("Claim", "In the paper", "Measured here", "Holds if")
        text = [f"{head}; {self._setting()}"]
        for claim in self.paper.claims:
            text += [f"- {claim.says}", f"  {claim.measure}: holds if {claim.holds_if}"]
        return {
            "text/plain": "\n".join(text),
            "text/html": f"<p><b>{escape(head)}</b>; {self._setting()}</p>{_table(columns, rows)}",
        }

    def _setting(self) -> str:
        control = ", negative control" if self.control else ""
        return f"{self.scale} scale, {len(self.seeds)} repetitions{control}"


class Verdict:
    """What a study found, shown as a table for people and as JSON for machines."""

    def __init__(self, study: Study) -> None:
        self._setting = study._setting()
        self._claims = study.paper.claims
        rows = []
        for claim in study.paper.claims:
            estimate = study._estimates[claim.id]
            rows.append(
                {
                    "id": claim.id,
                    "measure": claim.measure,
                    "estimate": _rounded(estimate.value),
                    "low": _rounded(estimate.low),
                    "high": _rounded(estimate.high),
                    "n": estimate.n,
                    "holds_if": claim.holds_if,
                    "verdict": judge(estimate, claim.criterion),
                }
                | ({"timing": True} if claim.timing else {})
            )
        self.data = {
            "paper": study.paper.id,
            "scale": study.scale,
            "seeds": len(study.seeds),
            "control": study.control,
            "verdict": overall([row["verdict"] for row in rows]),
            "claims": rows,
        }

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        head = f"{self.data['paper']}: {self.data['verdict']}"
        rows = [
            (claim.says, claim.paper, _measured(row), row["holds_if"], _marked(row["verdict"]))
            for claim, row in zip(self._claims, self.data["claims"], strict=True)
        ]
        columns = ("Claim", "Paper", "Measured [95 % interval]", "Holds if", "Verdict")
        text = [f"{head} ({self._setting})"]
        for row in self.data["claims"]:
            measured = "a timing" if row.get("timing") else _measured(row)
            text.append(f"- {row['id']}: {measured}, holds if {row['holds_if']}: {row['verdict']}")
        html = f"<p><b>{escape(_marked(self.data['verdict']))}</b> ({escape(self._setting)})</p>"
        return {
            "text/plain": "\n".join(text),
            "text/html": html + _table(columns, rows),
            MIME: self.data,
        }

    def __repr__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]


def _rounded(x: float) -> float:
    """Six significant digits: what differs beyond them is arithmetic, not evidence."""
    return float(f"{x:.6g}")


def _measured(row: dict) -> str:
    if row["n"] == 0:
        return f"{row['estimate']:.3g} (exact)"
    return f"{row['estimate']:.3g} [{row['low']:.3g}, {row['high']:.3g}]"


def _marked(verdict: str) -> str:
    return f"{_MARKS[verdict]} {verdict}"


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        style = ' style="text-align:left"'
        return "<tr>" + "".join(f"<{tag}{style}>{escape(c)}</{tag}>" for c in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(columns, 'th')}</thead><tbody>{body}</tbody></table>"
