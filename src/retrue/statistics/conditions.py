"""Columns cut into buckets, and the conditions that these make: categories, missing values, ranges of numbers. Pure."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from retrue.results import Condition

TEXT_MAX = 100  # characters: a longer value is prose, not a category
FEW = 30  # a number with as few different values is taken as categories
DIGITS = 3  # significant digits of the edges of ranges, so that what is shown is what was measured; more where they lie close
EXACT_DIGITS = 15  # what a float holds of a decimal number
MOVED_MAX = 0.01  # of the rows, that rounding may move an edge past
SHARES = (0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95)
QUARTERS = (0.25, 0.5, 0.75)

Bucket = str | int | None
Candidate = tuple[Condition, frozenset[Bucket]]
Values = np.ndarray[Any, np.dtype[Any]]
Rows = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.intp]]


class _Conditional(Protocol):
    @property
    def conditions(self) -> tuple[Condition, ...]: ...


Told = TypeVar("Told", bound=_Conditional)


def candidates(
    column: str, buckets: Iterable[Bucket], *, edges: Sequence[float] | None = None, numbers: bool = False
) -> Iterator[Candidate]:
    """Yield the conditions that a column's buckets make, each with those of its own.

    Args:
        column: Its name.
        buckets: Those that occur: a category's text, a range's number, None for missing values.
        edges: Of the ranges, rising: bucket k holds what is under edge k and not under the one before. None: categories.
        numbers: Whether the categories are numbers, which are then written as people read them.
    """
    found = set(buckets)
    if None in found:
        yield Condition(column=column, relation="is missing"), frozenset({None})
    present = found - {None}
    if edges is None:
        texts = [str(value) for value in sorted(present, key=str) if len(str(value)) <= TEXT_MAX]
        shown = number_texts([float(each) for each in texts]) if numbers else texts
        for text, value in zip(texts, shown, strict=True):
            yield Condition(column=column, relation="=", value=value), frozenset({text})
    elif len(present) > 1:
        yield from _ranges(column, edges)


def _ranges(column: str, edges: Sequence[float]) -> Iterator[Candidate]:
    texts = [f"{edge:,.{EXACT_DIGITS}g}" for edge in edges]
    for place, text in enumerate(texts):
        below, above = frozenset(range(place + 1)), frozenset(range(place + 1, len(edges) + 1))
        yield Condition(column=column, relation="<", value=text), below
        yield Condition(column=column, relation=">=", value=text), above
    for place, (low, high) in enumerate(itertools.pairwise(texts), start=1):
        yield Condition(column=column, relation="in", value=f"[{low}, {high})"), frozenset({place})


def number_texts(values: Sequence[float]) -> list[str]:
    """Return numbers as people read them; with all of their digits where they would look alike.

    >>> number_texts([2500.0, 0.125, 1e20]), number_texts([1e15, 1e15 + 1]), number_texts([0.1, 0.1000000001])
    (['2,500', '0.125', '1e+20'], ['1,000,000,000,000,000', '1,000,000,000,000,001'], ['0.1', '0.1000000001'])
    """
    texts = [_number_text(value) for value in values]
    return texts if len(set(texts)) == len(set(values)) else [_exact_text(value) for value in values]


def _number_text(value: float) -> str:
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:g}"
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _exact_text(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 2**63 else repr(value)


def rounded_edges(values: Iterable[float], *, of: Values | None = None) -> tuple[float, ...]:
    """Round edges to three digits, or as many more as it takes to leave each where it is among the others; equal ones become one.

    None moves by more than a twentieth of the way to the next one. What stands twice is a value that many rows have: it stays.

    Args:
        values: Quantiles, in any order.
        of: The values that they cut, in ascending order, where these are at hand: no edge moves past more than a hundredth of them, or one.

    >>> rounded_edges([0.12345, 250.25, 1999.6]), rounded_edges([1002.253, 1004.48, 1006.71])
    ((0.123, 250.0, 2000.0), (1002.3, 1004.5, 1006.7))
    >>> rounded_edges([9.99, 19.99, 30.0]), rounded_edges([9.99, 19.99, 30.0], of=np.repeat([9.99, 19.99, 30.0], 9))
    ((9.99, 20.0, 30.0), (9.99, 19.99, 30.0))
    """
    rows = Counter(_to_decimals(value, EXACT_DIGITS - 1 - _magnitude(value)) for value in values)
    exact = sorted(rows)
    gaps = [math.inf, *(high - low for low, high in itertools.pairwise(exact)), math.inf]
    nearest = [min(pair) for pair in itertools.pairwise(gaps)]
    return tuple(
        value if rows[value] > 1 else _rounded(value, gap, of) for value, gap in zip(exact, nearest, strict=True)
    )


def _rounded(value: float, gap: float, of: Values | None) -> float:
    least = DIGITS - 1 - _magnitude(value)
    least = least if math.isinf(gap) else max(least, 1 - _magnitude(gap))
    for decimals in range(least, EXACT_DIGITS - _magnitude(value)):
        near = _to_decimals(value, decimals)
        if of is None or _passed(of, value, near) <= max(1, MOVED_MAX * len(of)):
            return near
    return value


def _passed(of: Values, value: float, near: float) -> int:
    before, after = np.searchsorted(of, [value, near])
    return abs(int(after) - int(before))


def _to_decimals(value: float, decimals: int) -> float:
    return round(value, decimals) + 0.0  # of -0.0 the plus makes 0.0


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def on_own_columns(found: Iterable[Told]) -> Iterator[Told]:
    """Leave out what speaks of a column that a stronger one has spoken of: ranges of one number overlap."""
    told: set[str] = set()
    for each in found:
        columns = {condition.column for condition in each.conditions}
        if not columns & told:
            told |= columns
            yield each


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucketed:
    """A column of rows as bucket numbers: ``codes`` is each row's place in ``buckets``.

    ``conditions`` are those worth a look, with the places of their buckets.
    """

    name: str
    codes: Codes
    buckets: tuple[Bucket, ...]
    conditions: Mapping[Condition, Codes]

    def holds(self, condition: Condition) -> Rows:
        """Return for which rows one of ``conditions`` holds."""
        member = np.zeros(len(self.buckets), dtype=bool)
        member[self.conditions[condition]] = True
        return member[self.codes]


def bucketed(name: str, values: Values, *, like: Rows | None = None, shares: Sequence[float] = SHARES) -> Bucketed:
    """Cut a column into buckets: categories of texts and of numbers of few values, else ranges between quantiles.

    Args:
        name: Of the column.
        values: Floats, in which NaN and infinities count as missing, or objects: texts, None where missing.
        like: Which rows the quantiles are of, so that ranges stay the same from window to window; all by default.
        shares: Of these quantiles.
    """
    if values.dtype.kind == "O":
        places = {each: place for place, each in enumerate(sorted({each for each in values if each is not None}))}
        codes = np.fromiter((places.get(each, len(places)) for each in values), dtype=np.intp, count=len(values))
        return _bucketed(name, codes, tuple(places), edges=None, numbers=False)
    finite = np.where(np.isfinite(values), values, np.nan)
    edges = _quantiles(finite if like is None else finite[like], shares)
    if edges is None:
        present = np.unique(finite[~np.isnan(finite)])
        codes = np.where(np.isnan(finite), len(present), np.searchsorted(present, finite)).astype(np.intp)
        return _bucketed(name, codes, tuple(map(repr, present.tolist())), edges=None, numbers=True)
    codes = np.searchsorted(edges, finite, side="right").astype(np.intp)
    codes[np.isnan(finite)] = len(edges) + 1
    return _bucketed(name, codes, tuple(range(len(edges) + 1)), edges=edges, numbers=True)


def parts_of(column: Bucketed, *, most: int) -> Iterator[tuple[Condition, Rows]]:
    """Yield the conditions that share out all rows of a column with their rows: its categories, or its ranges and what is missing.

    Of more than ``most`` categories the commonest are yielded; their rows are then not all.
    """
    counts = np.bincount(column.codes, minlength=len(column.buckets))
    single = {int(places[0]): condition for condition, places in column.conditions.items() if len(places) == 1}
    order = sorted(single, key=lambda place: (-int(counts[place]), place))[:most]
    for place in sorted(order):
        yield single[place], column.codes == place


def _quantiles(values: Values, shares: Sequence[float]) -> tuple[float, ...] | None:
    """Return rounded quantiles, None of so few values that each is a category."""
    present = values[~np.isnan(values)]
    if len(np.unique(present)) <= FEW:
        return None
    present = np.sort(present)
    return rounded_edges((float(each) for each in np.quantile(present, shares)), of=present)


def _bucketed(
    name: str, codes: Codes, present: tuple[Bucket, ...], *, edges: tuple[float, ...] | None, numbers: bool
) -> Bucketed:
    buckets = (*present, None)
    counts = np.bincount(codes, minlength=len(buckets))
    place = {bucket: number for number, bucket in enumerate(buckets)}
    conditions = {
        condition: np.array(sorted(place[each] for each in own), dtype=np.intp)
        for condition, own in candidates(name, present, edges=edges, numbers=numbers)
    }
    if counts[-1]:
        conditions |= {
            condition: np.array([len(present)], dtype=np.intp)
            for condition, _ in candidates(name, (None,), edges=edges)
        }
    return Bucketed(name=name, codes=codes, buckets=buckets, conditions=conditions)
