"""Incidents as rows: read and written by a commit, listed, acknowledged and muted by people."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, or_, select, update

from retrue.errors import LedgerError
from retrue.incidents import breaching
from retrue.ledger.outbox import read_row
from retrue.ledger.schema import incident_changes, incidents, mutes, outbox, revisions, windows
from retrue.ledger.store import Store
from retrue.ledger.values import VERDICT, IncidentStep, IncidentStory, Mute, OutboxRow
from retrue.results import Change, Incident, IncidentChange, Severity
from retrue.windows import Window


class Incidents:
    """What people see and do about incidents. A fingerprint may be shortened while it stays unambiguous."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, model: str | None = None, *, state: str | None = None) -> tuple[Incident, ...]:
        """Return incidents, gravest and newest first.

        Args:
            model: Only of this model.
            state: ``open``, ``acknowledged`` or ``resolved``; all by default.
        """
        wanted = {incidents.c.model: model, incidents.c.state: state}
        conditions = [column == value for column, value in wanted.items() if value is not None]
        with self._store.read() as connection:
            rows = connection.execute(select(incidents).where(*conditions)).all()
        newest = sorted(map(_read, rows), key=lambda incident: incident.last_window, reverse=True)
        return tuple(sorted(newest, key=lambda incident: incident.severity.rank))

    def get(self, fingerprint: str) -> Incident:
        """Return an incident.

        Raises:
            LedgerError: No or more than one fingerprint begins like this.
        """
        with self._store.read() as connection:
            return _find(connection, fingerprint)

    def acknowledge(self, fingerprint: str, *, by: str, now: datetime) -> Incident:
        """Record that a person looks after an incident: it is no longer repeated, its end and a graver turn are still told.

        Raises:
            LedgerError: There is no such incident, or it is resolved.
        """
        with self._store.write(self.get(fingerprint).model) as connection:
            incident = _find(connection, fingerprint)
            if incident.state == "resolved":
                raise LedgerError(f"incident {incident.fingerprint[:8]} is resolved already")
            taken = {"state": "acknowledged", "acknowledged_by": by, "acknowledged_at": now}
            connection.execute(update(incidents).where(incidents.c.fingerprint == incident.fingerprint).values(taken))
            return _find(connection, incident.fingerprint)

    def mute(self, fingerprint: str, *, until: datetime | None, reason: str, by: str, now: datetime) -> Mute:
        """Send no messages about an incident before ``until``, or until it escalates; it goes on being recorded.

        Args:
            fingerprint: Of the incident.
            until: When it ends; None for when the incident becomes graver or its failure group escalates.
            reason: Why, for the record.
            by: Who says so.
            now: The present.

        Raises:
            LedgerError: There is no such incident, ``until`` has passed, or the reason or the author is missing.
        """
        if until is not None and until <= now:
            raise LedgerError(f"a mute ends in the future, not at {until:%Y-%m-%d %H:%M %Z}")
        if not reason.strip() or not by.strip():
            raise LedgerError("a mute needs a reason and an author")
        with self._store.write(self.get(fingerprint).model) as connection:
            incident = _find(connection, fingerprint)
            row = {
                "fingerprint": incident.fingerprint,
                "until": until,
                "reason": reason,
                "muted_by": by,
                "muted_at": now,
            }
            connection.execute(insert(mutes).values(row))
        return Mute(fingerprint=incident.fingerprint, until=until, reason=reason, by=by, at=now)

    def unmute(self, fingerprint: str) -> None:
        """End an incident's mutes.

        Raises:
            LedgerError: There is no such incident.
        """
        with self._store.write(self.get(fingerprint).model) as connection:
            full = _find(connection, fingerprint).fingerprint
            connection.execute(delete(mutes).where(mutes.c.fingerprint == full))

    def mutes(self, now: datetime, *, model: str | None = None) -> tuple[Mute, ...]:
        """Return the mutes in force, the one that ends first first and those without a date last."""
        wanted = select(mutes).join(incidents).where(_lasts(now)).order_by(mutes.c.until.is_(None), mutes.c.until)
        with self._store.read() as connection:
            rows = connection.execute(wanted.where(incidents.c.model == model) if model else wanted).all()
        return tuple(map(_read_mute, rows))

    def tell(self, fingerprint: str) -> IncidentStory:
        """Return everything the ledger has of an incident.

        Raises:
            LedgerError: No or more than one fingerprint begins like this.
        """
        with self._store.read() as connection:
            incident = _find(connection, fingerprint)
            mine = select(mutes).where(mutes.c.fingerprint == incident.fingerprint).order_by(mutes.c.muted_at)
            row = connection.execute(select(incidents).where(incidents.c.fingerprint == incident.fingerprint)).one()
            return IncidentStory(
                incident=incident,
                acknowledged_by=row.acknowledged_by if incident.state == "acknowledged" else None,
                acknowledged_at=row.acknowledged_at if incident.state == "acknowledged" else None,
                mutes=tuple(map(_read_mute, connection.execute(mine))),
                steps=tuple(_steps(connection, incident)),
                messages=tuple(_messages(connection, incident)),
            )


