"""The domain classifier: can a window's rows be told from the reference's by all columns at once? Pure.

A classifier learns to tell the two sides apart; the AUC is that of rows it did not learn from. 0.5 means that nothing tells
them apart: neither a column nor a relation of columns has changed in a way it can see. What an AUC means depends on how
rows of different times differ anyway, which `domain_null` finds out.

Source: Lopez-Paz & Oquab (2017), Revisiting classifier two-sample tests, ICLR; cross-fitting: Hediger, Michel & Näf (2022),
On the use of random forest for two-sample testing, Comput. Stat. Data Anal. 170.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from retrue.results.domain import ColumnPart, RelationChange
from retrue.statistics.domain_rows import FOLDS, ROWS_MAX, ROWS_MIN, Coded, Floats, Rows, Whole, bounded, code
from retrue.statistics.encoding import learnable
from retrue.statistics.weighted_auc import weighted_auc

GRID = 8  # steps of a feature in one standard deviation: exact values cost seconds of binning and tell nothing more
REACH = 4  # standard deviations beyond which values are all the same to the classifier
PRODUCTS = 8  # pairs whose product is a feature: boosted trees miss a flipped correlation among many columns
RELATIONS_MAX = 8
CORRELATION_CHANGE_MIN = 0.1

_Pairs = tuple[Whole, Whole]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fitted:
    """What one fold's training rows taught, and the rows that were held out."""

    model: HistGradientBoostingClassifier
    pairs: _Pairs
    held_out: Coded
    auc: float


def domain_auc(reference: Rows, current: Rows, *, seed: int = 0, rows_max: int = ROWS_MAX) -> float:
    """Return the cross-fitted AUC of telling the two sides apart, in 0-1; 0.5 if nothing does, under it by chance only.

    Args:
        reference: Its rows in order of time, nulls as NaN or None; at least ``ROWS_MIN``.
        current: The window's, with the same columns; at least ``ROWS_MIN``.
        seed: Of the rows that are drawn where there are more than ``rows_max`` a side.
        rows_max: Rows a side at most.

    Raises:
        ValueError: Fewer rows than ``ROWS_MIN`` on a side, or no column.

    >>> generator = np.random.default_rng(0)
    >>> same, other = (Rows(columns={"x": generator.normal(shift, 1, 500)}) for shift in (0, 1))
    >>> domain_auc(same, other) > 0.7
    True
    """
    with threadpool_limits(1):  # sums of several threads differ in their last digits
        return _mean_auc(list(_fit(_coded(reference, current, seed, rows_max), seed)))


def explain_domain(
    reference: Rows, current: Rows, *, seed: int = 0, rows_max: int = ROWS_MAX
) -> tuple[float, tuple[ColumnPart, ...], tuple[RelationChange, ...]]:
    """Return ``domain_auc`` with the columns that tell the sides apart, largest part first, and pairs that changed.

    A column's part is by how much the AUC of held-out rows falls when its values are shuffled among them, over the sum of
    all columns' falls (Breiman 2001). A pair has changed its relation where the correlation of normal scores differs by at
    least ``CORRELATION_CHANGE_MIN`` and more than chance explains (Fisher's z, 1 % over all pairs); at most ``RELATIONS_MAX``.
    """
    coded = _coded(reference, current, seed, rows_max)
    with threadpool_limits(1):
        fitted = list(_fit(coded, seed))
        falls = np.array([_falls(each, np.random.default_rng([seed, number])) for number, each in enumerate(fitted)])
    mean = np.maximum(falls.mean(axis=0), 0)
    shares = mean / mean.sum() if mean.sum() > 0 else mean
    order = np.argsort(-shares, kind="stable")
    parts = tuple(ColumnPart(column=coded.names[at], part=round(float(shares[at]), 4)) for at in order)
    return _mean_auc(fitted), parts, changed_relations(coded)


def changed_relations(coded: Coded) -> tuple[RelationChange, ...]:
    """Return the pairs of columns whose correlation differs most between the sides, most certain first."""
    before, now = (_correlations(coded, coded.is_current == side) for side in (False, True))
    rows = [max(_effective(coded.weights[coded.is_current == side]) - 3, 1.0) for side in (False, True)]
    first, second = _distinct_pairs(coded.origin)
    error = np.sqrt(sum(1 / each for each in rows))
    certain = np.abs(np.arctanh(now[first, second]) - np.arctanh(before[first, second])) / error
    needed = norm.isf(0.01 / 2 / max(len(first), 1))
    moved = np.abs(now[first, second] - before[first, second]) >= CORRELATION_CHANGE_MIN
    found: dict[tuple[int, int], RelationChange] = {}
    for at in np.argsort(-certain, kind="stable"):
        if len(found) == RELATIONS_MAX or certain[at] < needed:
            break
        one, other = int(first[at]), int(second[at])
        columns = (int(coded.origin[one]), int(coded.origin[other]))
        if moved[at] and columns not in found:
            numbers = bool(coded.is_number[one] and coded.is_number[other])
            found[columns] = RelationChange(
                first=coded.names[columns[0]],
                second=coded.names[columns[1]],
                before=round(float(before[one, other]), 4) if numbers else None,
                now=round(float(now[one, other]), 4) if numbers else None,
            )
    return tuple(found.values())


