"""Segments that are written no more become Parquet files: one per day and run, sorted by time, each page with a checksum.

A Parquet file takes its place, whole and durable, before any of its segments is removed, and names the numbers of the
records it holds: whoever dies in between, a reader counts no record twice and misses none. What cannot be read is kept in
``quarantine``. pyarrow is imported inside functions.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from retrue.logger.nursery import FILE as NURSERY
from retrue.logger.nursery import forget_children, is_deserted, read_nursery
from retrue.logger.runs import Runs
from retrue.logger.segments import FOLDER, MARKER, SEALED
from retrue.logger.tally import FILE as TALLY
from retrue.logger.tally import read_tally
from retrue.sources.batches import Kind, arrow_columns
from retrue.sources.compacted import KEY, Contents, Part, contents_of
from retrue.sources.durable import UNFINISHED, replaced, sync_folder
from retrue.sources.listing import SourceFile, VanishedError, list_files
from retrue.sources.losses import Counted, Trace
from retrue.sources.parquet import FILE_COLUMN
from retrue.sources.quarantine import QUARANTINE, Remains
from retrue.sources.segment_files import Bad, Row, SegmentFile, inspect_segments, is_segment, read_segment
from retrue.sources.set_aside import Tally
from retrue.sources.spool_files import TALLIES, is_alive, later, read_tallies

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_MAX = 50_000
BYTES_MAX = 32 * 2**20  # of segments in memory at once, as JSON; as Python objects several times that
ROW_GROUP_ROWS = 20_000
_SEGMENTS_AT_ONCE = 500
_LOCK = ".compaction.lock"
_DAY = 86_400 * 10**9
_TIME_OF = {"labels": "labelled_at"}

logger = logging.getLogger(__name__)

Cut = Callable[[int], int]
"""Returns where the period begins that a time belongs to, both in ns since 1970."""


def utc_day(at: int) -> int:
    """Return the beginning of a time's day.

    >>> utc_day(86_400 * 10**9 + 5) == 86_400 * 10**9
    True
    """
    return at - at % _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What a compaction did: segments removed, Parquet files written, records in them, stretches put in quarantine."""

    segments: int = 0
    files: int = 0
    records: int = 0
    quarantined: int = 0

    def __add__(self, other: Compacted) -> Compacted:
        return Compacted(
            segments=self.segments + other.segments,
            files=self.files + other.files,
            records=self.records + other.records,
            quarantined=self.quarantined + other.quarantined,
        )


def spool_roots(folder: Path) -> list[Path]:
    """Return the roots of the spools under a folder, those inside one another included."""
    found = []
    for path, folders, files in os.walk(folder):
        folders[:] = [] if Path(path).name == FOLDER else sorted(name for name in folders if not name.startswith("."))
        if MARKER in files:
            found.append(Path(path))
    return found


