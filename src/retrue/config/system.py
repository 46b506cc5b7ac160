"""The bounds of failures, latency and cost: of everything together, of single endpoints, of single generators."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from retrue.config.base import Positive, Settings, Share


class TrafficSettings(Settings):
    """Bounds of the inferences of one endpoint, one generator, or the whole window; null leaves one unjudged.

    Shares are of all these inferences. ``max_cost_usd_per_1k`` and ``max_output_tokens_per_inference`` are of those that
    have a cost and tokens.
    """

    max_error_share: Share | None = None
    max_timeout_share: Share | None = None
    max_authentication_share: Share | None = None
    max_rejected_share: Share | None = None
    latency_p50_ms: Positive | None = None
    latency_p95_ms: Positive | None = None
    latency_p99_ms: Positive | None = None
    max_cost_usd: Positive | None = None
    max_cost_usd_per_1k: Positive | None = None
    max_output_tokens_per_inference: Positive | None = None


class FailureSettings(Settings):
    """When a failure group is a breach: from ``min_rows`` records on a warning, over ``max_share`` critical.

    ``in_app`` names the modules that are yours, such as ``shop``: failures are told apart by their frames, not by those of
    libraries. Empty: whatever is not of an installed package.
    """

    min_rows: int = Field(default=5, ge=1)
    max_share: Share | None = None
    in_app: tuple[str, ...] = ()


class SystemSettings(TrafficSettings):
    """Bounds of the whole window, and of endpoints and generators beside it: text and images differ in all of them.

    A bound of one endpoint does not lift that of the whole window: leave the latter null where functions differ too much
    to share it. Of the serving processes none may use more: cores at p95, memory (1 GB is 10^9 bytes) and connections at
    any time.
    """

    max_error_share: Share | None = 0.01
    max_cpu_cores: Positive | None = None
    max_memory_gb: Positive | None = None
    max_connections: Positive | None = None
    failures: FailureSettings = FailureSettings()
    endpoints: Mapping[str, TrafficSettings] = {}
    generators: Mapping[str, TrafficSettings] = {}
