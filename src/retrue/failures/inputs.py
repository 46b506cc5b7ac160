"""Which inputs fail: conditions whose presence multiplies the share of failures. Pure; the sums come from the caller.

A condition is measured by the relative risk of its records against all others, with an interval that knows the weights of
sampled records. Of many conditions some look harmful by chance, so false discoveries are controlled over all that were
looked at; and of conditions that name the same records only the one that says most is told.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

from retrue.results import Interval
from retrue.results.failures import Condition, FailingInput
from retrue.statistics.false_discovery import discoveries

SUSPECTS_OF_COLUMN = 2  # conditions of one column that are paired: ranges of one number overlap

_NORMAL = NormalDist()
_CONTINUITY = 0.5  # records added to each cell where one is empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Weighted records: how many rows, the sum of their weights, and the sum of the squares of their weights."""

    rows: int
    weight: float
    squares: float

    def __post_init__(self) -> None:
        # written so that NaN fails
        if not (self.rows >= 0 and 0 <= self.weight < math.inf and 0 <= self.squares < math.inf):
            raise ValueError(f"sums of weights are finite and at least 0, not {self.weight}, {self.squares}")

    def __sub__(self, part: Sums) -> Sums:
        """Return the records that are not in a part of them."""
        return Sums(
            rows=max(0, self.rows - part.rows),
            weight=max(0.0, self.weight - part.weight),
            squares=max(0.0, self.squares - part.squares),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Records for which all ``conditions`` hold: all of them, and those of them that failed."""

    conditions: tuple[Condition, ...]
    failed: Sums
    total: Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class InputThresholds:
    """What a condition needs to be told: failures, records, a ratio, surely (at ``confidence``) over 1, and no chance find.

    ``false_share`` is the share of the told conditions that may be chance (Benjamini & Hochberg 1995). A pair is told where
    its ratio is ``pair_gain`` times that of either of its conditions alone.
    """

    min_failures: int = 5
    min_rows: int = 5
    min_ratio: float = 2.0
    false_share: float = 0.01
    pair_gain: float = 1.5
    confidence: float = 0.95
    keep: int = 5


DEFAULT = InputThresholds()


def relative_risk(
    failed_inside: Sums, inside: Sums, failed_outside: Sums, outside: Sums, *, confidence: float = 0.95
) -> Interval:
    """Return the share that failed inside a condition over that outside, with its interval.

    The interval is log-normal (Katz et al. 1978, Biometrics 34(3)); the variance of each share is that of a weighted ratio
    (Taylor linearisation: Särndal, Swensson & Wretman 1992, §5.5), which is Katz's own where all weights are equal. Where a
    count is 0, or nothing but failures, half a record is added to each of the four cells (Haldane 1956, Ann. Hum. Genet.
    20(4)), so the ratio stays finite and its interval wide.

    Raises:
        ValueError: There is no record inside, or none outside.

    >>> def of(rows): return Sums(rows=rows, weight=rows, squares=rows)
    >>> found = relative_risk(of(30), of(100), of(10), of(1000))
    >>> round(found.value, 2), round(found.low, 1), round(found.high, 1)
    (30.0, 15.1, 59.5)
    """
    value, deviation = _log_ratio(failed_inside, inside, failed_outside, outside)
    reach = _NORMAL.inv_cdf(0.5 + confidence / 2) * deviation
    return Interval(
        value=math.exp(value), low=math.exp(value - reach), high=math.exp(value + reach), confidence=confidence
    )


def pairs_to_measure(
    exposures: Sequence[Exposure], *, failed: Sums, total: Sums, thresholds: InputThresholds = DEFAULT, singles: int = 8
) -> tuple[tuple[Condition, Condition], ...]:
    """Return the pairs of conditions on two columns that are worth measuring: of the ``singles`` that fail most.

    Args:
        exposures: Single conditions, measured.
        failed: The failures of the window, wherever they are.
        total: All records of the window.
        thresholds: What a condition needs to be told.
        singles: How many single conditions are paired: at most 28 pairs of 8.
    """
    suspects = sorted(
        (found for found in _measured(exposures, failed, total, thresholds) if found.ratio.low > 1), key=_strongest
    )
    suspects = list(_few_of_each_column(suspects))[:singles]
    return tuple(
        (one.conditions[0], other.conditions[0])
        for one, other in combinations(suspects, 2)
        if one.conditions[0].column != other.conditions[0].column
    )


def rank_conditions(
    exposures: Sequence[Exposure], *, failed: Sums, total: Sums, thresholds: InputThresholds = DEFAULT
) -> tuple[FailingInput, ...]:
    """Return the conditions that multiply the share of failures, strongest first.

    Args:
        exposures: All conditions that were measured, single ones and pairs: also those that look harmless, since the
            number of conditions looked at decides what is chance.
        failed: The failures of the window, wherever they are.
        total: All records of the window.
        thresholds: What a condition needs to be told.
    """
    measured = list(_measured(exposures, failed, total, thresholds))
    singles = sum(_has_records(each, total, thresholds) for each in exposures if len(each.conditions) == 1)
    found = [
        *_not_chance([each for each in measured if len(each.conditions) == 1], singles, thresholds.false_share),
        *_not_chance(
            [each for each in measured if len(each.conditions) > 1], math.comb(singles, 2), thresholds.false_share
        ),
    ]
    strong = [each for each in found if each.ratio.low > 1 and each.ratio.value >= thresholds.min_ratio]
    alone = {each.conditions[0]: each.ratio.value for each in strong if len(each.conditions) == 1}
    strong = [each for each in strong if _gains(each, alone, thresholds.pair_gain)]
    told = _not_explained(sorted(strong, key=_strongest), thresholds)
    return tuple(each.told() for each in told[: thresholds.keep])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """An exposure with its ratio; ``chance`` is the one-sided probability of such a ratio where there is none."""

    exposure: Exposure
    failed_outside: Sums
    outside: Sums
    ratio: Interval
    chance: float

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self.exposure.conditions

    def told(self) -> FailingInput:
        return FailingInput(
            conditions=self.conditions,
            ratio=self.ratio,
            inside_share=min(1.0, self.exposure.failed.weight / self.exposure.total.weight),
            outside_share=min(1.0, self.failed_outside.weight / self.outside.weight),
            rows=self.exposure.total.rows,
            failures=self.exposure.failed.rows,
        )


def _measured(
    exposures: Sequence[Exposure], failed: Sums, total: Sums, thresholds: InputThresholds
) -> Iterator[_Measured]:
    for exposure in exposures:
        if exposure.failed.rows < thresholds.min_failures or not _has_records(exposure, total, thresholds):
            continue
        outside = total - exposure.total
        sums = exposure.failed, exposure.total, failed - exposure.failed, outside
        value, deviation = _log_ratio(*sums)
        yield _Measured(
            exposure=exposure,
            failed_outside=sums[2],
            outside=outside,
            ratio=relative_risk(*sums, confidence=thresholds.confidence),
            chance=max(
                _normal_chance(value, deviation) if sums[2].rows else 0.0,
                _exact_chance(exposure, failed, total),
            ),
        )


def _has_records(exposure: Exposure, total: Sums, thresholds: InputThresholds) -> bool:
    """Tell whether a condition is looked at: by its records alone, since to look at failures would be to choose by them."""
    outside = total - exposure.total
    return bool(
        exposure.total.rows >= thresholds.min_rows and outside.rows and outside.weight and exposure.total.weight
    )


def _normal_chance(value: float, deviation: float) -> float:
    """Return the probability of so large a log-normal ratio; without a failure outside it would say next to nothing."""
    return _NORMAL.cdf(-value / deviation) if deviation else float(value <= 0)


def _exact_chance(exposure: Exposure, failed: Sums, total: Sums) -> float:
    """Return the probability that of all failures so many or more lie among as many records by chance.

    Fisher's exact test (1922, J. R. Stat. Soc. 85(1)), since the log-normal tail is far too small for a handful of failures,
    or of sampled successes. Of weighted records their effective number counts (Kish 1965).
    """
    from scipy.stats import hypergeom

    failures, hits = _effective(failed, exposure.failed)
    others, misses = _effective(total - failed, exposure.total - exposure.failed)
    return float(hypergeom.sf(hits - 1, failures + others, hits + misses, failures))


def _effective(whole: Sums, part: Sums) -> tuple[int, int]:
    """Return how many records of equal weight would say as much, and how many of them are in a part."""
    number = whole.weight**2 / whole.squares if whole.squares else 0.0
    return round(number), round(number * part.weight / whole.weight) if whole.weight else 0


def _few_of_each_column(found: Sequence[_Measured]) -> Iterator[_Measured]:
    """Leave out all but the first two of a column: ranges of one number overlap."""
    taken: Counter[str] = Counter()
    for each in found:
        column = each.conditions[0].column
        taken[column] += 1
        if taken[column] <= SUSPECTS_OF_COLUMN:
            yield each


def _log_ratio(failed_inside: Sums, inside: Sums, failed_outside: Sums, outside: Sums) -> tuple[float, float]:
    """Return the logarithm of the relative risk, and its standard deviation."""
    if not (inside.rows and outside.rows and inside.weight and outside.weight):
        raise ValueError("a relative risk needs records inside and outside")
    nothing = not failed_inside.rows or not failed_outside.rows
    certain = failed_inside.rows == inside.rows and failed_outside.rows == outside.rows
    added = _CONTINUITY if nothing or certain else 0.0
    failures = failed_inside.rows + failed_outside.rows
    failure = (failed_inside.weight + failed_outside.weight) / failures if failures else inside.weight / inside.rows
    share_inside, variance_inside = _log_share(failed_inside, inside, added, failure)
    share_outside, variance_outside = _log_share(failed_outside, outside, added, failure)
    return share_inside - share_outside, math.sqrt(variance_inside + variance_outside)


def _log_share(failed: Sums, total: Sums, added: float, failure: float) -> tuple[float, float]:
    """Return the logarithm of a weighted share, and its variance; ``added`` records more failed, and as many more did not.

    Each of these weighs what such a record does: a ``failure`` less than a success where only successes are sampled.
    """
    sound = total - failed
    success = sound.weight / sound.rows if sound.rows else failure
    failures = failed.weight + added * failure
    whole = total.weight + added * (failure + success)
    share = min(1.0, failures / whole)
    failed_squares = failed.squares + added * failure**2
    sound_squares = sound.squares + added * success**2
    variance = (failed_squares * (1 - share) ** 2 + sound_squares * share**2) / failures**2
    return math.log(share), variance


def _not_chance(found: Sequence[_Measured], looked_at: int, false_share: float) -> list[_Measured]:
    """Return those whose chance lies under the line of Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57(1).

    ``looked_at`` counts those that could have been found: of pairs all that the single conditions make, since the few that
    were measured were chosen because their parts looked bad.
    """
    kept = discoveries([each.chance for each in found], false_share=false_share, looked_at=looked_at)
    return [each for each, real in zip(found, kept, strict=True) if real]


def _gains(found: _Measured, alone: Mapping[Condition, float], pair_gain: float) -> bool:
    if len(found.conditions) == 1:
        return True
    return found.ratio.value >= pair_gain * max(alone.get(condition, 1.0) for condition in found.conditions)


def _not_explained(found: Sequence[_Measured], thresholds: InputThresholds) -> list[_Measured]:
    """Leave out a condition that no longer fails more once the records of a stronger pair with it are set aside."""
    pairs = [each for each in found if len(each.conditions) > 1]
    return [each for each in found if not any(_explains(pair, each, thresholds) for pair in pairs)]


def _explains(pair: _Measured, single: _Measured, thresholds: InputThresholds) -> bool:
    if pair is single or not set(single.conditions) < set(pair.conditions):
        return False
    failed, total = single.exposure.failed - pair.exposure.failed, single.exposure.total - pair.exposure.total
    if failed.rows < thresholds.min_failures or total.rows < thresholds.min_rows or not total.weight:
        return True
    rest = relative_risk(failed, total, single.failed_outside, single.outside, confidence=thresholds.confidence)
    return rest.low <= 1 or rest.value < thresholds.min_ratio


def _strongest(found: _Measured) -> tuple[float, str]:
    """Order by what the ratio is at least, so that few records do not come first by luck."""
    return (-found.ratio.low, " ".join(map(str, found.conditions)))
