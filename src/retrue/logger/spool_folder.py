"""The folder that one process writes its segments to: opened step by step, and watched for being moved or replaced."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import orjson

from retrue.logger.disk import Disk, Handle
from retrue.logger.segments import FOLDER, FORMAT, MARKER, OPEN, SEALED
from retrue.logger.tally import Tally


class SpoolFolder:
    """``<root>/segments/<boot>``, opened when it is needed and again when it is not what it was."""

    def __init__(self, disk: Disk, root: Path, *, kind: str, model: str, boot: str) -> None:
        self._disk, self._root, self._kind, self._model, self._boot = disk, root, kind, model, boot
        self._handle: Handle | None = None

    def open(self, tally: Tally) -> Handle:
        """Return the folder; where it is made or opened anew, marker and tally are put in their places.

        Raises:
            OSError: It cannot be opened, or is not safe to write to.
        """
        try:
            self.check()
        except OSError:
            self.close()
        if self._handle is None:
            self._handle = self._opened(tally)
        return self._handle

    def check(self) -> None:
        """Raise OSError where the open folder is no longer the one at its path."""
        if self._handle is None:
            return
        self._disk.check(self._handle)
        status = os.lstat(self._root / FOLDER / self._boot)
        if (status.st_dev, status.st_ino) != (self._handle.device, self._handle.inode):
            raise NotADirectoryError("the spool's folder was replaced")

    def close(self) -> None:
        """Let go of the folder."""
        if self._handle:
            self._close(self._handle)
        self._handle = None

    def _opened(self, tally: Tally) -> Handle:
        opened = [self._disk.folder(str(self._root))]
        try:
            refuse_insecure(self._root, os.fstat(opened[0].fd), PermissionError)
            self._mark(opened[0])
            for name in (FOLDER, self._boot):
                opened.append(self._disk.folder(name, opened[-1]))
            tally.keep(self._disk, opened[-1])
            for handle in opened:
                self._disk.sync_folder(handle)
            return opened.pop()
        finally:
            for handle in opened:
                self._close(handle)

    def _mark(self, root: Handle) -> None:
        content = orjson.dumps({"format": FORMAT, "kind": self._kind, "model": self._model}) + b"\n"
        with contextlib.suppress(FileExistsError):
            marker = self._disk.create(MARKER, root)
            try:
                self._disk.write(marker, [content])
            except OSError:
                self._disk.remove(MARKER, root)
                raise
            finally:
                self._close(marker)

    def _close(self, handle: Handle) -> None:
        with contextlib.suppress(OSError):
            self._disk.close(handle)


def check_root(root: Path, *, kind: str, model: str) -> None:
    """Refuse a folder that others may write to, or that holds something else.

    Raises:
        ValueError: With what to do.
    """
    try:
        status = root.lstat()
    except OSError:
        return
    if not stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{root} is no folder, or a symbolic link to one: name the folder itself")
    refuse_insecure(root, status, ValueError)
    try:
        marker = orjson.loads((root / MARKER).read_bytes())
        found = (marker["kind"], marker["model"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if found != (kind, model):
        raise ValueError(f"{root} holds {found[0]} of {found[1]}: give {kind} of {model} a folder of their own")


def refuse_insecure(root: Path, status: os.stat_result, error: type[Exception]) -> None:
    """Raise an error where anybody may write to a folder, or another user owns it."""
    if status.st_mode & stat.S_IWOTH:
        raise error(f"{root} may be written by anybody: run `chmod 700` on it, or name another folder")
    if status.st_uid != os.geteuid():
        raise error(
            f"{root} belongs to user {status.st_uid}: name a folder of user {os.geteuid()}, who runs this process"
        )


def weight_of(segments: Path) -> int:
    """Return the bytes of all segments; a folder that cannot be read weighs nothing."""
    total = 0
    for folder, _, names in os.walk(segments):
        for name in names:
            if not name.endswith((OPEN, SEALED)):
                continue
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - half the time of Path
    return total
