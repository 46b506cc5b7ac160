"""Thresholds out of the baseline's own windows, so that all columns of a model together cry wolf at a stated rate. Pure.

1. Windows of the baseline are replayed as blocks in time (``blocks``) and scored against the rest of its rows (``replays``).
2. Per column: where the distance's tail begins and how far it reaches. Where the baseline's *contiguous* windows, or judged healthy
   history, lie further out than the composed ones, theirs count (``family``).
3. Per window the largest standardised distance of all columns; the limit is its (1 - alpha) quantile: the chance that at least one
   column of a window without drift exceeds it is alpha.
4. A window held out of N rows was compared with N - n of them, production compares with m: location and scale are carried over.
   How fast distances shrink with rows is measured, on rows drawn one by one at two sizes. Windows of more rows than the baseline
   has in their length are given the same: how much the rows that it lacks resemble each other it cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retrue.results.calibrated import ColumnCalibration, DriftCalibration
from retrue.statistics.counted import Counted, Floats, Ints, Values, finite, is_number, present
from retrue.statistics.distances import as_distance, as_score, drift_score, excess_of
from retrue.statistics.family import allow_for_few_blocks, column_tails, fit_tail, largest, lift_tail, widen
from retrue.statistics.own_unit import in_unit, own_unit
from retrue.statistics.power import detectable_share, detectable_shift
from retrue.statistics.replays import Replays, replay_windows
from retrue.statistics.thresholds import limit_of, spread, threshold_at

FLOORS: Mapping[str, float] = {
    "wasserstein": 0.05,  # sd of the reference: nobody acts on a twentieth
    "jensenshannon": 0.02,  # a category of half the rows moves by 2.8 points, one of a twentieth by 1.2
    "hellinger": 0.02,  # for small changes the same number as jensenshannon
    "psi": 0.0032,  # 8 · 0.02², the same change
    "kl_div": 0.0016,  # 4 · 0.02², the same change
}
ROWS_MIN = 8
_QUANTILES = (0.5, 0.9, 0.99)
_POWER_DRAWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A calibrated reference: judges windows of plain arrays by themselves, as a model's windows are judged.

    ``reference`` holds the rows that windows are compared with, ``found`` what calibration says of them.
    """

    reference: Mapping[str, Values]
    found: DriftCalibration

    def judge(self, window: Mapping[str, Values], *, alpha: float | None = None) -> tuple[str, ...]:
        """Return the columns of a window that have drifted, at the calibrated chance of a false alarm or another."""
        return tuple(self.excess(window, alpha=alpha))

    def excess(self, window: Mapping[str, Values], *, alpha: float | None = None) -> Mapping[str, float | None]:
        """Return the columns of a window that have drifted, with how many times its threshold each score is."""
        limit = limit_of(self.found, alpha or self.found.alpha)
        judged = {name: self._judged(name, window[name], limit) for name in self.found.columns}
        return {
            name: excess_of(score, threshold, self.found.columns[name].method)
            for name, (score, threshold) in judged.items()
            if score >= threshold
        }

    def _judged(self, name: str, current: Values, limit: float) -> tuple[float, float]:
        column, reference = self.found.columns[name], self.reference[name]
        threshold = threshold_at(column, limit, present(current), present(reference))
        if is_number(reference):
            unit = own_unit(reference)
            reference, current = in_unit(reference, unit), in_unit(current, unit)
        return drift_score(reference, current, column.method), threshold


def calibrate(
    columns: Mapping[str, Values],
    times: Values | None,
    *,
    window_rows: int,
    alpha: float,
    seed: int = 0,
    window_seconds: float | None = None,
    methods: Mapping[str, str] | None = None,
    floors: Mapping[str, float] | None = None,
    sample_rows: int = 20_000,
    replays: int = 500,
    history: Sequence[Mapping[str, Values]] = (),
) -> Calibration:
    """Calibrate the columns of a reference together.

    Args:
        columns: Values by column, each of shape (rows,): integers and floats are numbers, everything else categories.
        times: When each row was, datetime64 or seconds, in any order; None, or too few different ones: rows count as independent.
        window_rows: Rows of the windows to be judged.
        alpha: The chance, 0-1, that a window without drift has at least one drifted column.
        seed: Draws the replays, and the sample of the reference.
        window_seconds: How long a window is; the share of the span that ``window_rows`` are by default.
        methods: Distance by column; ``wasserstein`` for numbers and ``jensenshannon`` for categories by default.
        floors: Least score by column that counts as drift; ``FLOORS`` of its method by default.
        sample_rows: Windows are compared with at most so many of the reference's rows, and are at most so large themselves.
        replays: How many windows are composed.
        history: Later windows that were judged healthy, columns as above; a column may be absent.

    Raises:
        ValueError: alpha is not in 0-1, or there are fewer than 8 rows, or no column can be calibrated (``is_calibratable``).
    """
    rows = len(next(iter(columns.values()), ()))
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is a chance between 0 and 1, not {alpha}")
    if rows < ROWS_MIN:
        raise ValueError(f"a calibration needs rows to draw windows from: {rows} are too few")
    rng = np.random.default_rng(seed)
    order = np.arange(rows) if times is None else np.argsort(times, kind="stable")
    kept = order if rows <= sample_rows else order[np.sort(rng.choice(rows, sample_rows, replace=False))]
    chosen = {name: (methods or {}).get(name) or default_method(values) for name, values in columns.items()}
    usable = {name: values[order] for name, values in columns.items() if is_calibratable(values)}
    units = {name: own_unit(values) for name, values in usable.items() if is_number(values)}
    usable |= {name: in_unit(usable[name], unit) for name, unit in units.items()}
    history = [_in_units(window, units) for window in history]
    if not usable:
        raise ValueError("no column has two values to compare, of a size that can be squared")
    replayed = replay_windows(
        usable,
        None if times is None else seconds_of(times)[order],
        chosen,
        window_rows=window_rows,
        window_seconds=window_seconds,
        replays=replays,
        history=history,
        rng=rng,
    )
    found = _found(usable, chosen, replayed, (min(window_rows, sample_rows), len(kept)), floors or {}, alpha)
    return Calibration(reference={name: values[kept] for name, values in columns.items()}, found=found)


