"""Expectations in words: what was expected, what was observed. Pure; shows counts and aggregates, never a cell.

Values of a set, most common values and text minima are cells or categories, so only their number is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

AGGREGATES = frozenset(
    {
        "expect_column_max_to_be_between",
        "expect_column_mean_to_be_between",
        "expect_column_median_to_be_between",
        "expect_column_min_to_be_between",
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_stdev_to_be_between",
        "expect_column_sum_to_be_between",
        "expect_column_unique_value_count_to_be_between",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
        "expect_column_quantile_values_to_be_between",
    }
)
TYPES = frozenset({"expect_column_values_to_be_in_type_list", "expect_column_values_to_be_of_type"})
_COUNTS = {
    "column.distinct_values.not_in_set.count": "unknown value",
    "column.distinct_values.missing_from_column.count": "missing value",
    "unexpected_rows_query.row_count": "unexpected row",
}
_PLAIN = {
    "expect_column_to_exist": "the column exists",
    "expect_column_values_to_not_be_null": "not null",
    "expect_column_values_to_be_null": "null",
    "expect_column_values_to_be_unique": "unique",
    "expect_table_columns_to_match_set": "the named columns",
    "expect_table_columns_to_match_ordered_list": "the named columns in order",
    "unexpected_rows_expectation": "no row returned by its query",
}


def column_of(kwargs: Mapping[str, Any]) -> str | None:
    """Return the column an expectation is about, several joined by a comma, None for the whole table.

    >>> column_of({"column_A": "dep", "column_B": "arr"})
    'dep, arr'
    """
    named = [kwargs[key] for key in ("column", "column_A", "column_B") if kwargs.get(key)]
    return ", ".join(str(name) for name in [*named, *(kwargs.get("column_list") or ())]) or None


def number(value: float) -> str:
    """Return a number as a person reads it: whole ones with separators, others with six digits.

    >>> number(1200000), number(0.123456789), number(3.0), number(float("inf"))
    ('1,200,000', '0.123457', '3', 'inf')
    """
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.6g}"


def expected_text(kind: str, kwargs: Mapping[str, Any]) -> str:
    """Say what an expectation asks for.

    >>> expected_text("expect_column_values_to_be_between", {"column": "age", "min_value": 0, "mostly": 0.99})
    'at least 0 for 99% of values'
    >>> expected_text("expect_column_values_to_be_in_set", {"column": "origin", "value_set": ["EWR", "JFK"]})
    'one of 2 known values'
    """
    mostly = kwargs.get("mostly", 1)
    share = "" if mostly == 1 else f"for {number(mostly * 100)}% of {'rows' if 'null' in kind else 'values'}"
    return f"{_demand(kind, kwargs)} {share}".strip()


def observed_text(kind: str, measured: Mapping[str, Any], *, nulls: int | None, rows: int) -> str:
    """Show what GX measured for an expectation: counts and aggregates; what could be a cell is left out.

    Args:
        kind: The expectation's type.
        measured: GX's metrics by name.
        nulls: Nulls of the expectation's column, None where it has not exactly one.
        rows: Rows of the window.

    >>> observed_text("expect_column_mean_to_be_between", {"column.mean": 41.25}, nulls=0, rows=9)
    '41.25'
    >>> observed_text("expect_column_values_to_be_between", {"column_values.between.unexpected_count": 1}, nulls=1, rows=9)
    '1 of 8 values unexpected (12.5%)'
    >>> observed_text("expect_column_most_common_value_to_be_in_set", {"column.most_common_value": ["Ada"]}, nulls=0, rows=9)
    ''
    """
    if kind == "expect_column_values_to_not_be_null":
        return f"{nulls or 0:,} of {_counted(rows, 'row')} null ({_percent(nulls or 0, rows)})"
    for name, value in measured.items():
        if name.endswith(".unexpected_count") and not name.startswith("column_values.nonnull"):
            looked_at = rows if nulls is None or kind == "expect_column_values_to_be_null" else rows - nulls
            return f"{value:,} of {_counted(looked_at, 'value')} unexpected ({_percent(value, looked_at)})"
        if name in _COUNTS:
            return _counted(value, _COUNTS[name])
    if kind in AGGREGATES:
        return _aggregate(next(iter(measured.values()), None))
    return ""


def _aggregate(value: Any) -> str:
    if isinstance(value, list) and all(map(_is_number, value)):
        return ", ".join(map(number, value))
    return number(value) if _is_number(value) else ""


def _demand(kind: str, kwargs: Mapping[str, Any]) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in TYPES:
        return "type " + " or ".join(map(str, kwargs.get("type_list") or [kwargs.get("type_")]))
    if "value_set" in kwargs:
        return _set_demand(kind, _counted(len(kwargs["value_set"] or ()), "known value"))
    if "regex" in kwargs or "like_pattern" in kwargs:
        return f"{'no match' if '_not_' in kind else 'match'} of {kwargs.get('regex') or kwargs.get('like_pattern')}"
    if "value" in kwargs and _is_number(kwargs["value"]):
        return f"exactly {number(kwargs['value'])}"
    return _range(kwargs)


def _set_demand(kind: str, values: str) -> str:
    if "contain_set" in kind or "equal_set" in kind:
        return f"{'all' if 'contain' in kind else 'exactly the'} {values}"
    return f"{'none' if '_not_' in kind else 'one'} of {values}"


def _range(kwargs: Mapping[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if not _is_number(low) and not _is_number(high):
        return ""
    if _is_number(low) and _is_number(high) and not (kwargs.get("strict_min") or kwargs.get("strict_max")):
        return f"between {number(low)} and {number(high)}"
    over = f"{'more than' if kwargs.get('strict_min') else 'at least'} {number(low)}" if _is_number(low) else ""
    under = f"{'less than' if kwargs.get('strict_max') else 'at most'} {number(high)}" if _is_number(high) else ""
    return " and ".join(filter(None, (over, under)))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g}%" if whole else "no value"


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
