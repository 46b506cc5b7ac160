"""The background thread: takes records from the lanes in short strides, has them redacted and encoded, and writes them.

It sleeps while there is nothing to do, gathers for a moment while there is, and gives the interpreter's lock back after
each stride, so that a host that serves requests waits for at most one. Where the host lends moments for encoding, it only
writes, when a sync is due.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from retrue.logger.encoder import BATCH_RECORDS, Encoder
from retrue.logger.lanes import Item, Lane
from retrue.logger.streams import Stream

GATHER_SECONDS: Final = 0.02
DOZE_SECONDS, DOZE_RECORDS_MAX = 0.05, 64
"""Gathered for longer, where few come: that the thread wakes costs as much as three records."""
URGENT_SYNC_SECONDS: Final = 0.085
"""Between two syncs while there are failures: 12 a second at most, and none is later than 100 ms."""
SYNC_SECONDS: Final = 0.4
REST_SECONDS_MAX: Final = 5.0
"""At least so often an aged segment is looked at, and a failing disk tried again."""
PASSES_BEFORE_REST: Final = 10
BEHIND_RECORDS: Final = 512
STRIDE_RECORDS, STRIDES = 8, 32
"""A drain that is not behind encodes so many at a stretch, or as many more as bring it through in so many strides."""
STRIDE_SECONDS: Final = 0.0001
"""Pause after a stride. A host that waits for the interpreter's lock needs some time to wake: were the
lock only let go and taken again, as by `sleep(0)`, the host would wait through several strides."""
STARVED_SECONDS: Final = 0.002
"""A pause that took longer: the host computes without end and yields every 5 ms at the most, so that each stride must do more.
Else the queue would grow, and with it the memory that calls touch, out of the processor's caches."""
BREATH_SECONDS: Final = 0.005
"""Between two passes at least, should even one fail that had to sync."""
_GRACE_SECONDS = 0.1  # for a thread that has its number but has not appended yet
_START_AGAIN_SECONDS = 1.0


