"""Columns as a matrix that trees take: numbers as the ranks of bins, categories as places, what is missing as NaN. Pure.

Trees see bins only. To bin once here costs a fifth of what scikit-learn takes to do it for each fit of weighted rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Values = np.ndarray[Any, np.dtype[Any]]

CATEGORIES_MAX = 60  # commonest values of a column; the others are one more
BINS = 63  # of a number; with a category for what is rare
SEED = 0
STRETCHES = 4  # of time a fold
_ROUNDS, _LEAVES, _LEAST = 60, 12, 40


def tree_matrix(columns: Mapping[str, Values]) -> tuple[Array, list[int]]:
    """Return columns side by side, shape (n_rows, n_columns), and which of them hold categories.

    Args:
        columns: Floats, in which infinities count as missing, or objects: texts, None where missing.

    >>> matrix, categories = tree_matrix({"a": np.array([1.0, np.inf]), "b": np.array(["x", None], dtype=object)})
    >>> matrix.tolist(), categories
    ([[0.0, 0.0], [nan, nan]], [1])
    """
    encoded = [_places(each) if each.dtype.kind == "O" else _bins(each) for each in columns.values()]
    categories = [number for number, each in enumerate(columns.values()) if each.dtype.kind == "O"]
    return np.column_stack(encoded), categories


def learnable(matrix: Array) -> Array:
    """Return rows to learn from: a column without any value in them is 0 throughout, since trees cannot bin nothing.

    It may have values in other rows: most are missing, or all of one stretch of time.

    >>> learnable(np.array([[np.nan, np.nan], [np.nan, 1.0]])).tolist()
    [[0.0, nan], [0.0, 1.0]]
    """
    empty = np.isnan(matrix).all(axis=0)
    return np.where(empty, 0.0, matrix) if empty.any() else matrix


def folds_of(rows: int, *, folds: int, seed: int, order: Values | None = None) -> Values:
    """Return the fold of each row, drawn at random: of single rows, or of stretches of an order that are drawn whole.

    Rows close in time resemble each other, as flights of one hour have one weather: were they in different folds, a model would
    know the rows that it has not learned from.

    Args:
        rows: How many there are.
        folds: How many there are to be.
        seed: Of the draw.
        order: By which rows are put in a row, such as their times; cut into 4 stretches a fold.

    >>> folds_of(8, folds=2, seed=0, order=np.arange(8)).tolist()
    [0, 0, 1, 0, 1, 0, 1, 1]
    """
    rng = np.random.default_rng(seed)
    if order is None:
        return rng.permutation(np.arange(rows) % folds)
    stretches = folds * STRETCHES
    return np.asarray(rng.permutation(np.arange(stretches) % folds)[stretches_of(order, stretches)])


def stretches_of(order: Values, count: int) -> Values:
    """Return the number of each row's stretch: ``count`` equally filled ones along an order.

    >>> stretches_of(np.array([30, 10, 20, 40]), 2).tolist()
    [1, 0, 0, 1]
    """
    rank = np.empty(len(order), dtype=np.intp)
    rank[np.argsort(order, kind="stable")] = np.arange(len(order))
    return rank * count // max(1, len(order))


def classifier(categories: list[int]) -> Any:
    """Return an unfitted classifier of small trees, regular enough for probabilities; deterministic."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**_settings(categories))


def regressor(categories: list[int]) -> Any:
    """Return an unfitted regressor of small trees; deterministic."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**_settings(categories))


@contextmanager
def one_thread() -> Iterator[None]:
    """Fit trees on one thread: beside busy servers, threads that wait for each other take longer than one alone."""
    import sklearn.ensemble  # noqa: F401 - a limit holds for the libraries that are loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="openmp"):
        yield


def _settings(categories: list[int]) -> dict[str, Any]:
    return {
        "max_iter": _ROUNDS,
        "max_leaf_nodes": _LEAVES,
        "min_samples_leaf": _LEAST,
        "max_bins": 2 * BINS,
        "l2_regularization": 1.0,
        "early_stopping": False,
        "categorical_features": categories or None,
        "random_state": SEED,
    }


def _bins(values: Values) -> Array:
    """Number equally filled bins from the lowest; a value that fills one by itself has one of its own."""
    numbers = np.where(np.isfinite(values.astype(float)), values, np.nan).astype(float)
    present = np.sort(numbers[~np.isnan(numbers)])
    if not len(present):
        return numbers
    edges, times = np.unique(present[np.linspace(0, len(present) - 1, BINS).astype(np.intp)], return_counts=True)
    before = np.searchsorted(present, edges[times > 1]) - 1
    edges = np.unique(np.concatenate([edges, present[before[before >= 0]]]))
    return np.where(np.isnan(numbers), np.nan, np.searchsorted(edges, numbers).astype(float))


def _places(values: Values) -> Array:
    """Number categories from the commonest on; ties by name."""
    counts = Counter(each for each in values if each is not None)
    ordered = sorted(counts, key=lambda each: (-counts[each], str(each)))
    place = {each: float(min(number, CATEGORIES_MAX)) for number, each in enumerate(ordered)}
    return np.array([np.nan if each is None else place[each] for each in values], dtype=float)
