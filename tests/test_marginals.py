"""Marginals: what several rows share stays, what names somebody goes, and no order of rows can be found again."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.marginals import POOLED, SHARED_ROWS, empty_columns, with_marginals

DRAW = np.random.default_rng(0)


def marginal(values: pa.Array | list[object], *, nothing: bool = False) -> pa.ChunkedArray:
    table = pa.table({"x": values})
    return with_marginals(table, ["x"], nothing_of=["x"] if nothing else [], seed=0)["x"]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20), min_size=1, max_size=120))
def test_no_extreme_that_few_rows_have_survives(values: list[int]) -> None:
    kept, counts = Counter(marginal(pa.array(values, pa.int64())).to_pylist()), Counter(values)
    for extreme in (min(values), max(values)):
        assert (extreme in kept) == (counts[extreme] >= SHARED_ROWS)
    for value, count in counts.items():
        assert count < SHARED_ROWS or kept[value] >= count


@given(st.lists(st.floats(allow_nan=False), min_size=15, max_size=80, unique=True))
def test_numbers_stay_finite_within_their_range_and_as_many(values: list[float]) -> None:
    made = marginal(pa.array(values)).to_pylist()
    finite = [each for each in values if np.isfinite(each)]
    if len(finite) >= 15:
        assert len(made) == len(values)
        assert all(min(finite) <= each <= max(finite) for each in made if np.isfinite(each))


@given(order=st.permutations(range(40)))
def test_the_order_of_rows_leaves_no_trace(order: list[int]) -> None:
    """A permutation by a known seed could be undone: columns would be rows again."""
    table = pa.table(
        {"age": [float(number**2) for number in range(40)], "town": [f"t{number % 4}" for number in range(40)]}
    )
    made = with_marginals(table, table.column_names, nothing_of=[], seed=3)
    assert with_marginals(table.take(order), table.column_names, nothing_of=[], seed=3).equals(made)


def test_columns_are_not_in_one_order() -> None:
    numbers = np.arange(5000.0)
    table = pa.table({"a": numbers, "b": numbers})
    made = with_marginals(table, ["a", "b"], nothing_of=[], seed=0).to_pandas()
    assert abs(made["a"].corr(made["b"])) < 0.05
    assert abs(np.corrcoef(made["a"], numbers)[0, 1]) < 0.05


def test_a_distribution_moves_by_less_than_a_thousandth() -> None:
    values = DRAW.normal(size=20_000)
    made = np.sort(marginal(pa.array(values)).to_numpy())
    assert np.abs(made - np.sort(values)).mean() < 0.005
    assert len(np.unique(made)) < 1001


def test_texts_that_few_rows_share_are_one() -> None:
    made = Counter(marginal(["ES"] * 7 + ["FR"] * 5 + ["canary", "x", "x", None]).to_pylist())
    assert made == {"ES": 7, "FR": 5, POOLED: 3, None: 1}


@pytest.mark.parametrize("values", [[f"id-{n}" for n in range(99)], [1.5, 2.5, 3.5], [b"bytes"] * 9, [[1]] * 9])
def test_of_ids_of_few_rows_and_of_what_is_no_plain_value_nothing_is_left(values: list[object]) -> None:
    made = with_marginals(pa.table({"x": values}), ["x"], nothing_of=[], seed=0)
    assert empty_columns(made, ["x"]) == ("x",)


def test_a_class_that_few_rows_have_becomes_no_class_of_its_own() -> None:
    assert Counter(marginal([0] * 50 + [1] * 20 + [7] * 2).to_pylist()) == {0: 51, 1: 21}
    assert Counter(marginal([True] * 50 + [False] * 2).to_pylist()) == {True: 52}


@pytest.mark.parametrize(
    "values",
    [
        pa.array([*range(50), None], pa.int16()),
        pa.array([*range(50), None], pa.float32()),
        pa.array([2**62 + number for number in range(50)], pa.uint64()),
        pa.array([Decimal(number) / 4 for number in range(50)], pa.decimal128(10, 2)),
        pa.array([*range(50), None], pa.timestamp("ns", "UTC")),
        pa.array([*range(50)], pa.date32()),
        pa.array(["a", "b", None] * 9).dictionary_encode(),
        pa.array(["a", "b", None] * 9, pa.large_string()),
        pa.array([True, False, None] * 9),
    ],
    ids=lambda values: str(values.type),
)
def test_types_rows_and_nulls_stay(values: pa.Array) -> None:
    made = marginal(values)
    assert (made.type, len(made), made.null_count) == (values.type, len(values), values.null_count)
    assert marginal(values, nothing=True).null_count == len(values)


def test_infinite_values_stay_and_other_columns_are_left_alone() -> None:
    table = pa.table({"x": [*map(float, range(30)), float("inf")], "y": [f"{number}" for number in range(31)]})
    made = with_marginals(table, ["x"], nothing_of=[], seed=0)
    assert Counter(made["x"].to_pylist())[float("inf")] == 1
    assert made["y"].equals(table["y"])
