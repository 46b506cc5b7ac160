"""The frozen values that travel between stages. They check themselves; nothing here reads or writes.

Shares are in 0-1, latencies in milliseconds, times aware and in UTC. A measurement that could not be
taken is absent and named in ``Measurements.unmeasured``: no field holds NaN.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from retrue.windows import Window


class Severity(StrEnum):
    """How much a finding matters; critical and warning breach a window, info does not."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def breaches(self) -> bool:
        return self is not Severity.INFO

    @property
    def rank(self) -> int:
        """0 for the gravest, so that sorting puts it first."""
        return list(Severity).index(self)


class Outcome(StrEnum):
    """What a window's verdict comes to."""

    HEALTHY = "healthy"
    BREACHED = "breached"
    INCONCLUSIVE = "inconclusive"


class ColumnKind(StrEnum):
    """What a column's values are, whatever the engine calls the type."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    TIME = "time"
    OTHER = "other"


def _refuse_nan(owner: str, **values: float | None) -> None:
    for name, value in values.items():
        if value is not None and math.isnan(value):
            raise ValueError(f"{owner}.{name} is NaN: a score that cannot be computed is left out, with its reason")


def _refuse_outside_unit(owner: str, **shares: float | None) -> None:
    for name, share in shares.items():
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"{owner}.{name} is a share in 0-1, not {share}")


# ---------------------------------------------------------------- what was read


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Input that was not read, while the rest went on.

    ``place`` is a file name relative to its folder, with ``:line`` where there is one; it never holds content.
    """

    place: str
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PullReport:
    """What was read of one window, and what was not.

    ``input_digest`` depends on the rows of logs and labels, not on their order or files. ``model_versions``
    maps each version that served in the window to its rows. ``set_aside_share`` is the larger of the share
    of lines and the share of bytes set aside.
    """

    rows: int
    labelled_rows: int
    files_read: int
    files_skipped: int
    duplicates: int
    set_aside: tuple[SetAside, ...]
    set_aside_share: float
    input_digest: str
    model_versions: Mapping[str, int]

    def __post_init__(self) -> None:
        _refuse_outside_unit("PullReport", set_aside_share=self.set_aside_share)


# ---------------------------------------------------------------- profile and schema


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column over a whole window. Shares are weighted by ``sample_weight``; counts are not.

    ``null_share`` counts nulls and NaN, ``infinite_share`` both infinities. Moments and quantiles are those of the
    finite values, None where there is none or the column is no number. ``distinct`` is exact for text and
    booleans, approximate for numbers. ``unseen_share`` is the share of rows whose category the baseline does not have,
    None where the baseline holds no categories. ``categories`` maps the commonest values of a text or boolean column
    to their shares of non-null rows, for a baseline only: reports never show them.
    """

    name: str
    kind: ColumnKind
    type: str
    rows: int
    nulls: int
    null_share: float
    nans: int = 0
    infinities: int = 0
    infinite_share: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    sd: float | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    distinct: int = 0
    unseen: int | None = None
    unseen_share: float | None = None
    categories: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        _refuse_nan(self.name, minimum=self.minimum, maximum=self.maximum, mean=self.mean, sd=self.sd)
        _refuse_outside_unit(
            self.name,
            null_share=self.null_share,
            infinite_share=self.infinite_share,
            unseen_share=self.unseen_share,
        )

    @property
    def measurable(self) -> bool:
        """Whether a distribution can be compared at all: some finite, non-null value of a known kind."""
        return self.rows > self.nulls + self.infinities and self.kind in _MEASURABLE


_MEASURABLE = frozenset({ColumnKind.NUMBER, ColumnKind.TEXT, ColumnKind.BOOLEAN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Every column of a window, measured in the engine over all its rows."""

    rows: int
    columns: Mapping[str, ColumnProfile]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaDifference:
    """How a window's columns differ from the baseline's; ``retyped`` holds (name, kind before, kind now)."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    retyped: tuple[tuple[str, ColumnKind, ColumnKind], ...] = ()


# ---------------------------------------------------------------- validation


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationOutcome:
    """One expectation's result. It holds counts and aggregates only, never a cell.

    ``success`` is None where the expectation raised; ``problem`` then says why.
    """

    kind: str
    column: str | None
    success: bool | None
    severity: Severity
    observed: str = ""
    expected: str = ""
    why: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """A suite run on a window."""

    suite: str
    outcomes: tuple[ExpectationOutcome, ...]

    @property
    def success_share(self) -> float:
        """Share of expectations met, in 0-1. Those that raised count as not met; an empty suite is 0."""
        met = sum(outcome.success is True for outcome in self.outcomes)
        return met / len(self.outcomes) if self.outcomes else 0.0


# ---------------------------------------------------------------- drift


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """A column's drift score with the method that gave it; ``drifted`` when the threshold is reached."""

    column: str
    method: str
    score: float
    threshold: float

    def __post_init__(self) -> None:
        _refuse_nan(f"drift of {self.column}", score=self.score, threshold=self.threshold)

    @property
    def drifted(self) -> bool:
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftResult:
    """Drift of the measurable columns; ``unmeasurable`` holds (column, reason)."""

    columns: tuple[ColumnDrift, ...]
    unmeasurable: tuple[tuple[str, str], ...]
    reference_rows: int
    current_rows: int

    @property
    def share(self) -> float | None:
        """Share of measured columns that drifted, None where none was measured."""
        return sum(column.drifted for column in self.columns) / len(self.columns) if self.columns else None


