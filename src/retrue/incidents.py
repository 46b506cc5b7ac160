"""How a verdict changes a model's incidents: opened, continued, repeated, resolved, and who is told. Pure.

Two clocks: repeats and flapping are counted in the time of the data (ends of windows), so that a backfill behaves as
production would have; mutes, which people set, end at ``now``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from retrue.alarms import AlarmStanding
from retrue.results import Change, Finding, Incident, IncidentChange, Outcome, Severity, Verdict
from retrue.standing import Case, Glimpse, Pending, is_failure, kind_of

INCONCLUSIVE = "window.inconclusive"


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
        rule = case.settings.alarms.opening(kind_of(about.check))
        if rule.after == 1 or is_failure(about.check):
            continue
        standing = case.stands(fingerprint, about.check, about.scope, found.get(fingerprint))
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
    standing = case.stands(fingerprint, finding.check, finding.scope, finding)
    open_before = before is not None and before.state != "resolved"
    if standing.open and not open_before:
        this = Glimpse.of(finding)
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
    standing = case.stands(fingerprint, about.check, about.scope)
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
    this = Glimpse.of(finding)
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
