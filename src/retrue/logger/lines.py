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
        begins, ends: Their earliest and latest time in ns, 0 without a record.
    """

    __slots__ = ("_done", "_run", "begins", "contents", "ends", "size")

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.size = self.begins = self.ends = 0
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
        return [*self._done, Run(*self._run)] if self._run[0] >= 0 else self._done

    def add(self, payload: bytes) -> None:
        """Append a record's JSON, which has no newline in it and begins with ``{"seq":…,``."""
        self._add(encode_line(payload), place_of(payload))

    def _add(self, content: bytes, place: tuple[int, int] | None) -> None:
        self.contents.append(content)
        self.size += len(content)
        if place is None:
            return
        number, at = place
        run = self._run
        if number == run[1] + 1 and run[0] >= 0:
            run[1], run[3] = number, at
        else:
            self._done, self._run = list(self.runs), [number, number, at, at]
        if at < self.begins or not self.begins:
            self.begins = at
        if at > self.ends:
            self.ends = at

    def extend(self, other: Lines) -> None:
        """Append records, which are no longer the other's."""
        if not self.contents:
            self.contents, self._done, self._run = other.contents, list(other._done), other._run
            self.begins, self.ends = other.begins, other.ends
        elif other.contents:
            self.contents += other.contents
            self._done, self._run = [*self.runs, *other._done], other._run
            self.begins, self.ends = min(self.begins, other.begins), max(self.ends, other.ends)
        self.size += other.size

    def first(self, most: int) -> Lines:
        """Return at most so many from the beginning: itself, where there are no more."""
        return self if most >= len(self) else _again(self.contents[:most])

    def without(self, first: Lines) -> Lines:
        """Return what follows those at the beginning."""
        return Lines() if first is self else _again(self.contents[len(first) :])

    def kept(self, is_kept: Callable[[bytes], bool]) -> Lines:
        """Return those whose bytes are to be kept; each is asked about once, in order."""
        return _again([content for content in self.contents if is_kept(content)])


def _again(contents: Sequence[bytes]) -> Lines:
    lines = Lines()
    for content in contents:
        lines._add(content, place_of(payload_of(content)))
    return lines
