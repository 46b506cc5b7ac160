"""Windows of which the truth is known: nothing changed, or one thing was planted. Columns are arrays by name, one row an inference.

| case | what it is |
|---|---|
| ``iid`` | 15 numeric columns (normal, skewed, heavy tails, discrete) and 5 categorical ones of 2 to 1,000 categories, rows independent |
| ``adult-like`` | columns shaped as those of a census: spikes, zero-inflated amounts, rare categories |
| ``flights`` | real flights of one month, split at random |
| ``seasonal`` | a daily season and an autocorrelation of .9 from row to row, in time |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]
Columns = Mapping[str, Array]

REFERENCE_ROWS = 20_000
FLIGHT_COLUMNS = ("dep_time", "sched_dep_time", "air_time", "distance", "hour", "minute", "carrier", "origin", "dest")
DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A reference with the windows that follow it, in the order of their time.

    Attributes:
        reference: Rows the windows are compared with.
        windows: Each of as many rows as was asked for.
        times: Of the reference's rows, as datetime64; None where rows have no order.
        window_seconds: How long a window is; None without times.
    """

    reference: Columns
    windows: tuple[Columns, ...]
    times: Array | None = None
    window_seconds: float | None = None


Draw = Callable[[np.random.Generator, int, int], Drawn]
"""Draws a reference and so many windows of so many rows."""


def iid(random: np.random.Generator, rows: int, windows: int) -> Drawn:
    """Draw rows that know nothing of each other."""
    return Drawn(
        reference=_iid_rows(random, REFERENCE_ROWS),
        windows=tuple(_iid_rows(random, rows) for _ in range(windows)),
    )


def _iid_rows(random: np.random.Generator, rows: int) -> dict[str, Array]:
    numbers = {
        **{f"normal_{each}": random.normal(size=rows) for each in range(5)},
        **{f"skewed_{each}": random.lognormal(0, 1, rows) for each in range(3)},
        **{f"heavy_{each}": random.standard_t(3, rows) for each in range(2)},
        **{f"uniform_{each}": random.uniform(size=rows) for each in range(2)},
        "exponential": random.exponential(size=rows),
        "count": random.poisson(4, rows).astype(float),
        "mixture": np.where(random.random(rows) < 0.3, random.normal(4, 1, rows), random.normal(size=rows)),
    }
    return {**numbers, **{f"category_{size}": _zipf(random, rows, size) for size in (2, 5, 20, 200, 1_000)}}


def _zipf(random: np.random.Generator, rows: int, categories: int) -> Array:
    shares = 1 / np.arange(1, categories + 1)
    return np.array([f"c{place}" for place in range(categories)], dtype=object)[
        random.choice(categories, rows, p=shares / shares.sum())
    ]


def adult_like(random: np.random.Generator, rows: int, windows: int) -> Drawn:
    """Draw people as a census counts them."""
    return Drawn(
        reference=_people(random, REFERENCE_ROWS),
        windows=tuple(_people(random, rows) for _ in range(windows)),
    )


def _people(random: np.random.Generator, rows: int) -> dict[str, Array]:
    rare = random.random(rows)
    hours = np.where(random.random(rows) < 0.47, 40.0, np.clip(random.normal(40, 15, rows), 1, 99).round())
    return {
        "age": np.clip(random.gamma(8, 4.8, rows), 17, 90).round(),
        "weight": random.lognormal(12.0, 0.5, rows),
        "education_years": np.clip(random.normal(10, 2.6, rows), 1, 16).round(),
        "gain": np.where(rare < 0.083, random.lognormal(8.5, 1.2, rows), 0.0),
        "loss": np.where(rare > 0.953, random.normal(1_870, 370, rows), 0.0),
        "hours": hours,
        **{
            name: _zipf(random, rows, size)
            for name, size in (("work", 8), ("education", 16), ("marital", 7), ("occupation", 14), ("country", 42))
        },
        "sex": _zipf(random, rows, 2),
    }


