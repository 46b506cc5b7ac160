"""Which records of a source are asked for, and times as whole microseconds since 1970 in UTC. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
LAST = datetime(2262, 1, 1, tzinfo=UTC)  # nanoseconds in 64 bits end there


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The half-open UTC interval [start, end) of the column ``time``, and which other columns are wanted."""

    time: str
    start: datetime
    end: datetime
    wanted: Callable[[str], bool]

    @property
    def start_ticks(self) -> int:
        return ticks(self.start)

    @property
    def end_ticks(self) -> int:
        return ticks(self.end)


def ticks(at: datetime) -> int:
    """Return microseconds since 1970, of an aware time."""
    return (at - EPOCH) // TICK


def parse_ticks(value: object) -> int:
    """Return the microseconds since 1970 of an ISO 8601 text with a zone; finer digits are cut off.

    Raises:
        ValueError: No text, no zone, not a time, or outside 1970 to 2261; the message never shows the value.

    >>> parse_ticks("1970-01-01T01:00:00.000002+01:00")
    2
    """
    if value is None:
        raise ValueError("no time")
    if not isinstance(value, str):
        raise ValueError("the time is a number whose unit is unknown: write ISO 8601 text with a zone")
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("the time is not ISO 8601") from None
    if at.tzinfo is None:
        raise ValueError("the time has no zone")
    try:
        in_range = EPOCH <= at < LAST
    except OverflowError:
        in_range = False
    if not in_range:
        raise ValueError("the time is out of range")
    return (at - EPOCH) // TICK
