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


def folds_of(rows: int, *, folds: int, seed: int) -> Values:
    """Return the fold of each row, drawn at random, all of one size to within a row."""
    return np.random.default_rng(seed).permutation(np.arange(rows) % folds)


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
