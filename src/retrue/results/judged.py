"""What a window is judged to be, what it was compared with, and what charts show of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from retrue.results.calibrated import DriftCalibration
from retrue.results.domain import DomainNull
from retrue.results.estimated import Estimation
from retrue.results.measured import Profile, RealisedPerformance, Severity, refuse_nan
from retrue.results.text import TextProfile
from retrue.results.why import Reliance
from retrue.windows import Window

FAILURE_GROUP = "failure.group"
ESTIMATED = "performance.estimated"
WITHHELD = "performance.withheld"


class Outcome(StrEnum):
    """What a window's verdict comes to."""

    HEALTHY = "healthy"
    BREACHED = "breached"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One judged breach.

    ``check`` is a dotted name such as ``drift.column``; ``scope`` the column, slice or group it was found on, empty
    for the whole window. ``value`` and ``threshold`` are text as a person reads them; ``message`` is one sentence,
    ``next_step`` what to do first. ``excess`` is how many times the threshold the value is, on a scale where chance shrinks with the
    root of the rows; None where that means nothing.
    """

    check: str
    scope: str
    severity: Severity
    value: str
    threshold: str
    message: str
    next_step: str
    excess: float | None = None

    def __post_init__(self) -> None:
        refuse_nan(self.check, excess=self.excess)

    @property
    def kind(self) -> str:
        """The check's family: schema, quality, expectation, drift, performance, system, failure, served, labels or source."""
        return self.check.split(".", 1)[0]

    @property
    def label(self) -> str:
        """Check and scope as lines and tables show them.

        An expectation's own name is long, its column says more; a failure group is called by the exception, with which its
        message begins, since its id says nothing.
        """
        if self.check == FAILURE_GROUP:
            return f"failure({self.message.split(maxsplit=1)[0].rstrip(':')})"
        check = "expectation" if self.kind == "expectation" and self.scope else self.check
        return f"{check}({self.scope})" if self.scope else check

    def fingerprint(self, model: str) -> str:
        """Identify the same finding over time: model, check and scope, not the value."""
        parts = "\0".join((model, self.check, self.scope))
        return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:32]


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
    def breaches(self) -> frozenset[tuple[str, str]]:
        """Check and scope of each breaching finding."""
        return frozenset((finding.check, finding.scope) for finding in self.findings if finding.severity.breaches)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a baseline's rows come from."""

    source: str
    start: datetime
    end: datetime
    rows: int
    frozen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginals:
    """Which columns of a reference no longer hold the values of its rows but each a distribution by itself, since when, and why.

    ``empty`` are those of them of which nothing is left: ids, free text, what no five rows share.
    """

    columns: tuple[str, ...]
    empty: tuple[str, ...]
    made_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a model version is compared with: profile, drift thresholds and performance of frozen reference rows.

    ``thresholds`` maps a column to (method, threshold at the calibrated size). ``digest`` is the SHA-256 of the reference rows
    and of everything else here but the digest. ``performance`` is None where the reference has no labels. ``marginals`` is None
    while the reference holds whole rows. ``estimation`` is what estimates without labels need, None in baselines that were
    frozen without it. ``reliance`` likewise, or where the reference has no answers. ``calibration`` is None where a baseline was
    frozen before there was any, or has too few rows. ``domain`` is the null distribution of all columns at once, None where there is
    none; ``texts`` are the columns of free text, by name.
    """

    model: str
    version: str
    profile: Profile
    thresholds: Mapping[str, tuple[str, float]]
    performance: RealisedPerformance | None
    provenance: Provenance
    reference_digest: str
    digest: str = field(default="")
    marginals: Marginals | None = None
    estimation: Estimation | None = None
    reliance: Reliance | None = None
    calibration: DriftCalibration | None = None
    domain: DomainNull | None = None
    texts: Mapping[str, TextProfile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """One judged window as charts and tables show it: the newest revision, with its recorded metrics and breaching findings.

    ``breaches`` holds (check, scope) of each.
    """

    window: Window
    revision: int
    outcome: Outcome
    line: str
    model_version: str
    metrics: Mapping[str, float]
    breaches: frozenset[tuple[str, str]] = frozenset()
