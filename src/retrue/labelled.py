"""Rows whose labels have arrived, brought to numbers that metrics can read. Pure.

Logs and label feeds write the same class as ``1``, ``1.0``, ``"1"`` or ``true``: all four are one class here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from retrue.metrics import METRICS, NEED_SCORE

Array = np.ndarray[Any, np.dtype[np.float64]]

UNANSWERED_SHARE_MAX = 0.1  # a metric of only the rows that a model answered flatters it
NEED_PROBABILITY = frozenset({"log_loss", "brier_score"})
_WHOLE = re.compile(r"([+-]?\d+)\.0*")


class NotMeasurableError(Exception):
    """Rows that no metric can be computed on; the message is the reason, for people to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRows:
    """Aligned columns of labelled, answered rows.

    ``truth`` and ``predicted`` hold values of a regression, else class numbers; of a binary task 1 is the positive
    class. ``score`` is that class's score. What was not logged is all NaN. ``weight`` is finite, not negative, and positive somewhere. ``missing`` maps
    metrics that cannot be computed to their reasons.
    """

    truth: Array
    predicted: Array
    score: Array
    weight: Array
    missing: Mapping[str, str] = field(default_factory=dict)

    def take(self, rows: np.ndarray[Any, np.dtype[np.intp]]) -> LabelledRows:
        """Return some of the rows, by position."""
        return replace(
            self,
            truth=self.truth[rows],
            predicted=self.predicted[rows],
            score=self.score[rows],
            weight=self.weight[rows],
        )

    @property
    def columns(self) -> list[Array]:
        """The columns for ``numpy.lexsort``, which sorts by the last first."""
        return [self.weight, self.truth, self.predicted, self.score]


def read_labelled(
    task: str,
    *,
    labels: ArrayLike,
    predictions: ArrayLike | None,
    scores: ArrayLike | None,
    weights: ArrayLike | None,
    positive_label: str | int = 1,
) -> LabelledRows:
    """Return the rows that have a label and an answer, in the order given.

    A row with neither prediction nor score is a failed request: it is left out, up to a tenth of the rows.

    Args:
        task: ``binary``, ``multiclass`` or ``regression``.
        labels: What happened; None and NaN have not arrived yet.
        predictions: What the model said, None where it logs none.
        scores: Score of the positive class, None where the model has none.
        weights: 1 / inclusion probability of each row; None for equal ones.
        positive_label: The class that counts as positive in a binary task.

    Raises:
        NotMeasurableError: Nothing can be computed on these rows.
        ValueError: Columns of different lengths.
    """
    given, said, scored, weight = _keep_answered(labels, predictions, scores, weights)
    absent = np.full(len(given), np.nan)
    rows = LabelledRows(truth=absent, predicted=absent, score=absent, weight=weight)
    if task == "regression":
        return _read_values(rows, given, said)
    rows = _read_classes(rows, task, given, said, positive_label)
    return _read_scores(rows, scored) if task == "binary" else rows


def _keep_answered(*columns: ArrayLike | None) -> tuple[Any, Any, Any, Array]:
    labels, predictions, scores, weights = (None if each is None else as_array(each) for each in columns)
    lengths = {len(each) for each in (labels, predictions, scores, weights) if each is not None}
    if len(lengths) > 1:
        raise ValueError(f"columns of different lengths: {sorted(lengths)}")
    arrived = ~find_nulls(labels)
    if not arrived.any():
        raise NotMeasurableError("no labels have arrived")
    if predictions is None and scores is None:
        raise NotMeasurableError("the log has no prediction column and no score column")
    silent = np.logical_and.reduce([find_nulls(each) for each in (predictions, scores) if each is not None])
    if silent[arrived].mean() > UNANSWERED_SHARE_MAX:
        raise NotMeasurableError(f"{silent[arrived].sum():,} of {arrived.sum():,} labelled rows have no prediction")
    kept = arrived & ~silent
    given, said, scored = (None if each is None else each[kept] for each in (labels, predictions, scores))
    return given, said, scored, np.ones(int(kept.sum())) if weights is None else read_weights(weights[kept])


def _read_values(rows: LabelledRows, labels: Any, predictions: Any) -> LabelledRows:
    if predictions is None:
        raise NotMeasurableError("the log has no prediction column")
    return replace(rows, truth=finite_numbers(labels, "labels"), predicted=finite_numbers(predictions, "predictions"))


