"""Scores made into probabilities: isotonic regression, and whether it is needed. Pure; scikit-learn is imported inside.

A score says "probability" when, of the rows scored .3, three in ten are positive. Isotonic regression finds the rising curve
that is nearest to the labels in squares (pool adjacent violators). Whether it helps is measured on rows the curve has not seen:
where it does not lower the expected calibration error, scores are left alone.

Sources: Zadrozny & Elkan (2002), KDD '02, isotonic regression. That the check decides is NannyML's way (its documentation, "Confidence-based performance estimation").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from retrue.results import CalibrationCurve, ScoreCalibration
from retrue.statistics.calibration_error import expected_calibration_error

Array = np.ndarray[Any, np.dtype[np.float64]]

FOLDS = 10
SHARED_ROWS = 5  # a curve is kept for years: its knots are scores of so many rows, none tells of a single one


def fit_isotonic(truth: ArrayLike, score: ArrayLike, weight: ArrayLike) -> CalibrationCurve:
    """Return the rising curve nearest to the labels: constant at its ends beyond the scores seen.

    Args:
        truth: 1 where the row is of the class, else 0, shape (rows,).
        score: Of the class, any finite numbers; equal ones are pooled.
        weight: Not negative, positive somewhere; a row of weight 2 counts as two rows.

    >>> curve = fit_isotonic([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9], [1, 1, 1, 1])
    >>> curve.scores, curve.probabilities
    ((0.1, 0.2, 0.3, 0.9), (0.0, 0.5, 0.5, 1.0))
    """
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip", increasing=True).fit(
        np.asarray(score, dtype=float), np.asarray(truth, dtype=float), sample_weight=np.asarray(weight, dtype=float)
    )
    return CalibrationCurve(
        scores=tuple(fitted.X_thresholds_.tolist()), probabilities=tuple(fitted.y_thresholds_.tolist())
    )


def apply_curve(curve: CalibrationCurve, score: ArrayLike) -> Array:
    """Return the probability of each score.

    >>> apply_curve(CalibrationCurve(scores=(0.2, 0.6), probabilities=(0.1, 0.5)), [0.0, 0.4, 1.0]).round(2).tolist()
    [0.1, 0.3, 0.5]
    """
    return np.asarray(np.interp(np.asarray(score, dtype=float), curve.scores, curve.probabilities))


def fit_calibration(truth: ArrayLike, score: ArrayLike, weight: ArrayLike, *, folds: int = FOLDS) -> ScoreCalibration:
    """Return how scores become probabilities, and whether they need to: decided on rows each curve has not seen.

    Folds are consecutive rows: rows of one day share its conditions, and dealt out at random a curve would have seen them.

    Args:
        truth: 1 where the row is of the class, else 0, in order of time, shape (rows,), at least ``folds`` rows.
        score: Of the class, meant as its probability, in 0-1.
        weight: 1 / inclusion probability of each row.
        folds: How many curves, each without one fold.

    >>> score = np.tile([0.2, 0.4, 0.6, 0.8], 500)  # half as often is it true
    >>> truth = (np.arange(2000) // 4 % 10 < score * 5).astype(float)
    >>> found = fit_calibration(truth, score, np.ones(2000))
    >>> found.needed, round(found.error_before, 2), round(found.error_after, 2)
    (True, 0.25, 0.0)
    """
    truths, scores, weights = (np.asarray(each, dtype=float) for each in (truth, score, weight))
    scores = pool_scores(scores)
    fold = fold_numbers(len(scores), folds)
    curves = [fit_isotonic(*(each[fold != number] for each in (truths, scores, weights))) for number in range(folds)]
    unseen = np.empty_like(scores)
    for number, curve in enumerate(curves):
        unseen[fold == number] = apply_curve(curve, scores[fold == number])
    before = expected_calibration_error(truths, scores, weights=weights)
    after = expected_calibration_error(truths, unseen, weights=weights)
    return ScoreCalibration(
        needed=after < before,
        error_before=before,
        error_after=after,
        curve=fit_isotonic(truths, scores, weights),
        folds=tuple(curves),
    )


def pool_scores(score: ArrayLike, *, rows: int = SHARED_ROWS) -> Array:
    """Return scores of which each occurs in at least so many rows: rarer ones become the mean of neighbours.

    >>> pool_scores([0.9, 0.9, 0.1, 0.2, 0.8], rows=2).round(2).tolist()
    [0.87, 0.87, 0.15, 0.15, 0.87]
    """
    values, place, counts = np.unique(np.asarray(score, dtype=float), return_inverse=True, return_counts=True)
    group, held, number = np.zeros(len(values), dtype=np.intp), 0, 0
    for position, count in enumerate(counts.tolist()):
        group[position] = number
        held += count
        if held >= rows:
            number, held = number + 1, 0
    if held and number:  # too few are left: they join the last group
        group[group == number] = number - 1
    sums, sizes = np.bincount(group, weights=values * counts), np.bincount(group, weights=counts)
    alone = np.bincount(group) == 1  # a value of its own stays what it is, to the last bit
    means = np.where(alone[group], values, (sums / sizes)[group])
    return np.asarray(means[place])


def fold_numbers(rows: int, folds: int = FOLDS) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Return the fold of each row, from 0: consecutive rows, folds of equal size within one row.

    >>> fold_numbers(5, 2).tolist()
    [0, 0, 0, 1, 1]
    """
    return np.arange(rows) * folds // rows


def calibrated(calibration: ScoreCalibration, score: ArrayLike) -> Array:
    """Return the probability of each score: calibrated where that is needed."""
    return apply_curve(calibration.curve, score) if calibration.needed else np.asarray(score, dtype=float)


def calibrated_classes(
    calibrations: Mapping[str, ScoreCalibration], scores: Array, *, fold: int | None = None
) -> Array:
    """Return the probabilities of classes, each calibrated against the rest, then made to sum to 1 in every row.

    A row whose calibrated probabilities are all 0 keeps its scores, made to sum to 1.

    Args:
        calibrations: By class, in the order of the columns of ``scores``.
        scores: Shape (rows, classes), in 0-1.
        fold: Take every class's curve of this fold, needed or not; None takes what ``calibrated`` does.
    """
    parts = [
        calibrated(each, column) if fold is None else apply_curve(each.folds[fold], column)
        for each, column in zip(calibrations.values(), scores.T, strict=True)
    ]
    found = np.column_stack(parts)
    empty = found.sum(axis=1) <= 0
    found[empty] = np.where(scores[empty].sum(axis=1, keepdims=True) > 0, scores[empty], 1.0)
    return np.asarray(found / found.sum(axis=1, keepdims=True))
