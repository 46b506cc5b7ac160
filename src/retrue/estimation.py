"""Estimated performance: how good predictions probably are while their labels are missing. Pure.

What it needs is fitted once, on the labelled rows of a baseline: `fit_estimation`. A window is then estimated with
`estimate_performance`, or nothing is said of it, with the reason. Classifiers by CBPE, regressors by direct loss estimation
(`retrue.statistics`). Both hold only while labels follow from features as they did: concept drift is invisible to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from retrue.answers import Answers, Rows
from retrue.findings import ESTIMATE
from retrue.labelled import (
    Array,
    LabelledRows,
    NotMeasurableError,
    as_array,
    class_name,
    class_names,
    find_nulls,
    finite_numbers,
)
from retrue.metrics import METRICS
from retrue.results import EstimatedPerformance, Estimation, EstimationMethod, Interval, ScoreCalibration, Unmeasured
from retrue.scoring import undefined, value_of
from retrue.statistics.cbpe import Estimate, ScoredRows, estimate_binary, estimate_multiclass
from retrue.statistics.direct_loss import LOSSES, estimate_loss, losses_of
from retrue.statistics.probability_calibration import (
    apply_curve,
    calibrated,
    calibrated_classes,
    fit_calibration,
    fold_numbers,
)
from retrue.statistics.support import Bounds, Values, encode, unsupported, usual_share

CONFIDENCE, NORMAL_QUANTILE = 0.95, 1.959964
LOSS_MAX = 1e150  # its square is a number
REFERENCE_ROWS_MIN = 300
CLASS_ROWS_MIN = 30  # of every class, or its curve is a guess
CLASSES_MAX = 50  # each class keeps eleven curves in the baseline
LOSS_ROWS_MAX = 20_000  # of the reference, that the loss models learn from at every window
UNBOUNDED = frozenset({"log_loss", *LOSSES})


def fit_estimation(task: str, reference: Rows, *, positive_label: str | int = 1) -> Estimation:
    """Return what a baseline keeps for later estimates; its ``withheld`` says why there can be none.

    Args:
        task: ``binary``, ``multiclass`` or ``regression``.
        reference: With ``labels``; rows without one only tell what is supported.
        positive_label: The class that ``scores`` are the probability of.
    """
    method: EstimationMethod = "direct_loss" if task == "regression" else "cbpe"
    try:
        rows = _labelled(reference)
        count = len(rows.truth)
        if count < REFERENCE_ROWS_MIN:
            raise NotMeasurableError(
                f"the reference has {count:,} labelled rows, at least {REFERENCE_ROWS_MIN} are needed"
            )
        fitted = _fit_classes(task, rows, positive_label) if method == "cbpe" else _fit_losses(rows)
    except NotMeasurableError as reason:
        return Estimation(method=method, withheld=str(reason))
    weights = reference.weights
    total = len(next(iter(reference.columns.values()))) if reference.columns else 0
    weight = np.ones(total) if weights is None else np.asarray(as_array(weights), dtype=float)
    limit = usual_share(reference.columns, weight) if total else 0.0
    calibrations, errors = fitted
    return Estimation(
        method=method, labelled_rows=count, calibrations=calibrations, errors=errors, max_unsupported_share=limit
    )


def estimate_performance(
    estimation: Estimation,
    task: str,
    metric: str,
    window: Rows,
    *,
    bounds: Mapping[str, Bounds],
    reference: Callable[[], Rows] | None = None,
    positive_label: str | int = 1,
    min_rows: int = 100,
    max_unsupported_share: float | None = None,
    seed: int = 0,
) -> EstimatedPerformance | Unmeasured:
    """Return the metrics that can be estimated, or why the judged one is not.

    Args:
        estimation: Of the baseline.
        task: ``binary``, ``multiclass`` or ``regression``.
        metric: The judged metric, one of ``METRICS[task]``.
        window: The rows; any order.
        bounds: What the reference has, by column.
        reference: Gives the labelled reference rows, which a regression's losses are learned from.
        positive_label: The class that ``scores`` are the probability of.
        min_rows: Fewer are not estimated.
        max_unsupported_share: Instead of the estimation's own.
        seed: Of the loss models.
    """
    try:
        if estimation.withheld:
            raise NotMeasurableError(estimation.withheld)
        answers = window.read(task, positive_label, tuple(estimation.calibrations))
        if len(answers.kept) < min_rows:
            raise NotMeasurableError(f"{len(answers.kept):,} rows, at least {min_rows:,} are needed")
        limit = estimation.max_unsupported_share if max_unsupported_share is None else max_unsupported_share
        share = _supported(window, answers, bounds, limit)
        if task == "regression":
            found = _losses(metric, window, answers, bounds, reference, seed)
        else:
            found = _classes(task, estimation, answers)
    except NotMeasurableError as reason:
        return Unmeasured(part=ESTIMATE, reason=str(reason))
    if metric not in found:
        return Unmeasured(part=ESTIMATE, reason=f"{metric} cannot be estimated from what was logged")
    return EstimatedPerformance(
        metric=metric,
        metrics={name: _interval(name, each) for name, each in found.items()},
        method=estimation.method,
        rows=len(answers.kept),
        unsupported_share=share,
    )


# ---------------------------------------------------------------- fitting


def _labelled(reference: Rows) -> Rows:
    arrived = ~find_nulls(reference.truth)
    return reference.take(arrived) if arrived.any() else replace(reference, labels=None)


def _fit_classes(
    task: str, rows: Rows, positive_label: str | int
) -> tuple[Mapping[str, ScoreCalibration], Mapping[str, float]]:
    answers = rows.read(task, positive_label)
    names = np.array(class_names(rows.truth[answers.kept]), dtype=object)
    classes = answers.classes or (class_name(positive_label),)
    if len(classes) > CLASSES_MAX:
        raise NotMeasurableError(f"{len(classes)} classes, at most {CLASSES_MAX} can be calibrated")
    calibrations = {}
    for name, score in zip(classes, answers.scores.T, strict=True):
        truth = (names == name).astype(float)
        if not CLASS_ROWS_MIN <= truth.sum() <= len(truth) - CLASS_ROWS_MIN:
            raise NotMeasurableError(
                f"{int(truth.sum()):,} of {len(truth):,} labels of the reference are {name}: too few of it, or of the rest"
            )
        calibrations[name] = fit_calibration(truth, score, answers.weight)
    return calibrations, _block_errors(task, calibrations, answers, names)


def _block_errors(
    task: str, calibrations: Mapping[str, ScoreCalibration], answers: Answers, names: np.ndarray[Any, Any]
) -> Mapping[str, float]:
    """Return by how much each metric misses in folds that its curves have not seen, less what sampling explains."""
    place = {name: float(number) for number, name in enumerate(calibrations)}
    truth = np.array([place.get(name, -1.0) for name in names])
    truth = (truth == 0).astype(float) if task == "binary" else truth
    fold = fold_numbers(len(truth))
    missed: dict[str, list[tuple[float, float]]] = {}
    for number in np.unique(fold):
        inside = np.flatnonzero(fold == number)
        part = answers.take(inside)
        found = _estimates(task, part, _probabilities(task, calibrations, part, fold=int(number), always=False))
        rows = LabelledRows(
            truth=truth[inside],
            predicted=np.full(len(inside), np.nan) if part.predicted is None else part.predicted,
            score=part.scores[:, 0],
            weight=part.weight,
        )
        for name, each in found.items():
            if not undefined(name, rows):
                missed.setdefault(name, []).append((value_of(name, rows) - each.value, each.sd))
    return {name: _beyond_sampling(pairs) for name, pairs in missed.items()}


def _beyond_sampling(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the standard deviation of misses that their sampling error does not explain (method of moments)."""
    misses, deviations = np.array(pairs).T
    return float(np.sqrt(max(0.0, np.mean(misses**2) - np.mean(deviations**2))))


