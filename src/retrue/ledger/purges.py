"""What the ledger knows for a purge, what a purge takes from it, and the receipts of purges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, or_, select, update

from retrue.ledger.schema import models, outbox, purges, revisions, windows
from retrue.ledger.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a revision left outside of the ledger. ``waits`` is true until it has been mirrored to MLflow.

    ``flow_run_url`` is empty where no flow run made it, or where that is gone.
    """

    key: str
    report_dir: str
    mlflow_run_id: str | None
    flow_run_url: str
    judged_at: datetime
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One purge of one model, with counts by kind of data. ``finished_at`` is None if it died on the way.

    ``oldest_kept`` has the time of the oldest thing of each kind that was kept, in ISO 8601.
    """

    id: int
    model: str
    started_at: datetime
    finished_at: datetime | None
    planned: Mapping[str, int]
    removed: Mapping[str, int]
    oldest_kept: Mapping[str, str]


class Purges:
    """Receipts are never deleted; verdicts, incidents and promotions neither."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def models(self) -> tuple[str, ...]:
        """Return every model that the ledger has heard of, also those that are not watched any more."""
        with self._store.read() as connection:
            return tuple(connection.execute(select(models.c.name).order_by(models.c.name)).scalars())

    def traces(self, model: str) -> tuple[Trace, ...]:
        """Return what the revisions of a model left outside of the ledger, oldest judgement first."""
        record = and_(outbox.c.dedup_key == "record:" + revisions.c.key, outbox.c.state == "pending")
        waits = select(outbox.c.id).where(record).exists()
        chosen = select(
            revisions.c.key,
            revisions.c.report_dir,
            revisions.c.mlflow_run_id,
            revisions.c.flow_run_url,
            revisions.c.judged_at,
            waits.label("waits"),
        ).join_from(windows, revisions)
        with self._store.read() as connection:
            rows = connection.execute(chosen.where(windows.c.model == model).order_by(revisions.c.judged_at)).all()
        return tuple(Trace(**row._mapping) for row in rows)

    def forget_run(self, run_id: str) -> None:
        """Record that a revision has no MLflow run any more."""
        with self._store.write() as connection:
            mine = revisions.c.mlflow_run_id == run_id
            connection.execute(update(revisions).where(mine).values(mlflow_run_id=None))

    def forget_flow_run(self, flow_run_id: str) -> None:
        """Record that revisions have no Prefect flow run any more."""
        with self._store.write() as connection:
            mine = revisions.c.flow_run_url.endswith(f"/{flow_run_id}", autoescape=True)
            connection.execute(update(revisions).where(mine).values(flow_run_url=""))

    def count_ended(self, model: str, *, before: datetime) -> int:
        """Return how many effects were carried out, or given up, before a time."""
        with self._store.read() as connection:
            count: int = connection.execute(select(func.count()).where(_ended(model, before))).scalar_one()
        return count

    def drop_ended(self, model: str, *, before: datetime) -> int:
        """Delete effects that were carried out, or given up, before a time; return how many."""
        with self._store.write(model) as connection:
            return connection.execute(delete(outbox).where(_ended(model, before))).rowcount

    def oldest_effect(self, model: str, *, since: datetime) -> datetime | None:
        """Return when the oldest effect was written that a purge of those that ended before ``since`` keeps."""
        kept = and_(outbox.c.model == model, ~_ended(model, since))
        with self._store.read() as connection:
            oldest: datetime | None = connection.execute(select(func.min(outbox.c.created_at)).where(kept)).scalar()
        return oldest

    def begin(self, model: str, planned: Mapping[str, int], now: datetime) -> int:
        """Write what is about to be removed, before it is, so that a purge that dies leaves a trace; return its id."""
        row = {"model": model, "started_at": now, "planned": dict(planned), "removed": {}, "oldest_kept": {}}
        with self._store.write(model) as connection:
            number: int = connection.execute(insert(purges).values(row).returning(purges.c.id)).scalar_one()
        return number

    def finish(self, purge: int, *, removed: Mapping[str, int], oldest_kept: Mapping[str, str], now: datetime) -> None:
        """Complete a receipt."""
        done = {"removed": dict(removed), "oldest_kept": dict(oldest_kept), "finished_at": now}
        with self._store.write() as connection:
            connection.execute(update(purges).where(purges.c.id == purge).values(done))

    def list(self, model: str, *, limit: int = 20) -> tuple[Receipt, ...]:
        """Return the latest receipts, newest first."""
        newest = select(purges).where(purges.c.model == model).order_by(purges.c.id.desc()).limit(limit)
        with self._store.read() as connection:
            return tuple(map(_read, connection.execute(newest)))


def _ended(model: str, before: datetime) -> ColumnElement[bool]:
    carried = and_(outbox.c.state == "done", outbox.c.done_at < before)
    lost = and_(outbox.c.state == "undelivered", outbox.c.deadline_at < before)
    return and_(outbox.c.model == model, or_(carried, lost))


def _read(row: Row[tuple[object, ...]]) -> Receipt:
    return Receipt(**row._mapping)
