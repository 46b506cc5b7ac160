"""Disks that fail: nothing raises, nothing is lost without being counted, and writing resumes by itself."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retrue.logger.disk import FaultyDisk
from retrue.logger.lines import Lines
from retrue.logger.spool import Spool
from retrue.logger.tally import ACCEPTED_CELL
from tests.logger.spools import Read, line, lines, open_spool

OPERATIONS = ("folder", "create", "write", "sync", "rename")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Fault:
    """Raises an error while it is on; ``times`` limits how often."""

    def __init__(self, number: int, times: int = 10**9) -> None:
        self.number, self.times = number, times

    def __call__(self) -> None:
        if self.times > 0:
            self.times -= 1
            raise OSError(self.number, "as told")


def conserved(spool: Spool, accepted: int) -> bool:
    return accepted == spool.written + spool.held + sum(spool.dropped.values())


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_disk_that_fails_for_a_while_costs_nothing(tmp_path: Path, operation: str, number: int) -> None:
    clock, faults = Clock(), dict[str, Callable[[], None]]()
    spool = open_spool(tmp_path, disk=FaultyDisk(faults), monotonic=clock, segment_bytes=1500)
    disk: FaultyDisk = spool._disk  # type: ignore[assignment]
    for first in range(1, 300, 10):
        if first == 101:
            disk.faults[operation] = Fault(number)
        if first == 201:
            disk.faults.clear()
        spool.append(lines(first, first + 9))
        spool.tally.cells[ACCEPTED_CELL] = first + 9
        spool.sync()
        assert conserved(spool, first + 9)
        clock.seconds += 1
    clock.seconds += 10
    spool.append(Lines())
    assert spool.sync()
    assert (spool.written, spool.held, dict(spool.dropped)) == (300, 0, {})
    spool.close()
    read = Read(tmp_path)
    assert (sorted(read.numbers), read.lost) == (list(range(1, 301)), 0)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_disk_that_fails_from_the_start_is_no_error_and_is_used_once_it_works(tmp_path: Path, operation: str) -> None:
    clock, fault = Clock(), Fault(errno.ENOSPC)
    spool = open_spool(tmp_path / "spool", disk=FaultyDisk({operation: fault}), monotonic=clock)
    assert spool.append(lines(1, 5)) in (0, 5)
    spool.sync()
    fault.times = 0
    clock.seconds += 1
    spool.append(line(6))
    spool.tally.cells[ACCEPTED_CELL] = 7
    spool.sync()
    spool.close()
    read = Read(tmp_path / "spool")
    assert (sorted(read.numbers), read.lost) == ([1, 2, 3, 4, 5, 6], 1)


@pytest.mark.parametrize("coming", [0, 10], ids=["alone", "with more records"])
def test_fsync_that_fails_once_is_not_trusted_again(tmp_path: Path, coming: int) -> None:
    """A second fsync would report success for pages that were thrown away: the records go to a new file."""
    clock, fault = Clock(), Fault(errno.EIO, times=1)
    spool = open_spool(tmp_path, disk=FaultyDisk({"sync": fault}), monotonic=clock)
    spool.append(lines(1, 5))
    assert not spool.sync(lines(6, 5 + coming))
    assert (spool.written, spool.held) == (0, 5 + coming)
    clock.seconds += 1
    assert spool.sync()
    spool.close()
    files = sorted(tmp_path.rglob("0*.seg"))
    assert len(files) == 2
    files[0].unlink()
    assert Read(tmp_path).numbers == list(range(1, 6 + coming))


def test_folder_that_was_moved_is_left_and_nothing_that_is_not_durable_stays_there_alone(tmp_path: Path) -> None:
    clock, root = Clock(), tmp_path / "spool"
    spool = open_spool(root, monotonic=clock)
    assert spool.sync(lines(1, 1))
    spool.append(lines(2, 101))
    root.rename(tmp_path / "moved")
    clock.seconds += 10
    spool.sync(lines(102, 110))
    clock.seconds += 10
    assert spool.sync()
    spool.close()
    assert sorted(Read(root).numbers) == list(range(2, 111))


def test_memory_is_bounded_while_the_disk_fails_and_failures_are_dropped_last(tmp_path: Path) -> None:
    clock = Clock()
    spool = open_spool(tmp_path, disk=FaultyDisk({"create": Fault(errno.ENOSPC)}), monotonic=clock, held_bytes=20_000)
    for number in range(1, 1001):
        spool.append(line(number, status="error" if number % 10 == 0 else "ok"))
        assert spool._held.size <= 20_000 + 200
        assert conserved(spool, number)
        clock.seconds += 0.001
    assert spool.dropped["storage"] > 700
    spool._disk.faults.clear()  # type: ignore[attr-defined]
    clock.seconds += 10
    spool.append(Lines())
    numbers = Read(tmp_path).numbers
    assert set(range(10, 1001, 10)) <= set(numbers)
    spool.tally.cells[ACCEPTED_CELL] = 1000
    spool.close()
    assert Read(tmp_path).lost == 0
    assert len(numbers) + spool.dropped["storage"] == 1000


def test_what_cannot_be_written_at_the_end_is_counted(tmp_path: Path) -> None:
    faults = {"write": Fault(errno.ENOSPC, times=0)}
    spool = open_spool(tmp_path, disk=FaultyDisk(faults))
    spool.append(lines(1, 5))
    spool.sync()
    faults["write"].times = 10**9
    spool.append(lines(6, 8))
    spool.tally.cells[ACCEPTED_CELL] = 8
    spool.close()
    assert (spool.written, spool.held, dict(spool.dropped)) == (5, 0, {"storage": 3})
    read = Read(tmp_path)
    assert (read.numbers, read.lost) == ([1, 2, 3, 4, 5], 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here: the test of a file's size limit covers the same code")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_is_survived_and_used_again_when_there_is_room(small_disk: Path) -> None:
    clock = Clock()
    spool = open_spool(small_disk / "spool", monotonic=clock, segment_bytes=200_000, held_bytes=50_000)
    number = 0
    while not spool.held:
        spool.append(lines(number + 1, number + 100))
        number += 100
        assert spool.sync() or spool.held
    assert spool.written > 5000
    for _ in range(20):
        spool.append(lines(number + 1, number + 100))
        number += 100
        clock.seconds += 1
        assert conserved(spool, number)
    assert spool.dropped["storage"] > 0
    removed = sorted(small_disk.rglob("0*.seg"))[0]
    gone = removed.read_bytes().count(b'{"seq"')
    removed.unlink()
    clock.seconds += 10
    spool.append(lines(number + 1, number + 100))
    number += 100
    assert spool.held == 0
    spool.tally.cells[ACCEPTED_CELL] = number
    spool.close()
    read = Read(small_disk)
    assert read.lost == gone
    assert len(read.rows) == spool.written - gone == number - sum(spool.dropped.values()) - gone


LIMITED = """
import resource, sys
from pathlib import Path
from retrue.logger.lines import Lines
from tests.logger.spools import lines, open_spool
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
spool = open_spool(Path(sys.argv[1]), monotonic=lambda: 0.0)
for first in range(1, 1000, 100):
    spool.append(lines(first, first + 99))
    spool._retry_at = 0.0
    spool.append(Lines())
