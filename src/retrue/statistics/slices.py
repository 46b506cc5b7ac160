"""Weak slices: conditions on whose rows a value, such as a loss, is larger on average than on the others. Pure.

The rows are halved at random. The first half is searched: every single condition and every pair on two columns. What it names is
measured and tested on the second half alone, so that neither the test nor the interval knows how many conditions were searched:
a slice is not told for having been picked.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrue.results import Condition, Interval
from retrue.statistics.conditions import Bucketed, Codes, Rows, on_own_columns
from retrue.statistics.false_discovery import discoveries

Array = np.ndarray[Any, np.dtype[np.float64]]

SUSPECTS_OF_COLUMN = 2  # conditions of one column that are tested: ranges of one number overlap
SUSPICION = 2.0  # standard errors of the gap on the searched half below which a condition is not worth a test


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceThresholds:
    """What a slice needs to be told.

    ``min_rows`` counts both halves; a value must be ``min_ratio`` times as large inside as outside; ``false_share`` of the
    told slices may be chance (Benjamini & Yekutieli 2001). ``suspects`` single conditions are tested and as many pairs, of the
    ``paired`` columns with the strongest conditions; a pair counts where its gap is ``pair_gain`` times that of either part.
    """

    min_rows: int = 100
    min_ratio: float = 1.2
    false_share: float = 0.05
    suspects: int = 12
    paired: int = 20
    pair_gain: float = 1.25
    confidence: float = 0.95
    keep: int = 5


DEFAULT = SliceThresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSlice:
    """A slice whose mean is larger than that of the other rows; figures are of the half that was not searched.

    ``inside`` and ``outside`` are weighted means, ``gap`` their difference with its interval, ``chance`` the p-value.
    """

    conditions: tuple[Condition, ...]
    inside: Interval
    outside: float
    gap: Interval
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceSearch:
    """What was found, strongest first, and ``tested`` on the half of the rows in ``held``."""

    found: tuple[FoundSlice, ...]
    tested: int
    held: Rows


def find_slices(
    columns: Sequence[Bucketed], value: Array, weight: Array, *, seed: int = 0, thresholds: SliceThresholds = DEFAULT
) -> SliceSearch:
    """Return the slices with the largest means, each on columns of its own.

    Args:
        columns: Of the same rows, cut into buckets.
        value: What is averaged, shape (n_rows,), finite; 0 or 1 for shares.
        weight: Of each row, not negative.
        seed: Of the halving.
        thresholds: What a slice needs to be told.

    A mean is Σwv/Σw; its variance that of a weighted ratio, Σw²(v − mean)²/(Σw)² (Särndal, Swensson & Wretman 1992, §5.5);
    a gap is tested as Welch's t with the slice's effective rows (Σw)²/Σw² less one as degrees of freedom. Rows are taken as
    independent: where they come in clumps, such as days, a bad day is a slice.
    """
    held = np.zeros(len(value), dtype=bool)
    held[np.random.default_rng(seed).permutation(len(value))[: len(value) // 2]] = True
    suspects = _search(columns, value, weight, ~held, thresholds)
    tests = [_test(conditions, holds[held], value[held], weight[held], thresholds) for conditions, holds in suspects]
    measured = [each for each in tests if each is not None]
    real = discoveries([each.chance for each in measured], false_share=thresholds.false_share, dependent=True)
    told = [each for each, kept in zip(measured, real, strict=True) if kept and _is_weak(each, thresholds)]
    told.sort(key=lambda each: (-each.gap.low, " ".join(map(str, each.conditions))))
    kept = tuple(itertools.islice(on_own_columns(told), thresholds.keep))
    return SliceSearch(found=kept, tested=len(measured), held=held)


def mean_interval(value: Array, weight: Array, *, confidence: float = 0.95) -> Interval | None:
    """Return a weighted mean with its interval by Student's t; None of fewer than two effective rows.

    >>> mean_interval(np.array([0.0, 1.0] * 50), np.ones(100)).value
    0.5
    """
    mean, variance, effective = _moments(value, weight)
    if not effective >= 2:
        return None
    reach = _quantile(confidence, effective - 1) * math.sqrt(variance)
    return Interval(value=mean, low=mean - reach, high=mean + reach, confidence=confidence)


def _search(
    columns: Sequence[Bucketed], value: Array, weight: Array, half: Rows, thresholds: SliceThresholds
) -> list[tuple[tuple[Condition, ...], Rows]]:
    """Return the conditions worth testing with the rows where they hold: the strongest singles, and of all pairs likewise."""
    searched = [_searched(each, half, thresholds.min_rows // 2) for each in columns]
    powers = _powers(value[half], weight[half])
    singles = [_singles(each, powers, thresholds) for each in searched]
    best = sorted(
        (number for number, each in enumerate(singles) if len(each.t)),
        key=lambda number: (-float(singles[number].t.max()), searched[number].column.name),
    )
    few = (each for number in best for each in _strongest((searched[number],), singles[number], SUSPECTS_OF_COLUMN))
    pairs = (
        each
        for one, other in itertools.combinations(sorted(best[: thresholds.paired]), 2)
        for each in _strongest(
            (searched[one], searched[other]),
            _pairs(searched[one], searched[other], singles[one], singles[other], powers, thresholds),
            1,
        )
    )
    kept = [*_first(few, thresholds.suspects), *_first(pairs, thresholds.suspects)]
    by_name = {each.name: each for each in columns}
    return [
        (conditions, np.logical_and.reduce([by_name[each.column].holds(each) for each in conditions]))
        for _, conditions in kept
    ]


Suspect = tuple[float, tuple[Condition, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Searched:
    """A column on the searched half; ``member`` is which bucket belongs to which condition, shape (conditions, buckets)."""

    column: Bucketed
    conditions: tuple[Condition, ...]
    codes: Codes
    member: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scores:
    """t and gap of each condition, or of each of two columns' pairs of conditions; -inf where there is too little."""

    t: Array
    gap: Array


