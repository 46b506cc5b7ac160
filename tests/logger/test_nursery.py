"""What a forked child accepts before it has a file is known after it was killed, and children leave nothing else behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from retrue.logger import InferenceLogger
from retrue.logger.disk import Disk, FaultyDisk
from retrue.logger.nursery import FILE, NURSERY_BYTES, PLACE_BYTES, PLACES, Nursery, read_nursery
from retrue.logger.tally import ACCEPTED_CELL, Tally
from retrue.logger.tally import FILE as TALLY
from retrue.sources.compaction import compact_spool
from retrue.sources.losses import dropped_within, lost
from tests.logger.conftest import OpenLog, RunProgram
from tests.logger.serving import on_disk, wait_for
from tests.logger.spools import Read

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

MINUTE = 60 * 10**9


def killed(log: InferenceLogger, act: Callable[[], object]) -> str:
    """Fork, act in the child, kill it; return the name of its boot."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, log.boot.encode())
            act()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(4)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    with os.fdopen(reading) as stream:
        return stream.read()


def accept(log: InferenceLogger, count: int) -> None:
    """Accept records that no thread comes to write."""
    log._intake.drain.wake = lambda: None  # type: ignore[method-assign]
    for number in range(count):
        log.record({"x": number})


def lost_by_boot(root: Path) -> dict[str, int]:
    traces = Read(root).spool.traces.values()
    return {trace.boot: missing for trace in traces if (missing := sum(gap.records for gap in lost(trace)))}


