"""What a model answered, brought to numbers without any label. Pure. The counterpart of ``retrue.labelled``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from retrue.labelled import (
    UNANSWERED_SHARE_MAX,
    Array,
    NotMeasurableError,
    as_array,
    class_name,
    class_names,
    find_nulls,
    finite_numbers,
    read_weights,
)
from retrue.statistics.support import Values

SUM_TOLERANCE = 0.01  # float32 probabilities of some hundred classes add up to 1 within this
Positions = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Aligned columns of answered rows.

    ``kept`` are their positions among the rows given. ``predicted`` is 1 or 0 of a binary task, the class's position in
    ``classes`` of a multiclass one, the value of a regression; None where predictions were not logged. ``scores`` has
    shape (rows, classes), of a binary task one column, of a regression none.
    """

    kept: Positions
    predicted: Array | None
    scores: Array
    weight: Array
    classes: tuple[str, ...] = ()

    def take(self, places: Positions) -> Answers:
        """Return some of the rows, by their place among these."""
        return replace(
            self,
            kept=self.kept[places],
            predicted=None if self.predicted is None else self.predicted[places],
            scores=self.scores[places],
            weight=self.weight[places],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of a reference or a window, in order of time; what was not logged is None.

    ``columns`` are those by which support is told, as ``Bounds.outside`` takes them; features among them are what losses
    are learned from. ``class_scores`` are mappings of class to probability, or their JSON text.
    """

    predictions: ArrayLike | None
    scores: ArrayLike | None = None
    class_scores: ArrayLike | None = None
    weights: ArrayLike | None = None
    columns: Mapping[str, Values]
    labels: ArrayLike | None = None

    def take(self, places: ArrayLike) -> Rows:
        """Return some of the rows, by position or by a mask."""
        chosen = np.asarray(places)
        parts = (self.predictions, self.scores, self.class_scores, self.weights, self.labels)
        said, scores, class_scores, weights, labels = (
            None if each is None else as_array(each)[chosen] for each in parts
        )
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Rows(
            predictions=said, scores=scores, class_scores=class_scores, weights=weights, columns=columns, labels=labels
        )

    @property
    def truth(self) -> Any:
        """The labels as an array.

        Raises:
            NotMeasurableError: There are none.
        """
        if self.labels is None:
            raise NotMeasurableError("the reference of the baseline has no labels")
        return as_array(self.labels)

    def read(self, task: str, positive_label: str | int, classes: Sequence[str] = ()) -> Answers:
        """Return what the model answered.

        Raises:
            NotMeasurableError: Nothing can be estimated from it.
        """
        if task == "binary":
            return read_binary(
                scores=self.scores, predictions=self.predictions, weights=self.weights, positive_label=positive_label
            )
        if task == "multiclass":
            return read_multiclass(
                class_scores=self.class_scores, predictions=self.predictions, weights=self.weights, classes=classes
            )
        return read_values(predictions=self.predictions, weights=self.weights)


def read_binary(
    *, scores: ArrayLike | None, predictions: ArrayLike | None, weights: ArrayLike | None, positive_label: str | int
) -> Answers:
    """Return the rows that have a score, in the order given; up to a tenth may have none.

    Raises:
        NotMeasurableError: There is no score, or scores that are no probabilities.

    >>> found = read_binary(scores=[0.2, 0.9], predictions=["no", "yes"], weights=None, positive_label="yes")
    >>> found.scores[:, 0].tolist(), found.predicted.tolist()
    ([0.2, 0.9], [0.0, 1.0])
    """
    given = _given(scores, "score")
    kept = _answered(find_nulls(given), "score")
    score = finite_numbers(given[kept], "scores")
    _refuse_outside(score)
    said = None if predictions is None else as_array(predictions)[kept]
    predicted = None
    if said is not None and not find_nulls(said).any():
        positive = class_name(positive_label)
        predicted = np.array([float(name == positive) for name in class_names(said)])
    return Answers(kept=kept, predicted=predicted, scores=score[:, None], weight=_weight(weights, kept))


def read_multiclass(
    *,
    class_scores: ArrayLike | None,
    predictions: ArrayLike | None,
    weights: ArrayLike | None,
    classes: Sequence[str] = (),
) -> Answers:
    """Return the rows that have a prediction and a score of every class.

    Args:
        class_scores: A mapping of class to probability each, or its JSON text.
        predictions: A class each.
        weights: 1 / inclusion probability of each row; None for equal ones.
        classes: Which there are; those that occur by default.

    Raises:
        NotMeasurableError: Scores are missing, no probabilities, or of other classes.

    >>> found = read_multiclass(class_scores=['{"a": 0.9, "b": 0.1}'], predictions=["a"], weights=None)
    >>> found.classes, found.scores.tolist(), found.predicted.tolist()
    (('a', 'b'), [[0.9, 0.1]], [0.0])
    """
    given = [_mapping(each) for each in _given(class_scores, "scores")]
    named = tuple(classes) or tuple(sorted({name for each in given for name in each}))
    if strange := sorted({name for each in given for name in each} - set(named)):
        raise NotMeasurableError(f"scores are of {len(strange)} classes that the reference does not have")
    matrix = np.array([[each.get(name, np.nan) for name in named] for each in given], dtype=float)
    said = _given(predictions, "prediction")
    kept = _answered(np.isnan(matrix.reshape(len(given), -1)).any(axis=1) | find_nulls(said), "scores of every class")
    scores = matrix[kept]
    _refuse_outside(scores)
    wrong = int((np.abs(scores.sum(axis=1) - 1) > SUM_TOLERANCE).sum())
    if wrong:
        raise NotMeasurableError(f"the scores of {wrong:,} of {len(scores):,} rows do not sum to 1: no probabilities")
    place = {name: number for number, name in enumerate(named)}
    names = class_names(said[kept])
    if unknown := set(names) - set(place):
        raise NotMeasurableError(f"predictions are of {len(unknown)} classes that have no score")
    predicted = np.array([float(place[name]) for name in names])
    return Answers(kept=kept, predicted=predicted, scores=scores, weight=_weight(weights, kept), classes=named)


def read_values(*, predictions: ArrayLike | None, weights: ArrayLike | None) -> Answers:
    """Return the rows that have a predicted value.

    Raises:
        NotMeasurableError: There is none, or values that are no finite numbers.
    """
    given = _given(predictions, "prediction")
    kept = _answered(find_nulls(given), "prediction")
    values = finite_numbers(given[kept], "predictions")
    return Answers(kept=kept, predicted=values, scores=np.empty((len(kept), 0)), weight=_weight(weights, kept))


def _given(values: ArrayLike | None, what: str) -> Any:
    if values is None:
        raise NotMeasurableError(f"the log has no {what} column")
    return as_array(values)


def _answered(absent: np.ndarray[Any, np.dtype[np.bool_]], what: str) -> Positions:
    if not len(absent) or absent.mean() > UNANSWERED_SHARE_MAX:
        raise NotMeasurableError(f"{int(absent.sum()):,} of {len(absent):,} rows have no {what}")
    return np.flatnonzero(~absent)


def _weight(weights: ArrayLike | None, kept: Positions) -> Array:
    return np.ones(len(kept)) if weights is None else read_weights(as_array(weights)[kept])


def _refuse_outside(scores: Array) -> None:
    outside = int(((scores < 0) | (scores > 1)).sum())
    if outside:
        raise NotMeasurableError(f"{outside:,} of {scores.size:,} scores lie outside 0-1: they are no probabilities")


def _mapping(value: Any) -> Mapping[str, float]:
    """Return a row's scores by class, empty where it has none or they cannot be read."""
    try:
        read = json.loads(value) if isinstance(value, str) else value
        return {class_name(name): float(score) for name, score in dict(read or {}).items() if score is not None}
    except (ValueError, TypeError):
        return {}
