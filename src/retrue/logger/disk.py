"""The file operations of a spool: one seam, with a double that fails as it is told.

Files and folders are handled by descriptors that know which file they stand for, so that a descriptor which the host
has closed and that the system gave to another file is never written to. Symbolic links are not followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

FOLDER_MODE, FILE_MODE = 0o700, 0o600
PARTS_MAX = 1024
"""In one write, as POSIX systems have it."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_DURABLE: int = getattr(os, "RWF_DSYNC", 0)
_AT_THE_END = -1
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class Handle(NamedTuple):
    """An open descriptor and the file it stands for; ``has_links``: its file system counts a file's names."""

    fd: int
    device: int
    inode: int
    has_links: bool


class Disk:
    """The real file system. Every method raises OSError where the operation fails."""

    def folder(self, path: str, within: Handle | None = None) -> Handle:
        """Open a folder, made with mode 0700 where it is absent; a symbolic link in its place is an error."""
        at = within.fd if within else None
        if within is None:
            os.makedirs(os.path.dirname(path) or ".", mode=FOLDER_MODE, exist_ok=True)  # noqa: PTH103, PTH120
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, FOLDER_MODE, dir_fd=at)
        return _handle(os.open(path, _FOLDER, dir_fd=at))

    def create(self, name: str, folder: Handle) -> Handle:
        """Make a file of mode 0600 that did not exist, locked for as long as it is open."""
        handle = self.create_unlocked(name, folder)
        with contextlib.suppress(OSError):  # file systems without locks
            fcntl.flock(handle.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle

    def create_unlocked(self, name: str, folder: Handle) -> Handle:
        """Make a file of mode 0600 that did not exist."""
        return _handle(os.open(name, _NEW, FILE_MODE, dir_fd=folder.fd))

    def lock(self, handle: Handle, how: int, start: int, size: int) -> bool:
        """Lock or unlock bytes of a file as `try_lock` does."""
        self.check(handle)
        return try_lock(handle.fd, how, start, size)

    def write(self, handle: Handle, contents: Sequence[bytes]) -> int:
        """Append the bytes of these, of `PARTS_MAX` at most, perhaps not all; return how many."""
        self.check_named(handle)
        return os.writev(handle.fd, contents)

    def write_durably(self, handle: Handle, contents: Sequence[bytes]) -> int:
        """Append as `write` does, and return when these bytes are on the device: in one operation, where the system has it."""
        self.check_named(handle)
        if _DURABLE:
            try:
                return os.pwritev(handle.fd, contents, _AT_THE_END, _DURABLE)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
        written = os.writev(handle.fd, contents)
        os.fdatasync(handle.fd)
        return written

    def truncate(self, handle: Handle, size: int) -> None:
        """Cut a file."""
        self.check(handle)
        os.ftruncate(handle.fd, size)

    def sync(self, handle: Handle) -> None:
        """Return when the content is on the device."""
        self.check_named(handle)
        os.fdatasync(handle.fd)

    def sync_folder(self, handle: Handle) -> None:
        """Return when the names in a folder are on the device."""
        self.check(handle)
        os.fsync(handle.fd)

    def rename(self, old: str, new: str, folder: Handle) -> None:
        """Give a file of a folder another name, in place of a file that has it."""
        os.rename(old, new, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)

    def remove(self, name: str, folder: Handle) -> None:
        """Remove a file of a folder."""
        os.unlink(name, dir_fd=folder.fd)

    def page(self, name: str, folder: Handle, size: int) -> mmap.mmap:
        """Return a file of a folder as memory. Its blocks are allocated first: a write to it cannot fail for lack of space.

        It is opened once more for this: a mapping keeps its descriptor, which must not keep a lock alive.
        """
        fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder.fd)
        try:
            os.posix_fallocate(fd, 0, size)
            return mmap.mmap(fd, size)
        finally:
            os.close(fd)

    def is_removed(self, handle: Handle) -> bool:
        """Return whether an open file has no name any more; some file systems never say so."""
        return self.check(handle).st_nlink == 0 and handle.has_links

    def close(self, handle: Handle) -> None:
        """Close a descriptor, unless it has come to stand for another file."""
        self.check(handle)
        os.close(handle.fd)

    def check(self, handle: Handle) -> os.stat_result:
        """Return what the system says of a file; raise OSError where the descriptor has come to stand for another."""
        status = os.fstat(handle.fd)
        if (status.st_dev, status.st_ino) != (handle.device, handle.inode):
            raise OSError(errno.EBADF, "the descriptor was closed and stands for another file now")
        return status

    def check_named(self, handle: Handle) -> None:
        """Raise OSError where that is so, or the file was removed."""
        if self.is_removed(handle):
            raise FileNotFoundError(errno.ENOENT, "the file was removed")


class FaultyDisk(Disk):
    """A disk for tests: ``faults`` maps an operation to what runs before it, which may raise OSError.

    >>> import errno
    >>> def full() -> None:
    ...     raise OSError(errno.ENOSPC, "no space left")
    >>> disk = FaultyDisk({"write": full})
    """

    def __init__(self, faults: Mapping[str, Callable[[], None]]) -> None:
        self.faults = dict(faults)

    def _fault(self, operation: str) -> None:
        if operation in self.faults:
            self.faults[operation]()

    def folder(self, path: str, within: Handle | None = None) -> Handle:
        self._fault("folder")
        return super().folder(path, within)

    def create(self, name: str, folder: Handle) -> Handle:
        self._fault("create")
        return super().create(name, folder)

    def write(self, handle: Handle, contents: Sequence[bytes]) -> int:
        self._fault("write")
        return super().write(handle, contents)

    def write_durably(self, handle: Handle, contents: Sequence[bytes]) -> int:
        self._fault("write")
        self._fault("sync")
        return super().write_durably(handle, contents)

    def sync(self, handle: Handle) -> None:
        self._fault("sync")
        super().sync(handle)

    def rename(self, old: str, new: str, folder: Handle) -> None:
        self._fault("rename")
        super().rename(old, new, folder)


def try_lock(fd: int, how: int, start: int, size: int) -> bool:
    """Lock or unlock bytes of a file for this process alone; tell whether nobody else holds them.

    A child does not inherit the lock, and it ends as soon as the process closes any descriptor of the file.

    Args:
        fd: The file, open for writing where the lock is exclusive.
        how: LOCK_EX, LOCK_SH or LOCK_UN of fcntl.
        start, size: In bytes; they may lie beyond the end.

    Raises:
        OSError: The file system has no such locks.
    """
    try:
        fcntl.lockf(fd, how if how == fcntl.LOCK_UN else how | fcntl.LOCK_NB, size, start)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
        return False
    return True


def _handle(fd: int) -> Handle:
    status = os.fstat(fd)
    return Handle(fd, status.st_dev, status.st_ino, has_links=status.st_nlink > 0)
