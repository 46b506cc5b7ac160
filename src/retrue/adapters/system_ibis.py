"""Failures, latency, size and cost of a window and of its parts. The engine's work is done in ``traffic_ibis``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from retrue.adapters.failures_ibis import FAILED, Failures, share_of
from retrue.adapters.served_ibis import measure_served
from retrue.adapters.traffic_ibis import Part, Records, Traffic
from retrue.failures.kinds import FailureKind
from retrue.results import Served, SystemHealth
from retrue.sources.pulled import PulledWindow

PARTS_MAX = 30
"""Endpoints, versions or generators measured by themselves, those with most inferences; beside those that have bounds."""


def measure_system(
    pulled: PulledWindow,
    failures: Failures | None = None,
    *,
    endpoints: Iterable[str] = (),
    generators: Iterable[str] = (),
) -> SystemHealth:
    """Return the weighted share of inferences that failed, percentiles of latency and request size, tokens and cost.

    A row failed when its ``status`` is there and is not ``ok``, whatever its case, or it has none but an ``error_type``.
    Where rows differ in weight, the percentile p is the smallest value at which the weight of all values up to it reaches p,
    else it is interpolated; values that are not finite or negative are left out. A log without ``status`` has no share of
    failures, one without latencies no percentiles.

    Args:
        pulled: The window, inside its block.
        failures: What ``measure_failures`` made of it in the same block: splits the share of failures by kind.
        endpoints: Endpoints to measure by themselves however small they are; the largest are anyhow, where there are
            several.
        generators: The same of language and image models.
    """
    records = Records(pulled)
    (whole,) = records.measure().values()
    served = measure_served(records) if whole.rows else ()
    named = {"version": set[str](), "endpoint": set(endpoints), "generator": set(generators)}
    parts = {by: _parts(pulled, records, by, _chosen(served, by, names), failures) for by, names in named.items()}
    return replace(
        _health(whole, failures.shares if failures else {}),
        served=served,
        versions=parts["version"],
        endpoints=parts["endpoint"],
        generators=parts["generator"],
    )


def _chosen(served: Sequence[Served], by: str, named: set[str]) -> list[str]:
    """Return the values of a part to measure: the largest where there are several, and those named."""
    weights: dict[str, float] = {}
    for each in served:
        name = {"version": each.model_version, "endpoint": each.endpoint, "generator": each.generator}[by]
        weights[name] = weights.get(name, 0.0) + each.weight
    ordered = sorted((name for name in weights if name), key=lambda name: (-weights[name], name))
    largest = ordered[:PARTS_MAX] if len(weights) > 1 else []
    return [*largest, *sorted(named.difference(largest))]


def _parts(
    pulled: PulledWindow, records: Records, by: str, names: Sequence[str], failures: Failures | None
) -> Mapping[str, SystemHealth]:
    if not names:
        return {}
    found = records.measure((by,), [(name,) for name in names])
    failed = _failed_by_kind(pulled, by) if failures else {}
    healths = {}
    for name in names:
        if (traffic := found.get((name,))) is not None:
            kinds = {kind.value: share_of(failed.get((name, kind), 0.0), traffic.weight) for kind in FailureKind}
            healths[name] = _health(traffic, kinds if failures else {})
    return healths


def _failed_by_kind(pulled: PulledWindow, by: str) -> Mapping[Part, float]:
    table = pulled.engine.table(FAILED)
    weights = table.group_by(by, "kind").aggregate(weight=table.weight.sum())
    return {(name, kind): float(weight) for name, kind, weight in pulled.engine.fetch(weights)}


def _health(traffic: Traffic, shares: Mapping[str, float]) -> SystemHealth:
    sums = traffic.sums
    cost, tokens = sums.get("cost_usd"), sums.get("output_tokens")
    return SystemHealth(
        error_share=None if traffic.failed is None else share_of(traffic.failed, traffic.weight),
        error_shares=shares,
        latency_ms=traffic.percentiles.get("latency_ms", {}),
        request_bytes=traffic.percentiles.get("request_bytes", {}),
        inferences=traffic.weight,
        input_tokens=sums["input_tokens"].value if "input_tokens" in sums else None,
        output_tokens=tokens.value if tokens else None,
        output_tokens_per_inference=tokens.mean if tokens else None,
        cost_usd=cost.value if cost else None,
        cost_usd_per_1k=cost.mean * 1000 if cost and cost.mean is not None else None,
    )
