import numpy as np

from retrue.results import Condition
from retrue.statistics.conditions import bucketed, parts_of


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


def test_parts_share_out_all_rows() -> None:
    for values in (np.append(np.arange(500.0), np.nan), texts("a", "b", None, "a")):
        parts = list(parts_of(bucketed("x", values), most=20))
        assert (sum(rows.astype(int) for _, rows in parts) == 1).all()


def test_of_many_categories_the_commonest_are_parts() -> None:
    column = bucketed("dest", texts(*"aaabbc"))
    assert [str(each) for each, _ in parts_of(column, most=2)] == ["dest = a", "dest = b"]


def test_a_text_too_long_for_a_category_is_no_condition() -> None:
    assert [str(each) for each in bucketed("note", texts("x" * 101, "short")).conditions] == ["note = short"]
