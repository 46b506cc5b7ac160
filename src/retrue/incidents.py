"""How a verdict changes a model's incidents: opened, continued, repeated, resolved, and who is told. Pure.

Two clocks: repeats and flapping are counted in the time of the data (ends of windows), so that a backfill behaves as
production would have; mutes, which people set, end at ``now``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from retrue.alarms import AlarmStanding, Look, alarm_standing
from retrue.config import ModelSettings
from retrue.results import ESTIMATED, WITHHELD, Change, Finding, Incident, IncidentChange, Outcome, Severity, Verdict
from retrue.windows import Window

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
class Glimpse:
    """What is remembered of a breaching finding."""

    check: str
    scope: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastWindow:
    """Another window of the model, by its newest revision: what it left unmeasured, and breaching findings by fingerprint.

    ``found`` may leave out findings that nothing about the verdict depends on.
    """

    window: Window
    unmeasured: frozenset[str] = frozenset()
    found: Mapping[str, Glimpse] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger holds when a verdict comes in.

    ``past`` are the other windows, oldest first, before and after the verdict's. ``incidents`` are the unresolved ones and those of
    the verdict's fingerprints; ``muted`` maps a fingerprint to the end of its mute, ``muted_until_escalation`` have no such
    end. ``failures`` is about failure groups, whose incidents last longer than one window without them. ``attempts`` counts the retrainings
    ever asked for by a fingerprint, ``last_as_of`` is the latest ``as_of`` of any, or a later rollback by probation;
    ``rolled_back`` counts the latest promotions in a row that ended so.
    """

    past: tuple[PastWindow, ...] = ()
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
class Pending:
    """A finding that is no incident yet: ``seen`` of the last ``of`` windows have it, ``after`` open one."""

    fingerprint: str
    check: str
    scope: str
    seen: int
    after: int
    of: int

    @property
    def label(self) -> str:
        """Check and scope as tables show them."""
        return f"{self.check}({self.scope})" if self.scope else self.check

    @property
    def line(self) -> str:
        """How far it has come, in words."""
        return f"{self.seen} of the last {self.of} windows, an incident opens with {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A verdict with all that deciding about it depends on."""

    verdict: Verdict
    standing: Standing
    settings: ModelSettings
    now: datetime
    _gaps: frozenset[str] = field(init=False)  # what this window left unmeasured
    _newer: frozenset[frozenset[str]] = field(init=False)  # the same of newer windows
    _place: int = field(init=False)  # how many past windows are older
    _places: Mapping[str, Sequence[int]] = field(init=False)  # in which past windows a fingerprint was found

    def __post_init__(self) -> None:
        start, places = self.verdict.window.start, dict[str, list[int]]()
        for place, each in enumerate(self.standing.past):
            for fingerprint in each.found:
                places.setdefault(fingerprint, []).append(place)
        newer = frozenset(each.unmeasured for each in self.standing.past if each.window.start > start)
        object.__setattr__(self, "_place", sum(each.window.start < start for each in self.standing.past))
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_newer", newer)
        object.__setattr__(self, "_gaps", unmeasured(self.verdict))

    def measured(self, check: str, scope: str) -> bool:
        """Tell whether this window could have found it."""
        return not _covers(self._gaps, check, scope)

    def remembered(self) -> Mapping[str, Glimpse]:
        """Return the latest that past windows have of each fingerprint."""
        return {each: self.standing.past[places[-1]].found[each] for each, places in self._places.items()}

    @property
    def clock(self) -> datetime:
        """The time of the data: the end of the newest window judged so far."""
        return max([self.verdict.window.end, *(each.window.end for each in self.standing.past[-1:])])

    def superseded(self, check: str, scope: str) -> bool:
        """Tell whether a newer window measured the same, so that this one has nothing more to say about it."""
        if is_failure(check):
            return self.standing.failures.superseded
        return any(not _covers(gaps, check, scope) for gaps in self._newer)

    def glimpses(self, fingerprint: str) -> list[tuple[datetime, Glimpse]]:
        """Return what past windows have of a fingerprint, by their start, oldest first."""
        past = (self.standing.past[place] for place in self._places.get(fingerprint, ()))
        return [(each.window.start, each.found[fingerprint]) for each in past]

    def stands(self, fingerprint: str, check: str, scope: str, *, found: bool) -> AlarmStanding:
        """Return where an incident stands with this verdict, which has its finding or does not."""
        start, places = self.verdict.window.start, self._places.get(fingerprint, ())
        here = [self._place] if found else []
        first = min(
            [*places[:1], *here], default=len(self.standing.past)
        )  # what is before its first finding says nothing
        past = self.standing.past[first:]
        looks = [
            Look(start=each.window.start, found=fingerprint in each.found)
            for each in past
            if fingerprint in each.found or not _covers(each.unmeasured, check, scope)
        ]
        if found or self.measured(check, scope):
            looks.append(Look(start=start, found=found))
            looks.sort(key=lambda look: look.start)
        alarms, kind = self.settings.alarms, _kind(check)
        repeat_every = self.settings.notify.repeat_every
        return alarm_standing(looks, alarms.opening(kind), alarms.resolving(kind), repeat_every=repeat_every)

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
        if finding.check == WITHHELD:
            yield ESTIMATED
        if finding.check in ("schema.missing", "schema.retyped"):
            yield from (f"{kind}:{finding.scope}" for kind in ("drift", "quality", "expectation"))
        if finding.check == "system.status":  # the log does not say what failed
            yield from ("system.errors", "system.timeouts", "system.authentication", "system.rejected")
        if finding.check == "performance.skipped":  # of a slice
            yield f"performance:{finding.scope}"
        if finding.check == "system.traffic":
            yield f"system:{finding.scope}"
        if finding.check == "quality.nulls" and finding.severity is Severity.CRITICAL:
            yield from (f"{kind}:{finding.scope}" for kind in ("drift", "expectation"))


