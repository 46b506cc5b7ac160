"""The format of a segment: lines that each carry a check of their own, so that damage costs the lines it hits and no more.

A line is the CRC-32 of its JSON in 8 hexadecimal digits, a space, the JSON, and a newline. A JSON object with a key
``retrue`` is one of the segment's own: ``segment`` (the header, which comes first), ``counts`` (counters of the process
so far) and ``sealed`` (the footer: what the segment holds). Any other line is a record with its number ``seq``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple
from zlib import crc32

import orjson

from retrue.logger.runs import Run, Runs

FORMAT = 1
FOLDER, OPEN, SEALED = "segments", ".open", ".seg"
MARKER = "retrue-spool.json"
"""The file that makes a folder the root of a spool."""
CONTROL = "retrue"
LINE_BYTES_MAX = 16 * 2**20
RUNS_MAX = 500  # a footer names no more: a segment of records so far out of order is read to be known
TORN, DAMAGED = "the end is torn off", "the line is damaged"
_FOOTER_BYTES = 2**16
_CHECK = 9  # characters before the JSON
_START = re.compile(rb"[0-9a-f]{8} \{")
_SALVAGE_TRIES = 16
TIME_END = 9_214_646_400 * 10**9  # 2262-01-01, in ns: 64 bits end soon after
_PLACE = re.compile(rb'\{"seq":(\d{1,18}),')
_TIME = re.compile(rb'"(?:time|labelled_at)":(\d{1,19})[,}]')


def new_boot() -> str:
    """Return the name of this process from now on: 8 digits of its time, 8 of chance."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(4).hex()}"


# ---------------------------------------------------------------- writing


def encode_line(payload: bytes) -> bytes:
    """Return the line of a JSON object that has no newline in it.

    >>> encode_line(b'{"seq":1}')
    b'a589bc6d {"seq":1}\\n'
    """
    return b"%08x %b\n" % (crc32(payload), payload)


def payload_of(line: bytes) -> bytes:
    """Return the JSON of a sound line."""
    return line[_CHECK:-1]


def place_of(payload: bytes) -> tuple[int, int] | None:
    """Return a record's number and its time in ns (0 without one) out of its JSON, None where it has no number."""
    found = _PLACE.match(payload)
    if found is None:
        return _parsed_place(payload)
    at = _TIME.search(payload, found.end())  # quotes inside a text are escaped: this is a key
    if at is None or payload.find(b"{", 1, at.start()) > 0:  # perhaps of an object within
        return _parsed_place(payload)
    return int(found[1]), int(at[1])


def _parsed_place(payload: bytes) -> tuple[int, int] | None:
    try:
        record = orjson.loads(payload)
        return int(record["seq"]), time_of(record)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def time_of(record: Mapping[str, Any]) -> int:
    """Return when a record is dated, in ns since 1970; 0 where it says nothing, or nothing that can be."""
    at = record.get("time", record.get("labelled_at"))
    return at if type(at) is int and 0 <= at < TIME_END else 0


class Header(NamedTuple):
    """Whose records a segment holds; ``opened_at`` is in ns since 1970."""

    kind: str
    model: str
    model_version: str | None
    boot: str
    pid: int
    number: int
    opened_at: int

    def line(self, counts: Mapping[str, int]) -> bytes:
        """Return the segment's first line."""
        return encode_line(orjson.dumps({CONTROL: "segment", "format": FORMAT, **self._asdict(), "counts": counts}))


class Footer(NamedTuple):
    """What a sealed segment holds. ``begins`` and ``ends`` are its earliest and latest time in ns, 0 without a record."""

    records: int
    runs: tuple[Run, ...]
    begins: int
    ends: int
    counts: Mapping[str, int]

    def line(self, header: Header) -> bytes:
        """Return the segment's last line; it repeats whose records they are, in case the first one is damaged."""
        facts = self._asdict() | {"runs": [list(run) for run in self.runs]}
        return encode_line(orjson.dumps({CONTROL: "sealed", "format": FORMAT, **facts, "of": header._asdict()}))


def counts_line(counts: Mapping[str, int]) -> bytes:
    """Return a line with the counters so far."""
    return encode_line(orjson.dumps({CONTROL: "counts", "counts": counts}))


# ---------------------------------------------------------------- reading


