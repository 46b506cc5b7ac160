"""Batches of JSON records as typed Arrow columns.

A column whose values are of more than one kind becomes text; whole and fractional numbers together are fractional.
Lists and objects are kept as JSON text of their own kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from types import NoneType
from typing import TYPE_CHECKING, Any

import orjson

from retrue.sources.json_lines import Record

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_OF_WHOLE = 1e15  # floats below it that have no fraction are written as whole numbers
_INT64 = 2**63


class Kind(StrEnum):
    """What the values of a column are, whatever file they come from. UNKNOWN is a column of nulls."""

    UNKNOWN = "unknown"
    BOOLEAN = "boolean"
    WHOLE = "whole"
    FRACTIONAL = "fractional"
    TEXT = "text"
    TIME = "time"
    OTHER = "other"


def unify(kinds: Sequence[Kind]) -> Kind:
    """Return the kind that holds values of all these.

    >>> unify([Kind.WHOLE, Kind.UNKNOWN, Kind.FRACTIONAL]), unify([Kind.WHOLE, Kind.BOOLEAN])
    (<Kind.FRACTIONAL: 'fractional'>, <Kind.TEXT: 'text'>)
    """
    found = set(kinds) - {Kind.UNKNOWN}
    if len(found) <= 1:
        return next(iter(found), Kind.UNKNOWN)
    return Kind.FRACTIONAL if found == {Kind.WHOLE, Kind.FRACTIONAL} else Kind.TEXT


def arrow_columns(batch: Sequence[Record], names: Sequence[str]) -> tuple[list[pa.Array], list[Kind]]:
    """Return one array and one kind per name; a record without the name has a null there."""
    columns = [_column([record.get(name) for record in batch]) for name in names]
    return [array for array, _ in columns], [kind for _, kind in columns]


def _column(values: list[Any]) -> tuple[pa.Array, Kind]:
    import pyarrow as pa

    types = set(map(type, values)) - {NoneType}
    if types == {str}:
        return pa.array(values, pa.string()), Kind.TEXT
    kind = unify([_KINDS[each] for each in types])
    if kind is Kind.WHOLE and any(value is not None and not -_INT64 <= value < _INT64 for value in values):
        kind = Kind.FRACTIONAL
    if kind is Kind.FRACTIONAL:
        return pa.array([None if value is None else float(value) for value in values], pa.float64()), kind
    if kind is Kind.OTHER:
        return pa.array([None if value is None else _json(value) for value in values], pa.string()), kind
    if kind is Kind.TEXT:
        return pa.array([None if value is None else text_of(value) for value in values], pa.string()), kind
    arrow = {Kind.BOOLEAN: pa.bool_(), Kind.WHOLE: pa.int64(), Kind.UNKNOWN: pa.string()}
    return pa.array(values, arrow[kind]), kind


_KINDS = {
    bool: Kind.BOOLEAN,
    int: Kind.WHOLE,
    float: Kind.FRACTIONAL,
    str: Kind.TEXT,
    dict: Kind.OTHER,
    list: Kind.OTHER,
}


def text_of(value: object) -> str:
    """Return a JSON value as the text it has in a column of mixed kinds.

    >>> text_of(5.0), text_of(True), text_of(0.1)
    ('5', 'true', '0.1')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        whole = math.isfinite(value) and value == math.trunc(value) and abs(value) < TEXT_OF_WHOLE
        return str(int(value)) if whole else repr(value)
    return str(value) if isinstance(value, int) else _json(value)


def _json(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return '"nested too deeply"'
