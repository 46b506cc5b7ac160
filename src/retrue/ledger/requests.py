"""Retraining requests: one in flight per model, claimed by one flow run at a time, closed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, func, insert, select, update

from retrue.decide import request_id
from retrue.errors import FencedError, LedgerError
from retrue.ledger.outbox import add_effects, drop_effects, notices
from retrue.ledger.schema import outbox, probations, requests, trials
from retrue.ledger.store import Store
from retrue.ledger.values import CAUSE, Look, RetrainRequest, Trial, to_json
from retrue.results import Effect, RetrainCause

IN_FLIGHT = ("open", "claimed", "watching")
UNCLAIMED_FOR = timedelta(days=8)  # a day longer than the outbox tries to start the flow
CLAIM_SECONDS = 6 * 3600
FIRST_RETRY = timedelta(minutes=5)  # after an outage; doubled each time
LAST_RETRY = timedelta(hours=6)
_LOST = {
    "claimed": "its flow run did not end in time",
    "open": "no flow run started it",
    "watching": "no flow run looked at its challenger again",
}
_TRIAL = ("request_id", "kind", "version", "champion", "rows_from", "fresh_from", "ends_at")
_LOOK = TypeAdapter(Look)


class RetrainRequests:
    """Requests by their id ``<model>:<fingerprint>:<attempt>``, which is the idempotency key of their flow run too."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, request: str) -> RetrainRequest:
        """Return a request.

        Raises:
            LedgerError: There is none of this id.
        """
        with self._store.read() as connection:
            return _read(request_row(connection, request))

    def list(self, model: str | None = None, *, limit: int | None = 20) -> tuple[RetrainRequest, ...]:
        """Return the latest requests, newest first; all of them without a limit."""
        newest = select(requests).order_by(requests.c.opened_at.desc(), requests.c.id.desc()).limit(limit)
        with self._store.read() as connection:
            rows = connection.execute(newest.where(requests.c.model == model) if model else newest).all()
        return tuple(map(_read, rows))

    def open(self, cause: RetrainCause, now: datetime, *, notify: Sequence[str] = ()) -> RetrainRequest:
        """Write a request that no verdict asked for, as `retrue retrain` by a person does; the same cause again is the same request.

        The receivers hear of a request that is given up to make way.

        Raises:
            LedgerError: Another request of the model is in flight.
        """
        with self._store.write(cause.model) as connection:
            abandon_stale(connection, cause.model, notify, now)
            known = connection.execute(select(requests).where(requests.c.id == request_id(cause))).first()
            if known is None:
                other = in_flight(connection, cause.model)
                if other is not None:
                    close = f"`retrue retrain {cause.model} --cancel {other}`"
                    raise LedgerError(f"request {other} is still in flight: wait for it, or close it by {close}")
                add_request(connection, cause, None, now)
            return _read(request_row(connection, request_id(cause)))

    def claim(self, request: str, now: datetime, *, lease_seconds: int = CLAIM_SECONDS) -> RetrainRequest:
        """Take a request for one flow run; its ``token`` is what closing and promoting ask for.

        Raises:
            FencedError: Another flow run holds it, or it is closed.
        """
        with self._store.write(_model_of(request)) as connection:
            row = request_row(connection, request)
            if row.state not in IN_FLIGHT:
                raise FencedError(f"request {request} is closed: {row.state} ({row.reason})")
            if row.state == "claimed" and row.stale_at > now:
                raise FencedError(
                    f"another flow run works on request {request}, until {row.stale_at:%Y-%m-%d %H:%M} UTC at the latest"
                )
            taken = {"state": "claimed", "token": row.token + 1, "stale_at": now + timedelta(seconds=lease_seconds)}
            connection.execute(update(requests).where(requests.c.id == request).values(taken))
            return _read(request_row(connection, request))

    def close(
        self,
        request: str,
        *,
        token: int,
        state: Literal["refused", "failed"],
        reason: str,
        notify: Sequence[str] = (),
        now: datetime,
    ) -> RetrainRequest:
        """Record that a request ended without a promotion, and tell the receivers; closing again the same way changes nothing.

        Raises:
            FencedError: The token is not the latest, or the request ended otherwise.
        """
        with self._store.write(_model_of(request)) as connection:
            row = request_row(connection, request)
            if (row.state, row.token) != (state, token):
                check_claim(row, token)
                end_row(connection, row, state, reason, notify, now)
            return _read(request_row(connection, request))

    def release(self, request: str, *, token: int, reason: str, now: datetime) -> datetime:
        """Give a claimed request back that nothing was wrong with but an outage, and return when a flow run tries again.

        Each time it waits twice as long. ``UNCLAIMED_FOR`` after it was asked for, it is tried no more and given up.

        Raises:
            FencedError: The token is not the latest, or the request has ended.
        """
        with self._store.write(_model_of(request)) as connection:
            row = request_row(connection, request)
            check_claim(row, token)
            ends_at = row.opened_at + UNCLAIMED_FOR
            back = {"state": "open", "reason": reason, "stale_at": ends_at}
            connection.execute(update(requests).where(requests.c.id == request).values(back))
            drop_effects(connection, "retrain", f"retrain:{request}", "it is tried later", now)
            due_at: datetime = now + min(LAST_RETRY, FIRST_RETRY * 2 ** min(token - 1, 20))
            if due_at < ends_at:
                effect = Effect(kind="retrain", dedup_key=f"retrain:{request}:again:{token}", payload=_start_of(row))
                add_effects(connection, row.model, [effect], now, due_at=due_at)
            return due_at

    def check(self, request: str, *, token: int) -> None:
        """Make sure that a flow run still holds a request.

        Raises:
            FencedError: The token is not the latest, or the request has ended.
        """
        with self._store.read() as connection:
            check_claim(request_row(connection, request), token)

    def trial(self, request: str) -> Trial | None:
        """Return the challenger that waits for later windows to answer a request, None where none was trained yet."""
        with self._store.read() as connection:
            return trial_of(connection, request)

    def watching(self, model: str) -> Trial | None:
        """Return the challenger of a model that waits for later windows, None where none waits or a flow run looks at it now."""
        wanted = select(requests.c.id).where(requests.c.model == model, requests.c.state == "watching")
        with self._store.read() as connection:
            request = connection.execute(wanted).scalar()
            return None if request is None else trial_of(connection, request)

    def watch(self, trial: Trial, *, token: int, look: Look | None, patience: timedelta, now: datetime) -> None:
        """Let a request wait for later windows, with what this look came to; one that has this look changes nothing.

        Args:
            trial: As it is to be known from now on; its ``looks`` are those before.
            token: From the claim.
            look: None where there was none, as before the first.
            patience: How long to wait for the next before the request is given up.
            now: The time of it.

        Raises:
            FencedError: The token is not the latest, or the request has ended.
        """
        with self._store.write(_model_of(trial.request_id)) as connection:
            row = request_row(connection, trial.request_id)
            check_claim(row, token)
            looks = [to_json(_LOOK, each) for each in (*trial.looks, *([look] if look else []))]
            facts = {name: getattr(trial, name) for name in _TRIAL}
            if trial_of(connection, trial.request_id) is None:
                connection.execute(insert(trials).values(model=row.model, looks=looks, **facts))
            else:
                mine = trials.c.request_id == trial.request_id
                connection.execute(update(trials).where(mine).values(looks=looks))
            waiting = {"state": "watching", "stale_at": now + patience}
            connection.execute(update(requests).where(requests.c.id == trial.request_id).values(waiting))

    def ask_look(self, request: str, end: datetime, now: datetime) -> None:
        """Ask a flow run to look again at a watching request, by the rows up to ``end``.

        Asking twice is asking once, until a flow run has claimed the request: one that waits again has not been answered.
        """
        with self._store.write(_model_of(request)) as connection:
            row = request_row(connection, request)
            if row.state != "watching":
                return
            facts = {**_start_of(row), "as_of": end.isoformat()}
            key = f"{_looks_of(request)}{end.isoformat()}:{row.token}"
            add_effects(connection, row.model, [Effect(kind="retrain", dedup_key=key, payload=facts)], now)

    def look_asked_at(self, trial: Trial) -> datetime | None:
        """Return since when a look at a challenger is asked for that nobody has taken, None where none is."""
        asks = outbox.c.dedup_key.startswith(_looks_of(trial.request_id), autoescape=True)
        seen = trial.looks[-1].end if trial.looks else None
        with self._store.read() as connection:
            rows = connection.execute(select(outbox.c.payload, outbox.c.created_at).where(asks)).all()
        new = (row.created_at for row in rows if seen is None or datetime.fromisoformat(row.payload["as_of"]) > seen)
        return min(new, default=None)

    def cancel(
        self, request: str, *, by: str, reason: str, notify: Sequence[str] = (), now: datetime
    ) -> RetrainRequest:
        """Close a request in flight by a person's order, whoever works on it: that flow run can then promote nothing.

        Raises:
            FencedError: It has ended already.
            LedgerError: There is none of this id.
        """
        with self._store.write(_model_of(request)) as connection:
            row = request_row(connection, request)
            check_claim(row, row.token)
            end_row(connection, row, "cancelled", f"cancelled by {by}: {reason}", notify, now)
            return _read(request_row(connection, request))


