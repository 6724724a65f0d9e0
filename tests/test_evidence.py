"""The verdict rule, the intervals and the criteria, by property and against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shared.evidence import (
    INCONCLUSIVE,
    NOT_REPRODUCED,
    PARTLY,
    REPRODUCED,
    Estimate,
    EvidenceError,
    bootstrap,
    exact,
    judge,
    overall,
    parse_criterion,
    student,
)

settings.register_profile("quiet", database=None, deadline=None)
settings.load_profile("quiet")
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
SAMPLES = st.lists(NUMBERS, min_size=2, max_size=20)
CRITERIA = st.one_of(
    st.tuples(st.sampled_from(["<", "<=", ">", ">="]), NUMBERS).map(lambda c: f"{c[0]} {c[1]}"),
    st.tuples(NUMBERS, NUMBERS).map(lambda c: f"within [{min(c)}, {max(c)}]"),
)


@given(SAMPLES)
def test_student_agrees_with_scipy(values):
    estimate = student(values)
    low, high = (
        stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        if np.std(values) > 0
        else (np.mean(values),) * 2
    )
    assert estimate.low == pytest.approx(low, rel=1e-6, abs=1e-6)
    assert estimate.high == pytest.approx(high, rel=1e-6, abs=1e-6)
    assert estimate.n == len(values)


def test_student_covers_the_mean_95_times_in_100():
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    covered = [e.low <= 0 <= e.high for e in map(student, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).exponential(size=80)
    ours = bootstrap(values, resamples=4000)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, rng=2
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_bootstrap_resamples_rows_together():
    pairs = np.repeat(np.arange(30.0)[:, None], 2, axis=1)
    estimate = bootstrap(pairs, lambda x, axis: (x[:, 0] - x[:, 1]).mean(), resamples=200)
    assert (estimate.low, estimate.high) == (0.0, 0.0)


@pytest.mark.parametrize(
    "values", [[1.0], [], [1.0, math.nan], [1.0, math.inf], 3.0, [[1.0, 2.0]], [[1], [2]]]
)
def test_student_refuses_what_has_no_interval(values):
    with pytest.raises(EvidenceError):
        student(values)


@pytest.mark.parametrize("text", ["", "0.1", "=> 1", "< x", "within [2, 1]", "within (0, 1)", "<"])
def test_unreadable_criteria(text):
    with pytest.raises(EvidenceError):
        parse_criterion(text)


@given(CRITERIA, NUMBERS)
def test_criterion_reads_as_python(text, x):
    if text.startswith("within"):
        low, high = (float(v) for v in text[8:-1].split(","))
        expected = low <= x <= high
    else:
        sign, bound = text.split()
        bound = float(bound)
        expected = {"<": x < bound, "<=": x <= bound, ">": x > bound, ">=": x >= bound}[sign]
    assert parse_criterion(text).holds(x) is expected


@given(CRITERIA, NUMBERS, NUMBERS)
def test_verdict_rule(text, a, b):
    low, high = min(a, b), max(a, b)
    criterion = parse_criterion(text)
    verdict = judge(Estimate((low + high) / 2, low, high, 5), criterion)
    inside = [criterion.holds(x) for x in np.linspace(low, high, 7)]
    if verdict == REPRODUCED:
        assert all(inside)
    if verdict == NOT_REPRODUCED:
        assert not any(inside)
    if all(inside[i] for i in (0, -1)):
        assert verdict == REPRODUCED


@given(CRITERIA, NUMBERS)
def test_an_exact_value_is_never_inconclusive(text, x):
    assert judge(exact(x), parse_criterion(text)) != INCONCLUSIVE


@given(CRITERIA, NUMBERS, st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_wider_interval_never_decides_what_a_narrow_one_left_open(text, x, narrow, more):
    criterion = parse_criterion(text)
    small = judge(Estimate(x, x - narrow, x + narrow, 5), criterion)
    large = judge(Estimate(x, x - narrow - more, x + narrow + more, 5), criterion)
    assert large in (small, INCONCLUSIVE)


@pytest.mark.parametrize(
    ("text", "low", "high", "verdict"),
    [
        ("<= 0.01", -0.02, 0.01, REPRODUCED),
        ("< 0.01", -0.02, 0.01, INCONCLUSIVE),
        ("< 0.01", 0.01, 0.02, NOT_REPRODUCED),
        ("<= 0.01", 0.01, 0.02, INCONCLUSIVE),
        ("> 0.01", -1.0, 0.01, NOT_REPRODUCED),
        ("within [-1, 1]", -1.0, 1.0, REPRODUCED),
        ("within [-1, 1]", -2.0, 2.0, INCONCLUSIVE),
        ("within [-1, 1]", 1.1, 2.0, NOT_REPRODUCED),
    ],
)
def test_verdict_at_the_edges(text, low, high, verdict):
    assert judge(Estimate((low + high) / 2, low, high, 5), parse_criterion(text)) == verdict


@pytest.mark.parametrize(
    ("verdicts", "paper"),
    [
        ([REPRODUCED, REPRODUCED], REPRODUCED),
        ([REPRODUCED, NOT_REPRODUCED], PARTLY),
        ([REPRODUCED, INCONCLUSIVE], PARTLY),
        ([NOT_REPRODUCED, REPRODUCED], NOT_REPRODUCED),
        ([INCONCLUSIVE, REPRODUCED], INCONCLUSIVE),
    ],
)
def test_paper_verdict(verdicts, paper):
    assert overall(verdicts) == paper


def test_an_estimate_is_finite_and_ordered():
    for numbers in ((math.nan, 0, 1), (0, 1, -1), (0, -math.inf, 1)):
        with pytest.raises(EvidenceError):
            Estimate(*numbers, 5)
