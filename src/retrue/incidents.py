"""How a verdict changes a model's incidents: opened, continued, repeated, resolved, and who is told. Pure.

Two clocks: repeats and flapping are counted in the time of the data (ends of windows), so that a backfill behaves as
production would have; mutes, which people set, end at ``now``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from retrue.config import ModelSettings
from retrue.results import Change, Finding, Incident, IncidentChange, Outcome, Severity, Verdict

INCONCLUSIVE = "window.inconclusive"
FAILURES = "failure"
EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStanding:
    """Where failure groups stand once a verdict's window is counted; all of it is empty where failures were not measured.

    ``superseded`` tells whether a newer window measured failures. ``escalated`` are the groups that escalate with this
    window and did not before, ``resolved`` those that have been gone for long enough.
    """

    superseded: bool = False
    escalated: frozenset[str] = frozenset()
    resolved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger holds when a verdict comes in.

    ``newest_end`` is the end of the newest window judged before, and ``newer_unmeasured`` what was left unmeasured by each
    window newer than the verdict's: both are empty for the first window. ``incidents`` are the unresolved ones and those of
    the verdict's fingerprints; ``muted`` maps a fingerprint to the end of its mute, ``muted_until_escalation`` have no such
    end. ``failures`` is about failure groups, whose incidents last longer than one window without them. ``attempts`` counts the retrainings
    ever asked for by a fingerprint, ``last_as_of`` is the latest ``as_of`` of any, or a later rollback by probation;
    ``rolled_back`` counts the latest promotions in a row that ended so.
    """

    newest_end: datetime | None = None
    newer_unmeasured: tuple[frozenset[str], ...] = ()
    incidents: tuple[Incident, ...] = ()
    muted: Mapping[str, datetime] = field(default_factory=dict)
    muted_until_escalation: frozenset[str] = frozenset()
    failures: FailureStanding = field(default_factory=FailureStanding)
    champion: str | None = None
    open_request: str | None = None
    last_as_of: datetime | None = None
    attempts: Mapping[str, int] = field(default_factory=dict)
    rolled_back: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A verdict with all that deciding about it depends on."""

    verdict: Verdict
    standing: Standing
    settings: ModelSettings
    now: datetime

    @property
    def clock(self) -> datetime:
        """The time of the data: the end of the newest window judged so far."""
        end = self.verdict.window.end
        return max(end, self.standing.newest_end or end)

    def superseded(self, check: str, scope: str) -> bool:
        """Tell whether a newer window measured the same, so that this one has nothing more to say about it."""
        if is_failure(check):
            return self.standing.failures.superseded
        return any(not _covers(gaps, check, scope) for gaps in self.standing.newer_unmeasured)

    def muted(self, fingerprint: str, *, escalated: bool) -> bool:
        """Tell whether a person has silenced this incident at ``now``; some mutes end when it escalates."""
        until = self.standing.muted.get(fingerprint)
        waiting = fingerprint in self.standing.muted_until_escalation and not escalated
        return waiting or (until is not None and until > self.now)

    def silent(self, change: IncidentChange) -> bool:
        """Tell whether nobody is to hear of a change because its incident is muted."""
        return self.muted(change.incident.fingerprint, escalated=change.escalated)

    def elapsed(self, since: datetime) -> bool:
        """Tell whether it is time to repeat a message sent at ``since`` on the clock of the data."""
        return self.clock - since >= self.settings.notify.repeat_every


def is_failure(check: str) -> bool:
    """Tell whether a finding or incident is about a failure group, whose id its scope is."""
    return _kind(check) == FAILURES


def unmeasured(verdict: Verdict) -> frozenset[str]:
    """Return what this window says nothing about: checks, kinds of check, ``kind:scope``, or everything.

    An incident of such a kind is not resolved by the finding's absence.
    """
    if verdict.reasons:
        return frozenset({EVERYTHING})
    return frozenset(_gaps(verdict))


def _gaps(verdict: Verdict) -> Iterator[str]:
    for finding in verdict.findings:
        if finding.kind == "labels":
            yield "performance"
        if finding.check in ("schema.missing", "schema.retyped"):
            yield from (f"{kind}:{finding.scope}" for kind in ("drift", "quality", "expectation"))
        if finding.check == "system.status":  # the log does not say what failed
            yield from ("system.errors", "system.timeouts", "system.authentication", "system.rejected")
        if finding.check == "system.traffic":
            yield f"system:{finding.scope}"
        if finding.check == "quality.nulls" and finding.severity is Severity.CRITICAL:
            yield from (f"{kind}:{finding.scope}" for kind in ("drift", "expectation"))


def _covers(gaps: frozenset[str], check: str, scope: str) -> bool:
    kind = _kind(check)
    return kind != "window" and not gaps.isdisjoint((EVERYTHING, kind, check, f"{kind}:{scope}"))


def _kind(check: str) -> str:
    return check.split(".", 1)[0]


def breaching(verdict: Verdict) -> dict[str, Finding]:
    """Return the findings that make incidents by fingerprint, gravest first; being inconclusive is one of them."""
    findings = [finding for finding in verdict.findings if finding.severity.breaches]
    if verdict.outcome is Outcome.INCONCLUSIVE:
        findings.append(_inconclusive(verdict))
    found: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda each: each.severity.rank):
        found.setdefault(finding.fingerprint(verdict.window.model), finding)
    return found


def _inconclusive(verdict: Verdict) -> Finding:
    return Finding(
        check=INCONCLUSIVE,
        scope="",
        severity=Severity.WARNING,
        value="inconclusive",
        threshold="judged",
        message=f"The window could not be judged: {'; '.join(verdict.reasons)}.",
        next_step="Until a window can be judged again, errors of this model go unseen.",
    )


def incident_changes(case: Case) -> Iterator[IncidentChange]:
    """Yield what the verdict changes: found incidents gravest first, then those it resolves."""
    before = {incident.fingerprint: incident for incident in case.standing.incidents}
    found = breaching(case.verdict)
    for fingerprint, finding in found.items():
        if not case.superseded(finding.check, finding.scope):
            yield _found(case, fingerprint, finding, before.get(fingerprint))
    for fingerprint, incident in before.items():
        if fingerprint not in found and incident.state != "resolved" and _gone(case, incident):
            yield IncidentChange(incident=replace(incident, state="resolved"), change=Change.RESOLVED)


def _found(case: Case, fingerprint: str, finding: Finding, before: Incident | None) -> IncidentChange:
    escalated = _escalated(case, finding, before)
    if before is None or before.state == "resolved":
        opened = _opened(case, fingerprint, finding, before)
        return IncidentChange(incident=opened, change=Change.OPENED, escalated=escalated)
    graver = finding.severity.rank < before.severity.rank
    due = before.state == "open" and (before.last_notified_at is None or case.elapsed(before.last_notified_at))
    incident = replace(
        before,
        severity=finding.severity if graver else before.severity,
        message=finding.message,
        last_window=max(before.last_window, case.verdict.window.start),
    )
    repeated = (escalated or due) and not case.muted(fingerprint, escalated=escalated)
    change = Change.REPEATED if repeated else Change.CONTINUED
    return IncidentChange(incident=incident, change=change, escalated=escalated)


def _escalated(case: Case, finding: Finding, before: Incident | None) -> bool:
    """Tell whether an incident that was known before has become graver, or its failure group escalates."""
    if before is None:
        return False
    grows = is_failure(finding.check) and finding.scope in case.standing.failures.escalated
    return grows or finding.severity.rank < before.severity.rank


def _opened(case: Case, fingerprint: str, finding: Finding, before: Incident | None) -> Incident:
    window = case.verdict.window
    return Incident(
        fingerprint=fingerprint,
        model=window.model,
        check=finding.check,
        scope=finding.scope,
        severity=finding.severity,
        message=finding.message,
        opened_window=window.start,
        last_window=window.start,
        last_notified_at=None,
        state="open",
        attempt=0,
        episode=before.episode + 1 if before else 1,
        flapping=before is not None and window.start - before.last_window < case.settings.notify.repeat_every,
    )


def _gone(case: Case, incident: Incident) -> bool:
    """Tell whether the finding's absence means that it is cured."""
    absent = case.verdict.window.start - incident.last_window
    if absent.total_seconds() < 0 or case.superseded(incident.check, incident.scope) or not _cured(case, incident):
        return False
    return not incident.flapping or absent >= case.settings.notify.repeat_every


def _cured(case: Case, incident: Incident) -> bool:
    """Tell whether this window could have found it, or for a failure group, whether enough of them could have."""
    if is_failure(incident.check):
        return incident.scope in case.standing.failures.resolved
    return not _covers(unmeasured(case.verdict), incident.check, incident.scope)


def receivers(case: Case, change: IncidentChange) -> tuple[str, ...]:
    """Return the blocks to tell: those of the severity, and of the end all that were told before."""
    notify = case.settings.notify
    if change.change is Change.CONTINUED or case.silent(change):
        return ()
    if change.change is Change.RESOLVED:
        return tuple(block for block in change.incident.told if block in (*notify.critical, *notify.warning))
    return notify.critical if change.incident.severity is Severity.CRITICAL else notify.warning


def told(change: IncidentChange, case: Case) -> IncidentChange:
    """Write into the incident who is told of its change, and when."""
    if change.change in (Change.CONTINUED, Change.RESOLVED) or case.silent(change):
        return change
    told = tuple(sorted({*change.incident.told, *receivers(case, change)}))
    return replace(change, incident=replace(change.incident, told=told, last_notified_at=case.clock))
