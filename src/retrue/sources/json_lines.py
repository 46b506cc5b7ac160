"""Records out of JSON lines, line by line, in batches: a bad line is set aside and the rest goes on.

UTF-8, with or without a byte order mark, lines ended by LF, CRLF or CR, optionally in gzip. ``NaN`` and ``Infinity``
literals are read as such; of a key that stands twice the last counts. A bad line belongs to a span when a good line
next to it does, or when its file has no good line at all.
"""

from __future__ import annotations

import gzip
import json
import logging
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import orjson

from retrue.sources.listing import SourceFile
from retrue.sources.set_aside import Doubtful, Tally
from retrue.sources.spans import Span, parse_ticks

Record = dict[str, Any]

BATCH_ROWS = 50_000
BATCH_BYTES = 64 * 2**20
LINE_BYTES_MAX = 16 * 2**20
ID_CHARACTERS_MAX = 1024
CHUNK_BYTES = 4 * 2**20
GZIP_RATIO_MAX = 200  # JSON lines shrink 10 to 50 times; gzip ends at about 1,000
GZIP_BYTES_MIN = 256 * 2**20  # below that a high ratio harms nobody
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"
_DIGITS_MAX = 400  # more are no float either

logger = logging.getLogger(__name__)


def read_batches(file: SourceFile, span: Span, tally: Tally) -> Iterator[list[Record]]:
    """Yield the records of the span, at most ``BATCH_ROWS`` at a time.

    Each is flat: nested ``features`` become ``features.<name>``, ``inference_id`` is text, and the column of time holds
    microseconds since 1970.
    """
    lines = _Lines(file, span, tally)
    total = 0
    try:
        with open_stream(file) as stream:
            for batch in lines.batches(stream):
                total += len(batch)
                yield batch
    except (OSError, EOFError, zlib.error) as error:
        reason = (
            str(error) if isinstance(error, RefusedFileError) else f"cannot be read to its end ({type(error).__name__})"
        )
        tally.set_aside_file(file.name, reason, size_bytes=max(file.size_bytes, 1))
        logger.warning("a file of JSON lines was set aside: %s", reason)
    tally.read(rows=total, size_bytes=file.size_bytes if total else 0)


class RefusedFileError(OSError):
    """A file that is not read on, with the reason."""


class _Lines:
    """The lines of one file on their way into batches, with the bad ones whose span is not known yet."""

    def __init__(self, file: SourceFile, span: Span, tally: Tally) -> None:
        self._span = span
        self._start, self._end = span.start_ticks, span.end_ticks
        self._doubtful = Doubtful(tally, file.name)

    def batches(self, stream: BinaryIO) -> Iterator[list[Record]]:
        batch: list[Record] = []
        size_bytes = 0
        for number, line in numbered_lines(stream):
            record = self._record(number, line)
            if record is not None:
                batch.append(record)
                size_bytes += len(line or b"")
            if len(batch) >= BATCH_ROWS or size_bytes >= BATCH_BYTES:
                yield batch
                batch, size_bytes = [], 0
        self._doubtful.end()
        if batch:
            yield batch

    def _record(self, number: int, line: bytes | None) -> Record | None:
        try:
            record = _flat(parse_line(line))
            record["inference_id"] = identity_of(record.get("inference_id"))
            at = parse_ticks(record.get(self._span.time))
            check_weight(record.get("sample_weight"))
        except ValueError as error:
            self._doubtful.bad(str(error), line=number)
            return None
        inside = self._start <= at < self._end
        self._doubtful.good(inside=inside)
        record[self._span.time] = at
        return record if inside else None


@contextmanager
def open_stream(file: SourceFile) -> Iterator[BinaryIO]:
    """Open a file for the length of the block, unpacked where its name says that it is in gzip."""
    with file.open() as packed:
        if not file.name.lower().endswith(".gz"):
            yield packed
            return
        with gzip.open(packed) as stream:
            yield cast(BinaryIO, stream)


