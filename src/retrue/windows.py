"""Half-open UTC windows: alignment, settling, names. Pure: the clock is an argument."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile
from zoneinfo import ZoneInfo

from retrue.errors import NameRefusedError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock, in the zone of the grid


def check_name(name: str) -> str:
    """Return a model's name, or refuse one that could leave its folder.

    Raises:
        NameRefusedError: Not of the form ``[a-z0-9][a-z0-9._-]{0,63}``, or with ``..`` in it.

    >>> check_name("flight-delay")
    'flight-delay'
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise NameRefusedError(
            f"name {name[:80]!r} refused: use 1-64 of a-z 0-9 . _ - , starting with a letter or digit"
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Window:
    """The half-open UTC interval [start, end) of one model.

    >>> Window(model="m", start=datetime(2013, 4, 4, tzinfo=UTC), end=datetime(2013, 4, 11, tzinfo=UTC)).name
    'm 2013-04-04'
    """

    model: str
    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        check_name(self.model)
        for at in (self.start, self.end):
            if at.tzinfo is None:
                raise ValueError(f"a window's bounds are aware times, not {at!r}")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.start >= self.end:
            raise ValueError(f"a window starts before it ends, not [{self.start}, {self.end})")

    @property
    def name(self) -> str:
        """Model and start, as runs and messages show it; the hour only where windows are not whole days."""
        whole_days = self.start.time() == self.end.time() == datetime.min.time()
        return f"{self.model} {self.start:{'%Y-%m-%d' if whole_days else '%Y-%m-%dT%H:%MZ'}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where a model's windows lie: their length and the zone whose midnights they keep.

    Windows are aligned to multiples of ``every`` since 1970-01-01 on the zone's wall clock, so that
    a local day has 23 or 25 hours where the clocks change.

    >>> grid = Grid(every=timedelta(days=1), zone="Europe/Paris")
    >>> summer = grid.window_ending("m", datetime(2025, 3, 30, 22, tzinfo=UTC))
    >>> (summer.end - summer.start).total_seconds() / 3600
    23.0
    """

    every: timedelta
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.every < timedelta(minutes=1):
            raise ValueError(f"windows last at least a minute, not {self.every}")
        if self.zone != "UTC" and self.every % timedelta(days=1):
            raise ValueError("a local timezone needs windows of whole days")

    def floor(self, at: datetime) -> datetime:
        """Return the latest window border at or before ``at``."""
        wall = at.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        return self._border((wall - _EPOCH) // self.every)

    def latest(self, model: str, *, now: datetime, settle: timedelta) -> Window:
        """Return the newest window that has settled at ``now``."""
        return self.window_ending(model, self.floor(now - settle))

    def window_ending(self, model: str, end: datetime) -> Window:
        """Return the window that ends at ``end``.

        Raises:
            ValueError: ``end`` is not a border of this grid.
        """
        border = self.floor(end)
        if border != end:
            raise ValueError(f"windows end every {self.every} in {self.zone}: at {border:%Y-%m-%dT%H:%MZ}, not {end}")
        return Window(model=model, start=self.floor(border - timedelta(microseconds=1)), end=border)

    def windows_between(self, model: str, start: datetime, end: datetime) -> Iterator[Window]:
        """Yield, oldest first, the windows that lie wholly within [start, end)."""
        first = self._number(start) + (self.floor(start) != start)
        borders = takewhile(lambda at: at <= end, map(self._border, count(first + 1)))
        return (self.window_ending(model, border) for border in borders)

    def _number(self, at: datetime) -> int:
        return (at.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None) - _EPOCH) // self.every

    def _border(self, number: int) -> datetime:
        return (_EPOCH + number * self.every).replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def index(self, window: Window) -> int:
        """Return the window's number on the grid: the step of its metrics in charts."""
        return self._number(window.start)
