"""One subject under load, in a process of its own: ``python -m benchmarks.logger_load SUBJECT FOLDER``.

*Accept* is what the host's thread waits for. As in a server, features are parsed from a request, the host computes with them for
0.2 ms, in Python, so that the logger's own thread competes with it for the interpreter all the time, and then one call is timed,
by itself. Were all calls given the same features, two processors would share their values, which those of a server never do.
The median of an empty call, timed likewise, is taken off.

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
WORK_NS = 200_000
PAUSE_SECONDS = 0.001
LOOK_EVERY = 50  # calls between two looks at what is pending
EMPTY_CALLS = 5_000


class Load(TypedDict):
    """What one process measured."""

    accept_ns_p50: float
    accept_ns_p99: float
    accept_ns_p999: float
    accept_calls: int
    drain_records_per_second: float
    drain_records: int
    lost_records: int


def measure(subject: Subject, seconds: float) -> Load:
    """Load a subject, so many seconds each way, and close it."""
    given = _give(subject, 0.0)
    subject.flush()
    taken = _timed(subject, seconds)
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
        drain_records_per_second=drained / took,
        drain_records=drained,
        lost_records=given + len(taken) + drained - arrived,
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


def _timed(subject: Subject, seconds: float) -> list[float]:
    """Return what each call took, in ns, at least one round of calls."""
    taken: list[int] = []
    until = perf_counter() + seconds
    while not taken or perf_counter() < until:
        for _ in range(min(LOOK_EVERY, subject.room)):
            features = orjson.loads(REQUEST)
            work(WORK_NS)
            taken.append(timed(subject.accept, features))
        _pause(subject)
    nothing = statistics.median(timed(_nothing, FEATURES) for _ in range(EMPTY_CALLS))
    return [max(each - nothing, 0.0) for each in taken]


def timed(accept: Callable[[Features], object], features: Features) -> int:
    """Return what a call takes, in ns, that of the clock included."""
    began = perf_counter_ns()
    accept(features)
    return perf_counter_ns() - began


def _nothing(features: Features) -> None:
    """What a call costs that does nothing."""


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
    parser.add_argument("--seconds", type=float, default=1.0, help="of each of the two loads")
    given = parser.parse_args()
    subject = {**SUBJECTS, "observed": Observed}[given.subject](given.folder)
    gc.collect()  # of what was imported; then collected as in production
    print("\n" + json.dumps(measure(subject, given.seconds)))


if __name__ == "__main__":
    main()
