"""How much a model leans on each feature, learned from its logged answers. Pure.

The model itself often cannot be loaded; a surrogate learns its answers from the features instead. Where the surrogate answers
as the model does on rows it has not seen, what it loses when a feature is shuffled is what the model would lose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from retrue.results.why import Reliance
from retrue.statistics.encoding import Array, classifier, folds_of, learnable, one_thread, regressor, tree_matrix

Values = np.ndarray[Any, np.dtype[Any]]

FOLDS = 2
SHUFFLES = 2  # of each feature in each fold
TOGETHER = 0.7  # rank correlation from which features are shuffled together: one alone is made up for by the other
CLASSES_MAX = 20  # of more classes the rarest count as one


def measure_reliance(columns: Mapping[str, Values], answers: Values, weight: Array, *, seed: int = 0) -> Reliance:
    """Return the share of each feature in what makes a model answer as it does.

    With e² the squared error of the surrogate on held-out rows, its fidelity is R² = 1 − Σwe²/Σw(a − ā)²; of classes e² is summed over
    the classes, as in Brier's score. A feature's share is the rise of Σwe² when it is shuffled, over the sum of all
    rises. Numbers that go together (rank correlation of at least 0.7) are shuffled together, and each has the share of the lot:
    of two that say the same, one shuffled alone costs little although the model leans on both.

    Args:
        columns: Floats, or objects: texts, None where missing.
        answers: What the model said: floats, a score or a value, or objects: classes.
        weight: Of each row.
        seed: Of folds and shuffles.

    Returns:
        Without shares where the answers are constant: nothing is leaned on then.

    Source: Breiman (2001), Machine Learning 45(1), for shuffling; on a surrogate, Fisher, Rudin & Dominici (2019), J. Mach. Learn.
    Res. 20(177).
    """
    matrix, categories = tree_matrix(columns)
    targets, make, predict = _target(answers, categories)
    spread = weight @ ((targets - np.average(targets, axis=0, weights=weight)) ** 2).sum(axis=1)
    if not spread > 0:
        return Reliance(fidelity=0.0)
    lots = _lots(matrix, categories)
    fold = folds_of(len(matrix), folds=FOLDS, seed=seed)
    rng = np.random.default_rng(seed)
    rises, error = [], 0.0
    with one_thread():
        for number in range(FOLDS):
            seen, rows = fold != number, fold == number
            model = make().fit(learnable(matrix[seen]), _given(answers, targets)[seen], sample_weight=weight[seen])
            plain = _error(predict(model, matrix[rows]), targets[rows], weight[rows])
            error += plain
            for lot in lots * SHUFFLES:
                mixed = predict(model, _shuffled(matrix[rows], lot, rng))
                rises.append(_error(mixed, targets[rows], weight[rows]) - plain)
    found = np.array(rises).reshape(-1, len(lots))
    return _reliance(tuple(columns), lots, found, fidelity=float(1 - error / spread))


def _reliance(names: tuple[str, ...], lots: list[list[int]], rises: Array, *, fidelity: float) -> Reliance:
    mean, sd = np.maximum(rises.mean(axis=0), 0.0), rises.std(axis=0, ddof=1)
    total = float(mean.sum()) or 1.0
    lot_of = {number: place for place, lot in enumerate(lots) for number in lot}
    places = {name: lot_of[number] for number, name in enumerate(names)}
    return Reliance(
        fidelity=fidelity,
        shares={name: float(min(1.0, mean[place] / total)) for name, place in places.items()},
        sds={name: float(sd[place] / total) for name, place in places.items()},
    )


def _target(answers: Values, categories: list[int]) -> tuple[Array, Callable[[], Any], Callable[[Any, Array], Array]]:
    """Return the answers as numbers, one column a class, with the model that learns them and how it answers."""
    if answers.dtype.kind != "O":
        numbers = answers.astype(float)
        return numbers[:, None], lambda: regressor(categories), lambda model, rows: model.predict(rows)[:, None]
    classes = _classes(answers)
    wide = (classes[:, None] == np.arange(classes.max() + 1)).astype(float)
    return wide, lambda: classifier(categories), lambda model, rows: _spread(model, rows, wide.shape[1])


def _given(answers: Values, targets: Array) -> Values:
    return targets[:, 0] if answers.dtype.kind != "O" else targets.argmax(axis=1)


def _classes(answers: Values) -> Values:
    names, inverse, counts = np.unique(answers.astype(str), return_inverse=True, return_counts=True)
    rank = np.empty(len(names), dtype=np.intp)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(names))
    return np.minimum(rank, CLASSES_MAX)[inverse]


def _spread(model: Any, rows: Array, width: int) -> Array:
    """Return probabilities with a column for every class, also one that the fold did not have."""
    wide = np.zeros((len(rows), width))
    known = model.classes_.astype(np.intp)
    wide[:, known] = model.predict_proba(rows) if len(known) > 1 else 1.0
    return wide


def _error(said: Array, targets: Array, weight: Array) -> float:
    return float(weight @ ((targets - said) ** 2).sum(axis=1))


def _shuffled(rows: Array, lot: list[int], rng: np.random.Generator) -> Array:
    mixed = rows.copy()
    mixed[:, lot] = rows[rng.permutation(len(rows))][:, lot]
    return mixed


def _lots(matrix: Array, categories: list[int]) -> list[list[int]]:
    """Return the features in lots that are shuffled together: numbers that go together, joined through chains, others alone."""
    lots: list[set[int]] = []
    for number in range(matrix.shape[1]):
        mates = [lot for lot in lots if any(_go_together(matrix, number, other, categories) for other in lot)]
        lots = [*(lot for lot in lots if lot not in mates), {number}.union(*mates)]
    return sorted(sorted(lot) for lot in lots)


def _go_together(matrix: Array, one: int, other: int, categories: list[int]) -> bool:
    """Tell whether two numbers rank rows alike: their bins are ranks already."""
    if one in categories or other in categories:
        return False
    pair = matrix[:, [one, other]]
    both = pair[~np.isnan(pair).any(axis=1)]
    if len(both) < 3 or not (np.ptp(both, axis=0) > 0).all():
        return False
    return bool(abs(np.corrcoef(both[:, 0], both[:, 1]).item(1)) >= TOGETHER)
