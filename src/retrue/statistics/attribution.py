"""Where a change of a loss or a metric comes from: other inputs, or another relation between inputs and outcome. Pure.

Before and after are two sets of labelled rows. A cross-fitted classifier tells them apart by their inputs: π(x) is the chance that a
row with inputs x is of after, were both sides of equal weight. The change on inputs that both have is taken where they overlap,
with weights π(1 − π); so no weight is large, whatever the shift.

Source: Cai, Namkoong & Yadlowsky (2023), Diagnosing model performance under distribution shift, arXiv:2303.02011, for the split over
a shared distribution of inputs; Robinson (1988), Econometrica 56(4) and Li, Morgan & Zaslavsky (2018), J. Am. Stat. Assoc.
113(521), for its estimate and weights.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrue.results import Interval
from retrue.results.why import Part, SlicePart
from retrue.statistics.encoding import (
    Array,
    classifier,
    folds_of,
    learnable,
    one_thread,
    regressor,
    stretches_of,
    tree_matrix,
)

Values = np.ndarray[Any, np.dtype[Any]]
Rows = np.ndarray[Any, np.dtype[np.bool_]]

FOLDS = 3
UNSUPPORTED = 0.95  # π beyond which an input is 19 times commoner on one side: the other says too little of it
_CLIP = 0.01
SHAPLEY_PAIRS = 3_000
SPANS = 12  # stretches of time a side, whose rows resemble each other: an interval counts stretches, not rows
CONFIDENCE = 0.95
_Z = 1.959963984540054
_T = 2.200985160082949  # of 11 degrees of freedom, those of 12 stretches


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Rows of before, then of after, and how well their inputs tell them apart.

    ``after`` says which side a row is of, ``share`` are weights that sum to 1 on each side, ``propensity`` is π(x) by a
    classifier that did not learn from the row. ``supported`` rows have inputs that the other side has too.
    ``stretch`` numbers the stretches of time, those of before and of after; None of rows without times.
    """

    matrix: Array
    categories: list[int]
    names: tuple[str, ...]
    after: Rows
    share: Array
    propensity: Array
    fold: Values
    models: tuple[Any, ...]
    stretch: Values | None = None

    @property
    def supported(self) -> Rows:
        return np.asarray(np.where(self.after, self.propensity < UNSUPPORTED, self.propensity > 1 - UNSUPPORTED))

    @property
    def unsupported_share(self) -> float:
        """Weighted share of after whose inputs before hardly has, in 0-1."""
        return float(min(1.0, self.share[self.after & ~self.supported].sum()))

    @property
    def shared(self) -> Array:
        """Weights under which both sides have the inputs that they share: 1 − π of after, π of before, times their own.

        0 of rows that are not supported.
        """
        return self.share * self.supported * np.where(self.after, 1 - self.propensity, self.propensity)

    @property
    def shared_rows(self) -> float:
        """Effective number of rows (Kish 1965) of the side that has fewer of what is shared."""
        sides = (self.shared[self.after], self.shared[~self.after])
        return float(min(each.sum() ** 2 / max(each @ each, np.finfo(float).tiny) for each in sides))


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSplit:
    """A change of a mean loss: ``total`` = ``inputs`` + ``relation`` + ``unsupported``, each with its interval.

    ``features`` are parts of ``inputs``, largest first; with ``remainder`` they add up to it.
    """

    before: float
    after: float
    total: Interval
    inputs: Interval
    relation: Interval
    unsupported: Interval
    features: tuple[Part, ...]
    remainder: float
    slices: tuple[SlicePart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSplit:
    """A change of any metric of weighted rows: ``total`` = ``inputs`` + ``relation``."""

    before: float
    after: float
    total: Interval
    inputs: Interval
    relation: Interval


def compare_inputs(
    before: Mapping[str, Values],
    after: Mapping[str, Values],
    *,
    before_weight: Array,
    after_weight: Array,
    before_time: Array | None = None,
    after_time: Array | None = None,
    seed: int = 0,
) -> Overlap:
    """Return how the inputs of two sets of rows overlap.

    Args:
        before: Columns of floats, or of objects: texts, None where missing. All of one length.
        after: The same columns.
        before_weight: Of each row, not negative and positive somewhere.
        after_weight: Likewise.
        before_time: Of each row, as any number: stretches of time are then folded whole. None: rows are independent.
        after_time: Likewise.
        seed: Of the folds.
    """
    sizes = len(before_weight), len(after_weight)
    matrix, categories = tree_matrix({name: np.concatenate([before[name], after[name]]) for name in before})
    side = np.arange(sum(sizes)) >= sizes[0]
    share = np.concatenate([before_weight / before_weight.sum(), after_weight / after_weight.sum()])
    fold = np.concatenate(
        [
            folds_of(size, folds=FOLDS, seed=seed + number, order=time)
            for number, (size, time) in enumerate(zip(sizes, (before_time, after_time), strict=True))
        ]
    )
    models = _crossfit(lambda: classifier(categories), matrix, side.astype(int), share, fold)
    raw = _held_out(models, matrix, fold, lambda model, rows: model.predict_proba(rows)[:, 1])
    return Overlap(
        matrix=matrix,
        categories=categories,
        names=tuple(before),
        after=side,
        share=share,
        propensity=np.clip(raw, _CLIP, 1 - _CLIP),
        fold=fold,
        models=models,
        stretch=_stretches(before_time, after_time),
    )


def _stretches(before: Array | None, after: Array | None) -> Values | None:
    if before is None or after is None:
        return None
    return np.concatenate([stretches_of(before, SPANS), stretches_of(after, SPANS) + SPANS])


def split_loss(overlap: Overlap, loss: Array, *, slices: Sequence[tuple[str, Rows]] = (), seed: int = 0) -> LossSplit:
    """Split the change of a mean loss, exactly, and its inputs' part by feature.

    With T = 1 of after, m(x) = E[loss | x] of both together and residuals r = loss − m(x), the relation's part is
    θ = Σ w (T − π) r / Σ w (T − π)² over supported rows, times the share of after that is supported: the mean change of the
    loss at equal inputs, over inputs weighted by π(1 − π). Errors of π and m enter as their product only. ``unsupported`` is
    what rows with inputs of their own add beyond the mean of before, and ``inputs`` what is left of the total.

    ``inputs`` by feature: the model m(x) − θ π(x) is followed from rows of before to rows of after while one feature after another,
    in random order, takes its new value (Shapley values of the mean, Štrumbelj & Kononenko 2014, Knowl. Inf. Syst. 41).

    Args:
        overlap: From ``compare_inputs``.
        loss: Of each row of before, then of after; finite.
        slices: Names and rows of parts that share out all rows.
        seed: Of the pairs and orders.
    """
    fitted = _crossfit(lambda: regressor(overlap.categories), overlap.matrix, loss, overlap.share, overlap.fold)
    expected = _held_out(fitted, overlap.matrix, overlap.fold, lambda model, rows: model.predict(rows))
    parts = _parts(overlap, loss, expected)
    features = _by_feature(overlap, fitted, parts, seed)
    total, inputs, relation, unsupported = (
        _interval(value, influence, overlap.stretch)
        for value, influence in zip(parts.sums, parts.influence, strict=True)
    )
    return LossSplit(
        before=parts.before,
        after=float(parts.before + parts.sums[0]),
        total=total,
        inputs=inputs,
        relation=relation,
        unsupported=unsupported,
        features=features,
        remainder=inputs.value - math.fsum(each.change.value for each in features),
        slices=tuple(_slice_part(name, parts.rows[:, rows].sum(axis=1)) for name, rows in slices),
    )


def split_metric(overlap: Overlap, measure: Callable[[bool, Array], tuple[float, Array]]) -> MetricSplit:
    """Split the change of a metric that is no mean over rows, such as an area under a curve.

    Both sides are weighted to the inputs that they share; what differs then is the relation's part, the rest the inputs'.

    Args:
        overlap: From ``compare_inputs``.
        measure: Takes whether the rows of after are meant and their weights, and returns the metric and its values on
            resamples, which must be the same at every call and be of whole stretches where there are any.
    """
    sides = (~overlap.after, overlap.after)
    (before, befores), (after, afters) = (measure(bool(side), overlap.share[rows]) for side, rows in enumerate(sides))
    (shared, shareds), (same, sames) = (measure(bool(side), overlap.shared[rows]) for side, rows in enumerate(sides))
    total, relation = after - before, same - shared
    totals, relations = afters - befores, sames - shareds
    return MetricSplit(
        before=before,
        after=after,
        total=_of_resamples(total, totals, overlap.stretch),
        inputs=_of_resamples(total - relation, totals - relations, overlap.stretch),
        relation=_of_resamples(relation, relations, overlap.stretch),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Total, inputs, relation and unsupported as sums over ``rows``, shape (4, n), with their ``influence``, of the same shape.

    ``theta`` is the change at equal inputs, ``reach`` the share of after that has such inputs.
    """

    before: float
    theta: float
    reach: float
    sums: Array
    rows: Array
    influence: Array


def _parts(overlap: Overlap, loss: Array, expected: Array) -> _Parts:
    after, share, supported = overlap.after, overlap.share, overlap.supported
    sign = np.where(after, 1.0, -1.0)
    before, now = float(share[~after] @ loss[~after]), float(share[after] @ loss[after])
    beyond = loss - before
    total = sign * share * beyond
    unsupported = np.where(supported, 0.0, total)
    apart = np.where(supported, after - overlap.propensity, 0.0)
    curvature = share * apart**2
    slope = share * apart * (loss - expected)
    reach = float(share[after & supported].sum())
    theta = float(slope.sum() / curvature.sum()) if curvature.sum() > 0 else 0.0
    relation = reach * slope / curvature.sum() if curvature.sum() > 0 else np.zeros_like(slope)
    rows = np.stack([total, total - relation - unsupported, relation, unsupported])
    centred = sign * share * (loss - np.where(after, now, before))
    baseline = np.where(after, 0.0, -centred)  # of the mean of before, from which unsupported rows are measured
    spread = _centred(np.where(supported, 0.0, total), after, share)
    extra = spread - float((sign * share)[~supported].sum()) * baseline
    drift = reach * (slope - theta * curvature) / curvature.sum() if curvature.sum() > 0 else np.zeros_like(slope)
    influence = np.stack([centred, centred - drift - extra, drift, extra])
    return _Parts(before=before, theta=theta, reach=reach, sums=rows.sum(axis=1), rows=rows, influence=influence)


def _centred(terms: Array, after: Rows, share: Array) -> Array:
    """Return terms less their side's mean, weight by weight."""
    return np.asarray(terms - share * np.where(after, terms[after].sum(), terms[~after].sum()))


def _interval(value: float, influence: Array, stretch: Values | None = None) -> Interval:
    """Return a sum with the interval that its rows' influences give, summed by stretch first: within one they may go together."""
    reach = _Z * math.sqrt(float(influence @ influence))
    if stretch is not None:
        sums = np.bincount(stretch, weights=influence)
        reach = _T * math.sqrt(float(sums @ sums) * SPANS / (SPANS - 1))
    return Interval(value=float(value), low=float(value) - reach, high=float(value) + reach, confidence=CONFIDENCE)


def _of_resamples(value: float, drawn: Array, stretch: Values | None) -> Interval:
    """Return a value with the interval that its deviation over resamples gives; without end where most have no value."""
    found = drawn[np.isfinite(drawn)]
    if len(found) < max(2, len(drawn) // 2):
        return Interval(value=value, low=-math.inf, high=math.inf, confidence=CONFIDENCE)
    wide = _Z if stretch is None else _T * math.sqrt(SPANS / (SPANS - 1))
    reach = wide * float(found.std(ddof=1))
    return Interval(value=value, low=value - reach, high=value + reach, confidence=CONFIDENCE)


def _slice_part(name: str, sums: Array) -> SlicePart:
    total, inputs, relation, unsupported = map(float, sums)
    return SlicePart(name=name, total=total, inputs=inputs, relation=relation, unsupported=unsupported)


def _by_feature(overlap: Overlap, fitted: Sequence[Any], parts: _Parts, seed: int) -> tuple[Part, ...]:
    """Return the features' parts of the change that the supported inputs make, largest first."""
    rng = np.random.default_rng(seed)
    pairs = SHAPLEY_PAIRS // len(fitted)
    deltas: list[Array] = []
    for number, (of_loss, of_side) in enumerate(zip(fitted, overlap.models, strict=True)):
        rows = (overlap.fold == number) & overlap.supported
        old, new = (_draw(rng, overlap, rows & side, pairs) for side in (~overlap.after, overlap.after))
        if len(old) and len(new):
            with one_thread():
                deltas.append(
                    _walk(rng, old, new, functools.partial(_at_equal_relation, of_loss, of_side, parts.theta))
                )
    changes = parts.reach * np.concatenate(deltas) if deltas else np.empty((0, len(overlap.names)))
    found = (
        Part(name=name, change=interval)
        for name, change in zip(overlap.names, changes.T, strict=True)
        if (interval := _mean(change)) is not None
    )
    return tuple(sorted(found, key=lambda part: (-abs(part.change.value), part.name)))


def _at_equal_relation(of_loss: Any, of_side: Any, theta: float, rows: Array) -> Array:
    """Return the loss to expect of these inputs, less what the relation's change makes of it."""
    return np.asarray(of_loss.predict(rows) - theta * of_side.predict_proba(rows)[:, 1])


def _mean(change: Array) -> Interval | None:
    if len(change) < 2:
        return None
    return _interval(float(change.mean()), (change - change.mean()) / len(change))


def _draw(rng: np.random.Generator, overlap: Overlap, rows: Rows, count: int) -> Array:
    places = np.flatnonzero(rows)
    weight = overlap.share[places]
    if not weight.sum() > 0:
        return np.empty((0, overlap.matrix.shape[1]))
    return np.asarray(overlap.matrix[rng.choice(places, count, p=weight / weight.sum())])


def _walk(rng: np.random.Generator, old: Array, new: Array, model: Callable[[Array], Array]) -> Array:
    """Let each row take the new values one feature after another; return what each step changed, shape (pairs, features)."""
    pairs, features = old.shape
    order = rng.permuted(np.tile(np.arange(features), (pairs, 1)), axis=1)
    here, value = old.copy(), model(old)
    changes = np.zeros((pairs, features))
    every = np.arange(pairs)
    for step in order.T:
        here[every, step] = new[every, step]
        moved = model(here)
        changes[every, step] = moved - value
        value = moved
    return changes


def _crossfit(make: Callable[[], Any], matrix: Array, target: Values, share: Array, fold: Values) -> tuple[Any, ...]:
    """Fit one model a fold, on the rows of the others."""
    weight = share * len(share) / 2
    with one_thread():
        return tuple(
            make().fit(learnable(matrix[fold != number]), target[fold != number], sample_weight=weight[fold != number])
            for number in range(FOLDS)
        )


def _held_out(models: Sequence[Any], matrix: Array, fold: Values, predict: Callable[[Any, Array], Array]) -> Array:
    answers = np.empty(len(matrix))
    with one_thread():
        for number, model in enumerate(models):
            answers[fold == number] = predict(model, matrix[fold == number])
    return answers
