"""The text of a digest: what is worth knowing but wakes nobody. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.ledger import Digest
from retrue.reports.escape import escape_plain

ITEMS_MAX = 50


def render_digest(digest: Digest) -> tuple[str, str]:
    """Return subject and body of a digest of info findings, one line a finding with the windows it was seen in."""
    count = len(digest.items)
    subject = f"{digest.model}: {count} {'note' if count == 1 else 'notes'} since the last digest"
    return escape_plain(subject), "\n".join(_lines(digest)) + "\n"


def _lines(digest: Digest) -> Iterator[str]:
    for item in digest.items[:ITEMS_MAX]:
        name = f"{item.check} {item.scope}".strip()
        seen = f"{item.first_window:%Y-%m-%d}" + (
            f" to {item.last_window:%Y-%m-%d}, {item.windows} windows" if item.windows > 1 else ""
        )
        yield f"- {escape_plain(name)} ({seen}): {escape_plain(item.message)}"
    if len(digest.items) > ITEMS_MAX:
        yield f"- and {len(digest.items) - ITEMS_MAX} more"
