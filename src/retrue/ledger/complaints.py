"""Complaints about the monitoring itself: told once when they open, and once when they are over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select, update

from retrue.complaints import PROJECT, Complaint
from retrue.ledger.outbox import add_effects
from retrue.ledger.schema import complaints
from retrue.ledger.store import Store
from retrue.results import Effect, Severity

RenderComplaints = Callable[[Sequence[Complaint], Sequence[Complaint]], tuple[str, str]]
"""Subject and body of a message about complaints that opened and complaints that are over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is new since the last examination: complaints not known before, and those that are over."""

    opened: tuple[Complaint, ...] = ()
    resolved: tuple[Complaint, ...] = ()


class Complaints:
    """Written by the doctor alone, all models at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> tuple[Complaint, ...]:
        """Return the complaints that are not over, oldest first."""
        with self._store.read() as connection:
            return tuple(map(_read, _unresolved(connection).values()))

    def replace(
        self,
        found: Sequence[Complaint],
        *,
        receivers: Mapping[str, Sequence[str]],
        render: RenderComplaints,
        now: datetime,
    ) -> News:
        """Make these the complaints there are, and write one message a receiver about what is new, in one transaction.

        Two doctors at once tell it once. One message can be about several models: it lies in the outbox under the first by name.

        Args:
            found: All that is wrong now.
            receivers: Of each watched model; everybody hears of what concerns the whole project.
            render: Makes the text.
            now: When it was found.
        """
        with self._store.write(min(receivers)) as connection:
            known = _unresolved(connection)
            wanted = {complaint.key: complaint for complaint in found}
            opened = {
                _open(connection, complaint, _told(complaint, receivers), now): complaint
                for key, complaint in wanted.items()
                if key not in known
            }
            over = {row.id: row for key, row in known.items() if key not in wanted}
            closed = complaints.c.id.in_(list(over))
            connection.execute(update(complaints).where(closed).values(resolved_at=now))
            effects = _messages(opened, over, receivers, render)
            add_effects(connection, min(receivers), effects, now)
        return News(opened=tuple(opened.values()), resolved=tuple(map(_read, over.values())))


def _unresolved(connection: Connection) -> dict[tuple[str, str, str], Row[tuple[object, ...]]]:
    wanted = select(complaints).where(complaints.c.resolved_at.is_(None)).order_by(complaints.c.id)
    return {(row.model, row.check_name, row.subject): row for row in connection.execute(wanted)}


def _told(complaint: Complaint, receivers: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    if complaint.model == PROJECT:
        return _everybody(receivers)
    return tuple(dict.fromkeys(receivers[complaint.model]))


def _everybody(receivers: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(block for blocks in receivers.values() for block in blocks))


def _open(connection: Connection, complaint: Complaint, told: Sequence[str], now: datetime) -> int:
    row = {
        "model": complaint.model,
        "check_name": complaint.check,
        "subject": complaint.subject,
        "severity": complaint.severity.value,
        "message": complaint.message,
        "next_step": complaint.next_step,
        "told": list(told),
        "opened_at": now,
    }
    number: int = connection.execute(insert(complaints).values(row).returning(complaints.c.id)).scalar_one()
    return number


def _messages(
    opened: Mapping[int, Complaint],
    over: Mapping[int, Row[tuple[object, ...]]],
    receivers: Mapping[str, Sequence[str]],
    render: RenderComplaints,
) -> Iterator[Effect]:
    """Yield what each receiver hears: new complaints about its models, and the end of those that it was told of."""
    for block in _everybody(receivers):
        new = {number: each for number, each in opened.items() if block in _told(each, receivers)}
        gone = {number: _read(row) for number, row in over.items() if block in row.told}
        if not new and not gone:
            continue
        subject, body = render(tuple(new.values()), tuple(gone.values()))
        gravest = min((each.severity for each in new.values()), key=lambda each: each.rank, default=Severity.INFO)
        about = [each.model for each in (*new.values(), *gone.values()) if each.model != PROJECT]
        payload = {
            "block": block,
            "subject": subject,
            "body": body,
            "model": about[0] if about else min(receivers),
            "severity": gravest.value,
        }
        news = ",".join([*(f"+{number}" for number in new), *(f"-{number}" for number in gone)])
        yield Effect(kind="notify", dedup_key=f"notify:doctor:{news}:{block}", payload=payload)


def _read(row: Row[tuple[object, ...]]) -> Complaint:
    return Complaint(
        model=row.model,
        check=row.check_name,
        subject=row.subject,
        severity=Severity(row.severity),
        message=row.message,
        next_step=row.next_step,
    )
