"""What follows from a verdict: incidents, messages, events, and whether to retrain. Pure: clock and state are arguments.

The cool-down is counted in the time of the data, as repeats are (see ``retrue.incidents``).

Payloads of the effects, beside which delivery adds ``dedup_key``:

========  ==============================================================================================
kind      payload
========  ==============================================================================================
notify    block, subject, body, model, severity, window_start, incidents (their fingerprints)
event     event (its name), model, window_start, window_end, and what it is about
retrain   request_id, model, fingerprint, check, scope, attempt, as_of, message
========  ==============================================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from retrue.config import ModelSettings, RetrainSettings
from retrue.incidents import breaching, incident_changes, pending, receivers, told
from retrue.results import (
    ESTIMATED,
    Change,
    Decision,
    Effect,
    Incident,
    IncidentChange,
    Outcome,
    RetrainCause,
    Severity,
    Verdict,
)
from retrue.standing import Case, Standing

Render = Callable[[Verdict, Sequence[IncidentChange]], tuple[str, str]]
"""Subject and body of a message about a verdict and the changes of one receiver's incidents."""


def decide(
    verdict: Verdict, *, revision: int, standing: Standing, settings: ModelSettings, render: Render, now: datetime
) -> Decision:
    """Return what follows from one revision of a window.

    A finding that a newer window measured too changes nothing any more. One that no newer window could measure, such as
    performance while labels were on their way, counts as if its window were the newest.
    """
    case = Case(verdict=verdict, standing=standing, settings=settings, now=now)
    changes = tuple(told(change, case) for change in incident_changes(case))
    cause, reason, hopeless = _retraining(case, changes)
    changes = tuple(_counted(change, cause) for change in changes)
    effects = (
        *_messages(case, changes, render),
        *_incident_events(case, changes),
        *(_retrain_effects(case, cause, revision) if cause else ()),
        *(_escalation(case, hopeless, reason) if hopeless else ()),
    )
    return Decision(changes=changes, effects=effects, retrain=cause, retrain_reason=reason)


def request_id(cause: RetrainCause) -> str:
    """Identify a retraining: model, fingerprint and attempt, which no later one repeats."""
    return f"{cause.model}:{cause.fingerprint}:{cause.attempt}"


# ---------------------------------------------------------------- messages and events


def _messages(case: Case, changes: Sequence[IncidentChange], render: Render) -> Iterator[Effect]:
    groups: dict[str, list[IncidentChange]] = {}
    for change in changes:
        for block in dict.fromkeys(receivers(case, change)):
            groups.setdefault(block, []).append(change)
    for block, group in groups.items():
        subject, body = render(case.verdict, group)
        severity = min((change.incident.severity for change in group), key=lambda each: each.rank)
        yield _message(case, block, _digest(case, block, group), subject, body, severity, group)


def _message(
    case: Case, block: str, key: str, subject: str, body: str, severity: Severity, group: Sequence[IncidentChange]
) -> Effect:
    window = case.verdict.window
    payload = {
        "block": block,
        "subject": subject,
        "body": body,
        "model": window.model,
        "severity": severity.value,
        "window_start": window.start.isoformat(),
        "incidents": [change.incident.fingerprint for change in group],
    }
    return Effect(kind="notify", dedup_key=f"notify:{key}", payload=payload)


def _digest(case: Case, block: str, group: Sequence[IncidentChange]) -> str:
    """Identify a message by what it tells whom about which window: another revision telling the same is no news."""
    window = case.verdict.window
    news = sorted(
        f"{change.incident.fingerprint} {change.change} {change.incident.severity} {change.incident.episode}"
        for change in group
    )
    parts = (window.model, window.start.isoformat(), window.end.isoformat(), block, *news)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _incident_events(case: Case, changes: Sequence[IncidentChange]) -> Iterator[Effect]:
    for change in changes:
        incident = change.incident
        if change.change in (Change.OPENED, Change.RESOLVED):
            name = f"retrue.incident.{change.change.value}"
            yield _event(
                case,
                name,
                f"{incident.fingerprint}:{incident.episode}",
                fingerprint=incident.fingerprint,
                check=incident.check,
                scope=incident.scope,
                severity=incident.severity.value,
                message=incident.message,
                muted=case.silent(change),
            )


def _event(case: Case, name: str, subject: str, **facts: object) -> Effect:
    window = case.verdict.window
    payload = {
        "event": name,
        "model": window.model,
        "window_start": window.start.isoformat(),
        "window_end": window.end.isoformat(),
        **facts,
    }
    return Effect(kind="event", dedup_key=f"event:{name}:{subject}", payload=payload)


# ---------------------------------------------------------------- retraining


def _retraining(
    case: Case, changes: Sequence[IncidentChange]
) -> tuple[RetrainCause | None, str, IncidentChange | None]:
    """Return the cause of a retraining or None, one sentence why, and the change that retraining has not cured."""
    retrain = case.settings.retrain
    if retrain is None:
        return None, "No retraining: it is not configured (retrain).", None
    asking = _asking(case, changes, retrain)
    refusal = _unasked(case, retrain) if not asking else _refusal(case)
    if refusal:
        return None, refusal, None
    hopeless = next((change for change in asking if _tried(case, change.incident) >= retrain.max_attempts), None)
    if hopeless:
        tried = f"{_tried(case, hopeless.incident)} of {retrain.max_attempts} attempts"
        return None, f"No retraining: {tried} have not cured {hopeless.incident.check}; a person is needed.", hopeless
    waits = _cooling(case, retrain) or _pausing(case, retrain)
    if waits:
        return None, waits, None
    cause = _cause(case, asking[0].incident)
    return cause, f"Retraining asked for by {cause.check}, attempt {cause.attempt}.", None


