"""What was judged, decided and sent: windows and their revisions, and the way to the ledger's other parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Row, Select, select

from retrue.config import ModelSettings
from retrue.decide import Render
from retrue.errors import LedgerError
from retrue.failures.stories import MeasuredFailures
from retrue.ledger.commit import Entry, check_token, claim_window, standing_of, write_revision
from retrue.ledger.complaints import Complaints
from retrue.ledger.digests import Digests
from retrue.ledger.erasures import Erasures
from retrue.ledger.failures import Failures
from retrue.ledger.incidents import Incidents
from retrue.ledger.models import Models
from retrue.ledger.newest import newest_revisions
from retrue.ledger.outbox import Outbox
from retrue.ledger.probations import Probations
from retrue.ledger.purges import Purges
from retrue.ledger.requests import RetrainRequests
from retrue.ledger.schema import metrics, revisions, windows
from retrue.ledger.store import Store, open_store
from retrue.ledger.values import DECISION, VERDICT, Revision
from retrue.results import HistoryPoint, Verdict
from retrue.standing import Standing
from retrue.windows import Window


class Ledger:
    """The state of a project. It decides; MLflow and Prefect show.

    Threads may share one; a process that forks opens its own. Every method is one transaction. Every error of the database
    is a ``LedgerError``, whose text has neither password nor values.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.incidents = Incidents(store)
        self.failures = Failures(store)
        self.outbox = Outbox(store)
        self.requests = RetrainRequests(store)
        self.models = Models(store)
        self.probations = Probations(store)
        self.digests = Digests(store)
        self.complaints = Complaints(store)
        self.purges = Purges(store)
        self.erasures = Erasures(store)

    @classmethod
    def open(cls, url: str, *, root: Path) -> Self:
        """Open a ledger, making or upgrading its tables; several processes may do so at once.

        Args:
            url: ``sqlite:///path``, relative to ``root`` unless absolute, or ``postgresql://…``.
            root: The project's folder.

        Raises:
            LedgerError: It cannot be opened, or a newer retrue wrote it.
        """
        return cls(open_store(url, root=root))

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def claim(self, window: Window) -> int:
        """Return a fencing token for a window: with it, only the run that claimed last can commit."""
        with self._store.write(window.model) as connection:
            return claim_window(connection, window)

    def find(self, key: str) -> Revision | None:
        """Return the revision of a verdict's ``key``, None if it was never judged."""
        with self._store.read() as connection:
            return _find(connection, key)

    def commit(
        self,
        verdict: Verdict,
        *,
        token: int,
        metrics: Mapping[str, float],
        report_dir: str,
        step: int,
        flow_run_url: str,
        settings: ModelSettings,
        render: Render,
        now: datetime,
        failures: MeasuredFailures | None = None,
    ) -> Revision:
        """Write a verdict with all that follows: findings, incidents, a retraining request and the effects to carry out.

        Args:
            verdict: The judgement. If its key is in the ledger, that revision is returned, ``new`` false, and nothing is written.
            token: From ``claim``.
            metrics: Recorded names and values; a NaN is refused.
            report_dir: Where the window's reports lie, relative to the project.
            step: The window's index on its grid.
            flow_run_url: The Prefect run, empty outside of one.
            settings: Receivers, repeats and the retraining rules.
            render: Makes the text of messages.
            now: When it was judged.
            failures: Its failure groups, None where the window could not measure failures.

        Raises:
            FencedError: Another run has claimed the window since; nothing was written.
            ValueError: A metric is NaN.
        """
        entry = Entry(
            metrics=metrics,
            report_dir=report_dir,
            step=step,
            flow_run_url=flow_run_url,
            settings=settings,
            render=render,
            failures=failures,
        )
        with self._store.write(verdict.window.model) as connection:
            window_id = check_token(connection, verdict.window, token)
            known = _find(connection, verdict.key)
            if known is not None:
                return known
            revision = write_revision(connection, verdict, window_id, entry, now)
            return _one(connection, revisions.c.id == revision, new=True)

    def standing(
        self, verdict: Verdict, *, settings: ModelSettings, now: datetime, failures: MeasuredFailures | None = None
    ) -> Standing:
        """Return what a verdict would meet if it were committed now, or met when it is the newest of its window."""
        with self._store.read() as connection:
            return standing_of(connection, verdict, settings, failures, now)

    def revision(self, revision: int) -> Revision:
        """Return a revision by its id, as a ``record`` effect names it.

        Raises:
            LedgerError: There is none.
        """
        with self._store.read() as connection:
            return _one(connection, revisions.c.id == revision, new=False)

    def revisions(self, window: Window) -> tuple[Revision, ...]:
        """Return a window's revisions, oldest first."""
        mine = (windows.c.model == window.model, windows.c.start_at == window.start, windows.c.end_at == window.end)
        with self._store.read() as connection:
            rows = connection.execute(_joined().where(*mine).order_by(revisions.c.number)).all()
            return _read(connection, rows)

    def windows(self, model: str) -> tuple[Window, ...]:
        """Return a model's judged windows, oldest first."""
        judged = select(windows.c.start_at, windows.c.end_at).join_from(windows, revisions)
        newest = judged.where(*newest_revisions(model)).order_by(windows.c.start_at)
        with self._store.read() as connection:
            rows = connection.execute(newest).all()
        return tuple(Window(model=model, start=row.start_at, end=row.end_at) for row in rows)

    def latest(self, model: str, *, limit: int = 1, before: datetime | None = None) -> tuple[Revision, ...]:
        """Return the newest revision of each of a model's last windows, newest window first.

        Args:
            model: The model.
            limit: How many windows.
            before: Only windows that start before this.
        """
        chosen = _joined().where(*newest_revisions(model))
        if before is not None:
            chosen = chosen.where(windows.c.start_at < before)
        with self._store.read() as connection:
            rows = connection.execute(chosen.order_by(windows.c.start_at.desc()).limit(limit)).all()
            return _read(connection, rows)

    def history(self, model: str, *, limit: int, before: datetime | None = None) -> tuple[HistoryPoint, ...]:
        """Return the last windows as charts show them, oldest first; the arguments are those of ``latest``."""
        return tuple(_point(revision) for revision in reversed(self.latest(model, limit=limit, before=before)))


