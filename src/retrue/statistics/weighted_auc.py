"""The area under the ROC curve with weights. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


def weighted_auc(scores: Floats, positive: np.ndarray[Any, np.dtype[np.bool_]], weights: Floats) -> float:
    """Return the weighted probability that a positive row has the larger score than another one, ties counted half.

    Args:
        scores: Shape (rows,), finite.
        positive: Shape (rows,), with at least one row of each kind.
        weights: Shape (rows,), each > 0.

    Source: Hanley & McNeil (1982), Radiology 143(1), with each pair counting the product of its weights.

    >>> weighted_auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]), np.ones(4))
    0.875
    """
    levels, places = np.unique(scores, return_inverse=True)
    sides = [
        np.bincount(places, weights=np.where(positive == side, weights, 0), minlength=len(levels))
        for side in (False, True)
    ]
    under = np.cumsum(sides[0]) - sides[0] / 2
    return float(under @ sides[1] / (sides[0].sum() * sides[1].sum()))
