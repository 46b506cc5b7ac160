"""Counts and moments of many columns in one pass of the engine. ibis and duckdb are imported inside functions."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrue.adapters.quantiles_ibis import finite
from retrue.sources.batches import Kind
from retrue.sources.engine import Engine

if TYPE_CHECKING:
    import ibis.expr.types as ir

SQUARES_MAX = 1e150  # values beyond it have no standard deviation in doubles: the engine raises
NUMBERS = (Kind.WHOLE, Kind.FRACTIONAL)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """One column. ``held``, ``nan_weight`` and ``infinite_weight`` are sums of weights, the others count rows.

    Minimum, maximum, mean and sample standard deviation are those of the finite values; ``distinct`` is approximate.
    """

    count: int
    held: float
    distinct: int
    finite: int = 0
    nans: int = 0
    nan_weight: float = 0.0
    infinities: int = 0
    infinite_weight: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    sd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A table: its rows, their weight, and the moments of its columns."""

    rows: int
    weight: float
    columns: Mapping[str, Moments]


def measure_moments(engine: Engine, table: ir.Table, kinds: Mapping[str, Kind], *, weight: str | None) -> Measured:
    """Measure columns in one pass, and in a second one what only columns with NaN, infinities or weights need.

    Args:
        engine: Where the table is.
        table: Its rows.
        kinds: Which columns, and what they hold.
        weight: The column of weights, or None; mean and deviation are weighted too.
    """
    subject = _Subject(engine, table, kinds, weight)
    facts = subject.first()
    facts |= subject.second(facts)
    rows, total = facts["", "rows"], float(facts["", "weight"] or 0)
    return Measured(rows=rows, weight=total, columns={name: _moments(facts, name) for name in kinds})


class _Subject:
    """The columns under names of our own, numbers with null in place of what is not finite."""

    def __init__(self, engine: Engine, table: ir.Table, kinds: Mapping[str, Kind], weight: str | None) -> None:
        self._engine, self._kinds = engine, kinds
        self._raw = {name: f"c{number}" for number, name in enumerate(kinds) if kinds[name] is not Kind.WHOLE}
        self._numbers = {name: f"n{number}" for number, name in enumerate(kinds) if kinds[name] in NUMBERS}
        columns = {short: table[name] for name, short in self._raw.items()}
        columns |= {short: finite(table[name]) for name, short in self._numbers.items()}
        self._table = table.select(**columns, **({"weight": table[weight]} if weight else {})) if kinds else table
        self._weight = self._table["weight"] if weight and kinds else None

    def first(self) -> dict[Key, Any]:
        """Measure everything; where a standard deviation is out of range, everything but that."""
        import duckdb

        try:
            return self._run(self._aggregates(deviations=self._numbers))
        except duckdb.OutOfRangeException:
            facts = self._run(self._aggregates(deviations=()))
            small = [name for name in self._numbers if _magnitude(facts, name) < SQUARES_MAX]
            return self._run(self._aggregates(deviations=small))

    def second(self, facts: Mapping[Key, Any]) -> dict[Key, Any]:
        """Tell NaN from infinity where there is either, and measure weighted deviations."""
        values: dict[Key, Any] = {}
        for name, short in self._numbers.items():
            if facts[name, "count"] > facts[name, "finite"]:
                column = self._table[self._raw[name]]
                for key, found in (("nan", column.isnan()), ("infinite", column.isinf())):
                    values[name, key] = found.sum()
                    values[name, f"{key}_weight"] = (
                        found.sum() if self._weight is None else self._weight.sum(where=found)
                    )
            mean = _mean(facts, name)
            if self._weight is not None and mean is not None and _magnitude(facts, name) < SQUARES_MAX:
                values[name, "squares"] = ((self._table[short] - mean) ** 2 * self._weight).sum()
        return self._run(values)

    def _aggregates(self, *, deviations: Collection[str]) -> dict[Key, Any]:
        rows = self._table.count()
        values: dict[Key, Any] = {
            ("", "rows"): rows,
            ("", "weight"): rows if self._weight is None else self._weight.sum(),
        }
        for name, short in {**self._numbers, **self._raw}.items():
            column = self._table[short]
            values[name, "count"] = column.count()
            values[name, "held"] = column.count() if self._weight is None else self._weight.sum(where=column.notnull())
            if self._kinds[name] is Kind.TIME:
                values[name, "distinct"] = column.approx_nunique()
        for name, short in self._numbers.items():
            column = self._table[short]
            values[name, "finite"] = column.count()
            values[name, "minimum"], values[name, "maximum"] = column.min(), column.max()
            values[name, "distinct"] = column.approx_nunique()
            if self._weight is None:
                values[name, "mean"] = column.mean()
                values |= {(name, "sd"): column.std()} if name in deviations else {}
            else:
                values[name, "sum"] = (column * self._weight).sum()
                values[name, "finite_weight"] = self._weight.sum(where=column.notnull())
        return values

    def _run(self, values: Mapping[Key, Any]) -> dict[Key, Any]:
        if not values:
            return {}
        named = {f"v{number}": value for number, value in enumerate(values.values())}
        (row,) = self._engine.fetch(self._table.aggregate(**named))
        return dict(zip(values, row, strict=True))


def _magnitude(facts: Mapping[Key, Any], name: str) -> float:
    return max(abs(float(facts[name, key] or 0)) for key in ("minimum", "maximum"))


def _mean(facts: Mapping[Key, Any], name: str) -> float | None:
    if (name, "sum") not in facts:
        return _number(facts.get((name, "mean")))
    return _number(facts[name, "sum"] / facts[name, "finite_weight"]) if facts[name, "finite"] else None


def _moments(facts: Mapping[Key, Any], name: str) -> Moments:
    count = facts[name, "count"]
    return Moments(
        count=count,
        held=float(facts[name, "held"] or 0),
        distinct=min(facts.get((name, "distinct"), 0), count),
        finite=facts.get((name, "finite"), 0),
        nans=int(facts.get((name, "nan")) or 0),
        nan_weight=float(facts.get((name, "nan_weight")) or 0),
        infinities=int(facts.get((name, "infinite")) or 0),
        infinite_weight=float(facts.get((name, "infinite_weight")) or 0),
        minimum=_number(facts.get((name, "minimum"))),
        maximum=_number(facts.get((name, "maximum"))),
        mean=_mean(facts, name),
        sd=_deviation(facts, name),
    )


def _deviation(facts: Mapping[Key, Any], name: str) -> float | None:
    """Weights are taken as given in proportion only: with equal ones this is the sample standard deviation."""
    if (name, "squares") not in facts:
        return _number(facts.get((name, "sd")))
    rows = facts[name, "finite"]
    if rows < 2:
        return None
    return _number(math.sqrt(facts[name, "squares"] / facts[name, "finite_weight"] * rows / (rows - 1)))


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