def spool_kind(root: Path) -> str:
    """Return which kind of records a spool holds, '' where it does not say."""
    try:
        return str(orjson.loads((root / MARKER).read_bytes())["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def compact_spool(root: Path, *, cut: Cut = utc_day) -> Compacted | None:
    """Turn the sealed segments of a spool, and all segments of processes that have ended, into Parquet files.

    Args:
        root: The spool's folder.
        cut: No Parquet file goes across the borders of these periods. Where they are those of the windows too, a window
            reads whole files, and columns and types are the same before and after.

    Returns:
        What was done; None where another compaction is at work.

    Raises:
        OSError: The folder cannot be written to. What was done so far stands, and nothing is lost.
    """
    with _locked(root) as mine:
        if not mine:
            return None
        for name in [name for name in os.listdir(root) if name.endswith(UNFINISHED)]:  # noqa: PTH208 - names only
            (root / name).unlink(missing_ok=True)
        return _Compaction(root, cut).run()


@contextmanager
def _locked(root: Path) -> Iterator[bool]:
    fd = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)


@dataclass(slots=True, kw_only=True)
class _Period:
    """Records on their way into one file, with the names of their processes, and what stood beside them."""

    rows: list[tuple[str, Row]] = field(default_factory=list)
    runs: dict[str, Runs] = field(default_factory=dict)
    counted: dict[str, list[Counted]] = field(default_factory=dict)
    refused: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    at: int = 0

    def hold(self, boot: str, row: Row) -> None:
        self.rows.append((boot, row))
        self.at = row.at
        self._number(boot, row.number)

    def refuse(self, boot: str, stretches: list[tuple[str, Bad]]) -> None:
        """Take note of stretches that are no records, and empty the list."""
        for segment, bad in stretches:
            self.refused.setdefault(segment, {}).setdefault(bad.reason, []).append(bad.line)
            self._number(boot, bad.number)
        stretches.clear()

    def _number(self, boot: str, number: int) -> None:
        if number:
            self.runs.setdefault(boot, Runs()).add(number, self.at)

    def contents(self, names: Mapping[str, str]) -> Contents:
        boots = sorted({*self.runs, *self.counted})
        return Contents(
            parts={
                boot: Part(runs=tuple(self.runs.get(boot, ())), counted=tuple(self.counted.get(boot, ())))
                for boot in boots
            },
            refused=self.refused,
            names=names,
        )


class _Compaction:
    """One run over one spool, in bounded memory: periods fill up, are written together, and segments are removed."""

    def __init__(self, root: Path, cut: Cut) -> None:
        self._root, self._cut, self._time = root, cut, _TIME_OF.get(spool_kind(root), "time")
        self._traces: dict[str, Trace] = {}
        self._noted: dict[str, int] = {}
        self._periods: dict[int, _Period] = {}
        self._rows = self._bytes = 0
        self._finished: list[Path] = []
        self._done = Compacted()

    def run(self) -> Compacted:
        for name in (FOLDER, QUARANTINE):
            if (self._root / name).is_symlink():
                raise NotADirectoryError(f"{name} is a symbolic link")
        self._read_parquet()
        files = list_files(self._root / FOLDER, Tally(), holds=is_segment)
        ended = {folder for folder in {file.path.parent for file in files} if not is_alive(folder)}
        due = [file for file in files if file.path.parent in ended or file.name.endswith(SEALED)]
        for start in range(0, len(due), _SEGMENTS_AT_ONCE):
            for segment in _inspected(due[start : start + _SEGMENTS_AT_ONCE]):
                self._take(segment)
        self._flush()
        self._remove_ended()
        return self._done

    def _read_parquet(self) -> None:
        """Learn which records are compacted already."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for path in sorted(self._root.glob("*.parquet")):
            try:
                contents = contents_of(pq.read_metadata(path).metadata)
            except (OSError, pa.ArrowException):
                logger.warning("%s cannot be read: what it held is compacted again if its segments remain", path.name)
                continue
            if contents:
                contents.add_to(self._traces)
        self._noted = {boot: len(trace.counted) for boot, trace in self._traces.items()}

    def _take(self, segment: SegmentFile) -> None:
        """Put the records of a segment into their periods, and what is none into quarantine."""
        boot = segment.header.boot
        trace = self._traces.setdefault(boot, Trace(boot=boot))
        remains = Remains(self._root / QUARANTINE, segment)
        period: _Period | None = None  # that of the last record: what is bad after it belongs there too
        try:
            for each in read_segment(segment, self._time, trace):
                if isinstance(each, Row):
                    period = self._periods.setdefault(self._cut(each.at), _Period())
                    period.hold(boot, each)
                    self._rows, self._bytes = self._rows + 1, self._bytes + each.size_bytes
                else:
                    remains.add(each)
                if period:
                    period.refuse(boot, remains.unexplained)
                if self._rows >= ROWS_MAX or self._bytes >= BYTES_MAX:
                    self._note(trace, period)
                    self._flush()
                    period = None
        except (OSError, VanishedError) as error:
            logger.warning("a segment could not be compacted: it stays (%s)", type(error).__name__)
            remains.forget()
            return
        self._note(trace, period)
        self._done += Compacted(quarantined=remains.finish())
        self._finished.append(segment.file.path)

    def _note(self, trace: Trace, period: _Period | None) -> None:
        """Keep counters that rose beside the records they rose after."""
        if period:
            period.counted.setdefault(trace.boot, []).extend(trace.counted[self._noted.get(trace.boot, 0) :])
            self._noted[trace.boot] = len(trace.counted)

    def _flush(self) -> None:
        """Write what has been gathered, then remove the segments that are done with."""
        for start, period in sorted(self._periods.items()):
            self._write(start, period)
        sync_folder(self._root)
        for path in self._finished:
            path.unlink(missing_ok=True)
        self._done += Compacted(segments=len(self._finished))
        self._finished.clear()
        self._periods.clear()
        self._rows = self._bytes = 0

    def _write(self, start: int, period: _Period) -> None:
        import pyarrow.parquet as pq

        table = _table(period, self._time)
        day = datetime.fromtimestamp(start // 10**9, UTC)
        digest = hashlib.sha256(table.schema.metadata[KEY]).hexdigest()[:16]
        with replaced(self._root / f"{day:%Y-%m-%d}.{digest}.parquet") as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True, row_group_size=ROW_GROUP_ROWS)
        self._done += Compacted(files=1, records=len(period.rows))

    def _remove_ended(self) -> None:
        """Gather the counters of processes that have ended and left no segment in one file, and remove theirs."""
        folders = sorted({path.parent for name in (TALLY, NURSERY) for path in (self._root / FOLDER).glob(f"*/{name}")})
        ended = [folder for folder in folders if not is_alive(folder) and not _has_segments(folder)]
        tallies = {folder.name: read_tally(folder / TALLY) for folder in ended if (folder / TALLY).exists()}
        children = {folder: read_nursery(folder / NURSERY) for folder in folders}
        self._gather([tallies, *children.values()])
        for folder, boots in children.items():
            if boots:
                forget_children(folder / NURSERY, boots)
        for folder in ended:
            (folder / TALLY).unlink(missing_ok=True)
            if is_deserted(folder / NURSERY):
                (folder / NURSERY).unlink(missing_ok=True)
            with suppress(OSError):  # something else lies there
                folder.rmdir()

    def _gather(self, ended: Sequence[Mapping[str, Mapping[str, int]]]) -> None:
        """Add the last counters of processes, by boot, to those that were gathered before."""
        if not any(ended):
            return
        boots = read_tallies(self._root / TALLIES)
        for boot, counts in (pair for each in ended for pair in each.items()):
            boots[boot] = later(boots.get(boot, {}), counts)
        with replaced(self._root / TALLIES) as file:
            file.write(orjson.dumps({"format": 1, "boots": boots}, option=orjson.OPT_SORT_KEYS))
        sync_folder(self._root)


def _inspected(files: Sequence[SourceFile]) -> list[SegmentFile]:
    """Return the segments that can be read now; those of a newer version stay as they are."""
    try:
        return inspect_segments(files, Tally())
    except VanishedError:
        return [segment for file in files if file.path.exists() for segment in _inspected([file])]


def _has_segments(folder: Path) -> bool:
    return any(is_segment(path.name) for path in folder.iterdir())


# ---------------------------------------------------------------- tables


def _table(period: _Period, time: str) -> pa.Table:
    """Return the records of a period in order of time, with columns as a window would stage them."""
    import pyarrow as pa

    rows = sorted(period.rows, key=lambda each: (each[1].at, each[0], each[1].number))
    for boot, row in rows:
        row.record.update({time: row.at, "boot": boot, "seq": row.number})
    records = [row.record for _, row in rows]
    names = sorted(set[str]().union(*records))
    arrays, kinds = arrow_columns(records, names)
    for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        if name == time:
            arrays[number] = arrays[number].cast(pa.timestamp("ns", tz="UTC"))
        elif kind is Kind.OTHER:
            arrays[number] = pa.ExtensionArray.from_storage(pa.json_(), arrays[number])
        elif kind is Kind.UNKNOWN:
            arrays[number] = pa.nulls(len(rows))
    on_disk = _distinct(names)
    real = {disk: name for disk, name in zip(on_disk, names, strict=True) if disk != name}
    return pa.table(arrays, names=on_disk).replace_schema_metadata({KEY: period.contents(real).encode()})


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names that differ by more than case: the engine would confuse others.

    >>> _distinct(["X", "x", ""])
    ['X', "x'", "'"]
    """
    taken = {FILE_COLUMN, ""}
    found = []
    for name in names:
        shown = name.replace("\0", "\\0")
        while shown.lower() in taken:
            shown += "'"
        taken.add(shown.lower())
        found.append(shown)
    return found
