"""What every foreign format is made of: files are cut into events, events become records. Messages never show content."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from retrue.config.sources import SourceSettings
from retrue.sources.formats.clock import Clock
from retrue.sources.formats.refused import OTHER_SHAPE, SHAPE_ERRORS, RefusedEventError
from retrue.sources.json_lines import Record, check_weight, identity_of
from retrue.sources.listing import SourceFile
from retrue.sources.set_aside import Tally
from retrue.sources.spans import Span


class Event(NamedTuple):
    """One event of a file: its line or number from 1, 0 for a whole file, and what it holds or why it cannot be read."""

    file: SourceFile
    line: int
    size_bytes: int
    value: Any
    reason: str = ""


class Found(NamedTuple):
    """What came of an event: a record, the reason it was set aside, or neither yet while it waits for its other half.

    ``at`` is its time in microseconds since 1970, where it has one.
    """

    event: Event
    record: Record | None = None
    reason: str = ""
    at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a reader is told, and where it counts: ``notes`` are things understood in part, by reason."""

    settings: SourceSettings
    span: Span
    tally: Tally
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def clock(self) -> Clock:
        return Clock(zone=self.settings.timezone, unit=self.settings.time_unit)


class Reader(Protocol):
    """Turns files of a format into what was found in them, lazily and in order of file."""

    def __call__(self, files: Sequence[SourceFile], context: Context) -> Iterator[Found]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format: which names of files belong to it, how logs and labels in it are read, and which files lie outside a span."""

    holds: re.Pattern[str]
    logs: Reader | None = None
    labels: Reader | None = None
    is_outside: Callable[[str, Span], bool] = lambda name, span: False


def decoded(events: Iterable[Event], decode: Callable[[Event], Iterable[Record]], context: Context) -> Iterator[Found]:
    """Turn each event into its records by ``decode``; one that it refuses, or that has another shape, is set aside."""
    for event in events:
        if event.reason:
            yield Found(event, reason=event.reason)
            continue
        try:
            records = [checked(record, context.span.time) for record in decode(event)]
        except RefusedEventError as error:
            yield Found(event, reason=str(error))
        except SHAPE_ERRORS:
            yield Found(event, reason=OTHER_SHAPE)
        else:
            for record in records:
                yield Found(event, record=record, at=record[context.span.time])


def checked(record: Record, time: str) -> Record:
    """Return a record whose id, weight and time are what the engine expects.

    Raises:
        RefusedEventError: They are not.
    """
    try:
        record["inference_id"] = identity_of(record.get("inference_id"))
        check_weight(record.get("sample_weight"))
    except ValueError as error:
        raise RefusedEventError(str(error)) from None
    if not isinstance(record.get(time), int):
        raise RefusedEventError("no time")
    return record


def text_or_none(value: object) -> str | None:
    """Return text that says something, else None."""
    return value if isinstance(value, str) and value.strip() else None


def dug(value: Any, path: str) -> Any:
    """Return what lies at a path such as ``request.features``, or None; a key with dots in it wins over a path.

    >>> dug({"a": {"b": 1}, "a.c": 2}, "a.b"), dug({"a": {"b": 1}, "a.c": 2}, "a.c"), dug({}, "a.b")
    (1, 2, None)
    """
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    head, dot, rest = path.partition(".")
    return dug(value.get(head), rest) if dot else None
