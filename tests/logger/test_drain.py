"""What is accepted is on disk or counted, whatever happens in between."""

import errno
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from retrue.logger import ACCEPTED, Counts, InferenceLogger, Queues
from retrue.logger.disk import FaultyDisk
from retrue.logger.drain import (
    BREATH_SECONDS,
    DOZE_SECONDS,
    GATHER_SECONDS,
    SYNC_SECONDS,
    URGENT_SYNC_SECONDS,
    stride,
)
from retrue.logger.encoder import BATCH_RECORDS
from retrue.logger.lines import Lines
from retrue.logger.spool import Spool
from retrue.logger.streams import Stream
from retrue.logger.tally import Tally, read_tally
from tests.logger.conftest import OpenLog
from tests.logger.serving import on_disk, wait_for


class HangingDisk(FaultyDisk):
    """A disk whose writes hang from ``hang`` on, until ``goes_on`` is set."""

    def __init__(self) -> None:
        super().__init__({})
        self.stuck, self.goes_on = threading.Event(), threading.Event()

    def hang(self) -> None:
        self.faults["write"] = self._wait

    def _wait(self) -> None:
        self.stuck.set()
        self.goes_on.wait(60.0)


def conserved(counts: Counts, root: Path) -> bool:
    """The law, and that the disk bears it out."""
    numbers = [record["seq"] for record in on_disk(root)]
    assert len(set(numbers)) == len(numbers)
    return counts.queued == 0 and counts.accepted == counts.on_disk + sum(counts.dropped.values()) == len(
        numbers
    ) + sum(counts.dropped.values())


def hammer(log: InferenceLogger, count: int) -> int:
    """Log successes and failures as fast as it goes; return how many were accepted."""
    failure = ValueError("no")
    return sum(
        log.record({"x": number}, error=failure if number % 50 == 0 else None) == ACCEPTED for number in range(count)
    )


