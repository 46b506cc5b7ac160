"""Has records redacted and encoded into the lines of their streams: in the drain's thread, or in a moment that the host lends."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from retrue.logger.calls import Facts, Plain
from retrue.logger.lanes import Item, Lane
from retrue.logger.lines import Lines
from retrue.logger.streams import UNREADABLE, Stream
from retrue.logger.tally import DROPPED

LENT_RECORDS: Final = 2
"""Encoded in a moment that is lent: more than a call brings, so that what waits gets less."""
BATCH_RECORDS: Final = 64
"""Encoded at a stretch at most."""
LENT_BYTES_MAX: Final = 4 * 2**20
"""Gathered in lent moments at most, while a disk hangs: what comes then waits in its lane, which is bounded."""
GATHERED_RECORDS: Final = 256
"""Written at once from there on: some milliseconds of encoding, and few operations on the file, each of which is a turn for the host."""


class Encoder:
    """Encodes one record at a time, in whatever thread.

    Args:
        streams: Where the lines are gathered.
        is_quick: Whether every record takes microseconds, so that a host's thread may encode one.

    Attributes:
        reader: The ident of the thread that reads values of the host now, whose code may log in turn; 0: none does.
        lent_records: Encoded in moments that were lent.
        failures: Exceptions that values of the host raised and no rule caught.
        signal: What a signal handler of the host raised in a lent moment; it is the host's.
    """

    __slots__ = ("_lock", "_streams", "failures", "is_quick", "lent_records", "reader", "signal")

    def __init__(self, streams: Sequence[Stream], *, is_quick: bool) -> None:
        self._streams = streams
        self._lock = threading.Lock()
        self.is_quick = is_quick
        self.reader = 0
        self.lent_records = 0
        self.failures = 0
        self.signal: BaseException | None = None

    def encode(self, items: Sequence[Item]) -> None:
        """Encode records into the lines of their streams; many lines are written."""
        with self._lock:
            self.reader = threading.get_ident()
            for item in items:
                self._encode(item)
            self.reader, self.signal = 0, None
            for stream in self._streams:
                if len(stream.lines) >= GATHERED_RECORDS:
                    stream.write()

    def lend(self, lane: Lane) -> None:
        """Encode a few of a lane's records, where the drain does not do so at this moment. Nothing is written."""
        if not self.is_quick or lane.is_heavy or any(stream.lines.size >= LENT_BYTES_MAX for stream in self._streams):
            return
        if not self._lock.acquire(blocking=False):
            return
        try:
            self.reader = threading.get_ident()
            for _ in range(LENT_RECORDS):
                for item in lane.take(1):
                    self.lent_records += 1
                    self._encode(item)
                if self.signal:
                    raise self.signal
        finally:
            self.signal = None
            self.reader = 0
            self._lock.release()

    def write(self) -> None:
        """Write all lines that were gathered; waits for a moment that is being lent."""
        with self._lock:
            for stream in self._streams:
                stream.write()

    def taken(self, stream: Stream) -> Lines:
        """Return the lines that were gathered of a stream, which are its caller's from now on; waits likewise."""
        with self._lock:
            return stream.taken()

    def _encode(self, item: Item) -> None:
        stream, facts, number, weight, _ = item
        line = self._line(stream, facts, number, weight)
        if line is None:
            stream.tally.add(DROPPED + UNREADABLE)
        else:
            stream.lines.add(line)

    def _line(self, stream: Stream, facts: Facts | Plain, number: int, weight: float) -> bytes | None:
        try:
            return stream.encode(facts, number, weight)
        except BaseException as error:  # noqa: BLE001 - a value may even raise CancelledError; it costs its own record only
            self.failures += 1
            self.signal = error if isinstance(error, (KeyboardInterrupt, SystemExit)) else None
            return None
