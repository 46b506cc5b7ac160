"""The text of a notification: what opened, what goes on, what is over. Pure; plain text for any carrier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from retrue.reports.escape import escape_plain
from retrue.reports.figures import span
from retrue.results import Change, Finding, IncidentChange, Outcome, Verdict

SUBJECT_MAX = 140  # characters; mail clients cut longer ones
ITEMS_MAX = 20  # incidents written out; a body has no end otherwise

_HEADINGS = {Change.OPENED: "Opened", Change.REPEATED: "Still open", Change.RESOLVED: "Resolved"}


def render_message(verdict: Verdict, changes: Sequence[IncidentChange]) -> tuple[str, str]:
    """Return subject and body for what changed with a window; incidents that merely continue are only counted.

    Neither can mention a channel, carry a link or break a mail header, whatever columns are called.
    """
    by_print = {finding.fingerprint(verdict.window.model): finding for finding in verdict.findings}
    told = sorted(
        (change for change in changes if change.change in _HEADINGS),
        key=lambda change: (change.incident.severity.rank, change.incident.check, change.incident.scope),
    )
    body = "\n".join([*_opening(verdict), *_groups(told, by_print), *_rest(changes)])
    return _subject(verdict, told), body + "\n"


def _subject(verdict: Verdict, told: Sequence[IncidentChange]) -> str:
    counts = [
        f"{sum(change.change is kind for change in told)} {heading.lower()}"
        for kind, heading in _HEADINGS.items()
        if any(change.change is kind for change in told)
    ]
    grave = min((change.incident.severity for change in told if change.change is not Change.RESOLVED), default=None,
                key=lambda severity: severity.rank)  # fmt: skip
    prefix = f"[{grave.value}] " if grave else ""
    line = f"{verdict.window.name}: {verdict.outcome.value}" + (f" ({', '.join(counts)})" if counts else "")
    only = f" - {told[0].incident.message}" if len(told) == 1 else ""
    return prefix + escape_plain(line + only)[:SUBJECT_MAX]


def _opening(verdict: Verdict) -> Iterator[str]:
    yield f"{escape_plain(verdict.window.model)}, {span(verdict.window)}, model version {escape_plain(verdict.model_version)}"
    if verdict.outcome is Outcome.INCONCLUSIVE:
        yield "The window could not be judged:"
        yield from (f"- {escape_plain(reason)}" for reason in verdict.reasons[:ITEMS_MAX])
    else:
        yield escape_plain(verdict.line)


def _groups(told: Sequence[IncidentChange], by_print: Mapping[str, Finding]) -> Iterator[str]:
    for kind, heading in _HEADINGS.items():
        group = [change for change in told if change.change is kind]
        if not group:
            continue
        yield ""
        yield f"{heading}:"
        for change in group[:ITEMS_MAX]:
            yield from _item(change, by_print.get(change.incident.fingerprint))
        if len(group) > ITEMS_MAX:
            yield f"- and {len(group) - ITEMS_MAX} more"


def _item(change: IncidentChange, finding: Finding | None) -> Iterator[str]:
    incident = change.incident
    name = f"{incident.check} {incident.scope}".strip()
    if change.change is Change.RESOLVED:
        yield f"- {escape_plain(name)} (since {incident.opened_window:%Y-%m-%d})"
        return
    since = f" (since {incident.opened_window:%Y-%m-%d})" if change.change is Change.REPEATED else ""
    message = finding.message if finding else incident.message
    yield f"- [{incident.severity.value}] {escape_plain(name)}{since}: {escape_plain(message)}"
    if finding and finding.next_step:
        yield f"  Next: {escape_plain(finding.next_step)}"


def _rest(changes: Sequence[IncidentChange]) -> Iterator[str]:
    continued = sum(change.change is Change.CONTINUED for change in changes)
    if continued:
        yield ""
        yield f"{continued} other {'incident goes' if continued == 1 else 'incidents go'} on."