class Piece(NamedTuple):
    """A stretch of a segment: the JSON of a sound line, or bytes that are none, with the reason."""

    offset: int
    content: bytes
    reason: str = ""


def read_pieces(stream: BinaryIO) -> Iterator[Piece]:
    """Yield what a segment holds, in order, whatever has happened to it.

    Lines that have run together because their newline is damaged are told apart again by their checks.
    """
    offset = 0
    while line := stream.readline(LINE_BYTES_MAX):
        content = line[_CHECK:-1]
        if line[:_CHECK] == b"%08x " % crc32(content) and line.endswith(b"\n"):
            yield Piece(offset, content)
        else:
            yield from _salvaged(offset, line)
        offset += len(line)


def _salvaged(offset: int, line: bytes) -> Iterator[Piece]:
    reason = DAMAGED if line.endswith(b"\n") else TORN
    text = line.removesuffix(b"\n")
    starts = [found.start() for found in _START.finditer(text)]
    bad = 0  # from here on nothing was sound
    for number, start in enumerate(starts):
        if start < bad:
            continue
        for end in [*(each - 1 for each in starts[number + 1 : number + _SALVAGE_TRIES]), len(text) - 1, len(text)]:
            content = text[start + _CHECK : end]
            if text[start : start + _CHECK] == b"%08x " % crc32(content):
                if start > bad:
                    yield Piece(offset + bad, text[bad:start], DAMAGED)
                yield Piece(offset + start, content)
                bad = end + 1
                break
    if bad < len(text):
        yield Piece(offset + bad, text[bad:], reason)


class Ends(NamedTuple):
    """What the first and the last line of a segment say; None where they are damaged or not there yet.

    ``format`` is above ``FORMAT`` where a newer version wrote it.
    """

    header: Header | None
    footer: Footer | None
    format: int = FORMAT


def read_ends(stream: BinaryIO, size: int) -> Ends:
    """Read the first and the last line of a segment. Only errors of reading are raised, whatever the content."""
    first = _control(stream.readline(_FOOTER_BYTES))
    stream.seek(max(size - _FOOTER_BYTES, 0))
    last = _control(stream.read().rstrip(b"\n").rpartition(b"\n")[2] + b"\n")
    newer = max((each["format"] for each in (first, last) if isinstance(each.get("format"), int)), default=FORMAT)
    header = parse_header(first) or parse_header(last.get("of"))
    return Ends(header, parse_footer(last), newer)


def _control(line: bytes) -> dict[str, Any]:
    pieces = list(_salvaged(0, line))
    return parse_control(pieces[0].content) if len(pieces) == 1 and not pieces[0].reason else {}


def parse_control(content: bytes) -> dict[str, Any]:
    """Return a line of the segment's own, empty where it is none."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) and CONTROL in value else {}


def parse_header(value: object) -> Header | None:
    """Return whose records they are, None where that is not said."""
    if not isinstance(value, dict):
        return None
    try:
        header = Header(**{name: value[name] for name in Header._fields})
    except KeyError:
        return None
    texts = (header.kind, header.model, header.boot, header.model_version or "")
    numbers = (header.pid, header.number, header.opened_at)
    return header if _all_are(str, texts) and _all_are(int, numbers) else None


def parse_footer(value: Mapping[str, Any]) -> Footer | None:
    """Return what is said to be held, None where that is not said."""
    if value.get(CONTROL) != "sealed":
        return None
    try:
        footer = Footer(**{name: value[name] for name in Footer._fields})
        footer = footer._replace(runs=tuple(Run(*run) for run in footer.runs))
        numbers = (footer.records, footer.begins, footer.ends, *footer.counts.values())
    except (KeyError, TypeError, AttributeError):
        return None
    return footer if _all_are(int, (*numbers, *(number for run in footer.runs for number in run))) else None


def _all_are(kind: type, values: Iterable[object]) -> bool:
    return all(type(value) is kind for value in values)


def footer_of(runs: Runs, *, records: int, begins: int, ends: int, counts: Mapping[str, int]) -> Footer | None:
    """Return the footer of a segment, None where it would be too long."""
    if len(runs) > RUNS_MAX:
        return None
    return Footer(records=records, runs=tuple(runs), begins=begins, ends=ends, counts=counts)
