"""When a metric changed, and whether at once or little by little: one change in a short, perhaps autocorrelated, series.

Two shapes are tried from every window on: a step, and a ramp that rises or falls from there to the end. The shape whose least-squares
fit leaves the least is taken; both have the same number of parameters. With the residual sums of squares RSS₀ without and RSS₁ with the
change, the statistic is the largest share explained, 1 − RSS₁/RSS₀ (for steps alone a monotone function of the sup-F statistic of Andrews).
Its chance without a change is that in series drawn from the residuals as an AR(1): neighbours that resemble each other
look like changes to every test that takes them for independent.

Sources: D. W. K. Andrews (1993), Tests for parameter instability and structural change with unknown change point, Econometrica
61(4); A. Zeileis, C. Kleiber, W. Krämer, K. Hornik (2003), Testing and dating of structural changes in practice, Computational
Statistics & Data Analysis 44; the correction of the autocorrelation by simulation follows J. G. MacKinnon, A. A. Smith (1998), Approximate
bias correction in econometrics, Journal of Econometrics 85.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

VALUES_MIN = 10  # with fewer nothing can be told from chance
BEFORE_MIN = 3  # values before a step: a level needs some

_Array = NDArray[np.float64]
_BURN_IN = 30
_GRID = np.arange(0.0, 0.96, 0.05)
_TABLE_SERIES = 400
_CAUTION = 0.5  # standard errors by which the autocorrelation is taken higher: taken too low, it makes false alarms


class Shape(StrEnum):
    """How a change came: within one window, or more with every window since."""

    SUDDEN = "sudden"
    SLOW = "slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """One change. ``index`` is the first value of the new level, or the first that had begun to move.

    ``low`` to ``high`` is its interval, both inclusive. ``before`` and ``after`` are the level before and that at the end, in units of the
    values. ``p_value`` is the chance of a change that looks as large where there is none.
    """

    shape: Shape
    index: int
    low: int
    high: int
    before: float
    after: float
    p_value: float


def find_change(
    values: Sequence[float], *, seed: int = 0, resamples: int = 499, level: float = 0.05, confidence: float = 0.95
) -> ChangePoint | None:
    """Return the change of a series, None where nothing is told from chance.

    Args:
        values: Oldest first, shape (n,), finite, at equal distances; under 10 have no change.
        seed: Draws the resamples.
        resamples: Series drawn for the chance, and for the interval.
        level: The p-value from which on it is no change.
        confidence: Of the interval of the date.

    Raises:
        ValueError: A value is not finite.

    >>> find_change([5, 5.2, 4.9, 5.1, 5, 4.8, 5.1, 9.1, 8.9, 9, 9.2, 8.8]).index
    7
    """
    series = np.asarray(values, dtype=np.float64)
    if not np.isfinite(series).all():
        raise ValueError("a series to be dated has finite values only")
    if len(series) < VALUES_MIN or np.ptp(series) <= 1e-12 * np.abs(series).max():
        return None
    shapes, random = _Shapes.of(len(series)), np.random.default_rng(seed)
    best, residuals = _fit(series, shapes.vectors)
    explained, phi = _explained(series, residuals), _autocorrelation(residuals)
    innovations = residuals[1:] - phi * residuals[:-1]
    innovations -= innovations.mean()
    noise = _autoregressive(random, phi, (resamples, len(series)), innovations)
    chance = _explained(noise, _fit(noise, shapes.vectors)[1]) >= explained - 1e-12
    p_value = float((1 + chance.sum()) / (resamples + 1))
    if p_value > level:
        return None
    fitted = series - residuals
    low, high = _interval(fitted + noise, shapes, int(best), confidence)
    return ChangePoint(
        shape=shapes.shape(int(best)),
        index=shapes.index(int(best)),
        low=low,
        high=high,
        before=float(fitted[0]),
        after=float(fitted[-1]),
        p_value=p_value,
    )


def step_f_statistic(values: Sequence[float]) -> tuple[int, float]:
    """Return where the mean of a series steps, and the F statistic of that step, the largest of all: sup F.

    F = (RSS₀ − RSS₁) / (RSS₁ / (n − 2)). The index is that of the first value of the new level.

    >>> step_f_statistic([1, 2, 1, 2, 5, 6, 5, 6])
    (4, 96.0)
    """
    series = np.asarray(values, dtype=np.float64)
    shapes = _Shapes.of(len(series))
    steps = shapes.vectors[: shapes.steps]
    best, residuals = _fit(series, steps)
    explained = float(_explained(series, residuals))
    return shapes.index(int(best)), round(explained / (1 - explained) * (len(series) - 2), 9)


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Every step and ramp as a centred vector of length 1: ``vectors`` has shape (shapes, n), steps first."""

    vectors: _Array
    steps: int

    @staticmethod
    @lru_cache(maxsize=128)
    def of(n: int) -> _Shapes:
        at = np.arange(n)
        steps = [(at >= first).astype(np.float64) for first in range(BEFORE_MIN, n)]
        ramps = [np.clip(at - last, 0.0, None) for last in range(n - 2)]
        vectors = np.array([*steps, *ramps])
        vectors -= vectors.mean(axis=1, keepdims=True)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return _Shapes(vectors, len(steps))

    def shape(self, row: int) -> Shape:
        return Shape.SUDDEN if row < self.steps else Shape.SLOW

    def index(self, row: int) -> int:
        return row + BEFORE_MIN if row < self.steps else row - self.steps + 1


