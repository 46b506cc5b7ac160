"""The writer of one kind of record: batches of lines into segments that are sealed by size and age.

Nothing here raises once a spool is made. Where the disk fails, the file is left as it is, what it may not hold is written
to a new segment, and until that can be done the lines wait in memory, within a bound; what exceeds it is counted.
One thread at a time may use a spool.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from retrue.logger.disk import Disk
from retrue.logger.lines import Lines
from retrue.logger.open_segment import OpenSegment
from retrue.logger.segments import FOLDER as SEGMENTS
from retrue.logger.segments import Header, new_boot
from retrue.logger.spool_folder import SpoolFolder, check_root, weight_of
from retrue.logger.tally import DROPPED, Tally

SEGMENT_BYTES = 16 * 2**20
SEGMENT_SECONDS = 900.0
MAX_SPOOL_BYTES = 2**30
HELD_BYTES = 8 * 2**20
UNSYNCED_BYTES = 8 * 2**20  # beyond it a batch is made durable at once: these lines are kept in memory until it is
SUCCESS_SHARE = 0.9  # of the spool's bytes; the rest is kept for records of failures
SPOOL_FULL, STORAGE, REMOVED = "spool_full", "storage", "removed"
"""Why a record was dropped: no room within `max_spool_bytes`; the disk failed for longer than memory lasts; its file was removed."""
_RETRY_SECONDS, _RETRY_SECONDS_MAX = 0.1, 5.0
_LOOK_SECONDS = 5.0  # between two looks at what others did to the folder
_PORTION_MAX = 10_000  # lines in one write
_LAST_TRIES = 20
_SUCCESS = b'"status":"ok"'


class Spool:
    """Segments of one kind of record, written by one process.

    Args:
        root: The folder, such as ``logs/flight-delay``. It is made, with mode 0700, where it is absent.
        kind: ``inferences``, ``labels`` or ``resources``.
        model, model_version: Whose records these are, unless a record says otherwise.
        boot: Name of this process (`new_boot`); no two spools of a root may share one.
        tally: Counters that it goes on with; None: new ones.
        segment_bytes, segment_seconds: A segment is sealed when it is so large or so old.
        max_spool_bytes: What all segments under the root may weigh. Successes are refused above nine tenths of it.
        held_bytes: What may wait in memory while the disk fails.
        disk: The file system.
        clock: Time in ns since 1970; it dates segments.
        monotonic: Seconds, for ages and retries.

    Attributes:
        tally: Counters that outlive the process; the logger counts there too.
        written: Records on disk so far.

    Raises:
        ValueError: The folder is a symbolic link, may be written by anybody, belongs to another user, or is the spool of
            another model or kind. A disk that fails is no error: the spool resumes when it works again.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        kind: str,
        model: str,
        model_version: str | None = None,
        boot: str | None = None,
        tally: Tally | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
        max_spool_bytes: int = MAX_SPOOL_BYTES,
        held_bytes: int = HELD_BYTES,
        disk: Disk | None = None,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root, self.boot = Path(os.path.abspath(root)), boot or new_boot()  # noqa: PTH100 - links are not resolved
        self._kind, self._model, self._model_version = kind, model, model_version
        self._segment_bytes, self._segment_seconds = segment_bytes, segment_seconds
        self._limit, self._held_limit = max_spool_bytes, held_bytes
        self._disk, self._clock, self._monotonic = disk or Disk(), clock, monotonic
        self.tally = Tally() if tally is None else tally
        self.written = 0
        self._number = 0
        self._segment: OpenSegment | None = None
        self._held = Lines()
        self._retry_at, self._retry_after, self._portion = 0.0, _RETRY_SECONDS, _PORTION_MAX
        self._used, self._weighed_at, self._checked_at = 0, float("-inf"), float("-inf")
        check_root(self.root, kind=kind, model=model)
        self._folder = SpoolFolder(self._disk, self.root, kind=kind, model=model, boot=self.boot)
        with contextlib.suppress(OSError):
            self._folder.open(self.tally)

    @property
    def held(self) -> int:
        """Records that wait in memory for the disk."""
        return len(self._held)

    @property
    def dropped(self) -> Mapping[str, int]:
        """Numbered records that were dropped, by reason: those of the logger included."""
        return self.tally.reasons(DROPPED)

    def append(self, lines: Lines) -> int:
        """Hand records over; return how many were written.

        They are safe from the death of the process then, and after ``sync`` from that of the machine. Those that were
        held before may be among the written. One that was not written is held or was dropped.
        """
        if not lines and not self._held:
            return 0
        self._hold(self._admitted(lines))
        return self._write_held()

    def sync(self, lines: Lines | None = None) -> bool:
        """Make everything durable, these records included; tell whether nothing is left in memory.

        Seals a segment that is old enough.
        """
        if lines:
            self._hold(self._admitted(lines))
        counts = self.tally.values()
        if self._segment and (self._held or self._segment.has_news(counts)) and self._is_folder_gone():
            self._leave()
        self._write_held(counts)
        if self._segment and not self._make_durable(self._segment, counts):
            self._write_held()
        return not self._held and (self._segment is None or not self._segment.unsynced)

    def seal(self) -> None:
        """Seal the segment that is being written, if there is one."""
        self._write_held()
        if self._segment is None:
            return
        try:
            self._segment.seal(self.tally.values())
            self._segment = None
        except OSError:
            self._leave()

    def close(self) -> None:
        """Seal, and let go of the folder. What the disk does not take now is dropped and counted."""
        for _ in range(_LAST_TRIES):
            self._retry_at = 0.0
            self.seal()
            if not self._held:
                break
        self._drop(STORAGE, len(self._held))
        self._held = Lines()
        self._close_files()

    def abandon(self) -> None:
        """Close the files of the parent in a forked child: nothing is written, and the parent's locks stay."""
        self._held = Lines()
        self._close_files()

    # ---------------------------------------------------------------- room

    def _admitted(self, lines: Lines) -> Lines:
        size = lines.size
        used = self._used_bytes(size) + self._held.size
        if used + size <= self._limit * SUCCESS_SHARE:
            return lines

        def has_room(content: bytes) -> bool:
            nonlocal used
            limit = self._limit * SUCCESS_SHARE if _SUCCESS in content else self._limit
            has = used + len(content) <= limit
            used += len(content) if has else 0
            return has

        kept = lines.kept(has_room)
        self._drop(SPOOL_FULL, len(lines) - len(kept))
        return kept

    def _used_bytes(self, more: int) -> int:
        """Return what the segments weigh; those of other processes are looked at every few seconds when space is scarce."""
        near = self._used + more > self._limit * SUCCESS_SHARE / 2
        if near and self._monotonic() - self._weighed_at >= _LOOK_SECONDS:
            self._weighed_at = self._monotonic()
            self._used = weight_of(self.root / SEGMENTS)
        return self._used

    def _hold(self, lines: Lines) -> None:
        self._held.extend(lines)
        if self._held.size > self._held_limit and self._monotonic() < self._retry_at:
            self._shrink()

    def _shrink(self) -> None:
        """Drop what exceeds the bound: the oldest successes first, then the oldest of the rest."""
        for droppable in (_SUCCESS, b""):
            excess, before = self._held.size - self._held_limit, len(self._held)

            def fits(content: bytes, droppable: bytes = droppable) -> bool:
                nonlocal excess
                if excess <= 0 or droppable not in content:
                    return True
                excess -= len(content)
                return False

            self._held = self._held.kept(fits)
            self._drop(STORAGE, before - len(self._held))

    def _drop(self, reason: str, count: int) -> None:
        if count:
            self.tally.add(DROPPED + reason, count)

    # ---------------------------------------------------------------- writing

    def _write_held(self, counts: Mapping[str, int] | None = None) -> int:
        """Write what waits; with the counters, so that it is durable. Return how many records were written."""
        written = 0
        while self._held and self._monotonic() >= self._retry_at:
            lines = self._held.first(self._portion)
            if not self._written_at_once(lines, counts):
                break
            written += len(lines)
        return written

    def _written_at_once(self, lines: Lines, counts: Mapping[str, int] | None) -> bool:
        try:
            segment = self._segment = self._segment or self._open_segment()
            before, rest = segment.size, self._held.without(lines)
            if counts is None:
                segment.write(lines)
            else:
                segment.write_durably(lines, counts)
        except OSError:
            self._portion = max(len(lines) // 2, 1)
            self._settle()
            self._leave()
            self._shrink()
            return False
        self._held = rest
        self._used += segment.size - before
        self.written += len(lines)
        self._retry_after, self._portion = _RETRY_SECONDS, min(2 * self._portion, _PORTION_MAX)
        if segment.unsynced.size > UNSYNCED_BYTES or segment.size >= self._segment_bytes:
            self._make_durable(segment, self.tally.values())
        return True

    def _settle(self) -> None:
        """Make durable what a segment took before it refused more: it need not be written again then."""
        if self._segment:
            with contextlib.suppress(OSError):
                self._segment.sync({})

    def _make_durable(self, segment: OpenSegment, counts: Mapping[str, int]) -> bool:
        """Each operation on a file gives the host a turn that it must give back: there is none where nothing is new."""
        try:
            if segment.has_news(counts):
                segment.sync(counts)
            self._rotate()
        except OSError:
            self._leave()
            return False
        return True

    def _rotate(self) -> None:
        """Seal a segment that is large or old enough."""
        segment = self._segment
        old = segment and (self._clock() - segment.opened_at) / 1e9 >= self._segment_seconds
        if segment and (old or segment.size >= self._segment_bytes):
            segment.seal(self.tally.values())
            self._segment = None

    def _leave(self) -> None:
        """Give up the segment: what may not be durable is held again, and is written to a new one after a while."""
        segment, self._segment = self._segment, None
        self._retry_at = self._monotonic() + self._retry_after
        self._retry_after = min(2 * self._retry_after, _RETRY_SECONDS_MAX)
        if segment is None:
            self._folder.close()
            return
        lines = segment.unsynced
        if segment.is_gone():
            self._drop(REMOVED, segment.records - len(lines))
            self.written -= segment.records - len(lines)
        self.written -= len(lines)
        lines.extend(self._held)
        self._held = lines
        segment.leave()

    # ---------------------------------------------------------------- places

    def _is_folder_gone(self) -> bool:
        """Tell whether the folder was moved or replaced, which is looked for every few seconds; a removed file is seen at once."""
        if self._monotonic() - self._checked_at < _LOOK_SECONDS:
            return False
        self._checked_at = self._monotonic()
        try:
            self._folder.check()
        except OSError:
            return True
        return False

    def _open_segment(self) -> OpenSegment:
        folder = self._folder.open(self.tally)
        self._number += 1
        header = Header(
            kind=self._kind,
            model=self._model,
            model_version=self._model_version,
            boot=self.boot,
            pid=os.getpid(),
            number=self._number,
            opened_at=self._clock(),
        )
        return OpenSegment(self._disk, folder, header, self.tally.values())

    def _close_files(self) -> None:
        if self._segment:
            self._segment.close()
            self._segment = None
        self.tally.close(self._disk)
        self._folder.close()
