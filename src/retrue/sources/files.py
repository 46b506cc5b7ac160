"""The window of a model out of folders of Parquet and JSON lines files, as one table of the engine.

ibis, duckdb and pyarrow are imported inside functions.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrue.config import ColumnSettings, ModelSettings
from retrue.results import PullReport
from retrue.sources.batches import Kind
from retrue.sources.engine import Engine, hash_of, open_engine, sha256_of
from retrue.sources.places import Place, TraceReader
from retrue.sources.pulled import TABLE, PulledWindow
from retrue.sources.reading import Folder, reading
from retrue.sources.spans import TICK, Span
from retrue.sources.unkept import drop_unkept
from retrue.sources.view import FIELDS, Layout, is_wanted, layout, united
from retrue.tombstones import NOBODY, Tombstones
from retrue.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

UNKNOWN_VERSION = "unknown"

logger = logging.getLogger(__name__)


@contextmanager
def pull_window(
    window: Window,
    settings: ModelSettings,
    *,
    root: Path,
    as_of: datetime | None = None,
    only: Sequence[str] | Tombstones | None = None,
    erased: Tombstones = NOBODY,
    traces: TraceReader | None = None,
) -> Iterator[PulledWindow]:
    """Read a window's logs and labels into the engine, once, and lend the table for the length of the block.

    Logs are the records of ``window.model`` (and those without a model) whose ``time`` lies in the window; of several
    with one ``inference_id`` the one received first stays, else the earliest. Of several labels of one inference the one
    with the latest ``labelled_at`` counts. A label counts when its ``labelled_at`` is not before the window's start, not
    after the window's end plus the horizon, and not after ``as_of``. Null labels are no labels.

    An absent or empty folder is an empty window, and absent labels are no labels: neither is an error. Files whose
    statistics show that they lie outside are skipped; ``files_read`` and ``files_skipped`` count those of the logs.
    What cannot be read is set aside, of logs and labels alike.

    ``input_digest`` changes with any value of any column of the table but ``labelled_at``, with a row more or less
    and with the set of columns; not with the order, files or format of the rows, with duplicates, with an identical
    label delivered again, or with what was set aside. A number is the same in whole and in fractional form. It rests on
    the engine's hash, so a DuckDB that hashes differently changes it too.

    Args:
        window: Any span of a model, such as a training span.
        settings: The model's block of retrue.yaml.
        root: Where relative folders start.
        as_of: Ignore labels that arrived later than this aware time.
        only: Take only the records with these ``inference_id``, or those of these people.
        erased: People whose records are left out wherever they still lie; ``PullReport.erased`` counts them.
        traces: What reads the traces of an MLflow server, where logs or labels are such.

    Raises:
        SourceError: A folder that is none, a scheme that is not read, a store that does not answer, or an engine that fails
            on sound files.
    """
    with open_engine() as engine, tempfile.TemporaryDirectory(prefix="retrue-fetched-") as fetched:
        places = [
            Place(settings=source, root=root, cache=Path(fetched, name), traces=traces)
            for name, source in (("logs", settings.logs), ("labels", settings.labels))
            if source is not None
        ]
        logs = Folder(engine, places[0], _log_span(window, settings.columns, _columns_of(only, erased)))
        outcomes = Folder(engine, places[1], _label_span(window, settings, as_of)) if settings.labels else None
        folders = [each for each in (logs, outcomes) if each]
        wanted = _Wanted(window=window, columns=settings.columns, only=only, erased=erased)
        shape, buried = reading(folders, lambda: _materialise(engine, logs, outcomes, wanted))
        yield _pulled(engine, shape, logs, outcomes, buried)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Which records of the logs are asked for."""

    window: Window
    columns: ColumnSettings
    only: Sequence[str] | Tombstones | None
    erased: Tombstones


def _columns_of(only: Sequence[str] | Tombstones | None, erased: Tombstones) -> tuple[str, ...]:
    """Return the columns that name people, as far as anybody is looked for."""
    looked_for = only.columns if isinstance(only, Tombstones) else ()
    return tuple(dict.fromkeys((*looked_for, *erased.columns)))


