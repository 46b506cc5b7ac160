"""The spools in a folder: segments and counters, read together into batches of records and the traces of processes.

Damaged lines are set aside and the others are read; a torn end of a segment that is still being written is not there yet.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import orjson

from retrue.logger.nursery import FILE as NURSERY
from retrue.logger.nursery import read_nursery
from retrue.logger.segments import OPEN
from retrue.logger.tally import ACCEPTED, read_tally
from retrue.logger.tally import FILE as TALLY
from retrue.logger.tally import NEW_FILE as NEW_TALLY
from retrue.sources.json_lines import BATCH_BYTES, BATCH_ROWS, Record
from retrue.sources.listing import SourceFile
from retrue.sources.losses import Trace
from retrue.sources.segment_files import (
    NS_PER_TICK,
    Bad,
    Row,
    SegmentFile,
    inspect_segments,
    is_segment,
    read_segment,
)
from retrue.sources.set_aside import Doubtful, Tally
from retrue.sources.spans import Span

TALLIES = "tallies.json"  # in a spool's root: the counters of processes whose segments are all compacted

logger = logging.getLogger(__name__)


def is_spooled(name: str) -> bool:
    """Tell whether a file of this name is part of a spool: a segment, or counters."""
    return is_segment(name) or name.rpartition("/")[2] in (TALLY, TALLIES, NURSERY)


class SpoolFiles:
    """The segments and tallies of a source, with the traces of the processes that wrote them.

    Args:
        files: Those that ``is_spooled`` picks.
        traces: What Parquet files made of segments hold already, by process; it grows while segments are read.
        tally: Of what cannot be read.

    Raises:
        VanishedError: A segment is gone.
    """

    def __init__(self, files: Sequence[SourceFile], traces: dict[str, Trace], tally: Tally) -> None:
        self.traces = traces
        self.segments = inspect_segments((file for file in files if is_segment(file.name)), tally)
        for segment in self.segments:
            _meet(traces, segment.header.boot, segment.file.path.parent)
        for file in files:
            if file.path.name == TALLY:
                _meet(traces, file.path.parent.name, file.path.parent)
        for file in files:
            if file.path.name == NURSERY:
                for boot, counts in read_nursery(file.path).items():
                    trace = traces.setdefault(boot, Trace(boot=boot))
                    trace.tally = later(trace.tally, counts)
        for file in files:  # last: counters are written here before their own file is removed
            if file.path.name == TALLIES:
                for boot, counts in read_tallies(file.path).items():
                    trace = traces.setdefault(boot, Trace(boot=boot))
                    trace.tally = trace.tally or counts

    def read_batches(self, span: Span, tally: Tally) -> Iterator[tuple[SourceFile, list[Record]]]:
        """Yield the records of the span, at most ``BATCH_ROWS`` at a time, with a file that some of them come from.

        Raises:
            VanishedError: A segment is gone.
        """
        batch: list[Record] = []
        size_bytes = 0
        for segment in self.segments:
            if not segment.overlaps(span.start_ticks * NS_PER_TICK, span.end_ticks * NS_PER_TICK):
                self._skip(segment)
                continue
            for row in self._rows(segment, span, tally):
                batch.append(row.record)
                size_bytes += row.size_bytes
                if len(batch) >= BATCH_ROWS or size_bytes >= BATCH_BYTES:
                    yield segment.file, batch
                    batch, size_bytes = [], 0
        if batch:
            yield self.segments[-1].file, batch

    def _skip(self, segment: SegmentFile) -> None:
        trace, footer = self.traces[segment.header.boot], segment.footer
        if footer:
            for run in footer.runs:
                trace.runs.merge(run)
            trace.count(footer.ends, footer.counts)
            trace.settled = max(trace.settled, trace.runs.last)

    def _rows(self, segment: SegmentFile, span: Span, tally: Tally) -> Iterator[Row]:
        doubtful = Doubtful(tally, segment.file.name)
        rows = 0
        try:
            for each in read_segment(segment, span.time, self.traces[segment.header.boot]):
                if isinstance(each, Bad):
                    if not each.known and not segment.is_cut(each):
                        doubtful.bad(each.reason, line=each.line)
                    continue
                inside = span.start_ticks <= each.record[span.time] < span.end_ticks
                doubtful.good(inside=inside)
                rows += inside
                if inside:
                    yield each
        except OSError as error:
            reason = f"cannot be read to its end ({type(error).__name__})"
            tally.set_aside_file(segment.file.name, reason, size_bytes=max(segment.file.size_bytes, 1))
            logger.warning("a segment was set aside: %s", reason)
        doubtful.end()
        tally.read(rows=rows, size_bytes=segment.file.size_bytes if rows else 0)


def _meet(traces: dict[str, Trace], boot: str, folder: Path) -> None:
    """Look at what the process of a folder says of itself beside its segments."""
    trace = traces.setdefault(boot, Trace(boot=boot))
    trace.alive = trace.alive or is_alive(folder)
    trace.tally = trace.tally or read_tally(folder / TALLY)


def later(first: Mapping[str, int], second: Mapping[str, int]) -> Mapping[str, int]:
    """Return the counters of a process that know of more records: it may have died while it moved them."""
    return max(first, second, key=lambda counts: counts.get(ACCEPTED, 0))


def read_tallies(path: Path) -> dict[str, Mapping[str, int]]:
    """Return the last counters of processes that have ended, by name; none where the file is absent or damaged."""
    try:
        value = orjson.loads(path.read_bytes())
        return {boot: {name: int(count) for name, count in counts.items()} for boot, counts in value["boots"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        logger.warning("%s cannot be read: losses at the end of processes are not seen", path.name)
        return {}


def is_alive(folder: Path) -> bool:
    """Tell whether the process of a folder of segments still holds one of its files."""
    try:
        names = [name for name in os.listdir(folder) if name in (TALLY, NEW_TALLY) or name.endswith(OPEN)]  # noqa: PTH208 - names only
    except OSError:
        return False
    return any(_is_locked(folder / name) for name in names)


def _is_locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: nothing says that it is
        return False
    finally:
        os.close(fd)
    return False
