"""One segment while it is being written."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from retrue.logger.disk import Disk, Handle
from retrue.logger.runs import Runs
from retrue.logger.segments import OPEN, SEALED, Header, counts_line, encode_lines, footer_of, place_of


class OpenSegment:
    """A file that lines are appended to.

    Attributes:
        size: Its bytes.
        records: How many it holds.
        unsynced: Those of which a power failure could take.
        unsynced_bytes: Their size.
    """

    def __init__(self, disk: Disk, folder: Handle, header: Header, counts: Mapping[str, int]) -> None:
        self._disk, self._folder, self._header = disk, folder, header
        self._name = f"{header.number:08d}"
        self._handle = disk.create(self._name + OPEN, folder)
        self._runs = Runs()
        self._begins = self._ends = 0
        self._counts = dict(counts)
        self.size = self.records = self.unsynced_bytes = 0
        self.unsynced: list[bytes] = []
        try:
            self._append(header.line(counts))
        except OSError:
            self.leave()
            raise

    @property
    def opened_at(self) -> int:
        return self._header.opened_at

    def write(self, lines: Sequence[bytes]) -> None:
        """Append records, all or none.

        Raises:
            OSError: They could not be written; what was is cut off again, where that can be done.
        """
        content = encode_lines(lines)
        self._append(content)
        self.unsynced += lines
        self.unsynced_bytes += len(content)
        self.records += len(lines)
        for line in lines:
            self._see(line)

    def has_news(self, counts: Mapping[str, int]) -> bool:
        """Tell whether there are records or counters that are not on the device."""
        return bool(self.unsynced) or dict(counts) != self._counts

    def sync(self, counts: Mapping[str, int]) -> None:
        """Return when everything is on the device, with the counters if there are any and they have changed."""
        if counts and dict(counts) != self._counts:
            self._append(counts_line(counts))
            self._counts = dict(counts)
        self._disk.sync(self._handle)
        self.unsynced, self.unsynced_bytes = [], 0

    def seal(self, counts: Mapping[str, int]) -> None:
        """Write the footer and give the file its final name, durably."""
        footer = footer_of(self._runs, records=self.records, begins=self._begins, ends=self._ends, counts=counts)
        self._append(footer.line(self._header) if footer else counts_line(counts))
        self._disk.sync(self._handle)
        self.unsynced, self.unsynced_bytes = [], 0
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
            return self._disk.links(self._handle) == 0
        except OSError:
            return False

    def close(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(OSError):
            self._disk.close(self._handle)

    def _append(self, content: bytes) -> None:
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[self._disk.write(self._handle, bytes(rest) if len(rest) < len(content) else content) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._disk.truncate(self._handle, self.size)
            raise
        self.size += len(content)

    def _see(self, line: bytes) -> None:
        place = place_of(line)
        if place is None:
            return
        number, at = place
        self._runs.add(number, at)
        self._begins = min(self._begins or at, at)
        self._ends = max(self._ends, at)
