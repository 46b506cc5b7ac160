"""BentoML's monitoring: JSON lines of data beside lines of schema, and the bodies of its OTLP variant.

Source: bentoml/BentoML, _internal/monitoring. ``timestamp`` is local and without a zone in files, seconds since 1970 over OTLP;
rows of a batch repeat one ``request_id``; ids of traces are whole numbers. Schema lines come with every start of a worker.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from retrue.sources.formats.clock import Clock
from retrue.sources.formats.cutting import json_events
from retrue.sources.formats.events import Context, Event, Format, Found, decoded, text_or_none
from retrue.sources.formats.otlp import log_bodies
from retrue.sources.formats.payload import Row, row_id
from retrue.sources.formats.refused import SHAPE_ERRORS, RefusedEventError
from retrue.sources.listing import SourceFile

_KEPT = ("timestamp", "request_id", "trace_id", "bento_meta")
_PARTS = {"feature": "feature", "prediction": "prediction", "target": "label"}
_BATCHES_MAX = 10_000  # batches of a file whose rows may lie between each other
_UNVERSIONED = ("", "not available", "None")


class _Schema:
    """The roles and the version of one monitor's columns, as its last schema says."""

    def __init__(self) -> None:
        self.roles: dict[str, str] = {}
        self.version: str | None = None

    def learn(self, columns: Sequence[Mapping[str, str]], about: Mapping[str, Any]) -> None:
        self.roles |= {column["name"]: column["role"] for column in columns}
        version = str(about.get("bento_version") or "")
        self.version = None if version in _UNVERSIONED else version


class _Log(NamedTuple):
    """A file of data: its schema, and how many rows of each batch were read."""

    schema: _Schema
    rows: OrderedDict[str, int]


Make = Callable[[_Log, Context, Event], Iterable[Row]]


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read the rows of all workers, the columns by their roles."""
    return _read(files, context, _record)


def labels(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read the columns whose role is ``target``."""
    return _read(files, context, _label)


def _read(files: Sequence[SourceFile], context: Context, make: Make) -> Iterator[Found]:
    schemas: dict[str, _Schema] = {}
    for file in files:
        if _is_schema(file.name):
            _learn(file, schemas.setdefault(_monitor(file.name), _Schema()), context)
    for file in files:
        if not _is_schema(file.name):
            log = _Log(schemas.setdefault(_monitor(file.name), _Schema()), OrderedDict())
            events = (part for event in json_events(file, context) for part in log_bodies(event))
            yield from decoded(events, partial(make, log, context), context)


def _learn(file: SourceFile, schema: _Schema, context: Context) -> None:
    for event in json_events(file, context):
        try:
            schema.learn(event.value["columns"], event.value.get("meta_data") or {})
        except SHAPE_ERRORS:
            context.tally.set_aside_rows(file.name, "no schema of BentoML", line=event.line or None)


def _is_schema(name: str) -> bool:
    return bool(re.search(r"(^|/|_)schema[./]", name))


def _monitor(name: str) -> str:
    """What a monitor's files of data and schema share: the folder above ``data`` and ``schema``, else their own."""
    folder = name.rpartition("/")[0]
    return folder.rpartition("/")[0] if folder.rpartition("/")[2] in ("data", "schema") else folder


def _parts(log: _Log, context: Context, event: Event) -> tuple[Row, dict[str, str]]:
    """Return the fields that every row has, and which part of a record each column is."""
    row, settings, (schema, rows) = event.value, context.settings, log
    about = row.get("bento_meta")
    if isinstance(about, Mapping):  # over OTLP only a sample of rows says what the columns are
        schema.learn(list((about.get("schema") or {}).values()), about)
    clock = Clock(zone=settings.timezone, unit="s")
    at = clock.ticks(row.get("timestamp"))
    request = text_or_none(row.get("request_id"))
    if request is None:
        raise RefusedEventError("no request_id")
    number = rows.pop(request, -1) + 1
    rows[request] = number
    if len(rows) > _BATCHES_MAX:
        rows.popitem(last=False)
    known = {name: _part(name, log.schema, settings.roles) for name in row if name not in _KEPT}
    if not any(known.values()):
        raise RefusedEventError("no schema says which columns are features: keep schema/ beside data/, or set roles")
    return {"inference_id": row_id(request, number), "at": at}, known


def _part(name: str, schema: _Schema, roles: Mapping[str, str]) -> str:
    role = schema.roles.get(name, "")
    return roles.get(name) or roles.get(role) or _PARTS.get(role, "")


def _record(log: _Log, context: Context, event: Event) -> Iterator[Row]:
    common, parts = _parts(log, context, event)
    record: Row = {
        context.span.time: common["at"],
        "inference_id": common["inference_id"],
        "status": "ok",
        "model_version": context.settings.model_version or log.schema.version,
        "trace_id": trace_id(event.value.get("trace_id")),
    }
    unread: Counter[str] = Counter()
    for name, part in parts.items():
        if part == "feature":
            record[f"features.{name}"] = event.value[name]
        elif part in ("prediction", "score") and part not in record:
            record[part] = event.value[name]
        elif part not in ("label", "ignore"):
            role = log.schema.roles.get(name, "")
            unread[f"columns of role {role or 'unknown'} are not read: name it in roles"] += 1
    context.notes.update(unread)
    yield record


def _label(log: _Log, context: Context, event: Event) -> Iterator[Row]:
    common, parts = _parts(log, context, event)
    found = [name for name, part in parts.items() if part == "label"]
    if found and event.value[found[0]] is not None:
        yield {
            "inference_id": common["inference_id"],
            "label": event.value[found[0]],
            "labelled_at": common["at"],
            "source": "bentoml",
        }


def trace_id(value: object) -> str | None:
    """Return a trace's id in hexadecimal: BentoML writes it as a whole number.

    >>> trace_id("255"), trace_id("0"), trace_id("ab" * 16) == "ab" * 16
    ('000000000000000000000000000000ff', None, True)
    """
    text = text_or_none(value)
    if text is None or not text.isdigit() or len(text) == 32:
        return text
    return f"{int(text):032x}" if len(text) < 40 and int(text) else None


FORMAT = Format(holds=re.compile(r".*\.(log|json|jsonl|ndjson)(\.[\w-]+)*", re.IGNORECASE), logs=read, labels=labels)
