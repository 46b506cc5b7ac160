"""Databricks inference tables, exported as Parquet, JSON or CSV: three schemas, told apart by their columns.

(a) legacy serving has ``timestamp_ms`` and ``execution_time_ms``, (b) AI Gateway serving ``request_time`` and
``execution_duration_ms``, (c) the Unity AI Gateway ``event_time``, ``invocation_id`` and ``latency_ms``.

Source: docs.databricks.com on inference tables for (a), its DDL with comments for (b). (c) is known from secondary sources
only: it was not checked against a table. A payload that was too large is null, with a code; it is a record all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from retrue.sources.formats.clock import Clock
from retrue.sources.formats.cutting import csv_events, json_events, parquet_events
from retrue.sources.formats.events import Context, Event, Format, Found, decoded, dug, text_or_none
from retrue.sources.formats.gen_ai import usage
from retrue.sources.formats.partitions import is_outside
from retrue.sources.formats.payload import Row, body, failure, records, request_rows, response_rows
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.listing import SourceFile

TIMES = {"timestamp_ms": "ms", "request_time": None, "event_time": None}
"""The columns of time, one a schema, with the unit of that which is a number."""


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read calls, each row of a table one, and explode them into their rows."""
    events = (event for file in files for event in rows_of(file, context, TIMES))
    return decoded(events, partial(_records, context), context)


def rows_of(file: SourceFile, context: Context, times: Mapping[str, str | None]) -> Iterator[Event]:
    """Yield the rows of an exported table, by the ending of its name."""
    name = file.name.lower().removesuffix(".gz")
    cut: Callable[[SourceFile, Context], Iterator[Event]] = (
        partial(parquet_events, times=times)
        if name.endswith(".parquet")
        else csv_events
        if name.endswith(".csv")
        else json_events
    )
    return cut(file, context)


def _records(context: Context, event: Event) -> Iterator[Row]:
    row, settings = event.value, context.settings
    time = next((name for name in TIMES if row.get(name) not in (None, "")), None)
    if time is None:
        raise RefusedEventError("no column of time: timestamp_ms, request_time or event_time")
    asked, answered = body(row.get("request") or None), body(row.get("response") or None)
    own = row.get("databricks_request_id") or row.get("invocation_id")
    each: Row = {
        context.span.time: Clock(zone="UTC", unit="ms").ticks(row[time]),
        "caller_id": text_or_none(row.get("client_request_id")),
        "endpoint": text_or_none(row.get("served_entity_id") or row.get("endpoint_name")),
        "model_version": settings.model_version or _version(row.get("request_metadata")),
        "latency_ms": _number(next((row[name] for name in _LATENCIES if row.get(name) not in (None, "")), None)),
        **_weight(row.get("sampling_fraction")),
        **failure(row.get("status_code"), answered),
    }
    _note_codes(row.get("logging_error_codes"), context)
    failed = each.get("status", "ok") != "ok"
    answers = [] if failed else response_rows(_plain(answered), settings.outputs, settings.columns)
    once = usage(dug(answered, "usage"))
    rows = request_rows(_features(asked), settings.names)
    for number, record in enumerate(records(str(own or ""), rows, answers, each, once)):
        if settings.columns.inference_id:
            record["inference_id"] = rows[number].get(settings.columns.inference_id) if rows else None
            record["caller_id"] = str(own or "")
        yield record


_LATENCIES = ("execution_time_ms", "execution_duration_ms", "latency_ms")


def _features(asked: Any) -> Any:
    """A chat's messages are text: their number and the call's settings are features, the model is not."""
    if isinstance(asked, Mapping) and isinstance(asked.get("messages"), list):
        others = {name: value for name, value in asked.items() if name not in ("messages", "model")}
        return {**others, "messages": asked["messages"]}
    return asked


def _plain(answered: Any) -> Any:
    """A response without what Databricks adds to it."""
    if isinstance(answered, Mapping) and "databricks_output" in answered:
        return {name: value for name, value in answered.items() if name != "databricks_output"}
    return answered


def _version(metadata: Any) -> str | None:
    """The model's version of schema (a)'s map, which JSON and CSV exports hold as text."""
    found = body(metadata) if isinstance(metadata, str) and metadata.startswith("{") else metadata
    version = dug(found, "model_version")
    return None if version is None else str(version)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _weight(fraction: Any) -> Row:
    """Return the weight of a row that was logged with this probability."""
    if fraction in (None, ""):
        return {}
    share = float(fraction)
    if not 0 < share <= 1:
        raise RefusedEventError("sampling_fraction is no share above 0")
    return {"sample_weight": 1 / share}


def _note_codes(codes: Any, context: Context) -> None:
    found = body(codes) if isinstance(codes, str) and codes.startswith("[") else codes
    for code in found if isinstance(found, list) else ():
        if re.fullmatch(r"[A-Z_]{1,60}", str(code)):
            context.notes[f"payload not logged whole: {code}"] += 1


FORMAT = Format(
    holds=re.compile(r".*\.(parquet|json|jsonl|ndjson|csv)(\.gz)?", re.IGNORECASE), logs=read, is_outside=is_outside
)
