"""Which files of a folder may be read: regular ones with a known ending. Symbolic links are not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from retrue.errors import SourceError
from retrue.sources.set_aside import Tally

PARQUET = (".parquet",)
JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_HIDDEN = (".", "_")  # files being written, and markers such as _SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A regular file; ``name`` is its path relative to the source's folder, with forward slashes."""

    path: Path
    name: str
    size_bytes: int
    modified_at: datetime

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
        raise SourceError(f"logs and labels are read from folders: a path or file://, not {scheme}://")
    folder = root / (unquote(urlsplit(uri).path) if separator else uri)
    try:
        if folder.exists() and not folder.is_dir():
            raise SourceError(f"{uri} is not a folder: name the folder that holds the files")
    except (OSError, ValueError) as error:
        raise SourceError(f"{uri!r} cannot be opened: {type(error).__name__}") from error
    return folder


def list_files(folder: Path, tally: Tally) -> list[SourceFile]:
    """Return the readable files under a folder in order of name; what is not a regular file is set aside.

    Names that start with ``.`` or ``_`` and other endings are no part of a source. An absent folder is empty.
    """
    return sorted(_walk(folder, folder, tally), key=lambda file: file.name)


def _walk(folder: Path, root: Path, tally: Tally) -> Iterator[SourceFile]:
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
        if entry.is_dir(follow_symlinks=False) and not _is_log(entry.name):
            yield from _walk(path, root, tally)
        elif _is_log(entry.name) or (entry.is_symlink() and entry.is_dir()):
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


def _is_log(name: str) -> bool:
    return name.lower().endswith(PARQUET + JSON_LINES)


def _name(path: Path, root: Path) -> str:
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")