def _read_classes(rows: LabelledRows, task: str, labels: Any, predictions: Any, positive_label: object) -> LabelledRows:
    truth, predicted = class_names(labels), class_names(predictions) if predictions is not None else []
    reason = _refuse_predictions(predictions)
    positive = class_name(positive_label)
    if task == "binary":
        if why := _refuse_classes(set(truth), positive):
            raise NotMeasurableError(why)
        reason = reason or _refuse_classes({*truth, *predicted}, positive)
        numbers = {name: float(name == positive) for name in {*truth, *predicted}}
    else:
        numbers = {name: float(number) for number, name in enumerate(sorted({*truth, *predicted}))}
    return replace(
        rows,
        truth=np.array([numbers[name] for name in truth]),
        predicted=rows.predicted if reason else np.array([numbers[name] for name in predicted]),
        missing=dict.fromkeys(set(METRICS[task]) - NEED_SCORE, reason) if reason else {},
    )


def _refuse_predictions(predictions: Any) -> str:
    if predictions is None:
        return "the log has no prediction column"
    absent = int(find_nulls(predictions).sum())
    return f"{absent:,} of {len(predictions):,} labelled rows have a score but no prediction" if absent else ""


def _refuse_classes(found: set[str], positive: str) -> str:
    if len(found) > 2:
        return f"labels and predictions of a binary task hold {len(found)} classes"
    if len(found) == 2 and positive not in found:
        return f"positive_label {positive} is neither of the two classes that occur"
    return ""


def _read_scores(rows: LabelledRows, scores: Any) -> LabelledRows:
    missing = dict(rows.missing)
    if scores is None:
        return replace(rows, missing=missing | dict.fromkeys(NEED_SCORE, "the log has no score column"))
    try:
        numbers = finite_numbers(scores, "scores")
    except NotMeasurableError as reason:
        return replace(rows, missing=missing | dict.fromkeys(NEED_SCORE, str(reason)))
    outside = int(((numbers < 0) | (numbers > 1)).sum())
    if outside:
        missing |= dict.fromkeys(NEED_PROBABILITY, f"{outside:,} of {len(numbers):,} scores lie outside 0-1")
    return replace(rows, score=numbers, missing=missing)


def as_array(values: ArrayLike) -> Any:
    """Return a one-dimensional array; text and mixed values stay objects, so that 1 and "1" are told apart here only."""
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "to_numpy"):
        return values.to_numpy()
    listed: list[object] = list(values)  # type: ignore[arg-type]
    array = np.empty(len(listed), dtype=np.object_)
    array[:] = listed
    return array


def find_nulls(values: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    if values.dtype.kind != "O":
        return np.zeros(len(values), dtype=bool)
    return np.fromiter((_is_null(each) for each in values), dtype=bool, count=len(values))


def _is_null(value: Any) -> bool:
    return (
        value is None or type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, float) and value != value)
    )


def finite_numbers(values: Any, what: str) -> Array:
    numbers: Array = values.astype(float) if values.dtype.kind in "biuf" else _parse(values, what)
    bad = int((~np.isfinite(numbers)).sum())
    if bad:
        raise NotMeasurableError(f"{bad:,} of {len(numbers):,} {what} are missing or not finite")
    return numbers


def _parse(values: Any, what: str) -> Array:
    try:
        return np.array([np.nan if _is_null(each) else float(each) for each in values.tolist()], dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise NotMeasurableError(f"the {what} are not numbers") from error


def read_weights(weights: Any) -> Array:
    numbers = finite_numbers(weights, "sample weights")
    if (numbers < 0).any() or not numbers.sum() > 0:
        raise NotMeasurableError("sample weights are negative or all zero")
    return numbers


def class_names(values: Any) -> list[str]:
    names: dict[Any, str] = {}
    try:
        return [names[each] if each in names else names.setdefault(each, class_name(each)) for each in values.tolist()]
    except TypeError as error:
        raise NotMeasurableError("labels or predictions are nested values, not classes") from error


def class_name(value: Any) -> str:
    """Return one name for the ways a class is written.

    >>> {class_name(each) for each in (1, 1.0, "1", "1.0", True, "true")}
    {'1'}
    >>> class_name(1234561.0), class_name(1e16), class_name(0.5)
    ('1234561', '10000000000000000', '0.5')
    """
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    if text.lower() in {"true", "false"}:
        return str(int(text.lower() == "true"))
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text
