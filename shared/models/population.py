"""Populations and particles with two stable states, which noise alone can carry over the saddle.

Birth and death rates follow Boettiger and Hastings 2012: births are cooperative, so below a saddle
the population collapses. All paths of a call are simulated at once.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq


@dataclass(frozen=True)
class Allee:
    """Births e K n^2 / (n^2 + h^2), deaths e n + a, per unit of time; the authors' parameters."""

    e: float = 0.5
    a: float = 180.0
    K: float = 1000.0
    h: float = 200.0

    def births(self, n: np.ndarray) -> np.ndarray:
        return self.e * self.K * n**2 / (n**2 + self.h**2)

    def deaths(self, n: np.ndarray) -> np.ndarray:
        return self.e * n + self.a

    def fixed_points(self) -> tuple[float, float]:
        """The saddle and the stable population above it.

        Raises ValueError if there are none: the population is then bound to collapse.
        """
        grid = np.linspace(1, 2 * self.K, 4001)
        growth = self.births(grid) - self.deaths(grid)
        crossed = np.flatnonzero(np.diff(np.sign(growth)))
        if len(crossed) < 2:
            raise ValueError(f"{self}: births never outweigh deaths; lower a")
        saddle, stable = (
            brentq(lambda n: self.births(n) - self.deaths(n), grid[k], grid[k + 1])
            for k in crossed[-2:]
        )
        return saddle, stable


def tau_leap(
    rng: np.random.Generator,
    population: Allee,
    start: float,
    paths: int,
    samples: int,
    per_sample: int = 10,
    dt: float = 0.1,
    drift: float = 0.0,
) -> np.ndarray:
    """Sizes (paths, samples + 1), one sample every `per_sample` steps of dt; 0 is for good.

    Gaussian tau-leaping: a step adds births - deaths, normal with the Poisson variances. drift is
    added to the death constant a per unit of time: 0 means that nothing moves towards a tipping
    point. Raises ValueError for a start below zero.
    """
    if start < 0:
        raise ValueError(f"tau_leap: start {start} is below zero")
    n = np.full(paths, float(start))
    out = np.empty((samples + 1, paths), dtype=np.float32).T  # a sample is written in one go
    out[:, 0], t = n, 0.0
    for sample in range(1, samples + 1):
        for _ in range(per_sample):
            up, down = population.births(n), population.deaths(n) + drift * t
            noise = rng.standard_normal(paths, dtype=np.float32)
            n = np.where(n > 0, n + (up - down) * dt + np.sqrt((up + down) * dt) * noise, 0.0)
            n = np.maximum(n, 0.0)
            t += dt
        out[:, sample] = n
    return out


def double_well(
    rng: np.random.Generator,
    paths: int,
    samples: int,
    per_sample: int = 10,
    dt: float = 0.01,
    noise: float = 0.4,
    start: float = 1.0,
) -> np.ndarray:
    """Paths (paths, samples + 1) of dx = (x - x^3) dt + noise dW, wells at -1 and 1."""
    x = np.full(paths, float(start))
    out = np.empty((paths, samples + 1), dtype=np.float32)
    out[:, 0] = x
    for sample in range(1, samples + 1):
        for _ in range(per_sample):
            kick = rng.standard_normal(paths, dtype=np.float32)
            x = x + (x - x**3) * dt + noise * np.sqrt(dt) * kick
        out[:, sample] = x
    return out
