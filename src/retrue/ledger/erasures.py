"""Whom retrue was asked to forget: salted digests, so that records of theirs that come later are dropped, and receipts."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select, update

from retrue.ledger.schema import erasures, tombstones
from retrue.ledger.store import Store
from retrue.tombstones import Tombstones, digests_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One request to forget a person: what was removed by kind of data, and what was left, with the reason.

    ``finished_at`` is None until everything within reach is gone.
    """

    id: int
    model: str
    asked_by: str
    asked_at: datetime
    finished_at: datetime | None
    removed: Mapping[str, int]
    left: Sequence[str]


class Erasures:
    """Receipts and digests are never deleted: without them a replay would bring people back."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, model: str, subjects: Collection[str], columns: Sequence[str], *, by: str, now: datetime) -> int:
        """Write that a person is to be forgotten, before anything is removed; return the request's id.

        Args:
            model: Whose log names them.
            subjects: What they are called there, in clear or hashed by the logger; only digests are written.
            columns: Which columns name people.
            by: Who asked.
            now: When.
        """
        with self._store.write(model) as connection:
            salt = _salt(connection, model) or secrets.token_hex(16)
            row = {
                "model": model,
                "salt": salt,
                "columns": list(columns),
                "subjects": sorted(digests_of(salt, subjects)),
                "asked_by": by,
                "asked_at": now,
                "removed": {},
                "left": [],
            }
            made: int = connection.execute(insert(erasures).values(row).returning(erasures.c.id)).scalar_one()
        return made

    def bury(self, erasure: int, inference_ids: Collection[str]) -> None:
        """Add digests of the ids of a person's inferences, by which their labels and copies are known."""
        with self._store.write() as connection:
            salt: str = connection.execute(select(erasures.c.salt).where(erasures.c.id == erasure)).scalar_one()
            known = select(tombstones.c.digest).where(tombstones.c.erasure_id == erasure)
            new = digests_of(salt, inference_ids) - set(connection.execute(known).scalars())
            if new:
                rows = [{"erasure_id": erasure, "digest": digest} for digest in sorted(new)]
                connection.execute(insert(tombstones), rows)

    def finish(self, erasure: int, *, removed: Mapping[str, int], left: Sequence[str], now: datetime) -> None:
        """Complete a receipt."""
        done = {"removed": dict(removed), "left": list(left), "finished_at": now}
        with self._store.write() as connection:
            connection.execute(update(erasures).where(erasures.c.id == erasure).values(done))

    def tombstones(self, model: str) -> Tombstones:
        """Return everybody who was erased from a model's log."""
        mine = erasures.c.model == model
        with self._store.read() as connection:
            rows = connection.execute(select(erasures).where(mine)).all()
            ids = select(tombstones.c.digest).join_from(tombstones, erasures).where(mine)
            buried = frozenset(connection.execute(ids).scalars()) if rows else frozenset()
        return Tombstones(
            salt=rows[0].salt if rows else "",
            columns=tuple(dict.fromkeys(name for row in rows for name in row.columns)),
            subjects=frozenset(digest for row in rows for digest in row.subjects),
            inferences=buried,
        )

    def list(self, model: str) -> tuple[Erasure, ...]:
        """Return a model's receipts, newest first."""
        mine = select(erasures).where(erasures.c.model == model).order_by(erasures.c.id.desc())
        with self._store.read() as connection:
            return tuple(map(_read, connection.execute(mine)))

    def compact(self) -> None:
        """Have SQLite write its file anew, without the remains of what was deleted; PostgreSQL does it by itself."""
        self._store.compact()


def _salt(connection: Connection, model: str) -> str | None:
    """Return the salt of a model's earlier requests: one for all, so that a value is hashed once."""
    return connection.execute(select(erasures.c.salt).where(erasures.c.model == model).limit(1)).scalar()


def _read(row: Row[tuple[object, ...]]) -> Erasure:
    names = Erasure.__slots__
    return Erasure(**{name: row._mapping[name] for name in names})
