"""One folder of logs or labels as lazy tables of the engine: Parquet where it lies, JSON lines and segments staged.

ibis, duckdb and pyarrow are imported inside functions.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from retrue.errors import SourceError
from retrue.sources import parquet
from retrue.sources.batches import Kind, arrow_columns
from retrue.sources.engine import Engine
from retrue.sources.json_lines import Record
from retrue.sources.listing import SourceFile, VanishedError, is_log
from retrue.sources.losses import Trace, dropped_within, lost_within
from retrue.sources.parquet import ParquetFile
from retrue.sources.places import Place
from retrue.sources.segment_files import NS_PER_TICK
from retrue.sources.set_aside import Tally
from retrue.sources.spans import Span
from retrue.sources.spool_files import SpoolFiles, is_spooled

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt
    import ibis.expr.types as ir
    import pyarrow as pa

COLUMNS_MAX = 2_000
LISTINGS_MAX = 20  # of a folder in which files vanish while they are read
_PAUSE_SECONDS, _PAUSE_SECONDS_MAX = 0.01, 2.0  # before another; a compaction may have many files to remove

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows of the span in one table, with its columns under the names they have on disk.

    ``inference_id`` is text and the column of time a timestamp in UTC without a zone, in microseconds.
    """

    table: ir.Table
    columns: Mapping[str, ir.Value]
    kinds: Mapping[str, Kind]


