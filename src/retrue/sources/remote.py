"""Logs and labels that lie elsewhere: s3:// and gs:// through fsspec, and memory:// for tests.

Files are listed there, skipped by folder, by when they were last written and by Parquet footer, and the rest is fetched into a
private temporary folder, of lines one file at a time. Patience is bounded: a machine without a network is told so within seconds.
Credentials and endpoints come from the environment, as the tools of these stores take them. fsspec, s3fs and gcsfs are imported
inside functions.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from retrue.errors import SourceError
from retrue.sources.listing import SourceFile
from retrue.sources.set_aside import Tally

SCHEMES = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "memory": ""}
"""Schemes that are read, with the extra that brings what reads them."""
CONNECT_SECONDS = 5
READ_SECONDS = 20
TRIES = 2
FILES_MAX = 1_000_000
_HIDDEN = (".", "_")


def is_remote(uri: str) -> bool:
    """Tell whether a ``uri`` is read through fsspec."""
    scheme, separator, _ = uri.partition("://")
    return bool(separator) and scheme in SCHEMES


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a store: ``path`` is its name there, ``target`` where it is fetched to.

    ``passing`` holds what was fetched to be read once: it goes when the next such file is fetched.
    """

    store: Any
    path: str
    target: Path
    passing: list[Path]

    def fetch(self) -> None:
        """Bring the file here, unless it is here already.

        Raises:
            SourceError: The store does not answer, or refuses.
        """
        if self.target.exists():
            return
        with _answers(f"fetching {self.path}"):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            part = self.target.with_suffix(".part")
            self.store.get_file(self.path, str(part))
            part.rename(self.target)
        if self.target.suffix in (".jsonl", ".json", ".ndjson", ".csv", ".gz", ".log", ".out"):
            while self.passing:
                self.passing.pop().unlink(missing_ok=True)
            self.passing.append(self.target)

    def reach(self) -> BinaryIO:
        """Open the file where it lies, for a look at a part of it.

        Raises:
            SourceError: The store does not answer, or refuses.
        """
        with _answers(f"opening {self.path}"):
            return cast(BinaryIO, _Reached(self.store.open(self.path, "rb", block_size=2**18), self.path))


class _Reached(io.RawIOBase):
    """A file where it lies; a store that stops answering is an error of ours, not a damaged file."""

    def __init__(self, stream: Any, path: str) -> None:
        self._stream, self._path = stream, path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def read(self, size: int = -1) -> bytes:
        with _answers(f"reading {self._path}"):
            return bytes(self._stream.read(size))

    def close(self) -> None:
        self._stream.close()
        super().close()


def list_remote(uri: str, cache: Path, tally: Tally, *, holds: Callable[[str], bool]) -> list[SourceFile]:
    """Return the files under an address in order of name; names that leave it, or that are hidden, are no part of it.

    Args:
        uri: As in ``s3://bucket/prefix``.
        cache: A private folder that files are fetched into; the caller removes it.
        tally: Where names that leave the address are set aside.
        holds: Whether a name belongs to the source.

    Raises:
        SourceError: What reads this store is not installed, it does not answer, or it refuses.
    """
    scheme, _, _ = uri.partition("://")
    store = _store(scheme)
    with _answers(f"listing {uri}"):
        root = store._strip_protocol(uri).rstrip("/")
        found: Mapping[str, Mapping[str, Any]] = store.find(root, detail=True)
    if len(found) > FILES_MAX:
        raise SourceError(f"{uri} holds more than {FILES_MAX} files: name a narrower prefix")
    if root in found:
        raise SourceError(f"{uri} is not a folder: name the folder that holds the files")
    files: list[SourceFile] = []
    passing: list[Path] = []
    for path, about in found.items():
        name = path.removeprefix(root).lstrip("/")
        if any(part in ("..", ".") for part in name.split("/")):
            tally.set_aside_file("a name with ..", "a name that leaves the folder", size_bytes=1)
        elif not any(part.startswith(_HIDDEN) for part in name.split("/")) and holds(name):
            files.append(
                _file(RemoteFile(store=store, path=path, target=_target(cache, path), passing=passing), name, about)
            )
    return sorted(files, key=lambda file: file.name)


def is_folder(uri: str) -> bool:
    """Tell whether an address holds anything.

    Raises:
        SourceError: As ``list_remote``.
    """
    store = _store(uri.partition("://")[0])
    with _answers(f"looking at {uri}"):
        return bool(store.isdir(store._strip_protocol(uri)))


def _target(cache: Path, path: str) -> Path:
    return cache / f"{hashlib.sha256(path.encode()).hexdigest()}{Path(path).suffix[:10].lower()}"


def _file(remote: RemoteFile, name: str, about: Mapping[str, Any]) -> SourceFile:
    return SourceFile(
        path=remote.target,
        name=name,
        size_bytes=int(about.get("size") or 0),
        modified_at=_written_at(about),
        remote=remote,
    )


def _written_at(about: Mapping[str, Any]) -> datetime:
    """When an object was last written, in whichever words its store says it."""
    found = next((about[name] for name in ("LastModified", "mtime", "updated", "created") if about.get(name)), None)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if isinstance(found, int | float):
        found = datetime.fromtimestamp(found, UTC)
    if not isinstance(found, datetime):
        return datetime.now(UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _store(scheme: str) -> Any:
    extra = SCHEMES[scheme]
    try:
        import fsspec  # type: ignore[import-untyped]

        with _answers(f"opening {scheme}://"):
            store = fsspec.filesystem(scheme, skip_instance_cache=scheme != "memory", **_patience(extra))
            if extra:
                store.retries = 1  # fsspec's own repetition, on top of the client's, sleeps up to a minute
            return store
    except ImportError as error:
        raise SourceError(
            f"{scheme}:// needs the extra {extra!r}: pip install 'retrue[{extra}]'"
            if extra
            else "fsspec is not installed"
        ) from error


def _patience(extra: str) -> dict[str, Any]:
    """Options that keep a store's client from waiting for a network that is not there."""
    if extra == "s3":
        retries = {"max_attempts": TRIES, "mode": "standard"}
        timeouts = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
        return {"use_listings_cache": False, "config_kwargs": {"retries": retries, **timeouts}}
    if extra == "gcs":
        return {"use_listings_cache": False, "timeout": READ_SECONDS}
    return {}


@contextmanager
def _answers(what: str) -> Iterator[None]:
    """Raise one error of ours for all that a store's client raises; the address is shown, credentials never are."""
    try:
        yield
    except FileNotFoundError:
        raise SourceError(f"{what}: there is no such place") from None
    except PermissionError as error:
        raise SourceError(f"{what}: access was refused: look at the credentials in the environment") from error
    except _foreign_errors() as error:
        raise SourceError(
            f"{what}: no answer ({type(error).__name__}): look at the network and the endpoint"
        ) from error


def _foreign_errors() -> tuple[type[BaseException], ...]:
    """What clients raise, as far as they were imported."""
    names = {
        "botocore.exceptions": ("BotoCoreError", "ClientError"),
        "aiohttp": ("ClientError",),
        "google.auth.exceptions": ("GoogleAuthError",),
        "gcsfs.retry": ("HttpError",),
        "requests": ("RequestException",),
    }
    found = [getattr(sys.modules[module], name) for module in names if module in sys.modules for name in names[module]]
    return (OSError, *found)
