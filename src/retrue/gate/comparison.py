"""The gate: a challenger serves only if it is shown to be better than the champion on the same later rows. Pure.

Both models are compared on every bootstrap resample of the same rows, so what the rows have in common cancels. The
interval of the gain is two-sided: at a confidence of 0.95 a challenger that is no better passes in about 2.5 % of gates.
Rows of one day share its conditions, so whole blocks of time are drawn (``resample``), not rows as if each were a case of its own.
One look: gating the same challenger again on more rows adds a chance each time. So where it is watched, the interval is that of a
confidence sequence of the blocks' gains, which may be looked at every day. Where rows do not depend on each other, accuracy may be
compared by McNemar's exact test instead.

A slice refuses when its whole interval lies below 0 and its gain below ``-max_slice_loss``: it is worse beyond noise, and by
more than is tolerated. Asking each slice to prove the opposite (its interval above ``-max_slice_loss``) would refuse nearly every
challenger that has a small slice: with a standard error equal to the loss tolerated, 83 % of those that harm nothing.
Slices are cut as reports cut them: the values of a column, or numbers at the quartiles of these rows. A column of which none
can be judged refuses: it was named so that a challenger must not harm it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from retrue.config import GATE_BLOCKS_MIN, GateSettings
from retrue.labelled import Array, LabelledRows, NotMeasurableError, as_array, find_nulls, read_labelled
from retrue.metrics import NEED_SCORE, greater_is_better, improvement
from retrue.results import Condition, GateResult, Interval, SliceComparison
from retrue.scoring import Positions, interval_of, number_blocks, resampler, resamples_of, undefined, value_of
from retrue.statistics.conditions import QUARTERS, TEXT_MAX, Bucketed, bucketed, parts_of
from retrue.statistics.mcnemar import mcnemar_interval
from retrue.statistics.sequential import mean_sequence
from retrue.times import duration_text

log = logging.getLogger(__name__)


def judge_challenger(
    metric: str,
    *,
    task: str,
    labels: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    settings: GateSettings,
    times: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    slices: Mapping[str, ArrayLike] | None = None,
    positive_label: str | int = 1,
    watched_blocks: int | None = None,
    seed: int = 0,
) -> GateResult:
    """Compare two models on the same rows; every refusal is a sentence with its numbers.

    Args:
        metric: The judged metric of the task.
        task: ``binary``, ``multiclass`` or ``regression``.
        labels: What happened; rows whose label is None or NaN are left out.
        champion: Answers of the serving model on these rows: scores of the positive class where the metric needs
            scores, else predictions. A missing or non-finite answer of either model refuses the challenger.
        challenger: The candidate's answers, likewise.
        settings: ``min_gain`` and ``max_slice_loss`` are in units of the metric.
        times: When each row happened, without a zone, on the clock whose days are meant. Only ``resample: rows`` does without.
        weights: 1 / inclusion probability of each row; None for equal ones.
        slices: Column to its value in each row; numbers of more than 30 different values are cut at their quartiles. Slices
            with fewer than ``min_slice_rows`` rows, in fewer than 10 blocks, or on which the metric has no value, are not
            judged; a column of which none is refuses.
        watched_blocks: None for a single look. Else the gain is the mean of the blocks' gains, each block counting the same,
            with an interval that is valid at every look and narrowest after so many blocks.
        seed: The same rows in any order and the same seed give the same result.

    Raises:
        ValueError: Blocks are to be drawn and there are no ``times``, or rows are to be watched.
    """
    if settings.resample != "rows" and times is None:
        raise ValueError(f"blocks of {duration_text(settings.resample)} need the rows' times")
    if settings.resample == "rows" and watched_blocks is not None:
        raise ValueError("a challenger is watched by blocks of time, not by rows")
    resample = "rows" if settings.resample == "rows" else duration_text(settings.resample)
    test = settings.test if watched_blocks is None else "sequence"
    try:
        pair = _read_pair(
            metric, task, labels, champion, challenger, weights, slices or {}, positive_label, settings, times
        )
    except NotMeasurableError as reason:
        return GateResult(
            metric=metric,
            rows=int((~find_nulls(as_array(labels))).sum()),
            champion=None,
            challenger=None,
            gain=None,
            slices=(),
            refusals=(str(reason),),
            resample=resample,
            test=test,
            undecided=watched_blocks is not None and isinstance(reason, _TooFewError),
        )
    slices_of = [_slices(metric, column, pair, settings) for column in pair.slices]
    groups = {"": np.arange(pair.rows)} | {name: rows for each in slices_of for name, rows in each.rows.items()}
    gains = _compare(metric, pair, groups, settings, watched_blocks, seed)
    overall, blocks = gains.pop(""), pair.blocks_of(groups[""])
    compared = tuple(
        SliceComparison(name=name, rows=len(groups[name]), gain=gain) for name, gain in gains.items() if gain
    )
    unjudged = [each.refusal(metric) for each in slices_of if not any(gains[name] for name in each.rows)]
    return GateResult(
        metric=metric,
        rows=pair.rows,
        champion=pair.values[0],
        challenger=pair.values[1],
        gain=overall,
        slices=compared,
        refusals=(
            *_refuse_gain(metric, overall, settings, blocks),
            *_refuse_slices(metric, compared, settings),
            *unjudged,
        ),
        resample=resample,
        blocks=blocks,
        test=test,
        undecided=watched_blocks is not None and (overall is None or overall.high > settings.min_gain),
    )


class _TooFewError(NotMeasurableError):
    """More rows may decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    champion: LabelledRows
    challenger: LabelledRows
    values: tuple[float, float]
    slices: Sequence[Bucketed]
    blocks: Positions | None

    @property
    def rows(self) -> int:
        return len(self.champion.truth)

    def blocks_of(self, rows: Positions) -> int | None:
        """Return in how many blocks some rows lie, None where rows are drawn one by one."""
        return None if self.blocks is None else len(np.unique(self.blocks[rows]))