def _searched(column: Bucketed, half: Rows, min_rows: int) -> _Searched:
    """Leave out conditions of too few rows, and put the buckets of none into one."""
    codes, size = column.codes[half], len(column.buckets)
    counts = np.bincount(codes, minlength=size)
    kept = [(condition, places) for condition, places in column.conditions.items() if counts[places].sum() >= min_rows]
    used = np.unique(np.concatenate([places for _, places in kept])) if kept else np.empty(0, dtype=np.intp)
    smaller = np.full(size, len(used), dtype=np.intp)
    smaller[used] = np.arange(len(used))
    member = np.zeros((len(kept), len(used) + 1))
    for row, (_, places) in enumerate(kept):
        member[row, smaller[places]] = 1.0
    return _Searched(column=column, conditions=tuple(each for each, _ in kept), codes=smaller[codes], member=member)


def _powers(value: Array, weight: Array) -> Array:
    """Return what is summed over rows: 1, w, wv, w², w²v, w²v²; shape (6, n_rows)."""
    weighted = weight * value
    return np.stack([np.ones_like(value), weight, weighted, weight**2, weight * weighted, weighted**2])


def _singles(each: _Searched, powers: Array, thresholds: SliceThresholds) -> _Scores:
    size = each.member.shape[1]
    sums = np.stack([np.bincount(each.codes, weights=power, minlength=size) for power in powers])
    return _scores(sums @ each.member.T, powers.sum(axis=1), thresholds.min_rows // 2)


def _pairs(
    one: _Searched, other: _Searched, alone: _Scores, also: _Scores, powers: Array, thresholds: SliceThresholds
) -> _Scores:
    """Score all pairs of two columns' conditions that say more than either of the two."""
    shape = one.member.shape[1], other.member.shape[1]
    codes = one.codes * shape[1] + other.codes
    sums = np.stack(
        [np.bincount(codes, weights=power, minlength=shape[0] * shape[1]).reshape(shape) for power in powers]
    )
    scores = _scores(one.member @ sums @ other.member.T, powers.sum(axis=1), thresholds.min_rows // 2)
    least = thresholds.pair_gain * np.maximum(np.maximum.outer(alone.gap, also.gap), 0.0)
    return _Scores(t=np.where(scores.gap >= least, scores.t, -np.inf), gap=scores.gap)


def _scores(inside: Array, whole: Array, min_rows: int) -> _Scores:
    """Return t and gap from sums of the six powers on the first axis."""
    outside = whole.reshape(-1, *[1] * (inside.ndim - 1)) - inside
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = inside[2] / inside[1] - outside[2] / outside[1]
        t = gap / np.sqrt(_variance(inside) + _variance(outside))
    enough = (inside[0] >= min_rows) & (outside[0] >= min_rows) & np.isfinite(t)
    return _Scores(t=np.where(enough, t, -np.inf), gap=np.where(enough, gap, -np.inf))


def _variance(sums: Array) -> Array:
    mean = sums[2] / sums[1]
    return np.asarray(np.maximum(0.0, sums[5] - 2 * mean * sums[4] + mean**2 * sums[3]) / sums[1] ** 2)


def _strongest(columns: tuple[_Searched, ...], scores: _Scores, most: int) -> Iterator[Suspect]:
    """Yield the conditions of one or two columns with the largest t, where it is no small one."""
    t = scores.t.ravel()
    for place in np.argsort(-t, kind="stable")[:most]:
        if t[place] >= SUSPICION:
            at = np.unravel_index(place, scores.t.shape)
            yield float(t[place]), tuple(each.conditions[row] for each, row in zip(columns, at, strict=True))


def _first(suspects: Iterable[Suspect], most: int) -> list[Suspect]:
    return sorted(suspects, key=lambda each: (-each[0], " ".join(map(str, each[1]))))[:most]


def _test(
    conditions: tuple[Condition, ...], holds: Rows, value: Array, weight: Array, thresholds: SliceThresholds
) -> FoundSlice | None:
    if holds.sum() < thresholds.min_rows // 2 or (~holds).sum() < thresholds.min_rows // 2:
        return None
    from scipy import stats

    mean, variance, effective = _moments(value[holds], weight[holds])
    outside, outside_variance, _ = _moments(value[~holds], weight[~holds])
    deviation = math.sqrt(variance + outside_variance)
    if not (effective >= 2 and deviation > 0):
        return None
    gap, freedom = mean - outside, effective - 1
    reach = _quantile(thresholds.confidence, freedom)
    own = reach * math.sqrt(variance)
    return FoundSlice(
        conditions=conditions,
        inside=Interval(value=mean, low=mean - own, high=mean + own, confidence=thresholds.confidence),
        outside=outside,
        gap=Interval(
            value=gap, low=gap - reach * deviation, high=gap + reach * deviation, confidence=thresholds.confidence
        ),
        chance=float(stats.t.sf(gap / deviation, freedom)),
    )


def _is_weak(found: FoundSlice, thresholds: SliceThresholds) -> bool:
    return found.gap.low > 0 and found.inside.value >= thresholds.min_ratio * found.outside


def _moments(value: Array, weight: Array) -> tuple[float, float, float]:
    """Return a weighted mean, its variance, and the effective number of rows (Kish 1965); NaN of nothing."""
    total = float(weight.sum())
    if not total > 0:
        return math.nan, math.nan, 0.0
    mean = float(weight @ value) / total
    squares = float(weight @ weight)
    return mean, float((weight * (value - mean)) @ (weight * (value - mean))) / total**2, total**2 / squares


def _quantile(confidence: float, freedom: float) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.5 + confidence / 2, freedom))
