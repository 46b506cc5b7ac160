import errno
import os
import stat
from pathlib import Path

import orjson
import pytest

from retrue.logger.disk import PARTS_MAX, FaultyDisk
from retrue.logger.lines import Lines
from retrue.logger.segments import read_ends
from retrue.logger.spool_folder import weight_of
from retrue.logger.tally import ACCEPTED_CELL
from retrue.sources.losses import dropped_within
from tests.logger.spools import MINUTE, START, Read, line, lines, open_spool, payload, segments, write


def test_records_are_on_disk_before_anything_is_sealed(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    assert spool.append(lines(1, 3)) == 3
    assert Read(tmp_path).numbers == [1, 2, 3]
    assert spool.append(Lines()) == 0
    assert (spool.written, spool.held, dict(spool.dropped)) == (3, 0, {})
    spool.close()
    assert [path.name for path in segments(tmp_path)] == ["00000001.seg"]


def test_segments_are_sealed_by_size_and_by_age(tmp_path: Path) -> None:
    now = [0]
    spool = open_spool(tmp_path, segment_bytes=2000, segment_seconds=60, clock=lambda: now[0])
    for number in range(1, 34):
        spool.append(line(number))
    large = len(segments(tmp_path))
    assert 1 <= large <= 3
    spool.sync()
    assert len(segments(tmp_path)) == large
    now[0] += 61 * 10**9
    assert spool.sync()
    assert len(segments(tmp_path)) == large + 1
    assert Read(tmp_path).numbers == list(range(1, 34))
    spool.close()


def test_spool_without_records_leaves_no_segment(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    assert spool.sync()
    spool.seal()
    spool.close()
    assert not list(tmp_path.rglob("*.seg")) + list(tmp_path.rglob("*.open"))


def test_folders_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        write(tmp_path / "deep" / "spool", [lines(1, 3)])
    finally:
        os.umask(umask)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep" / "spool").rglob("*")}
    assert set(modes.values()) == {0o700, 0o600}
    assert stat.S_IMODE((tmp_path / "deep" / "spool").stat().st_mode) == 0o700


def test_folder_that_anybody_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ValueError, match="may be written by anybody: run `chmod 700`"):
        open_spool(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(ValueError, match="belongs to user 12345: name a folder of user 0"):
        open_spool(tmp_path)


def test_link_and_file_in_place_of_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_bytes(b"")
    for name in ("link", "file"):
        with pytest.raises(ValueError, match="name the folder itself"):
            open_spool(tmp_path / name)


def test_folder_of_another_model_or_kind_is_refused(tmp_path: Path) -> None:
    open_spool(tmp_path).close()
    assert orjson.loads((tmp_path / "retrue-spool.json").read_bytes()) == {
        "format": 1,
        "kind": "inferences",
        "model": "m",
    }
    with pytest.raises(ValueError, match="holds inferences of m: give labels of m a folder"):
        open_spool(tmp_path, kind="labels")
    with pytest.raises(ValueError, match="give inferences of other a folder"):
        open_spool(tmp_path, model="other")


def test_processes_share_a_root(tmp_path: Path) -> None:
    one, other = open_spool(tmp_path), open_spool(tmp_path)
    assert one.boot != other.boot
    one.append(lines(1, 5))
    other.append(lines(1, 3))
    one.close()
    other.close()
    assert sorted(Read(tmp_path).numbers) == [1, 1, 2, 2, 3, 3, 4, 5]


def test_forked_child_leaves_the_parents_files_alone(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append(lines(1, 2))
    pid = os.fork()
    if pid == 0:
        spool.abandon()
        child = open_spool(tmp_path)
        child.append(lines(1, 4))
        child.close()
        os._exit(0)
    os.waitpid(pid, 0)
    spool.append(lines(3, 3))
    assert sorted(Read(tmp_path).numbers) == [1, 1, 2, 2, 3, 3, 4]
    assert Read(tmp_path).spool.traces[spool.boot].alive
    spool.close()
    assert sorted(path.suffix for path in tmp_path.rglob("0*")) == [".seg", ".seg"]


def test_full_spool_refuses_successes_first_and_counts_them(tmp_path: Path) -> None:
    seconds = [0.0]
    spool = open_spool(tmp_path, max_spool_bytes=20_000, segment_bytes=4000, monotonic=lambda: seconds[0])
    number = 0
    while not spool.dropped:
        number += 1
        spool.append(line(number))
        spool.sync()
        seconds[0] += 10
    spool.append(line(number + 1, status="error"))
    assert dict(spool.dropped) == {"spool_full": 1}
    assert spool.written == number
    for more in range(number + 2, number + 200):
        spool.append(line(more, status="error"))
    assert spool.dropped["spool_full"] > 100
    assert sum(path.stat().st_size for path in tmp_path.rglob("0*")) < 20_000 * 1.05
    spool.tally.cells[ACCEPTED_CELL] = number + 199
    assert spool.written + spool.dropped["spool_full"] == number + 199
    dropped = spool.dropped["spool_full"]
    spool.close()
    read = Read(tmp_path)
    assert (len(read.rows), read.lost) == (spool.written, 0)
    assert dropped_within(read.spool.traces.values(), 0, 2**63) == {"spool_full": dropped}


def test_room_that_was_made_is_used_again(tmp_path: Path) -> None:
    seconds = [0.0]
    spool = open_spool(tmp_path, max_spool_bytes=10_000, monotonic=lambda: seconds[0])
    spool.append(lines(1, 200))
    assert spool.dropped["spool_full"] > 50
    spool.seal()
    dropped = spool.dropped["spool_full"]
    for path in segments(tmp_path):
        path.unlink()
    seconds[0] += 10
    assert spool.append(line(201)) == 1
    assert spool.dropped["spool_full"] == dropped
    spool.close()


def test_only_segments_take_up_the_spools_room(tmp_path: Path) -> None:
    spool = write(tmp_path, [lines(1, 20)])
    assert weight_of(tmp_path / "segments") == segments(tmp_path)[0].stat().st_size
    assert (tmp_path / "segments" / spool.boot / "tally").stat().st_size


def test_counters_are_in_the_footer(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append(lines(1, 2))
    spool.tally.cells[ACCEPTED_CELL] = 4
    spool.tally.add("dropped.encoding", 2)
    spool.close()
    (path,) = segments(tmp_path)
    with path.open("rb") as stream:
        footer = read_ends(stream, path.stat().st_size).footer
    assert footer is not None
    assert footer.counts == {"accepted": 4, "dropped.encoding": 2}


def test_batch_is_one_write(tmp_path: Path) -> None:
    writes: list[int] = []
    spool = open_spool(tmp_path, disk=FaultyDisk({"write": lambda: writes.append(1)}))
    spool.append(line(1))
    writes.clear()
    spool.append(lines(2, 500))
    assert len(writes) == 1
    spool.close()


def test_sync_in_use_is_one_write(tmp_path: Path) -> None:
    """Each operation on a file gives the host a turn that it must give back."""
    done: list[str] = []
    spool = open_spool(
        tmp_path, disk=FaultyDisk({"write": lambda: done.append("write"), "sync": lambda: done.append("sync")})
    )
    assert spool.sync(lines(1, 400))
    done.clear()
    spool.tally.cells[ACCEPTED_CELL] = 800
    assert spool.sync(lines(401, 800))
    assert done == ["write", "sync"]  # both of the one that writes durably
    assert spool.sync()
    assert len(done) == 2
    spool.close()
    assert Read(tmp_path).numbers == list(range(1, 801))


def test_more_lines_than_one_write_takes_are_all_written(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for first in (1, 2 * PARTS_MAX):
        assert spool.sync(lines(first, first + 2 * PARTS_MAX - 2))
    spool.close()
    assert Read(tmp_path).numbers == list(range(1, 4 * PARTS_MAX - 1))


@pytest.mark.parametrize(
    "number", [errno.EOPNOTSUPP, errno.ENOSYS, None], ids=["unsupported", "unknown", "never known"]
)
def test_system_that_cannot_write_durably_at_once_does_it_in_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    def refused(*_: object) -> int:
        assert number is not None
        raise OSError(number, "as told")

    synced: list[int] = []
    monkeypatch.setattr("os.pwritev", refused)
    monkeypatch.setattr("os.fdatasync", synced.append)
    if number is None:
        monkeypatch.setattr("retrue.logger.disk._DURABLE", 0)
    spool = open_spool(tmp_path)
    for first in (1, 6, 11):
        assert spool.sync(lines(first, first + 4))
    assert len(synced) == 3
    spool.close()
    assert Read(tmp_path).numbers == list(range(1, 16))


@pytest.mark.parametrize("is_noted", [True, False])
def test_lines_are_shared_out_and_joined_with_what_a_footer_says_of_them(is_noted: bool) -> None:
    whole = lines(1, 5)
    whole.extend(lines(8, 9))
    first = whole.first(3)
    rest = whole.without(first)
    if is_noted:
        assert [(run.first, run.last) for run in first.runs] == [(1, 3)]
        assert [(run.first, run.last) for run in rest.runs] == [(4, 5), (8, 9)]
        assert rest.span == (START + 4 * MINUTE, START + 9 * MINUTE)
    first.extend(rest)
    first.add(payload(10))
    whole.add(payload(10))
    assert (first.contents, first.size, first.span) == (whole.contents, whole.size, whole.span)
    assert {number for run in first.runs for number in range(run.first, run.last + 1)} == {1, 2, 3, 4, 5, 8, 9, 10}
    assert whole.first(8) is whole
    assert len(whole.without(whole)) == 0


def test_a_record_without_a_number_is_a_line_all_the_same() -> None:
    some = Lines.of([payload(1), b'{"x":4}', payload(2)])
    assert ([(run.first, run.last) for run in some.runs], len(some)) == ([(1, 2)], 3)