class Folder:
    """The files of one folder, listed and inspected once; JSON lines and segments are staged in the engine at once.

    Args:
        engine: Where JSON lines are staged and Parquet files are read.
        place: A folder may be absent: then there are no files.
        span: Which rows and columns are wanted.
    """

    def __init__(self, engine: Engine, place: Place, span: Span) -> None:
        self._engine, self._place, self._span = engine, place, span
        for number in range(LISTINGS_MAX):
            with suppress(VanishedError):
                self._read()
                return
            time.sleep(min(_PAUSE_SECONDS * 2**number, _PAUSE_SECONDS_MAX))
        raise SourceError(
            "files are removed faster than they can be read: wait until nothing else cleans the folder up"
        )

    def _read(self) -> None:
        self.tally, self._traces, self.notes = Tally(), dict[str, Trace](), Counter[str]()
        files, spooled, elsewhere = self._listed()
        tables = [file for file in files if self._is_table(file)]
        inspected = [parquet.inspect(file, self._span, self.tally, self._place.renaming) for file in tables]
        readable = [each for each in inspected if each is not None]
        self._parquet = [each for each in readable if each.overlaps]
        for each in readable:
            self._take_note(each)
        lines = [file for file in files if not self._is_table(file)]
        spool = SpoolFiles(spooled, self._traces, self.tally)
        self._staged = _Staging(self._engine, self._span, self.tally).stage(self._batches(lines, spool))
        current = [each for each in spool.segments if each.overlaps(*self._span_ns)]
        self._files_staged = len(lines) + len(current)
        skipped = len(readable) - len(self._parquet) + len(spool.segments) - len(current)
        self.files_skipped = elsewhere + skipped

    def _is_table(self, file: SourceFile) -> bool:
        """Tell whether the engine reads a file where it lies."""
        return file.is_parquet and (self._place.is_native or self._place.renaming is not None)

    def _listed(self) -> tuple[list[SourceFile], list[SourceFile], int]:
        """Return files of records, what spools consist of, and how many files were skipped by their names and ages.

        Segments are looked for before Parquet files too: compaction puts a Parquet file in place before it removes the
        segments it was made of, so that their records are seen in one or the other.
        """
        place = self._place
        if place.is_server:
            return [], [], 0
        if not place.is_native:
            files = place.files(self.tally, holds=place.holds)
            kept = [file for file in files if not place.is_outside(file, self._span)]
            return kept, [], len(files) - len(kept)
        before = place.files(Tally(), holds=is_spooled)
        found = place.files(self.tally, holds=lambda name: is_log(name) or is_spooled(name))
        spooled = {file.name: file for file in (*before, *found) if is_spooled(file.name)}
        for file in spooled.values():
            if file.remote:
                file.remote.fetch()
        return [file for file in found if not is_spooled(file.name)], list(spooled.values()), 0

    def _take_note(self, file: ParquetFile) -> None:
        if file.contents is None:
            return
        file.contents.add_to(self._traces)
        if file.overlaps:
            for each in file.contents.set_aside:
                self.tally.set_aside_rows(each.place, each.reason, count=each.count)

    def _batches(self, lines: Sequence[SourceFile], spool: SpoolFiles) -> Iterator[tuple[SourceFile, list[Record]]]:
        yield from self._place.batches(lines, self._span, self.tally, self.notes)
        yield from spool.read_batches(self._span, self.tally)

    @property
    def _span_ns(self) -> tuple[int, int]:
        return self._span.start_ticks * NS_PER_TICK, self._span.end_ticks * NS_PER_TICK

    @property
    def lost(self) -> int:
        """How many records of the span a logger accepted that are nowhere."""
        return lost_within(self._traces.values(), *self._span_ns)

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many records of the span a logger dropped or shed, by reason."""
        return dropped_within(self._traces.values(), *self._span_ns)

    @property
    def files_read(self) -> int:
        return len(self._parquet) + self._files_staged

    def sources(self) -> list[Source]:
        """Return the lazy tables: one per Parquet schema, one per shape of the staged lines."""
        return [*self._parquet_sources(), *self._staged]

    def _parquet_sources(self) -> Iterator[Source]:
        for table, members in parquet.open_groups(self._engine, self._parquet, self._place.renaming):
            yield _parquet_source(table, members[0], self._span)

    def drop_damaged(self) -> bool:
        """Set aside the Parquet files that cannot be read to their end; tell whether there were any."""
        damaged = [each for each in self._parquet if parquet.is_damaged(self._engine, each)]
        for each in damaged:
            parquet.set_aside(each.file, self._span, self.tally, "damaged: its pages cannot be read")
        self._parquet = [each for each in self._parquet if each not in damaged]
        return bool(damaged)

    def finish_tally(self) -> None:
        """Count the bad rows of Parquet files, and the good ones where there is a share to take."""
        parquet.tally_bad_rows(self._engine, self._parquet, self._span, self.tally, self._place.renaming)
        if self.tally.entries:
            rows = sum(self._engine.fetch(source.table.count())[0][0] for source in self._parquet_sources())
            self.tally.read(rows=rows, size_bytes=sum(each.file.size_bytes for each in self._parquet))


def reading(folders: Sequence[Folder], read: Callable[[], Result]) -> Result:
    """Run a query on folders; on an error of the engine set damaged files aside and run it again.

    Raises:
        SourceError: The engine fails though every file can be read.
    """
    import duckdb
    from ibis.common.exceptions import IbisError

    while True:
        try:
            return read()
        except (duckdb.Error, IbisError) as error:
            if not [folder for folder in folders if folder.drop_damaged()]:
                raise SourceError(f"the engine failed on files that can be read ({type(error).__name__})") from error


def _parquet_source(table: ir.Table, like: ParquetFile, span: Span) -> Source:
    time = parquet.time_of(table, span.time)
    rows = table.filter(time >= span.start, time < span.end, parquet.good_row(table, span))
    names = like.contents.names if like.contents else {}
    columns = {
        **{names.get(name, name): value for name, value in _wanted(rows, span, names)},
        "inference_id": rows["inference_id"].cast("string"),
        span.time: parquet.time_of(rows, span.time).cast("timestamp(6)"),
    }
    kinds = {name: kind_of(column.type()) for name, column in columns.items()}
    nulls = {names.get(name, name) for name in like.nulls} & kinds.keys()
    return Source(table=rows, columns=columns, kinds=kinds | dict.fromkeys(nulls, Kind.UNKNOWN))


def _wanted(rows: ir.Table, span: Span, names: Mapping[str, str]) -> Iterator[tuple[str, ir.Value]]:
    for name in rows.columns:
        column = rows[name]
        if name == "features" and column.type().is_struct():
            yield from ((f"features.{field}", column[field]) for field in column.type().names)
        elif span.wanted(real := names.get(name, name)) and "\0" not in real:  # which no query can say
            yield name, column


def kind_of(dtype: dt.DataType) -> Kind:
    """Return what the engine's type holds."""
    if dtype.is_null():
        return Kind.UNKNOWN
    if dtype.is_boolean():
        return Kind.BOOLEAN
    if dtype.is_integer():
        return Kind.FRACTIONAL if dtype.is_uint64() else Kind.WHOLE
    if dtype.is_floating() or dtype.is_decimal():
        return Kind.FRACTIONAL
    if dtype.is_string() or dtype.is_uuid():
        return Kind.TEXT
    return Kind.TIME if dtype.is_timestamp() or dtype.is_date() else Kind.OTHER


