"""One segment while it is being written."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Mapping, Sequence

from retrue.logger.disk import PARTS_MAX, Disk, Handle
from retrue.logger.lines import Lines
from retrue.logger.runs import Runs
from retrue.logger.segments import OPEN, SEALED, Header, counts_line, footer_of


class OpenSegment:
    """A file that lines are appended to.

    Attributes:
        size: Its bytes.
        records: How many it holds.
        unsynced: Those of which a power failure could take.
    """

    def __init__(self, disk: Disk, folder: Handle, header: Header, counts: Mapping[str, int]) -> None:
        self._disk, self._folder, self._header = disk, folder, header
        self._name = f"{header.number:08d}"
        self._handle = disk.create(self._name + OPEN, folder)
        self._runs = Runs()
        self._begins = self._ends = 0
        self._counts = dict(counts)
        self._is_durable = self._is_doubtful = False
        self.size = self.records = 0
        self.unsynced = Lines()
        try:
            self._append(Lines(), header.line(counts))
        except OSError:
            self.leave()
            raise

    @property
    def opened_at(self) -> int:
        return self._header.opened_at

    def write(self, lines: Lines) -> None:
        """Append records, all or none.

        Raises:
            OSError: They could not be written; what was is cut off again, where that can be done.
        """
        self._append(lines)
        self._saw(lines)
        self.unsynced.extend(lines)

    def write_durably(self, lines: Lines, counts: Mapping[str, int]) -> None:
        """Append records and the counters, and return when everything is on the device.

        Raises:
            OSError: They may not be there, nor what was written before; what can be is cut off again.
        """
        is_first = not self._is_durable
        self._append(lines, self._news(counts), durably=not is_first)
        if is_first:
            self._sync()
        self._counts = dict(counts)
        self._saw(lines)

    def has_news(self, counts: Mapping[str, int]) -> bool:
        """Tell whether there are records or counters that are not on the device."""
        return not self._is_durable or dict(counts) != self._counts

    def sync(self, counts: Mapping[str, int]) -> None:
        """Return when everything is on the device, with the counters if there are any and they have changed."""
        if counts:
            self._append(Lines(), self._news(counts))
            self._counts = dict(counts)
        self._sync()

    def seal(self, counts: Mapping[str, int]) -> None:
        """Write the footer and give the file its final name, durably."""
        footer = footer_of(self._runs, records=self.records, begins=self._begins, ends=self._ends, counts=counts)
        self._append(Lines(), footer.line(self._header) if footer else counts_line(counts))
        self._sync()
        self._disk.rename(self._name + OPEN, self._name + SEALED, self._folder)
        self._disk.sync_folder(self._folder)
        self.close()

    def leave(self) -> None:
        """Let go of a file that cannot be written: what is in it stays to be read, as far as it is sound."""
        with contextlib.suppress(OSError):
            if self.records:
                self._disk.rename(self._name + OPEN, self._name + SEALED, self._folder)
            else:
                self._disk.remove(self._name + OPEN, self._folder)
        self.close()

    def is_gone(self) -> bool:
        """Tell whether somebody removed the file."""
        try:
            return self._disk.is_removed(self._handle)
        except OSError:
            return False

    def close(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(OSError):
            self._disk.close(self._handle)

    def _append(self, lines: Lines, last: bytes = b"", *, durably: bool = False) -> None:
        contents: Sequence[bytes] = [*lines.contents, last]
        size = left = sum(map(len, contents))
        write = self._disk.write_durably if durably else self._disk.write
        try:
            while left > 0:
                written = write(self._handle, contents if len(contents) <= PARTS_MAX else contents[:PARTS_MAX])
                left -= written
                contents = _without(contents, written) if left else ()
        except OSError:
            self._is_doubtful = self._is_doubtful or durably
            with contextlib.suppress(OSError):
                self._disk.truncate(self._handle, self.size)
            raise
        self.size += size
        self._is_durable = durably

    def _sync(self) -> None:
        """A second sync would report success for pages that were thrown away by the first, which failed."""
        if self._is_doubtful:
            raise OSError(errno.EIO, "a sync of this file has failed")
        self._is_doubtful = True
        self._disk.sync(self._handle)
        self._is_doubtful = False
        self.unsynced = Lines()
        self._is_durable = True

    def _news(self, counts: Mapping[str, int]) -> bytes:
        return b"" if dict(counts) == self._counts else counts_line(counts)

    def _saw(self, lines: Lines) -> None:
        if not lines:
            return
        self.records += len(lines)
        for run in lines.runs:
            self._runs.merge(run)
        begins, ends = lines.span
        self._begins = min(self._begins or begins, begins)
        self._ends = max(self._ends, ends)


def _without(contents: Sequence[bytes], written: int) -> Sequence[bytes]:
    """Return what follows so many bytes; they are not joined, since memory that comes and goes by the 100 KB costs page faults.

    >>> _without([b"ab", b"cd", b"e"], 3)
    [b'd', b'e']
    """
    for place, content in enumerate(contents):
        if written < len(content):
            return [content[written:], *contents[place + 1 :]]
        written -= len(content)
    return []
