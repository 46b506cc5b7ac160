"""Carrying out the outbox: each due effect is given to the carrier of its kind and marked. Pure but for its ledger.

A carrier is a callable that takes an effect's payload, with its ``dedup_key``, and returns what is worth recording. It
raises ``DeliveryError``, another ``RetrueError`` or an ``OSError`` when the effect did not get through. Delivery is at least
once: a process that dies between carrying out and marking leaves its row to another, which sends it again under the same
``dedup_key``. Carriers that can (MLflow by tag, Prefect by idempotency key) use the key to do it once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from retrue.errors import RetrueError

if TYPE_CHECKING:
    from retrue.ledger import Ledger, OutboxRow

log = logging.getLogger(__name__)

Carrier = Callable[[Mapping[str, object]], Mapping[str, object]]

BATCH = 20
LEASE_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """Effects carried out and refused just now, and those of all kinds that wait or were given up, by the ledger."""

    done: int
    failed: int
    pending: int
    undelivered: int


def deliver(
    ledger: Ledger,
    carriers: Mapping[str, Carrier],
    *,
    now: Callable[[], datetime],
    worker: str,
    kinds: Collection[str] | None = None,
) -> DeliveryReport:
    """Carry out what is due, each row at most once in this call.

    A row that fails goes back with a later date and the others go on. An exception outside a carrier's contract is a bug:
    its row goes back likewise, so that the next call reaches the others, and the exception comes out.

    Args:
        ledger: Whose outbox.
        carriers: By kind of effect. Rows of other kinds stay pending.
        now: The clock.
        worker: Who delivers, as the table shows it.
        kinds: Only these.
    """
    carried = [kind for kind in carriers if kinds is None or kind in kinds]
    started = now()
    done = failed = 0
    while rows := ledger.outbox.take_due(
        now(), worker, lease_seconds=LEASE_SECONDS, kinds=carried, limit=BATCH, due_by=started
    ):
        for row in rows:
            delivered = _carry(ledger, row, carriers[row.kind], now)
            done, failed = done + delivered, failed + (not delivered)
    counts = ledger.outbox.counts()
    waiting = {
        state: sum(n for (_, each), n in counts.items() if each == state) for state in ("pending", "undelivered")
    }
    return DeliveryReport(done=done, failed=failed, **waiting)


def _carry(ledger: Ledger, row: OutboxRow, carrier: Carrier, now: Callable[[], datetime]) -> bool:
    with _put_back_on_a_bug(ledger, row, now):
        try:
            result = carrier({**row.payload, "dedup_key": row.dedup_key})
        except (RetrueError, OSError) as error:
            log.warning("%s of %s not delivered, attempt %d", row.kind, row.model, row.attempts)
            ledger.outbox.mark_failed(row, _reason(error), now())
            return False
    ledger.outbox.mark_done(row, result, now())
    return True


@contextmanager
def _put_back_on_a_bug(ledger: Ledger, row: OutboxRow, now: Callable[[], datetime]) -> Iterator[None]:
    returned = False
    try:
        yield
        returned = True
    finally:
        if not returned:
            ledger.outbox.mark_failed(row, "the carrier broke", now())


def _reason(error: RetrueError | OSError) -> str:
    """Return what may be kept: the text of an OSError of a web client can hold a receiver's secret URL."""
    return (
        str(error)
        if isinstance(error, RetrueError)
        else f"{type(error).__name__}: {getattr(error, 'strerror', None) or ''}"
    )


@dataclass(slots=True)
class Recorder:
    """A carrier that keeps what it is given: the double for tests.

    ``refusals`` are raised one by one before anything gets through; ``result`` is what it returns then.
    """

    sent: list[Mapping[str, object]] = field(default_factory=list)
    refusals: list[Exception] = field(default_factory=list)
    result: Mapping[str, object] = field(default_factory=dict)

    def __call__(self, payload: Mapping[str, object]) -> Mapping[str, object]:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append(payload)
        return self.result
