"""Estimates with intervals, criteria, and the rule that turns both into a verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
PARTLY = "partly reproduced"
VERDICTS = (REPRODUCED, PARTLY, INCONCLUSIVE, NOT_REPRODUCED)


class EvidenceError(ValueError):
    """A measure or criterion that no verdict can be computed from."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval from `n` repetitions; `n = 0` marks an exact value."""

    value: float
    low: float
    high: float
    n: int

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) for x in (self.value, self.low, self.high)):
            raise EvidenceError(f"estimate {self} is not finite: look for a diverged repetition")
        if self.low > self.high:
            raise EvidenceError(f"estimate {self} has its interval the wrong way round")


def _sample(values: object) -> np.ndarray:
    # Late here and below: what only reads verdicts should not wait for NumPy and SciPy.
    import numpy as np

    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1:
        raise EvidenceError(
            f"expected one value a repetition, a 1-D array; got shape {sample.shape}. "
            "Average within a repetition first, or wrap a value without spread in exact(...)."
        )
    bad = np.flatnonzero(~np.isfinite(sample))
    if bad.size:
        raise EvidenceError(f"repetitions {bad.tolist()} are NaN or infinite, of {sample.tolist()}")
    if sample.size < 2:
        raise EvidenceError(f"an interval needs at least 2 repetitions, got {sample.size}")
    return sample


def student(values: Sequence[float], level: float = 0.95) -> Estimate:
    """Mean and Student-t interval over independent repetitions, shape (n,), n >= 2.

    Raises EvidenceError for fewer than two values, another shape, NaN or infinity.
    """
    from scipy.special import stdtrit

    sample = _sample(values)
    n = sample.size
    half = stdtrit(n - 1, 0.5 + level / 2) * sample.std(ddof=1) / math.sqrt(n)
    mean = float(sample.mean())
    return Estimate(mean, float(mean - half), float(mean + half), n)


def bootstrap(
    values: Sequence[float],
    statistic: Callable[..., np.ndarray] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """Percentile bootstrap over units such as prompts or windows.

    `values` has shape (n,) or (n, k): rows are resampled together, so pairs stay pairs.
    `statistic` takes the resampled array and `axis=0` and returns one number; default the mean.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    import numpy as np

    statistic = statistic or np.mean
    sample = np.asarray(values, dtype=float)
    if sample.ndim not in (1, 2) or sample.shape[0] < 2:
        raise EvidenceError(f"bootstrap needs (n,) or (n, k) with n >= 2, got {sample.shape}")
    if not np.isfinite(sample).all():
        raise EvidenceError("bootstrap got NaN or infinite values")
    rng = np.random.default_rng(seed)
    n = sample.shape[0]
    draws = np.array([statistic(sample[rng.integers(0, n, n)], axis=0) for _ in range(resamples)])
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(statistic(sample, axis=0)), float(low), float(high), n)


def exact(value: float) -> Estimate:
    """A measure without spread: an identity, a count, a whole population."""
    return Estimate(float(value), float(value), float(value), 0)


@dataclass(frozen=True)
class Criterion:
    """The values that count as the claim holding: an interval, each end open or closed."""

    low: float
    high: float
    low_open: bool
    high_open: bool
    text: str

    def holds(self, x: float) -> bool:
        """Whether the single value x satisfies the criterion."""
        above = x > self.low if self.low_open else x >= self.low
        below = x < self.high if self.high_open else x <= self.high
        return above and below

    def excludes(self, low: float, high: float) -> bool:
        """Whether no value of [low, high] satisfies the criterion."""
        left = high <= self.low if self.low_open else high < self.low
        right = low >= self.high if self.high_open else low > self.high
        return left or right


_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ONE_SIDED = re.compile(rf"(<=|>=|<|>)\s*({_NUMBER})")
_WITHIN = re.compile(rf"within\s*\[\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\]")


def parse_criterion(text: str) -> Criterion:
    """Read `holds_if`: `< x`, `<= x`, `> x`, `>= x` or `within [a, b]`; EvidenceError otherwise."""
    text = str(text).strip()
    if match := _ONE_SIDED.fullmatch(text):
        sign, bound = match[1], float(match[2])
        if sign[0] == "<":
            return Criterion(-math.inf, bound, True, sign == "<", text)
        return Criterion(bound, math.inf, sign == ">", True, text)
    if match := _WITHIN.fullmatch(text):
        low, high = float(match[1]), float(match[2])
        if low > high:
            raise EvidenceError(f"criterion {text!r} is empty: {low} > {high}")
        return Criterion(low, high, False, False, text)
    raise EvidenceError(
        f"cannot read the criterion {text!r}: write `<`, `<=`, `>` or `>=` and a number, "
        "or `within [a, b]`"
    )


def judge(estimate: Estimate, criterion: Criterion) -> str:
    """The verdict rule: inside = reproduced, outside = not reproduced, else inconclusive."""
    if criterion.holds(estimate.low) and criterion.holds(estimate.high):
        return REPRODUCED
    if criterion.excludes(estimate.low, estimate.high):
        return NOT_REPRODUCED
    return INCONCLUSIVE


def overall(verdicts: Sequence[str]) -> str:
    """A paper's verdict from its claims' verdicts, the headline first."""
    if not verdicts:
        raise EvidenceError("a paper without claims has no verdict")
    if all(v == REPRODUCED for v in verdicts):
        return REPRODUCED
    if verdicts[0] == NOT_REPRODUCED:
        return NOT_REPRODUCED
    return PARTLY if verdicts[0] == REPRODUCED else INCONCLUSIVE
