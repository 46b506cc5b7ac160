"""Files into events: JSON lines or whole JSON documents, rows of CSV and of Parquet. pyarrow is imported in functions.

What cannot be read is an event with a reason; a file that cannot be read on is set aside whole.
"""

from __future__ import annotations

import csv
import io
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from retrue.sources.formats.events import Context, Event
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.json_lines import (
    CHUNK_BYTES,
    RefusedFileError,
    numbered_lines,
    open_stream,
    parse_line,
    parse_value,
    refuse_bomb,
)
from retrue.sources.listing import SourceFile
from retrue.sources.set_aside import Tally
from retrue.sources.spans import Span

DOCUMENT_BYTES_MAX = 64 * 2**20  # one JSON value over many lines is read at once
BATCH_BYTES = 16 * 2**20
_LINES = (".jsonl", ".ndjson")

logger = logging.getLogger(__name__)

Cut = Callable[[SourceFile, Context], Iterator[Event]]


def json_events(file: SourceFile, context: Context) -> Iterator[Event]:
    """Yield the JSON objects of a file: one a line, else the elements of its array, else the object that it is."""
    with aside_on_failure(file, context.tally):
        yield from _lines(file) if _has_lines(file) else _document(file)


def _has_lines(file: SourceFile) -> bool:
    if file.name.lower().removesuffix(".gz").endswith(_LINES):
        return True
    with open_stream(file) as stream:
        first = stream.read(CHUNK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0]
        rest = stream.read(1)
    if first[:1] == b"[":
        return False
    return is_object(first) or (len(first) >= CHUNK_BYTES and bool(rest))


def is_object(line: bytes) -> bool:
    """Tell whether a line is a whole JSON object."""
    try:
        parse_line(line.strip())
    except ValueError:
        return False
    return True


def _lines(file: SourceFile) -> Iterator[Event]:
    with open_stream(file) as stream:
        for number, line in numbered_lines(stream):
            size = len(line or b"")
            try:
                yield Event(file, number, size, parse_line(line))
            except ValueError as error:
                yield Event(file, number, size, None, str(error))


def _document(file: SourceFile) -> Iterator[Event]:
    with open_stream(file) as stream:
        content = guarded(stream).read(DOCUMENT_BYTES_MAX + 1)
    if len(content) > DOCUMENT_BYTES_MAX:
        raise RefusedFileError(f"one JSON value of more than {DOCUMENT_BYTES_MAX} bytes: write JSON lines")
    try:
        value = parse_value(content.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:  # perhaps lines, of which the first is broken
        yield from _lines(file)
        return
    if not isinstance(value, list):
        yield _element(file, 0, len(content), value)
        return
    for number, element in enumerate(value, 1):
        yield _element(file, number, len(content) // len(value), element)


def _element(file: SourceFile, number: int, size_bytes: int, value: Any) -> Event:
    reason = "" if isinstance(value, dict) else "the element is not a JSON object"
    return Event(file, number, size_bytes, value, reason)


def csv_events(file: SourceFile, context: Context) -> Iterator[Event]:
    """Yield the rows of a CSV file as objects of text; the header names the columns, or else ``names`` of the settings."""
    with aside_on_failure(file, context.tally), open_stream(file) as stream:
        settings = context.settings
        encoding = "utf-8-sig" if settings.encoding == "utf-8" else settings.encoding
        text = io.TextIOWrapper(guarded(stream), encoding, errors="surrogateescape", newline="")
        rows = csv.reader(text, delimiter=settings.delimiter)
        header: Sequence[str] = settings.names or next(rows, [])
        if len(set(header)) < len(header):
            raise RefusedFileError("two columns have the same name")
        yield from _rows(file, rows, [name.strip() for name in header])


def _rows(file: SourceFile, rows: Any, header: Sequence[str]) -> Iterator[Event]:
    last = rows.line_num
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            yield Event(file, last + 1, 0, None, "the row is not valid CSV")
            last = rows.line_num
            continue
        line, last = last + 1, rows.line_num
        if not row:
            continue
        size = sum(map(len, row))
        if len(row) != len(header):
            yield Event(file, line, size, None, "the row has more or fewer values than there are columns")
        elif not all(map(_is_text, row)):
            yield Event(file, line, size, None, "the row is not in this encoding")
        else:
            yield Event(file, line, size, dict(zip(header, row, strict=True)))


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value)


Times = Mapping[str, str | None]
"""Names of columns of time, with the unit of those that are numbers."""


def parquet_events(file: SourceFile, context: Context, *, times: Times) -> Iterator[Event]:
    """Yield the rows of a Parquet file as objects; row groups whose statistics place them outside the span are skipped."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with aside_on_failure(file, context.tally), file.open() as stream:
            parquet = pq.ParquetFile(stream, page_checksum_verification=True)
            for group in range(parquet.num_row_groups):
                if not _is_outside(parquet.metadata.row_group(group), times, context.span):
                    yield from _group(file, parquet, group)
    except pa.ArrowException as error:
        _set_aside(file, context.tally, f"not readable as Parquet ({type(error).__name__})")


def _group(file: SourceFile, parquet: Any, group: int) -> Iterator[Event]:
    metadata = parquet.metadata.row_group(group)
    row_bytes = max(metadata.total_byte_size // max(metadata.num_rows, 1), 1)
    before = sum(parquet.metadata.row_group(each).num_rows for each in range(group))
    for batch in parquet.iter_batches(batch_size=max(min(BATCH_BYTES // row_bytes, 5_000), 1), row_groups=[group]):
        for number, row in enumerate(batch.to_pylist(maps_as_pydicts="lossy"), before + 1):
            yield Event(file, number, row_bytes, row)
        before += batch.num_rows


def _is_outside(group: Any, times: Times, span: Span) -> bool:
    """Tell whether the statistics of a column of time prove that no row of a group lies within an hour of the span."""
    from retrue.sources.formats.clock import Clock

    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema not in times or column.statistics is None or not column.statistics.has_min_max:
            continue
        clock = Clock(zone="UTC", unit=times[column.path_in_schema])
        try:
            low, high = clock.ticks(column.statistics.min), clock.ticks(column.statistics.max)
        except RefusedEventError:
            continue
        return not (low - HOUR_TICKS < span.end_ticks and high + HOUR_TICKS >= span.start_ticks)
    return False


HOUR_TICKS = 3_600_000_000


@contextmanager
def aside_on_failure(file: SourceFile, tally: Tally) -> Iterator[None]:
    """Set a file aside that cannot be read to its end; what was read of it before stays."""
    try:
        yield
    except RefusedFileError as error:
        _set_aside(file, tally, str(error))
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        _set_aside(file, tally, f"cannot be read to its end ({type(error).__name__})")


def _set_aside(file: SourceFile, tally: Tally, reason: str) -> None:
    tally.set_aside_file(file.name, reason, size_bytes=max(file.size_bytes, 1))
    logger.warning("a file was set aside: %s", reason)


class _Guarded(io.RawIOBase):
    """A stream that refuses to go on where hardly any packed bytes became very many."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._read = stream, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._read += len(chunk)
        refuse_bomb(self._stream, self._read)
        return len(chunk)


def guarded(stream: BinaryIO) -> io.BufferedReader:
    """Return a stream that raises ``RefusedFileError`` once it turns out to be a bomb of gzip."""
    return io.BufferedReader(cast(Any, _Guarded(stream)), CHUNK_BYTES)