# ---------------------------------------------------------------- performance and system


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its bootstrap confidence interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        _refuse_nan("interval", value=self.value, low=self.low, high=self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealisedPerformance:
    """Metrics of the rows whose labels have arrived. ``metrics`` includes the judged one, ``metric``."""

    metric: str
    metrics: Mapping[str, Interval]
    labelled_rows: int
    coverage_share: float

    def __post_init__(self) -> None:
        _refuse_outside_unit("RealisedPerformance", coverage_share=self.coverage_share)
        if self.metric not in self.metrics:
            raise ValueError(f"the judged metric {self.metric} is not among {sorted(self.metrics)}")

    @property
    def judged(self) -> Interval:
        return self.metrics[self.metric]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemHealth:
    """Failures and latency of a window, weighted; latency percentiles are of rows that have one, in ms."""

    error_share: float
    latency_ms: Mapping[str, float]

    def __post_init__(self) -> None:
        _refuse_outside_unit("SystemHealth", error_share=self.error_share)
        _refuse_nan("latency_ms", **self.latency_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """A part of a window that could not be measured, and why."""

    part: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Everything measured on one window revision. An absent part is None and explained in ``unmeasured``."""

    window: Window
    pull: PullReport
    model_version: str
    baseline_digest: str
    profile: Profile | None = None
    schema: SchemaDifference | None = None
    validation: ValidationResult | None = None
    drift: DriftResult | None = None
    performance: RealisedPerformance | None = None
    system: SystemHealth | None = None
    unmeasured: tuple[Unmeasured, ...] = ()


# ---------------------------------------------------------------- judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One judged breach.

    ``check`` is a dotted name such as ``drift.column``; ``scope`` the column, slice or group it was found on, empty
    for the whole window. ``value`` and ``threshold`` are text as a person reads them; ``message`` is one sentence,
    ``next_step`` what to do first.
    """

    check: str
    scope: str
    severity: Severity
    value: str
    threshold: str
    message: str
    next_step: str

    @property
    def kind(self) -> str:
        """The check's family: schema, quality, expectation, drift, performance, system, labels or source."""
        return self.check.split(".", 1)[0]

    @property
    def label(self) -> str:
        """Check and scope as lines and tables show them; an expectation's own name is long, its column says more."""
        check = "expectation" if self.kind == "expectation" and self.scope else self.check
        return f"{check}({self.scope})" if self.scope else check

    def fingerprint(self, model: str) -> str:
        """Identify the same finding over time: model, check and scope, not the value."""
        return hashlib.sha256("\0".join((model, self.check, self.scope)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A window's judgement: outcome, findings gravest first, and the reasons it is inconclusive, if it is."""

    window: Window
    outcome: Outcome
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]
    model_version: str
    input_digest: str
    config_digest: str
    baseline_digest: str

    def __post_init__(self) -> None:
        breached = any(finding.severity.breaches for finding in self.findings)
        if self.outcome is Outcome.HEALTHY and (breached or self.reasons):
            raise ValueError("a healthy verdict has no breaching finding and no reason")
        if self.outcome is Outcome.INCONCLUSIVE and not self.reasons:
            raise ValueError("an inconclusive verdict names its reasons")

    @property
    def key(self) -> str:
        """Identify this revision: the same window, input, configuration and baseline give the same key."""
        return revision_key(
            self.window,
            input_digest=self.input_digest,
            config_digest=self.config_digest,
            baseline_digest=self.baseline_digest,
        )

    @property
    def line(self) -> str:
        """The verdict in one line, as state messages and tables show it."""
        if self.outcome is Outcome.INCONCLUSIVE:
            return f"inconclusive: {'; '.join(self.reasons)}"
        if self.outcome is Outcome.HEALTHY:
            return "healthy" + (f" ({len(self.findings)} info)" if self.findings else "")
        grave = [finding for finding in self.findings if finding.severity.breaches]
        more = f" and {len(grave) - 3} more" if len(grave) > 3 else ""
        return f"breached: {', '.join(finding.label for finding in grave[:3])}{more}"


def revision_key(window: Window, *, input_digest: str, config_digest: str, baseline_digest: str) -> str:
    """Return the key of a window's revision, which its inputs alone determine."""
    parts = (
        window.model,
        window.start.isoformat(),
        window.end.isoformat(),
        input_digest,
        config_digest,
        baseline_digest,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


# ---------------------------------------------------------------- baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a baseline's rows come from."""

    source: str
    start: datetime
    end: datetime
    rows: int
    frozen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a model version is compared with: profile, drift thresholds and performance of frozen reference rows.

    ``thresholds`` maps a column to (method, threshold). ``digest`` is the SHA-256 of the reference rows and of
    everything else here but the digest. ``performance`` is None where the reference has no labels.
    """

    model: str
    version: str
    profile: Profile
    thresholds: Mapping[str, tuple[str, float]]
    performance: RealisedPerformance | None
    provenance: Provenance
    reference_digest: str
    digest: str = field(default="")


# ---------------------------------------------------------------- gate and decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceComparison:
    """Champion and challenger on one slice; ``gain`` is the challenger's improvement, greater is better."""

    name: str
    rows: int
    gain: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """Whether a challenger may serve: the paired gain on the same rows, slice by slice, and the refusals, if any.

    ``champion``, ``challenger`` and ``gain`` are None where the two could not be compared; there is a refusal then.
    ``resample`` is what the intervals are drawn from: ``rows``, or the length of the blocks of time that were drawn whole, such
    as ``1d``. ``blocks`` counts those; it is None with ``rows``, and where the two could not be compared.
    """

    metric: str
    rows: int
    champion: float | None
    challenger: float | None
    gain: Interval | None
    slices: tuple[SliceComparison, ...]
    refusals: tuple[str, ...]
    resample: str = "rows"
    blocks: int | None = None

    def __post_init__(self) -> None:
        _refuse_nan("gate", champion=self.champion, challenger=self.challenger)
        if self.gain is None and not self.refusals:
            raise ValueError("a challenger that was not compared is refused, with a reason")

    @property
    def passed(self) -> bool:
        return not self.refusals


class Change(StrEnum):
    """What happened to an incident when a window was judged."""

    OPENED = "opened"
    REPEATED = "repeated"
    RESOLVED = "resolved"
    CONTINUED = "continued"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Findings of one fingerprint over time.

    ``opened_window`` and ``last_window`` are starts of windows: the first of this episode and the latest with the finding.
    ``last_notified_at`` is the end of the newest window judged when receivers were last told: the time of the data, so
    that a backfill repeats as production would have. ``state`` is open, acknowledged or resolved. ``severity`` is the
    gravest of the episode. ``attempt`` counts the retrainings asked for in this episode; ``episode`` counts how often the
    incident was opened. ``flapping`` marks one that came back soon after it was resolved: it resolves only after a
    repeat interval without the finding. ``told`` holds the receivers who were told of this episode.
    """

    fingerprint: str
    model: str
    check: str
    scope: str
    severity: Severity
    message: str
    opened_window: datetime
    last_window: datetime
    last_notified_at: datetime | None
    state: str
    attempt: int
    episode: int = 1
    flapping: bool = False
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """An incident as it is after a window, and what changed."""

    incident: Incident
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Something to be carried out after a decision is written: a message, a flow run, a record, an event.

    ``dedup_key`` stays the same when the decision is made again, so the effect happens once.
    """

    kind: str
    dedup_key: str
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainCause:
    """Why a retraining is asked for. ``as_of`` bounds the data it may use: nothing later is read."""

    model: str
    fingerprint: str
    check: str
    scope: str
    attempt: int
    as_of: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from a verdict, with the reason retraining was or was not asked for."""

    changes: tuple[IncidentChange, ...]
    effects: tuple[Effect, ...]
    retrain: RetrainCause | None
    retrain_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """One judged window as charts and tables show it: the newest revision, with its recorded metrics."""

    window: Window
    revision: int
    outcome: Outcome
    line: str
    model_version: str
    metrics: Mapping[str, float]