# ---------------------------------------------------------------- inside a transaction


def in_flight(connection: Connection, model: str) -> str | None:
    """Return the id of the model's open or claimed request."""
    wanted = select(requests.c.id).where(requests.c.model == model, requests.c.state.in_(IN_FLIGHT))
    return connection.execute(wanted).scalar()


def attempts(connection: Connection, model: str) -> dict[str, int]:
    """Return how many retrainings each fingerprint of a model ever asked for."""
    counted = select(requests.c.fingerprint, func.count().label("asked")).where(requests.c.model == model)
    return {row.fingerprint: row.asked for row in connection.execute(counted.group_by(requests.c.fingerprint))}


def last_as_of(connection: Connection, model: str) -> datetime | None:
    """Return from when on a cool-down counts: the latest ``as_of`` of a model's requests, or a rollback by probation since.

    A request that failed trained nothing and starts none; one that was cancelled does, or the next window would undo the order.
    """
    counted = select(func.max(requests.c.as_of)).where(requests.c.model == model, requests.c.state != "failed")
    back = select(func.max(probations.c.ended_as_of)).where(
        probations.c.model == model, probations.c.state == "rolled-back"
    )
    times: list[datetime] = [at for at in (connection.execute(each).scalar() for each in (counted, back)) if at]
    return max(times, default=None)