def _covers(gaps: frozenset[str], check: str, scope: str) -> bool:
    kind = check if check == ESTIMATED else _kind(check)  # it is measured just where labels are missing
    return kind != "window" and not gaps.isdisjoint((EVERYTHING, kind, check, f"{kind}:{scope}"))


def _kind(check: str) -> str:
    return check.split(".", 1)[0]


def breaching(verdict: Verdict) -> dict[str, Finding]:
    """Return the findings that make incidents by fingerprint, gravest first; being inconclusive is one of them."""
    findings = [finding for finding in verdict.findings if finding.severity.breaches]
    if verdict.outcome is Outcome.INCONCLUSIVE:
        findings.append(inconclusive(verdict.reasons))
    found: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda each: each.severity.rank):
        found.setdefault(finding.fingerprint(verdict.window.model), finding)
    return found


def inconclusive(reasons: Sequence[str] = ()) -> Finding:
    """Return the finding that a window could not be judged."""
    why = f": {'; '.join(reasons)}" if reasons else ""
    return Finding(
        check=INCONCLUSIVE,
        scope="",
        severity=Severity.WARNING,
        value="inconclusive",
        threshold="judged",
        message=f"The window could not be judged{why}.",
        next_step="Until a window can be judged again, errors of this model go unseen.",
    )


def incident_changes(case: Case) -> Iterator[IncidentChange]:
    """Yield what the verdict changes: found incidents gravest first, then those it resolves.

    A window judged late may open an incident by completing what newer ones found.
    """
    before = {incident.fingerprint: incident for incident in case.standing.incidents}
    found = breaching(case.verdict)
    for fingerprint, finding in found.items():
        if is_failure(finding.check):
            if not case.superseded(finding.check, finding.scope):
                yield _found_failure(case, fingerprint, finding, before.get(fingerprint))
        else:
            yield from _found(case, fingerprint, finding, before.get(fingerprint))
    for fingerprint, about in _others(case, found).items():
        if is_failure(about.check):
            if _failure_gone(case, before[fingerprint]):
                yield _resolved(before[fingerprint])
        elif case.measured(about.check, about.scope):
            yield from _not_found(case, fingerprint, about, before.get(fingerprint))


def pending(case: Case) -> tuple[Pending, ...]:
    """Return the findings, of this window or of those shortly before, that need more windows to become an incident."""
    return tuple(_pending(case))


def _pending(case: Case) -> Iterator[Pending]:
    found = breaching(case.verdict)
    abouts: Mapping[str, Finding | Glimpse] = {**case.remembered(), **found}
    for fingerprint, about in abouts.items():
        rule = case.settings.alarms.opening(_kind(about.check))
        if rule.after == 1 or is_failure(about.check):
            continue
        standing = case.stands(fingerprint, about.check, about.scope, found=fingerprint in found)
        if not standing.open and 0 < standing.seen < rule.after:
            yield Pending(
                fingerprint=fingerprint,
                check=about.check,
                scope=about.scope,
                seen=standing.seen,
                after=rule.after,
                of=rule.last,
            )


def _others(case: Case, found: Mapping[str, Finding]) -> Mapping[str, Incident | Glimpse]:
    """Return what this window did not find but may still change: unresolved incidents, and what past windows found."""
    unresolved = {each.fingerprint: each for each in case.standing.incidents if each.state != "resolved"}
    remembered = {each: glimpse for each, glimpse in case.remembered().items() if not is_failure(glimpse.check)}
    others: Mapping[str, Incident | Glimpse] = {**remembered, **unresolved}
    return {each: about for each, about in others.items() if each not in found}