def _log_span(window: Window, columns: ColumnSettings, people: Sequence[str]) -> Span:
    def wanted(name: str) -> bool:
        return is_wanted(columns, name) or name in people

    return Span(time="time", start=window.start, end=window.end, wanted=wanted)


def _label_span(window: Window, settings: ModelSettings, as_of: datetime | None) -> Span:
    horizon = window.end + (settings.labels.horizon if settings.labels else 0 * TICK)
    last = min(horizon, as_of) if as_of else horizon
    end = max(last + TICK, window.start)
    return Span(
        time="labelled_at", start=window.start, end=end, wanted=frozenset({"label", "labelled_at"}).__contains__
    )


def _materialise(engine: Engine, logs: Folder, labels: Folder | None, wanted: _Wanted) -> tuple[Layout, int]:
    """Create the table, duplicates included; return its layout and how many records of erased people were left out."""
    import ibis

    sources = logs.sources()
    shape = layout({name for source in sources for name in source.columns}, wanted.columns)
    hidden = {name: f"who_{uuid.uuid4().hex}" for name in _columns_of(wanted.only, wanted.erased)}
    extra = {alias: name for name, alias in hidden.items()}  # under names that no feature has
    rows = united(sources, {**shape.columns, **extra}, {**FIELDS, **dict.fromkeys(extra, Kind.TEXT)})
    if rows is None:
        engine.execute('CREATE TABLE IF NOT EXISTS nothing (inference_id VARCHAR, "time" TIMESTAMP)')
        rows, hidden = engine.table("nothing"), {}
    if "model" in rows.columns:
        rows = rows.filter(rows.model.isnull() | (rows.model == wanted.window.model))
    if isinstance(wanted.only, Tombstones):
        rows = rows.filter(_is_of(wanted.only, rows, hidden))
    elif wanted.only is not None:
        rows = rows.filter(rows.inference_id.isin(wanted.only))
    buried = 0
    if wanted.erased:
        gone = _is_of(wanted.erased, rows, hidden)
        ((buried,),) = engine.fetch(rows.filter(gone).count())
        rows = rows.filter(~gone)
    rows = rows.drop(*hidden.values())
    weight = (
        rows.sample_weight.coalesce(1.0)
        if "sample_weight" in rows.columns
        else ibis.literal(1, "int64").cast("float64")
    )
    rows = rows.mutate(sample_weight=weight)
    engine.create(TABLE, _with_labels(rows, labels))
    return shape, buried


def _is_of(people: Tombstones, rows: ir.Table, hidden: Mapping[str, str]) -> ir.BooleanValue:
    """Return whether a row is one of these people's; ``hidden`` maps a column on disk to its name in the table."""
    import ibis

    digest, salt = sha256_of(), ibis.literal(people.salt)
    theirs = digest(salt + rows.inference_id).isin(sorted(people.inferences))
    for name in people.columns:
        if name in hidden:
            theirs = theirs | digest(salt + rows[hidden[name]]).isin(sorted(people.subjects)).fill_null(False)
    return theirs


def _with_labels(rows: ir.Table, labels: Folder | None) -> ir.Table:
    import ibis

    names = {"inference_id": "inference_id", "label": "label", "labelled_at": "labelled_at"}
    arrived = united(labels.sources(), names, {"inference_id": Kind.TEXT}) if labels else None
    if arrived is None:
        return rows.mutate(label=ibis.null("string"), labelled_at=ibis.null("timestamp(6)"))
    known = arrived.filter(_is_label(arrived.label)).semi_join(rows, "inference_id")
    order = [known.labelled_at.desc(), known.label.cast("string").desc()]
    latest = known.mutate(place=ibis.row_number().over(group_by=known.inference_id, order_by=order))
    key = f"id_{uuid.uuid4().hex}"  # a name that no feature has
    latest = latest.filter(latest.place == 0).select("label", "labelled_at", **{key: latest.inference_id})
    return rows.left_join(latest, rows.inference_id == latest[key]).drop(key)


