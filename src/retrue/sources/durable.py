"""Files that are whole and on the device before they have their name, for their owner only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

UNFINISHED = ".compacting"
"""What the name of a file ends with until it is whole."""


@contextmanager
def replaced(path: Path) -> Iterator[IO[bytes]]:
    """Lend a new file; put it in the place of a path when the block ends well. ``sync_folder`` makes that durable."""
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with create_private(unfinished) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def create_private(path: Path) -> IO[bytes]:
    """Open an empty file for writing, of mode 0600 where it is new; a symbolic link is an error."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the device."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
