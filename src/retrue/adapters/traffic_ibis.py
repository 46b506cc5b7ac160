"""Latency, size, tokens and cost of a window's records, together or by part, in the engine. ibis is imported inside functions."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from retrue.adapters.failures_ibis import GENERATOR, narrow
from retrue.sources.files import UNKNOWN_VERSION
from retrue.sources.pulled import PulledWindow, failed_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
PARTS = ("version", "endpoint", "generator")
"""What records can be told apart by; a record without an endpoint or a generator has an empty one."""
Z_95 = 1.959964
_SHARES = list(PERCENTILES.values())
_SUMMED = ("input_tokens", "output_tokens", "cost_usd")
_FIELDS = (
    "status", "error_type", "sample_weight", "latency_ms", "request_bytes", *_SUMMED, "endpoint", "model_version", GENERATOR,
)  # fmt: skip

_BETWEEN = "\x1f"  # ASCII's own separator of units

Part = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Weighted values of the rows that have one: Σw, Σw², Σwx, Σw²x, Σw²x²."""

    weight: float
    squares: float
    value: float
    squares_value: float
    squares_value2: float

    @property
    def mean(self) -> float | None:
        return self.value / self.weight if self.weight else None

    @property
    def error(self) -> float:
        """The standard error of the mean, of independent rows."""
        mean = self.mean
        if mean is None:
            return 0.0
        spread = self.squares_value2 - 2 * mean * self.squares_value + mean**2 * self.squares
        return math.sqrt(max(spread, 0.0)) / self.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The records of one part: their rows, Σw, Σw², those two of the failed, sums and percentiles by field."""

    rows: int
    weight: float
    squares: float
    failed: float | None
    failed_squares: float
    sums: Mapping[str, Sum] = field(default_factory=dict)
    percentiles: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    latency_bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class Records:
    """The records of a window under names of our own; what is no number of a kind that counts is null."""

    def __init__(self, pulled: PulledWindow) -> None:
        import ibis

        table = narrow(pulled, _FIELDS)
        failed = failed_of(table)
        self.tells_failures = failed is not None

        def text(name: str, absent: str = "") -> ir.Value:
            return table[name].fill_null(absent) if name in table.columns else ibis.literal(absent)

        self.numbers = [name for name in ("latency_ms", "request_bytes", *_SUMMED) if name in table.columns]
        self._pulled = pulled
        self._table = table.select(
            version=text("model_version", UNKNOWN_VERSION),
            endpoint=text("endpoint"),
            generator=text(GENERATOR),
            weight=table.sample_weight,
            failed=ibis.literal(False) if failed is None else failed,
            **{name: _sound(table[name]) for name in self.numbers},
        )

    def largest(self, limit: int) -> list[Part]:
        """Return the combinations of version, endpoint and generator, those with most inferences first."""
        import ibis

        weights = self._table.group_by(PARTS).aggregate(weight=self._table.weight.sum())
        found = self._pulled.engine.fetch(weights.order_by(ibis.desc("weight"), *PARTS).limit(limit))
        return [tuple(part) for *part, _ in found]

    def measure(self, by: Sequence[str] = (), parts: Sequence[Part] = ()) -> Mapping[Part, Traffic]:
        """Measure these parts of the records, or all, each by itself; without ``by`` all together, under an empty part."""
        rows = self._within(by, parts)
        percentiles = {name: self._percentiles(rows, by, name) for name in self.numbers if name not in _SUMMED}
        return {
            part: Traffic(
                rows=int(facts["rows"]),
                weight=facts["weight"],
                squares=facts["squares"],
                failed=facts["failed"] if self.tells_failures else None,
                failed_squares=facts["failed_squares"],
                sums={name: _sum_of(facts, name) for name in _SUMMED if facts.get(f"{name}_w")},
                percentiles={name: found[part] for name, found in percentiles.items() if part in found},
            )
            for part, facts in self._sums(rows, by).items()
        }

    def _within(self, by: Sequence[str], parts: Sequence[Part]) -> ir.Table:
        if not parts:
            return self._table
        key = functools.reduce(lambda key, name: key + _BETWEEN + self._table[name], by[1:], self._table[by[0]])
        return self._table.filter(key.isin([_BETWEEN.join(part) for part in parts]))

    def latency_bounds(
        self, by: Sequence[str], parts: Sequence[Part]
    ) -> Mapping[Part, Mapping[str, tuple[float, float]]]:
        """Return the 95 % interval of each percentile of latency by part: order statistics around its rank.

        The rank of a percentile p of n rows has a standard deviation of sqrt(n p (1 - p)); n is Kish's effective number.
        """
        if "latency_ms" not in self.numbers:
            return {}
        rows = self._within(by, parts)
        ranked = self._ranked(rows.filter(rows.latency_ms.notnull()), by, "latency_ms")
        effective = ranked.total**2 / ranked.squares
        found = {}
        for name, share in PERCENTILES.items():
            half = Z_95 * (share * (1 - share) / effective).sqrt()
            found[f"{name}_low"] = ranked["value"].min(where=ranked.upto >= (share - half) * ranked.total)
            found[f"{name}_high"] = ranked["value"].min(where=ranked.upto >= (share + half) * ranked.total)
        grouped = ranked.group_by(list(by)).aggregate(**found, most=ranked["value"].max())
        bounds: dict[Part, Mapping[str, tuple[float, float]]] = {}
        for row in self._pulled.engine.fetch(grouped):
            values = list(row[len(by) :])
            most = values.pop()
            pairs = zip(values[::2], values[1::2], strict=True)
            bounds[tuple(row[: len(by)])] = {
                name: (low, most if high is None else high)
                for name, (low, high) in zip(PERCENTILES, pairs, strict=True)
            }
        return bounds

    def _sums(self, rows: ir.Table, by: Sequence[str]) -> Mapping[Part, Mapping[str, float]]:
        weight = rows.weight
        values = {
            "rows": rows.count(),
            "weight": weight.sum(),
            "squares": (weight * weight).sum(),
            "failed": weight.sum(where=rows.failed),
            "failed_squares": (weight * weight).sum(where=rows.failed),
        }
        for name in set(self.numbers).intersection(_SUMMED):
            value, known = rows[name], rows[name].notnull()
            values[f"{name}_w"] = weight.sum(where=known)
            values[f"{name}_w2"] = (weight * weight).sum(where=known)
            values[f"{name}_wx"] = (weight * value).sum()
            values[f"{name}_w2x"] = (weight * weight * value).sum()
            values[f"{name}_w2x2"] = (weight * weight * value * value).sum()
        grouped = rows.group_by(list(by)).aggregate(**values) if by else rows.aggregate(**values)
        return {
            tuple(row[: len(by)]): dict(zip(values, (float(each or 0) for each in row[len(by) :]), strict=True))
            for row in self._pulled.engine.fetch(grouped)
        }

    def _percentiles(self, rows: ir.Table, by: Sequence[str], name: str) -> Mapping[Part, Mapping[str, float]]:
        """By interpolation where all rows count the same, else the smallest value up to which the weight reaches the share."""
        import ibis

        taken = rows.filter(rows[name].notnull())
        if self._pulled.weighted:
            taken = self._ranked(taken, by, name)
            reached = [taken["value"].min(where=taken.upto >= share * taken.total) for share in _SHARES]
            found = ibis.array(reached)
        else:
            found = taken[name].quantile(_SHARES)
        grouped = taken.group_by(list(by)).aggregate(found=found) if by else taken.aggregate(found=found)
        return {
            tuple(part): dict(zip(PERCENTILES, values, strict=True))
            for *part, values in self._pulled.engine.fetch(grouped)
            if values and values[0] is not None
        }

    def _ranked(self, rows: ir.Table, by: Sequence[str], name: str) -> ir.Table:
        import ibis

        within = {"group_by": list(by)} if by else {}
        return rows.select(
            *by,
            value=rows[name],
            upto=rows.weight.sum().over(ibis.window(**within, order_by=rows[name], rows=(None, 0))),
            total=rows.weight.sum().over(ibis.window(**within)),
            squares=(rows.weight * rows.weight).sum().over(ibis.window(**within)),
        )


def _sound(column: ir.Value) -> ir.Value:
    bad = column.isnan() | column.isinf() | (column < 0)
    return bad.ifelse(None, column)


def _sum_of(facts: Mapping[str, float], name: str) -> Sum:
    return Sum(
        weight=facts[f"{name}_w"],
        squares=facts[f"{name}_w2"],
        value=facts[f"{name}_wx"],
        squares_value=facts[f"{name}_w2x"],
        squares_value2=facts[f"{name}_w2x2"],
    )
