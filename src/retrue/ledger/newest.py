"""Which revision of a window counts: the newest."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select

from retrue.ledger.schema import revisions, windows


def newest_revisions(model: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that pick the newest revision of each window of a model, on windows joined with revisions."""
    other = revisions.alias("other")
    newest = select(func.max(other.c.number)).where(other.c.window_id == windows.c.id).scalar_subquery()
    return (windows.c.model == model, revisions.c.number == newest)
