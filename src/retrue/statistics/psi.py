"""Population stability index of two distributions over the same bins or categories, in nats. Pure.

``Σ (p − q) ln(p / q)``: 0 if equal, no upper bound. Empty bins get a small share first, see ``counted.filled``.

Source: the J-divergence of Kullback & Leibler (1951), Ann. Math. Stat. 22(1); as computed by Evidently 0.7.23 (`psi`).
"""

from __future__ import annotations

import numpy as np

from retrue.statistics.counted import Floats, filled, shares


def psi(reference: Floats, current: Floats) -> Floats:
    """Return the indices of counts, shapes (…, bins) → (…,); NaN where a side has no rows.

    >>> round(float(psi(np.array([5.0, 5.0]), np.array([8.0, 2.0]))), 4)
    0.4159
    """
    p, q = filled(shares(reference)), filled(shares(current))
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))
