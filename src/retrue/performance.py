"""Realised performance: how good predictions were, once their labels have arrived. Pure.

Values are scikit-learn's, weighted by ``sample_weight``. Intervals are percentile bootstrap intervals of the rows: they hold the
noise of a finite window, not that of an autocorrelated one. A window seldom holds the 10 days that drawing days would need (see
the gate's ``resample``): where rows of one day share its conditions, these intervals are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from retrue.labelled import LabelledRows, NotMeasurableError, read_labelled
from retrue.metrics import METRICS
from retrue.results import Interval, RealisedPerformance, Unmeasured
from retrue.scoring import interval_of, resampler, resamples_of, undefined, value_of

CONFIDENCE = 0.95


def measure_performance(
    task: str,
    metric: str,
    *,
    labels: ArrayLike,
    predictions: ArrayLike | None,
    scores: ArrayLike | None,
    weights: ArrayLike | None = None,
    coverage_share: float = 1.0,
    positive_label: str | int = 1,
    min_labels: int = 100,
    seed: int = 0,
    resamples: int = 200,
) -> RealisedPerformance | Unmeasured:
    """Return every metric of the task that these rows allow, or why the judged one cannot be measured.

    Args:
        task: ``binary``, ``multiclass`` or ``regression``.
        metric: The judged metric, one of ``METRICS[task]``.
        labels: What happened, aligned with the columns below; rows whose label is None or NaN are left out.
        predictions: What the model said; ``1``, ``1.0``, ``"1"`` and ``True`` are one class. None: not logged.
        scores: Score of the positive class. None: not logged.
        weights: 1 / inclusion probability of each row; None for equal ones.
        coverage_share: Weighted share of the window's rows that have labels, in 0-1; passed on.
        min_labels: Labelled rows below which nothing is measured.
        resamples: Bootstrap resamples; the same rows in any order and the same seed give the same intervals.

    >>> good = measure_performance("regression", "mae", labels=[1.0, 2.0, 4.0], predictions=[1.0, 2.0, 3.0], scores=None, min_labels=3)
    >>> round(good.judged.value, 3)
    0.333
    """
    try:
        rows = read_labelled(
            task, labels=labels, predictions=predictions, scores=scores, weights=weights, positive_label=positive_label
        )
    except NotMeasurableError as reason:
        return Unmeasured(part="performance", reason=str(reason))
    count = len(rows.truth)
    if count < min_labels:
        return Unmeasured(part="performance", reason=f"{count:,} labelled rows, at least {min_labels:,} are needed")
    why = undefined(metric, rows)
    if why:
        return Unmeasured(part="performance", reason=f"{metric} cannot be measured: {why}")
    rows = rows.take(np.lexsort(rows.columns))
    measured = _measure([name for name in METRICS[task] if not undefined(name, rows)], rows, seed, resamples)
    if metric not in measured:
        return Unmeasured(part="performance", reason=f"{metric} cannot be measured: it is not finite on these rows")
    return RealisedPerformance(metric=metric, metrics=measured, labelled_rows=count, coverage_share=coverage_share)


def _measure(names: Sequence[str], rows: LabelledRows, seed: int, resamples: int) -> dict[str, Interval]:
    values = {name: value_of(name, rows) for name in names}
    compute = resampler(names, rows)
    blocks = [compute(counts) for counts in resamples_of(len(rows.truth), count=resamples, seed=seed)]
    measured = {}
    for name, value in values.items():
        bounds = interval_of(np.concatenate([block[name] for block in blocks]), CONFIDENCE)
        if np.isfinite(value) and bounds is not None:
            measured[name] = Interval(value=value, low=bounds[0], high=bounds[1], confidence=CONFIDENCE)
    return measured
