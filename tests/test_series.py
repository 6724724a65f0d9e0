"""The LTSF-mini bench: shapes, scaling, windows, and known errors of the naive forecasts."""

import io
import os
import pickle

import numpy as np
import pytest
import torch

from shared.data import series as bench
from shared.data.series import (
    SEASONS,
    SafeUnpickler,
    Series,
    eval_windows,
    load,
    mae,
    mse,
    sample,
    seasonal_naive,
    split,
)

SHAPES = {
    "APPL30": (6579, 26),
    "NYCWX": (8730, 18),
    "PM25": (17520, 6),
    "ELEC": (8760, 2),
    "CHI": (5698, 20),
}


@pytest.mark.parametrize("name", SHAPES)
def test_series_are_complete(name):
    series = load(name)
    assert series.values.shape == SHAPES[name]
    assert series.values.dtype == torch.float32
    assert series.values.isfinite().all()
    assert len(series.names) == len(set(series.names)) == SHAPES[name][1]
    assert (series.season, series.frequency) == SEASONS[name]


@pytest.mark.parametrize("name", SHAPES)
def test_scaling_uses_the_training_part_alone(name):
    series = load(name)
    train, valid, test = split(series, look_back=96)
    assert train.mean(0).abs().max() < 1e-5
    assert (train.std(0, correction=0) - 1).abs().max() < 1e-4
    total = len(series.values)
    assert len(train) == int(0.7 * total)
    assert len(train) + len(valid) - 96 + len(test) - 96 == total
    assert torch.equal(valid[:96], train[-96:])  # context only: its targets start after it


def test_split_leaks_nothing_of_the_future():
    values = torch.randn(1000, 3)
    changed = values.clone()
    changed[700:] = 99.0
    one = split(Series("x", values, ("a", "b", "c"), 7, "1 d"), 20)[0]
    two = split(Series("x", changed, ("a", "b", "c"), 7, "1 d"), 20)[0]
    assert torch.equal(one, two)


def test_naive_forecasts_have_their_known_errors():
    series = load("APPL30")
    past, future = eval_windows(split(series, 96)[2], 96, 48)
    assert past.shape == (318, 26, 96) and future.shape == (318, 26, 48)
    assert mse(seasonal_naive(past, 48, series.season), future) == pytest.approx(0.740, abs=5e-4)
    assert mse(seasonal_naive(past, 48, 1), future) == pytest.approx(0.935, abs=5e-4)


@pytest.mark.parametrize("name", ["APPL30", "ELEC", "CHI"])
def test_the_season_is_the_one_named(name):
    series = load(name)
    values = (series.values - series.values.mean(0)).double()
    lags = [series.season - 2, series.season, series.season + 2]
    similar = [(values[lag:] * values[:-lag]).mean() / values.square().mean() for lag in lags]
    assert similar[1] == max(similar)


def test_eval_windows_follow_the_stride():
    part = torch.arange(100.0)[:, None]
    past, future = eval_windows(part, 10, 5, stride=4)
    assert torch.equal(past[:, 0, 0], torch.arange(0.0, 86, 4))
    assert torch.equal(future[:, 0, 0], past[:, 0, -1] + 1)


def test_sample_gives_windows_of_the_part():
    part = torch.stack([torch.arange(200.0), 1000 + torch.arange(200.0)], dim=1)
    past, future = sample(part, 12, 6, (5, 7), np.random.default_rng(0))
    assert past.shape == (5, 7, 2, 12) and future.shape == (5, 7, 2, 6)
    whole = torch.cat([past, future], dim=-1)
    assert (whole.diff(dim=-1) == 1).all()
    assert (whole[..., 1, :] - whole[..., 0, :] == 1000).all()
    again, _ = sample(part, 12, 6, (5, 7), np.random.default_rng(0))
    assert torch.equal(past, again)


def test_sample_of_pairs_draws_every_channel():
    part = torch.stack([1000.0 * c + torch.arange(50.0) for c in range(4)], dim=1)
    past, future = sample(part, 8, 4, 400, np.random.default_rng(0), pairs=True)
    assert past.shape == (400, 8) and future.shape == (400, 4)
    assert (torch.cat([past, future], -1).diff(dim=-1) == 1).all()
    assert set((past[:, 0] // 1000).int().tolist()) == {0, 1, 2, 3}


def test_seasonal_naive_repeats_the_last_season():
    past = torch.tensor([[9.0, 9, 9, 1, 2, 3]])
    assert seasonal_naive(past, 7, 3).tolist() == [[1, 2, 3, 1, 2, 3, 1]]
    assert seasonal_naive(past, 2, 1).tolist() == [[3, 3]]
    with pytest.raises(ValueError, match="look-back 6 is below the season 7"):
        seasonal_naive(past, 2, 7)


def test_errors_of_a_known_forecast():
    forecast, target = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])
    assert mse(forecast, target) == 2.5
    assert mae(forecast, target) == 1.5


def test_bad_input_is_a_clear_error():
    with pytest.raises(ValueError, match=r"'APPL'.*did you mean 'APPL30'.*known: APPL30, NYCWX"):
        load("APPL")
    with pytest.raises(ValueError, match=r"100 steps has no window of 96 \+ 48"):
        eval_windows(torch.zeros(100, 2), 96, 48)
    with pytest.raises(ValueError, match="look_back 900 is longer than validation"):
        split(load("ELEC"), 900)


def test_a_table_that_would_run_code_is_refused():
    class Evil:
        def __reduce__(self):
            return os.system, ("true",)

    with pytest.raises(pickle.UnpicklingError, match=r"system: not plain data"):
        SafeUnpickler(io.BytesIO(pickle.dumps(Evil()))).load()


def test_faulty_wind_readings_are_gone():
    winds = [i for i, name in enumerate(load("NYCWX").names) if name.endswith("wind_speed")]
    assert load("NYCWX").values[:, winds].max() < 60  # mph; one reading in the table says 1,048
    assert bench.SEASONS.keys() == SHAPES.keys()
