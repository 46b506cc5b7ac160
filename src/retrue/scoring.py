"""Metrics of labelled rows and their bootstrap. Pure; scikit-learn, which gives the values, is imported inside.

A bootstrap needs a metric some hundred times. Here a resample is a vector that counts how often each row was drawn, and a
metric is computed for many such vectors at once: from weighted sums of a few columns, or, for ranking metrics, from
one sort. The tests hold these against scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from retrue.labelled import Array, LabelledRows, NotMeasurableError

Positions = np.ndarray[Any, np.dtype[np.intp]]
Resampled = Callable[[Array], dict[str, Array]]

CHUNK_CELLS = 200_000  # counts held at once: 1.6 MB stays in a processor's cache
ROUNDING = 1e-12  # of a sum of squares: a variance that is no more of it is what subtracting left


def undefined(metric: str, rows: LabelledRows) -> str:
    """Return why a metric has no value on these rows, or "".

    >>> import numpy as np
    >>> undefined("roc_auc", LabelledRows(truth=np.ones(2), predicted=np.ones(2), score=np.ones(2), weight=np.ones(2)))
    'all labels are of one class'
    """
    if metric in rows.missing:
        return rows.missing[metric]
    weight, truth = rows.weight, rows.truth
    if not weight.sum() > 0:
        return "every row weighs nothing"
    if metric == "r2":
        return "all labels are equal" if np.ptp(truth[weight > 0]) == 0 else ""
    if metric in {"roc_auc", "average_precision"}:
        return "all labels are of one class" if not 0 < weight @ truth < weight.sum() else ""
    if metric in {"recall", "precision", "f1"}:
        positives = {"recall": truth, "precision": rows.predicted, "f1": truth + rows.predicted}[metric]
        what = {"recall": "label", "precision": "prediction", "f1": "label or prediction"}[metric]
        return f"no {what} is positive" if not weight @ positives > 0 else ""
    return ""


def value_of(metric: str, rows: LabelledRows) -> float:
    """Return a metric as scikit-learn computes it, weighted. ``undefined`` must be "" for it."""
    from sklearn import metrics as sk

    weighted = {"sample_weight": rows.weight}
    truth, predicted, score = rows.truth, rows.predicted, rows.score
    compute: dict[str, Callable[[], Any]] = {
        "roc_auc": lambda: sk.roc_auc_score(truth, score, **weighted),
        "average_precision": lambda: sk.average_precision_score(truth, score, **weighted),
        "log_loss": lambda: sk.log_loss(truth, score, labels=[0, 1], **weighted),
        "brier_score": lambda: sk.brier_score_loss(truth, score, labels=[0, 1], **weighted),
        "accuracy": lambda: sk.accuracy_score(truth, predicted, **weighted),
        "f1": lambda: sk.f1_score(truth, predicted, zero_division=0, **weighted),
        "precision": lambda: sk.precision_score(truth, predicted, zero_division=0, **weighted),
        "recall": lambda: sk.recall_score(truth, predicted, zero_division=0, **weighted),
        "f1_macro": lambda: sk.f1_score(truth, predicted, average="macro", zero_division=0, **weighted),
        "balanced_accuracy": lambda: sk.recall_score(
            truth, predicted, labels=np.unique(truth), average="macro", zero_division=0, **weighted
        ),
        "rmse": lambda: sk.root_mean_squared_error(truth, predicted, **weighted),
        "mae": lambda: sk.mean_absolute_error(truth, predicted, **weighted),
        "r2": lambda: sk.r2_score(truth, predicted, **weighted),
        "mape": lambda: sk.mean_absolute_percentage_error(truth, predicted, **weighted),
    }
    with np.errstate(over="ignore"):
        return float(compute[metric]())


def row_loss(metric: str, rows: LabelledRows) -> Array:
    """Return what a metric that is a mean over rows averages; of ``accuracy`` 1 where the prediction is right."""
    truth = rows.truth
    if metric in {"log_loss", "brier_score"}:
        if metric == "brier_score":
            return np.asarray((rows.score - truth) ** 2)
        least = np.finfo(float).eps
        return np.asarray(-np.log(np.clip(np.where(truth == 1, rows.score, 1 - rows.score), least, 1 - least)))
    if metric == "accuracy":
        return np.asarray(truth == rows.predicted, dtype=float)
    error = np.abs(truth - rows.predicted)
    return np.asarray(error / np.maximum(np.abs(truth), np.finfo(float).eps) if metric == "mape" else error)


def number_blocks(times: ArrayLike, length: timedelta) -> Positions:
    """Return the number of each row's block of time, from 0, gaps closed; blocks start at multiples of ``length`` since 1970.

    Raises:
        NotMeasurableError: A row has no time.

    >>> number_blocks(np.array(["2013-04-04T05", "2013-04-09T23", "2013-04-04T23"], "M8[h]"), timedelta(days=1)).tolist()
    [0, 1, 0]
    """
    moments = np.asarray(times, dtype="datetime64[us]")
    absent = int(np.isnat(moments).sum())
    if absent:
        raise NotMeasurableError(f"{absent:,} of {len(moments):,} labelled rows have no time")
    numbers = (moments - np.datetime64(0, "us")) // np.timedelta64(length)
    return np.unique(numbers, return_inverse=True)[1]


def resamples_of(rows: int, *, count: int, seed: int, blocks: Positions | None = None) -> Iterator[Array]:
    """Yield resamples in chunks of shape (some, rows): how often each row was drawn, with replacement.

    Args:
        rows: How many there are.
        count: Resamples in all.
        seed: Of the draws.
        blocks: Number of each row's block, from 0: blocks are drawn, and every row of one comes along. None draws rows.

    >>> chunk = next(resamples_of(5, count=3, seed=0))
    >>> chunk.shape, chunk.sum(axis=1).tolist()
    ((3, 5), [5.0, 5.0, 5.0])
    >>> next(resamples_of(5, count=2, seed=1, blocks=np.array([0, 0, 1, 1, 2]))).tolist()
    [[0.0, 0.0, 2.0, 2.0, 1.0], [2.0, 2.0, 0.0, 0.0, 1.0]]
    """
    rng = np.random.default_rng(seed)
    units = rows if blocks is None else int(blocks.max()) + 1
    step = max(1, CHUNK_CELLS // rows)
    for start in range(0, count, step):
        drawn = (rng.integers(0, units, units, dtype=np.int32) for _ in range(min(step, count - start)))
        counts = np.stack([np.bincount(each, minlength=units) for each in drawn]).astype(float)
        yield counts if blocks is None else np.take(counts, blocks, axis=1)


def resampler(metrics: Sequence[str], rows: LabelledRows) -> Resampled:
    """Return metrics as functions of a block of resamples; NaN where one has no value (a single class, equal labels)."""
    parts = {name: _summed(name, rows) for name in metrics if name not in RANKED}
    ranked = [name for name in metrics if name in RANKED]
    columns = np.hstack([columns for columns, _ in parts.values()]) if parts else np.empty((len(rows.truth), 0))
    weighted = columns * rows.weight[:, None]
    ends = np.cumsum([columns.shape[1] for columns, _ in parts.values()])[:-1]
    curve = _curve(rows) if ranked else None

    def compute(counts: Array) -> dict[str, Array]:
        with np.errstate(all="ignore"):
            sums = np.split(counts @ weighted, ends, axis=1) if parts else []
            found = {name: combine(part) for (name, (_, combine)), part in zip(parts.items(), sums, strict=True)}
            steps = curve(counts) if curve else None
            return found | {name: RANKED[name](*steps) for name in ranked if steps is not None}

    return compute


def interval_of(values: Array, confidence: float, *, blocks: int | None = None) -> tuple[float, float] | None:
    """Return the two-sided percentile interval of resampled values, None where fewer than half have one.

    ``blocks`` is how many were drawn from, at least 2: the interval is then Hesterberg's expanded one, as wide as Student's t
    asks for that few. A plain percentile interval of 10 blocks misses the truth twice as often as it says.
    """
    found = values[np.isfinite(values)]
    if len(found) * 2 < len(values):
        return None
    tail = (1 - confidence) / 2
    if blocks is not None:
        tail = _expanded(tail, blocks)
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def _expanded(tail: float, blocks: int) -> float:
    """Return the share of resamples to leave out on each side (Hesterberg, The American Statistician 69, 2015)."""
    from scipy import stats

    return float(stats.norm.sf(np.sqrt(blocks / (blocks - 1)) * stats.t.isf(tail, blocks - 1)))


# ---------------------------------------------------------------- metrics made of sums


def _summed(metric: str, rows: LabelledRows) -> tuple[Array, Callable[[Array], Array]]:
    """Return columns to be summed over the drawn rows, and the metric as a function of those sums."""
    if metric in {"log_loss", "brier_score", "mae", "mape", "accuracy"}:
        return np.column_stack([row_loss(metric, rows), np.ones_like(rows.truth)]), lambda sums: sums[:, 0] / sums[:, 1]
    truth, predicted = rows.truth, rows.predicted
    if metric in {"rmse", "r2"}:
        centred = truth - truth.mean()
        columns = np.column_stack([(truth - predicted) ** 2, np.ones_like(truth), centred, centred**2])
        return columns, _rmse if metric == "rmse" else _r2
    if metric in {"f1_macro", "balanced_accuracy"}:
        classes = np.unique(np.concatenate([truth, predicted]))
        said, held = predicted[:, None] == classes, truth[:, None] == classes
        columns = np.hstack([said & held, held, said]).astype(float)
        return columns, _f1_macro if metric == "f1_macro" else _balanced_accuracy
    columns = np.column_stack([truth * predicted, truth, predicted])
    return columns, {"precision": _precision, "recall": _recall, "f1": _f1}[metric]


def _rmse(sums: Array) -> Array:
    return np.asarray(np.sqrt(sums[:, 0] / sums[:, 1]))


def _r2(sums: Array) -> Array:
    squares, total, first, second = sums.T
    spread = second - first**2 / total
    return np.asarray(1 - squares / np.where(spread > ROUNDING * second, spread, np.nan))


def _precision(sums: Array) -> Array:
    return np.asarray(sums[:, 0] / sums[:, 2])


def _recall(sums: Array) -> Array:
    return np.asarray(sums[:, 0] / sums[:, 1])


def _f1(sums: Array) -> Array:
    return np.asarray(2 * sums[:, 0] / (sums[:, 1] + sums[:, 2]))


def _f1_macro(sums: Array) -> Array:
    hit, held, said = np.split(sums, 3, axis=1)
    return np.asarray(np.nanmean(2 * hit / _or_nan(held + said), axis=1))


def _balanced_accuracy(sums: Array) -> Array:
    hit, held, _ = np.split(sums, 3, axis=1)
    return np.asarray(np.nanmean(hit / _or_nan(held), axis=1))


def _or_nan(totals: Array) -> Array:
    return np.where(totals > 0, totals, np.nan)


# ---------------------------------------------------------------- metrics made of ranks


def _curve(rows: LabelledRows) -> Callable[[Array], tuple[Array, Array]]:
    """Sort by score once; return the cumulated weights of positive and of all drawn rows at each distinct score, rising."""
    order = np.argsort(rows.score, kind="stable")
    sorted_already = bool((order == np.arange(len(order))).all())
    score = rows.score[order]
    ends = np.flatnonzero(np.concatenate([score[1:] != score[:-1], [True]]))
    positive, weight = (rows.truth * rows.weight)[order], rows.weight[order]

    def compute(counts: Array) -> tuple[Array, Array]:
        drawn = counts if sorted_already else counts[:, order]
        held, every = np.cumsum(drawn * positive, axis=1), np.cumsum(drawn * weight, axis=1)
        return (held, every) if len(ends) == len(order) else (held[:, ends], every[:, ends])

    return compute


def _area(held: Array, every: Array) -> Array:
    """Share of pairs in which the positive row scores higher, ties counting half."""
    negative = every - held
    rise = np.diff(held, axis=1, prepend=0)
    below = negative - np.diff(negative, axis=1, prepend=0) / 2
    return np.asarray(np.einsum("ij,ij->i", rise, below) / _or_nan(held[:, -1] * negative[:, -1]))


def _average_precision(held: Array, every: Array) -> Array:
    """Precision among the rows at or above each score, weighted by the rise of recall."""
    rise, rows = np.diff(held, axis=1, prepend=0), np.diff(every, axis=1, prepend=0)
    above, total = held[:, -1:] - held + rise, every[:, -1:] - every + rows
    weighted = np.divide(rise * above, total, out=np.zeros_like(rise), where=rise > 0)
    return np.asarray(weighted.sum(axis=1) / _or_nan(held[:, -1]))


RANKED: dict[str, Callable[[Array, Array], Array]] = {"roc_auc": _area, "average_precision": _average_precision}
