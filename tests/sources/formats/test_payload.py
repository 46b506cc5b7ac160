"""Bodies of requests and responses: every shape that servers take and give."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.config.sources import FieldNames
from retrue.sources.formats.payload import body, csv_rows, failure, records, request_rows, response_rows, typed
from retrue.sources.formats.refused import RefusedEventError


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"dataframe_records": [{"a": 1}, {"a": 2}]}, [{"a": 1}, {"a": 2}]),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}, [{"a": 1, "b": 2}]),
        ({"dataframe_split": {"index": [0], "data": [[1]]}}, [{"f0": 1}]),
        ({"inputs": {"a": [1, 2], "b": ["x", "y"]}}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ({"inputs": [[1, 2]]}, [{"f0": 1, "f1": 2}]),
        ({"inputs": "hello"}, [{"f0": "hello"}]),
        ({"instances": [{"x": 1}, {"x": 2}], "params": {"scale": 3}}, [{"x": 1}, {"x": 2}]),
        ({"instances": [1, 2]}, [{"f0": 1}, {"f0": 2}]),
        ({"instances": [{"features": [1, 2]}]}, [{"f0": 1, "f1": 2}]),
        ([[1, 2], [3, 4]], [{"f0": 1, "f1": 2}, {"f0": 3, "f1": 4}]),
        ([1, 2], [{"f0": 1, "f1": 2}]),
        ([{"a": 1}], [{"a": 1}]),
        ({"age": 3, "plan": "x"}, [{"age": 3, "plan": "x"}]),
        ("hello", [{"input": "hello"}]),
        (None, []),
    ],
)
def test_every_shape_of_request_becomes_rows(value: Any, rows: list[dict[str, Any]]) -> None:
    assert request_rows(value, ()) == rows


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(RefusedEventError):
        request_rows({"inputs": {"a": [1, 2], "b": [1]}}, ())


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"predictions": [1, 0]}, [{"prediction": 1}, {"prediction": 0}]),
        ({"predictions": [[0.1, 0.9]]}, [{"prediction": [0.1, 0.9]}]),
        ({"predictions": [[0.9]]}, [{"prediction": 0.9}]),
        ({"predictions": [{"score": 0.9, "predicted_label": 1}]}, [{"score": 0.9, "prediction": 1}]),
        ({"predictions": [{"answer": "yes"}]}, [{"prediction": "yes"}]),
        ({"predictions": [{"a": 1, "b": 2}]}, [{"prediction": {"a": 1, "b": 2}}]),
        ([[0.5]], [{"prediction": 0.5}]),
        (0.5, [{"prediction": 0.5}]),
        ({"outputs": [{"name": "p", "shape": [2], "data": [1, 2]}]}, [{"prediction": 1}, {"prediction": 2}]),
        (None, []),
    ],
)
def test_every_shape_of_response_becomes_rows(value: Any, rows: list[dict[str, Any]]) -> None:
    assert response_rows(value, (), FieldNames()) == rows


def test_outputs_name_what_has_no_name() -> None:
    assert response_rows([[1, 0.9]], ("prediction", "score"), FieldNames()) == [{"score": 0.9, "prediction": 1}]
    assert response_rows([0.9], ("score",), FieldNames()) == [{"score": 0.9}]
    chosen = FieldNames(prediction="cls", score="p")
    assert response_rows([{"cls": "x", "p": 0.9, "score": 3}], (), chosen) == [{"score": 0.9, "prediction": "x"}]


def test_tokens_are_of_the_call_and_stand_on_its_first_row() -> None:
    rows = list(
        records("e", [{"a": 1}, {"a": 2}], [{"prediction": 0}, {"prediction": 1}], {"time": 1}, {"input_tokens": 9})
    )
    assert [row.get("input_tokens") for row in rows] == [9, None]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("5", 5), ("-5", -5), ("5.0", 5.0), ("1e3", 1000.0), ("", None), (" 7 ", 7), ("007", "007"), ("0.5", 0.5), ("1_000", "1_000"),
     ("٣", "٣"), ("1" * 30, float("1" * 30)), ("+3", 3.0), ("True", "True"), ("-0", 0), ("1,5", "1,5")],
)  # fmt: skip
def test_a_cell_is_a_number_only_where_it_is_written_as_one(cell: str, value: Any) -> None:
    assert typed(cell) == value
    assert type(typed(cell)) is type(value)


def test_cells_may_be_no_number_or_infinite() -> None:
    assert math.isnan(typed("NaN"))
    assert typed("-inf") == -math.inf


@given(
    st.lists(
        st.lists(st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False)), min_size=1),
        min_size=1,
    )
)
def test_numbers_survive_csv(rows: list[list[float]]) -> None:
    assert csv_rows("\n".join(",".join(map(repr, row)) for row in rows)) == rows


def test_a_body_without_a_content_type_is_what_it_looks_like() -> None:
    assert body('{"a": 1}') == {"a": 1}
    assert body("1,2\n3,4") == [[1, 2], [3, 4]]
    assert body('{"a": 1}\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]
    assert body("") is None
    with pytest.raises(RefusedEventError):
        body("{torn", content_type="application/json")


@pytest.mark.parametrize("code", [None, "", "abc", True])
def test_what_is_no_code_is_no_status(code: object) -> None:
    assert failure(code, None).get("status") in (None, "rejected")
