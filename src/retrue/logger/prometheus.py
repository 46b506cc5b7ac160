"""Metrics for Prometheus: inferences, failures, latency, tokens and cost, and what the logger says of itself.

    metrics = PrometheusMetrics()
    log = InferenceLogger("flight-delay", version="3", to="logs/flight-delay", observers=[metrics])
    metrics.follow(log)
    app.mount("/metrics", metrics.app())  # or metrics.serve(9464) where there is no web server

Every call is counted, also those that sampling leaves out of the log. Label values are bounded: after the first
`max_values` endpoints, error types or generators the rest are counted as `other`. Where several processes serve behind one
port, set PROMETHEUS_MULTIPROC_DIR, as prometheus_client asks for: a scrape of any of them then gives the sum of all.

| metric | labels beside `model`, `version` |
|---|---|
| `retrue_inferences_total` | `endpoint`, `status` |
| `retrue_failures_total` | `endpoint`, `status`, `error_type` |
| `retrue_inference_latency_seconds` (histogram) | `endpoint` |
| `retrue_tokens_total` | `generator`, `type` (input, output) |
| `retrue_cost_usd_total` | `generator` |
| `retrue_logger_accepted_total`, `…_written_total`, `…_sampled_out_total` | |
| `retrue_logger_dropped_total` (accepted, then lost), `…_shed_total` (refused under pressure) | `reason` |
| `retrue_logger_queue_records`, `…_queue_bytes` (gauges) | |
| `retrue_logger_accept_seconds` (histogram of one call in 1,024) | |
"""

import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_asgi_app, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from retrue.logger.calls import Call, Status
from retrue.logger.counts import Stats
from retrue.logger.inference import InferenceLogger
from retrue.logger.spool import REMOVED, SPOOL_FULL, STORAGE
from retrue.logger.streams import BROKEN, FAILURES, FULL, PRESSURE, REENTRANT, UNREADABLE

LATENCY_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
OTHER = "other"
REFRESH_SECONDS = 1.0  # how old the logger's own figures may be in another process's scrape while it is busy
ACCEPT_SECONDS: Final = (2.5e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 5e-5, 1e-4, 1e-3)
REASONS: Final[Mapping[str, Sequence[str]]] = {
    "dropped": (UNREADABLE, STORAGE, SPOOL_FULL, REMOVED),
    "shed": (PRESSURE, FULL, REENTRANT, BROKEN, FAILURES),
}
"""Those that are shown as 0 from the start: Prometheus sees no increase in a series whose first value is more."""
MOST_COSTS = 1_000  # a refresh is not to take long after a silence
_STATUSES: Sequence[str] = get_args(Status)
_MODEL = ("model", "version")

App = Callable[[Any, Any, Any], Awaitable[None]]
Labels = tuple[str, ...]


class PrometheusMetrics:
    """An observer that counts every call.

    Args:
        registry: Where the metrics live; None: one of their own, so that two loggers do not collide.
        latency_seconds: Upper bounds of the latency histogram; generation needs longer ones than a tree does.
        max_values: Distinct values of each of the labels `endpoint`, `error_type` and `generator`.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        latency_seconds: Sequence[float] = LATENCY_SECONDS,
        max_values: int = 50,
    ) -> None:
        self.registry = registry or CollectorRegistry()
        inner: dict[str, Any] = {"registry": self.registry}
        self._shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self._logger = _LoggerMetrics(self.registry)
        where = (*_MODEL, "endpoint")
        self._inferences = Counter("retrue_inferences", "Inferences, sampled or not", (*where, "status"), **inner)
        self._failures = Counter(
            "retrue_failures", "Inferences that did not end well", (*where, "status", "error_type"), **inner
        )
        self._latency = Histogram(
            "retrue_inference_latency_seconds", "Latency of inferences", where, buckets=latency_seconds, **inner
        )
        self._tokens = Counter("retrue_tokens", "Tokens of generations", (*_MODEL, "generator", "type"), **inner)
        self._cost = Counter("retrue_cost_usd", "Cost of generations in USD", (*_MODEL, "generator"), **inner)
        self._bounds = {name: _Bound(max_values) for name in ("endpoint", "error_type", "generator")}
        self._found: dict[Labels, tuple[Mapping[str, Any], Any]] = {}

    def follow(self, log: InferenceLogger) -> None:
        """Show also what this logger says of itself: its queue, its losses and their reasons."""
        self._logger.follow(log)

    def refresh(self) -> None:
        """Bring what the logger says of itself up to date, which a scrape of this process does by itself.

        For the last moment of one of several workers, such as gunicorn's hook `worker_exit`.
        """
        self._logger.refresh()

    def started(self, call: Call) -> None:
        """Hear that a call begins."""

    def finished(self, call: Call, record: Mapping[str, object]) -> None:
        """Count a call."""
        endpoint = self._bounds["endpoint"].value(record.get("endpoint") or "")
        where = (str(record.get("model")), str(record.get("model_version")), endpoint)
        status = str(record.get("status"))
        by_status, latency = self._children(where)
        by_status[status].inc()
        if isinstance(milliseconds := record.get("latency_ms"), (int, float)):
            latency.observe(milliseconds / 1e3)
        if status != "ok":
            kind = self._bounds["error_type"].value(record.get("error_type") or status)
            self._failures.labels(*where, status, kind).inc()
        self._generated(where[:2], record)
        if self._shared:
            self._logger.refresh_if_due()

    def app(self) -> App:
        """Return an ASGI application that answers a scrape; mount it at `/metrics`."""
        return make_asgi_app(self._scraped())

    def serve(self, port: int, address: str = "127.0.0.1") -> tuple[Any, threading.Thread]:
        """Answer scrapes on a port of its own; return the server, for `shutdown()`, and the thread it runs in.

        Raises:
            OSError: The port is taken.
        """
        return start_http_server(port, address, self._scraped())

    def _children(self, where: Labels) -> tuple[Mapping[str, Any], Any]:
        """Return the counters by status and the histogram of one endpoint, found once: looking labels up takes 0.6 µs.

        Each status begins at 0, since Prometheus sees no increase in a series whose first value is 1.
        """
        found = self._found.get(where)
        if found is None:
            by_status = {status: self._inferences.labels(*where, status) for status in _STATUSES}
            found = self._found[where] = (by_status, self._latency.labels(*where))
        return found

    def _generated(self, model: Labels, record: Mapping[str, object]) -> None:
        tokens = {kind: record.get(f"{kind}_tokens") for kind in ("input", "output")}
        cost = record.get("cost_usd")
        if cost is None and not any(tokens.values()):
            return
        said = record.get("gen_ai.response.model") or record.get("gen_ai.request.model") or ""
        generator = self._bounds["generator"].value(said)
        for kind, count in tokens.items():
            if isinstance(count, int) and count > 0:
                self._tokens.labels(*model, generator, kind).inc(count)
        if isinstance(cost, (int, float)) and cost > 0:
            self._cost.labels(*model, generator).inc(cost)

    def _scraped(self) -> CollectorRegistry:
        """Return what a scrape reads: this process's metrics, or those of all processes that share the folder."""
        if not self._shared:
            return self.registry
        together = CollectorRegistry()
        together.register(self._logger)
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return together