def test_what_a_child_loses_before_it_has_a_file_is_known(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    expected = {killed(log, lambda: accept(log, count)): count for count in (7, 1, 300)}  # noqa: B023 - run at once
    assert lost_by_boot(tmp_path) == expected
    began = [gap.at for trace in Read(tmp_path).spool.traces.values() for gap in lost(trace)]
    assert all(abs(time.time_ns() - at) < MINUTE for at in began)


def test_it_is_known_once_however_often_it_is_compacted(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    expected = {killed(log, lambda: accept(log, 7)): 7}
    compact_spool(tmp_path)
    assert lost_by_boot(tmp_path) == expected
    assert read_nursery(next(tmp_path.rglob(FILE))) == {}
    expected[killed(log, lambda: accept(log, 2))] = 2
    log.close()
    for _ in range(2):
        assert lost_by_boot(tmp_path) == expected
        compact_spool(tmp_path)
    assert not list((tmp_path / "segments").iterdir())


def test_without_its_place_nobody_would_know(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log._nursery.close()
    killed(log, lambda: accept(log, 7))
    assert lost_by_boot(tmp_path) == {}


def test_what_a_child_dropped_is_not_lost(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()

    def act() -> None:
        accept(log, 5)
        log._intake.inferences.tally.add("dropped.unreadable", 2)

    boot = killed(log, act)
    assert lost_by_boot(tmp_path) == {boot: 3}
    assert dropped_within(Read(tmp_path).spool.traces.values(), 0, 2**63) == {"unreadable": 2}


def test_children_that_log_nothing_leave_nothing_and_use_up_no_place(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    before = sorted(tmp_path.rglob("*"))
    for _ in range(PLACES + 3):
        killed(log, lambda: None)
    assert (sorted(tmp_path.rglob("*")), lost_by_boot(tmp_path)) == (before, {})
    boot = killed(log, lambda: accept(log, 3))
    assert lost_by_boot(tmp_path) == {boot: 3}


def test_compaction_makes_room_for_others_to_be_killed(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    expected = {}
    for _ in range(2):
        expected |= {killed(log, lambda: accept(log, 1)): 1 for _ in range(PLACES)}
        killed(log, lambda: accept(log, 1))  # finds no place
        compact_spool(tmp_path)
    assert lost_by_boot(tmp_path) == expected


def test_grandchild_has_a_place_beside_that_of_its_parent(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()

    def act() -> None:
        accept(log, 3)
        killed(log, lambda: accept(log, 5))
        killed(log, lambda: accept(log, 6))
        accept(log, 1)

    child = killed(log, act)
    found = lost_by_boot(tmp_path)
    assert found.pop(child) == 4
    assert sorted(found.values()) == [5, 6]


def test_child_with_files_of_its_own_has_places_for_its_children(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()

    def act() -> None:
        log.record({"x": "child"})
        assert log.flush()
        killed(log, lambda: accept(log, 4))

    child = killed(log, act)
    assert [record["features"]["x"] for record in on_disk(tmp_path)] == ["child"]
    found = lost_by_boot(tmp_path)
    assert (child in found, list(found.values())) == (False, [4])


def test_child_that_is_alive_has_lost_nothing_yet(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    (told, telling), (waiting, released) = os.pipe(), os.pipe()

    def act() -> None:
        accept(log, 9)
        os.write(telling, b"x")
        os.read(waiting, 1)

    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    os.read(told, 1)
    assert lost_by_boot(tmp_path) == {}
    compact_spool(tmp_path)
    os.write(released, b"x")
    os.waitpid(pid, 0)
    assert list(lost_by_boot(tmp_path).values()) == [9]
    for fd in (told, telling, waiting, released):
        os.close(fd)


@pytest.mark.parametrize("closes", [False, True])
def test_child_whose_parent_is_dead_and_compacted_is_known(
    closes: bool, run_program: RunProgram, tmp_path: Path
) -> None:
    """As that of a daemon, which also closes every descriptor that it inherited."""
    done = run_program(
        f"""
parent = os.getpid()
if os.fork() == 0:
    log._intake.drain.wake = lambda: None
    while os.getppid() == parent: time.sleep(0.001)
    if {closes}: os.closerange(3, 256)
    elif os.fork() == 0: os.execv(sys.executable, [sys.executable, "-c",
        "import pathlib, sys, retrue.sources.compaction as c; c.compact_spool(pathlib.Path(sys.argv[1]))", sys.argv[1]])
    else: os.wait()
    for number in range(11): log.record({{"x": number}})
    os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    assert done.returncode == -signal.SIGKILL
    wait_for(lambda: list(lost_by_boot(tmp_path).values()) == [11])
    assert bool(list(tmp_path.rglob(TALLY))) is closes  # else the parent's was compacted
    compact_spool(tmp_path)
    assert list(lost_by_boot(tmp_path).values()) == [11]
    assert not list(tmp_path.rglob(FILE))


def test_place_is_given_back_when_its_child_has_a_file(tmp_path: Path) -> None:
    disk = Disk()
    parent = Nursery(disk)
    parent.tally("0" * 16).keep(disk, disk.folder(str(tmp_path / "parent")))
    path = tmp_path / "parent" / FILE
    tally = parent.tally("1" * 16)  # as in a child: the lock of a process does not hinder itself
    tally.cells[ACCEPTED_CELL] = 5
    assert read_nursery(path) == {"1" * 16: {"accepted": 5}}
    tally.keep(disk, disk.folder(str(tmp_path / "child")))
    assert (read_nursery(path), tally.values()) == ({}, {"accepted": 5})
    assert not (tmp_path / "child" / FILE).exists()


def test_child_killed_between_its_file_and_its_place_is_believed_where_it_says_more(tmp_path: Path) -> None:
    disk, segments = Disk(), tmp_path / "segments"
    parent, boot = Nursery(disk), "1" * 16
    for folder, tally, accepted in (("0" * 16, parent.tally("0" * 16), 0), (boot, Tally(), 3)):
        tally.keep(disk, disk.folder(str(segments / folder)))
        tally.cells[ACCEPTED_CELL] = accepted
        tally.close(disk)
    parent.tally(boot).cells[ACCEPTED_CELL] = 5
    assert lost_by_boot(tmp_path) == {boot: 5}
    compact_spool(tmp_path)
    assert lost_by_boot(tmp_path) == {boot: 5}
    assert not list(segments.iterdir())


def test_removed_nursery_is_made_again_where_the_next_folder_is_opened(tmp_path: Path) -> None:
    disk = Disk()
    parent = Nursery(disk)
    tally = parent.tally("0" * 16)
    for name in ("a", "b"):
        tally.keep(disk, disk.folder(str(tmp_path / name)))
        assert (tmp_path / name / FILE).stat().st_size == NURSERY_BYTES
        (tmp_path / name / FILE).unlink()


def test_logger_works_where_no_nursery_can_be_made(tmp_path: Path) -> None:
    class NoLocks(FaultyDisk):
        def lock(self, *_: object) -> bool:
            raise OSError

    disk = NoLocks({})
    parent = Nursery(disk)
    tally = parent.tally("0" * 16)
    tally.keep(disk, disk.folder(str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == [TALLY]
    assert parent.tally("1" * 16).values() == {"accepted": 0}


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * NURSERY_BYTES, b"retrue nursery 1\n".ljust(PLACE_BYTES)])
def test_file_that_is_no_nursery_holds_nobody(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / "link").symlink_to(tmp_path / FILE)
    assert read_nursery(tmp_path / FILE) == read_nursery(tmp_path / "link") == read_nursery(tmp_path / "absent") == {}
