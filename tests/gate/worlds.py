"""Small worlds in which two models answer, and the gate that judges them."""

from datetime import timedelta
from typing import Any

import numpy as np

from retrue.config import GateSettings
from retrue.gate import judge_challenger
from retrue.metrics import METRICS
from retrue.results import GateResult

ROWS = 400
SETTINGS = GateSettings(resample="rows", min_rows=100, resamples=200, min_slice_rows=50)
BY_DAY = SETTINGS.model_copy(update={"resample": timedelta(days=1), "resamples": 400})


def sigmoid(margin: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-margin))


def world(seed: int, *, rows: int = ROWS, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and the scores of two models that see the same signal, each with noise of its own; champion noise is 1."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.3).astype(int)
    signal = rng.normal(0, 0.6, rows) + labels
    return labels, sigmoid(signal + rng.normal(0, 1, rows)), sigmoid(signal + rng.normal(0, noise, rows))


def judge(
    labels: Any,
    champion: Any,
    challenger: Any,
    metric: str = "roc_auc",
    *,
    settings: GateSettings = SETTINGS,
    **more: Any,
) -> GateResult:
    task = next(task for task, names in METRICS.items() if metric in names)
    return judge_challenger(
        metric, task=task, labels=labels, champion=champion, challenger=challenger, settings=settings, **more
    )


def weathered(
    seed: int, *, days: int = 20, noise: float = 1.0, rows: int = ROWS, swing: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``world`` on some days, and the times of its rows; each day moves the scores of both models, each its own way."""
    labels, champion, challenger = world(seed, rows=rows, noise=noise)
    rng = np.random.default_rng([seed, 1])
    day = rng.integers(0, days, rows)
    moved = [
        sigmoid(np.log(each / (1 - each)) + rng.normal(0, swing, days)[day] * labels) for each in (champion, challenger)
    ]
    times = np.datetime64("2013-04-04") + (day * 24 + rng.integers(0, 24, rows)) * np.timedelta64(1, "h")
    return labels, *moved, times


def harmful(loss: float, *, rows: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Right on ``loss`` more rows of the large slice, and on ``loss`` fewer rows of the small one."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, rows)
    origin = np.where(np.arange(rows) % 4, "large", "small")
    champion = np.where(rng.random(rows) < 0.7, labels, 1 - labels)
    wrong, right = champion != labels, champion == labels
    mended = wrong & (origin == "large") & (rng.random(rows) < loss / 0.3)
    broken = right & (origin == "small") & (rng.random(rows) < loss / 0.7)
    return labels, champion, np.where(mended | broken, 1 - champion, champion), origin
