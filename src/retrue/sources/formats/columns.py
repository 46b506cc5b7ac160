"""JSON lines and CSV of one's own, whose columns the settings map to the fields of a record.

Parquet is mapped inside the engine, see ``renaming``. Cells of CSV are numbers where they are written as such; fields that are
text stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from retrue.config.sources import FieldNames
from retrue.sources.formats.cutting import Cut, csv_events, json_events
from retrue.sources.formats.events import Context, Event, Format, Found, decoded, dug
from retrue.sources.formats.payload import Row, failure, typed
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.listing import SourceFile
from retrue.sources.spans import EPOCH, TICK

PREFIX = "features."
TIMES = ("time", "labelled_at", "received_at")
_TEXTS = frozenset(
    {"inference_id", "caller_id", "model", "model_version", "endpoint", "status", "source"}
    | {"error_type", "error_message", "error_stack", "trace_id", "span_id"}
)
_FIELDS = tuple(name for name in FieldNames.model_fields if name != "features")
_STATUSES = {
    **dict.fromkeys(("success", "succeeded", "true", "done"), "ok"),
    **dict.fromkeys(("failed", "failure", "exception", "false"), "error"),
    **dict.fromkeys(("timed_out", "timedout"), "timeout"),
    **dict.fromkeys(("refused", "throttled", "denied"), "rejected"),
}


def read_json_lines(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read JSON objects, one a line or in an array."""
    return _read(files, context, json_events)


def read_csv(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read rows of CSV with a header, or with the settings' ``names``."""
    return _read(files, context, csv_events)


def _read(files: Sequence[SourceFile], context: Context, cut: Cut) -> Iterator[Found]:
    events = (event for file in files for event in cut(file, context))
    return decoded(events, partial(_record, context, cut is csv_events), context)


def _record(context: Context, is_csv: bool, event: Event) -> Iterator[Row]:
    names, clock = context.settings.columns, context.clock
    record: Row = {}
    for field in _FIELDS:
        value = dug(event.value, getattr(names, field) or field)
        if value is None or value == "":
            continue
        if field in TIMES:
            at = clock.ticks(value)
            record[field] = at if field == context.span.time else (EPOCH + at * TICK).isoformat()
        else:
            record[field] = typed(value) if is_csv and field not in _TEXTS else value
    record |= _status(record.get("status"))
    if context.settings.model_version and not record.get("model_version"):
        record["model_version"] = context.settings.model_version
    for name, value in _features(event.value, names):
        record[PREFIX + name] = typed(value) if is_csv and isinstance(value, str) else value
    yield record


def _status(value: Any) -> Row:
    """A status in the words of a record: of an HTTP code, of true and false, and of what others call them."""
    if value is None:
        return {}
    text = str(value).strip().lower()
    if text.isdigit():
        return failure(int(text), None)
    return {"status": _STATUSES.get(text, text)}


def _features(row: Mapping[str, Any], names: FieldNames) -> Iterator[tuple[str, Any]]:
    chosen = names.features
    if chosen is None:
        nested = row.get("features")
        yield from nested.items() if isinstance(nested, Mapping) else ()
        yield from ((name.removeprefix(PREFIX), row[name]) for name in row if name.startswith(PREFIX))
    elif chosen == "*":
        taken = set(_FIELDS) | {path.partition(".")[0] for path in names.chosen.values()} | set(names.chosen.values())
        yield from ((name, value) for name, value in row.items() if name not in taken)
    elif isinstance(chosen, str):
        nested = dug(row, chosen)
        if not isinstance(nested, Mapping):
            raise RefusedEventError("no object of features where columns.features says")
        yield from ((str(name), value) for name, value in nested.items())
    else:
        pairs = chosen if isinstance(chosen, Mapping) else {name: name for name in chosen}
        yield from ((name, dug(row, path)) for name, path in pairs.items())


JSON_LINES = Format(
    holds=re.compile(r".*\.(jsonl|ndjson|json|log)(\.gz)?", re.IGNORECASE), logs=read_json_lines, labels=read_json_lines
)
CSV = Format(holds=re.compile(r".*\.(csv|tsv|txt)(\.gz)?", re.IGNORECASE), logs=read_csv, labels=read_csv)
