"""The background thread: takes records from the lanes in small batches, has them redacted and encoded, and writes them.

It sleeps while there is nothing to do, gathers for a moment while there is, and gives the interpreter's lock back after
each batch, so that a host that serves requests waits for at most one batch of encoding.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from retrue.logger.calls import Facts
from retrue.logger.lanes import Item, Lane
from retrue.logger.streams import UNREADABLE, Stream
from retrue.logger.tally import DROPPED

GATHER_SECONDS: Final = 0.02
URGENT_SYNC_SECONDS: Final = 0.085
"""Between two syncs while there are failures: 12 a second at most, and none is later than 100 ms."""
SYNC_SECONDS: Final = 0.4
REST_SECONDS_MAX: Final = 5.0
"""At least so often an aged segment is looked at, and a failing disk tried again."""
PASSES_BEFORE_REST: Final = 10
BATCH_RECORDS: Final = 64
BATCH_RECORDS_CALM: Final = 16
BEHIND_RECORDS: Final = 512
_GRACE_SECONDS = 0.1  # for a thread that has its number but has not appended yet
_START_AGAIN_SECONDS = 1.0


class Drain:
    """Empties two lanes into streams.

    Args:
        urgent: Failures and labels.
        rest: Successes.
        streams: Where records go; their spools are closed at the end.
        sample: Called every `sample_every` seconds while the thread lives; None: never.
        sample_every: Seconds.
        started: Called once in the thread.
    """

    def __init__(
        self,
        urgent: Lane,
        rest: Lane,
        streams: Sequence[Stream],
        *,
        sample: Callable[[], None] | None = None,
        sample_every: float = 10.0,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        self._urgent, self._rest, self._streams = urgent, rest, streams
        self._sample, self._sample_every = sample, sample_every
        self._sample_at = time.monotonic()
        self._started = started
        self._bell = _closed_lock()
        self._done = _closed_lock()
        self._starting = threading.Lock()
        self._start_at = 0.0
        self._waiting: deque[Flush] = deque()
        self._stopping = False
        self._is_urgent = self._is_unsynced = False
        self._synced_at = 0.0
        self.finished = False
        self.thread = 0
        """Its thread's ident; 0 before it runs."""
        self.resting = True
        """Whether it must be woken for a record; true also while there is no thread."""
        self.failures = 0
        """Exceptions of this thread's own, of which there should be none."""

    # ---------------------------------------------------------------- the host's side

    def wake(self) -> None:
        """See that somebody takes what was put; starts the thread at the first time."""
        if self.thread:
            self.resting = False
            self._ring()
        elif time.monotonic() >= self._start_at and self._starting.acquire(blocking=False):
            self._start()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is on disk; false where it is not, or the time is over."""
        if self.thread == threading.get_ident():
            return False
        flush = Flush()
        self._waiting.append(flush)
        self.wake()
        self._ring()
        return self._starting.locked() and flush.wait(timeout)

    def stop(self, timeout: float) -> None:
        """Have everything written and the spools closed, in the given seconds at most. What is left goes on behind."""
        self._stopping = True
        if self.thread == threading.get_ident() or self.finished:
            return
        if not self.thread and self._starting.acquire(blocking=False):
            self._finish(time.monotonic() + timeout)
            return
        self._ring()
        if self._done.acquire(timeout=_within(timeout)):
            self._done.release()

    def abandon(self) -> None:
        """Let go of the parent's files in a forked child."""
        for stream in self._streams:
            if stream.spool:
                stream.spool.abandon()

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            return  # it is ringing already

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="retrue-logger", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._start_at = time.monotonic() + _START_AGAIN_SECONDS
            self._starting.release()

    # ---------------------------------------------------------------- the thread's side

    def _run(self) -> None:
        self.thread = threading.get_ident()
        self.resting = False
        self._started()
        idle = 0
        while not self._stopping:
            queued = len(self._urgent) + len(self._rest)
            idle = 0 if queued else idle + 1
            self._guarded_pass()
            if queued < BEHIND_RECORDS:  # else as much has come meanwhile
                self._sleep(rest=idle >= PASSES_BEFORE_REST)
        self._finish(None)

    def _guarded_pass(self) -> None:
        try:
            self._pass()
        except BaseException:  # noqa: BLE001 - the thread must outlive whatever a record or a disk does to one pass
            self.failures += 1

    def _pass(self) -> None:
        """Write what is queued now; what is put meanwhile is for the next pass."""
        flushes = [self._waiting.popleft() for _ in range(len(self._waiting))]
        left = len(self._urgent) + len(self._rest)
        while left > 0:
            items = self._take(left)
            if not items:
                break
            left -= len(items)
            self._write(items)
            self._sync_if_due()
            time.sleep(0)
        if self._sample and time.monotonic() >= self._sample_at:
            self._sample_at = time.monotonic() + self._sample_every
            self._sample()
        if flushes:
            is_durable = self._sync()
            for flush in flushes:
                flush.answer(is_durable)
        self._sync_if_due()

    def _take(self, left: int) -> list[Item]:
        most = BATCH_RECORDS if left > BEHIND_RECORDS else BATCH_RECORDS_CALM
        items = self._urgent.take(most)
        if items:
            self._is_urgent = True
            return items
        return self._rest.take(most)

    def _write(self, items: Sequence[Item]) -> None:
        lines: dict[Stream, list[bytes]] = {}
        for stream, facts, number, weight, _ in items:
            line = self._encoded(stream, facts, number, weight)
            if line is None:
                stream.tally.add(DROPPED + UNREADABLE)
            else:
                lines.setdefault(stream, []).append(bytes(memoryview(line)))  # orjson's own keep 8 KiB each
        for stream, batch in lines.items():
            stream.append(batch)
        self._is_unsynced = True

    def _encoded(self, stream: Stream, facts: Facts, number: int, weight: float) -> bytes | None:
        try:
            return stream.encode(facts, number, weight)
        except BaseException:  # noqa: BLE001 - a value may even raise CancelledError; it costs its own record only
            self.failures += 1
            return None

    def _sync_if_due(self) -> None:
        now = time.monotonic()
        if now >= (self._sync_at() if self._is_unsynced else self._synced_at + REST_SECONDS_MAX):
            self._sync()

    def _sync_at(self) -> float:
        return self._synced_at + (URGENT_SYNC_SECONDS if self._is_urgent else SYNC_SECONDS)

    def _sync(self) -> bool:
        """Make everything durable that was written; tell whether that is all there is."""
        self._is_urgent = self._is_unsynced = False
        is_durable = True
        for stream in self._streams:
            stream.publish()
            is_durable = (stream.spool is None or stream.spool.sync()) and is_durable
        self._synced_at = time.monotonic()
        return is_durable

    def _sleep(self, *, rest: bool) -> None:
        if not rest:
            self._bell.acquire(timeout=GATHER_SECONDS)
            return
        until = self._sync_at() if self._is_unsynced else self._synced_at + REST_SECONDS_MAX
        if self._sample:
            until = min(until, self._sample_at)
        self.resting = True
        if not self._urgent and not self._rest and not self._waiting:  # nobody came before the flag could be seen
            self._bell.acquire(timeout=max(until - time.monotonic(), 0.0))
        self.resting = False

    def _finish(self, deadline: float | None) -> None:
        """Write all, close the spools, tell who waits."""
        grace = time.monotonic() + _GRACE_SECONDS
        while self._urgent or self._rest or (self._is_missing() and time.monotonic() < grace):
            if deadline is not None and time.monotonic() >= deadline:
                break
            self._guarded_pass()
        self._guarded_pass()
        for stream in self._streams:
            self._close(stream)
        self.finished = True
        self._done.release()

    def _is_missing(self) -> bool:
        """Whether a number was given away whose record was not seen."""
        seen = sum(stream.on_disk + sum(stream.dropped.values()) + stream.held for stream in self._streams)
        return seen < sum(stream.accepted for stream in self._streams)

    def _close(self, stream: Stream) -> None:
        try:
            stream.publish()
            if stream.spool:
                stream.spool.close()
        except Exception:  # noqa: BLE001 - one spool's failure must not keep the others open
            self.failures += 1


class Flush:
    """Somebody who waits until what was put so far is on disk."""

    __slots__ = ("_is_on_disk", "_lock")

    def __init__(self) -> None:
        self._lock = _closed_lock()
        self._is_on_disk = False

    def answer(self, is_on_disk: bool) -> None:
        """Let the waiting thread go on."""
        self._is_on_disk = is_on_disk
        self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Return whether everything is on disk."""
        return self._lock.acquire(timeout=_within(timeout)) and self._is_on_disk


def _within(seconds: float) -> float:
    """Seconds that a lock can be waited for."""
    return min(max(seconds, 0.0), threading.TIMEOUT_MAX)


def _closed_lock() -> threading.Lock:
    """A lock that is taken: to wait for it is to wait for its release, which is safe in signal handlers too."""
    lock = threading.Lock()
    lock.acquire()
    return lock
