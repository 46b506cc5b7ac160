"""One subject under load, in a process of its own: ``python -m benchmarks.logger_load SUBJECT FOLDER``.

*Accept* is what the host's thread waits for in a call that is timed by itself. As in a server, features are parsed from a request, the
host computes with them in Python, so that the logger's own thread competes with it for the interpreter all the time, and then it logs.
A request brings `ROWS` rows, logged one after the other, or one *alone*: its call finds the processor's caches as the work before it and
whoever else has the processor left them. Were all calls given the same features, two processors would share their values, which those of
a server never do. The median of an empty call, timed likewise, is taken off.

*Drain* is what a logger sustains: calls as fast as it keeps up with, until the last record is where it ends; it never has more
to hold than it has room for. What does not arrive is reported as lost.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import TypedDict

import orjson

from benchmarks.logger_subjects import FEATURES, SUBJECTS, Features, Observed, Subject

REQUEST = orjson.dumps(FEATURES)
ROWS, ROWS_WORK_NS = 50, 2_000_000
ALONE_WORK_NS = 200_000
PAUSE_SECONDS = 0.001
LOOK_EVERY = 50  # calls between two looks at what is pending
EMPTY_SECONDS = 0.3


class Load(TypedDict):
    """What one process measured."""

    accept_ns_p50: float
    accept_ns_p99: float
    accept_ns_p999: float
    accept_calls: int
    alone_ns_p50: float
    alone_ns_p99: float
    drain_records_per_second: float
    drain_records: int
    lost_records: int


def measure(subject: Subject, seconds: float) -> Load:
    """Load a subject, so many seconds each way, and close it."""
    given = _give(subject, 0.0)
    subject.flush()
    taken = _accept(subject, seconds, rows=ROWS, work_ns=ROWS_WORK_NS)
    subject.flush()
    alone = _accept(subject, seconds, rows=1, work_ns=ALONE_WORK_NS)
    subject.flush()
    start = perf_counter()
    drained = _give(subject, seconds)
    subject.flush()
    took = perf_counter() - start
    arrived = subject.close()
    return Load(
        accept_ns_p50=percentile(taken, 0.5),
        accept_ns_p99=percentile(taken, 0.99),
        accept_ns_p999=percentile(taken, 0.999),
        accept_calls=len(taken),
        alone_ns_p50=percentile(alone, 0.5),
        alone_ns_p99=percentile(alone, 0.99),
        drain_records_per_second=drained / took,
        drain_records=drained,
        lost_records=given + len(taken) + len(alone) + drained - arrived,
    )


def _give(subject: Subject, seconds: float) -> int:
    """Log for some seconds, pausing where there is no room; return how many records, at least one round of calls."""
    until, given, calls = perf_counter() + seconds, 0, min(LOOK_EVERY, subject.room)
    while given == 0 or perf_counter() < until:
        for _ in range(calls):
            subject.accept(FEATURES)
        given += calls
        _pause(subject)
    return given


def _pause(subject: Subject) -> None:
    while subject.pending() >= subject.room:
        time.sleep(PAUSE_SECONDS)


def _accept(subject: Subject, seconds: float, *, rows: int, work_ns: int) -> list[float]:
    """Return what each call took, in ns, without what an empty call takes."""
    nothing = statistics.median(_timed(Nothing(), min(seconds, EMPTY_SECONDS), rows=rows, work_ns=work_ns))
    return [max(each - nothing, 0.0) for each in _timed(subject, seconds, rows=rows, work_ns=work_ns)]


def _timed(subject: Subject, seconds: float, *, rows: int, work_ns: int) -> list[int]:
    """Return what each call took, in ns, at least those of one request."""
    taken: list[int] = []
    until = perf_counter() + seconds
    rows = min(rows, subject.room)
    while not taken or perf_counter() < until:
        for _ in range(max(min(LOOK_EVERY, subject.room) // rows, 1)):
            request = [orjson.loads(REQUEST) for _ in range(rows)]
            work(work_ns)
            taken += [timed(subject.accept, features) for features in request]
        _pause(subject)
    return taken


def timed(accept: Callable[[Features], object], features: Features) -> int:
    """Return what a call takes, in ns, that of the clock included."""
    began = perf_counter_ns()
    accept(features)
    return perf_counter_ns() - began


class Nothing:
    """A logger that does nothing: what the clock and the call cost."""

    room = LOOK_EVERY

    def accept(self, features: Features) -> None:
        """Do nothing."""

    def pending(self) -> int:
        return 0

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> int:
        return 0


def work(ns: int) -> None:
    """Compute for some time, holding the interpreter."""
    until = perf_counter_ns() + ns
    while perf_counter_ns() < until:
        pass


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value at or under which this share of them lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main() -> None:
    """Measure one subject and print its load as JSON, on the last line."""
    parser = argparse.ArgumentParser(description="one subject, in this process")
    parser.add_argument("subject", choices=(*SUBJECTS, "observed"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each of the three loads")
    given = parser.parse_args()
    subject = {**SUBJECTS, "observed": Observed}[given.subject](given.folder)
    gc.collect()  # of what was imported; then collected as in production
    print("\n" + json.dumps(measure(subject, given.seconds)))


if __name__ == "__main__":
    main()
