"""A change of the judged metric split by inputs, relation, feature and slice. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from retrue.explained.rows import DECLARED_MAX, Examined, find_loss
from retrue.labelled import Array, LabelledRows
from retrue.results import Attribution, Interval, Unmeasured
from retrue.scoring import resampler, resamples_of, undefined, value_of
from retrue.statistics.attribution import LossSplit, MetricSplit, Overlap, compare_inputs, split_loss, split_metric
from retrue.statistics.conditions import QUARTERS, Rows, bucketed, parts_of

ATTRIBUTED_ROWS_MAX = 10_000  # a side; bounds the time of a window
RESAMPLES = 100
UNSUPPORTED_SHARE_MAX = 0.5  # beyond, most of the window has nothing to be compared with
SHARED_ROWS_MIN = 100  # effective rows

_MEANS = {"log_loss": 1.0, "brier_score": 1.0, "mae": 1.0, "mape": 1.0, "accuracy": -1.0}
"""Metrics that are means over rows, with the sign of their loss."""


def attribute_change(
    metric: str, *, window: Examined, reference: Examined, by: str | None = None, seed: int = 0
) -> Attribution | Unmeasured:
    """Split the metric's change from the reference to the window into that of inputs and that of the relation.

    For ``log_loss``, ``brier_score``, ``mae``, ``mape`` and ``accuracy``, which are means over rows, by ``split_loss``; for the
    others both sides are weighted to the inputs they share. Features and slices split the loss of ``find_loss``.

    Args:
        metric: The judged one, with a value on both.
        window: Labelled rows; of more than 10,000 a random part.
        reference: Likewise.
        by: A column whose values or quarters are the slices of the split.
        seed: Of samples, folds and resamples.
    """
    before, after = (_bounded(each, seed) for each in (reference, window))
    if before.labelled is None or after.labelled is None:
        return Unmeasured(part="attribution", reason="the baseline has no labelled rows to compare with")
    losses = find_loss(metric, before.labelled), find_loss(metric, after.labelled)
    if losses[0] is None or losses[1] is None or losses[0][0] != losses[1][0]:
        return Unmeasured(part="attribution", reason=f"no loss stands for {metric} on both sides")
    if any(undefined(metric, each) for each in (before.labelled, after.labelled)):
        return Unmeasured(part="attribution", reason=f"{metric} has no value on one side")
    overlap = compare_inputs(
        before.columns,
        after.columns,
        before_weight=before.weight,
        after_weight=after.weight,
        before_time=before.time,
        after_time=after.time,
        seed=seed,
    )
    if overlap.unsupported_share > UNSUPPORTED_SHARE_MAX or overlap.shared_rows < SHARED_ROWS_MIN:
        return Unmeasured(
            part="attribution",
            reason=f"{overlap.unsupported_share:.0%} of the window's inputs hardly occur in the baseline",
        )
    if metric not in _MEANS and any(
        undefined(metric, each) for each in _shared(overlap, before.labelled, after.labelled)
    ):
        return Unmeasured(part="attribution", reason=f"{metric} has no value on the inputs that both sides have")
    slices = list(_partition(before, after, by)) if by else []
    split = split_loss(overlap, np.concatenate([losses[0][1], losses[1][1]]), slices=slices, seed=seed)
    whole = _of_metric(metric, split, overlap, (before.labelled, after.labelled), seed)
    return Attribution(
        measure=metric,
        before=whole.before,
        after=whole.after,
        total=whole.total,
        inputs=whole.inputs,
        relation=whole.relation,
        unsupported=_signed(split.unsupported, _MEANS[metric]) if metric in _MEANS else None,
        unsupported_share=overlap.unsupported_share,
        loss=losses[0][0],
        loss_total=split.total,
        features=split.features,
        remainder=split.remainder,
        slices=split.slices,
        rows_before=len(before.weight),
        rows_after=len(after.weight),
    )


def _of_metric(
    metric: str, split: LossSplit, overlap: Overlap, sides: tuple[LabelledRows, LabelledRows], seed: int
) -> MetricSplit:
    if metric not in _MEANS:
        return split_metric(overlap, _measurer(metric, sides, overlap, seed))
    sign = _MEANS[metric]
    ends = (1 - split.before, 1 - split.after) if sign < 0 else (split.before, split.after)
    return MetricSplit(
        before=ends[0],
        after=ends[1],
        total=_signed(split.total, sign),
        inputs=_signed(split.inputs, sign),
        relation=_signed(split.relation, sign),
    )


def _shared(overlap: Overlap, before: LabelledRows, after: LabelledRows) -> Iterator[LabelledRows]:
    """Yield both sides weighted to the inputs that they share."""
    yield replace(before, weight=overlap.shared[~overlap.after])
    yield replace(after, weight=overlap.shared[overlap.after])


def _measurer(
    metric: str, sides: tuple[LabelledRows, LabelledRows], overlap: Overlap, seed: int
) -> Callable[[bool, Array], tuple[float, Array]]:
    def measure(after: bool, weight: Array) -> tuple[float, Array]:
        rows = replace(sides[after], weight=weight)
        compute = resampler([metric], rows)
        stretch = None if overlap.stretch is None else overlap.stretch[overlap.after == after]
        blocks = None if stretch is None else stretch - stretch.min()
        counts = resamples_of(len(weight), count=RESAMPLES, seed=seed + after, blocks=blocks)
        drawn = [compute(each)[metric] for each in counts]
        return value_of(metric, rows), np.concatenate(drawn)

    return measure


def _signed(interval: Interval, sign: float) -> Interval:
    return interval if sign > 0 else replace(interval, value=-interval.value, low=-interval.high, high=-interval.low)


def _bounded(each: Examined, seed: int) -> Examined:
    rows = len(each.weight)
    if rows <= ATTRIBUTED_ROWS_MAX:
        return each
    return each.take(np.sort(np.random.default_rng(seed).choice(rows, ATTRIBUTED_ROWS_MAX, replace=False)))


def _partition(before: Examined, after: Examined, by: str) -> Iterator[tuple[str, Rows]]:
    values = np.concatenate([before.columns[by], after.columns[by]])
    old = np.arange(len(values)) < len(before.weight)
    column = bucketed(by, values, like=old, shares=QUARTERS)
    rest = np.ones(len(values), dtype=bool)
    for condition, rows in parts_of(column, most=DECLARED_MAX):
        rest &= ~rows
        yield str(condition), rows
    if rest.any():
        yield f"{by}: all others", rest
