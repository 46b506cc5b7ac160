"""The proposed suite: complete, guarded against vacuous passes, met by its own reference."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import great_expectations as gx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.adapters.validation_gx import load_suite, validate
from retrue.propose import propose_suite
from retrue.results import ColumnKind, ColumnProfile, Profile

DATABASE = ":memory:retrue_test_propose"


def number(name: str = "distance", **values: Any) -> ColumnProfile:
    known: dict[str, Any] = {"rows": 1000, "nulls": 0, "null_share": 0.0, "minimum": 10.0, "maximum": 90.0}
    return ColumnProfile(name=name, kind=ColumnKind.NUMBER, type="DOUBLE", **(known | values))


def words(categories: Mapping[str, float] | None, name: str = "origin", **values: Any) -> ColumnProfile:
    known: dict[str, Any] = {"rows": 1000, "nulls": 0, "null_share": 0.0, "distinct": len(categories or {})}
    return ColumnProfile(name=name, kind=ColumnKind.TEXT, type="VARCHAR", categories=categories, **(known | values))


def propose(*columns: ColumnProfile, **options: Any) -> list[dict[str, Any]]:
    profile = Profile(rows=1000, columns={column.name: column for column in columns})
    expectations: list[dict[str, Any]] = propose_suite("flight-delay", profile, **options)["expectations"]
    return expectations


def of_kind(expectations: list[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    return [entry["kwargs"] for entry in expectations if part in entry["type"]]


def test_rows_and_the_null_share_of_every_column_come_first() -> None:
    odd = ColumnProfile(name="tags", kind=ColumnKind.OTHER, type="VARCHAR[]", rows=1000, nulls=1000, null_share=1.0)
    expectations = propose(number(), words({"EWR": 1.0}), odd)
    assert [entry["type"].removeprefix("expect_") for entry in expectations[:4]] == [
        "table_row_count_to_be_between",
        *["column_values_to_not_be_null"] * 3,
    ]
    assert [entry["column"] for entry in of_kind(expectations, "not_be_null")] == ["distance", "origin", "tags"]


def test_every_expectation_gives_its_reason_with_numbers() -> None:
    for entry in propose(number(), words({"EWR": 0.4, "JFK": 0.6})):
        assert entry["meta"]["why"]
        assert entry["severity"] in {"critical", "warning", "info"}
    assert "10 to 90" in propose(number())[-1]["meta"]["why"]


def test_a_quarter_of_a_usual_window_must_be_there_and_at_least_one_row() -> None:
    assert of_kind(propose(number(), window_rows=7000), "row_count") == [{"min_value": 1750}]
    assert of_kind(propose(number()), "row_count") == [{"min_value": 1}]
    assert of_kind(propose(number(), window_rows=2), "row_count") == [{"min_value": 1}]


@pytest.mark.parametrize(("nulls", "mostly"), [(0, 0.95), (123, 0.827), (1000, 0.0), (980, 0.0)])
def test_five_points_more_of_nulls_are_allowed(nulls: int, mostly: float) -> None:
    expectations = propose(number(nulls=nulls, null_share=nulls / 1000))
    assert of_kind(expectations, "not_be_null")[0]["mostly"] == pytest.approx(mostly)


@pytest.mark.parametrize(
    ("low", "high", "bounds"),
    [
        (10.0, 90.0, (2.0, 98.0)),
        (0.0, 1.0, (0.0, 1.1)),
        (-5.0, 5.0, (-6.0, 6.0)),
        (7.0, 7.0, (6.3, 7.7)),
        (0.0, 0.0, (0.0, 1.0)),
        (3.0, 4971.0, (0.0, 5470.0)),
        (0.00013, 0.00017, (0.000126, 0.000174)),
    ],
)
def test_a_tenth_of_the_range_is_added_but_nothing_below_zero(
    low: float, high: float, bounds: tuple[float, float]
) -> None:
    kwargs = of_kind(propose(number(minimum=low, maximum=high)), "values_to_be_between")[0]
    assert (kwargs["min_value"], kwargs["max_value"]) == pytest.approx(bounds)


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_bounds_always_hold_the_reference(first: float, second: float) -> None:
    low, high = sorted((first, second))
    kwargs = of_kind(propose(number(minimum=low, maximum=high)), "values_to_be_between")[0]
    assert kwargs["min_value"] <= low <= high <= kwargs["max_value"]
    assert math.isfinite(kwargs["min_value"])


def test_a_set_is_proposed_only_where_all_categories_are_known_and_few() -> None:
    few = {"JFK": 0.5, "EWR": 0.5}
    assert of_kind(propose(words(few)), "in_set")[0]["value_set"] == ["EWR", "JFK"]
    assert not of_kind(propose(words(few, distinct=3)), "in_set")
    assert not of_kind(propose(words({f"user{n}": 1 / 51 for n in range(51)})), "in_set")
    assert not of_kind(propose(words(None)), "in_set")


def test_labels_arrive_late_and_are_not_expected() -> None:
    assert {entry["kwargs"].get("column") for entry in propose(number("label"), number("score"))} == {None, "score"}


def test_the_reference_meets_its_own_suite_and_plain_gx_loads_it(tmp_path: Path) -> None:
    with duckdb.connect(DATABASE) as connection:
        connection.execute(
            """create table current as select range::double * 3.7 as distance, range % 7 as day,
            case when range % 9 = 0 then null when range % 2 = 0 then 'EWR' else 'JFK' end as origin,
            case when range % 50 = 0 then 'inf'::double when range % 49 = 0 then 'nan'::double else -range end as odd,
            null::integer as empty, range % 2 = 0 as late, date '2013-01-01' + range::integer as "</script>",
            timestamp '2013-01-01' as at, (range / 7)::decimal(10, 2) as price, range::utinyint as hour,
            [range] as tags from range(200)"""
        )
        path = tmp_path / "suite.json"
        path.write_text(json.dumps(propose_suite("flight-delay", _profile(connection), window_rows=200)))
        suite = load_suite(path)
        result = validate(DATABASE, "current", suite)
    assert [(each.kind, each.column, each.problem) for each in result.outcomes if each.success is not True] == []
    kinds = {(outcome.kind, outcome.column) for outcome in result.outcomes}
    assert ("expect_column_values_to_be_in_set", "origin") in kinds
    assert ("expect_column_values_to_be_between", "odd") in kinds
    assert len(gx.ExpectationSuite(**json.loads(path.read_text())).expectations) == len(suite.entries) == 27


def test_a_window_of_nothing_but_nulls_or_of_text_does_not_meet_it(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    path.write_text(json.dumps(propose_suite("m", Profile(rows=1000, columns={"distance": number()}))))
    with duckdb.connect(DATABASE) as connection:
        for table, success in (
            ("select null::double as distance from range(9)", [True, False, True, None]),
            ("select 'far' as distance from range(9)", [True, True, False, None]),
            ("select 1.0::double as distance from range(0)", [False, None, True, None]),
            ("select 1 as other from range(9)", [True, None, None, None]),
        ):
            connection.execute(f"create or replace table current as {table}")
            outcomes = validate(DATABASE, "current", load_suite(path)).outcomes
            assert [outcome.success for outcome in outcomes] == success


_KINDS = {"DOUBLE": "NUMBER", "BIGINT": "NUMBER", "INTEGER": "NUMBER", "DECIMAL(10,2)": "NUMBER", "UTINYINT": "NUMBER",
          "VARCHAR": "TEXT", "BOOLEAN": "BOOLEAN", "DATE": "TIME", "TIMESTAMP": "TIME"}  # fmt: skip


def _profile(connection: duckdb.DuckDBPyConnection) -> Profile:
    columns = [row[:2] for row in connection.execute("describe current").fetchall()]
    return Profile(rows=200, columns={name: _column(connection, name, kind) for name, kind in columns})


def _column(connection: duckdb.DuckDBPyConnection, name: str, type_name: str) -> ColumnProfile:
    kind = ColumnKind[_KINDS.get(type_name, "OTHER")]
    values = [row[0] for row in connection.execute(f'select "{name}" from current').fetchall()]
    there = [value for value in values if value is not None]
    numbers = [float(value) for value in there] if kind is ColumnKind.NUMBER else []
    finite = [value for value in numbers if math.isfinite(value)]
    return ColumnProfile(
        name=name,
        kind=kind,
        type=type_name,
        rows=200,
        nulls=200 - len(there),
        null_share=1 - len(there) / 200,
        nans=sum(map(math.isnan, numbers)),
        infinities=sum(map(math.isinf, numbers)),
        minimum=min(finite, default=None),
        maximum=max(finite, default=None),
        distinct=len(set(map(str, there))),
        categories={value: there.count(value) / len(there) for value in set(there)}
        if kind is ColumnKind.TEXT
        else None,
    )
