"""Records on their way into a segment: encoded, framed, and not written yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress
from typing import Self

from retrue.logger.segments import encode_line, place_of


class Lines:
    """Records in their order, in columns: the garbage collector, which works in the host's threads, looks through no lists of bytes.

    Attributes:
        contents: Their bytes, as a segment has them.
        numbers: Their sequence numbers; None: a record has none.
        times: Theirs, in ns; 0: a record has none.
    """

    __slots__ = ("contents", "numbers", "times")

    def __init__(
        self, contents: Sequence[bytes] = (), numbers: Sequence[int | None] = (), times: Sequence[int] = ()
    ) -> None:
        self.contents, self.numbers, self.times = list(contents), list(numbers), list(times)

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
    def size(self) -> int:
        """Return their bytes."""
        return sum(map(len, self.contents))

    def add(self, payload: bytes) -> None:
        """Append a record's JSON, which has no newline in it and begins with ``{"seq":…,``."""
        number, at = place_of(payload) or (None, 0)
        self.numbers.append(number)
        self.times.append(at)
        self.contents.append(encode_line(payload))

    def extend(self, other: Lines) -> None:
        """Append records."""
        self.contents += other.contents
        self.numbers += other.numbers
        self.times += other.times

    def first(self, most: int) -> Lines:
        """Return at most so many from the beginning."""
        return Lines(self.contents[:most], self.numbers[:most], self.times[:most])

    def leave(self, count: int) -> None:
        """Take so many out at the beginning."""
        del self.contents[:count], self.numbers[:count], self.times[:count]

    def kept(self, is_kept: Callable[[bytes], bool]) -> Lines:
        """Return those whose bytes are to be kept; each is asked about once, in order."""
        which = [is_kept(content) for content in self.contents]
        return Lines(
            list(compress(self.contents, which)), list(compress(self.numbers, which)), list(compress(self.times, which))
        )

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield number and time of those that have a number."""
        return ((number, at) for number, at in zip(self.numbers, self.times, strict=True) if number is not None)
