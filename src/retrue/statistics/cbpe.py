"""Confidence-based performance estimation (CBPE): a classifier's metrics out of its probabilities, without labels. Pure.

A row with probability q of being positive is q of a positive row and 1 - q of a negative one: every metric is that of these
parts. With calibrated probabilities its expectation is right for means (accuracy, log loss, Brier score) and right in the
limit of many rows for ratios (F1, precision, recall, ROC AUC, average precision).

The sampling error is that of drawing rows and then labels, ``sd² = Σ w² (q ψ₁² + (1 - q) ψ₀²) / (Σ w)²``, where ψ₁ and ψ₀ are the
metric's influence function at the row as a positive and as a negative one. For ROC AUC it is that of placements (DeLong).

Sources: NannyML's documentation, "Confidence-based performance estimation"; Białek et al. (2024), "Estimating Model
Performance Under Covariate Shift Without Labels", arXiv:2401.08348; DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3);
Hampel (1974), JASA 69, influence functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Influence = tuple[float, Array, Array]
"""A metric's value, and its influence function at each row if it is positive, and if it is negative."""

_LEAST = np.finfo(float).eps


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A metric's expected value and its standard deviation, sampling error of the window only; in units of the metric."""

    value: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRows:
    """Rows without labels: the model's ``score``, its ``predicted`` class (1 or 0), the ``probability`` of 1, the ``weight``.

    All have shape (rows,). ``predicted`` is None where it was not logged; weights are positive somewhere.
    """

    score: Array
    predicted: Array | None
    probability: Array
    weight: Array


def estimate_binary(metrics: Sequence[str], rows: ScoredRows) -> dict[str, Estimate]:
    """Return the estimate of each metric that has one on these rows.

    Args:
        metrics: Of ``retrue.metrics.METRICS["binary"]``; those that need a prediction are left out where there is none.
        rows: With calibrated probabilities.

    >>> half = np.array([0.5, 0.5])
    >>> rows = ScoredRows(score=half, predicted=np.array([1.0, 0.0]), probability=np.array([0.9, 0.2]), weight=np.ones(2))
    >>> found = estimate_binary(["accuracy", "roc_auc", "brier_score"], rows)
    >>> {name: round(each.value, 3) for name, each in found.items()}
    {'accuracy': 0.85, 'roc_auc': 0.5, 'brier_score': 0.25}
    """
    share = rows.weight / rows.weight.sum()
    found = {}
    for name in metrics:
        if name in _DECIDED and rows.predicted is None:
            continue
        with np.errstate(all="ignore"):
            value, positive, negative = _INFLUENCES[name](rows, share)
        spread = share**2 * (rows.probability * positive**2 + (1 - rows.probability) * negative**2)
        if np.isfinite(value) and np.isfinite(spread).all():
            found[name] = Estimate(value=float(value), sd=float(np.sqrt(spread.sum())))
    return found


def estimate_multiclass(
    metrics: Sequence[str], *, predicted: np.ndarray[Any, np.dtype[np.intp]], probability: Array, weight: Array
) -> dict[str, Estimate]:
    """Return the estimate of each metric that has one.

    Args:
        metrics: Of ``retrue.metrics.METRICS["multiclass"]``.
        predicted: Column of ``probability`` that each row was predicted to be of, shape (rows,).
        probability: Of every class, calibrated, shape (rows, classes); rows sum to 1.
        weight: Of each row, shape (rows,).

    >>> sure = np.array([[0.8, 0.2, 0.0], [0.0, 0.6, 0.4]])
    >>> found = estimate_multiclass(["accuracy"], predicted=np.array([0, 1]), probability=sure, weight=np.ones(2))
    >>> round(found["accuracy"].value, 3)
    0.7
    """
    share = weight / weight.sum()
    said = np.zeros_like(probability)
    said[np.arange(len(predicted)), predicted] = 1.0
    found = {}
    for name in metrics:
        with np.errstate(all="ignore"):
            value, influence = _CLASSES[name](said, probability, share)
        spread = share**2 * (probability * np.where(probability > 0, influence, 0.0) ** 2).sum(axis=1)
        if np.isfinite(value) and np.isfinite(spread).all():
            found[name] = Estimate(value=float(value), sd=float(np.sqrt(spread.sum())))
    return found


# ---------------------------------------------------------------- binary: means and ratios of sums


def _mean_of(as_positive: Array, as_negative: Array, rows: ScoredRows, share: Array) -> Influence:
    value = float(share @ (rows.probability * as_positive + (1 - rows.probability) * as_negative))
    return value, as_positive - value, as_negative - value


def _accuracy(rows: ScoredRows, share: Array) -> Influence:
    said = _said(rows)
    return _mean_of(said, 1 - said, rows, share)


def _brier_score(rows: ScoredRows, share: Array) -> Influence:
    return _mean_of((1 - rows.score) ** 2, rows.score**2, rows, share)


