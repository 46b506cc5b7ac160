"""Expected calibration error: by how much predicted probabilities differ from what happens.

Sources: Naeini, Cooper & Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian binning, AAAI; bins of
equal weight: Nguyen & O'Connor (2015), EMNLP. Estimated from n rows it is too large, by an order of sqrt(bins / n):
compare two models on the same rows rather than one with a bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int_]]
BINS = 10


def expected_calibration_error(
    labels: ArrayLike, scores: ArrayLike, *, weights: ArrayLike | None = None, bins: int = BINS
) -> float:
    """Return the mean distance between predicted and observed shares, bin by bin, weighted by rows: 0 to 1, 0 is best.

    ECE = sum over bins b of |sum of w (y - p) in b| / sum of w.

    Args:
        labels: 0 or 1 of each row, at least one.
        scores: Predicted probability of 1, 0 to 1.
        weights: Of each row, not negative; None for equal ones. A row of weight 2 is two rows.
        bins: Of equal weight each; equal scores share one, so there may be fewer.

    >>> expected_calibration_error([0, 1, 1, 1], [0.5, 0.5, 1.0, 1.0], bins=2)
    0.0
    >>> expected_calibration_error([0, 0, 1, 1], [0.25, 0.25, 0.75, 0.75], bins=2)
    0.25
    """
    truth = np.asarray(labels, dtype=float)
    weight = np.ones_like(truth) if weights is None else np.asarray(weights, dtype=float)
    gaps = weight @ residuals_by_bin(truth, scores, weights=weight, bins=bins)
    return float(np.abs(gaps).sum() / weight.sum())


def residuals_by_bin(
    labels: ArrayLike, scores: ArrayLike, *, weights: ArrayLike | None = None, bins: int = BINS
) -> Array:
    """Return y - p of each row in the column of its bin, 0 elsewhere, shape (rows, bins).

    With it the error of many resamples is one product: ``abs(counts @ (w * residuals)).sum(axis=1) / (counts @ w)``. The bins
    are those of all rows. Raises ValueError where a score is missing: no bin holds a NaN.

    >>> residuals_by_bin([0, 1], [0.25, 0.75], bins=2).tolist()
    [[-0.25, 0.0], [0.0, 0.25]]
    """
    truth, score = np.asarray(labels, dtype=float), np.asarray(scores, dtype=float)
    if not np.isfinite(score).all() or not np.isfinite(truth).all():
        raise ValueError("labels and scores are finite numbers")
    residuals = np.zeros((len(truth), bins))
    residuals[np.arange(len(truth)), _bins_of(score, weights, bins)] = truth - score
    return residuals


def _bins_of(score: Array, weights: ArrayLike | None, bins: int) -> Ints:
    """Return the bin of each row, in order of score: that in which the middle of the weight of its score lies."""
    _, place = np.unique(score, return_inverse=True)
    heavy = np.bincount(place, weights=None if weights is None else np.asarray(weights, dtype=float))
    middle = (np.cumsum(heavy) - heavy / 2) / heavy.sum()
    number: Ints = np.minimum((middle * bins).astype(int), bins - 1)
    return number[place]