def _point(revision: Revision) -> HistoryPoint:
    return HistoryPoint(
        window=revision.window,
        revision=revision.number,
        outcome=revision.verdict.outcome,
        line=revision.verdict.line,
        model_version=revision.verdict.model_version,
        metrics=revision.metrics,
        breaches=revision.verdict.breaches,
    )


def _joined() -> Select[tuple[object, ...]]:
    return select(revisions, windows.c.model, windows.c.start_at, windows.c.end_at).join_from(windows, revisions)


def _find(connection: Connection, key: str) -> Revision | None:
    rows = connection.execute(_joined().where(revisions.c.key == key)).all()
    return _read(connection, rows)[0] if rows else None


def _one(connection: Connection, condition: object, *, new: bool) -> Revision:
    rows = connection.execute(_joined().where(condition)).all()  # type: ignore[arg-type]
    if not rows:
        raise LedgerError("no such revision in the ledger")
    return _read(connection, rows, new=new)[0]


def _read(
    connection: Connection, rows: Iterable[Row[tuple[object, ...]]], *, new: bool = False
) -> tuple[Revision, ...]:
    rows = list(rows)
    measured: dict[int, dict[str, float]] = {row.id: {} for row in rows}
    wanted = select(metrics).where(metrics.c.revision_id.in_(list(measured))).order_by(metrics.c.name)
    for value in connection.execute(wanted):
        measured[value.revision_id][value.name] = value.value
    return tuple(_revision(row, measured[row.id], new=new) for row in rows)


def _revision(row: Row[tuple[object, ...]], measured: Mapping[str, float], *, new: bool) -> Revision:
    return Revision(
        id=row.id,
        window=Window(model=row.model, start=row.start_at, end=row.end_at),
        number=row.number,
        verdict=VERDICT.validate_python(row.verdict),
        metrics=measured,
        decision=DECISION.validate_python(row.decision),
        step=row.step,
        report_dir=row.report_dir,
        flow_run_url=row.flow_run_url,
        mlflow_run_id=row.mlflow_run_id,
        judged_at=row.judged_at,
        new=new,
    )