def _read_pair(
    metric: str,
    task: str,
    labels: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    weights: ArrayLike | None,
    slices: Mapping[str, ArrayLike],
    positive_label: str | int,
    settings: GateSettings,
    times: ArrayLike | None,
) -> _Pair:
    arrived = ~find_nulls(as_array(labels))
    if arrived.sum() < settings.min_rows:
        raise _TooFewError(f"{arrived.sum():,} labelled rows, at least {settings.min_rows:,} are needed")
    blocks = None if times is None else _read_blocks(as_array(times)[arrived], settings)
    truth = as_array(labels)[arrived]
    weight = None if weights is None else as_array(weights)[arrived]
    answers = {"champion": as_array(champion)[arrived], "challenger": as_array(challenger)[arrived]}
    before, after = (
        _read_model(who, metric, task, truth, given, weight, positive_label) for who, given in answers.items()
    )
    named = [
        bucketed(column, _numbers_or_texts(as_array(values)[arrived]), shares=QUARTERS)
        for column, values in sorted(slices.items())
    ]
    codes = [column.codes for column in named]
    if blocks is not None:
        codes.append(blocks)
    order = np.lexsort([*codes, *after.columns, *before.columns])
    before, after = before.take(order), after.take(order)
    if settings.test == "mcnemar" and np.ptp(before.weight) > 0:
        raise NotMeasurableError(
            "rows have different weights, and McNemar's test counts rows: use gate.test: bootstrap"
        )
    values = (value_of(metric, before), value_of(metric, after))
    if not np.isfinite(values).all():
        raise NotMeasurableError(
            f"{metric} is not finite: {values[0]:g} of the champion, {values[1]:g} of the challenger"
        )
    ordered = [replace(column, codes=column.codes[order]) for column in named]
    blocks = None if blocks is None else blocks[order]
    return _Pair(champion=before, challenger=after, values=values, slices=ordered, blocks=blocks)


def _read_blocks(times: ArrayLike, settings: GateSettings) -> Positions | None:
    if settings.resample == "rows":
        return None
    blocks = number_blocks(times, settings.resample)
    found = len(np.unique(blocks))
    if found < GATE_BLOCKS_MIN:
        raise _TooFewError(
            f"labelled rows in only {found} blocks of {duration_text(settings.resample)}, at least {GATE_BLOCKS_MIN} are"
            " needed: wait for more labels, lengthen retrain.holdout, or shorten retrain.gate.resample"
        )
    return blocks


