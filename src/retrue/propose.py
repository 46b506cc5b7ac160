"""A first expectation suite out of a reference profile, for a person to edit. Pure.

Great Expectations passes vacuously: null and range checks succeed on no rows, range checks on nothing but nulls. So
every suite starts with the row count and the null share of every column. Each expectation says in ``meta.why`` which
numbers of the reference it comes from and what margin it adds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from retrue.digits import percent
from retrue.results import ColumnKind, ColumnProfile, Profile, Severity

NULL_MARGIN = 0.05  # share of rows; the default of quality.max_null_rise
RANGE_MARGIN = 0.1  # share of the reference's range, on either side
RANGE_SLACK = 0.01  # share of rows; of a small window a single odd value is more than a thousandth
CATEGORY_SLACK = 0.01  # share of values; the default of quality.max_unseen_share
CATEGORIES_MAX = 50  # more look like identifiers or free text, which a set does not describe
ROWS_MARGIN = 0.25  # share of a usual window's rows that must be there

LATE_COLUMNS = frozenset({"label", "labelled_at"})  # they arrive after their window is first judged

_TYPES: Mapping[ColumnKind, tuple[str, ...]] = {
    ColumnKind.NUMBER: ("Integer", "Float", "Numeric"),
    ColumnKind.TEXT: ("String",),
    ColumnKind.BOOLEAN: ("Boolean",),
    ColumnKind.TIME: ("DateTime", "Date", "Time"),
}


def propose_suite(name: str, profile: Profile, *, window_rows: int | None = None) -> dict[str, Any]:
    """Return a suite in Great Expectations' own JSON form that the reference itself meets.

    Args:
        name: The suite's name, usually the model's.
        profile: The reference's profile; categories are used where it has all of a column's.
        window_rows: Rows of a usual window, None where unknown: the reference's rows say nothing about a window's.

    Returns:
        A dictionary that ``json.dumps`` takes: name, expectations in reading order (rows, null shares, types, ranges,
        category sets), meta.
    """
    columns = [column for key, column in sorted(profile.columns.items()) if key not in LATE_COLUMNS]
    expectations = [
        _rows(profile, window_rows),
        *(_nulls(column) for column in columns),
        *(entry for column in columns for entry in _type(column)),
        *(entry for column in columns for entry in _range(column)),
        *(entry for column in columns for entry in _categories(column)),
    ]
    return {"name": name, "expectations": expectations, "meta": {"proposed_from_rows": profile.rows}}


def _entry(kind: str, kwargs: Mapping[str, Any], severity: Severity, why: str) -> dict[str, Any]:
    return {"type": kind, "kwargs": dict(kwargs), "severity": severity.value, "meta": {"why": why}}


def _rows(profile: Profile, window_rows: int | None) -> dict[str, Any]:
    least = max(1, math.floor((window_rows or 0) * ROWS_MARGIN))
    usual = f"A usual window has {window_rows:,} rows; a quarter must be there." if window_rows else "Not empty."
    why = f"{usual} Without rows every other expectation passes. The reference has {profile.rows:,}."
    return _entry("expect_table_row_count_to_be_between", {"min_value": least}, Severity.CRITICAL, why)


def _nulls(column: ColumnProfile) -> dict[str, Any]:
    share = column.nulls / column.rows if column.rows else 0.0
    mostly = _floor(1 - share - NULL_MARGIN)
    why = f"{percent(share)} of {column.rows:,} reference rows are null; {NULL_MARGIN:.0%} of rows more may be."
    kwargs = {"column": column.name, "mostly": mostly}
    return _entry("expect_column_values_to_not_be_null", kwargs, Severity.WARNING, why)


def _type(column: ColumnProfile) -> Iterator[dict[str, Any]]:
    if column.kind in _TYPES and column.nulls < column.rows:
        why = f"The reference has {column.type}; any {column.kind.value} will do, another kind breaks the model."
        kwargs = {"column": column.name, "type_list": list(_TYPES[column.kind])}
        yield _entry("expect_column_values_to_be_in_type_list", kwargs, Severity.CRITICAL, why)


def _range(column: ColumnProfile) -> Iterator[dict[str, Any]]:
    low, high = column.minimum, column.maximum
    if column.kind is not ColumnKind.NUMBER or low is None or high is None or not column.measurable:
        return
    margin = (high - low) * RANGE_MARGIN or abs(low) * RANGE_MARGIN or 1.0
    step = 10.0 ** (math.floor(math.log10(margin)) - 1)
    least, most = _multiple(math.floor, low - margin, step), _multiple(math.ceil, high + margin, step)
    odd = (column.infinities + column.nans) / (column.rows - column.nulls)
    why = f"The reference lies in {low:,.6g} to {high:,.6g}; a tenth of that range is added on either side" + (
        ", not below zero." if least < 0 <= low else "."
    )
    kwargs = {
        "column": column.name,
        "min_value": 0.0 if least < 0 <= low else min(least, low),
        "max_value": max(most, high),
        "mostly": _floor(1 - odd - RANGE_SLACK),
    }
    yield _entry("expect_column_values_to_be_between", kwargs, Severity.WARNING, why)


def _categories(column: ColumnProfile) -> Iterator[dict[str, Any]]:
    known = column.categories or {}
    if column.kind is not ColumnKind.TEXT or not 0 < column.distinct == len(known) <= CATEGORIES_MAX:
        return
    why = f"The reference has these {_values(len(known))}; the model learned no other. Up to {CATEGORY_SLACK:.0%} may be new."
    kwargs = {"column": column.name, "value_set": sorted(known), "mostly": 1 - CATEGORY_SLACK}
    yield _entry("expect_column_values_to_be_in_set", kwargs, Severity.WARNING, why)


def _values(count: int) -> str:
    return "one value" if count == 1 else f"{count} values"


def _floor(share: float) -> float:
    """Round down to a thousandth, so that the reference itself stays within, and into 0-1."""
    return max(0.0, math.floor(round(share, 9) * 1000) / 1000)


def _multiple(towards: Callable[[float], int], value: float, step: float) -> float:
    """Round a bound outward to a multiple of ``step``, a power of ten, so that a person can read it."""
    decimals = max(0, -round(math.log10(step)))
    return round(towards(round(value / step, 6)) * step, decimals)