# ---------------------------------------------------------------- inside a transaction


def load_incidents(connection: Connection, model: str, fingerprints: Collection[str]) -> tuple[Incident, ...]:
    """Return a model's unresolved incidents and those of the fingerprints."""
    relevant = or_(incidents.c.state != "resolved", incidents.c.fingerprint.in_(list(fingerprints)))
    rows = connection.execute(select(incidents).where(incidents.c.model == model, relevant))
    return tuple(map(_read, rows))


def load_mutes(connection: Connection, model: str, now: datetime) -> tuple[dict[str, datetime], frozenset[str]]:
    """Return until when each muted incident of a model stays so, and those that stay so until they escalate."""
    wanted = select(mutes.c.fingerprint, mutes.c.until).join(incidents).where(incidents.c.model == model, _lasts(now))
    rows = connection.execute(wanted.order_by(mutes.c.until)).all()
    dated = {row.fingerprint: row.until for row in rows if row.until is not None}
    return dated, frozenset(row.fingerprint for row in rows if row.until is None)


def save_changes(connection: Connection, changes: Iterable[IncidentChange], revision: int, now: datetime) -> None:
    """Write incidents as they are after a revision, and what it changed; what escalated ends its mutes that waited for it."""
    for change in changes:
        incident = change.incident
        if change.escalated:
            waiting = and_(mutes.c.fingerprint == incident.fingerprint, mutes.c.until.is_(None))
            connection.execute(update(mutes).where(waiting).values(until=now))
        row = _columns(incident)
        mine = incidents.c.fingerprint == incident.fingerprint
        if connection.execute(update(incidents).where(mine).values(row)).rowcount == 0:
            connection.execute(insert(incidents).values(fingerprint=incident.fingerprint, **row))
        history = {
            "fingerprint": incident.fingerprint,
            "revision_id": revision,
            "change": change.change.value,
            "episode": incident.episode,
            "severity": incident.severity.value,
        }
        connection.execute(insert(incident_changes).values(history))


def _lasts(now: datetime) -> ColumnElement[bool]:
    return or_(mutes.c.until.is_(None), mutes.c.until > now)


def _steps(connection: Connection, incident: Incident) -> Iterator[IncidentStep]:
    columns = (incident_changes, revisions.c.number, revisions.c.verdict, windows.c.start_at, windows.c.end_at)
    chosen = select(*columns).select_from(incident_changes).join(revisions).join(windows)
    mine = chosen.where(incident_changes.c.fingerprint == incident.fingerprint)
    for row in connection.execute(mine.order_by(windows.c.start_at, revisions.c.number)):
        window = Window(model=incident.model, start=row.start_at, end=row.end_at)
        found = breaching(VERDICT.validate_python(row.verdict)).get(incident.fingerprint)
        yield IncidentStep(
            window=window,
            revision=row.number,
            change=Change(row.change),
            severity=Severity(row.severity),
            episode=row.episode,
            value=found.value if found else "",
            message=found.message if found else "",
        )


def _messages(connection: Connection, incident: Incident) -> Iterator[OutboxRow]:
    """Yield what was sent about an incident, oldest first; purges drop what is old."""
    notices = select(outbox).where(outbox.c.model == incident.model, outbox.c.kind == "notify").order_by(outbox.c.id)
    for row in connection.execute(notices):
        if incident.fingerprint in row.payload.get("incidents", ()):
            yield read_row(row, attempts=row.attempts)


def _find(connection: Connection, fingerprint: str) -> Incident:
    begins = incidents.c.fingerprint.startswith(fingerprint, autoescape=True)
    rows = connection.execute(select(incidents).where(begins).limit(2)).all() if fingerprint else []
    if len(rows) != 1:
        count = "more than one incident begins" if rows else "no incident begins"
        raise LedgerError(f"{count} with {fingerprint[:40]!r}: `retrue incidents list --all` shows them")
    return _read(rows[0])


def _columns(incident: Incident) -> dict[str, object]:
    return {
        "model": incident.model,
        "check_name": incident.check,
        "scope": incident.scope,
        "severity": incident.severity.value,
        "message": incident.message,
        "state": incident.state,
        "opened_window": incident.opened_window,
        "last_window": incident.last_window,
        "last_notified_at": incident.last_notified_at,
        "attempt": incident.attempt,
        "episode": incident.episode,
        "flapping": incident.flapping,
        "told": list(incident.told),
    }


def _read(row: Row[tuple[object, ...]]) -> Incident:
    return Incident(
        fingerprint=row.fingerprint,
        model=row.model,
        check=row.check_name,
        scope=row.scope,
        severity=Severity(row.severity),
        message=row.message,
        opened_window=row.opened_window,
        last_window=row.last_window,
        last_notified_at=row.last_notified_at,
        state=row.state,
        attempt=row.attempt,
        episode=row.episode,
        flapping=row.flapping,
        told=tuple(row.told),
    )


def _read_mute(row: Row[tuple[object, ...]]) -> Mute:
    return Mute(fingerprint=row.fingerprint, until=row.until, reason=row.reason, by=row.muted_by, at=row.muted_at)