def _read_model(
    who: str, metric: str, task: str, labels: Any, answers: Any, weights: Any, positive_label: str | int
) -> LabelledRows:
    absent = int(find_nulls(answers).sum())
    if absent:
        raise NotMeasurableError(f"the {who} has no answer or NaN on {absent:,} of {len(answers):,} rows")
    sides = (None, answers) if metric in NEED_SCORE else (answers, None)
    try:
        rows = read_labelled(
            task,
            labels=labels,
            predictions=sides[0],
            scores=sides[1],
            weights=weights,
            positive_label=positive_label,
        )
    except NotMeasurableError as reason:
        raise NotMeasurableError(f"the {who} cannot be judged: {reason}") from reason
    if why := undefined(metric, rows):
        raise NotMeasurableError(f"{metric} of the {who} cannot be measured: {why}")
    return rows


def _numbers_or_texts(values: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return floats where all values are numbers, in whatever way they are held, else texts with None for nulls."""
    if values.dtype.kind in "iuf":
        return np.asarray(values, dtype=float)
    absent, listed = find_nulls(values), values.tolist()
    if all(null or _is_number(each) for each, null in zip(listed, absent, strict=True)):
        return np.array([np.nan if null else float(each) for each, null in zip(listed, absent, strict=True)])
    texts = np.empty(len(listed), dtype=object)
    texts[:] = [None if null else str(each) for each, null in zip(listed, absent, strict=True)]
    return texts


def _is_number(value: object) -> bool:
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slices:
    """The rows of a column's slices that can be judged, and of the largest that cannot why."""

    column: str
    rows: dict[str, Positions] = field(default_factory=dict)
    why: str = ""

    def refusal(self, metric: str) -> str:
        """Say that no slice of the column was judged."""
        why = self.why or f"the gain in {metric} of none can be bounded"
        return (
            f"no slice of {self.column} can be judged: {why}; wait for more labels, lengthen retrain.holdout, or change"
            " retrain.gate.slices or .min_slice_rows"
        )


def _slices(metric: str, column: Bucketed, pair: _Pair, settings: GateSettings) -> _Slices:
    judged: dict[str, Positions] = {}
    unjudged = {0: f"it has no value of at most {TEXT_MAX} characters"}
    most = max(1, pair.rows // settings.min_slice_rows)  # more cannot have so many rows
    for condition, holds in parts_of(column, most=most):
        rows = np.flatnonzero(holds)
        if why := _unjudged(metric, rows, pair, settings):
            log.info("a slice of %s is not judged: %s", column.name, why)
            unjudged.setdefault(len(rows), f"the largest, {_name(condition)}: {why}")
        else:
            judged[_name(condition)] = rows
    return _Slices(column=column.name, rows=judged, why="" if judged else unjudged[max(unjudged)])


def _name(condition: Condition) -> str:
    """Return what a slice is called, also in MLflow's metrics of earlier gates: ``origin=EWR``, ``distance >= 1,000``."""
    return f"{condition.column}={condition.value}" if condition.relation == "=" else str(condition)


def _unjudged(metric: str, rows: Positions, pair: _Pair, settings: GateSettings) -> str:
    """Return why some rows cannot be judged, or ""."""
    if len(rows) < settings.min_slice_rows:
        return f"{len(rows):,} rows, at least {settings.min_slice_rows:,} are needed"
    blocks = pair.blocks_of(rows)
    why = undefined(metric, pair.champion.take(rows)) or undefined(metric, pair.challenger.take(rows))
    if not why and blocks and blocks < GATE_BLOCKS_MIN:
        return f"rows in {blocks} blocks, at least {GATE_BLOCKS_MIN} are needed"
    return why


def _compare(
    metric: str,
    pair: _Pair,
    groups: Mapping[str, Positions],
    settings: GateSettings,
    watched_blocks: int | None,
    seed: int,
) -> dict[str, Interval | None]:
    """Return the gain of each group by the test that the settings name."""
    if watched_blocks is not None and pair.blocks is not None:
        slices = {name: rows for name, rows in groups.items() if name}
        overall = _watched(metric, pair, pair.blocks, settings, watched_blocks)
        return {"": overall} | (_gains(metric, pair, slices, settings, seed) if slices else {})
    return (
        _counted(pair, groups, settings) if settings.test == "mcnemar" else _gains(metric, pair, groups, settings, seed)
    )


def _gains(
    metric: str, pair: _Pair, groups: Mapping[str, Positions], settings: GateSettings, seed: int
) -> dict[str, Interval | None]:
    """Return the paired gain of each group, None where its interval has no bounds; one set of resamples serves all."""
    models = {name: (pair.champion.take(rows), pair.challenger.take(rows)) for name, rows in groups.items()}
    compute = {name: [resampler([metric], each) for each in both] for name, both in models.items()}
    drawn: dict[str, list[Array]] = {name: [] for name in groups}
    greater = greater_is_better(metric)
    for counts in resamples_of(pair.rows, count=settings.resamples, seed=seed, blocks=pair.blocks):
        for name, rows in groups.items():
            own = counts[:, rows] if name else counts
            before, after = (each(own)[metric] for each in compute[name])
            drawn[name].append(after - before if greater else before - after)
    gains: dict[str, Interval | None] = {}
    for name, (champion, challenger) in models.items():
        blocks = pair.blocks_of(groups[name])
        bounds = interval_of(np.concatenate(drawn[name]), settings.confidence, blocks=blocks)
        old, new = (value_of(metric, champion), value_of(metric, challenger)) if name else pair.values
        gain = improvement(metric, before=old, after=new)
        gains[name] = (
            Interval(value=gain, low=bounds[0], high=bounds[1], confidence=settings.confidence) if bounds else None
        )
    return gains


def _counted(pair: _Pair, groups: Mapping[str, Positions], settings: GateSettings) -> dict[str, Interval | None]:
    """Return the gain in accuracy of each group, by the rows that only one of the two got right."""
    right = [each.truth == each.predicted for each in (pair.champion, pair.challenger)]
    gains: dict[str, Interval | None] = {}
    for name, rows in groups.items():
        before, after = (each[rows] for each in right)
        won, lost = int((after & ~before).sum()), int((before & ~after).sum())
        low, high = mcnemar_interval(won, lost, rows=len(rows), confidence=settings.confidence)
        gains[name] = Interval(value=(won - lost) / len(rows), low=low, high=high, confidence=settings.confidence)
    return gains


def _watched(metric: str, pair: _Pair, numbers: Positions, settings: GateSettings, tuned_for: int) -> Interval | None:
    """Return the mean of the blocks' gains with its interval for every look, None where too few blocks have a gain."""
    blocks = (np.arange(numbers.max() + 1)[:, None] == numbers).astype(float)
    before, after = (resampler([metric], each)(blocks)[metric] for each in (pair.champion, pair.challenger))
    gains = after - before if greater_is_better(metric) else before - after
    gains = gains[np.isfinite(gains)]
    if len(gains) < GATE_BLOCKS_MIN:
        return None
    low, high = mean_sequence(gains, confidence=settings.confidence, tuned_for=tuned_for)
    if not np.isfinite(low):
        return None
    return Interval(value=float(np.mean(gains)), low=low, high=high, confidence=settings.confidence)


def _refuse_gain(metric: str, gain: Interval | None, settings: GateSettings, blocks: int | None) -> Iterator[str]:
    over = "" if settings.resample == "rows" else f" over {blocks} blocks of {duration_text(settings.resample)}"
    if gain is None:
        yield f"the gain in {metric} cannot be bounded: too few resamples or blocks of these rows have a {metric}"
    elif not gain.low > settings.min_gain:
        yield f"not shown to be better: {_describe(metric, gain)}, and the interval{over} must lie above {settings.min_gain:g}"


def _refuse_slices(metric: str, slices: Sequence[SliceComparison], settings: GateSettings) -> Iterator[str]:
    for each in slices:
        if each.gain.high < 0 and each.gain.value < -settings.max_slice_loss:
            yield (
                f"worse on {each.name} ({each.rows:,} rows): {_describe(metric, each.gain)}, "
                f"and no slice may lose more than {settings.max_slice_loss:g}"
            )


def _describe(metric: str, gain: Interval) -> str:
    bounds = f"{gain.confidence:.0%} interval {gain.low:+.4g} to {gain.high:+.4g}"
    return f"{metric} gains {gain.value:+.4g} ({bounds})"
