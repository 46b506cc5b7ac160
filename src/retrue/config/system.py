"""The bounds of failures, latency and cost."""

from __future__ import annotations

from retrue.config.base import Positive, Settings, Share


class SystemSettings(Settings):
    """Bounds of failures and latency; null leaves one unjudged."""

    max_error_share: Share | None = 0.01
    latency_p50_ms: Positive | None = None
    latency_p95_ms: Positive | None = None
    latency_p99_ms: Positive | None = None
