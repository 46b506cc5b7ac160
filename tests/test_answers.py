"""What a model answered is read without labels, and what is no probability is refused with its reason."""

from typing import Any

import numpy as np
import pytest

from retrue.answers import read_binary, read_multiclass, read_values
from retrue.labelled import NotMeasurableError


def binary(**changed: Any) -> Any:
    return read_binary(**{"scores": [0.2, 0.8], "predictions": [0, 1], "weights": None, "positive_label": 1, **changed})


def multiclass(*rows: object, predictions: Any = None, **changed: Any) -> Any:
    said = ["a"] * len(rows) if predictions is None else predictions
    return read_multiclass(class_scores=list(rows), predictions=said, weights=None, **changed)


@pytest.mark.parametrize("predictions", [[0, 1], ["0", "1.0"], [False, True]])
def test_classes_are_one_however_they_are_written(predictions: list[object]) -> None:
    assert binary(predictions=predictions).predicted.tolist() == [0.0, 1.0]


def test_up_to_a_tenth_of_rows_may_have_no_score() -> None:
    found = binary(scores=[None, *[0.5] * 19], predictions=None, weights=[2.0] * 20)
    assert (len(found.kept), found.kept[0], found.predicted, found.weight.sum()) == (19, 1, None, 38.0)
    with pytest.raises(NotMeasurableError, match="2 of 4 rows have no score"):
        binary(scores=[None, None, 0.1, 0.2], predictions=None)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"scores": None}, "no score column"),
        ({"scores": [-2.0, 3.5]}, "2 of 2 scores lie outside 0-1: they are no probabilities"),
        ({"scores": ["high", "low"]}, "scores are not numbers"),
        ({"scores": []}, "0 of 0 rows have no score"),
        ({"weights": [-1.0, 1.0]}, "sample weights are negative"),
    ],
)
def test_what_is_no_probability_is_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotMeasurableError, match=reason):
        binary(**changed)


def test_scores_of_classes_are_read_from_mappings_and_json() -> None:
    found = multiclass({"b": 0.25, "a": 0.75}, '{"a": 0.5, "b": 0.5}', predictions=["b", "a"])
    assert found.classes == ("a", "b")
    assert found.scores.tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert found.predicted.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("rows", "changed", "reason"),
    [
        ([{"a": 0.9, "b": 0.4}], {}, "do not sum to 1"),
        ([{"a": 0.9, "c": 0.1}], {"classes": ("a", "b")}, "1 classes that the reference does not have"),
        ([{"a": 1.0}], {"predictions": ["z"]}, "classes that have no score"),
        (["no json", None], {}, "2 of 2 rows have no scores of every class|sum to 1"),
    ],
)
def test_scores_of_classes_that_are_no_probabilities_are_refused(
    rows: list[Any], changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(NotMeasurableError, match=reason):
        multiclass(*rows, **changed)


def test_values_of_a_regression_are_finite_numbers() -> None:
    assert read_values(predictions=np.array([1.0, 2.0]), weights=None).predicted is not None
    with pytest.raises(NotMeasurableError, match="not finite"):
        read_values(predictions=np.array([1.0, np.inf]), weights=None)
    with pytest.raises(NotMeasurableError, match="no prediction column"):
        read_values(predictions=None, weights=None)
