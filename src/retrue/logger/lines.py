"""Records on their way into a segment: encoded, framed, and not written yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Self

from retrue.logger.runs import Run
from retrue.logger.segments import encode_line, payload_of, place_of


class Lines:
    """Records in their order, with what a segment's footer says of them.

    It is noted as they come: while they are written the host waits for the interpreter's lock, and to touch each of hundreds
    once more costs as many misses of the processor's caches. Bytes are nothing that the garbage collector looks through.

    Attributes:
        contents: Their bytes, as a segment has them.
        size: The sum of these.
    """

    __slots__ = ("_begins", "_done", "_ends", "_noted", "_run", "contents", "size")

    def __init__(self, contents: list[bytes] | None = None) -> None:
        self.contents: list[bytes] = contents or []
        self.size = sum(map(len, self.contents))
        self._noted = self._begins = self._ends = 0
        self._done: list[Run] = []
        self._run = [-1, -1, -1, -1]

    @classmethod
    def of(cls, payloads: Iterable[bytes]) -> Self:
        """Return the lines of records' JSON.

        >>> Lines.of([b'{"seq":1,"time":5}']).contents
        [b'183c63bb {"seq":1,"time":5}\\n']
        """
        lines = cls()
        for payload in payloads:
            lines.add(payload)
        return lines

    def __len__(self) -> int:
        return len(self.contents)

    @property
    def runs(self) -> Sequence[Run]:
        """Return their sequence numbers, as they came.

        >>> Lines.of([b'{"seq":1,"time":5}', b'{"seq":2,"time":6}', b'{"seq":9,"time":7}']).runs
        [Run(first=1, last=2, begins=5, ends=6), Run(first=9, last=9, begins=7, ends=7)]
        """
        self._catch_up()
        return self._runs()

    @property
    def span(self) -> tuple[int, int]:
        """Return their earliest and latest time in ns, 0 without a record."""
        self._catch_up()
        return self._begins, self._ends

    def add(self, payload: bytes) -> None:
        """Append a record's JSON, which has no newline in it and begins with ``{"seq":…,``."""
        content, place = encode_line(payload), place_of(payload)
        is_noted = self._noted == len(self.contents)
        self.contents.append(content)
        self.size += len(content)
        if is_noted:
            self._note(place)

    def extend(self, other: Lines) -> None:
        """Append records, which are no longer the other's."""
        is_noted = self._noted == len(self) and other._noted == len(other)
        if is_noted and len(other):
            self._done = [*self._runs(), *other._done] if self.contents else list(other._done)
            self._run, self._noted = other._run, self._noted + other._noted
            self._begins = min(self._begins, other._begins) if self._begins else other._begins
            self._ends = max(self._ends, other._ends)
        if self.contents:
            self.contents += other.contents
        else:
            self.contents = other.contents
        self.size += other.size

    def first(self, most: int) -> Lines:
        """Return at most so many from the beginning: itself, where there are no more."""
        return self if most >= len(self) else Lines(self.contents[:most])

    def without(self, first: Lines) -> Lines:
        """Return what follows those at the beginning."""
        return Lines() if first is self else Lines(self.contents[len(first) :])

    def kept(self, is_kept: Callable[[bytes], bool]) -> Lines:
        """Return those whose bytes are to be kept; each is asked about once, in order."""
        return Lines([content for content in self.contents if is_kept(content)])

    def _catch_up(self) -> None:
        """Note those that were taken out of others."""
        for content in self.contents[self._noted :]:
            self._note(place_of(payload_of(content)))

    def _note(self, place: tuple[int, int] | None) -> None:
        if place is None:
            self._noted += 1
            return
        number, at = place
        run = self._run
        if number == run[1] + 1 and run[0] >= 0:
            run[1], run[3] = number, at
        else:
            self._done, self._run = self._runs(), [number, number, at, at]
        if at < self._begins or not self._begins:
            self._begins = at
        if at > self._ends:
            self._ends = at
        self._noted += 1

    def _runs(self) -> list[Run]:
        return [*self._done, Run(*self._run)] if self._run[0] >= 0 else self._done
