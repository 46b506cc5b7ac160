"""The drift methods by name: code a column once, then score one window or many. Pure.

The scores equal Evidently 0.7.23's to 1e-9, which tests/contract holds; Evidently stays the reporter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from retrue.statistics.counted import Counted, Floats, Ints, Values, binned, categories, distinct, is_number
from retrue.statistics.hellinger import hellinger, hellinger_bins
from retrue.statistics.jensenshannon import jensenshannon
from retrue.statistics.kl_div import kl_div
from retrue.statistics.psi import psi
from retrue.statistics.wasserstein import wasserstein, wasserstein_of_draws

WASSERSTEIN = "wasserstein"
EXCESS_MAX = 1e9  # JSON has no infinity
COUNTS_AT_ONCE = 200_000  # 1.6 MB: what is scored at once stays in a processor's cache
SQUARED = frozenset({"psi", "kl_div"})  # grow with the square of a shift: their square roots behave like the others

_OF_COUNTS: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "jensenshannon": jensenshannon,
    "psi": psi,
    "hellinger": hellinger,
    "kl_div": kl_div,
}


def drift_score(reference: Values, current: Values, method: str) -> float:
    """Return the score of one column; NaN where a side has no value.

    Args:
        reference: Values of the reference, shape (rows,): numbers, or anything else as categories. NaN, infinities and None
            are left out.
        current: Values of the window.
        method: ``wasserstein`` (numbers only), ``jensenshannon``, ``psi``, ``hellinger`` or ``kl_div``.

    >>> drift_score(np.array([0.0, 1.0]), np.array([1.0, 2.0]), "wasserstein")
    2.0
    """
    both = np.concatenate([reference, current])
    column = code(both, method, reference_rows=len(reference))
    if not len(column.points):
        return float("nan")
    sides = column.counts([np.arange(len(reference)), np.arange(len(reference), len(both))])
    return float(score(column, sides[0], sides[1], method))


def code(values: Values, method: str, *, reference_rows: int | None = None) -> Counted:
    """Code a column for a method, as Evidently would bin it; of all rows, the first ``reference_rows`` are the reference."""
    if not is_number(values):
        return categories(values)
    if method == WASSERSTEIN:
        return distinct(values)
    return hellinger_bins(values) if method == "hellinger" else binned(values, reference_rows=reference_rows)


def score(column: Counted, reference: Floats, current: Floats, method: str) -> Floats:
    """Return the scores of counts over a column's support points, shapes (…, points) → (…,)."""
    if method == WASSERSTEIN:
        return wasserstein(column.points, reference, current)
    before, after = column.merged(reference, current)
    if column.kept < len(column.points):
        seen = (before + after).any(axis=tuple(range(before.ndim - 1)))  # a category of neither side is none
        before, after = before[..., seen], after[..., seen]
    return _OF_COUNTS[method](before, after)


def draw_scores(column: Counted, draws: Sequence[Ints], method: str) -> Floats:
    """Return the score of each draw of rows against the rest of them, shape (draws,); NaN where a side has no value."""
    if method == WASSERSTEIN:
        return wasserstein_of_draws(column, draws)
    total = column.counts([np.arange(len(column.codes))])[0]
    step = max(1, COUNTS_AT_ONCE // max(len(total), 1))
    found = [np.empty(0)]
    for start in range(0, len(draws), step):
        current = column.counts(draws[start : start + step])
        found.append(score(column, total - current, current, method))
    return np.concatenate(found)


def as_distance(scores: Floats, method: str) -> Floats:
    """Return scores on a scale where chance shrinks with the square root of the rows: psi and kl_div by their roots."""
    return np.sqrt(np.maximum(scores, 0)) if method in SQUARED else scores


def excess_of(score: float, threshold: float, method: str) -> float | None:
    """Return how many times its threshold a score is, as a distance: ``EXCESS_MAX`` at most, None where the threshold is 0 or infinite.

    >>> excess_of(0.2, 0.1, "wasserstein"), excess_of(0.4, 0.1, "psi"), excess_of(math.inf, 0.1, "psi")
    (2.0, 2.0, 1000000000.0)
    """
    found, limit = as_distance(np.asarray([score, threshold]), method)
    return min(float(found / limit), EXCESS_MAX) if 0 < limit < math.inf else None


def as_score(distance: float, method: str) -> float:
    """Return a distance on its method's own scale: the inverse of ``as_distance``."""
    return distance**2 if method in SQUARED else distance