def _log_loss(rows: ScoredRows, share: Array) -> Influence:
    score = np.clip(rows.score, _LEAST, 1 - _LEAST)
    return _mean_of(-np.log(score), -np.log(1 - score), rows, share)


def _ratio(above: tuple[Array, Array], below: tuple[Array, Array], rows: ScoredRows, share: Array) -> Influence:
    """The quotient of two means, each given by what a row adds as a positive and as a negative one."""
    chance = rows.probability
    total = share @ (chance * below[0] + (1 - chance) * below[1])
    value = float(share @ (chance * above[0] + (1 - chance) * above[1]) / total)
    return value, (above[0] - value * below[0]) / total, (above[1] - value * below[1]) / total


def _precision(rows: ScoredRows, share: Array) -> Influence:
    said = _said(rows)
    return _ratio((said, 0 * said), (said, said), rows, share)


def _recall(rows: ScoredRows, share: Array) -> Influence:
    said = _said(rows)
    return _ratio((said, 0 * said), (np.ones_like(said), 0 * said), rows, share)


def _f1(rows: ScoredRows, share: Array) -> Influence:
    said = _said(rows)
    return _ratio((2 * said, 0 * said), (said + 1, said), rows, share)


def _said(rows: ScoredRows) -> Array:
    if rows.predicted is None:
        raise ValueError("these rows have no prediction")
    return rows.predicted


# ---------------------------------------------------------------- binary: ranks


def _roc_auc(rows: ScoredRows, share: Array) -> Influence:
    place, positive, negative = _by_score(rows, share)
    total, rest = positive.sum(), negative.sum()
    below = (np.cumsum(negative) - negative / 2) / rest  # share of negatives under each score, ties half
    above = 1 - (np.cumsum(positive) - positive / 2) / total
    value = float(positive @ below / total)
    return value, (below[place] - value) / total, (above[place] - value) / rest


def _average_precision(rows: ScoredRows, share: Array) -> Influence:
    """``AP = Σ_s h(s)/π · P(s)`` with P(s) = H(s)/T(s), positives and rows at or above s.

    ψ(y, s) = (y·P(s) + Σ_{t <= s} h(t)·(y - P(t))/T(t) - AP·y) / π.
    """
    place, positive, negative = _by_score(rows, share)
    every = positive + negative
    total = positive.sum()
    held, reached = np.cumsum(positive[::-1])[::-1], np.cumsum(every[::-1])[::-1]
    precise = np.where(reached > 0, held / reached, 0.0)
    value = float(positive @ precise / total)
    rate = np.where(reached > 0, positive / reached, 0.0)
    as_negative = -np.cumsum(rate * precise) / total
    as_positive = (precise + np.cumsum(rate) - value) / total + as_negative
    return value, as_positive[place], as_negative[place]


def _by_score(rows: ScoredRows, share: Array) -> tuple[np.ndarray[Any, np.dtype[np.intp]], Array, Array]:
    """Return each row's place among the distinct scores, rising, and the mass of positives and negatives at each."""
    values, place = np.unique(rows.score, return_inverse=True)
    positive = np.asarray(np.bincount(place, weights=share * rows.probability, minlength=len(values)), dtype=float)
    negative = np.asarray(
        np.bincount(place, weights=share * (1 - rows.probability), minlength=len(values)), dtype=float
    )
    return place, positive, negative


_INFLUENCES: Mapping[str, Callable[[ScoredRows, Array], Influence]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
    "brier_score": _brier_score,
    "accuracy": _accuracy,
    "f1": _f1,
    "precision": _precision,
    "recall": _recall,
}
_DECIDED = frozenset({"accuracy", "f1", "precision", "recall"})


# ---------------------------------------------------------------- several classes


def _hits(said: Array, probability: Array, share: Array) -> tuple[float, Array]:
    value = float(share @ (said * probability).sum(axis=1))
    return value, said - value


def _f1_macro(said: Array, probability: Array, share: Array) -> tuple[float, Array]:
    both = share @ said + share @ probability
    there = both > 0
    each = np.where(there, 2 * (share @ (said * probability)) / both, 0.0)
    weights = np.where(there, 1 / both, 0.0)
    influence = (2 * said - each) * weights - (said @ (each * weights))[:, None]
    return float(each[there].mean()), influence / there.sum()


def _balanced_accuracy(said: Array, probability: Array, share: Array) -> tuple[float, Array]:
    held = share @ probability
    there = held > 0
    each = np.where(there, share @ (said * probability) / held, 0.0)
    return float(each[there].mean()), (said - each) * np.where(there, 1 / held, 0.0) / there.sum()


_CLASSES: Mapping[str, Callable[[Array, Array, Array], tuple[float, Array]]] = {
    "accuracy": _hits,
    "f1_macro": _f1_macro,
    "balanced_accuracy": _balanced_accuracy,
}
