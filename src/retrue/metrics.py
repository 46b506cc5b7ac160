"""Names of the performance metrics of each task and which way is better. Pure; the first of a task is its default."""

METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "log_loss", "brier_score", "accuracy", "f1", "precision", "recall"),
    "multiclass": ("f1_macro", "accuracy", "balanced_accuracy"),
    "regression": ("rmse", "mae", "r2", "mape"),
    "generation": (),
}
LOSSES = frozenset({"log_loss", "brier_score", "rmse", "mae", "mape"})
NEED_SCORE = frozenset({"roc_auc", "average_precision", "log_loss", "brier_score"})


def greater_is_better(metric: str) -> bool:
    """Tell whether a larger value is an improvement.

    >>> greater_is_better("roc_auc"), greater_is_better("rmse")
    (True, False)
    """
    return metric not in LOSSES


def improvement(metric: str, *, before: float, after: float) -> float:
    """Return how much better ``after`` is, in units of the metric: negative when it is worse.

    >>> improvement("rmse", before=2.0, after=1.5)
    0.5
    """
    return after - before if greater_is_better(metric) else before - after
