"""The text of a message about the monitoring itself: what is wrong, and what is over. Pure; plain text for any carrier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retrue.complaints import Complaint
from retrue.reports.escape import escape_plain
from retrue.reports.message import ITEMS_MAX, SUBJECT_MAX


def render_complaints(opened: Sequence[Complaint], resolved: Sequence[Complaint]) -> tuple[str, str]:
    """Return subject and body, gravest first; at least one of the two is not empty."""
    new = sorted(opened, key=lambda each: each.severity.rank)
    prefix = f"[{new[0].severity.value}] " if new else ""
    parts = [f"{len(each)} {word}" for each, word in ((new, "opened"), (resolved, "resolved")) if each]
    only = next(iter((*new, *resolved))) if len(new) + len(resolved) == 1 else None
    line = f"{only.label}: {'opened' if new else 'resolved'}" if only else ", ".join(parts)
    subject = prefix + escape_plain(f"monitoring: {line}")[:SUBJECT_MAX]
    return subject, "\n".join([*_opened(new), *_resolved(resolved)]) + "\n"


def _opened(complaints: Sequence[Complaint]) -> Iterator[str]:
    for each in complaints[:ITEMS_MAX]:
        yield f"- [{each.severity.value}] {escape_plain(each.label)}: {escape_plain(each.message)}"
        yield f"  Next: {escape_plain(each.next_step)}"
    yield from _more(complaints)


def _resolved(complaints: Sequence[Complaint]) -> Iterator[str]:
    for each in complaints[:ITEMS_MAX]:
        yield f"- resolved: {escape_plain(each.label)} (it was: {escape_plain(each.message)})"
    yield from _more(complaints)


def _more(complaints: Sequence[Complaint]) -> Iterator[str]:
    if len(complaints) > ITEMS_MAX:
        yield f"- and {len(complaints) - ITEMS_MAX} more"
