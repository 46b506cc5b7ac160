"""What lies outside a reference is told row by row, and how much of it is usual by the reference itself."""

import numpy as np
import pytest

from retrue.statistics.support import LIMIT_LEAST, Bounds, bounds_of, unsupported, usual_share


def text(*values: str | None) -> np.ndarray:
    return np.array(values, dtype=object)


def test_a_window_like_its_reference_is_supported() -> None:
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=5_000), "c": rng.choice(["a", "b"], 5_000).astype(object)}
    bounds = {name: bounds_of(values) for name, values in columns.items()}
    later = {"x": rng.normal(size=1_000), "c": rng.choice(["a", "b"], 1_000).astype(object)}
    share = np.logical_or.reduce(list(unsupported(later, bounds).values())).mean()
    assert share < LIMIT_LEAST


def test_nulls_are_outside_only_where_the_reference_has_none() -> None:
    assert bounds_of(text("a", "b")).outside(text("a", None)).tolist() == [False, True]
    assert bounds_of(text("a", None)).outside(text("a", None, "z")).tolist() == [False, False, True]
    assert bounds_of(np.array([1.0, np.nan])).outside(np.array([np.nan, 2.0])).tolist() == [False, True]


def test_a_column_that_has_no_bounds_supports_everything() -> None:
    assert not Bounds(nullable=True).outside(np.array([1.0, np.nan])).any()
    assert not Bounds(nullable=True).outside(text("id-1", None)).any()
    assert unsupported({"x": np.array([1.0])}, {}) == {}


def test_a_reference_that_moves_with_time_allows_what_it_shows_of_itself() -> None:
    still = np.tile(np.linspace(0, 1, 100), 10)
    moving = still + np.repeat(np.arange(10) * 0.02, 100)
    assert usual_share({"x": still}, np.ones(1_000)) == LIMIT_LEAST
    assert usual_share({"x": moving * 10}, np.ones(1_000)) == usual_share({"x": moving}, np.ones(1_000))


def test_weights_count_in_the_usual_share() -> None:
    values = np.concatenate([np.zeros(95), np.ones(5)])
    light = np.concatenate([np.ones(95), np.full(5, 0.1)])
    heavy = np.concatenate([np.ones(95), np.full(5, 100.0)])
    assert usual_share({"x": values}, light) < 0.2 < 0.9 < usual_share({"x": values}, heavy)


@pytest.mark.parametrize("rows", [1, 5])
def test_fewer_rows_than_blocks_are_not_refused(rows: int) -> None:
    assert usual_share({"x": np.zeros(rows)}, np.ones(rows)) >= LIMIT_LEAST
