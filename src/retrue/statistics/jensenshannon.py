"""Jensen–Shannon distance of two distributions over the same bins or categories. Pure.

``sqrt((KL(p‖m) + KL(q‖m)) / 2)`` with ``m = (p + q) / 2`` and natural logarithms: 0 if equal, ``sqrt(ln 2)`` = 0.833 if disjoint.

Source: Endres & Schindelin (2003), IEEE Trans. Inf. Theory 49(7); as computed by Evidently 0.7.23 (`jensenshannon`).
"""

from __future__ import annotations

import numpy as np

from retrue.statistics.counted import Floats, shares


def jensenshannon(reference: Floats, current: Floats) -> Floats:
    """Return the distances between counts, shapes (…, bins) → (…,); NaN where a side has no rows.

    >>> round(float(jensenshannon(np.array([1.0, 1.0]), np.array([1.0, 0.0]))), 4)
    0.4645
    """
    p, q = shares(reference), shares(current)
    middle = (p + q) / 2
    halves = (_entropy(p, middle) + _entropy(q, middle)) / 2
    return np.asarray(np.sqrt(np.maximum(halves, 0)))


def _entropy(given: Floats, middle: Floats) -> Floats:
    """KL divergence; a bin without rows adds nothing, NaN shares stay NaN."""
    ratio = np.divide(given, middle, out=np.ones_like(given), where=given > 0)
    return np.asarray((given * np.log(ratio)).sum(axis=-1))
