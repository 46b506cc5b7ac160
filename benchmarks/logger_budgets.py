"""What the logger promises to cost, measured: ``python -m benchmarks.logger_budgets MEASURE FOLDER``, each in a process of its own.

The budgets were written for one machine. ``pace`` is a loop of pure Python whose time on that machine is known, so that figures
from a slower or faster one can be read: a time divided by the pace's ratio is what it would be there.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, perf_counter_ns, process_time
from typing import Final, Literal

from benchmarks.logger_loopback import added_share
from benchmarks.logger_subjects import FEATURES, LATENCY_MS, NAMES, PREDICTION, SCORE, Features, Retrue

ROOT = Path(__file__).parents[1]
PACE_NS: Final = 126.0
"""Of a call, a shallow copy of twenty features and a `deque.append`, on the machine the budgets were written for."""
PACE_CALLS = 20_000
SAMPLED_CALLS = 500
"""In one reading of the clock: a single call takes little longer than the clock."""
BURST = 2_000
REPEATS = 20
RATE = 1_000
TICK_SECONDS = 0.01
HOUR_RECORDS = 3_600 * RATE
BREATHE_EVERY = 2_000
BREATHE_SECONDS = 0.001
BLOCKS_PER_SECOND = 10
IMPORTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A promise.

    Attributes:
        name: What is promised.
        source: The measure or subject that gives the figure, and the figure's name there.
        unit: Of the figure.
        limit: Met by figures up to it, or from it on where ``at_least``.
        scales: What a slower machine does to the figure: a ``time`` grows, a ``rate`` shrinks, else ``none``.
    """

    name: str
    source: tuple[str, str]
    unit: str
    limit: float
    at_least: bool = False
    scales: Literal["time", "rate", "none"] = "time"

    def is_met(self, figure: float) -> bool:
        """Return whether a figure keeps the promise."""
        return figure >= self.limit if self.at_least else figure <= self.limit

    def at_pace(self, figure: float, pace_ns: float) -> float:
        """Return what the figure would be on the machine the budgets were written for.

        >>> Budget(name="accept", source=("retrue", "accept_ns_p50"), unit="ns", limit=1_000).at_pace(1_500, 2 * PACE_NS)
        750.0
        """
        factors = {"time": PACE_NS / pace_ns, "rate": pace_ns / PACE_NS, "none": 1.0}
        return figure * factors[self.scales]


BUDGETS: Final = (
    Budget(name="accept, p50", source=("retrue", "accept_ns_p50"), unit="ns", limit=1_000),
    Budget(name="accept, p99", source=("retrue", "accept_ns_p99"), unit="ns", limit=10_000),
    Budget(name="accept, p99.9", source=("retrue", "accept_ns_p999"), unit="ns", limit=200_000),
    Budget(name="sampled out", source=("sampled-out", "call_ns"), unit="ns", limit=250),
    Budget(
        name="accepted in a burst",
        source=("burst", "records_per_second"),
        unit="records/s",
        limit=300_000,
        at_least=True,
        scales="rate",
    ),
    Budget(
        name="sustained to disk",
        source=("retrue", "drain_records_per_second"),
        unit="records/s",
        limit=50_000,
        at_least=True,
        scales="rate",
    ),
    Budget(
        name="added to the p99 of a request of 1 ms",
        source=("added-latency", "added_p99_percent"),
        unit="%",
        limit=5,
        scales="none",
    ),
    Budget(name="of one core at 1,000 records/s", source=("processor", "percent"), unit="%", limit=3),
    Budget(
        name="memory grown in an hour without a disk",
        source=("memory", "grown_megabytes"),
        unit="MB",
        limit=64,
        scales="none",
    ),
    Budget(name="import", source=("import", "milliseconds"), unit="ms", limit=50),
)


def pace(folder: Path, seconds: float) -> Mapping[str, float]:
    """Time the loop by which machines are compared: the least of some times, since what others do only adds to it."""
    return {"pace_ns": min(_pace_ns() for _ in range(REPEATS))}


def _pace_ns() -> float:
    queue: deque[Features] = deque(maxlen=64)

    def keep() -> None:
        queue.append(FEATURES.copy())

    began = perf_counter_ns()
    for _ in range(PACE_CALLS):
        keep()
    return (perf_counter_ns() - began) / PACE_CALLS