def seasonal(random: np.random.Generator, rows: int, windows: int) -> Drawn:
    """Draw a series in time: each window is a day, the reference the 28 days before, thinned to what is frozen."""
    days = 28
    length = (days + windows) * rows
    times = (np.arange(length) * (1e9 * DAY_SECONDS / rows)).astype("datetime64[ns]")
    angle = 2 * np.pi * np.arange(length) / rows
    columns: dict[str, Array] = {
        f"series_{each}": np.sin(angle + each) + _autoregressive(random, length, 0.9) for each in range(10)
    }
    shown = _autoregressive(random, length, 0.9) + 0.5 * np.sin(angle)
    columns["level"] = np.array(["low", "middle", "high", "top"], dtype=object)[np.digitize(shown, [-2.0, 0.0, 2.0])]
    kept = np.sort(random.choice(days * rows, min(REFERENCE_ROWS, days * rows), replace=False))
    return Drawn(
        reference={name: values[kept] for name, values in columns.items()},
        times=times[kept],
        window_seconds=DAY_SECONDS,
        windows=tuple(
            {name: values[place * rows : (place + 1) * rows] for name, values in columns.items()}
            for place in range(days, days + windows)
        ),
    )


def _autoregressive(random: np.random.Generator, length: int, correlation: float) -> Array:
    from scipy.signal import lfilter

    noise = random.normal(size=length + 500)
    return np.asarray(lfilter([1.0], [1.0, -correlation], noise)[500:])


def flights(folder: Path) -> Draw:
    """Return what draws flights of one month at random, a reference and windows without a common row."""
    table = pd.read_parquet(folder / "flights.parquet")
    months = [_flight_columns(table[table["month"] == month].dropna()) for month in range(1, 13)]

    def draw(random: np.random.Generator, rows: int, windows: int) -> Drawn:
        month = months[random.integers(12)]
        count = len(month["distance"])
        kept = min(REFERENCE_ROWS, count - rows)
        order = random.permutation(count)
        rest = order[kept:]
        return Drawn(
            reference={name: values[order[:kept]] for name, values in month.items()},
            windows=tuple(_taken(month, random.choice(rest, rows, replace=False)) for _ in range(windows)),
        )

    return draw


def _taken(columns: Columns, places: Array) -> dict[str, Array]:
    return {name: values[places] for name, values in columns.items()}


def _flight_columns(month: pd.DataFrame) -> dict[str, Array]:
    return {
        name: month[name].to_numpy(dtype=object if name in ("carrier", "origin", "dest") else float)
        for name in FLIGHT_COLUMNS
    }


# ---------------------------------------------------------------- what is planted


def moved(by: float) -> Callable[[np.random.Generator, Columns], Columns]:
    """Return what moves one normal column by so many standard deviations."""
    return lambda random, window: {**window, "normal_0": window["normal_0"] + by}


def widened(random: np.random.Generator, window: Columns) -> Columns:
    """Double the variance of one normal column."""
    return {**window, "normal_0": window["normal_0"] * np.sqrt(2)}


def reshared(random: np.random.Generator, window: Columns) -> Columns:
    """Move five points of share from the commonest category to the next."""
    values = window["category_5"].copy()
    common = np.flatnonzero(values == "c0")
    values[random.choice(common, min(round(0.05 * len(values)), len(common)), replace=False)] = "c1"
    return {**window, "category_5": values}


FLIPPED = "correlation .8 to -.8"
SHIFTS: Mapping[str, Callable[[np.random.Generator, Columns], Columns]] = {
    "mean + 0.1 sd": moved(0.1),
    "mean + 0.2 sd": moved(0.2),
    "mean + 0.5 sd": moved(0.5),
    "5 points of share": reshared,
    "variance doubled": widened,
}


def flipped(random: np.random.Generator, rows: int, windows: int) -> Drawn:
    """Draw rows of which two columns correlate by .8; in the second half of the windows by -.8, each column as it was."""
    correlations = [0.8] * windows + [-0.8] * windows
    return Drawn(
        reference=_pairs(random, REFERENCE_ROWS, 0.8),
        windows=tuple(_pairs(random, rows, correlation) for correlation in correlations),
    )


def _pairs(random: np.random.Generator, rows: int, correlation: float) -> dict[str, Array]:
    columns = _iid_rows(random, rows)
    other = correlation * columns["normal_0"] + np.sqrt(1 - correlation**2) * random.normal(size=rows)
    return {**columns, "normal_1": other}
