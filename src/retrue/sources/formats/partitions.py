"""Folders named after hours or days, as serving systems cut their logs, and whether they lie outside a span. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from retrue.sources.spans import Span

_HOUR = re.compile(r"(?:^|/)(\d{4})/(\d\d)/(\d\d)/(\d\d)/")
_DAY = re.compile(r"(?:^|/)(?:date|request_date|event_date|dt)=(\d{4})-(\d\d)-(\d\d)/")
SLACK = timedelta(hours=1)  # clocks differ, and a buffer may be written into the next hour's folder
DAY_SLACK = timedelta(days=1)  # days of a table may be local


def hour_of(name: str) -> datetime | None:
    """Return the start of the UTC hour that a path's folders ``yyyy/mm/dd/hh`` name, None where they name none.

    >>> hour_of("churn/AllTraffic/2022/04/18/23/a.jsonl").isoformat()
    '2022-04-18T23:00:00+00:00'
    """
    return _start(_HOUR.search(name))


def is_outside(name: str, span: Span) -> bool:
    """Tell whether a path's hour or day lies outside a span for certain; one that names none never does."""
    hour, day = hour_of(name), _start(_DAY.search(name))
    if hour is not None:
        return not (hour - SLACK < span.end and hour + timedelta(hours=1) + SLACK > span.start)
    if day is not None:
        return not (day - DAY_SLACK < span.end and day + timedelta(days=1) + DAY_SLACK > span.start)
    return False


def _start(match: re.Match[str] | None) -> datetime | None:
    if match is None:
        return None
    try:
        return datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None