def sampled_out(folder: Path, seconds: float) -> Mapping[str, float]:
    """Time a success that `sample` leaves out, in blocks of calls, the loop around them included."""
    from retrue.logger import InferenceLogger

    with_none = InferenceLogger("bench", version="1", to=folder, sample=0.0)
    taken = []
    for _ in range(REPEATS):
        began = perf_counter_ns()
        for _ in range(SAMPLED_CALLS):
            with_none.record(FEATURES, prediction=PREDICTION, score=SCORE, latency_ms=LATENCY_MS)
        taken.append((perf_counter_ns() - began) / SAMPLED_CALLS)
    counts = with_none.close()
    if counts.sampled_out != REPEATS * SAMPLED_CALLS or counts.accepted:
        raise RuntimeError(f"not every call was sampled out: {counts}")
    return {"call_ns": statistics.median(taken)}


def burst(folder: Path, seconds: float) -> Mapping[str, float]:
    """Time bursts of records that all find room, the queue empty before each."""
    subject = Retrue(folder)
    rates = []
    for _ in range(REPEATS):
        began = perf_counter()
        for _ in range(BURST):
            subject.accept(FEATURES)
        rates.append(BURST / (perf_counter() - began))
        subject.flush()
    counts = subject.log.close()
    if counts.on_disk != REPEATS * BURST:
        raise RuntimeError(f"the bursts did not all find room: {counts}")
    return {"records_per_second": statistics.median(rates)}


def added_latency(folder: Path, seconds: float) -> Mapping[str, float]:
    """Ask servers with and without the logger."""
    added = added_share(folder, max(round(seconds * BLOCKS_PER_SECOND), 1))
    return {**added, "added_p99_percent": 100 * added["added_p99_share"]}


def processor(folder: Path, seconds: float) -> Mapping[str, float]:
    """Log 1,000 records a second, ten at a time; take off what the same process uses that logs none."""
    subject = Retrue(folder)
    idle = _share_of_core(lambda: None, seconds)
    used = _share_of_core(lambda: subject.accept(FEATURES), seconds)
    subject.close()
    return {"percent": 100 * (used - idle)}


def _share_of_core(call: Callable[[], object], seconds: float) -> float:
    began, at = process_time(), perf_counter()
    for tick in range(1, round(seconds / TICK_SECONDS) + 1):
        for _ in range(round(RATE * TICK_SECONDS)):
            call()
        time.sleep(max(at + tick * TICK_SECONDS - perf_counter(), 0.0))
    return (process_time() - began) / (perf_counter() - at)


def memory(folder: Path, seconds: float) -> Mapping[str, float]:
    """Return what the process grows by while every write, file and folder fails, over the records of an hour.

    The hour is simulated by its load: 3.6 million records (fewer where the seconds end before), as fast as they are answered,
    with a pause in every 2,000 so that the drain takes what it can. Memory is bounded by what waits, not by time.
    """
    from retrue.logger import Fields, InferenceLogger
    from retrue.logger.disk import FaultyDisk

    disk = FaultyDisk({})
    fields = Fields(keep=[Fields.NUMBERS, *NAMES])
    log = InferenceLogger("bench", version="1", to=folder, fields=fields, disk=disk)
    log.record(FEATURES)
    log.flush()
    before = most = _resident()
    disk.faults = dict.fromkeys(("folder", "create", "write", "sync"), _gone)
    given, until = 0, perf_counter() + 10 * seconds
    while given < HOUR_RECORDS and perf_counter() < until:
        for _ in range(BREATHE_EVERY):
            # an own dict each, as requests have
            log.record({**FEATURES}, prediction=PREDICTION, score=SCORE, latency_ms=LATENCY_MS)
        given += BREATHE_EVERY
        time.sleep(BREATHE_SECONDS)
        most = max(most, _resident())
    log.close(0.1)
    return {"grown_megabytes": (most - before) / 1e6, "records": given}


def _gone() -> None:
    raise OSError(errno.EIO, "the disk has gone")


def _resident() -> int:
    """Return the process's memory in bytes; its peak where the system does not say what it has now."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def importing(folder: Path, seconds: float) -> Mapping[str, float]:
    """Time the import in fresh processes; the first writes the byte code and is not counted."""
    script = "from time import perf_counter as t; a = t(); import retrue.logger; print((t() - a) * 1e3)"
    took = [_printed(script) for _ in range(IMPORTS + 1)][1:]
    return {"milliseconds": statistics.median(took)}


def _printed(script: str) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


MEASURES: Mapping[str, Callable[[Path, float], Mapping[str, float]]] = {
    "pace": pace,
    "sampled-out": sampled_out,
    "burst": burst,
    "added-latency": added_latency,
    "processor": processor,
    "memory": memory,
    "import": importing,
}


def main() -> None:
    """Take one measure and print its figures as JSON, on the last line."""
    parser = argparse.ArgumentParser(description="one measure, in this process")
    parser.add_argument("measure", choices=MEASURES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long it may take")
    given = parser.parse_args()
    print("\n" + json.dumps(MEASURES[given.measure](given.folder, given.seconds)))


if __name__ == "__main__":
    main()
