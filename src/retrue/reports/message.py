"""The text of a notification: what opened, what goes on, what is over. Pure; plain text for any carrier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from retrue.failures.lifecycle import FailureStatus
from retrue.failures.stories import FailureStory
from retrue.reports.escape import escape_plain
from retrue.reports.failures import failing_input, reproduce_command, since
from retrue.reports.figures import count, share, span
from retrue.reports.since import NO_HINDSIGHT, Hindsight
from retrue.results import Change, Finding, IncidentChange, Outcome, Verdict
from retrue.standing import is_failure

SUBJECT_MAX = 140  # characters; mail clients cut longer ones
ITEMS_MAX = 20  # incidents written out; a body has no end otherwise

_NEWS = {
    FailureStatus.NEW: "New failure",
    FailureStatus.ONGOING: "Failure",
    FailureStatus.ESCALATING: "Failure escalates",
    FailureStatus.REGRESSED: "Failure is back",
    FailureStatus.RESOLVED: "Failure is gone",
}
_HEADINGS = {Change.OPENED: "Opened", Change.REPEATED: "Still open", Change.RESOLVED: "Resolved"}


def render_message(
    verdict: Verdict,
    changes: Sequence[IncidentChange],
    *,
    stories: Sequence[FailureStory] = (),
    hindsight: Hindsight = NO_HINDSIGHT,
    opening: Sequence[str] = (),
) -> tuple[str, str]:
    """Return subject and body for what changed with a window; incidents that merely continue are only counted.

    Neither can mention a channel, carry a link or break a mail header, whatever columns are called. ``stories`` are the
    failure groups that matter for the window: a person reads their title, not their id. ``hindsight`` says since when. ``opening`` are
    the sentences of ``opening_sentences``.
    """
    by_print = {finding.fingerprint(verdict.window.model): finding for finding in verdict.findings}
    groups = {story.id: story for story in stories}
    told = sorted(
        (change for change in changes if change.change in _HEADINGS),
        key=lambda change: (change.incident.severity.rank, change.incident.check, change.incident.scope),
    )
    groups_told = _groups(told, by_print, groups, hindsight)
    body = "\n".join([*_opening(verdict), *map(escape_plain, opening), *groups_told, *_rest(changes)])
    return _subject(verdict, told, groups), body + "\n"


def _subject(verdict: Verdict, told: Sequence[IncidentChange], groups: Mapping[str, FailureStory]) -> str:
    counts = [
        f"{sum(change.change is kind for change in told)} {heading.lower()}"
        for kind, heading in _HEADINGS.items()
        if any(change.change is kind for change in told)
    ]
    grave = min((change.incident.severity for change in told if change.change is not Change.RESOLVED), default=None,
                key=lambda severity: severity.rank)  # fmt: skip
    prefix = f"[{grave.value}] " if grave else ""
    line = f"{verdict.window.name}: {verdict.outcome.value}" + (f" ({', '.join(counts)})" if counts else "")
    only = f" - {_summary(told[0], groups)}" if len(told) == 1 else ""
    return prefix + escape_plain(line + only)[:SUBJECT_MAX]


def _opening(verdict: Verdict) -> Iterator[str]:
    yield f"{escape_plain(verdict.window.model)}, {span(verdict.window)}, model version {escape_plain(verdict.model_version)}"
    if verdict.outcome is Outcome.INCONCLUSIVE:
        yield "The window could not be judged:"
        yield from (f"- {escape_plain(reason)}" for reason in verdict.reasons[:ITEMS_MAX])
    else:
        yield escape_plain(verdict.line)


def _summary(change: IncidentChange, groups: Mapping[str, FailureStory]) -> str:
    story = _story(change, groups)
    return change.incident.message if story is None else f"{_NEWS[story.status]}: {story.text.title}"


def _story(change: IncidentChange, groups: Mapping[str, FailureStory]) -> FailureStory | None:
    """Return the failure group that an incident is about, None for any other incident."""
    incident = change.incident
    return groups.get(incident.scope) if is_failure(incident.check) else None


def _groups(
    told: Sequence[IncidentChange],
    by_print: Mapping[str, Finding],
    groups: Mapping[str, FailureStory],
    hindsight: Hindsight,
) -> Iterator[str]:
    for kind, heading in _HEADINGS.items():
        group = [change for change in told if change.change is kind]
        if not group:
            continue
        yield ""
        yield f"{heading}:"
        for change in group[:ITEMS_MAX]:
            story = _story(change, groups)
            finding = by_print.get(change.incident.fingerprint)
            notes = hindsight.notes.get(change.incident.fingerprint, ())
            yield from _failure(change, story, finding) if story else _item(change, finding, notes)
        if len(group) > ITEMS_MAX:
            yield f"- and {len(group) - ITEMS_MAX} more"


def _item(change: IncidentChange, finding: Finding | None, notes: Sequence[str]) -> Iterator[str]:
    incident = change.incident
    name = f"{incident.check} {incident.scope}".strip()
    if change.change is Change.RESOLVED:
        yield f"- {escape_plain(name)} (since {incident.opened_window:%Y-%m-%d})"
        return
    since = f" (since {incident.opened_window:%Y-%m-%d})" if change.change is Change.REPEATED else ""
    message = finding.message if finding else incident.message
    yield f"- [{incident.severity.value}] {escape_plain(name)}{since}: {escape_plain(message)}"
    yield from (f"  {escape_plain(note)}" for note in notes)
    if finding and finding.next_step:
        yield f"  Next: {escape_plain(finding.next_step)}"


def _failure(change: IncidentChange, story: FailureStory, finding: Finding | None) -> Iterator[str]:
    """Yield what a person needs to look into a failure group: how much, since when, which inputs, one to run again."""
    incident, title = change.incident, escape_plain(story.text.title)
    seen = story.now
    if change.change is Change.RESOLVED or seen is None:
        yield f"- {title} (since {story.first_seen_at:%Y-%m-%d}, last seen {story.last_seen_at:%Y-%m-%d})"
        return
    yield f"- [{incident.severity.value}] {_NEWS[story.status]}: {title}"
    yield f"  {count(seen.rows)} rows, {share(seen.share)} of inferences; first seen {escape_plain(since(story))}"
    if story.status in (FailureStatus.ESCALATING, FailureStatus.REGRESSED):
        yield f"  {escape_plain(story.lifecycle.reason)}"
    yield from (f"  {escape_plain(failing_input(each))}" for each in seen.inputs[:1])
    if command := reproduce_command(seen.samples):
        yield f"  Again: {command}"
    elif finding and finding.next_step:
        yield f"  Next: {escape_plain(finding.next_step)}"


def _rest(changes: Sequence[IncidentChange]) -> Iterator[str]:
    continued = sum(change.change is Change.CONTINUED for change in changes)
    if continued:
        yield ""
        yield f"{continued} other {'incident goes' if continued == 1 else 'incidents go'} on."
