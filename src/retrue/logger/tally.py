"""Counters of one process in a page of memory that is a file: what they say outlives a process that is killed.

The page has a mark of 64 bytes, then 63 slots of 64 bytes: a name in ASCII, padded with zeros to 56, and an unsigned
value of 8 bytes. The first slot is ``accepted``, the last sequence number given away. The file stays locked (flock)
while its process lives.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from retrue.logger.disk import Disk, Handle

ACCEPTED, SAMPLED_OUT = "accepted", "sampled_out"
DROPPED, SHED = "dropped.", "shed."
"""Beginnings of the names of counters, before a reason: of records with a number, and of those refused before they got one."""
FILE, NEW_FILE = "tally", ".tally"
PAGE_BYTES, SLOT_BYTES, NAME_BYTES = 4096, 64, 56
MAGIC = b"retrue tally 1\n".ljust(SLOT_BYTES, b"\0")
ACCEPTED_CELL = (2 * SLOT_BYTES - 8) // 8


class Tally:
    """Named counters. In memory at first; ``keep`` moves them into a file.

    Args:
        page: That memory, with room for 15 counters at least after its first 64 bytes, which are left alone; None: its own.
        kept: Called with the folder once the counters are there.

    ``cells[ACCEPTED_CELL] = seq`` is the cheap way to say which number was given away last: look ``cells`` up each time,
    since ``keep`` replaces it.
    """

    def __init__(self, page: memoryview | None = None, *, kept: Callable[[Handle], None] | None = None) -> None:
        self._page = mmap.mmap(-1, PAGE_BYTES) if page is None else page
        self._kept = kept
        self.cells = memoryview(self._page).cast("Q")
        self._cell_of: dict[str, int] = {}
        self._lock = threading.Lock()
        self._file: Handle | None = None
        self._earlier: list[
            mmap.mmap | memoryview
        ] = []  # kept: freed, each would close a descriptor that may be the host's by now
        self.add(ACCEPTED, 0)

    def add(self, name: str, count: int = 1) -> None:
        """Add to a counter; where there is no slot for its name, to ``dropped.other`` or ``shed.other``."""
        with self._lock:
            self.cells[self._cell(name)] += count

    def put(self, name: str, value: int) -> None:
        """Set a counter that another counts."""
        with self._lock:
            self.cells[self._cell(name)] = value

    def values(self) -> dict[str, int]:
        """Return every counter by name."""
        return {name: self.cells[cell] for name, cell in list(self._cell_of.items())}

    def reasons(self, beginning: str) -> dict[str, int]:
        """Return the counters whose names begin so, by reason; those at 0 are left out."""
        return _reasons(self.values(), beginning)

    def keep(self, disk: Disk, folder: Handle) -> None:
        """Move the counters into the file of a folder.

        Raises:
            OSError: It cannot be made; the counters stay where they are.
        """
        with contextlib.suppress(FileNotFoundError):
            disk.remove(NEW_FILE, folder)
        handle = disk.create(NEW_FILE, folder)
        try:
            page = disk.page(NEW_FILE, folder, PAGE_BYTES)
            page[:SLOT_BYTES], end = MAGIC, len(self._page)
            page[SLOT_BYTES:end] = self._page[SLOT_BYTES:end]
            disk.rename(NEW_FILE, FILE, folder)
        except OSError:
            disk.close(handle)
            raise
        cells = memoryview(page).cast("Q")
        with self._lock:
            earlier, self._file = self._file, handle
            self._earlier.append(self._page)
            page[SLOT_BYTES:end] = self._page[SLOT_BYTES:end]
            self._page, self.cells = page, cells  # one step with the line above: no number is stored in between
        if earlier:
            with contextlib.suppress(OSError):
                disk.close(earlier)
        if self._kept:
            self._kept(folder)

    def close(self, disk: Disk) -> None:
        """Let go of the file, and with it of the lock. The counters can still be read."""
        with contextlib.suppress(OSError):
            if self._file:
                disk.close(self._file)
        self._file = None

    def _cell(self, name: str) -> int:
        """Return the cell of a name; the name is written before its value, so that a reader sees no value without one."""
        cell = self._cell_of.get(name)
        if cell is not None:
            return cell
        slot = len(self._cell_of)
        other = (DROPPED if name.startswith(DROPPED) else SHED) + "other"
        if slot >= len(self._page) // SLOT_BYTES - 3 and name != other:
            return self._cell(other)
        start = SLOT_BYTES * (slot + 1)
        self._page[start : start + NAME_BYTES] = name.encode("ascii", "replace")[:NAME_BYTES].ljust(NAME_BYTES, b"\0")
        self._cell_of[name] = (start + NAME_BYTES) // 8
        return self._cell_of[name]


def read_tally(path: Path) -> dict[str, int]:
    """Return the counters of a file, none where it cannot be read or is no tally. Never raises."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            return parse_tally(file.read(PAGE_BYTES))
    except OSError:
        return {}


def parse_tally(page: bytes) -> dict[str, int]:
    """Return the counters of a page; a page that is none has no counters."""
    return parse_slots(page) if len(page) == PAGE_BYTES and page.startswith(MAGIC) else {}


def parse_slots(page: bytes) -> dict[str, int]:
    """Return the counters that follow the first 64 bytes."""
    values: dict[str, int] = {}
    for start in range(SLOT_BYTES, len(page), SLOT_BYTES):
        name = page[start : start + NAME_BYTES].rstrip(b"\0").decode("ascii", "replace")
        if not name:
            break
        (values[name],) = struct.unpack_from("=Q", page, start + NAME_BYTES)
    return values


def _reasons(values: Mapping[str, int], beginning: str) -> dict[str, int]:
    return {
        name.removeprefix(beginning): count for name, count in values.items() if count and name.startswith(beginning)
    }
