"""Which rows of a window lie outside what a reference has seen: there its probabilities and losses are not known. Pure.

A row is *unsupported* when any of its values is: a number below the least or above the largest of the reference, a category the
reference does not have, a null or an infinity where the reference has none. How large a share of such rows is usual follows
from the reference itself: each of ten blocks in time against the other nine; the largest share, but at least 5 %, is the limit.

The rule sees columns one by one: a new combination of known values is within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Values = np.ndarray[Any, Any]

BLOCKS = 10
LIMIT_LEAST = 0.05
"""Share of rows below which an estimate can be off by at most that much of a row's whole loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a reference has of one column: the range of its numbers, or its categories as text; and whether it has nulls.

    Neither range nor categories: everything is supported, such as in a column with too many categories to keep.
    """

    low: float | None = None
    high: float | None = None
    categories: frozenset[str] | None = None
    nullable: bool = False

    def outside(self, values: Values) -> Flags:
        """Return which values are outside. Numbers are floats, NaN for null; categories are text, None for null.

        >>> Bounds(low=0.0, high=1.0).outside(np.array([0.5, 1.5, np.nan, np.inf])).tolist()
        [False, True, True, True]
        >>> Bounds(categories=frozenset({"a"}), nullable=True).outside(np.array(["a", "b", None], dtype=object)).tolist()
        [False, True, False]
        """
        if values.dtype.kind == "f":
            absent = np.isnan(values)
            low = -np.inf if self.low is None else self.low
            high = np.inf if self.high is None else self.high
            strange = (values < low) | (values > high)
        else:
            absent = np.fromiter((each is None for each in values), dtype=bool, count=len(values))
            known = self.categories
            new = (known is not None and each is not None and each not in known for each in values)
            strange = np.fromiter(new, dtype=bool, count=len(values))
        return np.asarray(strange if self.nullable else strange | absent)


def bounds_of(values: Values) -> Bounds:
    """Return the bounds of a column's values, of the kinds that ``Bounds.outside`` takes."""
    if values.dtype.kind == "f":
        there = values[~np.isnan(values)]
        finite = there[np.isfinite(there)]
        infinite = len(finite) < len(there)
        low, high = (float(finite.min()), float(finite.max())) if len(finite) and not infinite else (None, None)
        return Bounds(low=low, high=high, nullable=len(there) < len(values))
    known = frozenset(each for each in values if each is not None)
    return Bounds(categories=known, nullable=any(each is None for each in values))


def unsupported(columns: Mapping[str, Values], bounds: Mapping[str, Bounds]) -> Mapping[str, Flags]:
    """Return for every column that has bounds which rows are outside them."""
    return {name: bounds[name].outside(values) for name, values in columns.items() if name in bounds}


def usual_share(columns: Mapping[str, Values], weight: Array, *, blocks: int = BLOCKS) -> float:
    """Return the largest share of a block's rows, in 0-1, that the other blocks of a reference do not support, at least 5 %.

    Args:
        columns: Of the reference, in order of time, as ``Bounds.outside`` takes them.
        weight: Of each row.
        blocks: How many, of consecutive rows.

    >>> usual_share({"steady": np.tile([1.0, 2.0], 50)}, np.ones(100))
    0.05
    >>> usual_share({"rising": np.arange(100.0)}, np.ones(100))
    1.0
    """
    number = np.arange(len(weight)) * blocks // len(weight)
    largest = 0.0
    for block in np.unique(number):
        inside = number == block
        outside = np.zeros(int(inside.sum()), dtype=bool)
        for values in columns.values():
            outside |= bounds_of(values[~inside]).outside(values[inside])
        total = weight[inside].sum()
        largest = max(largest, float(weight[inside] @ outside / total) if total > 0 else 0.0)
    return min(1.0, max(LIMIT_LEAST, largest))


def encode(columns: Mapping[str, Values], bounds: Mapping[str, Bounds]) -> Array:
    """Return columns as one matrix for a tree, in order of name: categories become their number in the reference, others NaN.

    >>> known = {"x": Bounds(low=0.0, high=1.0), "c": Bounds(categories=frozenset("ab"))}
    >>> encode({"x": np.array([0.5]), "c": np.array(["b"], dtype=object)}, known).tolist()
    [[1.0, 0.5]]
    """
    parts = []
    for name in sorted(bounds):
        values, known = columns[name], bounds[name].categories
        if values.dtype.kind == "f":
            parts.append(np.where(np.isfinite(values), values, np.nan))
        else:
            numbers = {each: float(number) for number, each in enumerate(sorted(known or ()))}
            parts.append(np.array([numbers.get(each, np.nan) for each in values], dtype=float))
    return np.column_stack(parts)