def failed(connection: Connection, model: str) -> dict[str, tuple[datetime, ...]]:
    """Return the ``as_of`` of a model's requests that failed or were cancelled, by fingerprint: no challenger was judged to the end."""
    mine = (requests.c.model == model, requests.c.state.in_(("failed", "cancelled")))
    found: dict[str, tuple[datetime, ...]] = {}
    for row in connection.execute(select(requests.c.fingerprint, requests.c.as_of).where(*mine)):
        found[row.fingerprint] = (*found.get(row.fingerprint, ()), row.as_of)
    return found


def failing(connection: Connection, model: str) -> tuple[datetime, ...]:
    """Return the ``as_of`` of a model's newest ended requests in a row that failed, whatever asked for them."""
    order = (requests.c.opened_at.desc(), requests.c.as_of.desc(), requests.c.id.desc())
    newest = select(requests.c.state, requests.c.as_of).where(
        requests.c.model == model, requests.c.state.not_in(IN_FLIGHT)
    )
    rows = connection.execute(newest.order_by(*order)).all()
    return tuple(row.as_of for row in takewhile(lambda row: row.state == "failed", rows))


def rolled_back(connection: Connection, model: str) -> int:
    """Return how many promotions in a row ended in a rollback by probation, up to the last one that was kept."""
    newest = select(probations.c.state).where(probations.c.model == model, probations.c.state != "open")
    states = connection.execute(newest.order_by(probations.c.promotion_id.desc())).scalars()
    return sum(1 for _ in takewhile(lambda state: state == "rolled-back", states))


