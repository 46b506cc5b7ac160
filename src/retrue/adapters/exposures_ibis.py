"""Sums of records for which a condition, or two, hold: of all records and of the failed ones of each group.

They are taken of one table that is copied once. Of more than ``ROWS_MAX`` records that failed, and of as many that did not,
a part stands for the rest that depends on their ids alone, with weights to match. ibis is imported inside functions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrue.adapters.candidates_ibis import FIELDS, Column, find_columns
from retrue.adapters.failures_ibis import FAILED, narrow
from retrue.failures import Sums
from retrue.results import Condition
from retrue.sources.engine import hash_of
from retrue.sources.pulled import PulledWindow
from retrue.statistics.conditions import Bucket

if TYPE_CHECKING:
    import ibis.expr.types as ir

ROWS_MAX = 100_000
ROWS_MIN = 5  # values that fewer records share are never shown: they could tell of a person
VALUES_MAX = 200  # commonest values of a column
EVERY_GROUP = -1
"""The number of all groups together."""

_INPUTS = "inputs"  # a table of the window's engine
_SUCCESS = -2
_PAIRS_A_QUERY = 32
_HASHES = 2**64
_NOTHING = Sums(rows=0, weight=0.0, squares=0.0)

Conditions = tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What all records come to where conditions hold, and the failed ones of each group by its number."""

    total: Sums
    failed: Mapping[int, Sums]


class Exposures:
    """The conditions of a window's columns, measured in its engine; the table ``FAILED`` is there.

    A record of which no feature was kept says nothing of the input and is left out. ``failed_factor`` and
    ``success_factor`` are how many records one that was copied stands for.
    """

    def __init__(self, pulled: PulledWindow, *, groups: int) -> None:
        """Copy the inputs; failures of groups from number ``groups`` on count as one more group."""
        self._pulled, self._engine = pulled, pulled.engine
        self._columns = {column.name: column for column in find_columns(pulled)}
        self._short = {name: f"c{number}" for number, name in enumerate(self._columns)}
        self._buckets: dict[Condition, frozenset[Bucket]] = {}
        ((failures,),) = self._engine.fetch(self._engine.table(FAILED).count().as_table())
        self.failed_factor = max(1.0, failures / ROWS_MAX)
        self.success_factor = max(1.0, (pulled.report.rows - failures) / ROWS_MAX)
        self._copy_inputs(groups)
        table = self._table([])
        self.whole = _tally((group, sums) for group, *sums in self._engine.fetch(_summed(table, "group")))

    def singles(self) -> dict[Conditions, Tally]:
        """Measure every condition that enough records share."""
        return {(condition,): tally for column in self._columns.values() for condition, tally in self._singles(column)}

    def pairs(self, pairs: Sequence[Conditions]) -> dict[Conditions, Tally]:
        """Measure pairs of conditions that ``singles`` returned."""
        found: dict[Conditions, Tally] = {}
        for start in range(0, len(pairs), _PAIRS_A_QUERY):
            found |= self._pairs(pairs[start : start + _PAIRS_A_QUERY])
        return found

    def _copy_inputs(self, groups: int) -> None:
        import ibis

        table = narrow(self._pulled, [*self._columns, "inference_id", "sample_weight"])
        failed = self._engine.table(FAILED).select("row", "group")
        rows = table.mutate(row=table.rowid()).left_join(failed, "row")
        success = rows.group.isnull()
        factor = ibis.ifelse(success, self.success_factor, self.failed_factor)
        bound = ibis.ifelse(success, _bound(self.success_factor), _bound(self.failed_factor))
        kept = rows.filter(hash_of()(rows.inference_id) <= bound)
        features = [kept[name].notnull() for name in self._columns if name not in FIELDS]
        kept = kept.filter(ibis.or_(*features)) if features else kept
        copied = kept.select(
            group=ibis.ifelse(kept.group.isnull(), _SUCCESS, ibis.least(kept.group, groups)),
            weight=kept.sample_weight * factor,
            **{short: kept[name] for name, short in self._short.items()},
        )
        self._engine.create(_INPUTS, copied)

    def _table(self, names: Iterable[str]) -> ir.Table:
        """Return the copied records with these columns only."""
        import ibis

        types = self._engine.table(_INPUTS).schema()
        return ibis.table({name: types[name] for name in ("group", "weight", *names)}, name=_INPUTS)

    def _singles(self, column: Column) -> Iterator[tuple[Condition, Tally]]:
        import ibis

        short = self._short[column.name]
        table = self._table([short])
        sums = _summed(table.select("group", "weight", bucket=column.bucket(table[short])), "bucket", "group")
        sums = sums.mutate(all=sums.rows.sum().over(group_by="bucket"))
        order = [sums.bucket.isnull().desc(), ibis.desc(sums["all"]), sums.bucket]
        common = sums.filter(sums["all"] >= ROWS_MIN).mutate(place=ibis.dense_rank().over(order_by=order))
        common = common.filter(common.place < VALUES_MAX).select("bucket", "group", "rows", "total", "squares")
        found: dict[Bucket, list[tuple[int, Sequence[Any]]]] = defaultdict(list)
        for bucket, group, *made in self._engine.fetch(common):
            found[bucket].append((group, made))
        for condition, buckets in column.candidates(found):
            tally = _tally(each for bucket in found if bucket in buckets for each in found[bucket])
            if ROWS_MIN <= tally.total.rows < self.whole.total.rows:
                self._buckets[condition] = buckets
                yield condition, tally

    def _pairs(self, pairs: Sequence[Conditions]) -> dict[Conditions, Tally]:
        conditions = sorted({condition for pair in pairs for condition in pair}, key=str)
        table = self._table(sorted({self._short[condition.column] for condition in conditions}))
        flags = {f"p{number}": self._holds(table, condition) for number, condition in enumerate(conditions)}
        names = dict(zip(conditions, flags, strict=True))
        rows = table.select("group", "weight", **flags)
        values: dict[str, ir.Value] = {}
        for place, (one, other) in enumerate(pairs):
            both = rows[names[one]] & rows[names[other]]
            values |= {f"{name}{place}": value for name, value in _sums(rows, both).items()}
        groups = self._engine.fetch(rows.group_by("group").aggregate(**values))
        return {
            pair: _tally((group, sums[3 * place : 3 * place + 3]) for group, *sums in groups)
            for place, pair in enumerate(pairs)
        }

    def _holds(self, table: ir.Table, condition: Condition) -> ir.BooleanValue:
        column, buckets = self._columns[condition.column], self._buckets[condition]
        bucket = column.bucket(table[self._short[column.name]])
        return bucket.isnull() if None in buckets else bucket.notnull() & bucket.isin(sorted(buckets, key=str))


