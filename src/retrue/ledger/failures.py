"""Failure groups as rows: what each window counted of them, told as stories, and forgotten when their time has come.

Nothing is derived when a window is committed but the text of its groups: where a group stands follows from the newest
revisions of all windows, whenever and in whatever order they were judged.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Text, and_, cast, or_, select, update

from retrue.errors import LedgerError
from retrue.failures.lifecycle import FailureStatus
from retrue.failures.stories import REPRODUCE, FailureStory, MeasuredFailures
from retrue.ledger.failure_rows import Known, read_known, tell, tell_until
from retrue.ledger.schema import failure_counts, failure_groups, outbox, revisions, windows
from retrue.ledger.store import Store
from retrue.windows import Window

_GONE = "(removed)"
_NAMED = re.compile(rf"{REPRODUCE}([^\s`ˋ]+)")


class Failures:
    """What people and reports see of failure groups."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, model: str) -> tuple[FailureStory, ...]:
        """Return a model's failure groups as of its newest window that measured failures, the open and frequent first."""
        with self._store.read() as connection:
            return tell(read_known(connection, model))

    def known(self, model: str) -> Known:
        """Return what the newest revisions of a model's windows counted, as a replay starts from."""
        with self._store.read() as connection:
            return read_known(connection, model)

    def get(self, group_id: str, *, model: str | None = None) -> FailureStory:
        """Return a failure group by its id or the beginning of it.

        Raises:
            LedgerError: No or more than one group begins like this.
        """
        begins = failure_groups.c.id.startswith(group_id, autoescape=True)
        mine = [begins] if model is None else [begins, failure_groups.c.model == model]
        with self._store.read() as connection:
            rows = connection.execute(select(failure_groups).where(*mine).limit(2)).all() if group_id else []
            if len(rows) == 1:
                found = tell(read_known(connection, rows[0].model, groups=[rows[0].id]))
                mine_told = [each for each in found if each.id == rows[0].id]
                if mine_told:
                    return mine_told[0]
        count = "more than one failure group begins" if len(rows) > 1 else "no failure group begins"
        raise LedgerError(f"{count} with {group_id[:40]!r}: `retrue incidents list --failures` shows them")

    def tell(self, window: Window, measured: MeasuredFailures | None) -> tuple[FailureStory, ...]:
        """Return the groups that matter for a window that is about to be committed: its own, open ones, and those it resolves.

        Later windows are not looked at, so that the report of a window that is judged again says what it would have said.
        """
        with self._store.read() as connection:
            return tuple(each for each in tell_until(connection, window, measured) if _matters(each))

    def count_samples(self, model: str, *, before: datetime) -> int:
        """Return how many rows ``forget_samples`` would empty."""
        with self._store.read() as connection:
            return len(connection.execute(_sampled(model, windows.c.end_at <= before)).all())

    def forget_samples(self, model: str, *, before: datetime) -> int:
        """Remove the ids of inferences and traces, and the inputs that failed, of windows that ended by then.

        The counts stay, so that no group changes where it stands; return how many rows were emptied.
        """
        empty: dict[str, object] = {"samples": [], "traces": [], "inputs": []}
        with self._store.write(model) as connection:
            found = connection.execute(_sampled(model, windows.c.end_at <= before)).all()
            for row in found:
                connection.execute(update(failure_counts).where(_same(row)).values(empty))
        return len(found)

    def count_texts(self, model: str, *, before: datetime) -> int:
        """Return how many groups ``forget_texts`` would strip."""
        with self._store.read() as connection:
            return len(connection.execute(select(failure_groups.c.id).where(_worded(model, before))).all())

    def forget_texts(self, model: str, *, before: datetime) -> int:
        """Remove title, message, frames and reasons of groups that were last seen in a window that started before then.

        Their id, the exception's type and all counts stay; return how many groups were stripped.
        """
        plain = {"title": failure_groups.c.error_type, "message": _GONE, "frames": [], "reasons": []}
        with self._store.write(model) as connection:
            return connection.execute(update(failure_groups).where(_worded(model, before)).values(plain)).rowcount

    def forget(self, model: str, inference_ids: Collection[str]) -> int:
        """Remove ids of inferences from samples, verdicts and messages of all revisions; return how many samples went."""
        gone, removed = frozenset(inference_ids), 0
        with self._store.write(model) as connection:
            _unsay(connection, model, gone)
            for row in connection.execute(_sampled(model)).all():
                kept = [each for each in row.samples if each not in gone]
                if len(kept) < len(row.samples):
                    removed += len(row.samples) - len(kept)
                    connection.execute(update(failure_counts).where(_same(row)).values(samples=kept))
        return removed


def _matters(story: FailureStory) -> bool:
    return story.now is not None or not story.resolved or story.before not in (None, FailureStatus.RESOLVED)


def _sampled(model: str, *conditions: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    """Select the rows of all revisions that still hold samples, traces or inputs."""
    kept = ("samples", "traces", "inputs")
    columns = (failure_counts.c.revision_id, failure_counts.c.group_id, *(failure_counts.c[name] for name in kept))
    chosen = select(*columns).select_from(failure_counts).join(revisions).join(windows)
    filled = or_(*(_filled(failure_counts.c[name]) for name in kept))
    return chosen.where(windows.c.model == model, filled, *conditions)


def _filled(column: ColumnElement[object]) -> ColumnElement[bool]:
    return cast(column, Text) != "[]"


def _worded(model: str, before: datetime) -> ColumnElement[bool]:
    mine = and_(failure_groups.c.model == model, failure_groups.c.described_window < before)
    return and_(mine, failure_groups.c.message != _GONE)


def _unsay(connection: Connection, model: str, gone: Collection[str]) -> None:
    """Take ids of inferences out of what was written to people: the command that runs one again names it."""
    of_model = revisions.c.window_id.in_(select(windows.c.id).where(windows.c.model == model))
    for column, mine in (
        (outbox.c.payload, outbox.c.model == model),
        (revisions.c.decision, of_model),
        (revisions.c.verdict, of_model),
    ):
        table = column.table
        naming = select(table.c.id, column.label("said")).where(mine, cast(column, Text).contains(REPRODUCE))
        for row in connection.execute(naming).all():
            kept = _without(row.said, gone)
            if kept != row.said:
                connection.execute(update(table).where(table.c.id == row.id).values({column.name: kept}))


def _without(value: Any, gone: Collection[str]) -> Any:
    if isinstance(value, str):
        return _NAMED.sub(
            lambda found: f"{REPRODUCE}{_GONE}" if found[1].replace("＠", "@") in gone else found[0], value
        )
    if isinstance(value, list):
        return [_without(item, gone) for item in value]
    return {key: _without(item, gone) for key, item in value.items()} if isinstance(value, dict) else value


def _same(row: Row[tuple[object, ...]]) -> ColumnElement[bool]:
    return and_(failure_counts.c.revision_id == row.revision_id, failure_counts.c.group_id == row.group_id)
