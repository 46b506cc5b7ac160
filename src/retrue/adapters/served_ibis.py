"""Model versions, endpoints and generators of a window side by side. The engine's work is done in ``traffic_ibis``."""

from __future__ import annotations

from collections.abc import Mapping

from retrue.adapters.failures_ibis import share_of
from retrue.adapters.traffic_ibis import PARTS, Z_95, Part, Records, Sum, Traffic
from retrue.results import Interval, Served

SERVED_MAX = 50
"""Combinations shown, those with most inferences."""


def measure_served(records: Records) -> tuple[Served, ...]:
    """Return every combination of model version, endpoint and generator, those with most inferences first.

    Intervals of latency are measured where there are several: one alone is compared with nothing.
    """
    largest = records.largest(SERVED_MAX)
    kept = largest if len(largest) == SERVED_MAX else ()
    found = records.measure(PARTS, kept)
    bounds = records.latency_bounds(PARTS, kept) if len(largest) > 1 else {}
    return tuple(_served(part, found[part], bounds.get(part, {})) for part in largest)


def _served(part: Part, traffic: Traffic, bounds: Mapping[str, tuple[float, float]]) -> Served:
    version, endpoint, generator = part
    sums = traffic.sums
    return Served(
        model_version=version,
        endpoint=endpoint,
        generator=generator,
        rows=traffic.rows,
        weight=traffic.weight,
        error_share=None if traffic.failed is None else share_of(traffic.failed, traffic.weight),
        effective_rows=_effective_rows(traffic),
        latency_ms=traffic.percentiles.get("latency_ms", {}),
        latency_bounds_ms=bounds,
        input_tokens=sums["input_tokens"].value if "input_tokens" in sums else None,
        output_tokens=sums["output_tokens"].value if "output_tokens" in sums else None,
        cost_usd=sums["cost_usd"].value if "cost_usd" in sums else None,
        cost_usd_per_1k=_per_1k(sums["cost_usd"]) if "cost_usd" in sums else None,
        request_bytes_p50=traffic.percentiles.get("request_bytes", {}).get("p50"),
    )


def _per_1k(cost: Sum) -> Interval | None:
    if cost.mean is None:
        return None
    value, half = cost.mean * 1000, Z_95 * cost.error * 1000
    return Interval(value=value, low=value - half, high=value + half)


def _effective_rows(traffic: Traffic) -> float:
    """Return p (1 - p) over the variance of the share of failures: all errors and a sample of successes say more than
    weights alone suggest. Kish's number where none or all failed.
    """
    kish = traffic.weight**2 / traffic.squares if traffic.squares else 0.0
    if traffic.failed is None or not 0 < traffic.failed < traffic.weight:
        return kish
    share = traffic.failed / traffic.weight
    spread = (1 - share) ** 2 * traffic.failed_squares + share**2 * (traffic.squares - traffic.failed_squares)
    return share * (1 - share) * traffic.weight**2 / spread
