"""Edits carried out on the files of a log that lie in a local folder, one file at a time.

A file is replaced whole, by renaming, and only where an edit changes something: a run that dies is completed by the next.
Lines and files that cannot be read are left as they are and named, since nobody knows what they hold. pyarrow is imported
inside functions.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import orjson

from retrue.config import LabelSettings, LogSettings
from retrue.sources.edits import Edit
from retrue.sources.listing import SourceFile, list_files, source_folder
from retrue.sources.set_aside import Tally
from retrue.sources.spans import parse_ticks

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_TICKS_PER = {"s": 10**6, "ms": 10**3, "us": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What was changed: files that were replaced, records that went or lost values, files that could not be edited."""

    files: int = 0
    records: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: Rewritten) -> Rewritten:
        return Rewritten(
            files=self.files + other.files,
            records=self.records + other.records,
            problems=self.problems + other.problems,
        )


def editable_folder(source: LogSettings | LabelSettings, root: Path) -> Path | None:
    """Return the folder whose records can be edited: one of this machine, in retrue's own format; None for others.

    Raises:
        SourceError: There is something other than a folder.
    """
    scheme, separator, _ = source.uri.partition("://")
    if source.format != "retrue" or (separator and scheme != "file"):
        return None
    return source_folder(source.uri, root)


def why_not_editable(source: LogSettings | LabelSettings) -> str:
    """Return the reason in words why records of a source stay as they are."""
    scheme, separator, _ = source.uri.partition("://")
    if separator and scheme != "file":
        return f"what lies at {scheme}:// is not edited: let that store's own rules end what it holds"
    return f"files in the format {source.format} are not edited: let the system that wrote them end what they hold"


def rewrite_folder(folder: Path, edits: Sequence[Edit], *, time: str, dry_run: bool = False) -> Rewritten:
    """Carry edits out on every Parquet and JSON lines file under a folder.

    Args:
        folder: May be absent.
        edits: Carried out in this order.
        time: The column that holds a record's time.
        dry_run: Count what would change; change nothing.
    """
    if not edits:
        return Rewritten()
    files = list_files(folder, Tally())
    return sum((_rewrite(file, edits, time, dry_run) for file in files), start=Rewritten())


def _rewrite(file: SourceFile, edits: Sequence[Edit], time: str, dry_run: bool) -> Rewritten:
    edit = _edit_parquet if file.is_parquet else _edit_lines
    try:
        changed = edit(file.path, edits, time, dry_run)
    except (OSError, EOFError, ValueError) as error:
        return Rewritten(problems=(f"{file.name} could not be edited ({type(error).__name__})",))
    return Rewritten(files=int(changed > 0), records=changed)


# ---------------------------------------------------------------- Parquet


def _edit_parquet(path: Path, edits: Sequence[Edit], time: str, dry_run: bool) -> int:
    """Edit row group by row group; a file is written only once something in it changes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as source:
        if time not in source.schema_arrow.names:
            return 0
        changed = sum(_would_change(source, number, edits, time) for number in range(source.num_row_groups))
        if not changed or dry_run:
            return changed
        schema = pa.schema([field.with_nullable(True) for field in source.schema_arrow], source.schema_arrow.metadata)
        with (
            _replacing(path) as unfinished,
            pq.ParquetWriter(unfinished, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            for number in range(source.num_row_groups):
                rows, _ = _edited(source.read_row_group(number), edits, time)
                writer.write_table(rows.cast(schema))
    return changed


def _would_change(source: pq.ParquetFile, number: int, edits: Sequence[Edit], time: str) -> int:
    """Count what would change in a row group, reading only the columns that decide it."""
    moments = _moments(source.read_row_group(number, columns=[time]), time)
    deciding = {name for edit in edits for name in edit.reads(source.schema_arrow.names, moments)}
    if not deciding:
        return 0
    return _edited(source.read_row_group(number, columns=sorted({time, *deciding})), edits, time)[1]


def _edited(rows: pa.Table, edits: Sequence[Edit], time: str) -> tuple[pa.Table, int]:
    """Return the rows that stay, and how many went or lost values."""
    changed, before = 0, len(rows)
    for edit in edits:
        moments = _moments(rows, time)
        edited = edit.table(rows, moments)
        if edited is not rows and len(edited) == len(rows):
            changed = max(changed, _differing(rows, edited))
        rows = edited
    return rows, min(changed + before - len(rows), before)


def _differing(before: pa.Table, after: pa.Table) -> int:
    """Return how many rows lost a value."""
    import pyarrow.compute as pc

    lost = None
    for name in before.column_names:
        if before[name].null_count != after[name].null_count:
            here = pc.and_(before[name].is_valid(), after[name].is_null())
            lost = here if lost is None else pc.or_(lost, here)
    return int(pc.sum(lost).as_py() or 0) if lost is not None else 0


def _moments(rows: pa.Table, time: str) -> pa.ChunkedArray:
    import pyarrow as pa

    column = rows[time]
    if pa.types.is_timestamp(column.type):
        ticks = column.cast(pa.int64())
        unit = column.type.unit
        if unit == "ns":
            import pyarrow.compute as pc

            return pc.divide(ticks, 1000)
        return _times(ticks, _TICKS_PER[unit])
    return pa.chunked_array([pa.array([_moment(each) for each in column.to_pylist()], pa.int64())])


def _times(ticks: pa.ChunkedArray, factor: int) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return ticks if factor == 1 else pc.multiply(ticks, factor)


# ---------------------------------------------------------------- JSON lines


def _edit_lines(path: Path, edits: Sequence[Edit], time: str, dry_run: bool) -> int:
    changed = sum(_edited_line(line, edits, time) is not line for line in _lines(path))
    if not changed or dry_run:
        return changed
    with _replacing(path) as unfinished, _opened(unfinished, packed=path.name.lower().endswith(".gz")) as target:
        target.writelines(kept for line in _lines(path) if (kept := _edited_line(line, edits, time)) is not None)
    return changed


def _lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
        yield from cast(IO[bytes], stream)


def _opened(path: Path, *, packed: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "wb")) if packed else path.open("wb")


def _edited_line(line: bytes, edits: Sequence[Edit], time: str) -> bytes | None:
    """Return the line as it stays: the very same where no edit changes it, None where the record goes."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line
    if not isinstance(record, dict):
        return line
    flat = edited = _flat(record)
    for edit in edits:
        kept = edit.record(edited, _moment(edited.get(time)))
        if kept is None:
            return None
        edited = kept
    return line if edited is flat else orjson.dumps(edited) + b"\n"


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    nested = record.get("features")
    if not isinstance(nested, dict):
        return record
    beside = {name: value for name, value in record.items() if name != "features"}
    return {**beside, **{f"features.{name}": value for name, value in nested.items()}}


def _moment(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value // 1000
    try:
        return parse_ticks(value)
    except ValueError:
        return None


# ---------------------------------------------------------------- replacing


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Lend a hidden file beside a file; put it in its place, on the disk, when the block ends well."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        unfinished.chmod(path.stat().st_mode & 0o777)
        _sync(unfinished)
        unfinished.replace(path)
        _sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
