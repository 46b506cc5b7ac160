"""Replayed windows: rows of a baseline drawn as blocks in time, so that they resemble each other as rows of a window do. Pure.

Two kinds. ``contiguous`` windows are the baseline's own stretches of a window's length: they carry every dependence and season
there is, but few of them do not overlap. ``composed`` windows put each cell of a window (half of it, or less) from another
week, at its own weekday and hour: hundreds that differ, which carry what happens within a cell and the daily and weekly pattern.

Source: the moving-block bootstrap of Künsch (1989), Ann. Stat. 17(3), drawn without replacement as by Politis & Romano (1994),
Ann. Stat. 22(4) (subsampling), within strata of a period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue.statistics.counted import Floats, Ints

HOUR, DAY, WEEK = 3600.0, 86400.0, 604800.0
PERIODS_MIN = 4  # a week repeats only where there are four of them to choose from
CELLS_MIN = 20  # a cell is at most so small a part of the baseline
_PHASES = 60  # starts to choose from, at least: windows that are not whole days begin at many hours
_SLACK = 1.001  # a window given in rows is not exactly a day long
_CELLS = (WEEK, WEEK / 2, DAY, DAY / 2, DAY / 4, 3 * HOUR, HOUR, HOUR / 2, HOUR / 4, HOUR / 12, HOUR / 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """How windows are composed: of cells of ``cell_seconds``, each from the same place in another period of the baseline.

    Windows start at multiples of ``every_seconds`` since 1970; ``window_seconds`` of them are composed, at most half of the
    baseline's length. ``words`` says it to a person.
    """

    every_seconds: float
    window_seconds: float
    cell_seconds: float
    period_seconds: float
    words: str


def plan_blocks(times: Floats, window_seconds: float) -> BlockPlan | None:
    """Choose period and cell for a baseline's times, in seconds and ascending; None where rows must be drawn one by one.

    The period is a week where the baseline spans four, else a day where it spans four, else none. A cell is the longest that
    divides the period and is at most half a window and a twentieth of the baseline.
    """
    span = float(times[-1] - times[0]) if len(times) else 0.0
    window = min(window_seconds, span / 2)
    longest = min(window / 2, span / CELLS_MIN)
    if longest <= 0 or len(np.unique(np.floor((times - times[0]) / longest))) < PERIODS_MIN:
        return None
    period = next((each for each in (WEEK, DAY) if span >= PERIODS_MIN * each), 0.0)
    cell = next((each for each in _CELLS if each <= longest * _SLACK and each <= period), 0.0)
    if not cell:
        cell, period, words = longest, longest, "blocks in time"
    else:
        words = f"blocks of {_length(cell)} at the same {'weekday and hour' if period == WEEK else 'hour'}"
    return BlockPlan(
        every_seconds=window_seconds, window_seconds=window, cell_seconds=cell, period_seconds=period, words=words
    )


def contiguous(times: Floats, window_seconds: float, draws: int) -> list[Ints]:
    """Return the rows of stretches of a window's length, overlapping where there are few; empty ones are left out.

    They start where windows do, at multiples of their length since 1970, or of a day where they are whole days.
    """
    step = DAY if window_seconds % DAY == 0 else window_seconds
    low, high = (np.ceil(each / step) for each in (times[0], times[-1] - window_seconds))
    starts = np.unique(np.round(np.linspace(low, max(low, high), draws))) * step
    bounds = np.searchsorted(times, np.stack([starts, starts + window_seconds]))
    return [np.arange(low, high) for low, high in bounds.T if high > low]


def composed(times: Floats, plan: BlockPlan, draws: int, rng: np.random.Generator) -> list[Ints]:
    """Return the rows of composed windows; no row stands twice in one. Empty ones are left out."""
    drawn = (_compose(times, plan, rng) for _ in range(draws))
    return [rows for rows in drawn if len(rows)]


def single(total_rows: int, rows: int, draws: int, rng: np.random.Generator) -> list[Ints]:
    """Return windows of rows drawn one by one, without replacement."""
    return [rng.choice(total_rows, rows, replace=False) for _ in range(draws)]


def _compose(times: Floats, plan: BlockPlan, rng: np.random.Generator) -> Ints:
    """Draw one window: one of the starts that windows have, and for each of its cells one of those at its place."""
    cell, per_period = plan.cell_seconds, max(1, round(plan.period_seconds / plan.cell_seconds))
    first = np.ceil(times[0] / plan.every_seconds) + rng.integers(per_period * _PHASES)
    start = first * plan.every_seconds
    origin = times[0] + (start - times[0]) % cell
    cells = int((times[-1] - origin) // cell)
    lengths = [min(cell, plan.window_seconds - start) for start in np.arange(0, plan.window_seconds - 1e-9, cell)]
    places = (round((start - origin) / cell) + np.arange(len(lengths))) % per_period
    chosen = np.empty(len(lengths))
    for place in np.unique(places):
        wanted = np.flatnonzero(places == place)
        there = np.arange(place, cells, per_period)
        kept = rng.permutation(there)[: len(wanted)]
        chosen[wanted] = np.pad(kept.astype(float), (0, len(wanted) - len(kept)), constant_values=np.nan)
    starts = origin + chosen[~np.isnan(chosen)] * cell
    ends = starts + np.array(lengths)[~np.isnan(chosen)]
    bounds = np.searchsorted(times, np.stack([starts, ends]))
    return (
        np.concatenate([np.arange(low, high) for low, high in bounds.T]) if bounds.size else np.empty(0, dtype=np.intp)
    )


def _length(seconds: float) -> str:
    for unit, name in ((DAY, "d"), (HOUR, "h"), (60.0, "min")):
        if seconds >= unit:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"
