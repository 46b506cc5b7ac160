"""Failures, latency and cost of a window. Shares are in 0-1 and weighted, latencies in milliseconds, cost in US dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from retrue.results.measured import Interval, refuse_nan, refuse_outside_unit

HISTOGRAM_BINS = 24
"""Equal parts of a window in which the failures of a group are counted."""
PEAKS = ("memory_bytes", "open_files", "connections", "threads", "gpu_share", "gpu_memory_bytes", "queue_records")
"""What of a process is kept as its largest value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What inputs have in common: ``origin = EWR``, ``visib is missing``, ``distance in [1,000, 2,500)``, ``age >= 90``.

    ``relation`` is ``=``, ``in``, ``<``, ``>=`` or ``is missing``; ``value`` is text as a person reads it, empty for the last.
    """

    column: str
    relation: str
    value: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.column, self.relation, self.value) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingInput:
    """Inputs that fail more often than the others: ``ratio`` is the relative risk, with its interval.

    ``inside_share`` is the share that failed where all ``conditions`` hold, ``outside_share`` elsewhere; ``rows`` and
    ``failures`` count records where they hold, unweighted.
    """

    conditions: tuple[Condition, ...]
    ratio: Interval
    inside_share: float
    outside_share: float
    rows: int
    failures: int

    def __post_init__(self) -> None:
        refuse_outside_unit("FailingInput", inside_share=self.inside_share, outside_share=self.outside_share)

    def __str__(self) -> str:
        where = " and ".join(map(str, self.conditions))
        if not self.outside_share:
            return f"fails only when {where}"
        times = f"{self.ratio.value:.2g}" if self.ratio.value < 100 else f"{self.ratio.value:,.0f}"
        return f"fails {times}x more when {where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failures of a window that share a fingerprint; ``id`` is the same in every window.

    ``message`` is a template without values, ``frames`` the in-app part of the stack, outermost first; ``reasons`` say
    why these failures are one group. ``rows`` counts records, ``weight`` the inferences they stand for, ``share`` is their
    part of the window's. ``versions`` and ``endpoints`` count rows, ``histogram`` counts rows in ``HISTOGRAM_BINS`` equal
    parts of the window. ``samples`` are ids of inferences, ``traces`` ids of traces, a few of each. ``inputs`` are what
    these failures have in common, strongest first.
    """

    id: str
    title: str
    error_type: str
    message: str
    frames: tuple[str, ...]
    reasons: tuple[str, ...]
    status: str
    rows: int
    share: float
    versions: Mapping[str, int]
    endpoints: Mapping[str, int]
    first_at: datetime
    last_at: datetime
    histogram: tuple[int, ...]
    weight: float = 0.0
    samples: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    inputs: tuple[FailingInput, ...] = ()

    def __post_init__(self) -> None:
        refuse_outside_unit(f"failure group {self.id}", share=self.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One model version at one endpoint, beside the others; ``generator`` is the language or image model it called.

    Sums are weighted; what no record has is None, or absent from ``latency_ms``. ``latency_bounds_ms`` holds the 95 %
    interval of each percentile. ``effective_rows`` is how many rows of equal weight would say as much about
    ``error_share``.
    """

    model_version: str
    endpoint: str
    generator: str
    rows: int
    weight: float
    error_share: float | None
    effective_rows: float = 0.0
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    latency_bounds_ms: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    input_tokens: float | None = None
    output_tokens: float | None = None
    cost_usd: float | None = None
    cost_usd_per_1k: Interval | None = None
    request_bytes_p50: float | None = None

    def __post_init__(self) -> None:
        refuse_outside_unit("Served", error_share=self.error_share)
        refuse_nan("latency_ms", **self.latency_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the processes that served a window used, as their loggers sampled it.

    Every figure is of one process at one time: ``cpu_cores`` holds p50, p95 and max over all samples (1.0 is one core's
    whole time), each of the others is the largest, None where no process could read it. ``connections`` are open sockets,
    ``gpu_share`` is of the busiest GPU in 0-1, ``gpu_memory_bytes`` in use on all GPUs, by whomever. ``queue_records``
    waited in the logger's own memory. ``processes`` counts all that were sampled, however short they lived.
    """

    samples: int
    processes: int
    cpu_cores: Mapping[str, float] = field(default_factory=dict)
    memory_bytes: float | None = None
    open_files: float | None = None
    connections: float | None = None
    threads: float | None = None
    gpu_share: float | None = None
    gpu_memory_bytes: float | None = None
    queue_records: float | None = None

    @property
    def peaks(self) -> Mapping[str, float]:
        """The largest values of all but the processor, without those that no process could read."""
        found = {name: getattr(self, name) for name in PEAKS}
        return {name: value for name, value in found.items() if value is not None}

    def __post_init__(self) -> None:
        refuse_nan("cpu_cores", **self.cpu_cores)
        refuse_nan("peaks", **self.peaks)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemHealth:
    """Failures, latency, size and cost of a window, or of a part of it, weighted.

    ``error_shares`` maps a kind of failure (crash, timeout, authentication, rejected) to its share of all inferences; they
    sum to ``error_share``. ``error_share`` is None where the log has no ``status``: absent is not the same as healthy.
    Percentiles are of rows that have a value. Sums are None where no row has a value; ``cost_usd_per_1k`` and
    ``output_tokens_per_inference`` are of inferences that have one. ``inferences`` is the sum of all weights.

    ``endpoints``, ``versions`` and ``generators`` hold the same of each part where there are several of them, the largest
    first; ``served`` what they come to together. ``inputs`` are what all failures have in common. ``resources`` are of the
    whole window alone, None where the log has no samples of them.
    """

    error_share: float | None
    latency_ms: Mapping[str, float]
    error_shares: Mapping[str, float] = field(default_factory=dict)
    request_bytes: Mapping[str, float] = field(default_factory=dict)
    inferences: float = 0.0
    input_tokens: float | None = None
    output_tokens: float | None = None
    output_tokens_per_inference: float | None = None
    cost_usd: float | None = None
    cost_usd_per_1k: float | None = None
    served: tuple[Served, ...] = ()
    endpoints: Mapping[str, SystemHealth] = field(default_factory=dict)
    versions: Mapping[str, SystemHealth] = field(default_factory=dict)
    generators: Mapping[str, SystemHealth] = field(default_factory=dict)
    inputs: tuple[FailingInput, ...] = ()
    resources: Resources | None = None

    def __post_init__(self) -> None:
        refuse_outside_unit("SystemHealth", error_share=self.error_share, **self.error_shares)
        refuse_nan("latency_ms", **self.latency_ms)
        refuse_nan("request_bytes", **self.request_bytes)
