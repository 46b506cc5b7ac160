"""What AUC a domain classifier reaches where nothing drifts, and the threshold that follows. Pure.

Rows of other times differ anyway: by chance, by the hour, by the season. So stretches of the reference, as long as a window,
are told from the rest of it by the same classifier. On the scale of logit(AUC) these replays are near normal, and the threshold at a
false-alarm rate alpha is the one-sided prediction limit of one more of them:

    logit(threshold) = location + t(1 - alpha; m - 1) · scale · sqrt(1 + 1/m)

with m the stretches that do not overlap, which is all that the replays know independently.

Source: Hahn & Meeker (1991), Statistical Intervals, 4.6 (prediction limits of a normal distribution).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import logit

from retrue.results.domain import DomainNull
from retrue.statistics.domain import domain_auc
from retrue.statistics.domain_rows import FOLDS, ROWS_MAX, Floats, Rows, Whole, bounded, code
from retrue.statistics.domain_threshold import AUC_MIN, domain_threshold
from retrue.statistics.weighted_auc import weighted_auc

REPLAYS = 40
STRETCHES_MIN = 6  # fewer leave the spread unknown: at 1 % the limit is 3.6 of its own estimates away
ROWS_MIN = 100  # of a stretch
TELLING_AUC = 0.75  # above it stretches of the reference differ so much that a change could not be seen
PILOTS = 3
QUANTILES = (0.5, 0.9, 1.0)

Auc = Callable[[Rows, Rows, int], float]


def calibrate_domain(
    reference: Rows, *, window_rows: int, alpha: float, seed: int = 0, replays: int = REPLAYS
) -> DomainNull | str:
    """Return the null distribution of a baseline's AUC, or why there is none.

    Args:
        reference: All frozen rows in order of time.
        window_rows: Rows of a usual window; where the reference has no ``STRETCHES_MIN`` of such, shorter stretches stand
            for it, and windows are cut to their number.
        alpha: False alarms per window without drift, in 0-1.
        seed: Of the rows that are drawn.
        replays: How many stretches, evenly spaced; they overlap where the reference is shorter than all of them.

    >>> generator = np.random.default_rng(0)
    >>> frozen = Rows(columns={name: generator.normal(size=1200) for name in "xy"})
    >>> null = calibrate_domain(frozen, window_rows=200, alpha=0.05, replays=12)
    >>> null.rows, null.stretches, 0.52 <= null.threshold < 0.65
    (200, 6, True)
    """
    rows = min(window_rows, ROWS_MAX, len(reference) // STRETCHES_MIN)
    if rows < ROWS_MIN:
        return f"the baseline has {len(reference)} rows: {ROWS_MIN * STRETCHES_MIN} are needed to know how its own times differ"
    left_out = _telling_columns(reference, rows, seed)
    columns = tuple(name for name in reference.columns if name not in left_out)
    if len(columns) < 2:
        return "fewer than two columns, once those are left out by which times of the baseline differ on their own"
    return calibrate_auc(
        reference.only(columns), _boosted, rows=rows, alpha=alpha, seed=seed, replays=replays, left_out=left_out
    )


def calibrate_auc(
    reference: Rows, auc: Auc, *, rows: int, alpha: float, seed: int, replays: int, left_out: Sequence[str] = ()
) -> DomainNull:
    """Return the null distribution of any AUC of (reference, current, seed), from replayed stretches of ``rows`` rows."""
    starts = _starts(len(reference), rows, replays)
    aucs = np.array([auc(*_replayed(reference, start, rows, seed), seed) for start in starts])
    scores = logit(np.clip(aucs, 1e-3, 1 - 1e-3))
    null = DomainNull(
        location=round(float(scores.mean()), 6),
        scale=round(float(scores.std(ddof=1)), 6),
        quantiles=tuple((share, round(float(np.quantile(aucs, share)), 6)) for share in QUANTILES),
        threshold=AUC_MIN,
        alpha=alpha,
        rows=rows,
        reference_rows=min(len(reference) - rows, ROWS_MAX),
        replays=len(starts),
        stretches=min(len(reference) // rows, len(starts)),
        columns=tuple(reference.columns),
        left_out=tuple(left_out),
    )
    return _with_threshold(null)


def single_auc(reference: Rows, current: Rows) -> float:
    """Return the cross-fitted AUC of a single column: rows are scored by the shares of the two sides in their bin.

    Twenty bins of equal size for a number, its categories for a category.
    """
    coded = code(reference, current)
    bins = coded.values[:, 0] if coded.categorical[0] else _bins(coded.values[:, 0])
    places = np.unique(bins, return_inverse=True)[1]
    found = []
    for fold in range(FOLDS):
        held_out = coded.folds == fold
        sides = [
            np.bincount(
                places[chosen := ~held_out & (coded.is_current == side)],
                weights=coded.weights[chosen],
                minlength=places.max() + 1,
            )
            for side in (False, True)
        ]
        score = (sides[1] + 1e-4) / (sides[0] + sides[1] + 2e-4)
        found.append(weighted_auc(score[places[held_out]], coded.is_current[held_out], coded.weights[held_out]))
    return float(np.mean(found))


def _with_threshold(null: DomainNull) -> DomainNull:
    return replace(null, threshold=domain_threshold(null, alpha=null.alpha, rows=null.rows))


def _boosted(reference: Rows, current: Rows, seed: int) -> float:
    return domain_auc(reference, current, seed=seed)


def _starts(length: int, rows: int, replays: int) -> Whole:
    starts: Whole = np.unique(np.linspace(0, length - rows, replays).astype(np.int64))
    return starts


def _replayed(reference: Rows, start: int, rows: int, seed: int) -> tuple[Rows, Rows]:
    """Return the rest of the reference, bounded, and the stretch that starts at a row."""
    places = np.arange(len(reference))
    inside = (places >= start) & (places < start + rows)
    rest = bounded(reference.take(places[~inside]), ROWS_MAX, np.random.default_rng([seed, start]))
    return rest, reference.take(places[inside])


def _telling_columns(reference: Rows, rows: int, seed: int) -> tuple[str, ...]:
    """Return as few columns as need be left out for stretches of the reference not to be told apart without a change.

    They are sought in order of how well each tells stretches apart on its own, by halving.
    """
    stretches = [_replayed(reference, start, rows, seed) for start in _starts(len(reference), rows, PILOTS)]
    if _middle([domain_auc(*each, seed=seed) for each in stretches]) <= TELLING_AUC:
        return ()
    alone = {
        name: _middle([single_auc(*(side.only([name]) for side in each)) for each in stretches])
        for name in reference.columns
    }
    ranked = sorted(alone, key=lambda name: (-alone[name], name))
    low, high = 1, len(ranked)
    while low < high:
        middle = (low + high) // 2
        kept = [name for name in reference.columns if name not in ranked[:middle]]
        aucs = [domain_auc(*(side.only(kept) for side in each), seed=seed) for each in stretches]
        low, high = (low, middle) if _middle(aucs) <= TELLING_AUC else (middle + 1, high)
    return tuple(ranked[:low])


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values))


def _bins(scores: Floats) -> Floats:
    known = scores[~np.isnan(scores)]
    edges = np.quantile(known, np.linspace(0, 1, 21)[1:-1]) if len(known) else np.zeros(0)
    bins: Floats = np.where(np.isnan(scores), -1, np.searchsorted(edges, scores)).astype(float)
    return bins