class Drain:
    """Empties two lanes into streams.

    Args:
        urgent: Failures and labels.
        rest: Successes.
        streams: Where records go; their spools are closed at the end.
        encoder: Makes lines of them.
        sample: Called every `sample_every` seconds while the thread lives; None: never.
        sample_every: Seconds.
        started: Called once in the thread.
    """

    def __init__(
        self,
        urgent: Lane,
        rest: Lane,
        streams: Sequence[Stream],
        encoder: Encoder,
        *,
        sample: Callable[[], None] | None = None,
        sample_every: float = 10.0,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        self._urgent, self._rest, self._streams, self._encoder = urgent, rest, streams, encoder
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
        self.dozing = False
        """Whether it must be woken for a failure, or when a lane fills."""
        self._failures = 0
        self._is_starved = False

    @property
    def failures(self) -> int:
        """Return how many exceptions passes and records raised, of which there should be none."""
        return self._failures + self._encoder.failures

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
        if self._is_own():
            return False
        flush = Flush()
        self._waiting.append(flush)
        self.wake()
        self._ring()
        return self._starting.locked() and flush.wait(timeout)

    def stop(self, timeout: float) -> None:
        """Have everything written and the spools closed, in the given seconds at most. What is left goes on behind."""
        self._stopping = True
        if self._is_own() or self.finished:
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

    def _is_own(self) -> bool:
        """Return whether this thread is the drain's, or reads a record in its stead: it would wait for itself."""
        return threading.get_ident() in (self.thread, self._encoder.reader)

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
        idle = lent = 0
        while not self._stopping:
            queued = len(self._urgent) + len(self._rest)
            lent, lent_before = self._encoder.lent_records, lent
            idle = 0 if queued or lent > lent_before else idle + 1
            self._guarded_pass()
            if idle >= PASSES_BEFORE_REST:
                self._sleep()
            elif lent - lent_before > queued:
                self._is_unsynced = True
                self._doze(SYNC_SECONDS)
            elif queued < BEHIND_RECORDS:  # else as much has come meanwhile
                self._doze(DOZE_SECONDS if queued < DOZE_RECORDS_MAX else GATHER_SECONDS)
        self._finish(None)

    def _guarded_pass(self) -> None:
        try:
            self._pass()
        except BaseException:  # noqa: BLE001 - the thread must outlive whatever a record or a disk does to one pass
            self._failures += 1

    def _pass(self) -> None:
        """Write what is queued now; what is put meanwhile is for the next pass."""
        flushes = [self._waiting.popleft() for _ in range(len(self._waiting))]
        left = len(self._urgent) + len(self._rest)
        while left > 0:
            most, pause = stride(left, is_hurried=bool(flushes) or self._stopping, is_starved=self._is_starved)
            items = self._take(most)
            if not items:
                break
            left -= len(items)
            self._encoder.encode(items)
            self._is_unsynced = True
            if self._is_sync_due():
                self._sync()
            self._pause(pause)
        if flushes or self._is_sync_due():
            is_durable = self._sync()
            for flush in flushes:
                flush.answer(is_durable)
        else:
            self._encoder.write()
        if self._sample and time.monotonic() >= self._sample_at:
            self._sample_at = time.monotonic() + self._sample_every
            self._sample()

    def _pause(self, seconds: float) -> None:
        began = time.monotonic()
        time.sleep(seconds)
        self._is_starved = time.monotonic() - began > STARVED_SECONDS

    def _take(self, most: int) -> list[Item]:
        items = self._urgent.take(most)
        if items:
            self._is_urgent = True
            return items
        return self._rest.take(most)

    def _is_sync_due(self) -> bool:
        return time.monotonic() >= (self._sync_at() if self._is_unsynced else self._synced_at + REST_SECONDS_MAX)

    def _sync_at(self) -> float:
        return self._synced_at + (URGENT_SYNC_SECONDS if self._is_urgent else SYNC_SECONDS)

    def _sync(self) -> bool:
        """Make everything durable that was written; tell whether that is all there is."""
        self._is_urgent = self._is_unsynced = False
        is_durable = True
        for stream in self._streams:
            stream.publish()
            is_durable = stream.sync(self._encoder.taken(stream)) and is_durable
        self._synced_at = time.monotonic()
        return is_durable

    def _doze(self, seconds: float) -> None:
        """Sleep until so many seconds are over, a sync is due, a failure comes, or a lane fills.

        While failures wait for a sync it sleeps for `GATHER_SECONDS` at most, and nobody wakes it: another one is in time for that sync.
        """
        if self._is_unsynced:
            seconds = min(seconds, max(self._sync_at() - time.monotonic(), BREATH_SECONDS))
        if self._is_urgent:
            self._bell.acquire(timeout=min(seconds, GATHER_SECONDS))
            return
        self.dozing = True
        if not self._urgent and not self._waiting:  # nobody came before the flag could be seen
            self._bell.acquire(timeout=seconds)
        self.dozing = False

    def _sleep(self) -> None:
        """Sleep until a record comes, or there is something to do all the same."""
        until = self._sync_at() if self._is_unsynced else self._synced_at + REST_SECONDS_MAX
        if self._sample:
            until = min(until, self._sample_at)
        self.resting = True
        if not self._urgent and not self._rest and not self._waiting:  # as above
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
            stream.write()
            if stream.spool:
                stream.spool.close()
        except Exception:  # noqa: BLE001 - one spool's failure must not keep the others open
            self._failures += 1


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


def stride(left: int, *, is_hurried: bool, is_starved: bool) -> tuple[int, float]:
    """Return how many records are encoded before the host gets the interpreter's lock, and the seconds it gets.

    Args:
        left: Records that wait.
        is_hurried: Whether somebody waits for the disk.
        is_starved: Whether the host kept the lock for long.

    >>> stride(20, is_hurried=False, is_starved=False), stride(20, is_hurried=True, is_starved=False)
    ((8, 0.0001), (64, 0.0))
    """
    if is_hurried or left > BEHIND_RECORDS:
        return BATCH_RECORDS, 0.0
    return BATCH_RECORDS if is_starved else STRIDE_RECORDS + left // STRIDES, STRIDE_SECONDS


def _within(seconds: float) -> float:
    """Seconds that a lock can be waited for."""
    return min(max(seconds, 0.0), threading.TIMEOUT_MAX)


def _closed_lock() -> threading.Lock:
    """A lock that is taken: to wait for it is to wait for its release, which is safe in signal handlers too."""
    lock = threading.Lock()
    lock.acquire()
    return lock
