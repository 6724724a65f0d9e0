"""The queue simulator against the formulas of queueing theory."""

import numpy as np
import pytest
from scipy import stats

from shared.models.queues import Phase, fcfs_mean, poisson_arrivals, simulate, srpt_mean

N = 60_000


def responses(rate, draw, phases, seeds=6):
    """Mean response time over paths, the first tenth of the jobs left out."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        arrivals, sizes = poisson_arrivals(rng, N, rate), draw(rng)
        found.append((simulate(arrivals, phases(sizes)) - arrivals)[N // 10 :].mean())
    return np.mean(found)


def test_a_hand_made_case():
    arrivals, sizes = np.array([0.0, 1.0, 2.0]), np.array([5.0, 1.0, 2.5])
    assert simulate(arrivals, [Phase(sizes)]).tolist() == [5, 6, 8.5]
    srpt = simulate(arrivals, [Phase(sizes, key=sizes, shrinks=True)])
    assert srpt.tolist() == [8.5, 2, 4.5]
    first = simulate(arrivals, [Phase(sizes, level=np.array([1, 0, 0]))])
    assert first.tolist() == [8.5, 2, 4.5]
    bought = simulate(arrivals, [Phase(0.5), Phase(sizes, level=1)])  # before any job's own work
    assert bought.tolist() == [6.5, 7.5, 10]


def test_key_shrinks_as_a_job_is_served():
    arrivals, sizes = np.array([0.0, 4.0]), np.array([5.0, 2.0])
    assert simulate(arrivals, [Phase(sizes, key=sizes, shrinks=True)]).tolist() == [5, 7]
    assert simulate(arrivals, [Phase(sizes, key=sizes)]).tolist() == [7, 6]


def test_first_come_first_served_is_pollaczek_khinchine():
    got = responses(0.7, lambda rng: rng.exponential(size=N), lambda s: [Phase(s)])
    assert got == pytest.approx(fcfs_mean(0.7, 1, 2), rel=0.04)
    assert fcfs_mean(0.5, 1, 1) == pytest.approx(1.5)  # M/D/1


def test_shortest_remaining_is_schrage_and_miller():
    def srpt(sizes):
        return [Phase(sizes, key=sizes, shrinks=True)]

    got = responses(0.8, lambda rng: rng.exponential(size=N), srpt)
    want = srpt_mean(0.8, stats.expon())
    assert got == pytest.approx(want, rel=0.03) and want < fcfs_mean(0.8, 1, 2)
    heavy = stats.weibull_min(0.5, scale=0.5)
    got = responses(0.7, lambda rng: 0.5 * rng.weibull(0.5, size=N), srpt, seeds=10)
    assert got == pytest.approx(srpt_mean(0.7, heavy), rel=0.05)


def test_no_time_is_lost_or_won_by_reordering():
    rng = np.random.default_rng(0)
    arrivals, sizes = poisson_arrivals(rng, 2000, 0.9), rng.exponential(size=2000)
    keys = rng.normal(size=2000)
    plain = simulate(arrivals, [Phase(sizes)])
    other = simulate(arrivals, [Phase(0.0), Phase(sizes, level=1, key=keys)])
    assert plain.max() == pytest.approx(other.max())
    assert (plain >= arrivals + sizes - 1e-9).all() and (other >= arrivals + sizes - 1e-9).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="order of time"):
        simulate(np.array([1.0, 0.0]), [Phase(1.0)])
    with pytest.raises(ValueError, match="work must not be negative"):
        simulate(np.array([0.0, 1.0]), [Phase(-1.0)])
    with pytest.raises(ValueError, match="2 jobs arrive"):
        simulate(np.array([0.0, 1.0]), [Phase(np.ones(3))])
    with pytest.raises(ValueError, match=r"load 1\.2"):
        fcfs_mean(1.2, 1, 2)