def _fit_losses(rows: Rows) -> tuple[Mapping[str, ScoreCalibration], Mapping[str, float]]:
    """See that losses can be learned; the models themselves are not kept, a baseline holds numbers only."""
    answers = rows.read("regression", 1)
    finite_numbers(rows.truth[answers.kept], "labels")
    return {}, {}


# ---------------------------------------------------------------- estimating


def _supported(window: Rows, answers: Answers, bounds: Mapping[str, Bounds], limit: float) -> float:
    """Return the share of rows outside what the reference supports.

    Raises:
        NotMeasurableError: It is larger than the limit; the columns that are to blame most are named.
    """
    missing = sorted(set(bounds) - set(window.columns))
    if missing:
        raise NotMeasurableError(f"the window has no column {', '.join(missing[:3])}, which the reference has")
    flags = {name: each[answers.kept] for name, each in unsupported(window.columns, bounds).items()}
    total = answers.weight.sum()
    share = float(answers.weight @ np.logical_or.reduce(list(flags.values())) / total) if flags else 0.0
    if share > limit:
        parts = {name: float(answers.weight @ each / total) for name, each in flags.items()}
        worst = sorted(parts, key=lambda name: (-parts[name], name))[:3]
        blame = ", ".join(f"{name} {parts[name]:.0%}" for name in worst if parts[name])
        raise NotMeasurableError(
            f"{share:.0%} of the rows lie outside what the reference has seen, over {limit:.0%} ({blame})"
        )
    return min(1.0, share)


