"""What nbval lacks: numbers compared with a tolerance, a dead kernel noticed, no silent xfail.

Loaded as a pytest plugin (pyproject.toml), because conftest hooks do not reach notebooks/.
"""

from __future__ import annotations

import math
import re
import time
from queue import Empty

import nbformat
import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile

from shared.study import MIME
from workflow.results import SLACK, within_rounding

RTOL, ATOL = 1e-3, 1e-4
_NUMBER = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+|\d+(?: ?%)?")


def same_text(left: str, right: str) -> bool:
    """Equal but for numbers, which may differ by RTOL, ATOL or one unit of their last decimal.

    Whole numbers are counts and must be equal; whole percentages are rounded and may differ by one.
    A change of width (alignment) does not count.
    """
    if [_squeeze(t) for t in _NUMBER.split(left)] != [_squeeze(t) for t in _NUMBER.split(right)]:
        return False
    pairs = zip(_NUMBER.findall(left), _NUMBER.findall(right), strict=True)
    return all(_same_number(a, b) for a, b in pairs)


def _squeeze(text: str) -> str:
    return re.sub(r"[ \-]+", " ", text).strip()


def _same_number(left: str, right: str) -> bool:
    if left == right:
        return True
    if left.isdigit() and right.isdigit():
        return False
    left, right = left.rstrip(" %"), right.rstrip(" %")
    mantissa, _, exponent = left.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - decimals)
    slack = max(ATOL, 1.01 * unit)
    return math.isclose(float(left), float(right), rel_tol=RTOL, abs_tol=slack)


def same_verdict(left: dict, right: dict) -> bool:
    """The same claims with the same verdicts, and numbers that rounding may explain.

    Estimates: within RTOL, ATOL and a quarter of the interval, as training amplifies rounding; its
    ends, which hang on the spread of a few repetitions, within half of it; a verdict may differ
    where the interval ends so near the bound that rounding decides. Timings: verdict only.
    """

    def rest(verdict: dict) -> dict:
        return {k: v for k, v in verdict.items() if k not in ("claims", "verdict")}

    if rest(left) != rest(right) or len(left["claims"]) != len(right["claims"]):
        return False
    turned = any(
        a["verdict"] != b["verdict"] for a, b in zip(left["claims"], right["claims"], strict=True)
    )
    if not turned and left.get("verdict") != right.get("verdict"):
        return False  # a paper's verdict follows from those of its claims
    return all(map(_same_claim, left["claims"], right["claims"]))


def _same_claim(left: dict, right: dict) -> bool:
    measured = ("estimate", "low", "high", "verdict")
    if {k: v for k, v in left.items() if k not in measured} != {
        k: v for k, v in right.items() if k not in measured
    }:
        return False
    if left["verdict"] != right["verdict"] and right["verdict"] not in within_rounding(left):
        return False
    width = left["high"] - left["low"]
    slack = {"estimate": SLACK * width, "low": 0.5 * width, "high": 0.5 * width}
    return left.get("timing", False) or all(
        math.isclose(left[k], right[k], rel_tol=RTOL, abs_tol=ATOL + slack[k]) for k in slack
    )


class _Text(str):
    """Text that equals another when only its numbers differ, and those a little."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and same_text(str(self), str(other))

    def __ne__(self, other: object) -> bool:
        return not self == other


class _Verdict(dict):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and same_verdict(dict(self), dict(other))

    def __ne__(self, other: object) -> bool:
        return not self == other


def _sanitize(cell: IPyNbCell, value: object) -> object:
    if isinstance(value, str):
        return _Text(_original_sanitize(cell, value))
    if isinstance(value, dict) and "claims" in value:
        return _Verdict(value)
    return value


def _compare_outputs(cell: IPyNbCell, test: list, ref: list, skip_compare: object = None) -> bool:
    return _original_compare(cell, _machine_only(test), _machine_only(ref), skip_compare)


def _machine_only(outputs: list) -> list:
    """A verdict is compared as JSON; its text and HTML say the same with fewer digits."""
    kept = []
    for output in outputs:
        if MIME in output.get("data", {}):
            output = nbformat.from_dict({**output, "data": {MIME: output["data"][MIME]}})
        if output.get("name") != "stderr":
            kept.append(output)
    return kept


def _get_message(kernel: RunningKernel, stream: str, timeout: float | None = None) -> dict:
    """nbval's own waits the whole time-out for a kernel that is dead: look every 2 seconds."""
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        wait = min(2.0, max(0.0, deadline - time.monotonic()))
        try:
            return _original_get_message(kernel, stream, wait)
        except Empty:
            if time.monotonic() >= deadline:
                raise
            if not kernel.is_alive():
                raise RuntimeError("the kernel died while a cell was running") from None


_original_sanitize, IPyNbCell.sanitize = IPyNbCell.sanitize, _sanitize
_original_compare, IPyNbCell.compare_outputs = IPyNbCell.compare_outputs, _compare_outputs
_original_get_message, RunningKernel.get_message = RunningKernel.get_message, _get_message


def pytest_collectstart(collector: pytest.Collector) -> None:
    """HTML is the text's twin, and stderr is progress: neither is compared."""
    if isinstance(collector, IPyNbFile):
        collector.skip_compare += ("text/html", "stderr")


def pytest_itemcollected(item: pytest.Item) -> None:
    """nbval waits five seconds for a cell's output, too little on a busy machine."""
    if isinstance(item, IPyNbCell):
        item.output_timeout = 60


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Only the first failing cell of a notebook is worth reading."""
    if isinstance(item, IPyNbCell) and getattr(item.parent, "failed_cell", None):
        pytest.skip(f"an earlier cell failed: {item.parent.failed_cell}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Remember the first failure, and count nbval's xfail after a time-out as a failure."""
    report = (yield).get_result()
    if isinstance(item, IPyNbCell):
        if getattr(report, "wasxfail", None):
            report.outcome = "failed"
            del report.wasxfail
        if report.failed:
            item.parent.failed_cell = item.name