def _asking(case: Case, changes: Sequence[IncidentChange], retrain: RetrainSettings) -> list[IncidentChange]:
    """Return the incidents found in this very window that retraining may cure, gravest first."""
    found = {
        fingerprint
        for fingerprint, finding in breaching(case.verdict).items()
        if _asking_kind(finding.check) in retrain.on
    }
    return [change for change in changes if change.incident.fingerprint in found and _asks(case, change)]


def _asks(case: Case, change: IncidentChange) -> bool:
    incident = change.incident
    goes_on = change.change is not Change.RESOLVED and not case.superseded(incident.check, incident.scope)
    return goes_on or change.change is Change.OPENED


def _asking_kind(check: str) -> str:
    """Return the kind under which a finding asks for retraining: an estimate is no ground to train on until labels tell."""
    return "estimated" if check == ESTIMATED else check.split(".", 1)[0]


def _unasked(case: Case, retrain: RetrainSettings) -> str:
    verdict, kinds = case.verdict, ", ".join(retrain.on)
    if not any(finding.severity.breaches and _asking_kind(finding.check) in retrain.on for finding in verdict.findings):
        return f"No retraining: the window is {verdict.outcome} and no finding is of a kind that asks for it ({kinds})."
    waits = next((each for each in pending(case) if _asking_kind(each.check) in retrain.on), None)
    if waits is not None:
        return f"No retraining: {waits.check} was found in {waits.line}."
    return "No retraining: a newer window has been judged on the same checks."


def _refusal(case: Case) -> str:
    verdict, standing = case.verdict, case.standing
    if verdict.outcome is not Outcome.BREACHED:
        return f"No retraining: the window is {verdict.outcome}."
    if verdict.model_version != standing.champion:
        served, champion = verdict.model_version or "no known version", standing.champion or "not set"
        return f"No retraining: version {served} served this window and the champion is {champion}."
    if standing.open_request is not None:
        return f"No retraining: request {standing.open_request} is still open."
    return ""


def _tried(case: Case, incident: Incident) -> int:
    """Return how many retrainings were to cure an incident: those of its episode and rollbacks; what failed or was cancelled tried nothing.

    What a version was promoted for comes back with the version before it.
    """
    failed = sum(as_of > incident.opened_window for as_of in case.standing.failed.get(incident.fingerprint, ()))
    return max(incident.attempt - failed, 0) + case.standing.rolled_back


def _cooling(case: Case, retrain: RetrainSettings) -> str:
    last = case.standing.last_as_of
    as_of = case.clock + case.settings.window.settle
    if last is None or as_of - last >= retrain.cooldown:
        return ""
    return f"No retraining: the last one was as of {last:%Y-%m-%d %H:%M}, the next may be from {last + retrain.cooldown:%Y-%m-%d %H:%M} UTC."


def _pausing(case: Case, retrain: RetrainSettings) -> str:
    """Refuse a retraining soon after others that failed: each in a row doubles the wait, from a window's length to the cool-down."""
    failing = case.standing.failing
    if not failing:
        return ""
    pause = min(case.settings.window.every * 2 ** min(len(failing) - 1, 20), retrain.cooldown)
    last = max(failing)
    if case.clock + case.settings.window.settle - last >= pause:
        return ""
    which = f"the last {len(failing)} failed, the newest" if len(failing) > 1 else "the last one failed,"
    return (
        f"No retraining: {which} as of {last:%Y-%m-%d %H:%M}; the next may be from {last + pause:%Y-%m-%d %H:%M} UTC."
    )


def _cause(case: Case, incident: Incident) -> RetrainCause:
    return RetrainCause(
        model=incident.model,
        fingerprint=incident.fingerprint,
        check=incident.check,
        scope=incident.scope,
        attempt=case.standing.attempts.get(incident.fingerprint, 0) + 1,
        as_of=case.clock + case.settings.window.settle,
        message=incident.message,
    )


def _counted(change: IncidentChange, cause: RetrainCause | None) -> IncidentChange:
    if cause is None or change.incident.fingerprint != cause.fingerprint:
        return change
    return replace(change, incident=replace(change.incident, attempt=change.incident.attempt + 1))


def _retrain_effects(case: Case, cause: RetrainCause, revision: int) -> Iterator[Effect]:
    key = request_id(cause)
    facts = {**asdict(cause), "as_of": cause.as_of.isoformat(), "request_id": key}
    yield Effect(kind="retrain", dedup_key=f"retrain:{key}", payload=facts)
    yield _event(case, "retrue.retrain.requested", key, **{**facts, "revision": revision})


def _escalation(case: Case, change: IncidentChange, reason: str) -> Iterator[Effect]:
    """Tell every receiver, once an episode, that retraining does not help."""
    incident, notify = change.incident, case.settings.notify
    blocks = () if case.silent(change) else dict.fromkeys((*notify.critical, *notify.warning))
    for block in blocks:
        key = f"person:{incident.fingerprint}:{incident.episode}:{block}"
        subject, body = f"{incident.model}: a person is needed", f"{reason}\nWindow {case.verdict.window.name}."
        yield _message(case, block, key, subject, body, Severity.CRITICAL, [change])
