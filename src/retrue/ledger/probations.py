"""Probations: a promoted version beside the one before it, look by look, until it is kept or rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Update, insert, select, update

from retrue.errors import FencedError
from retrue.ledger.outbox import add_effects, notices
from retrue.ledger.schema import probations
from retrue.ledger.store import Store
from retrue.ledger.values import Look, Probation, to_json

_LOOK = TypeAdapter(Look)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbationEnd:
    """How a probation ended: its last look, the new ``state``, and the time of the data then."""

    probation: Probation
    look: Look
    state: str
    as_of: datetime


class Probations:
    """At most one of a model is open. One ends with the promotion or rollback that takes its version away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open_of(self, model: str) -> Probation | None:
        """Return a model's open probation."""
        wanted = select(probations).where(probations.c.model == model, probations.c.state == "open")
        with self._store.read() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else _read(row)

    def list(self, model: str) -> tuple[Probation, ...]:
        """Return a model's probations, newest first."""
        wanted = select(probations).where(probations.c.model == model).order_by(probations.c.promotion_id.desc())
        with self._store.read() as connection:
            return tuple(map(_read, connection.execute(wanted)))

    def look(self, probation: Probation, look: Look) -> None:
        """Record a look after which the probation goes on.

        Raises:
            FencedError: It has ended, or another run looked meanwhile; nothing was written.
        """
        with self._store.write(probation.model) as connection:
            _check(connection, probation)
            connection.execute(_mine(probation).values(looks=_looks(probation, look)))

    def end(self, end: ProbationEnd, *, notify: Sequence[str] = (), now: datetime) -> None:
        """Record the last look of a probation that leaves the champion where it is, and tell the receivers.

        Raises:
            FencedError: It has ended, or another run looked meanwhile; nothing was written.
        """
        model, version = end.probation.model, end.probation.version
        with self._store.write(model) as connection:
            close_probation(connection, end, now)
            subject = f"{model}: probation of version {version} ended, {end.state}"
            key = f"probation:{end.probation.promotion_id}"
            add_effects(connection, model, notices(model, key, notify, subject, end.look.reason), now)


# ---------------------------------------------------------------- inside a transaction


def open_probation(
    connection: Connection, promotion: int, model: str, versions: tuple[str, str], rows_from: datetime
) -> None:
    """Put the first of two versions on probation beside the second."""
    row = {
        "promotion_id": promotion,
        "model": model,
        "version": versions[0],
        "previous": versions[1],
        "rows_from": rows_from,
        "state": "open",
        "reason": "",
        "looks": [],
    }
    connection.execute(insert(probations).values(row))


def close_probation(connection: Connection, end: ProbationEnd, now: datetime) -> None:
    """Write how a probation ended.

    Raises:
        FencedError: It had ended before, or another run looked meanwhile.
    """
    _check(connection, end.probation)
    closed = {
        "state": end.state,
        "reason": end.look.reason,
        "looks": _looks(end.probation, end.look),
        "ended_as_of": end.as_of,
        "closed_at": now,
    }
    connection.execute(_mine(end.probation).values(closed))


def end_probations(connection: Connection, model: str, reason: str, now: datetime) -> None:
    """End what is open because the champion moves otherwise."""
    mine = (probations.c.model == model, probations.c.state == "open")
    connection.execute(update(probations).where(*mine).values(state="ended", reason=reason, closed_at=now))


def _check(connection: Connection, probation: Probation) -> None:
    wanted = select(probations).where(probations.c.promotion_id == probation.promotion_id)
    row = connection.execute(wanted).one()
    if row.state != "open" or len(row.looks) != len(probation.looks):
        raise FencedError(f"another run looked at version {probation.version} on probation; nothing was written")


def _mine(probation: Probation) -> Update:
    return update(probations).where(probations.c.promotion_id == probation.promotion_id)


def _looks(probation: Probation, look: Look) -> list[object]:
    return [to_json(_LOOK, each) for each in (*probation.looks, look)]


def _read(row: Row[tuple[object, ...]]) -> Probation:
    return Probation(
        promotion_id=row.promotion_id,
        model=row.model,
        version=row.version,
        previous=row.previous,
        rows_from=row.rows_from,
        state=row.state,
        reason=row.reason,
        looks=tuple(_LOOK.validate_python(each) for each in row.looks),
    )
