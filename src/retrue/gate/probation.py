"""Probation: is a version that was promoted worse than the one before it, on rows that came after? Pure.

Each look compares the two on the same rows by the gate's own test. There are several looks, so each gets its part of the chance
of an error (Bonferroni): all together roll back a version that is no worse in at most (1 - confidence) / 2 of probations.
A version before it that cannot be loaded has no answers on these rows. Then the new one is compared with itself: it is worse where
its whole interval lies below the one its baseline has *and* below what the version before it reached at the gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from retrue.config import GATE_BLOCKS_MIN, GateSettings
from retrue.digits import decimal_all
from retrue.gate.comparison import judge_challenger
from retrue.labelled import NotMeasurableError, as_array, find_nulls, read_labelled
from retrue.metrics import NEED_SCORE, greater_is_better
from retrue.results import Interval
from retrue.scoring import interval_of, number_blocks, resampler, resamples_of, undefined, value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbationLook:
    """One look. ``outcome`` is worse, kept or inconclusive.

    ``gain`` is how much better the new version is than the one before it, None where there is no such interval.
    """

    outcome: str
    reason: str
    rows: int
    gain: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a new version is held against where the one before it cannot be loaded: its own baseline and the gate's value."""

    baseline: Interval
    previous_at_gate: float


def probation_windows(settings: GateSettings, every: timedelta) -> int:
    """Return how many windows a probation has: as many as are set, and enough for the blocks that a look needs.

    >>> probation_windows(GateSettings(), timedelta(days=7)), probation_windows(GateSettings(), timedelta(days=1))
    (4, 10)
    """
    return max(settings.probation, _windows_needed(settings, every)) if settings.probation else 0


def probation_looks(settings: GateSettings, every: timedelta) -> int:
    """Return how many looks a probation has: one after each window, from the first that makes enough blocks.

    >>> probation_looks(GateSettings(), timedelta(days=7)), probation_looks(GateSettings(), timedelta(days=1))
    (3, 1)
    """
    return max(1, probation_windows(settings, every) - _windows_needed(settings, every) + 1)


def _windows_needed(settings: GateSettings, every: timedelta) -> int:
    return 1 if settings.resample == "rows" else ceil(GATE_BLOCKS_MIN * settings.resample / every)


def judge_probation(
    metric: str,
    *,
    task: str,
    labels: ArrayLike,
    champion: ArrayLike,
    previous: ArrayLike | Past,
    settings: GateSettings,
    looks: int,
    times: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    positive_label: str | int = 1,
    seed: int = 0,
) -> ProbationLook:
    """Take one look at a version on probation.

    Args:
        metric: The judged metric of the task.
        task: ``binary``, ``multiclass`` or ``regression``.
        labels: What happened, on the rows since the promotion.
        champion: The new version's answers on them, as the gate takes them.
        previous: Those of the version before it, or what is known of it.
        settings: Of the gate.
        looks: How many the probation has in all.
        times: As the gate takes them.
        weights: 1 / inclusion probability of each row; None for equal ones.
        positive_label: The class that counts as positive in a binary task.
        seed: Of the draws.
    """
    each_look = settings.model_copy(
        update={
            "confidence": 1 - (1 - settings.confidence) / looks,
            "resamples": settings.resamples * looks,  # bounds further out need more to be as exact
            "slices": (),
            "min_gain": 0.0,
        }
    )
    if isinstance(previous, Past):
        return _against_past(metric, task, labels, champion, previous, each_look, times, weights, positive_label, seed)
    compared = judge_challenger(
        metric,
        task=task,
        labels=labels,
        champion=previous,
        challenger=champion,
        settings=each_look,
        times=times,
        weights=weights,
        positive_label=positive_label,
        seed=seed,
    )
    if compared.gain is None:
        reason = (
            "; ".join(compared.refusals).replace("the champion", "the version before").replace("challenger", "version")
        )
        return ProbationLook(outcome="inconclusive", reason=reason, rows=compared.rows)
    worse = compared.gain.high < 0
    new, old = decimal_all([compared.challenger or 0.0, compared.champion or 0.0], 4)
    reason = (
        f"{'worse' if worse else 'not shown to be worse'} than the version before on the same {compared.rows:,} rows:"
        f" {metric} {new} against {old}, {_shown(compared.gain)}"
    )
    return ProbationLook(outcome="worse" if worse else "kept", reason=reason, rows=compared.rows, gain=compared.gain)


