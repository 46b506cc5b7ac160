import subprocess
import sys
from pathlib import Path

import pytest

from retrue.logger.disk import Disk
from retrue.logger.tally import ACCEPTED_CELL, FILE, PAGE_BYTES, Tally, parse_tally, read_tally
from retrue.sources.spool_files import is_alive

KILLED = """
import os, signal, sys
from retrue.logger.disk import Disk
from retrue.logger.tally import ACCEPTED_CELL, Tally
tally = Tally()
tally.keep(Disk(), Disk().folder(sys.argv[1]))
tally.cells[ACCEPTED_CELL] = 2**40 + 7
tally.add("dropped.spool_full", 3)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_counters_outlive_a_killed_process(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert read_tally(tmp_path / FILE) == {"accepted": 2**40 + 7, "dropped.spool_full": 3}
    assert not is_alive(tmp_path)


def test_counters_move_into_the_file_and_on_to_the_next(tmp_path: Path) -> None:
    tally = Tally()
    tally.add("dropped.encoding", 2)
    for name in ("a", "b"):
        tally.keep(Disk(), Disk().folder(str(tmp_path / name)))
        tally.cells[ACCEPTED_CELL] += 1
    assert read_tally(tmp_path / "a" / FILE) == {"accepted": 1, "dropped.encoding": 2}
    assert read_tally(tmp_path / "b" / FILE) == tally.values() == {"accepted": 2, "dropped.encoding": 2}
    assert (is_alive(tmp_path / "a"), is_alive(tmp_path / "b")) == (False, True)
    tally.close(Disk())
    assert not is_alive(tmp_path / "b")
    assert tally.reasons("dropped.") == {"encoding": 2}


def test_names_beyond_the_page_are_counted_together(tmp_path: Path) -> None:
    tally = Tally()
    tally.keep(Disk(), Disk().folder(str(tmp_path)))
    for number in range(200):
        tally.add(f"dropped.reason_{number}")
        tally.add(f"shed.reason_{number}", 2)
    found = read_tally(tmp_path / FILE)
    assert found == tally.values()
    assert sum(tally.reasons("dropped.").values()) == 200
    assert sum(tally.reasons("shed.").values()) == 400


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * PAGE_BYTES, b"retrue tally 9\n".ljust(PAGE_BYTES, b"\0")])
def test_page_that_is_none_has_no_counters(content: bytes, tmp_path: Path) -> None:
    assert parse_tally(content) == {}
    (tmp_path / FILE).write_bytes(content)
    assert read_tally(tmp_path / FILE) == {}


def test_absent_and_linked_tallies_have_no_counters(tmp_path: Path) -> None:
    tally = Tally()
    tally.keep(Disk(), Disk().folder(str(tmp_path / "real")))
    (tmp_path / FILE).symlink_to(tmp_path / "real" / FILE)
    assert read_tally(tmp_path / FILE) == read_tally(tmp_path / "absent") == {}
