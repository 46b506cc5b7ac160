"""An incident or a failure group for the terminal, and the same for programs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from retrue.failures.stories import FailureStory
from retrue.ledger import IncidentStep, IncidentStory, Mute, OutboxRow
from retrue.reports.escape import visible
from retrue.reports.failures import WINDOWS_MAX, failing_input, reproduce_command, since
from retrue.reports.figures import count, day, share
from retrue.reports.sparkline import text_sparkline

STEPS_MAX = 20  # the last windows of an incident, written out
_LABEL_WIDTH = 12
_LEADING_NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """An incident, a failure group, or an incident about a failure group; ``trace_urls`` are pages in MLflow by trace id.

    ``since`` says when the incident's metric changed, and how; empty where that cannot be told.
    """

    incident: IncidentStory | None
    failure: FailureStory | None
    now: datetime
    trace_urls: Mapping[str, str] = field(default_factory=dict)
    since: str = ""

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "incident": {**incident_facts(self.incident, self.now), "since": self.since} if self.incident else None,
            "failure": {**failure_facts(self.failure), "trace_urls": dict(self.trace_urls)} if self.failure else None,
        }


def render_dossier(found: Dossier) -> str:
    """Return it as lines of text, in which control characters are shown instead of obeyed."""
    parts = (
        _incident(found.incident, found.failure, found.now, found.since) if found.incident else (),
        _failure(found.failure, found.trace_urls) if found.failure else (),
        _message(found.incident) if found.incident else (),
    )
    return "\n".join("\n".join(visible(line) for line in part) for part in map(list, parts) if part)


def incident_facts(story: IncidentStory, now: datetime) -> dict[str, object]:
    """Return an incident with all it went through, for programs."""
    incident = story.incident
    last = story.messages[-1] if story.messages else None
    return {
        "fingerprint": incident.fingerprint,
        "model": incident.model,
        "check": incident.check,
        "scope": incident.scope,
        "severity": incident.severity.value,
        "state": incident.state,
        "message": incident.message,
        "episode": incident.episode,
        "opened_window": incident.opened_window.isoformat(),
        "last_window": incident.last_window.isoformat(),
        "retrainings": incident.attempt,
        "told": list(incident.told),
        "acknowledged_by": story.acknowledged_by,
        "acknowledged_at": _iso(story.acknowledged_at),
        "mutes": [
            {
                "until": _iso(mute.until),
                "reason": mute.reason,
                "by": mute.by,
                "at": mute.at.isoformat(),
                "in_force": _lasts(mute, now),
            }
            for mute in story.mutes
        ],
        "windows": [
            {
                "start": step.window.start.isoformat(),
                "revision": step.revision,
                "change": step.change.value,
                "severity": step.severity.value,
                "value": step.value,
                "message": step.message,
            }
            for step in story.steps
        ],
        "last_message": None
        if last is None
        else {
            "subject": last.payload["subject"],
            "body": last.payload["body"],
            "block": last.payload["block"],
            "state": last.state,
            "at": last.created_at.isoformat(),
        },
    }


def failure_facts(story: FailureStory) -> dict[str, object]:
    """Return a failure group with its windows, for programs."""
    seen = story.now
    return {
        "id": story.id,
        "title": story.text.title,
        "state": story.status.value,
        "reason": story.lifecycle.reason,
        "rows": seen.rows if seen else 0,
        "share": seen.share if seen else 0.0,
        "error_type": story.text.error_type,
        "message": story.text.message,
        "kind": story.text.kind,
        "frames": list(story.text.frames),
        "grouped_by": list(story.text.reasons),
        "first_seen_at": story.first_seen_at.isoformat(),
        "last_seen_at": story.last_seen_at.isoformat(),
        "first_versions": list(story.first_versions),
        "versions": dict(story.versions),
        "endpoints": dict(story.endpoints),
        "inputs": [failing_input(each) for each in story.inputs],
        "samples": list(story.samples),
        "traces": list(story.traces),
        "windows": [
            {"start": point.window.start.isoformat(), "rows": point.rows, "share": point.share}
            for point in story.points
        ],
    }


def _incident(story: IncidentStory, failure: FailureStory | None, now: datetime, since: str) -> Iterator[str]:
    incident = story.incident
    name = f"{incident.check} {failure.text.title if failure else incident.scope}".strip()
    yield f"incident {incident.fingerprint[:12]}: {incident.model}, {name}"
    episode = f", episode {incident.episode}" if incident.episode > 1 else ""
    yield _line("state", f"{incident.state}, {incident.severity}, since {incident.opened_window:%Y-%m-%d}{episode}")
    yield _line("message", incident.message)
    if since:
        yield _line("changed", since)
    if story.acknowledged_by:
        yield _line("acknowledged", f"by {story.acknowledged_by} on {story.acknowledged_at:%Y-%m-%d %H:%M} UTC")
    for mute in story.mutes:
        yield _line("muted" if _lasts(mute, now) else "was muted", _mute(mute))
    if incident.attempt:
        yield _line("retrained", f"asked for {incident.attempt} times")
    yield from _windows(story.steps)


def _windows(steps: Sequence[IncidentStep]) -> Iterator[str]:
    values = [_number(step.value) for step in steps]
    shape = text_sparkline(values[-WINDOWS_MAX:]) if any(values) else ""
    yield _line("windows", f"{shape}  {len(steps)}".strip())
    for step in steps[-STEPS_MAX:]:
        told = f"{step.value}  {step.message}" if step.value else ""
        yield f"    {day(step.window)} r{step.revision}  {step.change.value:<9} {told}".rstrip()


def _failure(story: FailureStory, urls: Mapping[str, str]) -> Iterator[str]:
    yield f"failure {story.id}: {story.until.model}, {story.text.title}"
    yield _line("state", f"{story.status.value}: {story.lifecycle.reason}")
    yield _line("message", story.text.message)
    shape = text_sparkline([point.rows for point in story.points[-WINDOWS_MAX:]])
    now = f"now {count(story.now.rows)} rows, {share(story.now.share)}" if story.now else "none in the newest window"
    yield _line("windows", f"{shape}  {now}; {count(story.rows)} rows in all")
    yield _line("seen", f"from {since(story)} to {story.last_seen_at:%Y-%m-%d}")
    yield _line("versions", _counted(story.versions))
    yield _line("endpoints", _counted({name: rows for name, rows in story.endpoints.items() if name}))
    yield from _lines("inputs", [failing_input(each) for each in story.inputs])
    yield from _lines("grouped by", story.text.reasons)
    yield from _lines("frames", story.text.frames)
    yield _line("samples", ", ".join(story.samples))
    yield _line("again", reproduce_command(story.samples))
    yield from _lines("traces", [f"{each}  {urls.get(each, '')}".rstrip() for each in story.traces])


def _message(story: IncidentStory) -> Iterator[str]:
    if not story.messages:
        return
    last: OutboxRow = story.messages[-1]
    yield f"last message, {last.created_at:%Y-%m-%d %H:%M} UTC to {last.payload['block']}: {last.state}"
    yield f"  {last.payload['subject']}"
    yield from (f"  {line}" for line in str(last.payload["body"]).splitlines())


def _line(label: str, text: str) -> str:
    return f"  {label:<{_LABEL_WIDTH}}{text or '-'}"


def _lines(label: str, texts: Sequence[str]) -> Iterator[str]:
    for place, text in enumerate(texts):
        yield _line("" if place else label, text)


def _mute(mute: Mute) -> str:
    until = f"until {mute.until:%Y-%m-%d %H:%M} UTC" if mute.until else "until it escalates"
    return f"{until} by {mute.by}: {mute.reason}"


def _lasts(mute: Mute, now: datetime) -> bool:
    return mute.until is None or mute.until > now


def _number(value: str) -> float | None:
    found = _LEADING_NUMBER.match(value.lstrip("$"))
    return float(found[0].replace(",", "")) if found else None


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or '?'} ({count(rows)})" for name, rows in counts.items())


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