def _against_past(
    metric: str,
    task: str,
    labels: ArrayLike,
    champion: ArrayLike,
    past: Past,
    settings: GateSettings,
    times: ArrayLike | None,
    weights: ArrayLike | None,
    positive_label: str | int,
    seed: int,
) -> ProbationLook:
    rows = int((~find_nulls(as_array(labels))).sum())
    try:
        now = _interval(metric, task, labels, champion, settings, times, weights, positive_label, seed)
    except NotMeasurableError as unmeasurable:
        return ProbationLook(outcome="inconclusive", reason=str(unmeasurable), rows=rows)
    sign = 1 if greater_is_better(metric) else -1
    best = max(sign * now.low, sign * now.high)
    worst_before = min(sign * past.baseline.low, sign * past.baseline.high)
    worse = best < min(worst_before, sign * past.previous_at_gate)
    value, low, high = decimal_all([now.value, now.low, now.high], 4)
    before_low, before_high, at_gate = decimal_all([past.baseline.low, past.baseline.high, past.previous_at_gate], 4)
    reason = (
        f"{metric} {value} [{low}, {high}] on {rows:,} rows,"
        f" {'worse than' if worse else 'held against'} its own baseline [{before_low}, {before_high}]"
        f" and the {at_gate} of the version before at the gate, which cannot be loaded to be compared"
    )
    return ProbationLook(outcome="worse" if worse else "kept", reason=reason, rows=rows)


def _interval(
    metric: str,
    task: str,
    labels: ArrayLike,
    answers: ArrayLike,
    settings: GateSettings,
    times: ArrayLike | None,
    weights: ArrayLike | None,
    positive_label: str | int,
    seed: int,
) -> Interval:
    arrived = ~find_nulls(as_array(labels))
    if arrived.sum() < settings.min_rows:
        raise NotMeasurableError(f"{arrived.sum():,} labelled rows, at least {settings.min_rows:,} are needed")
    given = as_array(answers)[arrived]
    if find_nulls(given).any():
        raise NotMeasurableError(f"the version has no answer or NaN on {int(find_nulls(given).sum()):,} rows")
    sides = (None, given) if metric in NEED_SCORE else (given, None)
    read = read_labelled(
        task,
        labels=as_array(labels)[arrived],
        predictions=sides[0],
        scores=sides[1],
        weights=None if weights is None else as_array(weights)[arrived],
        positive_label=positive_label,
    )
    if why := undefined(metric, read):
        raise NotMeasurableError(f"{metric} cannot be measured: {why}")
    blocks = None
    if settings.resample != "rows" and times is not None:
        blocks = number_blocks(as_array(times)[arrived], settings.resample)
    found = None if blocks is None else len(np.unique(blocks))
    if found is not None and found < GATE_BLOCKS_MIN:
        raise NotMeasurableError(f"labelled rows in only {found} blocks, at least {GATE_BLOCKS_MIN} are needed")
    compute = resampler([metric], read)
    chunks = resamples_of(len(read.truth), count=settings.resamples, seed=seed, blocks=blocks)
    bounds = interval_of(np.concatenate([compute(each)[metric] for each in chunks]), settings.confidence, blocks=found)
    if bounds is None:
        raise NotMeasurableError(f"most resamples of these rows have no {metric}")
    return Interval(value=value_of(metric, read), low=bounds[0], high=bounds[1], confidence=settings.confidence)


def _shown(gain: Interval) -> str:
    value, low, high = decimal_all([gain.value, gain.low, gain.high], 4, sign="+")
    return f"gain {value} ({gain.confidence:.1%} interval {low} to {high})"
