"""Columns as counts: what a drift method needs of a column, so that one window or hundreds are scored by the same lines.

A column is coded once: every row gets the number of its support point (a distinct value, a bin, a category), -1 where it has
no value. A split of the rows is then two vectors of counts, and many splits two matrices. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.intp]]
Values = np.ndarray[Any, np.dtype[Any]]

CATEGORIES_MAX = 1_000  # the commonest are kept, the rest become one: the drift adapter does the same
DISTINCT_MAX = (
    20  # Evidently 0.7.23 bins numbers that have more distinct values, and compares value by value up to here
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A column with its rows numbered by support point.

    ``codes`` has shape (rows,), -1 for a null or an infinity. ``points`` are the support points: distinct values in
    ascending order for ``wasserstein``; for the others only their number counts. ``kept`` is how many categories stand for
    themselves; those after it count as one if the reference has them, and as another if it has not.
    """

    codes: Ints
    points: Floats
    kept: int

    def counts(self, draws: Iterable[Ints]) -> Floats:
        """Return the rows per support point of each draw of rows, shape (draws, points)."""
        drawn = (self.codes[rows] for rows in draws)
        size = len(self.points)
        return np.array([np.bincount(codes[codes >= 0], minlength=size) for codes in drawn], dtype=np.float64)

    def merged(self, reference: Floats, current: Floats) -> tuple[Floats, Floats]:
        """Return both counts with the rare categories merged, shapes (…, points) → (…, kept + 2)."""
        if self.kept >= len(self.points):
            return reference, current
        rare = reference[..., self.kept :], current[..., self.kept :]
        known = rare[0] > 0
        sides = []
        for side, tail in zip((reference, current), rare, strict=True):
            ends = [np.where(known, tail, 0).sum(axis=-1), np.where(known, 0, tail).sum(axis=-1)]
            sides.append(np.concatenate([side[..., : self.kept], np.stack(ends, axis=-1)], axis=-1))
        return sides[0], sides[1]


def distinct(values: Values) -> Counted:
    """Number the rows of a number column by their distinct values, in ascending order.

    >>> distinct(np.array([3.0, 1.0, np.nan, 3.0])).codes.tolist()
    [1, 0, -1, 1]
    """
    numbers = finite(values)
    here = np.isfinite(numbers)
    points, inverse = np.unique(numbers[here], return_inverse=True)
    return Counted(codes=_spread(here, inverse), points=points, kept=len(points))


def binned(values: Values, *, reference_rows: int | None = None) -> Counted:
    """Number the rows of a number column as Evidently bins it: Sturges' bins over both sides together.

    Up to 20 distinct values in the reference, which is the first ``reference_rows`` rows (all by default), are categories.
    """
    numbers = finite(values)
    here = np.isfinite(numbers)
    if len(np.unique(numbers[:reference_rows][here[:reference_rows]])) <= DISTINCT_MAX:
        return distinct(values)
    return in_bins(values, np.histogram_bin_edges(numbers[here], bins="sturges"))


def in_bins(values: Values, edges: Floats) -> Counted:
    """Number the rows of a number column by the bin they lie in; the last bin includes its upper edge."""
    numbers = finite(values)
    here = np.isfinite(numbers) & (numbers >= edges[0]) & (numbers <= edges[-1])
    places = np.minimum(np.searchsorted(edges, numbers[here], side="right") - 1, len(edges) - 2)
    return Counted(codes=_spread(here, places), points=(edges[:-1] + edges[1:]) / 2, kept=len(edges) - 1)


def categories(values: Values) -> Counted:
    """Number the rows of a text, boolean or class column, commonest first; None, NaN and pandas' NA are no value.

    >>> categories(np.array(["b", "a", None, "b"], dtype=object)).codes.tolist()
    [0, 1, -1, 0]
    """
    here, texts = _texts(values)
    labels, inverse, rows = np.unique(texts, return_inverse=True, return_counts=True)
    order = np.argsort(-rows, kind="stable")
    rank = np.empty(len(labels), dtype=np.intp)
    rank[order] = np.arange(len(labels))
    kept = len(labels) if len(labels) <= CATEGORIES_MAX else CATEGORIES_MAX - 2
    return Counted(codes=_spread(here, rank[inverse]), points=np.arange(len(labels), dtype=np.float64), kept=kept)


def is_number(values: Values) -> bool:
    """Whether a column is compared as numbers: integers and floats are, booleans and everything else are categories."""
    return values.dtype.kind in "iuf"


def present(values: Values) -> int:
    """Return how many rows have a value: no null, NaN or infinity."""
    return int(np.isfinite(values.astype(np.float64)).sum()) if is_number(values) else int(_texts(values)[0].sum())


def finite(values: Values) -> Floats:
    """Return numbers as floats, with NaN for infinities."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def shares(counts: Floats) -> Floats:
    """Return counts as shares of their last axis; no rows give NaN, which no threshold takes for healthy."""
    total = counts.sum(axis=-1, keepdims=True)
    given = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return np.asarray(given)


def filled(given: Floats) -> Floats:
    """Return shares with zeros replaced as Evidently does, so that logarithms exist.

    By 0.0001, or by a millionth of the smallest other share where that is 0.0001 or less.
    """
    least = np.where(given > 0, given, np.inf).min(axis=-1, keepdims=True)
    return np.asarray(np.where(given == 0, np.where(least <= 0.0001, least / 1e6, 0.0001), given))


def _texts(values: Values) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], Values]:
    """Return where there is a value, and those values as text."""
    if values.dtype.kind == "U":
        return np.ones(len(values), dtype=bool), values
    missing = [value is None or value != value or str(value) == "<NA>" for value in values]
    here = ~np.array(missing, dtype=bool)
    return here, np.array([str(value) for value in values[here]], dtype=object)


def _spread(here: np.ndarray[Any, np.dtype[np.bool_]], codes: Sequence[int] | Ints) -> Ints:
    spread = np.full(len(here), -1, dtype=np.intp)
    spread[here] = codes
    return spread