def is_calibratable(values: Values) -> bool:
    """Return whether a column has two values, and numbers among them that can be squared: others have no distance.

    >>> is_calibratable(np.array([0.0, 1e300])), is_calibratable(np.array([0.0, np.nan, 1.0]))
    (False, True)
    """
    if present(values) < 2:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return not is_number(values) or bool(np.isfinite(np.nansum(np.square(finite(values)))))


def _in_units(window: Mapping[str, Values], units: Mapping[str, float]) -> Mapping[str, Values]:
    return {name: in_unit(values, units[name]) if name in units else values for name, values in window.items()}


def default_method(values: Values) -> str:
    """Return the distance of a column where none is named."""
    return "wasserstein" if is_number(values) else "jensenshannon"


def seconds_of(times: Values) -> Floats:
    """Return times as seconds: datetime64 since 1970, numbers as they are.

    >>> seconds_of(np.array(["1970-01-02"], dtype="datetime64[D]")).tolist()
    [86400.0]
    """
    if times.dtype.kind == "M":
        return np.asarray(times.astype("datetime64[ns]").astype(np.int64) / 1e9)
    return times.astype(np.float64)


def _found(
    columns: Mapping[str, Values],
    methods: Mapping[str, str],
    replayed: Replays,
    sizes: tuple[int, int],
    floors: Mapping[str, float],
    alpha: float,
) -> DriftCalibration:
    tails = column_tails(replayed.null)
    tail = fit_tail(largest(replayed.null, tails), alpha)
    tails = allow_for_few_blocks(widen(tails, replayed), replayed, dict(tail)[alpha])
    tail = lift_tail(tail, largest(replayed.stretched, tails), replayed.stretches, alpha)
    limit = dict(tail)[alpha]
    calibrated = {}
    for place, name in enumerate(columns):
        floor = floors.get(name, FLOORS[methods[name]])
        carried = _carried(replayed, name, methods[name], (float(tails[0][place]), float(tails[1][place])), sizes)
        carried = replace(carried, floor=floor, quantiles=_shown(replayed.null[:, place], methods[name]))
        reached = float(tails[0][place] + limit * tails[1][place])
        reached = max(reached, float(as_distance(np.asarray(floor), carried.method)))
        calibrated[name] = _with_power(
            carried, columns[name], replayed.coded[name], replayed.draws[:_POWER_DRAWS], limit, reached
        )
    return DriftCalibration(
        columns=calibrated, window_seconds=replayed.window_seconds, alpha=alpha, tail=tail,
        replays=len(replayed.null), stretches=replayed.stretches, blocks=replayed.blocks,
    )  # fmt: skip


def _carried(
    replayed: Replays, name: str, method: str, at_replay: tuple[float, float], sizes: tuple[int, int]
) -> ColumnCalibration:
    """Carry location and scale from the replays to windows and references of the sizes that are judged.

    First to a window's own length, of which a replay may hold a half only, and to a reference from which it was not taken: all of a
    distance shrinks. Of the rows wanted in that length fewer make it grow, and more do not make it shrink.
    """
    total = replayed.total[name]
    share = total / len(replayed.coded[name].codes)
    rows, reference_rows = (max(1, round(size * share)) for size in sizes)
    rows = min(rows, max(1, round(replayed.natural[name])))
    replay = spread(replayed.drawn[name], total - replayed.drawn[name])
    natural = spread(replayed.natural[name], total)
    carried = (natural / replay) ** replayed.alone[name].exponent
    carried *= math.sqrt(max(spread(rows, reference_rows) / natural, 1.0))
    return ColumnCalibration(
        method=method, numeric=True, rows=rows, reference_rows=reference_rows, location=at_replay[0] * carried,
        scale=at_replay[1] * carried, floor=0.0, threshold=0.0, detectable=None, quantiles=(),
    )  # fmt: skip


def _shown(distances: Floats, method: str) -> tuple[tuple[float, float], ...]:
    return tuple((share, as_score(float(np.nanquantile(distances, share)), method)) for share in _QUANTILES)


def _with_power(
    column: ColumnCalibration, values: Values, coded: Counted, draws: Sequence[Ints], limit: float, reached: float
) -> ColumnCalibration:
    """Add the threshold, and what it lets one see: found at the replays' size, where ``reached`` is the distance to reach."""
    distance = column.location + limit * column.scale
    threshold = max(as_score(distance, column.method), column.floor)
    numeric = is_number(values)
    if numeric:
        detectable = detectable_shift(values, draws, column.method, reached)
    else:
        detectable = detectable_share(coded, draws, column.method, reached)
    if detectable is not None:
        detectable = float(detectable * as_distance(np.asarray(threshold), column.method) / reached)
    return replace(column, numeric=numeric, threshold=threshold, detectable=detectable)
