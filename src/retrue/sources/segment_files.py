"""One segment that the logger wrote, read as records, whatever has happened to it.

A record is known by its process and number: one that was met before, in another segment or in a Parquet file made of
segments, is skipped. Damaged lines are told with their reason, and the others are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import orjson

from retrue.logger.segments import (
    CONTROL,
    FORMAT,
    OPEN,
    SEALED,
    TIME_END,
    TORN,
    Footer,
    Header,
    Piece,
    read_ends,
    read_pieces,
    time_of,
)
from retrue.logger.values import decode_special
from retrue.sources.json_lines import Record, check_weight, identity_of
from retrue.sources.listing import SourceFile, VanishedError
from retrue.sources.losses import Trace
from retrue.sources.set_aside import Tally
from retrue.sources.spans import parse_ticks

NS_PER_TICK = 1000
RESOURCES = "resources"  # the kind of records that are no inferences and have no id


def is_segment(name: str) -> bool:
    """Tell whether a file of this name is a segment, sealed or not."""
    return name.endswith((OPEN, SEALED))


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFile:
    """A segment whose ends were read. ``footer`` is None where it is not sealed or its footer is damaged.

    ``header`` is made of the file's place where both of its ends are damaged and no sibling says more.
    """

    file: SourceFile
    header: Header
    footer: Footer | None

    @property
    def is_open(self) -> bool:
        return self.file.name.endswith(OPEN)

    @property
    def name(self) -> str:
        """The folder of its process, and its own name."""
        return f"{self.file.path.parent.name}/{self.file.path.name}"

    def is_cut(self, bad: Bad) -> bool:
        """Tell whether bytes are the end of a line that was never finished, since its writer still writes or died."""
        return bad.reason == TORN and self.is_open

    def overlaps(self, start: int, end: int) -> bool:
        """Tell whether records of [start, end), in ns, may be in it."""
        footer = self.footer
        return footer is None or not footer.begins or (footer.begins < end and footer.ends >= start)


class Row(NamedTuple):
    """A sound record, flat, with its number (0 without one) and its time in ns (0 where it has none of use)."""

    number: int
    at: int
    record: Record
    line: int
    size_bytes: int


class Bad(NamedTuple):
    """Bytes of a segment that are no record, with the reason and the number of the line.

    ``number`` is that of the record where it has one; ``known`` where a Parquet file made of the segment says so already.
    """

    reason: str
    line: int
    piece: Piece
    number: int
    known: bool


def inspect_segments(files: Iterable[SourceFile], tally: Tally) -> list[SegmentFile]:
    """Return the segments that can be read, by process and number; others are set aside.

    Raises:
        VanishedError: One is gone.
    """
    found: list[tuple[SourceFile, Header | None, Footer | None]] = []
    for file in files:
        try:
            with open_segment(file) as stream:
                header, footer, written_as = read_ends(stream, file.size_bytes)
        except OSError as error:
            tally.set_aside_file(file.name, f"cannot be read ({type(error).__name__})", size_bytes=1)
            continue
        if written_as > FORMAT:
            reason = f"format {written_as} of a newer version: upgrade retrue to read it"
            tally.set_aside_file(file.name, reason, size_bytes=max(file.size_bytes, 1))
        elif not file.size_bytes and file.name.endswith(SEALED):
            tally.set_aside_file(file.name, "a sealed segment without content", size_bytes=1)
        else:
            found.append((file, header, footer))
    siblings = {file.path.parent: header for file, header, _ in found if header}
    segments = [
        SegmentFile(file=file, header=header or _header_of(file, siblings.get(file.path.parent)), footer=footer)
        for file, header, footer in found
    ]
    return sorted(segments, key=lambda each: (each.header.boot, each.header.number, each.file.name))


def open_segment(file: SourceFile) -> BinaryIO:
    """Open a file that is no symbolic link.

    Raises:
        VanishedError: It is gone.
        OSError: It cannot be opened.
    """
    if file.remote:
        return file.open()
    try:
        return os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except FileNotFoundError as error:
        raise VanishedError(file.name) from error


def _header_of(file: SourceFile, sibling: Header | None) -> Header:
    number = int(file.path.stem) if file.path.stem.isdigit() else 0
    if sibling:
        return sibling._replace(number=number)
    unknown = Header(kind="", model="", model_version=None, boot="", pid=0, number=number, opened_at=0)
    return unknown._replace(boot=file.path.parent.name)


def read_segment(segment: SegmentFile, time: str, trace: Trace) -> Iterator[Row | Bad]:
    """Yield the records of a segment that the trace does not have yet, and what is none; note numbers and counters.

    A record is flat: nested ``features`` become ``features.<name>``, ``inference_id`` is text, the column ``time`` holds
    microseconds since 1970, and the model and its version are those of the segment where it names none.

    Raises:
        VanishedError: The file is gone.
        OSError: It cannot be read on.
    """
    at = segment.header.opened_at

    def bad(reason: str, number: int = 0) -> Bad:
        return Bad(reason, line, piece, number, known=(segment.name, line) in trace.refused)

    with open_segment(segment.file) as stream:
        for line, piece in enumerate(read_pieces(stream), start=1):
            value = None if piece.reason else _object(piece.content)
            if value is None:
                yield bad(piece.reason or "the line is not a JSON object")
            elif CONTROL in value:
                _note(value, at, trace)
            else:
                number, exact = _number(value), time_of(value)
                at = exact or at
                if number and not trace.runs.add(number, at):
                    continue
                try:
                    record = _usable(value, segment.header, time)
                except ValueError as error:
                    yield bad(str(error), number)
                else:
                    yield Row(number, exact or record[time] * NS_PER_TICK, record, line, len(piece.content))
    if not segment.is_open:
        trace.settled = max(trace.settled, trace.runs.last)


def _object(content: bytes) -> Record | None:
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _note(control: Mapping[str, Any], at: int, trace: Trace) -> None:
    counts = control.get("counts")
    if isinstance(counts, dict) and all(type(count) is int for count in counts.values()):
        trace.count(at, counts)


def _number(record: Record) -> int:
    number = record.pop("seq", 0)
    return number if type(number) is int and number > 0 else 0


def _usable(record: Record, header: Header, time: str) -> Record:
    """Return a record as a window reads it.

    Raises:
        ValueError: It lacks what every record has; the message never shows a value.
    """
    for name in ("model", "model_version"):
        if record.get(name) is None and getattr(header, name):
            record[name] = getattr(header, name)
    features = record.pop("features", None)
    if features is not None:
        if not isinstance(features, dict):
            raise ValueError("features is not a JSON object")
        for name, value in features.items():
            record[f"features.{name}"] = value
    for name, value in record.items():
        if type(value) in (dict, list):
            record[name] = decode_special(value)
    if header.kind != RESOURCES:
        record["inference_id"] = identity_of(record.get("inference_id"))
    record[time] = _ticks(record.get(time))
    check_weight(record.get("sample_weight"))
    return record


def _ticks(value: object) -> int:
    if type(value) is not int:
        return parse_ticks(value)
    if not 0 <= value < TIME_END:
        raise ValueError("the time is out of range")
    return value // NS_PER_TICK
