"""Digests: info findings gathered for a message now and then. Each is in exactly one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, Select, insert, select, update

from retrue.ledger.outbox import add_effects, notices
from retrue.ledger.schema import digests, findings, revisions, windows
from retrue.ledger.store import Store
from retrue.ledger.values import Digest, DigestItem
from retrue.results import Severity

RenderDigest = Callable[[Digest], tuple[str, str]]
"""Subject and body of a digest's message."""


class Digests:
    """Made by the digest flow, one model at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def make(self, model: str, *, blocks: Sequence[str], render: RenderDigest, now: datetime) -> Digest | None:
        """Gather the info findings that no digest held yet and write its messages, in one transaction.

        A window's later revision brings only what an earlier digest did not tell of that window. Two flows that do this at
        once make one digest.

        Returns:
            The digest, None if there is nothing new to tell; then no message is written.
        """
        with self._store.write(model) as connection:
            waiting = connection.execute(_undigested(model)).all()
            items = _items(waiting, _told(connection, model))
            if not waiting:
                return None
            number = connection.execute(
                insert(digests).values(model=model, made_at=now).returning(digests.c.id)
            ).scalar_one()
            _mark(connection, waiting, number)
            if not items:
                return None
            digest = Digest(id=number, model=model, made_at=now, items=items)
            subject, body = render(digest)
            add_effects(connection, model, notices(model, f"digest:{number}", blocks, subject, body), now)
        return digest


def _of_model(model: str) -> Select[tuple[object, ...]]:
    joined = findings.join(revisions).join(windows)
    chosen = select(findings, windows.c.id.label("window_id"), windows.c.start_at).select_from(joined)
    return chosen.where(windows.c.model == model, findings.c.severity == Severity.INFO.value)


def _undigested(model: str) -> Select[tuple[object, ...]]:
    return _of_model(model).where(findings.c.digest_id.is_(None)).order_by(windows.c.start_at, findings.c.revision_id)


def _told(connection: Connection, model: str) -> set[tuple[int, str]]:
    rows = connection.execute(_of_model(model).where(findings.c.digest_id.is_not(None)))
    return {(row.window_id, row.fingerprint) for row in rows}


def _items(rows: Iterable[Row[tuple[object, ...]]], told: set[tuple[int, str]]) -> tuple[DigestItem, ...]:
    groups: dict[str, list[Row[tuple[object, ...]]]] = {}
    for row in rows:
        if (row.window_id, row.fingerprint) not in told:
            groups.setdefault(row.fingerprint, []).append(row)
    items = [
        DigestItem(
            check=group[-1].check_name,
            scope=group[-1].scope,
            message=group[-1].message,
            windows=len({row.window_id for row in group}),
            first_window=group[0].start_at,
            last_window=group[-1].start_at,
        )
        for group in groups.values()
    ]
    return tuple(sorted(items, key=lambda item: (item.check, item.scope)))


def _mark(connection: Connection, rows: Iterable[Row[tuple[object, ...]]], digest: int) -> None:
    for row in rows:
        mine = (findings.c.revision_id == row.revision_id, findings.c.position == row.position)
        connection.execute(update(findings).where(*mine).values(digest_id=digest))