def _fit(series: _Array, vectors: _Array) -> tuple[NDArray[np.intp], _Array]:
    """Return which shape fits each series best, and what it leaves; series have shape (…, n)."""
    centred = series - series.mean(axis=-1, keepdims=True)
    sizes = centred @ vectors.T
    best = np.abs(sizes).argmax(axis=-1)
    size = np.take_along_axis(sizes, best[..., None], axis=-1)
    return best, centred - size * vectors[best]


def _explained(series: _Array, residuals: _Array) -> _Array:
    total = series.var(axis=-1) * series.shape[-1]
    left = (residuals * residuals).sum(axis=-1)
    return np.asarray(1 - np.divide(left, total, out=np.ones_like(left), where=total > 0))


def _autocorrelation(residuals: _Array) -> float:
    """Return the AR(1) coefficient, corrected for what fitting a change took from it; 0 if negative."""
    expected, spread = _expected_autocorrelation(len(residuals))
    return float(np.interp(_lag_one(residuals) + _CAUTION * spread, expected, _GRID))


@lru_cache(maxsize=128)
def _expected_autocorrelation(n: int) -> tuple[_Array, float]:
    """Return the mean lag-1 autocorrelation of residuals by true coefficient, and its standard deviation without any."""
    random, vectors = np.random.default_rng(n), _Shapes.of(n).vectors
    found = [_lag_one(_fit(_autoregressive(random, phi, (_TABLE_SERIES, n)), vectors)[1]) for phi in _GRID]
    return np.maximum.accumulate([each.mean() for each in found]), float(found[0].std())


def _lag_one(residuals: _Array) -> _Array:
    square = (residuals * residuals).sum(axis=-1)
    products = (residuals[..., 1:] * residuals[..., :-1]).sum(axis=-1)
    return np.asarray(np.divide(products, square, out=np.zeros_like(products), where=square > 0))


def _autoregressive(
    random: np.random.Generator, phi: float, shape: tuple[int, int], innovations: _Array | None = None
) -> _Array:
    """Return AR(1) series of normal innovations, or of those given."""
    size = (shape[0], shape[1] + _BURN_IN)
    series = random.normal(size=size) if innovations is None else random.choice(innovations, size=size)
    for at in range(1, size[1]):
        series[:, at] += phi * series[:, at - 1]
    return series[:, _BURN_IN:]


def _interval(drawn: _Array, shapes: _Shapes, best: int, confidence: float) -> tuple[int, int]:
    """Return where the same shape would have been found in series drawn around the fit."""
    steps = best < shapes.steps
    vectors = shapes.vectors[: shapes.steps] if steps else shapes.vectors[shapes.steps :]
    found = _fit(drawn, vectors)[0] + (0 if steps else shapes.steps)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(found, tails, method="inverted_cdf")
    return min(shapes.index(int(low)), shapes.index(best)), max(shapes.index(int(high)), shapes.index(best))
