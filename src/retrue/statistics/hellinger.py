"""Hellinger distance of two distributions over the same bins or categories. Pure.

``sqrt(1 − Σ sqrt(p q))``: 0 if equal, 1 if disjoint.

Source: Hellinger (1909), J. reine angew. Math. 136; as computed by Evidently 0.7.23 (`hellinger`), which bins numbers by
Sturges' rule on their *distinct* values, however few they are.
"""

from __future__ import annotations

import numpy as np

from retrue.statistics.counted import Counted, Floats, Values, finite, in_bins, shares


def hellinger(reference: Floats, current: Floats) -> Floats:
    """Return the distances between counts, shapes (…, bins) → (…,); NaN where a side has no rows.

    >>> round(float(hellinger(np.array([1.0, 1.0]), np.array([1.0, 0.0]))), 4)
    0.5412
    """
    overlap = np.sqrt(shares(reference) * shares(current)).sum(axis=-1)
    return np.asarray(np.sqrt(1 - np.clip(overlap, 0, 1)))


def hellinger_bins(values: Values) -> Counted:
    """Number the rows of a number column by Evidently's bins for this distance, over both sides together."""
    numbers = finite(values)
    known = np.unique(numbers[np.isfinite(numbers)])
    return in_bins(values, np.histogram_bin_edges(known, bins="sturges"))