class _Staging:
    """Batches of JSON records on their way into tables of the engine, one per sequence of column kinds."""

    def __init__(self, engine: Engine, span: Span, tally: Tally) -> None:
        self._engine, self._span, self._tally = engine, span, tally
        self._names: dict[str, None] = {}
        self._kinds: dict[str, Kind] = {}
        self._tables: dict[tuple[tuple[str, Kind], ...], str] = {}

    def stage(self, batches: Iterable[tuple[SourceFile, list[Record]]]) -> list[Source]:
        for file, batch in batches:
            self._append(file, batch)
        return [self._source(name, shape) for shape, name in self._tables.items()]

    def _append(self, file: SourceFile, batch: Sequence[Record]) -> None:
        import pyarrow as pa

        names = self._known(file, batch)
        arrays, kinds = arrow_columns(batch, names)
        for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            if kind is Kind.UNKNOWN and name in self._kinds:
                kinds[number] = self._kinds[name]
                arrays[number] = pa.nulls(len(batch), _arrow_type(self._kinds[name]))
            self._kinds[name] = kinds[number]
        clock = names.index(self._span.time)
        arrays[clock] = arrays[clock].cast(pa.timestamp("us"))
        kinds[clock] = Kind.TIME
        shape = tuple(zip(names, kinds, strict=True))
        table = self._tables.setdefault(shape, f"staged_{uuid.uuid4().hex}")
        self._engine.append(table, pa.table(arrays, names=[f"c{number}" for number in range(len(arrays))]))

    def _known(self, file: SourceFile, batch: Sequence[Record]) -> list[str]:
        wanted = {name for name in set().union(*batch) if self._span.wanted(name) or name == "inference_id"}
        found = sorted(wanted, key=lambda name: (name.startswith("features."), name))  # of too many, features go
        new = [name for name in found if name not in self._names and "\0" not in name]
        kept = new[: max(COLUMNS_MAX - len(self._names), 0)]
        self._names |= dict.fromkeys(kept)
        refused = [name for name in found if name not in self._names]
        if refused:
            self._tally.set_aside_rows(
                file.name, f"columns beyond {COLUMNS_MAX}, or with a NUL in their name", count=len(refused)
            )
        return [name for name in self._names if name in set(found)]

    def _source(self, name: str, shape: Sequence[tuple[str, Kind]]) -> Source:
        table = self._engine.table(name)
        columns = {column: table[f"c{number}"] for number, (column, _) in enumerate(shape)}
        return Source(table=table, columns=columns, kinds=dict(shape))


def _arrow_type(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    return {Kind.BOOLEAN: pa.bool_(), Kind.WHOLE: pa.int64(), Kind.FRACTIONAL: pa.float64()}.get(kind, pa.string())
