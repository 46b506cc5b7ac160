"""Score a baseline's replayed windows: composed ones, contiguous ones, rows one by one, healthy history. Pure.

All distances are carried to one size, that of the composed windows with a value, by the root of ``1/n + 1/(N - n)``: a window that
was held out of N rows is compared with the rest of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrue.statistics.blocks import composed, contiguous, plan_blocks, single
from retrue.statistics.counted import Counted, Floats, Ints, Values, present
from retrue.statistics.distances import as_distance, code, draw_scores, drift_score
from retrue.statistics.thresholds import spread

ROWS_ALONE = "rows one by one"
STRETCHES_MIN = 4  # fewer windows beside each other say nothing of a spread
STRETCH_DRAWS = 200
ROW_DRAWS = 100
EXPONENT_MIN = 0.1  # distances that hardly shrink with rows, as of ids that never come back


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """One column's distances were its rows independent, at ``spread`` = 1/n + 1/(N - n); they shrink with its power ``exponent``."""

    distances: Floats
    spread: float
    exponent: float

    def carried(self, to: float) -> float:
        """Return the factor that carries a distance to another spread."""
        return float((to / self.spread) ** self.exponent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays:
    """Scored windows of a baseline. Distances have shape (windows, columns), NaN where a column has no value.

    ``null`` are the composed windows, of the rows in ``draws``; ``stretched`` the contiguous ones and healthy history, of which
    ``stretches`` do not overlap: none where there are fewer than 4. ``drawn`` are the rows with a value of a composed window by
    column, ``total`` those of the baseline, ``natural`` those that a window's length holds. ``cells`` is how many blocks there
    were to compose windows of: the number of independent observations, if blocks are.
    """

    coded: Mapping[str, Counted]
    draws: Sequence[Ints]
    null: Floats
    stretched: Floats
    stretches: int
    alone: Mapping[str, Alone]
    drawn: Mapping[str, float]
    total: Mapping[str, float]
    natural: Mapping[str, float]
    cells: int
    window_seconds: float
    blocks: str


def replay_windows(
    columns: Mapping[str, Values],
    times: Floats | None,
    methods: Mapping[str, str],
    *,
    window_rows: int,
    window_seconds: float | None,
    replays: int,
    history: Sequence[Mapping[str, Values]],
    rng: np.random.Generator,
) -> Replays:
    """Draw and score the windows of a baseline; arguments as of ``calibration.calibrate``, rows in order of ``times``."""
    rows = len(next(iter(columns.values()), ()))
    coded = {name: code(values, methods[name]) for name, values in columns.items()}
    span = 0.0 if times is None or not rows else float(times[-1] - times[0])
    length = window_seconds or round(span * window_rows / max(rows - 1, 1), 3)
    plan = None if times is None else plan_blocks(times, length)
    stretches, whole = 0, []
    if times is None or plan is None:
        draws = single(rows, max(1, min(window_rows, rows // 2)), replays, rng)
    else:
        draws = composed(times, plan, replays, rng)
        stretches = round(span / length)
        whole = contiguous(times, length, STRETCH_DRAWS) if stretches >= STRETCHES_MIN else []
    shares = {name: float((column.codes >= 0).mean()) for name, column in coded.items()}
    total = {name: share * rows for name, share in shares.items()}
    mean_rows = float(np.mean([len(each) for each in draws]))
    drawn = {name: share * mean_rows for name, share in shares.items()}
    in_length = window_rows if plan is None else (rows - 1) * length / span
    past = _history_distances(columns, methods, history, drawn)
    stretched = np.concatenate([_distances(coded, methods, whole), past])
    sizes = max(1, min(window_rows, rows // 2)), max(1, min(window_rows, rows // 2) // 4)
    by_rows = [single(rows, size, ROW_DRAWS, rng) for size in sizes]
    return Replays(
        coded=coded,
        draws=draws,
        null=_distances(coded, methods, draws),
        stretched=stretched,
        stretches=(stretches if whole else 0) + len(past),
        alone={name: _alone(column, methods[name], by_rows) for name, column in coded.items()},
        drawn=drawn,
        total=total,
        natural={name: max(drawn[name], min(in_length * share, total[name])) for name, share in shares.items()},
        cells=rows if plan is None else max(1, int(span / plan.cell_seconds)),
        window_seconds=length,
        blocks=ROWS_ALONE if plan is None else plan.words,
    )


def _distances(coded: Mapping[str, Counted], methods: Mapping[str, str], draws: Sequence[Ints]) -> Floats:
    if not draws or not coded:
        return np.empty((len(draws), len(coded)))
    return np.stack([_column_distances(column, methods[name], draws) for name, column in coded.items()], axis=1)


def _column_distances(column: Counted, method: str, draws: Sequence[Ints]) -> Floats:
    """Score draws against the rest of the rows, carried to their mean number of rows with a value."""
    known = column.codes >= 0
    total, drawn = float(known.sum()), np.array([known[rows].sum() for rows in draws], dtype=np.float64)
    distances = as_distance(draw_scores(column, draws, method), method)
    mean = float(drawn.mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(distances * np.sqrt(spread(mean, total - mean) / (1 / drawn + 1 / (total - drawn))))


def _history_distances(
    columns: Mapping[str, Values],
    methods: Mapping[str, str],
    history: Sequence[Mapping[str, Values]],
    drawn: Mapping[str, float],
) -> Floats:
    """Score healthy windows against the whole baseline; NaN where a column is absent."""
    found = np.full((len(history), len(columns)), np.nan)
    for number, window in enumerate(history):
        for place, (name, values) in enumerate(columns.items()):
            if name in window and present(window[name]):
                total = present(values)
                scored = np.asarray(drift_score(values, window[name], methods[name]))
                carried = spread(drawn[name], total - drawn[name]) / spread(present(window[name]), total)
                found[number, place] = float(as_distance(scored, methods[name])) * math.sqrt(carried)
    return found


def _alone(column: Counted, method: str, draws: Sequence[Sequence[Ints]]) -> Alone:
    """Score rows drawn one by one, at the size wanted and at a quarter of it: how fast distances shrink."""
    known = float((column.codes >= 0).mean())
    total = known * len(column.codes)
    found = [_column_distances(column, method, each) for each in draws]
    spreads = [spread(len(each[0]) * known, total - len(each[0]) * known) for each in draws]
    means = [float(np.nanmean(each)) if np.isfinite(each).any() else 0.0 for each in found]
    steps = math.log(spreads[1] / spreads[0]) if spreads[1] > spreads[0] else 0.0
    exponent = math.log(means[1] / means[0]) / steps if steps and min(means) > 0 else 0.5
    return Alone(distances=found[0], spread=spreads[0], exponent=min(0.5, max(EXPONENT_MIN, exponent)))