def _found(case: Case, fingerprint: str, finding: Finding, before: Incident | None) -> Iterator[IncidentChange]:
    standing = case.stands(fingerprint, finding.check, finding.scope, found=True)
    open_before = before is not None and before.state != "resolved"
    if standing.open and not open_before:
        this = Glimpse(check=finding.check, scope=finding.scope, severity=finding.severity, message=finding.message)
        seen = [*case.glimpses(fingerprint), (case.verdict.window.start, this)]
        yield _opened(case, fingerprint, standing, seen, before)
    elif before is not None and open_before:
        if not standing.open:
            yield _resolved(before)
        elif case.superseded(finding.check, finding.scope):
            yield from _dated(before, standing)
        else:
            yield _goes_on(case, finding, before)


def _not_found(
    case: Case, fingerprint: str, about: Incident | Glimpse, before: Incident | None
) -> Iterator[IncidentChange]:
    standing = case.stands(fingerprint, about.check, about.scope, found=False)
    open_before = before is not None and before.state != "resolved"
    if standing.open and not open_before:
        yield _opened(case, fingerprint, standing, case.glimpses(fingerprint), before)
    elif before is not None and open_before:
        yield from _dated(before, standing) if standing.open else [_resolved(before)]


def _found_failure(case: Case, fingerprint: str, finding: Finding, before: Incident | None) -> IncidentChange:
    """Return what a failure group's finding changes: it opens at once, and is over when the group's life says so."""
    if before is not None and before.state != "resolved":
        return _goes_on(case, finding, before)
    start, repeat_every = case.verdict.window.start, case.settings.notify.repeat_every
    flapping = before is not None and start - before.last_window < repeat_every
    standing = AlarmStanding(open=True, seen=1, opened=start, last=start, flapping=flapping)
    this = Glimpse(check=finding.check, scope=finding.scope, severity=finding.severity, message=finding.message)
    return _opened(case, fingerprint, standing, [(start, this)], before)


def _failure_gone(case: Case, incident: Incident) -> bool:
    """Tell whether enough windows could have found a failure group, and did not."""
    absent = case.verdict.window.start - incident.last_window
    if absent.total_seconds() < 0 or case.superseded(incident.check, incident.scope):
        return False
    if incident.scope not in case.standing.failures.resolved:
        return False
    return not incident.flapping or absent >= case.settings.notify.repeat_every


def _resolved(incident: Incident) -> IncidentChange:
    return IncidentChange(incident=replace(incident, state="resolved"), change=Change.RESOLVED)


def _dated(before: Incident, standing: AlarmStanding) -> Iterator[IncidentChange]:
    """Yield an incident that goes on, where a window judged late says that it began or was last found at another time."""
    dated = replace(
        before,
        opened_window=standing.opened or before.opened_window,
        last_window=standing.last or before.last_window,
    )
    if dated != before:
        yield IncidentChange(incident=dated, change=Change.CONTINUED)


def _goes_on(case: Case, finding: Finding, before: Incident) -> IncidentChange:
    escalated = _escalated(case, finding, before)
    graver = finding.severity.rank < before.severity.rank
    due = before.state == "open" and (before.last_notified_at is None or case.elapsed(before.last_notified_at))
    incident = replace(
        before,
        severity=finding.severity if graver else before.severity,
        message=finding.message,
        last_window=max(before.last_window, case.verdict.window.start),
    )
    repeated = (escalated or due) and not case.muted(before.fingerprint, escalated=escalated)
    change = Change.REPEATED if repeated else Change.CONTINUED
    return IncidentChange(incident=incident, change=change, escalated=escalated)


def _escalated(case: Case, finding: Finding | Glimpse, before: Incident | None) -> bool:
    """Tell whether an incident that was known before has become graver, or its failure group escalates."""
    if before is None:
        return False
    grows = is_failure(finding.check) and finding.scope in case.standing.failures.escalated
    return grows or finding.severity.rank < before.severity.rank


def _opened(
    case: Case,
    fingerprint: str,
    standing: AlarmStanding,
    seen: Sequence[tuple[datetime, Glimpse]],
    before: Incident | None,
) -> IncidentChange:
    """Return the incident as its newest finding shows it, as grave as the gravest of the episode."""
    opened, last = standing.opened or case.verdict.window.start, standing.last or case.verdict.window.start
    newest = max(seen, key=lambda each: each[0])[1]
    episode = [glimpse.severity for start, glimpse in seen if start >= opened] or [newest.severity]
    incident = Incident(
        fingerprint=fingerprint,
        model=case.verdict.window.model,
        check=newest.check,
        scope=newest.scope,
        severity=min(episode, key=lambda each: each.rank),
        message=newest.message,
        opened_window=opened,
        last_window=last,
        last_notified_at=None,
        state="open",
        attempt=0,
        episode=before.episode + 1 if before else 1,
        flapping=standing.flapping,
    )
    escalated = _escalated(case, newest, before)
    return IncidentChange(incident=incident, change=Change.OPENED, escalated=escalated)


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
