"""Times as other systems write them: zones left out, numbers since 1970, BigQuery's ``UTC``. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.spans import LAST, ticks

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_TICKS = 1_000_000
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How a log writes its times: ``zone`` of those without one, ``unit`` of those that are numbers; None refuses them."""

    zone: str | None = None
    unit: str | None = None

    def ticks(self, value: object) -> int:
        """Return microseconds since 1970 in UTC; of a local hour that an autumn has twice, the first is meant.

        Raises:
            RefusedEventError: No time, or one that cannot be placed.

        >>> Clock(zone="Europe/Paris").ticks("1970-01-01T01:00:00.000002"), Clock(unit="ms").ticks("1.5")
        (2, 1500)
        """
        if value is None or value == "":
            raise RefusedEventError("no time")
        if isinstance(value, str):
            value = self._read(value.strip())
        if isinstance(value, datetime):
            return self._placed(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RefusedEventError("the time is neither text nor a number")
        return self._number(value)

    def _read(self, text: str) -> datetime | float:
        if _NUMBER.fullmatch(text) and self.unit is not None:
            return float(text) if any(sign in text for sign in ".eE") else int(text[:40])
        if text.endswith(" UTC"):  # as BigQuery exports them
            text = text.removesuffix(" UTC") + "+00:00"
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            if _NUMBER.fullmatch(text):
                raise RefusedEventError(_UNKNOWN_UNIT) from None
            raise RefusedEventError("the time is not ISO 8601") from None

    def _number(self, value: float) -> int:
        if self.unit is None:
            raise RefusedEventError(_UNKNOWN_UNIT)
        if not math.isfinite(value):
            raise RefusedEventError("the time is out of range")
        per_second = _PER_SECOND[self.unit]
        whole = isinstance(value, int)
        return _in_range(value * _TICKS // per_second if whole else round(value * _TICKS / per_second))  # type: ignore[arg-type]

    def _placed(self, at: datetime) -> int:
        if at.tzinfo is None:
            if self.zone is None:
                raise RefusedEventError("the time has no zone: set timezone")
            at = at.replace(tzinfo=ZoneInfo(self.zone))
        try:
            return _in_range(ticks(at.astimezone(UTC)))
        except OverflowError:
            raise RefusedEventError("the time is out of range") from None


_UNKNOWN_UNIT = "the time is a number whose unit is unknown: set time_unit"


def _in_range(at: int) -> int:
    if not 0 <= at < ticks(LAST):
        raise RefusedEventError("the time is out of range")
    return at