def _classes(task: str, estimation: Estimation, answers: Answers) -> Mapping[str, Estimate]:
    calibrations = estimation.calibrations
    found = _estimates(task, answers, _probabilities(task, calibrations, answers))
    folds = range(min(len(each.folds) for each in calibrations.values()))
    others = [_estimates(task, answers, _probabilities(task, calibrations, answers, fold=fold)) for fold in folds]
    combined = {}
    for name, each in found.items():
        values = np.array([other[name].value for other in others if name in other])
        jackknife = (len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum() if len(values) else 0.0
        variance = each.sd**2 + float(jackknife) + estimation.errors.get(name, 0.0) ** 2
        combined[name] = Estimate(value=each.value, sd=variance**0.5)
    return combined


def _probabilities(
    task: str,
    calibrations: Mapping[str, ScoreCalibration],
    answers: Answers,
    *,
    fold: int | None = None,
    always: bool = True,
) -> Array:
    """Return the probability of each class: with whole curves, or with those of one fold, ``always`` or where needed."""
    if task == "multiclass":
        whole = fold is None or not (always or any(each.needed for each in calibrations.values()))
        return calibrated_classes(calibrations, answers.scores, fold=None if whole else fold)
    (calibration,) = calibrations.values()
    score = answers.scores[:, 0]
    if fold is None or not (always or calibration.needed):
        return calibrated(calibration, score)
    return apply_curve(calibration.folds[fold], score)


def _estimates(task: str, answers: Answers, probability: Array) -> Mapping[str, Estimate]:
    if task == "multiclass":
        places = np.zeros(0) if answers.predicted is None else answers.predicted
        return estimate_multiclass(
            METRICS[task], predicted=places.astype(np.intp), probability=probability, weight=answers.weight
        )
    rows = ScoredRows(
        score=answers.scores[:, 0], predicted=answers.predicted, probability=probability, weight=answers.weight
    )
    return estimate_binary(METRICS[task], rows)


def _losses(
    metric: str,
    window: Rows,
    answers: Answers,
    bounds: Mapping[str, Bounds],
    reference: Callable[[], Rows] | None,
    seed: int,
) -> Mapping[str, Estimate]:
    if metric not in LOSSES:
        raise NotMeasurableError(f"{metric} cannot be estimated: it needs how labels vary")
    if reference is None:
        raise NotMeasurableError("the reference rows are not at hand")
    rows = _labelled(reference())
    known = rows.read("regression", 1)
    step = max(1, -(-len(known.kept) // LOSS_ROWS_MAX))
    known = known.take(np.arange(0, len(known.kept), step))
    truth = finite_numbers(rows.truth[known.kept], "labels")
    if known.predicted is None or answers.predicted is None:
        raise NotMeasurableError("the log has no prediction column")
    inputs = _with_prediction(rows.columns, bounds, known)
    found = {}
    for name in dict.fromkeys((metric, "rmse", "mae")):
        losses = losses_of(name, truth, known.predicted)
        if not np.abs(losses).max() < LOSS_MAX:
            raise NotMeasurableError("the reference's errors are too large to learn from")
        found[name] = estimate_loss(
            name,
            reference=inputs,
            losses=losses,
            reference_weight=known.weight,
            window=_with_prediction(window.columns, bounds, answers),
            window_weight=answers.weight,
            seed=seed,
        )
    return found


def _with_prediction(columns: Mapping[str, Values], bounds: Mapping[str, Bounds], answers: Answers) -> Array:
    features = {name: each for name, each in bounds.items() if name != "prediction"}
    kept = {name: columns[name][answers.kept] for name in features}
    said = np.zeros(len(answers.kept)) if answers.predicted is None else answers.predicted
    return np.column_stack([encode(kept, features), said]) if features else said[:, None]


def _interval(metric: str, estimate: Estimate) -> Interval:
    half = NORMAL_QUANTILE * estimate.sd
    high = estimate.value + half
    return Interval(
        value=estimate.value,
        low=max(0.0, estimate.value - half),
        high=high if metric in UNBOUNDED else min(1.0, high),
        confidence=CONFIDENCE,
    )
