import numpy as np
import pytest

from retrue.results import Condition
from retrue.statistics.conditions import QUARTERS, SHARES, bucketed, parts_of, rounded_edges

RNG = np.random.default_rng(0)


def texts(*values: str | None) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def test_categories_and_missing_values_are_conditions() -> None:
    column = bucketed("origin", texts("EWR", None, "JFK", "EWR"))
    assert {str(each): column.holds(each).tolist() for each in column.conditions} == {
        "origin = EWR": [True, False, False, True],
        "origin = JFK": [False, False, True, False],
        "origin is missing": [False, True, False, False],
    }


def test_a_number_of_few_values_is_taken_as_categories() -> None:
    column = bucketed("stops", np.array([0.0, 1.0, np.nan, 0.0]))
    assert [str(each) for each in column.conditions] == ["stops = 0", "stops = 1", "stops is missing"]


def test_ranges_hold_the_rows_that_they_say() -> None:
    values = np.append(np.arange(1000.0), [np.nan, np.inf])
    column = bucketed("temp", values, shares=(0.25, 0.5, 0.75))
    held = {str(each): values[column.holds(each)] for each in column.conditions}
    assert held["temp < 250"].max() == 249
    assert held["temp >= 749"].tolist() == list(range(749, 1000))
    assert held["temp in [250, 500)"].tolist() == list(range(250, 500))
    assert len(held["temp is missing"]) == 2


def test_ranges_are_between_the_quantiles_of_the_rows_they_are_to_be_like() -> None:
    values = np.concatenate([np.arange(1000.0), np.arange(5000.0, 6000.0)])
    alike = bucketed("temp", values, like=values < 1000, shares=(0.5,))
    assert Condition(column="temp", relation=">=", value="500") in alike.conditions


@pytest.mark.parametrize(
    "values",
    [
        RNG.uniform(1000, 1009, 4000),
        RNG.normal(-73.97, 0.01, 4000),
        1.7e9 + RNG.uniform(0, 3600, 4000),
        5e-6 + RNG.normal(0, 1e-9, 4000),
        RNG.lognormal(0, 3, 4000),
        np.round(RNG.exponential(20, 4000)) + 0.99,
        np.where(RNG.random(4000) < 0.4, 19.99, RNG.uniform(10, 40, 4000)),
    ],
    ids=["pressure", "longitude", "time", "near a constant", "skewed", "prices", "one common price"],
)
@pytest.mark.parametrize("shares", [QUARTERS, SHARES], ids=["quarters", "tenths"])
def test_edges_cut_where_the_quantiles_do(values: np.ndarray, shares: tuple[float, ...]) -> None:
    quantiles = np.quantile(values, shares)
    edges = rounded_edges(quantiles.tolist(), of=np.sort(values))
    assert len(edges) == len(np.unique(quantiles))
    for edge, quantile in zip(edges, np.unique(quantiles), strict=True):
        assert abs((values < edge).mean() - (values < quantile).mean()) <= 0.01
    column = bucketed("x", values, shares=shares)
    assert len(list(parts_of(column, most=20))) == len(edges) + 1
    assert len({str(each) for each in column.conditions}) == len(column.conditions) == 3 * len(edges) - 1


def test_edges_have_no_more_digits_than_it_takes() -> None:
    pressure = bucketed("pressure", np.linspace(1000, 1009, 4001), shares=QUARTERS)
    told = [str(each) for each, _ in parts_of(pressure, most=4)]
    assert told == [
        "pressure < 1,002.2",
        "pressure in [1,002.2, 1,004.5)",
        "pressure in [1,004.5, 1,006.8)",
        "pressure >= 1,006.8",
    ]
    few = np.random.default_rng(0).normal(50, 10, 40)
    assert all(len(str(edge)) <= 5 for edge in rounded_edges(np.quantile(few, QUARTERS).tolist(), of=np.sort(few)))


def test_numbers_that_would_look_alike_are_conditions_of_their_own() -> None:
    for values in ([1e15, 1e15 + 1, 1e15 + 2], [0.00012341, 0.00012342], [1234567.1, 1234567.1000004]):
        column = bucketed("id", np.array(values * 3))
        assert [column.holds(each).sum() for each in column.conditions] == [3] * len(values)


def test_parts_share_out_all_rows() -> None:
    for values in (np.append(np.arange(500.0), np.nan), texts("a", "b", None, "a")):
        parts = list(parts_of(bucketed("x", values), most=20))
        assert (sum(rows.astype(int) for _, rows in parts) == 1).all()


def test_of_many_categories_the_commonest_are_parts() -> None:
    column = bucketed("dest", texts(*"aaabbc"))
    assert [str(each) for each, _ in parts_of(column, most=2)] == ["dest = a", "dest = b"]


def test_a_text_too_long_for_a_category_is_no_condition() -> None:
    assert [str(each) for each in bucketed("note", texts("x" * 101, "short")).conditions] == ["note = short"]
