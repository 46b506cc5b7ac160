"""Durations and times as people write them in settings and on the command line. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(text: object) -> timedelta:
    """Return the length of ``90s``, ``15m``, ``2h``, ``7d`` or ``4w``.

    >>> parse_duration("7d").days
    7
    """
    if isinstance(text, timedelta):
        return text
    match = re.fullmatch(r"(\d+)([smhdw])", str(text).strip())
    if not match:
        raise ValueError(f"a duration is a whole number and one of s m h d w, such as 7d, not {text!r}")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def duration_text(length: timedelta) -> str:
    """Return a length as ``parse_duration`` reads it, in the largest unit that keeps it whole.

    >>> duration_text(timedelta(hours=36)), duration_text(timedelta(weeks=2))
    ('36h', '2w')
    """
    seconds = int(length.total_seconds())
    unit = max((unit for unit, size in _UNITS.items() if seconds % size == 0), key=_UNITS.__getitem__)
    return f"{seconds // _UNITS[unit]}{unit}"


def parse_time(text: str) -> datetime:
    """Return an aware UTC time from ISO 8601; a date alone is its midnight in UTC, a naive time is UTC.

    >>> parse_time("2013-04-04").isoformat()
    '2013-04-04T00:00:00+00:00'
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"a time is written 2013-04-04 or 2013-04-04T06:00:00Z, not {text!r}") from error
    return as_utc(at)


def as_utc(at: datetime) -> datetime:
    """Return a time in UTC; a naive one, as Prefect hands over a date typed without a zone, is in UTC already.

    >>> as_utc(datetime(2013, 4, 4)).isoformat()
    '2013-04-04T00:00:00+00:00'
    """
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def parse_span(text: object) -> tuple[datetime, datetime]:
    """Return the half-open span [start, end) written as two times with two dots in between.

    >>> [at.day for at in parse_span("2013-04-04..2013-04-25")]
    [4, 25]
    """
    if isinstance(text, tuple):
        return text
    start, dots, end = str(text).partition("..")
    if not dots:
        raise ValueError(f"a span is written 2013-04-04..2013-04-25, not {text!r}")
    span = parse_time(start.strip()), parse_time(end.strip())
    if span[0] >= span[1]:
        raise ValueError(f"a span starts before it ends, not {text!r}")
    return span
