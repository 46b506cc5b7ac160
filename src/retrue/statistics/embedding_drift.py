"""Drift of embeddings: how well a linear classifier tells those of a window from those of the reference. Pure.

Embeddings are made so that meaning is linear in them, and hundreds of numbers wide: a ridge regression on the two sides, whose
cross-fitted AUC has one closed form a fold, is enough and takes a fraction of a second. Its null distribution is
`domain_null.calibrate_auc`'s.

Source: Rabanser, Günnemann & Lipton (2019), Failing loudly, NeurIPS (domain classifiers on representations); Fisher's
discriminant as a least-squares fit: Duda & Hart (1973), 5.8.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrue.statistics.domain_rows import FOLDS, Floats, Rows, fold_numbers
from retrue.statistics.weighted_auc import weighted_auc

ROWS = "embedding"  # the one column of the rows, shape (rows, width)


def embedding_rows(values: np.ndarray[Any, Any]) -> Rows:
    """Return embeddings, shape (rows, width), as rows in order of time.

    Raises:
        ValueError: They are no table of finite numbers.
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError(f"embeddings are a table of finite numbers, one row a text, not of shape {table.shape}")
    return Rows(columns={ROWS: table})


def embedding_auc(reference: Rows, current: Rows, seed: int = 0) -> float:
    """Return the cross-fitted AUC of telling the embeddings of the two sides apart, in 0-1; 0.5 if nothing does.

    The rows are ``embedding_rows``, in order of time, so that neighbours are in one fold. Nothing is drawn: ``seed`` has no
    effect and is there because other AUCs have it.

    >>> generator = np.random.default_rng(0)
    >>> sides = [embedding_rows(generator.normal(shift, 1, (400, 16))) for shift in (0, 0, 0.5)]
    >>> embedding_auc(sides[0], sides[1]) < 0.57 < 0.8 < embedding_auc(sides[0], sides[2])
    True
    """
    sides = [rows.columns[ROWS] for rows in (reference, current)]
    values = np.vstack(sides)
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    is_current = np.arange(len(values)) >= len(sides[0])
    weights = np.concatenate([np.full(len(side), 0.5 / len(side)) for side in sides])
    folds = np.concatenate([fold_numbers(len(side)) for side in sides])
    aucs = [
        weighted_auc(values[folds == fold] @ direction, is_current[folds == fold], weights[folds == fold])
        for fold, direction in enumerate(_directions(values, np.where(is_current, 1.0, -1.0), weights, folds))
    ]
    return round(float(np.mean(aucs)), 6)


def _directions(values: Floats, sign: Floats, weights: Floats, folds: np.ndarray[Any, Any]) -> list[Floats]:
    """Return per fold the ridge solution without its rows; the penalty is columns by rows, in variances of a column."""
    weighted = values * weights[:, None]
    grams = [weighted[folds == fold].T @ values[folds == fold] for fold in range(FOLDS)]
    sums = [weighted[folds == fold].T @ sign[folds == fold] for fold in range(FOLDS)]
    penalty = values.shape[1] / len(values) * np.eye(values.shape[1])
    gram, total = sum(grams), sum(sums)
    return [np.linalg.solve(gram - grams[fold] + penalty, total - sums[fold]) for fold in range(FOLDS)]