def _coded(reference: Rows, current: Rows, seed: int, rows_max: int) -> Coded:
    if not reference.columns:
        raise ValueError("a domain classifier needs columns")
    if min(len(reference), len(current)) < ROWS_MIN:
        raise ValueError(f"{len(reference)} and {len(current)} rows: a domain classifier needs {ROWS_MIN} on each side")
    generator = np.random.default_rng(seed)
    return code(bounded(reference, rows_max, generator), bounded(current, rows_max, generator))


def _fit(coded: Coded, seed: int) -> Iterator[_Fitted]:
    for fold in range(FOLDS):
        learned, held_out = _part(coded, coded.folds != fold), _part(coded, coded.folds == fold)
        pairs = _telling_pairs(learned)
        model = HistGradientBoostingClassifier(
            max_iter=30,
            max_leaf_nodes=8,
            min_samples_leaf=20,
            l2_regularization=1.0,
            early_stopping=False,
            categorical_features=np.concatenate([coded.categorical, np.zeros(len(pairs[0]), dtype=bool)]),
            random_state=seed,
        )
        weights = learned.weights * len(learned.weights) / 2  # of mean 1, and both sides count the same
        model.fit(learnable(_design(learned, pairs)), learned.is_current, sample_weight=weights)
        yield _Fitted(model=model, pairs=pairs, held_out=held_out, auc=_auc(model, held_out, pairs))


def _part(coded: Coded, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> Coded:
    return replace(
        coded,
        values=coded.values[chosen],
        screened=coded.screened[chosen],
        is_current=coded.is_current[chosen],
        weights=coded.weights[chosen],
        folds=coded.folds[chosen],
    )


def _telling_pairs(coded: Coded) -> _Pairs:
    """Return the pairs of features whose mean product differs most between the sides, in standard errors."""
    means, variances = [], []
    for side in (False, True):
        chosen = coded.is_current == side
        features, weights = coded.screened[chosen], coded.weights[chosen] / coded.weights[chosen].sum()
        mean = (features * weights[:, None]).T @ features
        squares = features**2
        means.append(mean)
        variances.append(((squares * weights[:, None]).T @ squares - mean**2) / _effective(weights))
    first, second = _distinct_pairs(coded.origin)
    error = np.sqrt(np.maximum((variances[0] + variances[1])[first, second], 1e-12))
    telling = np.abs((means[1] - means[0])[first, second]) / error
    best = np.argsort(-telling, kind="stable")[:PRODUCTS]
    return first[best], second[best]


def _distinct_pairs(origin: Whole) -> _Pairs:
    """Return the pairs of features of two different columns."""
    first, second = np.triu_indices(len(origin), 1)
    kept = origin[first] != origin[second]
    return first[kept], second[kept]


def _design(coded: Coded, pairs: _Pairs) -> Floats:
    values = np.where(coded.categorical, coded.values, _on_grid(coded.values))
    design: Floats = np.hstack([values, _on_grid(coded.screened[:, pairs[0]] * coded.screened[:, pairs[1]])])
    return design


def _on_grid(values: Floats) -> Floats:
    rounded: Floats = np.round(np.clip(values, -REACH, REACH) * GRID) / GRID
    return rounded


def _auc(model: HistGradientBoostingClassifier, coded: Coded, pairs: _Pairs) -> float:
    scores = model.decision_function(_design(coded, pairs))
    return weighted_auc(scores, coded.is_current, coded.weights)


def _mean_auc(fitted: Sequence[_Fitted]) -> float:
    """The mean over folds, rounded to what another machine's floating point gives too."""
    return round(float(np.mean([each.auc for each in fitted])), 6)


def _falls(fitted: _Fitted, generator: np.random.Generator) -> Floats:
    """Return by how much the AUC falls when each column is shuffled among the held-out rows."""
    coded = fitted.held_out
    falls = np.zeros(len(coded.names))
    for column in range(len(coded.names)):
        order = generator.permutation(len(coded.values))
        values, screened = coded.values.copy(), coded.screened.copy()
        values[:, column] = values[order, column]
        own = coded.origin == column
        screened[:, own] = screened[order][:, own]
        shuffled = replace(coded, values=values, screened=screened)
        falls[column] = fitted.auc - _auc(fitted.model, shuffled, fitted.pairs)
    return falls


def _correlations(coded: Coded, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    features, weights = coded.screened[chosen], coded.weights[chosen] / coded.weights[chosen].sum()
    centred = features - weights @ features
    covariance = (centred * weights[:, None]).T @ centred
    sd = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    correlations: Floats = np.clip(covariance / np.outer(sd, sd), -0.999999, 0.999999)
    return correlations


def _effective(weights: Floats) -> float:
    """Kish's number of rows that would count as much if all weighed the same."""
    return float(weights.sum() ** 2 / (weights**2).sum())
