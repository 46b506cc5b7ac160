"""Kullback–Leibler divergence of the reference from the window over the same bins or categories, in nats. Pure.

``Σ p ln(p / q)`` with p the reference's shares and q the window's, both summing to 1 after empty bins were given a small share:
0 if equal, no upper bound, not symmetric.

Source: Kullback & Leibler (1951), Ann. Math. Stat. 22(1); as computed by Evidently 0.7.23 (`kl_div`).
"""

from __future__ import annotations

import numpy as np

from retrue.statistics.counted import Floats, filled, shares


def kl_div(reference: Floats, current: Floats) -> Floats:
    """Return the divergences of counts, shapes (…, bins) → (…,); NaN where a side has no rows.

    >>> round(float(kl_div(np.array([5.0, 5.0]), np.array([8.0, 2.0]))), 4)
    0.2231
    """
    p, q = shares(filled(shares(reference))), shares(filled(shares(current)))
    return np.asarray((p * np.log(p / q)).sum(axis=-1))
