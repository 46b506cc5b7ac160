"""Direct loss estimation (DLE): a regression model's error out of a second model that has learned it. Pure; scikit-learn inside.

On the reference a gradient boosting model learns the loss of each row, |y - ŷ| or (y - ŷ)², from features and prediction. On a
window without labels its mean forecast is the estimated error. Models are cross-fitted: each of K has not seen one block of the
reference, whose residuals are honest for it.

``sd² = (Var_window(forecast) + mean squared residual) / n + (K - 1)/K · Σ_k (θ_k - θ)² + τ²``: the noise of n rows (effective
ones, (Σw)²/Σw²), by the delete-a-group jackknife that of a finite reference, and τ², by how much the models missed whole blocks
of the reference, beyond what sampling explains: rows of one time share its conditions.

Sources: NannyML's documentation, "Direct Loss Estimation"; Kott (2001), Journal of Official Statistics 17(4), the jackknife.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrue.statistics.cbpe import Estimate
from retrue.statistics.encoding import learnable

Array = np.ndarray[Any, np.dtype[np.float64]]

FOLDS = 5
LOSSES = ("mae", "rmse", "mape")
"""Metrics that are means of a loss, or roots of one: R² also needs how labels vary, which nobody knows without them."""


def losses_of(metric: str, truth: Array, predicted: Array) -> Array:
    """Return each row's loss, whose mean is the metric, or for ``rmse`` its square.

    >>> losses_of("rmse", np.array([1.0, 5.0]), np.array([2.0, 2.0])).tolist()
    [1.0, 9.0]
    """
    error = np.abs(truth - predicted)
    if metric == "rmse":
        with np.errstate(over="ignore"):  # infinite, which nobody can learn from
            return np.asarray(error**2)
    return np.asarray(error / np.maximum(np.abs(truth), np.finfo(float).eps) if metric == "mape" else error)


def estimate_loss(
    metric: str,
    *,
    reference: Array,
    losses: Array,
    reference_weight: Array,
    window: Array,
    window_weight: Array,
    seed: int,
    folds: int = FOLDS,
) -> Estimate:
    """Return the expected metric of a window without labels, with the noise of window and reference.

    Args:
        metric: One of ``LOSSES``.
        reference: Features and prediction of labelled rows in order of time, shape (rows, columns); NaN is allowed.
        losses: Of those rows, from ``losses_of``.
        reference_weight: 1 / inclusion probability of each reference row.
        window: The same columns of the window's rows.
        window_weight: Their weights.
        seed: Of the boosting.

    >>> x = np.linspace(0, 1, 400)[:, None]  # the error grows with x
    >>> found = estimate_loss("mae", reference=x, losses=x[:, 0], reference_weight=np.ones(400),
    ...     window=x[300:], window_weight=np.ones(100), seed=0)
    >>> round(found.value, 1)
    0.9
    """
    block = np.arange(len(losses)) * folds // len(losses)
    forecasts, misses, squares, share = [], [], 0.0, window_weight / window_weight.sum()
    for number in range(folds):
        model = _fitted(reference[block != number], losses[block != number], reference_weight[block != number], seed)
        rest, weight = (
            losses[block == number] - model.predict(reference[block == number]),
            reference_weight[block == number],
        )
        squares += float(weight @ rest**2)
        misses.append(float(weight @ rest) ** 2 / weight.sum() ** 2 - float(weight**2 @ rest**2) / weight.sum() ** 2)
        forecasts.append(model.predict(window))
    means = np.array([share @ each for each in forecasts])
    value = max(float(means.mean()), 0.0)
    spread = float(share @ (np.mean(forecasts, axis=0) - value) ** 2)
    noise = (spread + squares / float(reference_weight.sum())) * float(share @ share)
    variance = noise + max(0.0, float(np.mean(misses))) + (folds - 1) / folds * float(((means - value) ** 2).sum())
    if metric != "rmse":
        return Estimate(value=value, sd=variance**0.5)
    root = value**0.5
    return Estimate(value=root, sd=variance**0.5 / (2 * root) if root else 0.0)


def _fitted(inputs: Array, losses: Array, weight: Array, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingRegressor(
        max_iter=100,
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=max(5, min(100, len(losses) // 50)),
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(1, user_api="openmp"):
        return model.fit(learnable(inputs), losses, sample_weight=weight)