def _bound(factor: float) -> Any:
    import ibis

    return ibis.literal(min(int(_HASHES / factor), _HASHES - 1), "uint64")


def _sums(table: ir.Table, where: Any = None) -> dict[str, ir.Value]:
    weight = table.weight
    rows = table.count() if where is None else where.sum()
    return {"rows": rows, "total": weight.sum(where=where), "squares": (weight * weight).sum(where=where)}


def _summed(table: ir.Table, *by: str) -> ir.Table:
    return table.group_by(list(by)).aggregate(**_sums(table))


def _tally(groups: Iterable[tuple[int, Sequence[Any]]]) -> Tally:
    """Add sums group by group: those of all failed records are under ``EVERY_GROUP``."""
    failed: dict[int, Sums] = defaultdict(lambda: _NOTHING)
    total = _NOTHING
    for group, (rows, weight, squares) in groups:
        made = Sums(rows=int(rows or 0), weight=float(weight or 0), squares=float(squares or 0))
        total = _added(total, made)
        if group != _SUCCESS:
            failed[group], failed[EVERY_GROUP] = _added(failed[group], made), _added(failed[EVERY_GROUP], made)
    return Tally(total=total, failed=dict(failed))


def _added(one: Sums, other: Sums) -> Sums:
    return Sums(rows=one.rows + other.rows, weight=one.weight + other.weight, squares=one.squares + other.squares)
