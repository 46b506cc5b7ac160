"""Conditions that inputs may share: categories, missing values and ranges, as buckets of a column. ibis is imported inside functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrue.adapters.failures_ibis import GENERATOR, narrow
from retrue.adapters.moments_ibis import NUMBERS
from retrue.adapters.quantiles_ibis import finite, measure_quantiles
from retrue.sources.batches import Kind
from retrue.sources.pulled import PulledWindow
from retrue.sources.reading import kind_of
from retrue.statistics.conditions import FEW, Bucket, Candidate, candidates, rounded_edges

if TYPE_CHECKING:
    import ibis.expr.types as ir

FIELDS = ("model_version", "endpoint", GENERATOR)
"""Fields of the record that are looked at beside the features."""
COLUMNS_MAX = 200
SHARES = (0.02, 0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95, 0.98)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column cut into buckets: ranges between ``edges``, else its values as text; null is the missing ones' bucket."""

    name: str
    kind: Kind
    edges: tuple[float, ...] | None = None

    def bucket(self, value: ir.Value) -> ir.Value:
        """Return the bucket of a value of this column."""
        if self.kind in NUMBERS:
            value = finite(value)
        if self.edges is None:
            return (value.cast("float64") if self.kind in NUMBERS else value).cast("string")
        import ibis

        below = [(value < edge, place) for place, edge in enumerate(self.edges)]
        return ibis.ifelse(value.notnull(), ibis.cases(*below, else_=len(self.edges)), None)

    def candidates(self, buckets: Iterable[Bucket]) -> Iterator[Candidate]:
        """Yield the conditions that these buckets make, each with those of its own."""
        return candidates(self.name, buckets, edges=self.edges, numbers=self.kind in NUMBERS)


def find_columns(pulled: PulledWindow) -> list[Column]:
    """Return the columns of a window whose values can be told of: not those of nested values, nor of times."""
    names = [*(name for name in FIELDS if name in pulled.columns), *pulled.features[:COLUMNS_MAX]]
    table = narrow(pulled, [*names, "inference_id", "sample_weight"])
    kinds = {name: kind_of(table[name].type()) for name in names}
    numbers = [name for name in names if kinds[name] in NUMBERS]
    many = _many(pulled, table, numbers)
    weight = "sample_weight" if pulled.weighted else None
    quantiles = measure_quantiles(pulled.engine, table, many, pulled.report.rows, weight=weight, shares=SHARES)
    columns = []
    for name in names:
        if name in many:
            edges = rounded_edges(value for _, value in quantiles.get(name, ()))
            columns += [Column(name=name, kind=kinds[name], edges=edges)] if edges else []
        elif kinds[name] in (*NUMBERS, Kind.TEXT, Kind.BOOLEAN):
            columns.append(Column(name=name, kind=kinds[name]))
    return columns


def _many(pulled: PulledWindow, table: ir.Table, numbers: Sequence[str]) -> list[str]:
    """Return the number columns with more different values than are looked at one by one."""
    if not numbers:
        return []
    counts = {f"n{place}": finite(table[name]).approx_nunique() for place, name in enumerate(numbers)}
    (row,) = pulled.engine.fetch(table.aggregate(**counts))
    return [name for name, distinct in zip(numbers, row, strict=True) if distinct > FEW]
