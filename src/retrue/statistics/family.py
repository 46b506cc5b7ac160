"""One limit for all columns of a model: so far out that only a stated share of windows without drift exceeds it. Pure.

Each column's distance is standardised by its own tail, ``(distance - location) / scale`` with the distance that one window in ten
exceeds and by how much it does on average, so that every column has the same part in the false alarms. The limit is a quantile
of the largest of them per window: the columns' dependence is in it, and nothing is assumed of it.

Source: max-T as by Westfall & Young (1993), *Resampling-Based Multiple Testing*, ch. 2; exponential tails by the mean excess as by
Davison & Smith (1990), J. R. Stat. Soc. B 52(3), with shape 0.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from scipy.special import ndtri, stdtrit

from retrue.statistics.counted import Floats
from retrue.statistics.replays import STRETCHES_MIN, Replays

Tail = tuple[tuple[float, float], ...]

CHANCES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0001)
TENTH = 0.1  # from here on tails are fitted
_Z_TENTH = 1.2816  # the normal's quantile that one in ten exceeds
_CAUTION = 0.5  # standard errors by which contiguous windows must lie further out
_EXTREME = 1.645  # one-sided 95 %: how many contiguous windows may exceed the limit by chance


def column_tails(distances: Floats) -> tuple[Floats, Floats]:
    """Return what one window in ten exceeds in each column, and by how much it does on average; 0 for a constant."""
    high = np.asarray(np.nanquantile(distances, 1 - TENTH, axis=0))
    beyond = np.where(distances > high, distances - high, np.nan)
    return high, np.nan_to_num(_quietly_mean(beyond))


def widen(tails: tuple[Floats, Floats], replays: Replays) -> tuple[Floats, Floats]:
    """Return tails times what contiguous windows have more than composed ones, less half their standard error; never less."""
    if replays.stretches < STRETCHES_MIN:
        return tails
    (mean, sd), (mean_whole, sd_whole) = (
        (_quietly_mean(each), _sd(each)) for each in (replays.null, replays.stretched)
    )
    error = _CAUTION * sd_whole * math.sqrt((1 + _Z_TENTH**2 / 2) / replays.stretches)
    with np.errstate(invalid="ignore", divide="ignore"):
        location = (mean_whole + _Z_TENTH * sd_whole - error) / (mean + _Z_TENTH * sd)
        scale = sd_whole * (1 - _CAUTION / math.sqrt(2 * replays.stretches)) / sd
    location, scale = (np.fmax(1, np.where(np.isfinite(each), each, 1)) for each in (location, scale))
    return tails[0] * location, tails[1] * scale


def allow_for_few_blocks(tails: tuple[Floats, Floats], replays: Replays, limit: float) -> tuple[Floats, Floats]:
    """Return tails wider by what a spread that was estimated from so few blocks may be too small: Student's t over normal.

    Only the part of a column that blocks, not rows, are responsible for: of independent rows there are enough.
    """
    chance = TENTH * math.exp(-limit) / 2
    wider = stdtrit(max(replays.cells - 1, 2), 1 - chance) / ndtri(1 - chance) - 1
    null = _quietly_mean(replays.null), _sd(replays.null)
    shares = np.zeros((2, len(replays.coded)))
    for place, (name, alone) in enumerate(replays.alone.items()):
        carried = alone.carried(1 / replays.drawn[name] + 1 / (replays.total[name] - replays.drawn[name]))
        for row, by_rows in enumerate((_quietly_mean(alone.distances), _sd(alone.distances))):
            whole = null[row][place]
            shares[row, place] = 1 - min(1.0, float(by_rows) * carried / whole) ** 2 if whole > 0 else 0.0
    return tails[0] * (1 + wider * shares[0]), tails[1] * (1 + wider * shares[1])


def largest(distances: Floats, tails: tuple[Floats, Floats]) -> Floats:
    """Return per window the largest standardised distance of all columns, in ascending order."""
    location, scale = tails
    with np.errstate(divide="ignore", invalid="ignore"):
        standardised = np.where(scale > 0, (distances - location) / scale, -np.inf)
    most = np.where(np.isnan(standardised), -np.inf, standardised).max(axis=1, initial=-np.inf)
    return np.sort(np.where(np.isfinite(most), most, 0.0))


def fit_tail(most: Floats, alpha: float) -> Tail:
    """Return (chance, limit), commonest first: order statistics, from a tenth on an exponential tail.

    Where it begins lies one standard error to the safe side, its mean excess two: what few replays say of a tail may be too little.
    The rank of an order statistic is ``ceil((windows + 1) (1 - chance))``, so that a new window exceeds it no oftener than that.
    """
    windows = len(most)
    start = math.ceil((windows + 1) * (1 - TENTH)) - 1
    bound, beyond = most[min(start, windows - 1)], most[start + 1 :]
    excess = float((beyond - bound).mean()) if len(beyond) else 0.0
    error = excess / math.sqrt(max(len(beyond), 1))

    def at(chance: float) -> float:
        if chance >= TENTH:
            return float(most[min(windows, math.ceil((windows + 1) * (1 - chance))) - 1])
        return float(bound + error + (excess + 2 * error) * math.log(TENTH / chance))

    return tuple((chance, at(chance)) for chance in sorted({*CHANCES, alpha}, reverse=True))


def lift_tail(tail: Tail, most: Floats, stretches: int, alpha: float) -> Tail:
    """Return the tail raised so far that no more contiguous windows exceed it than chance would let at 95 %."""
    if stretches < STRETCHES_MIN:
        return tail
    allowed = alpha + _EXTREME * math.sqrt(alpha * (1 - alpha) / stretches) + 1 / (stretches + 1)
    lift = float(np.quantile(most, max(1 - allowed, 0))) - dict(tail)[alpha]
    return tuple((chance, each + lift) for chance, each in tail) if lift > 0 else tail


def _quietly_mean(distances: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but NaN: it stays NaN
        return np.asarray(np.nanmean(distances, axis=0))


def _sd(distances: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanstd(distances, axis=0))
