"""Which files of a folder may be read: regular ones with a known ending. Symbolic links are not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from retrue.errors import SourceError
from retrue.logger.segments import MARKER
from retrue.sources.set_aside import Tally

PARQUET = (".parquet",)
JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_HIDDEN = (".", "_")  # files being written, and markers such as _SUCCESS


class VanishedError(Exception):
    """A file was removed between listing and reading: what it held is to be found elsewhere now."""


class Remote(Protocol):
    """A file that lies elsewhere."""

    def fetch(self) -> None:
        """Bring it here, unless it is here already."""

    def reach(self) -> BinaryIO:
        """Open it where it lies, for a look at a part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A regular file; ``name`` is its path relative to the source's folder, with forward slashes.

    ``remote`` brings one that lies elsewhere to ``path``; the bytes of one that lies here are at ``path`` already.
    """

    path: Path
    name: str
    size_bytes: int
    modified_at: datetime
    remote: Remote | None = None

    def open(self) -> BinaryIO:
        """Open the file, after fetching it where it lies elsewhere.

        Raises:
            OSError: It cannot be opened.
            SourceError: It cannot be fetched.
        """
        if self.remote is not None:
            self.remote.fetch()
        return self.path.open("rb")

    @property
    def is_parquet(self) -> bool:
        return self.name.lower().endswith(PARQUET)


def source_folder(uri: str, root: Path) -> Path:
    """Return the folder a ``uri`` of retrue.yaml stands for: a path, from ``root`` if relative, or ``file://``.

    Raises:
        SourceError: Another scheme, or there is something other than a folder.
    """
    scheme, separator, _ = uri.partition("://")
    if separator and scheme != "file":
        raise SourceError(f"logs and labels are read from folders: a path, file://, s3:// or gs://, not {scheme}://")
    folder = root / (unquote(urlsplit(uri).path) if separator else uri)
    try:
        if folder.exists() and not folder.is_dir():
            raise SourceError(f"{uri} is not a folder: name the folder that holds the files")
    except (OSError, ValueError) as error:
        raise SourceError(f"{uri!r} cannot be opened: {type(error).__name__}") from error
    return folder


def is_log(name: str) -> bool:
    """Tell whether a file of this name holds records: Parquet, or JSON lines."""
    return name.lower().endswith(PARQUET + JSON_LINES)


def list_files(folder: Path, tally: Tally, *, holds: Callable[[str], bool] = is_log) -> list[SourceFile]:
    """Return the readable files under a folder in order of name; what is not a regular file is set aside.

    Names that start with ``.`` or ``_`` and names that ``holds`` refuses are no part of a source, nor is a logger's spool
    inside another one: labels lie beside inferences. An absent folder is empty.
    """
    return sorted(_walk(folder, folder, tally, holds), key=lambda file: file.name)


def _walk(
    folder: Path, root: Path, tally: Tally, holds: Callable[[str], bool], *, in_spool: bool = False
) -> Iterator[SourceFile]:
    in_spool = in_spool or (folder / MARKER).exists()
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        tally.set_aside_file(_name(folder, root), f"folder cannot be listed ({type(error).__name__})", size_bytes=1)
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(_HIDDEN):
            continue
        name = path.relative_to(root).as_posix()
        if entry.is_dir(follow_symlinks=False) and not is_log(entry.name):
            if in_spool and (path / MARKER).exists():
                continue
            yield from _walk(path, root, tally, holds, in_spool=in_spool)
        elif holds(name) or (entry.is_symlink() and entry.is_dir()):
            yield from _regular(path, root, tally)


def _regular(path: Path, root: Path, tally: Tally) -> Iterator[SourceFile]:
    name = _name(path, root)
    try:
        status = path.lstat()
    except OSError as error:
        tally.set_aside_file(name, f"cannot be read ({type(error).__name__})", size_bytes=1)
        return
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
        tally.set_aside_file(name, kind, size_bytes=1)
        return
    modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
    yield SourceFile(path=path, name=name, size_bytes=status.st_size, modified_at=modified_at)


def _name(path: Path, root: Path) -> str:
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")