def test_all_is_on_disk_after_the_end(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    accepted = hammer(log, 5_000)
    counts = log.close(20.0)
    assert counts.accepted == accepted
    assert conserved(counts, tmp_path)


def test_law_holds_while_successes_are_shed(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(queues=Queues(records=200, failure_records=100))
    accepted = hammer(log, 30_000)
    counts = log.close(20.0)
    assert counts.accepted == accepted
    assert counts.shed["pressure"] > 0
    assert counts.accepted + sum(counts.shed.values()) == 30_000
    assert conserved(counts, tmp_path)
    tally = read_tally(next(tmp_path.rglob("tally")))
    assert tally["accepted"] == accepted
    assert tally["shed.pressure"] == counts.shed["pressure"]


def test_law_holds_when_the_spool_is_full(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(spool_bytes=2**20)
    for number in range(6_000):
        log.record({"x": "a" * 400, "y": number}, error=ValueError() if number > 5_900 else None)
        if number % 500 == 0:
            log.flush()
    counts = log.close(20.0)
    assert counts.dropped["spool_full"] > 0
    assert conserved(counts, tmp_path)
    assert sum(record["status"] == "error" for record in on_disk(tmp_path)) == 99


@pytest.mark.parametrize("operation", ["write", "sync", "create"])
def test_law_holds_when_the_disk_fails_for_good(operation: str, open_log: OpenLog, tmp_path: Path) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "no space left")

    disk = FaultyDisk({})
    log = open_log(disk=disk)
    log.record({"x": "before"})
    assert log.flush()
    disk.faults[operation] = full
    hammer(log, 2_000)
    assert log.flush(1.0) == (operation == "create")  # the segment is open already
    counts = log.close(20.0)
    assert counts.queued == 0
    assert counts.accepted == counts.on_disk + sum(counts.dropped.values())
    assert counts.accepted <= len(on_disk(tmp_path)) + sum(counts.dropped.values())


def test_writing_resumes_when_the_disk_works_again(open_log: OpenLog, tmp_path: Path) -> None:
    def fault() -> None:
        raise OSError(errno.EIO, "input/output error")

    disk = FaultyDisk({})
    log = open_log(disk=disk)
    disk.faults["write"] = fault
    hammer(log, 500)
    assert not log.flush(0.5)
    disk.faults.clear()
    wait_for(lambda: log.flush(1.0))
    counts = log.close(20.0)
    assert (counts.accepted, counts.dropped) == (500, {})
    assert conserved(counts, tmp_path)


def test_law_holds_when_the_folder_is_removed_meanwhile(open_log: OpenLog, tmp_path: Path) -> None:
    root = tmp_path / "logs"
    log = open_log(to=root)
    hammer(log, 1_000)
    log.flush()
    shutil.rmtree(root)
    hammer(log, 1_000)
    counts = log.close(20.0)
    assert counts.queued == 0
    assert counts.accepted == 2_000 == counts.on_disk + sum(counts.dropped.values())
    assert len(on_disk(root)) == counts.on_disk


def test_memory_is_bounded_while_nothing_is_written(open_log: OpenLog) -> None:
    disk = HangingDisk()
    log = open_log(disk=disk, queues=Queues(records=500, bytes=2**20, failure_records=50, failure_bytes=2**20))
    disk.hang()
    log.record({})
    assert disk.stuck.wait(10.0)
    for number in range(5_000):
        log.record({"x": "a" * 10_000})
        log.record({}, error=ValueError(number))
        log.label("id", number)
    stats = log.stats()
    assert stats.queue_records <= 500 + 100 + 1
    assert stats.queue_bytes <= 2 * 2**20 + 8 * 20_000
    assert sum(stats.shed_failures.values()) == stats.counts.shed["failures"]
    disk.goes_on.set()
    assert log.close(20.0).queued == 0


def test_flush_waits_and_close_returns_in_time_while_the_disk_hangs(open_log: OpenLog) -> None:
    disk = HangingDisk()
    log = open_log(disk=disk)
    disk.hang()
    for _ in range(100):
        log.record({})
    assert disk.stuck.wait(10.0)
    assert not log.flush(0.05)
    began = time.monotonic()
    counts = log.close(0.3)
    assert time.monotonic() - began < 20.0  # the disk hangs for a minute
    assert (counts.accepted, counts.on_disk, counts.queued) == (100, 0, 100)
    disk.goes_on.set()
    wait_for(lambda: log.close(1.0).queued == 0)
    assert log.close().on_disk == 100


def test_idle_drain_rests_and_wakes_for_one_record(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    drain = log._intake.drain
    assert not drain.thread
    for number in range(3):
        log.record({"x": number})
        wait_for(lambda count=number + 1: len(on_disk(tmp_path)) == count)
        wait_for(lambda: drain.resting)
    assert drain.failures == 0


def load(log: InferenceLogger, **facts: Any) -> None:
    """Log a record each millisecond, for a second."""
    ends = time.monotonic() + 1.0
    while time.monotonic() < ends:
        log.record({}, **facts)
        time.sleep(0.001)


def calm_and_urgent(log: InferenceLogger, events: list[int]) -> tuple[int, int]:
    """Return how many events a second of successes brings, and then one of failures."""
    log.record({})
    log.flush()
    before = len(events)
    load(log)
    calm = len(events) - before
    load(log, error=ValueError())
    return calm, len(events) - before - calm


def test_syncs_are_few_at_any_load_and_sooner_for_failures(open_log: OpenLog) -> None:
    syncs: list[int] = []
    log = open_log(disk=FaultyDisk({"sync": lambda: syncs.append(1)}))
    calm, urgent = calm_and_urgent(log, syncs)
    assert 1 <= calm <= 1.0 / SYNC_SECONDS + 2
    assert calm < urgent <= 1.0 / URGENT_SYNC_SECONDS + 2


def test_passes_are_few_where_few_successes_come_and_no_more_for_each_failure(
    open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To wake costs as much as to encode some records; a failure that is in time for the next sync wakes nobody."""
    log = open_log()
    drain, passes = log._intake.drain, list[int]()
    one_pass = drain._pass
    monkeypatch.setattr(drain, "_pass", lambda: (passes.append(1), one_pass())[1])
    calm, urgent = calm_and_urgent(log, passes)
    assert 1 <= calm <= 1.0 / DOZE_SECONDS + 1.0 / SYNC_SECONDS + 5
    assert calm < urgent <= 1.0 / GATHER_SECONDS + 3.0 / URGENT_SYNC_SECONDS + 5


def test_a_drain_whose_passes_all_fail_takes_breath_in_between(
    open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log()
    drain, passes = log._intake.drain, list[int]()

    def fail() -> None:
        passes.append(1)
        drain._is_unsynced = True  # and no sync ever comes
        raise RuntimeError("no")

    with monkeypatch.context() as patch:
        patch.setattr(drain, "_pass", fail)
        began = time.monotonic()
        log.record({})
        wait_for(lambda: len(passes) > 20)
        assert len(passes) <= (time.monotonic() - began) / BREATH_SECONDS + 2
    assert log.close(20.0).on_disk == 1


def test_drain_outlives_a_pass_that_fails(open_log: OpenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log()
    drain = log._intake.drain
    is_due, failed = drain._is_sync_due, threading.Event()

    def fail_once() -> bool:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("no")
        return is_due()

    monkeypatch.setattr(drain, "_is_sync_due", fail_once)
    for _ in range(10):
        log.record({})
    wait_for(failed.is_set)
    log.record({})
    assert log.close(20.0).on_disk == 11
    assert drain.failures == 1


def test_without_a_thread_everything_is_written_at_the_end(
    open_log: OpenLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    log = open_log()
    for _ in range(50):
        assert log.record({}) == ACCEPTED
    assert not log.flush(0.1)
    assert conserved(log.close(20.0), tmp_path)
    assert len(on_disk(tmp_path)) == 50


def test_a_host_that_keeps_the_lock_gives_it_for_more_records_at_a_time() -> None:
    """Else it would log faster than the drain gets turns, and the queue would grow until it is behind."""
    usual, _ = stride(100, is_hurried=False, is_starved=False)
    starved, pause = stride(100, is_hurried=False, is_starved=True)
    assert usual < starved == BATCH_RECORDS
    assert pause > 0


def test_a_flush_is_answered_although_the_process_cannot_be_sampled(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(resources_every=0.1)
    drain = log._intake.drain
    sampled = threading.Event()

    def fail() -> None:
        sampled.set()
        raise RuntimeError("no")

    drain._sample = fail
    while not sampled.is_set():
        log.record({"x": 1})
        assert log.flush()
    drain._sample_at = 0.0
    log.record({"x": 2})
    assert log.flush()
    assert on_disk(tmp_path)[-1]["features"]["x"] == 2


def test_a_flush_into_a_folder_that_is_refused_is_not_called_durable() -> None:
    def refuse(_: Tally) -> Spool:
        raise ValueError("the folder is another's")

    stream = Stream("labels", refuse, lambda facts, number, weight: b"{}")
    assert stream.sync(Lines())
    assert not stream.sync(Lines.of([b'{"seq":1}']))
    assert stream.dropped == {"storage": 1}
