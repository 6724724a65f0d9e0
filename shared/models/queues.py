"""A single server with preemption, priorities and work before the work (buying a prediction).

    arrivals = poisson_arrivals(rng, 60_000, rate=0.9)
    sizes = rng.exponential(size=60_000)
    done = simulate(arrivals, [Phase(sizes)])                           # first come, first served
    done = simulate(arrivals, [Phase(sizes, key=sizes, shrinks=True)])  # SRPT

A job goes through its phases in turn. The server works on the waiting phase of lowest (level, key,
arrival); an arrival of lower rank than the job in service takes its place, and nothing done is
lost (preemptive resume). Mean response times in closed form are here to check against.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from scipy import integrate


@dataclass(frozen=True)
class Phase:
    """What all jobs have to go through: arrays over jobs, or one number for all.

    work: time on the server; level: class of priority, lowest first; key: order within the class
    (default: arrival); shrinks: the key falls by the time served, as a remaining size does. A phase
    of no work is passed at once.
    """

    work: np.ndarray | float
    level: np.ndarray | int = 0
    key: np.ndarray | None = None
    shrinks: bool = False


def poisson_arrivals(rng: np.random.Generator, n: int, rate: float) -> np.ndarray:
    """Arrival times (n,) of a Poisson process; times in the unit of 1 / rate."""
    return rng.exponential(1 / rate, size=n).cumsum()


def simulate(arrivals: np.ndarray, phases: list[Phase]) -> np.ndarray:
    """When each job has gone through all phases, (jobs,); arrivals in order of time.

    Raises ValueError for arrivals out of order, negative work or arrays of another length.
    """
    works, levels, keys, shrinks = _columns(arrivals, phases)
    n, times, done = len(arrivals), [*arrivals.tolist(), np.inf], np.empty(len(arrivals))
    waiting: list[tuple[float, float, int, int, float]] = []  # level, key, job, phase, served
    now, following, current = 0.0, 0, None
    while following < n or waiting or current:
        if not (waiting or current):
            now = times[following]
        while times[following] <= now:
            rank = levels[0][following], keys[0][following]
            heapq.heappush(waiting, (*rank, following, 0, 0.0))
            following += 1
        if current is None:
            current = heapq.heappop(waiting)
        elif waiting and waiting[0] < current:
            current = heapq.heapreplace(waiting, current)
        level, key, job, phase, served = current
        left = works[phase][job] - served
        if times[following] < now + left:  # the next arrival may take over
            passed = times[following] - now
            now = times[following]
            key -= passed if shrinks[phase] else 0.0
            current = (level, key, job, phase, served + passed)
            continue
        now += left
        current = None
        if phase + 1 < len(phases):
            rank = levels[phase + 1][job], keys[phase + 1][job]
            heapq.heappush(waiting, (*rank, job, phase + 1, 0.0))
        else:
            done[job] = now
    return done


def fcfs_mean(rate: float, mean: float, second_moment: float) -> float:
    """Mean response time of M/G/1, first come, first served (Pollaczek and Khinchine).

    Raises ValueError unless rate * mean < 1.
    """
    return mean + rate * second_moment / (2 * (1 - _load(rate, mean)))


def srpt_mean(rate: float, sizes) -> float:
    """Mean response time of M/G/1 under shortest remaining processing time.

    sizes: a frozen distribution of scipy.stats with a density. Schrage and Miller 1966. Raises
    ValueError unless rate * mean < 1.
    """
    _load(rate, sizes.mean())
    x = sizes.ppf(np.linspace(0, 1, 20_001)[1:-1])
    x = np.concatenate([[0.0], x, np.geomspace(x[-1], sizes.ppf(1 - 1e-10), 2_001)[1:]])
    f = np.where(x > 0, sizes.pdf(np.maximum(x, x[1] / 2)), 0.0)
    load = rate * integrate.cumulative_trapezoid(x * f, x, initial=0)  # of sizes up to x
    squares = integrate.cumulative_trapezoid(x**2 * f, x, initial=0)
    waits = rate * (squares + x**2 * sizes.sf(x)) / (2 * (1 - load) ** 2)
    stays = integrate.cumulative_trapezoid(1 / (1 - load), x, initial=0)
    return float(-integrate.trapezoid(waits + stays, sizes.sf(x)))


def _load(rate: float, mean: float) -> float:
    if not rate * mean < 1:
        raise ValueError(f"load {rate * mean:.3g}: the queue grows without end; keep it below 1")
    return rate * mean


def _columns(arrivals: np.ndarray, phases: list[Phase]) -> tuple[list, list, list, list]:
    n = len(arrivals)
    if np.any(np.diff(arrivals) < 0):
        raise ValueError("simulate: arrivals must be in order of time")
    columns = [], [], []
    for number, phase in enumerate(phases):
        key = np.arange(n) if phase.key is None else phase.key
        for name, column, values in zip(
            ("work", "level", "key"), columns, (phase.work, phase.level, key), strict=True
        ):
            values = np.asarray(values, dtype=float)
            if values.shape not in ((), (n,)):
                raise ValueError(f"phase {number}: {name} {values.shape}, but {n} jobs arrive")
            column.append(np.broadcast_to(values, n).tolist())
        if min(columns[0][-1], default=0) < 0:
            raise ValueError(f"phase {number}: work must not be negative")
    return *columns, [phase.shrinks for phase in phases]
