"""Failures and latency of a window, in the engine. ibis is imported inside functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from retrue.results import SystemHealth
from retrue.sources.pulled import PulledWindow

if TYPE_CHECKING:
    import ibis.expr.types as ir

PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_SHARES = list(PERCENTILES.values())
_OK = "ok"


def measure_system(pulled: PulledWindow) -> SystemHealth:
    """Return the weighted share of inferences that failed, and the weighted percentiles of latency.

    A row failed when its ``status`` is there and is not ``ok``, whatever its case. Where rows differ in weight, the
    percentile p is the smallest latency at which the weight of all latencies up to it reaches p, else it is interpolated;
    rows without a finite, non-negative latency are left out. A log without ``status`` has no failures, one without latencies no percentiles, an empty window neither.
    """
    table = pulled.expression()
    return SystemHealth(error_share=_error_share(pulled, table), latency_ms=_latency_ms(pulled, table))


def _error_share(pulled: PulledWindow, table: ir.Table) -> float:
    if "status" not in table.columns:
        return 0.0
    failed = table.status.notnull() & (table.status.lower() != _OK)
    sums = table.aggregate(failed=table.sample_weight.sum(where=failed), total=table.sample_weight.sum())
    ((weight, total),) = pulled.engine.fetch(sums)
    return min((weight or 0.0) / total, 1.0) if total else 0.0


def _latency_ms(pulled: PulledWindow, table: ir.Table) -> Mapping[str, float]:
    if "latency_ms" not in table.columns:
        return {}
    latency = table.latency_ms
    taken = table.filter(latency.notnull(), ~latency.isnan(), ~latency.isinf(), latency >= 0)
    reached = _weighted(taken) if pulled.weighted else taken.aggregate(found=taken.latency_ms.quantile(_SHARES))
    ((values,),) = pulled.engine.fetch(reached)
    return dict(zip(PERCENTILES, values, strict=True)) if values and values[0] is not None else {}


def _weighted(taken: ir.Table) -> ir.Table:
    import ibis

    upto = taken.sample_weight.sum().over(ibis.window(order_by=taken.latency_ms, rows=(None, 0)))
    ranked = taken.select("latency_ms", upto=upto, total=taken.sample_weight.sum().over(ibis.window()))
    reached = [ranked.latency_ms.min(where=ranked.upto >= share * ranked.total) for share in _SHARES]
    return ranked.aggregate(found=ibis.array(reached))
