"""How the model does on declared slices, where it does worst, and which inputs became commoner. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from retrue.explained.rows import CONFIDENCE, DECLARED_MAX, Examined, find_loss
from retrue.failures import Sums, relative_risk
from retrue.labelled import Array
from retrue.metrics import improvement
from retrue.results import Condition, Interval, Moved, Slice, Slices, Unmeasured
from retrue.scoring import interval_of, resampler, resamples_of, undefined, value_of
from retrue.statistics.conditions import QUARTERS, Bucketed, Rows, bucketed, parts_of
from retrue.statistics.false_discovery import discoveries
from retrue.statistics.slices import FoundSlice, SliceThresholds, find_slices, mean_interval

RESAMPLES = 100
FALSE_SHARE = 0.05  # of the declared slices called over their bound
MOVED = SliceThresholds(min_rows=200, keep=3)
MOVED_ALONE = replace(MOVED, paired=0)

_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf(0.5 + CONFIDENCE / 2)


def find_weak_slices(
    metric: str,
    *,
    window: Examined | None,
    served: Examined | None,
    reference: Examined,
    declared: Sequence[str] = (),
    max_drop: float | None = None,
    min_rows: int = 100,
    moves: SliceThresholds = MOVED,
    seed: int = 0,
) -> Slices | Unmeasured:
    """Return how the model does on declared slices, where it does worst, and which inputs became commoner.

    Args:
        metric: The judged one.
        window: Labelled rows of the window, None where there are too few.
        served: All inferences of the window; for shares of failures, and for inputs that became commoner.
        reference: The baseline's rows; ranges are between its quantiles, so that slices are the same from window to window.
        declared: Columns whose values or quarters are slices.
        max_drop: By how much the metric may be worse on a declared slice than on the reference's rows of it.
        min_rows: Labelled rows that a slice needs.
        moves: What inputs that became commoner need to be told; ``MOVED_ALONE`` where the reference has no whole rows.
        seed: Of halvings and resamples.
    """
    sides = [reference, *(each for each in (window, served) if each is not None)]
    ends = np.cumsum([len(each.weight) for each in sides])
    places = {id(each): slice(end - len(each.weight), end) for each, end in zip(sides, ends, strict=True)}
    table = _Table(sides=sides, like=np.arange(ends[-1]) < ends[0], places=places)
    columns = [table.bucket(name) for name in reference.columns]
    moved = _moved(columns, table, reference, served, moves, seed) if served is not None else ()
    if window is None or window.labelled is None:
        return Slices(loss="", rows=0, tested=0, moved=moved)
    loss = find_loss(metric, window.labelled)
    if loss is None:
        return Unmeasured(part="slices", reason="no loss can be computed on single rows")
    here = _Slicing(
        metric=metric, loss=loss[1], window=window, served=served, reference=reference, table=table, min_rows=min_rows,
        seed=seed,
    )  # fmt: skip
    own, short = here.declared([name for name in declared if name in reference.columns])
    own = _judged(own, max_drop)
    search = find_slices(
        [_part(each, table.places[id(window)]) for each in columns],
        loss[1],
        window.weight,
        seed=seed,
        thresholds=SliceThresholds(min_rows=min_rows),
    )
    by_name = {each.name: each for each in columns}
    found = tuple(here.found(each, by_name, search.held) for each in search.found)
    return Slices(
        loss=loss[0], rows=len(loss[1]), tested=search.tested, slices=(*own, *found), moved=moved, unmeasurable=short
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """All rows one below the other: the reference first. ``places`` are where those of each side lie, by its id."""

    sides: Sequence[Examined]
    like: Rows
    places: Mapping[int, slice]

    def bucket(self, name: str, **options: Sequence[float]) -> Bucketed:
        values = np.concatenate([each.columns[name] for each in self.sides])
        return bucketed(name, values, like=self.like, **options)


def _part(column: Bucketed, rows: slice) -> Bucketed:
    return replace(column, codes=column.codes[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slicing:
    """What it takes to measure a slice, given where its conditions hold in the whole table."""

    metric: str
    loss: Array
    window: Examined
    served: Examined | None
    reference: Examined
    table: _Table
    min_rows: int
    seed: int

    def declared(self, names: Sequence[str]) -> tuple[list[Slice], tuple[tuple[str, str], ...]]:
        """Return the slices of these columns, and those with too few labelled rows with that as reason."""
        own, short = [], []
        for name in names:
            for condition, holds in parts_of(self.table.bucket(name, shares=QUARTERS), most=DECLARED_MAX):
                rows = int(self._of(self.window, holds).sum())
                if rows < self.min_rows:
                    short.append((str(condition), f"{rows:,} labelled rows, {self.min_rows:,} are needed"))
                elif found := self._measured((condition,), holds, declared=True):
                    own.append(found)
                    short += [] if found.drop else [(str(condition), f"{self.metric} has no value on both sides")]
        return own, tuple(short)

    def found(self, weak: FoundSlice, columns: Mapping[str, Bucketed], held: Rows) -> Slice:
        """Measure a slice that was found, on the rows it was not found on."""
        holds = np.logical_and.reduce([columns[each.column].holds(each) for each in weak.conditions])
        measured = self._measured(weak.conditions, holds, declared=False, held=held)
        plain = measured or Slice(
            conditions=weak.conditions, declared=False, rows=0, share=0.0, loss=weak.inside, outside_loss=weak.outside
        )
        return replace(plain, loss=weak.inside, outside_loss=weak.outside)

    def _of(self, side: Examined, holds: Rows) -> Rows:
        return holds[self.table.places[id(side)]]

    def _measured(
        self, conditions: tuple[Condition, ...], holds: Rows, *, declared: bool, held: Rows | None = None
    ) -> Slice | None:
        inside, weight = self._of(self.window, holds), self.window.weight
        chosen = inside if held is None else inside & held
        mean = mean_interval(self.loss[chosen], weight[chosen])
        if mean is None:
            return None
        others = ~inside & (weight > 0)
        now = self._metric(self.window, chosen)
        before = self._metric(self.reference, self._of(self.reference, holds))
        return Slice(
            conditions=conditions,
            declared=declared,
            rows=int(inside.sum()),
            share=min(1.0, float(weight[inside].sum() / weight.sum())),
            loss=mean,
            outside_loss=float(np.average(self.loss[others], weights=weight[others])) if others.any() else mean.value,
            metric=now,
            reference=before,
            drop=_drop(self.metric, now, before),
            failure_share=self._failures(holds),
        )

    def _metric(self, side: Examined, rows: Rows) -> Interval | None:
        if side.labelled is None or rows.sum() < self.min_rows // 2:
            return None
        chosen = side.labelled.take(np.flatnonzero(rows))
        if undefined(self.metric, chosen):
            return None
        compute = resampler([self.metric], chosen)
        count = len(chosen.truth)
        drawn = np.concatenate(
            [compute(each)[self.metric] for each in resamples_of(count, count=RESAMPLES, seed=self.seed)]
        )
        value, bounds = value_of(self.metric, chosen), interval_of(drawn, CONFIDENCE)
        if bounds is None or not math.isfinite(value):
            return None
        return Interval(value=value, low=bounds[0], high=bounds[1], confidence=CONFIDENCE)

    def _failures(self, holds: Rows) -> Interval | None:
        if self.served is None or self.served.failed is None:
            return None
        rows = self._of(self.served, holds)
        return share_interval(self.served.failed[rows], self.served.weight[rows])


def share_interval(happened: Array, weight: Array) -> Interval | None:
    """Return a weighted share with Wilson's interval (1927, J. Am. Stat. Assoc. 22) at Kish's effective number of rows.

    >>> found = share_interval(np.repeat([1.0, 0.0], [1, 9]), np.ones(10))
    >>> round(found.low, 3), round(found.high, 3)
    (0.018, 0.404)
    """
    total = float(weight.sum())
    if not total > 0:
        return None
    share, rows = float(weight @ happened) / total, total**2 / float(weight @ weight)
    middle, reach = share + _Z**2 / (2 * rows), _Z * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    scale = 1 + _Z**2 / rows
    return Interval(
        value=share,
        low=max(0.0, (middle - reach) / scale),
        high=min(1.0, (middle + reach) / scale),
        confidence=CONFIDENCE,
    )


def _drop(metric: str, now: Interval | None, before: Interval | None) -> Interval | None:
    """Return by how much the metric is worse, with the normal interval of two independent estimates."""
    if now is None or before is None:
        return None
    value = -improvement(metric, before=before.value, after=now.value)
    reach = math.hypot(*((each.high - each.low) / 2 for each in (now, before)))
    return Interval(value=value, low=value - reach, high=value + reach, confidence=CONFIDENCE)


def _judged(slices: Sequence[Slice], max_drop: float | None) -> list[Slice]:
    """Return slices with the p-value of a drop over the bound, and whether it is one when all are looked at together."""
    if max_drop is None:
        return list(slices)
    judged = [replace(each, drop_chance=_chance(each.drop, max_drop)) for each in slices]
    chances = [each.drop_chance for each in judged if each.drop_chance is not None]
    real = iter(discoveries(chances, false_share=FALSE_SHARE, dependent=True))
    return [replace(each, over_bound=each.drop_chance is not None and next(real)) for each in judged]


def _chance(drop: Interval | None, bound: float) -> float | None:
    if drop is None:
        return None
    deviation = (drop.high - drop.low) / (2 * _Z)
    if not deviation > 0:
        return float(drop.value <= bound)
    return _NORMAL.cdf((bound - drop.value) / deviation)


def _moved(
    columns: Sequence[Bucketed], table: _Table, reference: Examined, served: Examined, moves: SliceThresholds, seed: int
) -> tuple[Moved, ...]:
    """Return inputs that are commoner among what was served than in the reference, by the search for weak slices."""
    old, new = table.places[id(reference)], table.places[id(served)]
    joined = [replace(each, codes=np.concatenate([each.codes[old], each.codes[new]])) for each in columns]
    side = np.repeat([0.0, 1.0], [len(reference.weight), len(served.weight)])
    weight = np.concatenate([each.weight / each.weight.sum() for each in (reference, served)]) * len(side) / 2
    search = find_slices(joined, side, weight, seed=seed, thresholds=moves)
    by_name = {each.name: each for each in joined}
    return tuple(_as_moved(each, by_name, side, weight, search.held) for each in search.found)


def _as_moved(found: FoundSlice, columns: Mapping[str, Bucketed], side: Array, weight: Array, held: Rows) -> Moved:
    holds = np.logical_and.reduce([columns[each.column].holds(each) for each in found.conditions])
    now, before = held & (side == 1), held & (side == 0)
    return Moved(
        conditions=found.conditions,
        share=float(min(1.0, weight[now & holds].sum() / weight[now].sum())),
        reference_share=float(min(1.0, weight[before & holds].sum() / weight[before].sum())),
        ratio=relative_risk(*(_sums(weight[rows]) for rows in (now & holds, now, before & holds, before))),
    )


def _sums(weight: Array) -> Sums:
    return Sums(rows=len(weight), weight=float(weight.sum()), squares=float(weight @ weight))
