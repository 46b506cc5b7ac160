"""Incidents as rows: read and written by a commit, listed, acknowledged and muted by people."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from retrue.errors import LedgerError
from retrue.ledger.schema import incident_changes, incidents, mutes
from retrue.ledger.store import Store
from retrue.ledger.values import Mute
from retrue.results import Incident, IncidentChange, Severity


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

    def mute(self, fingerprint: str, *, until: datetime, reason: str, by: str, now: datetime) -> Mute:
        """Send no messages about an incident before ``until``; it goes on being recorded.

        Raises:
            LedgerError: There is no such incident, ``until`` has passed, or the reason or the author is missing.
        """
        if until <= now:
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
        """Return the mutes in force, the one that ends first first."""
        wanted = select(mutes).join(incidents).where(mutes.c.until > now).order_by(mutes.c.until)
        with self._store.read() as connection:
            rows = connection.execute(wanted.where(incidents.c.model == model) if model else wanted).all()
        return tuple(
            Mute(fingerprint=row.fingerprint, until=row.until, reason=row.reason, by=row.muted_by, at=row.muted_at)
            for row in rows
        )


# ---------------------------------------------------------------- inside a transaction


def load_incidents(connection: Connection, model: str, fingerprints: Collection[str]) -> tuple[Incident, ...]:
    """Return a model's unresolved incidents and those of the fingerprints."""
    relevant = or_(incidents.c.state != "resolved", incidents.c.fingerprint.in_(list(fingerprints)))
    rows = connection.execute(select(incidents).where(incidents.c.model == model, relevant))
    return tuple(map(_read, rows))


def load_muted(connection: Connection, model: str, now: datetime) -> dict[str, datetime]:
    """Return until when each muted incident of a model stays so."""
    wanted = select(mutes.c.fingerprint, mutes.c.until).join(incidents)
    rows = connection.execute(wanted.where(incidents.c.model == model, mutes.c.until > now).order_by(mutes.c.until))
    return {row.fingerprint: row.until for row in rows}


def save_changes(connection: Connection, changes: Iterable[IncidentChange], revision: int) -> None:
    """Write incidents as they are after a revision, and what it changed."""
    for change in changes:
        incident = change.incident
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
