"""Which records of a log are missing, proved from their numbers. Pure.

A process numbers the records it accepts from 1, and counts those it drops by reason; both outlive it. What has a number
and is neither on disk nor counted as dropped was lost: with the process or the machine, or with a damaged file. Dropped
records are taken to be the missing ones nearest before they were counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from retrue.logger.runs import Run, Runs
from retrue.logger.tally import ACCEPTED, DROPPED, SHED

TAIL_MAX = 10_000_000  # no queue is longer: a tally that says so is damaged
_SECOND = 10**9


class Counted(NamedTuple):
    """The counters of a process at a place in its log: just after the record of a time, in ns."""

    at: int
    counts: Mapping[str, int]


class Gap(NamedTuple):
    """Numbers first to last that are missing, after the record of a time, in ns."""

    first: int
    last: int
    at: int

    @property
    def records(self) -> int:
        return self.last - self.first + 1


class Dropped(NamedTuple):
    """How many records the logger let go of for a reason, about the time of a record, in ns."""

    at: int
    reason: str
    records: int


@dataclass(slots=True, kw_only=True)
class Trace:
    """What is left of one process: numbers of its records, and counters.

    Attributes:
        boot: Its name.
        runs: Numbers that are on disk.
        counted: Counters as its files say, in any order.
        tally: Counters as they were in the end, none where that file is gone.
        alive: It may still write.
        settled: Up to this number nothing waits in the memory of a process that is alive.
        refused: Lines of its segments, by segment and number, that are known to be no records.
    """

    boot: str
    runs: Runs = field(default_factory=Runs)
    counted: list[Counted] = field(default_factory=list)
    tally: Mapping[str, int] = field(default_factory=dict)
    alive: bool = False
    settled: int = 0
    refused: set[tuple[str, int]] = field(default_factory=set)

    def count(self, at: int, counts: Mapping[str, int]) -> None:
        """Note counters that are not those noted last."""
        if not self.counted or _losing(self.counted[-1].counts) != _losing(counts):
            self.counted.append(Counted(at, counts))


def lost(trace: Trace) -> Iterator[Gap]:
    """Yield the missing numbers that are not counted as dropped, each gap at the time of the record before it.

    Before the first record that is its own time; of a process without any record, when it began. What a process that is
    alive may still hold in memory is not missing.
    """
    waiting = iter(_gaps(trace))
    ahead = next(waiting, None)
    open_gaps: list[Gap] = []
    owed = dropped_before = 0
    for counted in [*_in_order(trace), Counted(0, {ACCEPTED: _accepted(trace)})]:
        while ahead and ahead.first <= counted.counts.get(ACCEPTED, 0):
            open_gaps.append(ahead)
            ahead = next(waiting, None)
        now = max(_numbered(counted.counts), dropped_before)
        owed = _explain(open_gaps, owed + now - dropped_before)
        dropped_before = now
    yield from (gap for gap in open_gaps if not trace.alive or gap.first <= trace.settled)


def dropped(trace: Trace) -> Iterator[Dropped]:
    """Yield what the logger counted as dropped or shed, where its counters rose."""
    for before, after in pairwise([Counted(0, {}), *_in_order(trace)]):
        for name, count in sorted(after.counts.items()):
            more = count - before.counts.get(name, 0)
            if more > 0 and name.startswith((DROPPED, SHED)):
                yield Dropped(after.at, name.removeprefix(DROPPED).removeprefix(SHED), more)


def _in_order(trace: Trace) -> list[Counted]:
    """Return the counters in the order in which they rose, those of the tally last."""
    ends = [run.ends for run in trace.runs][-1:] or [_began(trace.boot)]
    final = [Counted(ends[0], trace.tally)] if trace.tally else []
    return sorted([*trace.counted, *final], key=lambda each: (sum(each.counts.values()), each.at))


def _gaps(trace: Trace) -> Iterator[Gap]:
    edge = Run(0, 0, 0, 0)
    end = Run(_accepted(trace) + 1, 0, 0, 0)
    for before, after in pairwise([edge, *trace.runs, end]):
        if after.first > before.last + 1:
            at = before.ends if before is not edge else after.begins if after is not end else _began(trace.boot)
            yield Gap(before.last + 1, after.first - 1, at)


def _accepted(trace: Trace) -> int:
    """Return the last number given away, as far as it is known."""
    known = max([trace.runs.last, *(each.counts.get(ACCEPTED, 0) for each in trace.counted)])
    final = trace.tally.get(ACCEPTED, 0)
    return final if known <= final <= known + TAIL_MAX + _numbered(trace.tally) else known


def _explain(gaps: list[Gap], count: int) -> int:
    """Take dropped records out of the gaps, the last first; return how many found no place."""
    while gaps and count:
        gap = gaps.pop()
        if gap.records > count:
            gaps.append(Gap(gap.first, gap.last - count, gap.at))
            return 0
        count -= gap.records
    return count


def _numbered(counts: Mapping[str, int]) -> int:
    return sum(count for name, count in counts.items() if name.startswith(DROPPED))


def _losing(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name.startswith((DROPPED, SHED))}


def _began(boot: str) -> int:
    try:
        return int(boot[:8], 16) * _SECOND
    except ValueError:
        return 0


def lost_within(traces: Iterable[Trace], start: int, end: int) -> int:
    """Return how many records of a span of time, in ns, were lost."""
    return sum(gap.records for trace in traces for gap in lost(trace) if start <= gap.at < end)


def dropped_within(traces: Iterable[Trace], start: int, end: int) -> Mapping[str, int]:
    """Return how many records of a span of time, in ns, the logger dropped or shed, by reason."""
    totals: dict[str, int] = {}
    for each in (each for trace in traces for each in dropped(trace) if start <= each.at < end):
        totals[each.reason] = totals.get(each.reason, 0) + each.records
    return dict(sorted(totals.items()))