def _is_label(label: Any) -> Any:
    return label.notnull() & ~label.isnan() if label.type().is_floating() else label.notnull()


def _pulled(engine: Engine, shape: Layout, logs: Folder, labels: Folder | None, buried: int) -> PulledWindow:
    unkept = drop_unkept(engine, TABLE, tuple(shape.features))
    facts = _facts(engine)
    folders = [each for each in (logs, labels) if each]
    for folder in folders:
        folder.finish_tally()
    duplicates = facts["rows"] - facts["ids"]
    if duplicates:
        _drop_duplicates(engine)
        facts = _facts(engine)
    report = PullReport(
        rows=facts["rows"],
        labelled_rows=facts["labelled"],
        files_read=logs.files_read,
        files_skipped=logs.files_skipped,
        duplicates=duplicates,
        set_aside=tuple(entry for each in folders for entry in each.tally.entries),
        set_aside_share=max(each.tally.share for each in folders),
        input_digest=_digest(engine, facts),
        model_versions=_versions(engine),
        erased=buried,
        lost=sum(each.lost for each in folders),
        dropped=logs.dropped,
    )
    logger.info("%d rows pulled, %d labelled, %d duplicates", report.rows, report.labelled_rows, duplicates)
    return PulledWindow(
        report=report,
        database=engine.database,
        columns=tuple(engine.table(TABLE).columns),
        features=tuple(name for name in shape.features if name not in unkept),
        unkept=unkept,
        weighted=facts["lightest"] != facts["heaviest"],
        engine=engine,
    )


def _facts(engine: Engine) -> Mapping[str, Any]:
    import ibis

    table = engine.table(TABLE)
    of = hash_of()
    hashed = ibis.struct({f"c{number}": _hashable(table[name]) for number, name in enumerate(_digested(table.columns))})
    values = {
        "rows": table.count(),
        "ids": of(table.inference_id).nunique(),
        "labelled": table.label.count(),
        "sum": of(hashed).sum(),
        "lightest": table.sample_weight.min(),
        "heaviest": table.sample_weight.max(),
    }
    (row,) = engine.fetch(table.aggregate(**values))
    return dict(zip(values, row, strict=True))


def _digested(columns: Sequence[str]) -> list[str]:
    return sorted(name for name in columns if name != "labelled_at")


def _hashable(column: Any) -> Any:
    return column.cast("float64") if column.type().is_integer() else column


def _digest(engine: Engine, facts: Mapping[str, Any]) -> str:
    columns = _digested(engine.table(TABLE).columns)
    content = json.dumps([columns, facts["rows"], str(facts["sum"] or 0)])
    return hashlib.sha256(content.encode()).hexdigest()


def _versions(engine: Engine) -> Mapping[str, int]:
    table = engine.table(TABLE)
    if "model_version" not in table.columns:
        return {UNKNOWN_VERSION: rows} if (rows := engine.fetch(table.count())[0][0]) else {}
    version = table.model_version.coalesce(UNKNOWN_VERSION).name("version")
    return dict(sorted(engine.fetch(table.group_by(version).aggregate(rows=table.count()))))


def _drop_duplicates(engine: Engine) -> None:
    """Keep of each inference the record received first, else the earliest; of equals, that of the smallest hash."""
    import ibis

    table = engine.table(TABLE)
    hashed = hash_of()(ibis.struct({f"c{number}": table[name] for number, name in enumerate(_digested(table.columns))}))
    first = [table[name].asc(nulls_first=False) for name in ("received_at", "time") if name in table.columns]
    rows = table.select(
        row=table.rowid(), place=ibis.row_number().over(group_by=table.inference_id, order_by=[*first, hashed])
    )
    extra = rows.filter(rows.place > 0).select("row")
    engine.delete(TABLE, extra)
