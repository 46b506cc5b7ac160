"""What a source holds, of all times: which fields are filled, which values they have, what was not understood.

ibis, duckdb and pyarrow are imported inside functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from retrue.config import ColumnSettings
from retrue.results import SetAside
from retrue.sources.batches import Kind
from retrue.sources.engine import Engine, open_engine
from retrue.sources.places import Place
from retrue.sources.reading import Folder, reading
from retrue.sources.spans import EPOCH, LAST, Span
from retrue.sources.view import FIELDS, PREFIX, layout, united

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLE = "surveyed"
VALUES_MAX = 20
_LABELS = {"inference_id": Kind.TEXT, "label": None, "labelled_at": Kind.TIME, "source": Kind.TEXT}
_COUNTED = ("status", "model_version", "endpoint", "model", "error_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one source holds.

    ``fields`` and ``features`` map a column to the share of records that have a value, in 0-1; ``values`` maps a column with
    few values to how many records have each, the most frequent first. ``notes`` count what was understood in part.
    """

    rows: int
    ids: int
    files_read: int
    start: datetime | None = None
    end: datetime | None = None
    fields: Mapping[str, float] = field(default_factory=dict)
    features: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    set_aside: tuple[SetAside, ...] = ()
    set_aside_share: float = 0.0
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def duplicates(self) -> int:
        return self.rows - self.ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """A survey with its rows, in an engine that is open inside ``survey``'s block."""

    survey: Survey
    engine: Engine
    columns: Mapping[str, str]


@contextmanager
def survey(place: Place, *, labels: bool = False) -> Iterator[Surveyed]:
    """Read all that a source holds, logs or labels, and lend the rows for the length of the block.

    Raises:
        SourceError: It cannot be opened.
    """
    time = "labelled_at" if labels else "time"
    span = Span(time=time, start=EPOCH, end=LAST, wanted=lambda name: True)
    with open_engine() as engine:
        folder = Folder(engine, place, span)
        columns = reading([folder], lambda: _materialise(engine, folder, labels=labels))
        folder.finish_tally()
        yield Surveyed(survey=_measured(engine, folder, columns, time), engine=engine, columns=columns)


def _materialise(engine: Engine, folder: Folder, *, labels: bool) -> Mapping[str, str]:
    """Create the table; return the name of each of its columns on disk."""
    sources = folder.sources()
    on_disk = {name for source in sources for name in source.columns}
    if labels:
        columns: Mapping[str, str] = {name: name for name in _LABELS if name in on_disk}
        rows = united(sources, columns, _LABELS)
    else:
        shape = layout(on_disk, ColumnSettings())
        columns = {**shape.fields, **shape.features}
        rows = united(sources, columns, FIELDS)
    if rows is None:
        return {}
    engine.create(TABLE, rows)
    return columns


def _measured(engine: Engine, folder: Folder, columns: Mapping[str, str], time: str) -> Survey:
    tally = folder.tally
    aside = {"set_aside": tally.entries, "set_aside_share": tally.share, "notes": dict(folder.notes)}
    if not columns:
        return Survey(rows=0, ids=0, files_read=folder.files_read, **aside)  # type: ignore[arg-type]
    table = engine.table(TABLE)
    names = list(columns)
    counts = {f"c{number}": table[name].count() for number, name in enumerate(names)}
    ends = {"first": table[time].min(), "last": table[time].max()}
    ((rows, ids, first, last, *filled),) = engine.fetch(
        table.aggregate(rows=table.count(), ids=table.inference_id.nunique(), **ends, **counts)
    )
    shares = {name: (count / rows if rows else 0.0) for name, count in zip(names, filled, strict=True)}
    return Survey(
        rows=rows,
        ids=ids,
        files_read=folder.files_read,
        start=first.replace(tzinfo=UTC) if first else None,
        end=last.replace(tzinfo=UTC) if last else None,
        fields={name: share for name, share in shares.items() if not columns[name].startswith(PREFIX)},
        features={name: share for name, share in shares.items() if columns[name].startswith(PREFIX)},
        values={name: dict(_values(engine, table, name)) for name in _COUNTED if shares.get(name)},
        **aside,  # type: ignore[arg-type]
    )


def _values(engine: Engine, table: ir.Table, name: str) -> Iterator[tuple[str, int]]:
    counted = table.filter(table[name].notnull()).group_by(value=table[name]).aggregate(rows=lambda rows: rows.count())
    most = counted.order_by([counted.rows.desc(), counted.value]).limit(VALUES_MAX)
    yield from ((str(value), count) for value, count in engine.fetch(most))


def write_parquet(surveyed: Surveyed, folder: Path, *, labels: bool = False) -> list[Path]:
    """Write the surveyed rows as retrue's own Parquet files, one a UTC day, and return them.

    A file that is there is replaced whole, by renaming: the same rows twice make the same files.
    """
    if not surveyed.columns:
        return []
    engine, table = surveyed.engine, surveyed.engine.table(TABLE)
    time = "labelled_at" if labels else "time"
    days = [day for (day,) in engine.fetch(table.select(day=table[time].date()).distinct().order_by("day"))]
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_day(surveyed, table.filter(table[time].date() == day), folder / f"{day}.parquet") for day in days]


def _write_day(surveyed: Surveyed, rows: ir.Table, path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    named = {name: rows[name] for name in surveyed.columns}
    time = "time" if "time" in named else "labelled_at"
    ordered = rows.order_by(rows[time], rows.inference_id).select(**named)
    arrow = surveyed.engine.fetch_arrow(ordered)
    for number, (name, kind) in enumerate(zip(arrow.column_names, arrow.schema.types, strict=True)):
        if pa.types.is_timestamp(kind):
            arrow = arrow.set_column(number, name, arrow[name].cast(pa.timestamp("us", "UTC")))
    arrow = arrow.rename_columns([_on_disk(disk) for disk in surveyed.columns.values()])
    part = path.with_suffix(".part")
    pq.write_table(arrow, part, compression="zstd", write_page_checksum=True)
    part.replace(path)
    return path


def _on_disk(name: str) -> str:
    return name if name in FIELDS or name in _LABELS or name.startswith(PREFIX) else PREFIX + name