class _Bound:
    """The first so many values of a label; the rest are one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def value(self, given: object) -> str:
        text = str(given)
        if text in self._known:
            return text
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(text)
        return text


class _LoggerMetrics(Collector):
    """What loggers say of themselves, brought up to date by each scrape and, for other processes' scrapes, by calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._logs: list[tuple[InferenceLogger, dict[Labels, int]]] = []
        self._lock = threading.Lock()
        self._refreshed_at = 0.0
        registry.register(self)  # first, so that a scrape brings up to date what it then collects
        self._counters = {
            name: Counter(f"retrue_logger_{name}", meaning, (*_MODEL, *labels), registry=registry)
            for name, meaning, labels in (
                ("accepted", "Records that got a sequence number", ()),
                ("written", "Accepted records on disk", ()),
                ("sampled_out", "Successes that sampling left out", ()),
                ("dropped", "Accepted records that were lost", ("reason",)),
                ("shed", "Records refused under pressure", ("reason",)),
                ("observer_errors", "Exceptions that observers raised", ()),
            )
        }
        self._gauges = {
            name: Gauge(f"retrue_logger_{name}", meaning, _MODEL, registry=registry, multiprocess_mode="livesum")
            for name, meaning in (("queue_records", "Records in memory"), ("queue_bytes", "Their estimated bytes"))
        }
        self._accept = Histogram(
            "retrue_logger_accept_seconds",
            "What one call in 1,024 cost its host",
            _MODEL,
            buckets=ACCEPT_SECONDS,
            registry=registry,
        )

    def follow(self, log: InferenceLogger) -> None:
        self._logs.append((log, {}))
        self.refresh()

    def refresh_if_due(self) -> None:
        if time.monotonic() - self._refreshed_at >= REFRESH_SECONDS:
            self.refresh()

    def collect(self) -> Iterable[Metric]:
        self.refresh()
        return ()

    def refresh(self) -> None:
        with self._lock:
            self._refreshed_at = time.monotonic()
            for log, seen in self._logs:
                self._update((log.model, log.version), log.stats(), seen)

    def _update(self, model: Labels, stats: Stats, seen: dict[Labels, int]) -> None:
        counts = stats.counts
        self._raise("accepted", model, counts.accepted, seen)
        self._raise("written", model, counts.on_disk, seen)
        self._raise("sampled_out", model, counts.sampled_out, seen)
        self._raise("observer_errors", model, stats.observer_errors, seen)
        for name, lost in (("dropped", counts.dropped), ("shed", counts.shed)):
            for reason, count in {**dict.fromkeys(REASONS[name], 0), **lost}.items():
                self._raise(name, (*model, reason), count, seen)
        self._gauges["queue_records"].labels(*model).set(stats.queue_records)
        self._gauges["queue_bytes"].labels(*model).set(stats.queue_bytes)
        for nanoseconds, calls in stats.cost_ns.items():
            for _ in range(min(_increase(("cost", str(nanoseconds)), calls, seen), MOST_COSTS)):
                self._accept.labels(*model).observe(nanoseconds / 1e9)

    def _raise(self, name: str, labels: Labels, total: int, seen: dict[Labels, int]) -> None:
        self._counters[name].labels(*labels).inc(_increase((name, *labels), total, seen))


def _increase(key: Labels, total: int, seen: dict[Labels, int]) -> int:
    """Return by how much a count grew since it was last seen; in a forked child the logger counts from 0 again."""
    before = seen.get(key, 0)
    seen[key] = total
    return total - before if total >= before else total
