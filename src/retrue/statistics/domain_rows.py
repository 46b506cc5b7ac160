"""Rows of two sides as the domain classifier compares them: bounded, coded, in blocks of time. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

Floats = np.ndarray[Any, np.dtype[np.float64]]
Whole = np.ndarray[Any, np.dtype[np.int64]]

ROWS_MAX = 5_000  # a side: the AUC's standard error is 0.006 then
CATEGORIES_MAX = 50  # the commonest; the rest share one code
LEVELS = 3  # categories of a column whose relations to other columns are looked at, the commonest
RARE_SHARE = 0.02  # a null or a category that is rarer says nothing of a relation
ROWS_MIN = 50  # a side: fewer leave ten to a fold
FOLDS = 5
BLOCKS_PER_FOLD = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows of one side in order of time.

    Attributes:
        columns: Each shape (rows,): floats with NaN for null, or objects with None for null, which are categories.
    """

    columns: Mapping[str, np.ndarray[Any, Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def take(self, places: Whole | Sequence[int]) -> Rows:
        """Return the rows at these places."""
        return Rows(columns={name: values[places] for name, values in self.columns.items()})

    def only(self, names: Sequence[str]) -> Rows:
        """Return the rows with these columns, in this order."""
        return Rows(columns={name: self.columns[name] for name in names})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coded:
    """Both sides as numbers, the reference's rows first.

    Attributes:
        names: The columns.
        values: Shape (rows, columns): normal scores of numbers, codes of categories, NaN for a number's null.
        categorical: Shape (columns,), whether a column's values are codes.
        screened: Shape (rows, features): of which pairs are looked at: numbers, nulls and commonest categories, standardised.
        origin: Shape (features,), the column of each.
        is_number: Shape (features,), whether it is a column of numbers itself.
        is_current: Shape (rows,).
        weights: Shape (rows,); equal within a side, and each side sums to 1.
        folds: Shape (rows,), in 0 to ``FOLDS`` - 1.
    """

    names: tuple[str, ...]
    values: Floats
    categorical: np.ndarray[Any, np.dtype[np.bool_]]
    screened: Floats
    origin: Whole
    is_number: np.ndarray[Any, np.dtype[np.bool_]]
    is_current: np.ndarray[Any, np.dtype[np.bool_]]
    weights: Floats
    folds: Whole


def bounded(rows: Rows, limit: int, generator: np.random.Generator) -> Rows:
    """Return at most ``limit`` rows in their order, each as likely as any other."""
    if len(rows) <= limit:
        return rows
    return rows.take(np.sort(generator.choice(len(rows), limit, replace=False)))


def code(reference: Rows, current: Rows) -> Coded:
    """Code both sides alike; columns are those of the reference, which the window must have too.

    Numbers become normal scores of their ranks in both sides together, so that neither unit nor outliers matter.

    Raises:
        KeyError: The window misses a column.
    """
    sides = len(reference), len(current)
    values, categorical, features = [], [], []
    for place, (name, before) in enumerate(reference.columns.items()):
        now = current.columns[name]
        is_category = before.dtype.kind not in "fiub"
        coded = _codes(before, now) if is_category else _scores(np.concatenate([before, now]).astype(float))
        values.append(coded)
        categorical.append(is_category)
        features += [(place, *feature) for feature in (_levels(coded) if is_category else _number(coded))]
    rows = sum(sides)
    return Coded(
        names=tuple(reference.columns),
        values=np.column_stack(values),
        categorical=np.array(categorical),
        screened=np.column_stack([each for _, _, each in features]) if features else np.empty((rows, 0)),
        origin=np.array([place for place, _, _ in features], dtype=np.int64),
        is_number=np.array([number for _, number, _ in features], dtype=bool),
        is_current=np.arange(rows) >= sides[0],
        weights=np.concatenate([np.full(size, 1 / size) for size in sides]),
        folds=np.concatenate([fold_numbers(size) for size in sides]),
    )


def fold_numbers(rows: int) -> Whole:
    """Return the fold of each row: blocks of neighbours in time stay together, and each fold has some of every season.

    >>> fold_numbers(20).tolist()
    [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    >>> fold_numbers(40).tolist()[:6]
    [0, 0, 1, 1, 2, 2]
    """
    blocks = FOLDS * BLOCKS_PER_FOLD
    folds: Whole = (np.arange(rows) * blocks // max(rows, 1)) % FOLDS
    return folds


def _scores(values: Floats) -> Floats:
    known = ~np.isnan(values)
    scores = np.full(len(values), np.nan)
    ranks = rankdata(values[known])
    scores[known] = ndtri((ranks - 0.5) / max(len(ranks), 1))
    return scores


def _codes(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> Floats:
    """Number categories by how common they are on both sides together: 0 is null, then the commonest, then the rest.

    Counted on one side alone the numbers would tell the sides apart where nothing else does.
    """
    both = np.concatenate([before, now]).tolist()
    counts = Counter(str(each) for each in both if each is not None)
    ranked = sorted(counts, key=lambda category: (-counts[category], category))
    numbers = {category: min(rank, CATEGORIES_MAX) + 1 for rank, category in enumerate(ranked)}
    return np.array([0 if each is None else numbers[str(each)] for each in both], dtype=float)


def _number(scores: Floats) -> list[tuple[bool, Floats]]:
    unknown = np.isnan(scores)
    found = []
    if unknown.mean() < 1 - RARE_SHARE:
        found.append((True, _standard(np.where(unknown, 0.0, scores))))
    if RARE_SHARE < unknown.mean() < 1 - RARE_SHARE:
        found.append((False, _standard(unknown.astype(float))))
    return found


def _levels(codes: Floats) -> list[tuple[bool, Floats]]:
    levels, counts = np.unique(codes, return_counts=True)
    common = [
        level
        for level, count in sorted(zip(levels, counts, strict=True), key=lambda each: -each[1])
        if RARE_SHARE < count / len(codes) < 1 - RARE_SHARE
    ]
    return [(False, _standard((codes == level).astype(float))) for level in common[:LEVELS]]


def _standard(values: Floats) -> Floats:
    sd = values.std()
    centred: Floats = values - values.mean()
    return centred / sd if sd > 0 else centred