spool.tally.put("accepted", 1000)
spool.close()
assert (spool.written, spool.held, dict(spool.dropped)) == (1000, 0, {}), (spool.written, spool.held, spool.dropped)
"""


def test_file_that_may_not_grow_is_left_for_a_new_one(tmp_path: Path) -> None:
    """The kernel writes a part, then refuses: a short write, then EFBIG."""
    subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], check=True)
    read = Read(tmp_path)
    assert (sorted(read.numbers), read.lost) == (list(range(1, 1001)), 0)
    assert all(path.stat().st_size <= 20_000 for path in tmp_path.rglob("0*"))


def test_spool_that_was_deleted_is_made_again_and_the_loss_is_counted(tmp_path: Path) -> None:
    clock, root = Clock(), tmp_path / "spool"
    spool = open_spool(root, monotonic=clock)
    spool.append(lines(1, 10))
    spool.sync()
    spool.append(lines(11, 15))
    shutil.rmtree(root)
    spool.sync()
    assert conserved(spool, 15)
    clock.seconds += 1
    spool.append(lines(16, 20))
    spool.tally.cells[ACCEPTED_CELL] = 20
    assert spool.sync()
    assert (spool.written, dict(spool.dropped)) == (10, {"removed": 10})
    spool.close()
    read = Read(root)
    assert (sorted(read.numbers), read.lost) == (list(range(11, 21)), 0)


def test_file_system_that_counts_no_names_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As some in user space do: there a removed file is not told from one that is there."""
    fstat = os.fstat

    def without_links(fd: int) -> os.stat_result:
        status = fstat(fd)
        return os.stat_result((*status[:3], 0, *status[4:])) if stat.S_ISREG(status.st_mode) else status

    monkeypatch.setattr("retrue.logger.disk.os.fstat", without_links)
    spool = open_spool(tmp_path)
    assert spool.sync(lines(1, 5))
    spool.close()
    assert (spool.written, dict(spool.dropped)) == (5, {})
    assert Read(tmp_path).numbers == [1, 2, 3, 4, 5]


def test_link_put_in_place_of_the_spool_is_not_written_through(tmp_path: Path) -> None:
    clock, root, victim = Clock(), tmp_path / "spool", tmp_path / "victim"
    victim.mkdir(mode=0o700)
    spool = open_spool(root, monotonic=clock)
    spool.append(lines(1, 10))
    spool.sync()
    root.rename(tmp_path / "moved")
    root.symlink_to(victim)
    for number in range(11, 16):
        spool.append(line(number))
        spool.sync()
        clock.seconds += 10
    assert not list(victim.iterdir())
    root.unlink()
    clock.seconds += 10
    spool.append(line(16))
    spool.tally.cells[ACCEPTED_CELL] = 16
    spool.close()
    assert sorted({*Read(root).numbers, *Read(tmp_path / "moved").numbers}) == list(range(1, 17))


def test_descriptors_that_the_host_closed_are_not_written_to(tmp_path: Path) -> None:
    """A daemon closes all descriptors, and the system gives their numbers to other files."""
    program = """
import os, sys
from pathlib import Path
from retrue.logger.lines import Lines
from tests.logger.spools import lines, open_spool
root, other = map(Path, sys.argv[1:])
spool = open_spool(root, monotonic=lambda: 0.0)
spool.append(lines(1, 5))
os.closerange(3, 64)
theirs = [os.open(other, os.O_RDWR | os.O_CREAT) for _ in range(40)]
spool.append(lines(6, 9))
spool._retry_at = 0.0
spool.append(Lines())
spool.tally.put("accepted", 9)
spool.close()
for fd in theirs:
    os.write(fd, b"x")
"""
    other = tmp_path / "other"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "spool"), str(other)], check=True)
    assert other.read_bytes() == b"x"
    read = Read(tmp_path / "spool")
    assert (sorted(read.numbers), read.lost) == (list(range(1, 10)), 0)