def numbered_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield lines that are not blank with their number from 1; None for one that is too long."""
    number, rest, skipping = 1, b"", False
    for chunk in _chunks(stream):
        first, *others = chunk.split(b"\n")
        pieces = [first if skipping else rest + first, *others]
        for line in pieces[:-1]:
            yield from () if skipping else ((number, part) for part in _parts(line))
            number, skipping = number + 1, False
        rest = b"" if skipping else pieces[-1]
        if len(rest) > LINE_BYTES_MAX:
            yield number, None
            rest, skipping = b"", True
    yield from ((number, part) for part in _parts(rest))


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    chunk = stream.read(CHUNK_BYTES)
    if chunk.startswith(_UTF16):
        raise RefusedFileError("UTF-16, not UTF-8")
    chunk = chunk.removeprefix(_BOM)
    read = 0
    while chunk:
        read += len(chunk)
        refuse_bomb(stream, read)
        yield chunk
        chunk = stream.read(CHUNK_BYTES)


def refuse_bomb(stream: BinaryIO, read: int) -> None:
    """Raise ``RefusedFileError`` for a packed stream that ``read`` bytes came out of, and hardly any went into."""
    if (
        isinstance(stream, gzip.GzipFile)
        and read > GZIP_BYTES_MIN
        and read > GZIP_RATIO_MAX * cast(Any, stream.fileobj).tell()
    ):
        raise RefusedFileError(f"grows more than {GZIP_RATIO_MAX} times when unpacked")


def _parts(line: bytes) -> Iterator[bytes]:
    """A carriage return is no part of valid JSON text: where it stands alone it ends a line too."""
    line = line.strip()
    if b"\r" not in line:
        return iter((line,) if line else ())
    return (part.strip() for part in line.split(b"\r") if part.strip())


def parse_line(line: bytes | None) -> Record:
    """Return the JSON object of a line.

    Raises:
        ValueError: It is none; the message never shows it.
    """
    if line is None:
        raise ValueError(f"the line is longer than {LINE_BYTES_MAX} bytes")
    record = parse_value(line)
    if not isinstance(record, dict):
        raise ValueError("the line is not a JSON object")
    return record


def parse_value(text: bytes) -> Any:
    """Return a JSON value; ``NaN`` and infinity literals are read as such.

    Raises:
        ValueError: It is none; the message never shows it.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _parse_leniently(text)


def _parse_leniently(line: bytes) -> object:
    """Read what orjson refuses and the standard library does not: NaN and infinity literals, long integers."""
    try:
        record = json.loads(line.decode("utf-8"), parse_constant=float, parse_float=_finite, parse_int=_whole)
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the line is not UTF-8") from None
    except UnicodeEncodeError:
        raise ValueError("the line has half of a surrogate pair") from None
    except RecursionError:
        raise ValueError("the line is nested too deeply") from None
    except _OutOfRangeError:
        raise
    except ValueError:
        raise ValueError("the line is not valid JSON") from None
    return record


class _OutOfRangeError(ValueError):
    """A number that no float can hold."""


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _OutOfRangeError("a number is out of range")
    return number


def _whole(text: str) -> int | float:
    if len(text) > _DIGITS_MAX:
        raise _OutOfRangeError("a number is out of range")
    return int(text) if len(text) < 19 else _finite(text)


def _flat(record: Record) -> Record:
    nested = record.pop("features", None)
    if nested is None:
        return record
    if not isinstance(nested, dict):
        raise ValueError("features is not a JSON object")
    for name, value in nested.items():
        record[f"features.{name}"] = value
    return record


def check_weight(value: object) -> None:
    """Refuse, with a ValueError, a weight that is no number above 0."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError("sample_weight is no number above 0")


def identity_of(value: object) -> str:
    """Return an ``inference_id`` as text; a ValueError where it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or value == "":
        raise ValueError("no inference_id")
    if not isinstance(value, str):
        raise ValueError("inference_id is not text")
    if len(value) > ID_CHARACTERS_MAX:
        raise ValueError(f"inference_id is longer than {ID_CHARACTERS_MAX} characters")
    return value
