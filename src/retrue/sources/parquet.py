"""Parquet files: their footers say whether they can be read, hold the span, and need their rows checked.

A time is a timestamp in UTC (``isAdjustedToUTC``), Spark's INT96, or ISO 8601 text with a zone. A timestamp without a
zone is refused, as everywhere: nothing says that it is UTC. ibis, duckdb and pyarrow are imported inside functions.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from retrue.sources.compacted import Contents, contents_of
from retrue.sources.engine import Engine, hash_of
from retrue.sources.listing import SourceFile, VanishedError
from retrue.sources.renaming import Renaming
from retrue.sources.set_aside import Tally
from retrue.sources.spans import TICK, Span

if TYPE_CHECKING:
    import ibis.expr.types as ir

FILE_COLUMN = "__retrue_file"
CLOCK_SLACK = timedelta(days=1)  # a file last written longer than this before a span cannot hold its records
_TICKS_OF = {"milliseconds": (1000, 1), "microseconds": (1, 1), "nanoseconds": (1, 1000)}
_ZONED_TEXT = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFile:
    """A file whose footer was read. ``schema`` groups files that can be read as one table.

    ``clean`` when its statistics prove that no row lacks its id or its time. ``nulls`` are columns without a type.
    ``contents`` is what a file says of itself that was made of the logger's segments.
    """

    file: SourceFile
    schema: tuple[str, ...]
    rows: int
    clean: bool
    overlaps: bool
    nulls: frozenset[str]
    contents: Contents | None = None


def inspect(file: SourceFile, span: Span, tally: Tally, renaming: Renaming | None = None) -> ParquetFile | None:
    """Return what a file's footer says, or None where the file was set aside; one that lies elsewhere is fetched if needed.

    Pages of a file that retrue wrote have checksums, which the engine does not look at: a flipped bit would be read as
    another value. They are verified here.

    Raises:
        VanishedError: It is gone.
        SourceError: It cannot be fetched.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.remote.reach() if file.remote else nullcontext(file.path) as place:
            inspected = _inspected(file, span, pq.read_metadata(place), renaming)
        if file.remote and inspected.overlaps:
            file.remote.fetch()
        if inspected.contents and inspected.overlaps:
            verify_pages(file)
        return inspected
    except FileNotFoundError as error:
        raise VanishedError(file.name) from error
    except (OSError, pa.ArrowException) as error:
        reason = f"not readable as Parquet ({type(error).__name__})"
    except ValueError as error:
        reason = str(error)
    set_aside(file, span, tally, reason)
    return None


def set_aside(file: SourceFile, span: Span, tally: Tally, reason: str) -> None:
    """Set a file aside; it weighs nothing where it was last written well before the span began."""
    older = file.modified_at < span.start - CLOCK_SLACK
    tally.set_aside_file(file.name, reason, size_bytes=0 if older else max(file.size_bytes, 1))
    logger.warning("a Parquet file was set aside: %s", reason)


