"""What of a source was not read: places, reasons and counts, and their share. Never content."""

from __future__ import annotations

from collections.abc import Mapping

from retrue.results import SetAside

ENTRIES_MAX = 100


class Tally:
    """Counts the lines, rows and files of one source that were read and that were set aside.

    Lines and rows of one file with the same reason are one entry, placed at the first of them.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], SetAside] = {}
        self._rows_read = self._rows_aside = 0
        self._bytes_read = self._bytes_aside = 0

    def read(self, *, rows: int = 0, size_bytes: int = 0) -> None:
        """Count rows of the span, and the bytes of the files they came from."""
        self._rows_read += rows
        self._bytes_read += size_bytes

    def set_aside_rows(self, name: str, reason: str, *, count: int = 1, line: int | None = None) -> None:
        """Set rows of a file aside; ``line`` is the first of them, from 1."""
        self._rows_aside += count
        self._enter(name, reason, f"{name}:{line}" if line else name, count)

    def set_aside_file(self, name: str, reason: str, *, size_bytes: int) -> None:
        """Set a whole file aside. ``size_bytes`` is what it weighs in the share: 0 where it cannot hold the span."""
        self._bytes_aside += size_bytes
        self._enter(name, reason, name, 1)

    def _enter(self, name: str, reason: str, place: str, count: int) -> None:
        if (name, reason) not in self._entries and len(self._entries) >= ENTRIES_MAX - 1:
            name = place = "elsewhere"
            reason = "more than is listed"
        earlier = self._entries.get((name, reason))
        place, before = (earlier.place, earlier.count) if earlier else (place, 0)
        self._entries[name, reason] = SetAside(place=place, reason=reason, count=before + count)

    @property
    def entries(self) -> tuple[SetAside, ...]:
        """At most 100 entries in order of file; the last gathers the rest."""
        by_file: Mapping[tuple[str, str], SetAside] = dict(sorted(self._entries.items()))
        return tuple(by_file.values())

    @property
    def share(self) -> float:
        """The larger of the shares of rows and of bytes set aside, in 0-1."""
        return max(_share(self._rows_aside, self._rows_read), _share(self._bytes_aside, self._bytes_read))


class Doubtful:
    """Bad lines of one file whose span is not known: they belong to a span when a good line next to them does.

    In a file without any good line they belong to every span.
    """

    def __init__(self, tally: Tally, name: str) -> None:
        self._tally, self._name = tally, name
        self._waiting: dict[str, tuple[int, int]] = {}
        self._inside: bool | None = None

    def bad(self, reason: str, *, line: int) -> None:
        """Remember a bad line."""
        first, count = self._waiting.get(reason, (line, 0))
        self._waiting[reason] = (first, count + 1)

    def good(self, *, inside: bool) -> None:
        """A good line follows, inside the span or not."""
        if self._waiting:
            if inside or self._inside:
                self._settle()
            self._waiting.clear()
        self._inside = inside

    def end(self) -> None:
        """No line follows."""
        if self._inside is not False:
            self._settle()
        self._waiting.clear()

    def _settle(self) -> None:
        for reason, (first, count) in self._waiting.items():
            self._tally.set_aside_rows(self._name, reason, count=count, line=first)


def _share(aside: int, read: int) -> float:
    return aside / (aside + read) if aside else 0.0
