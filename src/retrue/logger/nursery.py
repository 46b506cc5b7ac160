"""Where a forked child counts until it has a tally of its own: a place in memory that is a file and that its parent mapped.

A child cannot make a file while its host waits, and what it accepts before its writing thread has made one would vanish
with a ``kill -9``. It inherits this memory instead, and the kernel keeps what is written there.

The file has 64 places of 1024 bytes. A place begins with 64 bytes: a mark, the name of the child's boot, its process id;
what follows are slots as in a tally. A place without the mark is free. Locks of fcntl, which end with their process, tell
who lives: a child holds its place until it has moved out, and all who were forked share the byte behind the last place.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from retrue.logger.disk import Disk, Handle, try_lock
from retrue.logger.tally import ACCEPTED, ACCEPTED_CELL, SLOT_BYTES, Tally, parse_slots

FILE: Final = "nursery"
PLACES: Final = 64
PLACE_BYTES: Final = 1024
NURSERY_BYTES: Final = PLACES * PLACE_BYTES
_MARK = b"retrue nursery 1\n"
_HEAD = struct.Struct(f"={len(_MARK)}s16s{SLOT_BYTES - len(_MARK) - 24}xQ")  # mark, boot, process id
_BOOT = re.compile(rb"[0-9a-f]{16}")
_FREE = bytes(SLOT_BYTES)


class _Shared(NamedTuple):
    """The file, as every process has it that descends from its maker."""

    handle: Handle
    page: mmap.mmap


class Nursery:
    """The places for the children of one logger. It is made with the first folder that the logger opens.

    Nothing here raises, and what a fork runs in the child is memory and two locks. Children that find no place, and
    those on file systems without locks, count in their own memory.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._shared: _Shared | None = None
        self._earlier: list[mmap.mmap] = []  # kept: freed, each would close a descriptor that may be the host's by now

    def tally(self, boot: str) -> Tally:
        """Return the tally of a process that begins: in a place if it was forked, in memory of its own if not."""
        shared = self._shared
        number = self._taken(shared, boot) if shared else None
        if shared is None or number is None:
            return Tally(kept=self._keep)
        return Tally(_place(shared, number), kept=partial(self._move, shared, number))

    def close(self) -> None:
        """Let go of the file: processes that are forked later have no place."""
        shared, self._shared = self._shared, None
        if shared:
            self._earlier.append(shared.page)
            with suppress(OSError):
                self._disk.close(shared.handle)

    def _keep(self, folder: Handle) -> None:
        """Make the file, unless there is one that still has a name."""
        with suppress(OSError):
            if self._shared and not self._disk.is_removed(self._shared.handle):
                return
        self.close()
        with suppress(OSError):
            self._shared = self._made(folder)

    def _made(self, folder: Handle) -> _Shared:
        handle = self._disk.create_unlocked(FILE, folder)
        try:
            page = self._disk.page(FILE, folder, NURSERY_BYTES)
            self._disk.lock(handle, LOCK_SH, NURSERY_BYTES, 1)
        except OSError:
            self._disk.close(handle)
            self._disk.remove(FILE, folder)
            raise
        return _Shared(handle, page)

    def _taken(self, shared: _Shared, boot: str) -> int | None:
        """Return the place that this process holds from now on, None where it gets none."""
        with suppress(OSError):
            if self._disk.lock(shared.handle, LOCK_SH, NURSERY_BYTES, 1):
                return next((number for number in range(PLACES) if self._takes(shared, number, boot)), None)
        return None

    def _takes(self, shared: _Shared, number: int, boot: str) -> bool:
        place, start = _place(shared, number), number * PLACE_BYTES
        if not _is_free(place) or not self._disk.lock(shared.handle, LOCK_EX, start, PLACE_BYTES):
            return False
        if not _is_free(place):  # somebody was faster, and is dead
            self._disk.lock(shared.handle, LOCK_UN, start, PLACE_BYTES)
            return False
        place[:] = _HEAD.pack(_MARK, boot.encode(), os.getpid()).ljust(PLACE_BYTES, b"\0")
        return True

    def _move(self, shared: _Shared, number: int, folder: Handle) -> None:
        """Give a place back: its child has a file."""
        _place(shared, number)[:SLOT_BYTES] = _FREE
        with suppress(OSError):
            self._disk.lock(shared.handle, LOCK_UN, number * PLACE_BYTES, PLACE_BYTES)
        self._keep(folder)


def _place(shared: _Shared, number: int) -> memoryview:
    return memoryview(shared.page)[number * PLACE_BYTES : (number + 1) * PLACE_BYTES]


def _is_free(place: memoryview) -> bool:
    """Tell whether nobody has a place, or somebody who is gone and accepted nothing."""
    mark, _, pid = _HEAD.unpack_from(place)
    return bool(mark != _MARK or (not place.cast("Q")[ACCEPTED_CELL] and _is_gone(pid)))


def _is_gone(pid: int) -> bool:
    """Tell whether no process has an id; a lock does not say it, where a child has closed all of its descriptors."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


# ---------------------------------------------------------------- reading


def read_nursery(path: Path) -> dict[str, Mapping[str, int]]:
    """Return the counters of the children that died in their places after they had accepted something, by boot.

    None where the file cannot be read. Never raises.
    """
    found: dict[str, Mapping[str, int]] = {}
    with suppress(OSError), _opened(path, os.O_RDONLY) as fd:
        for start in range(0, NURSERY_BYTES, PLACE_BYTES):
            if not _said(fd, start) or not try_lock(fd, LOCK_SH, start, PLACE_BYTES):
                continue
            found.update(_said(fd, start))  # once more: it may have moved out, but nobody moves in now
            try_lock(fd, LOCK_UN, start, PLACE_BYTES)
    return found


def forget_children(path: Path, boots: Collection[str]) -> None:
    """Free the places of children that have died.

    Raises:
        OSError: The file cannot be written.
    """
    with _opened(path, os.O_RDWR) as fd:
        for start in range(0, NURSERY_BYTES, PLACE_BYTES):
            if any(boot in boots for boot in _said(fd, start)):
                os.pwrite(fd, _FREE, start)


def is_deserted(path: Path) -> bool:
    """Tell whether all are gone who could take a place, or have one."""
    try:
        with _opened(path, os.O_RDWR) as fd:
            return try_lock(fd, LOCK_EX, 0, NURSERY_BYTES + 1)
    except OSError:
        return False


@contextmanager
def _opened(path: Path, how: int) -> Iterator[int]:
    fd = os.open(path, how | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _said(fd: int, start: int) -> dict[str, Mapping[str, int]]:
    """Return the counters of a place by its boot, nothing where it is free or nothing was accepted."""
    place = os.pread(fd, PLACE_BYTES, start)
    if len(place) != PLACE_BYTES:
        return {}
    mark, boot, _ = _HEAD.unpack_from(place)
    counts = parse_slots(place)
    return {boot.decode(): counts} if mark == _MARK and _BOOT.fullmatch(boot) and counts.get(ACCEPTED) else {}