def add_request(connection: Connection, cause: RetrainCause, revision: int | None, now: datetime) -> None:
    """Open a request; the database refuses a second one in flight."""
    row = {
        "id": request_id(cause),
        "model": cause.model,
        "revision_id": revision,
        "cause": to_json(CAUSE, cause),
        "fingerprint": cause.fingerprint,
        "as_of": cause.as_of,
        "state": "open",
        "token": 0,
        "reason": "",
        "opened_at": now,
        "stale_at": now + UNCLAIMED_FOR,
    }
    connection.execute(insert(requests).values(row))


def abandon_stale(connection: Connection, model: str, notify: Sequence[str], now: datetime) -> None:
    """Fail a request that nobody claimed, or whose flow run died, and tell the receivers: it would hold back every later one."""
    stale = (requests.c.model == model, requests.c.state.in_(IN_FLIGHT), requests.c.stale_at <= now)
    for row in connection.execute(select(requests).where(*stale)).all():
        if row.state == "claimed" and trial_of(connection, row.id) is not None:
            again = {
                "state": "watching",
                "stale_at": now + UNCLAIMED_FOR,
            }  # the challenger is there: another run may look
            connection.execute(update(requests).where(requests.c.id == row.id).values(again))
            continue
        lost = (row.reason if row.state == "open" else "") or _LOST[row.state]
        end_row(connection, row, "failed", f"abandoned: {lost}", notify, now)


def trial_of(connection: Connection, request: str) -> Trial | None:
    """Return the challenger that waits for later windows to answer a request."""
    row = connection.execute(select(trials).where(trials.c.request_id == request)).first()
    if row is None:
        return None
    facts = {name: getattr(row, name) for name in _TRIAL}
    return Trial(**facts, looks=tuple(_LOOK.validate_python(each) for each in row.looks))


def end_row(
    connection: Connection, row: Row[tuple[object, ...]], state: str, reason: str, notify: Sequence[str], now: datetime
) -> None:
    """Write how a request ended without a promotion, and tell the receivers."""
    close_row(connection, row.id, state, reason, now)
    subject = f"{row.model}: retraining {state}"
    add_effects(connection, row.model, notices(row.model, row.id, notify, subject, reason), now)


def close_row(connection: Connection, request: str, state: str, reason: str, now: datetime) -> None:
    """Write how a request ended; flow runs that were still to be started for it are not."""
    closed = {"state": state, "reason": reason, "closed_at": now}
    connection.execute(update(requests).where(requests.c.id == request).values(closed))
    drop_effects(connection, "retrain", f"retrain:{request}", f"the request is {state}", now)


def check_claim(row: Row[tuple[object, ...]], token: int) -> None:
    """Refuse a flow run that no longer holds a request.

    Raises:
        FencedError: The request has ended, or another flow run claimed it since.
    """
    if row.state not in IN_FLIGHT:
        raise FencedError(f"request {row.id} is closed: {row.state} ({row.reason})")
    if row.token != token:
        raise FencedError(f"another flow run took request {row.id} over; nothing was written")


def request_row(connection: Connection, request: str) -> Row[tuple[object, ...]]:
    """Return a request's row.

    Raises:
        LedgerError: There is none of this id.
    """
    row = connection.execute(select(requests).where(requests.c.id == request)).first()
    if row is None:
        raise LedgerError(f"no retraining request {request[:128]!r}")
    return row


def _start_of(row: Row[tuple[object, ...]]) -> dict[str, object]:
    """Return what starts a flow run for a request."""
    cause = CAUSE.validate_python(row.cause)
    return {**asdict(cause), "as_of": cause.as_of.isoformat(), "request_id": row.id}


def _looks_of(request: str) -> str:
    """Return how the dedup keys begin of the effects that ask for looks at a request's challenger."""
    return f"retrain:{request}:look:"


def _model_of(request: str) -> str:
    return request.split(":", 1)[0]


def _read(row: Row[tuple[object, ...]]) -> RetrainRequest:
    return RetrainRequest(
        id=row.id,
        cause=CAUSE.validate_python(row.cause),
        state=row.state,
        token=row.token,
        reason=row.reason,
        opened_at=row.opened_at,
        stale_at=row.stale_at,
        closed_at=row.closed_at,
    )
