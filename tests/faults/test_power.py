"""A model check of the spool on a disk that forgets what was not synced when the power fails."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from retrue.logger.disk import Disk, Handle
from retrue.logger.lines import Lines
from retrue.logger.tally import ACCEPTED_CELL
from retrue.sources.losses import lost
from tests.logger.spools import Read, lines, open_spool


class ForgetfulDisk(Disk):
    """The real file system, until ``fail``: then every file keeps any part of what it was given since its last sync.

    A name that was made or changed since the last sync of its folder may be gone or be the old one. ``faults`` are
    operations that fail once.
    """

    def __init__(self) -> None:
        self.synced: dict[tuple[int, int], int] = {}
        self.paths: dict[tuple[int, int], Path] = {}
        self.names: list[tuple[Path, Path | None]] = []
        self.faults: set[str] = set()

    def _fault(self, operation: str) -> None:
        if operation in self.faults:
            self.faults.remove(operation)
            raise OSError(errno.EIO, "as told")

    def create(self, name: str, folder: Handle) -> Handle:
        self._fault("create")
        handle = super().create(name, folder)
        self.synced[handle[1:]] = 0
        self.paths[handle[1:]] = path_of(folder) / name
        self.names.append((path_of(folder) / name, None))
        return handle

    def write(self, handle: Handle, contents: Sequence[bytes]) -> int:
        contents = self._shortened(contents)
        self._fault("write")
        return super().write(handle, contents)

    def write_durably(self, handle: Handle, contents: Sequence[bytes]) -> int:
        """As `RWF_DSYNC` does: what was written before is not made durable by it."""
        before = os.fstat(handle.fd).st_size
        contents = self._shortened(contents)
        self._fault("write")
        written = super().write_durably(handle, contents)
        self._fault("sync")
        if self.synced[handle[1:]] == before:
            self.synced[handle[1:]] = before + written
        return written

    def sync(self, handle: Handle) -> None:
        self._fault("sync")
        super().sync(handle)
        self.synced[handle[1:]] = os.fstat(handle.fd).st_size

    def sync_folder(self, handle: Handle) -> None:
        super().sync_folder(handle)
        self.names = [(new, old) for new, old in self.names if new.parent != path_of(handle)]

    def rename(self, old: str, new: str, folder: Handle) -> None:
        self._fault("rename")
        super().rename(old, new, folder)
        self._moved(path_of(folder) / old, path_of(folder) / new)
        self.names.append((path_of(folder) / new, path_of(folder) / old))

    def fail(self, draw: random.Random) -> None:
        for key, synced in self.synced.items():
            path = self.paths[key]
            if path.name in ("tally", ".tally") or not path.exists():
                continue
            size = path.stat().st_size
            os.truncate(path, draw.randint(min(synced, size), size))
        for new, old in reversed(self.names):
            if new.name in ("tally", ".tally") or not draw.randrange(2):
                continue
            if old is not None and new.exists() and not old.exists():
                new.rename(old)
                self._moved(new, old)
            elif old is None and new.exists() and not self._was_synced(new):
                new.unlink()

    def _shortened(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        if "short" not in self.faults:
            return contents
        self.faults.remove("short")
        content = b"".join(contents)
        return [content[: len(content) // 2]]

    def _moved(self, old: Path, new: Path) -> None:
        self.paths = {key: new if path == old else path for key, path in self.paths.items()}

    def _was_synced(self, path: Path) -> bool:
        """ext4, XFS and btrfs make a new file's name durable together with its content."""
        return any(each == path and self.synced[key] for key, each in self.paths.items())


def path_of(folder: Handle) -> Path:
    return Path(f"/proc/self/fd/{folder.fd}").readlink()


class Power(RuleBasedStateMachine):
    """Records are appended, synced and sealed while things fail; then the power does, and a new process begins."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name) / "spool"
        self.durable: dict[str, set[int]] = {}
        self.appended: dict[str, int] = {}
        self._begin()

    def _begin(self) -> None:
        self.disk = ForgetfulDisk()
        self.seconds = 0.0
        self.spool = open_spool(self.root, disk=self.disk, segment_bytes=1500, monotonic=lambda: self.seconds)
        self.number = 0

    @rule(records=st.integers(1, 30))
    def append(self, records: int) -> None:
        self.spool.append(self._accepted(records))
        assert self.number == self.spool.written + self.spool.held + sum(self.spool.dropped.values())

    @rule(records=st.integers(0, 30))
    def sync(self, records: int) -> None:
        if self.spool.sync(self._accepted(records)):
            self.durable[self.spool.boot] = set(range(1, self.number + 1))

    def _accepted(self, records: int) -> Lines:
        self.number += records
        self.spool.tally.cells[ACCEPTED_CELL] = self.number
        return lines(self.number - records + 1, self.number)

    @rule()
    def seal(self) -> None:
        self.spool.seal()

    @rule(operation=st.sampled_from(["create", "write", "short", "sync", "rename"]))
    def break_something(self, operation: str) -> None:
        self.disk.faults.add(operation)

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    @rule(seed=st.integers(0, 2**32))
    def power_fails(self, seed: int) -> None:
        self.spool.abandon()
        self.disk.fail(random.Random(seed))
        self.appended[self.spool.boot] = self.number
        self._check()
        self._begin()

    def _check(self) -> None:
        read = Read(self.root)
        records = 0
        for boot, trace in read.spool.traces.items():
            held = {number for run in trace.runs for number in range(run.first, run.last + 1)}
            records += len(held)
            assert self.durable.get(boot, set()) <= held <= set(range(1, self.appended[boot] + 1))
            missing = self.appended[boot] - len(held)
            gone = sum(count for name, count in trace.tally.items() if name.startswith("dropped."))
            assert sum(gap.records for gap in lost(trace)) == max(missing - gone, 0)
        assert len(read.rows) == records

    def teardown(self) -> None:
        with contextlib.suppress(AttributeError):
            self.spool.abandon()
            self.folder.cleanup()


Power.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPower = Power.TestCase
