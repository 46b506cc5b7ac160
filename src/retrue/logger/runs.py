"""Sequence numbers as runs without a gap. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Run(NamedTuple):
    """Numbers first to last without a gap; ``begins`` and ``ends`` are the times of these two records, in ns."""

    first: int
    last: int
    begins: int
    ends: int


class Runs:
    """A growing set of numbers, which come almost in order.

    >>> runs = Runs()
    >>> [runs.add(number, number * 10) for number in (1, 2, 4, 3, 7, 2)]
    [True, True, True, True, True, False]
    >>> list(runs)
    [Run(first=1, last=4, begins=10, ends=40), Run(first=7, last=7, begins=70, ends=70)]
    """

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._runs: list[Run] = []
        for run in runs:
            self.merge(run)

    def add(self, number: int, at: int) -> bool:
        """Add a number with its record's time; tell whether it is new."""
        if self._runs and self._runs[-1].last == number - 1:  # what nearly always happens
            last = self._runs[-1]
            self._runs[-1] = Run(last.first, number, last.begins, at)
            return True
        if number in self:
            return False
        self.merge(Run(number, number, at, at))
        return True

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._runs, number, key=_first)
        return place > 0 and number <= self._runs[place - 1].last

    def merge(self, run: Run) -> None:
        """Add the numbers of a run, whichever of them are there already."""
        low = bisect_right(self._runs, run.first - 1, key=_first)
        if low and self._runs[low - 1].last >= run.first - 1:
            low -= 1
        high = bisect_right(self._runs, run.last + 1, key=_first)
        joined = [*self._runs[low:high], run]
        first, last = min(joined, key=_first), max(joined, key=_last)
        self._runs[low:high] = [Run(first.first, last.last, first.begins, last.ends)]

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        """Return how many runs there are, not how many numbers."""
        return len(self._runs)

    @property
    def last(self) -> int:
        """The greatest number, 0 without one."""
        return self._runs[-1].last if self._runs else 0


def _first(run: Run) -> int:
    return run.first


def _last(run: Run) -> int:
    return run.last
