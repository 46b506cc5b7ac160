"""Processes killed at any moment: what the reader calls lost is exactly what was accepted and is not there.

Twenty kills by default; `RETRUE_KILLS=500 pytest tests/faults/test_kill.py` for a long proof.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import NoReturn

import pyarrow.parquet as pq

from retrue.logger import Answer, Fields, InferenceLogger
from retrue.logger.disk import FaultyDisk
from retrue.logger.lines import Lines
from retrue.logger.spool import Spool
from retrue.logger.tally import ACCEPTED_CELL, read_tally
from retrue.sources.compacted import contents_of
from retrue.sources.compaction import compact_spool
from retrue.sources.losses import Trace, lost
from tests.logger.spools import Read, open_spool, payload

KILLS = int(os.environ.get("RETRUE_KILLS", "20"))


def produce(root: Path, boot: str, pipe: int) -> NoReturn:
    """Accept records as fast as can be, tell their numbers, drop every 97th, and let a second thread write them."""
    spool = open_spool(root, boot=boot, segment_bytes=20_000)
    queue: deque[int] = deque()
    threading.Thread(target=drain, args=(spool, queue), daemon=True).start()
    for number in count(1):
        spool.tally.cells[ACCEPTED_CELL] = number
        os.write(pipe, b"%8d" % number)
        queue.append(number)
        if len(queue) > 2000:
            time.sleep(0.001)
    raise AssertionError


def drain(spool: Spool, queue: deque[int]) -> None:
    while True:
        numbers = [queue.popleft() for _ in range(min(len(queue), 64))]
        spool.tally.add("dropped.chosen", sum(number % 97 == 0 for number in numbers))
        spool.append(Lines.of(payload(number) for number in numbers if number % 97))
        if random.random() < 0.05:
            spool.sync()
        if not numbers:
            time.sleep(0.0005)


def log_inferences(root: Path, pipe: int) -> NoReturn:
    """The same through the logger as a model server uses it, every tenth call a failure."""
    log = InferenceLogger("m", version="1", to=root, fields=Fields(keep=["x"]), sample=1.0, resources_every=None)
    told = 0
    for number in count(1):
        failed = RuntimeError("as told") if number % 10 == 0 else None
        if log.record({"x": number}, prediction=1, error=failed) is Answer.ACCEPTED:
            told += 1
            os.write(pipe, b"%8d" % told)
        if number % 50 == 0:
            time.sleep(0.001)
    raise AssertionError


def log_as_child(log: InferenceLogger, pipe: int) -> NoReturn:
    """Accept records in a fork of a server as its first requests come, each a success."""
    for number in count(1):
        if log.record({"x": number}, prediction=1) is Answer.ACCEPTED:
            os.write(pipe, b"%8d" % log.stats().counts.accepted)
        if number % 20 == 0:
            time.sleep(0.002)
    raise AssertionError


def killed_after(seconds: float, work: Callable[[int], NoReturn]) -> int:
    """Let a process work for a while, kill it, and return the last number that it told."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            work(writing)
        finally:
            os._exit(1)
    os.close(writing)
    told = os.read(reading, 8)
    end = time.monotonic() + seconds
    with os.fdopen(reading, "rb") as stream:
        while time.monotonic() < end:
            told = (told + stream.read1())[-8:]
        os.kill(pid, signal.SIGKILL)
        told = (told + stream.read())[-8:]
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, "it ended by itself"
    return int(told)


def test_loss_after_a_kill_is_what_was_accepted_and_is_not_on_disk(tmp_path: Path) -> None:
    draw = random.Random(3)
    records = 0
    for kill in range(KILLS):
        boot = f"{kill:016x}"
        told = killed_after(draw.uniform(0, 0.15), partial(produce, tmp_path / boot, boot))
        read = Read(tmp_path / boot)
        trace = read.spool.traces[boot]
        assert not trace.alive
        accepted, chosen = trace.tally["accepted"], trace.tally.get("dropped.chosen", 0)
        assert 0 <= accepted - told <= 1
        missing = set(range(1, accepted + 1)) - set(read.numbers)
        assert len(set(read.numbers)) == len(read.numbers)
        assert sum(gap.records for gap in lost(trace)) == len(missing) - chosen
        assert all(number in missing for gap in lost(trace) for number in (gap.first, gap.last))
        records += len(read.rows)
    assert records > KILLS


def test_the_logger_loses_nothing_that_a_reader_does_not_know_of(tmp_path: Path) -> None:
    draw = random.Random(4)
    told = {}
    for kill in range(KILLS // 2):
        before = {path.name for path in (tmp_path / "segments").glob("*")}
        last = killed_after(draw.uniform(0.01, 0.2), partial(log_inferences, tmp_path))
        (boot,) = {path.name for path in (tmp_path / "segments").glob("*")} - before
        told[boot] = last
        if kill % 3 == 2:  # what is compacted is read no differently
            assert compact_spool(tmp_path)
            (tmp_path / "segments").mkdir(exist_ok=True)
    traces = traces_of(tmp_path)
    for boot, last in told.items():
        accepted = traces[boot].tally["accepted"]
        held = sum(run.last - run.first + 1 for run in traces[boot].runs)
        dropped = sum(count for name, count in traces[boot].tally.items() if name.startswith("dropped."))
        assert 0 <= accepted - last <= 1
        assert sum(gap.records for gap in lost(traces[boot])) == accepted - held - dropped


def test_children_killed_in_their_first_moments_lose_nothing_unknown(tmp_path: Path) -> None:
    """The disk is slow, so that many die before they have a file or while they move; half are compacted at once."""
    draw = random.Random(5)
    disk = FaultyDisk(dict.fromkeys(("folder", "create", "rename"), lambda: time.sleep(0.004)))
    log = InferenceLogger("m", version="1", to=tmp_path, fields=Fields(keep=["x"]), resources_every=None, disk=disk)
    told: dict[str, int] = {}
    early = 0
    for kill in range(KILLS):
        known = traces_of(tmp_path)
        last = killed_after(draw.choice((0.0, draw.uniform(0, 0.06))), partial(log_as_child, log))
        traces = traces_of(tmp_path)
        (boot,) = traces.keys() - known.keys()
        told[boot] = last
        early += not (tmp_path / "segments" / boot / "tally").exists()
        if kill % 2:
            assert compact_spool(tmp_path)
    log.close()
    for _ in range(2):
        traces = traces_of(tmp_path)
        for boot, last in told.items():
            accepted = traces[boot].tally["accepted"]
            held = sum(run.last - run.first + 1 for run in traces[boot].runs)
            assert 0 <= accepted - last <= 1
            assert sum(gap.records for gap in lost(traces[boot])) == accepted - held
        assert compact_spool(tmp_path)
    assert early, "none was killed early enough"


def traces_of(root: Path) -> dict[str, Trace]:
    """What is known of each process, by segments and by Parquet files."""
    traces = Read(root).spool.traces
    for path in root.glob("*.parquet"):
        contents = contents_of(pq.read_metadata(path).metadata)
        assert contents
        contents.add_to(traces)
    return traces


def test_compaction_of_what_the_killed_left_says_the_same(tmp_path: Path) -> None:
    boots = [f"{number:016x}" for number in range(4)]
    for boot in boots:
        killed_after(0.03, partial(produce, tmp_path, boot))
    before = Read(tmp_path)
    done = compact_spool(tmp_path)
    assert done is not None
    assert done.records == len(before.rows)
    assert not list(tmp_path.rglob("*.seg")) + list(tmp_path.rglob("*.open"))
    assert not any(read_tally(path) for path in tmp_path.rglob("tally"))
