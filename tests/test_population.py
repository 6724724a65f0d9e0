"""Bistable populations: where they rest, how they wobble, and that chance can tip them."""

import numpy as np
import pytest

from shared.models.population import Allee, double_well, tau_leap


def test_the_authors_population_rests_near_500_above_a_saddle_near_250():
    saddle, stable = Allee().fixed_points()
    assert 230 < saddle < 270 and 480 < stable < 520
    for n in (saddle, stable):
        assert Allee().births(n) == pytest.approx(Allee().deaths(n))
    with pytest.raises(ValueError, match="lower a"):
        Allee(a=400).fixed_points()


def test_far_from_the_saddle_the_noise_is_that_of_the_linear_process():
    population = Allee(a=100)
    _, stable = population.fixed_points()
    paths = tau_leap(np.random.default_rng(0), population, stable, 400, 300)[:, 100:]
    h = 1e-3
    slope = (population.births(stable + h) - population.births(stable - h)) / (2 * h) - population.e
    variance = population.deaths(stable) / -slope  # of dn = slope (n - n*) dt + sqrt(2 deaths) dW
    assert paths.mean() == pytest.approx(stable, rel=0.02)
    assert paths.var() == pytest.approx(variance, rel=0.1)


def test_chance_tips_a_few_and_zero_is_for_good():
    rng = np.random.default_rng(1)
    paths = tau_leap(rng, Allee(), 500, 300, 1000)
    assert 0 <= (paths[:, -1] < 1).mean() < 0.1
    doomed = tau_leap(rng, Allee(), 100, 50, 400)
    assert (doomed[:, -1] == 0).all()
    drifting = tau_leap(rng, Allee(), 500, 100, 400, drift=0.2)
    assert (drifting[:, -1] < 1).mean() > 0.9
    with pytest.raises(ValueError, match="below zero"):
        tau_leap(rng, Allee(), -1, 1, 1)


def test_the_double_well_stays_near_a_well():
    x = double_well(np.random.default_rng(2), 200, 500)
    assert x.shape == (200, 501) and 0.05 < (x[:, -1] < 0).mean() < 0.95
    assert np.abs(np.abs(x[:, -1]) - 1).mean() < 0.35
    still = double_well(np.random.default_rng(2), 3, 20, noise=0.0)
    assert np.allclose(still, 1)