def verify_pages(file: SourceFile) -> None:
    """Read a file to its end, checking every page.

    Raises:
        ValueError: A page does not match its checksum, or cannot be decoded.
        FileNotFoundError: It is gone.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path, page_checksum_verification=True) as pages:
            for number in range(pages.num_row_groups):
                pages.read_row_group(number)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise ValueError("damaged: a page does not match its checksum") from error


def _inspected(file: SourceFile, span: Span, metadata: Any, renaming: Renaming | None) -> ParquetFile:
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    top = _places(columns, renaming, span.time)
    _refuse_names(metadata.schema.to_arrow_schema().names)
    time = columns[top[span.time]]
    contents = contents_of(metadata.metadata)
    bounds = _time_bounds(metadata, top[span.time], _check_time(time, renaming))
    slack = renaming.slack // TICK if renaming else 0
    return ParquetFile(
        file=file,
        schema=(
            *(f"{each.path}\0{each.name}\0{each.physical_type}\0{each.logical_type}" for each in columns),
            *(f"{name}\0{real}" for name, real in sorted(contents.names.items() if contents else ())),
        ),
        rows=metadata.num_rows,
        clean=_is_clean(metadata, top, span.time) and time.physical_type in ("INT64", "INT96"),
        overlaps=bool(metadata.num_rows)
        and any(low - slack < span.end_ticks and high + slack >= span.start_ticks for low, high in bounds),
        nulls=frozenset(each.name for each in columns if str(each.logical_type) == "Null"),
        contents=contents,
    )


def _places(columns: Sequence[Any], renaming: Renaming | None, time: str) -> dict[str, int]:
    """Return where the fields are that every row needs, and the weight, where there is one.

    Raises:
        ValueError: One is not there.
    """
    paths = {column.path: index for index, column in enumerate(columns)}
    found = {}
    for field in ("inference_id", time, "sample_weight"):
        disk = renaming.disk(field) if renaming else field
        if disk in paths:
            found[field] = paths[disk]
        elif field != "sample_weight":
            raise ValueError(f"no column {disk}")
    return found


def _refuse_names(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError("two columns have the same name")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("two columns have names that differ only by case")
    if any("\0" in name or name in ("", FILE_COLUMN) for name in names):
        raise ValueError("a column has no name, or one that cannot be read")


def _check_time(column: Any, renaming: Renaming | None) -> tuple[int, int] | None:
    """Return what turns a raw time into microseconds, (times, divided by); None where it has no statistics of use."""
    if column.physical_type in ("INT96", "BYTE_ARRAY"):
        return None
    logical = json.loads(column.logical_type.to_json())
    if logical.get("Type") != "Timestamp":
        unit = renaming.ticks_of() if renaming else None
        if unit is None:
            raise ValueError(f"the column {column.name} is no timestamp{': set time_unit' if renaming else ''}")
        return unit if column.physical_type in ("INT32", "INT64") else None
    if not logical.get("isAdjustedToUTC") and not (renaming and renaming.settings.timezone):
        raise ValueError(f"the column {column.name} has no zone: write timestamps in UTC")
    return _TICKS_OF[logical["timeUnit"]]


def _time_bounds(metadata: Any, index: int, unit: tuple[int, int] | None) -> Iterator[tuple[float, float]]:
    """Yield the first and last microsecond of each row group, as far as its statistics tell."""
    for number in range(metadata.num_row_groups):
        statistics = metadata.row_group(number).column(index).statistics
        if unit is None or statistics is None or not statistics.has_min_max:
            yield -math.inf, math.inf
        else:
            times, divided = unit
            yield statistics.min_raw * times // divided, statistics.max_raw * times // divided


def _is_clean(metadata: Any, top: dict[str, int], time: str) -> bool:
    if "sample_weight" in top:
        return False
    for number in range(metadata.num_row_groups):
        for name in ("inference_id", time):
            statistics = metadata.row_group(number).column(top[name]).statistics
            if statistics is None or not statistics.has_null_count or statistics.null_count:
                return False
            if name == "inference_id" and (not statistics.has_min_max or statistics.min_raw in (b"", "")):
                return False
    return True


def open_groups(
    engine: Engine, files: Sequence[ParquetFile], renaming: Renaming | None = None
) -> Iterator[tuple[ir.Table, list[ParquetFile]]]:
    """Yield one lazy table per schema, with its files, its columns under the names of a record."""
    by_schema = sorted(files, key=lambda each: each.schema)
    for _, group in groupby(by_schema, key=lambda each: each.schema):
        members = list(group)
        table = engine.parquet([each.file.path for each in members])
        yield renaming.apply(table) if renaming else table, members


def time_of(table: ir.Table, name: str) -> ir.Value:
    """Return a column of time as the engine's UTC timestamp; text that is no time with a zone becomes null."""
    column = table[name]
    if column.type().is_string():
        return column.re_search(_ZONED_TEXT).ifelse(column, None).try_cast("timestamp('UTC')")
    return column


def good_row(table: ir.Table, span: Span) -> ir.BooleanValue:
    """Return whether a row has an id and a weight above 0; a row without a weight counts once."""
    identity = table["inference_id"].cast("string")
    good = identity.notnull() & (identity != "")
    if "sample_weight" in table.columns and span.wanted("sample_weight"):
        weight = table["sample_weight"].try_cast("float64")
        good &= weight.isnull() | ((weight > 0) & ~weight.isinf() & ~weight.isnan())
    return good


def tally_bad_rows(
    engine: Engine, files: Sequence[ParquetFile], span: Span, tally: Tally, renaming: Renaming | None = None
) -> None:
    """Count, file by file, the rows that were left out of files whose statistics do not prove them clean."""
    doubtful = [each for each in files if not each.clean]
    names = {str(each.file.path): each.file.name for each in doubtful}
    for _, group in groupby(sorted(doubtful, key=lambda each: each.schema), key=lambda each: each.schema):
        table = engine.parquet([each.file.path for each in group], filename=FILE_COLUMN)
        table = renaming.apply(table) if renaming else table
        time = time_of(table, span.time)
        inside = (time >= span.start) & (time < span.end)
        timeless, unusable = time.isnull(), inside & ~good_row(table, span)
        counts = table.group_by(FILE_COLUMN).aggregate(timeless=timeless.sum(), unusable=unusable.sum())
        for path, without_time, without_id in engine.fetch(
            counts.filter((counts.timeless > 0) | (counts.unusable > 0))
        ):
            if without_time:
                tally.set_aside_rows(names[path], f"no {span.time}, or one without a zone", count=without_time)
            if without_id:
                tally.set_aside_rows(
                    names[path], "no inference_id, or a sample_weight that is no number above 0", count=without_id
                )


def is_damaged(engine: Engine, each: ParquetFile) -> bool:
    """Tell whether reading every value of a file fails."""
    import duckdb
    from ibis.common.exceptions import IbisError

    try:
        table = engine.parquet([each.file.path])
        engine.fetch(
            table.aggregate([hash_of()(table[name]).max().name(f"c{n}") for n, name in enumerate(table.columns)])
        )
    except (duckdb.Error, IbisError):
        return True
    return False
