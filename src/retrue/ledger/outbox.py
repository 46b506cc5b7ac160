"""The outbox: effects written with the decision that caused them, taken, carried out and marked, at least once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, or_, select, update

from retrue.ledger.schema import outbox, revisions
from retrue.ledger.store import Store
from retrue.ledger.values import OutboxRow
from retrue.results import Effect

ORDERED = frozenset({"record", "alias"})  # a mirror that skips back would show an old state as the current one
DEADLINE = timedelta(days=1)
DEADLINES = {"record": timedelta(days=30), "alias": timedelta(days=30), "retrain": timedelta(days=7)}
FIRST_RETRY = timedelta(seconds=30)
LAST_RETRY = timedelta(hours=1)
ERROR_CHARACTERS = 500


def add_effects(
    connection: Connection, model: str, effects: Iterable[Effect], now: datetime, *, due_at: datetime | None = None
) -> None:
    """Write effects that are not in the outbox yet, in their order, due at once or at a later time."""
    wanted = {effect.dedup_key: effect for effect in effects}
    known = select(outbox.c.dedup_key).where(outbox.c.dedup_key.in_(list(wanted)))
    present = set(connection.execute(known).scalars())
    for key, effect in wanted.items():
        if key not in present:
            connection.execute(insert(outbox).values(_columns(model, effect, now, due_at or now)))


def drop_effects(connection: Connection, kind: str, key: str, why: str, now: datetime) -> None:
    """Mark effects that still wait as carried out, as there is nothing left to do: of this key, and of those that begin with it and a colon."""
    mine = or_(outbox.c.dedup_key == key, outbox.c.dedup_key.startswith(f"{key}:", autoescape=True))
    done = {"state": "done", "done_at": now, "result": {"dropped": why}, "leased_until": None}
    connection.execute(update(outbox).where(outbox.c.kind == kind, outbox.c.state == "pending", mine).values(done))


def notices(model: str, key: str, blocks: Iterable[str], subject: str, body: str) -> Iterator[Effect]:
    """Yield a message to each receiver about something that is no incident, with the payload that incidents' have."""
    for block in dict.fromkeys(blocks):
        payload = {"block": block, "subject": subject, "body": body, "model": model, "severity": "info"}
        yield Effect(kind="notify", dedup_key=f"notify:{model}:{key}:{block}", payload=payload)


def _columns(model: str, effect: Effect, now: datetime, due_at: datetime) -> dict[str, object]:
    return {
        "model": model,
        "kind": effect.kind,
        "lane": f"{effect.kind}:{model}" if effect.kind in ORDERED else None,
        "dedup_key": effect.dedup_key,
        "payload": dict(effect.payload),
        "state": "pending",
        "attempts": 0,
        "next_attempt_at": due_at,
        "created_at": now,
        "deadline_at": now + DEADLINES.get(effect.kind, DEADLINE),
        "error": "",
    }


class Outbox:
    """Rows that wait, are leased, done or undelivered.

    Rows of the kinds ``record`` and ``alias`` of one model go out in the order they were written: one that fails holds
    the later ones back until it is done or undelivered. All others are independent of each other.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def take_due(
        self,
        now: datetime,
        worker: str,
        *,
        lease_seconds: int = 300,
        kinds: Collection[str] | None = None,
        limit: int = 20,
        due_by: datetime | None = None,
    ) -> tuple[OutboxRow, ...]:
        """Lease rows that are due, oldest first, so that no other deliverer takes them before the lease ends.

        Args:
            now: When the lease starts; expired leases of others are taken over.
            worker: Who takes them, for people who look into the table.
            lease_seconds: How long a delivery may take. A worker that dies leaves its rows until then.
            kinds: Only these kinds; all by default.
            limit: At most so many.
            due_by: Rows scheduled up to this time, ``now`` by default.
        """
        with self._store.write() as connection:
            rows = connection.execute(_due(now, due_by or now, kinds, limit)).all()
            if not rows:
                return ()
            lease = {
                "leased_by": worker,
                "leased_until": now + timedelta(seconds=lease_seconds),
                "attempts": outbox.c.attempts + 1,
            }
            connection.execute(update(outbox).where(outbox.c.id.in_([row.id for row in rows])).values(lease))
            return tuple(read_row(row, attempts=row.attempts + 1) for row in rows)

    def mark_done(self, row: OutboxRow, result: Mapping[str, object], now: datetime) -> None:
        """Record that an effect was carried out; a ``record``'s ``mlflow_run_id`` goes into its revision.

        It counts even after the lease has ended: it did happen.
        """
        done = {"state": "done", "done_at": now, "result": dict(result), "error": "", "leased_until": None}
        with self._store.write() as connection:
            connection.execute(update(outbox).where(outbox.c.id == row.id, outbox.c.state != "done").values(done))
            if row.kind == "record" and "mlflow_run_id" in result:
                mirrored = {"mlflow_run_id": str(result["mlflow_run_id"])}
                connection.execute(update(revisions).where(revisions.c.id == row.payload["revision"]).values(mirrored))

    def mark_failed(self, row: OutboxRow, error: str, now: datetime) -> None:
        """Put a row back with exponential back-off; after its deadline it is undelivered, which `status` shows.

        It does nothing if another deliverer took the row over in the meantime.
        """
        mine = (outbox.c.id == row.id, outbox.c.state == "pending", outbox.c.attempts == row.attempts)
        next_attempt_at = now + min(LAST_RETRY, FIRST_RETRY * 2 ** min(row.attempts - 1, 20))
        back = {"next_attempt_at": next_attempt_at, "leased_until": None, "error": error[:ERROR_CHARACTERS]}
        with self._store.write() as connection:
            connection.execute(update(outbox).where(*mine).values(back))
            late = (*mine, outbox.c.deadline_at <= now)
            connection.execute(update(outbox).where(*late).values(state="undelivered"))

    def retry_undelivered(self, now: datetime, *, model: str | None = None) -> int:
        """Give undelivered rows a new deadline, once what refused them has been mended; return how many."""
        lost = [outbox.c.state == "undelivered", *([outbox.c.model == model] if model else [])]
        with self._store.write() as connection:
            rows = connection.execute(select(outbox.c.id, outbox.c.kind).where(*lost)).all()
            for row in rows:
                again = {
                    "state": "pending",
                    "next_attempt_at": now,
                    "deadline_at": now + DEADLINES.get(row.kind, DEADLINE),
                }
                connection.execute(update(outbox).where(outbox.c.id == row.id).values(again))
        return len(rows)

    def counts(self, *, model: str | None = None) -> Mapping[tuple[str, str], int]:
        """Return the number of rows by (kind, state); state is pending, done or undelivered."""
        counted = select(outbox.c.kind, outbox.c.state, func.count().label("rows")).group_by(
            outbox.c.kind, outbox.c.state
        )
        with self._store.read() as connection:
            rows = connection.execute(counted.where(outbox.c.model == model) if model else counted).all()
        return {(row.kind, row.state): row.rows for row in rows}

    def rows(
        self, *, model: str | None = None, state: str | None = None, kind: str | None = None
    ) -> tuple[OutboxRow, ...]:
        """Return rows oldest first, such as the undelivered ones with their last error."""
        wanted = {outbox.c.model: model, outbox.c.state: state, outbox.c.kind: kind}
        conditions = [column == value for column, value in wanted.items() if value is not None]
        with self._store.read() as connection:
            found = connection.execute(select(outbox).where(*conditions).order_by(outbox.c.id)).all()
        return tuple(read_row(row, attempts=row.attempts) for row in found)


def _due(now: datetime, due_by: datetime, kinds: Collection[str] | None, limit: int) -> Select[tuple[object, ...]]:
    earlier = outbox.alias("earlier")
    ahead = select(earlier.c.id).where(
        earlier.c.lane == outbox.c.lane, earlier.c.state == "pending", earlier.c.id < outbox.c.id
    )
    conditions: list[ColumnElement[bool]] = [
        outbox.c.state == "pending",
        outbox.c.next_attempt_at <= due_by,
        or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now),
        or_(outbox.c.lane.is_(None), ~ahead.exists()),
    ]
    if kinds is not None:
        conditions.append(outbox.c.kind.in_(list(kinds)))
    return (
        select(outbox)
        .where(*conditions)
        .order_by(outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=outbox)
    )


def read_row(row: Row[tuple[object, ...]], *, attempts: int) -> OutboxRow:
    """Return an effect as others see it."""
    return OutboxRow(
        id=row.id,
        model=row.model,
        kind=row.kind,
        dedup_key=row.dedup_key,
        payload=row.payload,
        state=row.state,
        attempts=attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        error=row.error,
        result=row.result or {},
    )
