"""Vertex AI's request-response logs, exported from BigQuery as JSON lines or Parquet, and those of the older AI Platform.

Endpoints of one's own log ``request_payload`` and ``response_payload``, one text for each instance; publisher models log
``full_request`` and ``full_response``. There is no id of a caller: a label joins by ``request_id``, or by an id inside the
instances, which ``columns.inference_id`` names. AI Platform has no id at all: it is a digest of the row.

Source: cloud.google.com on PredictRequestResponseLoggingConfig, and third-party code for the columns of publisher models;
the unit of ``request_latency`` is documented nowhere and is taken to be milliseconds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from retrue.sources.formats.clock import Clock
from retrue.sources.formats.databricks import rows_of
from retrue.sources.formats.events import Context, Event, Format, Found, decoded, dug, text_or_none
from retrue.sources.formats.payload import Row, body, records, request_rows, response_rows
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.listing import SourceFile
from retrue.sources.spans import ticks

TIMES: Mapping[str, str | None] = {"logging_time": None, "time": None}


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read rows of either product, and explode them into their instances."""
    events = (event for file in files for event in rows_of(file, context, TIMES))
    return decoded(events, partial(_records, context), context)


def _records(context: Context, event: Event) -> Iterator[Row]:
    row, settings = event.value, context.settings
    if "raw_data" in row:
        return _of_platform(context, row)
    if "request_id" not in row:
        raise RefusedEventError("no request_id: no table of request-response logging")
    each: Row = {
        context.span.time: Clock(zone="UTC").ticks(row.get("logging_time")),
        "endpoint": text_or_none(row.get("endpoint")),
        "model_version": settings.model_version or text_or_none(row.get("deployed_model_id")),
        "status": "ok",
        "latency_ms": _latency(row.get("metadata")),
    }
    requests, answers, once = _instances(row, context) if row.get("request_payload") else _publisher(row, context)
    return _identified(
        _id(row["request_id"]), requests, records(_id(row["request_id"]), requests, answers, each, once), context
    )


def _instances(row: Mapping[str, Any], context: Context) -> tuple[list[Row], list[Row], Row]:
    settings = context.settings
    requests = [each for text in row["request_payload"] for each in request_rows(body(text), settings.names)]
    payload = row.get("response_payload") or ()
    return requests, [each for text in payload for each in _answers(body(text), context)], {}


def _answers(value: Any, context: Context) -> list[Row]:
    whole = isinstance(value, Mapping) and "predictions" in value
    return response_rows(
        value if whole else {"predictions": [value]}, context.settings.outputs, context.settings.columns
    )


def _publisher(row: Mapping[str, Any], context: Context) -> tuple[list[Row], list[Row], Row]:
    settings = context.settings
    asked, answered = body(row.get("full_request")), body(row.get("full_response"))
    once = {"gen_ai.request.model": text_or_none(row.get("model"))}
    return request_rows(asked, settings.names), response_rows(answered, settings.outputs, settings.columns), once


def _identified(own: str, requests: Sequence[Row], rows: Iterator[Row], context: Context) -> Iterator[Row]:
    """Records under the id that the instances hold, where the settings name one."""
    name = context.settings.columns.inference_id
    for number, record in enumerate(rows):
        if name:
            record["inference_id"] = requests[number].get(name) if requests else None
            record["caller_id"] = own
        yield record


def _id(value: Any) -> str:
    """A NUMERIC of up to 38 digits: text in JSON exports, a decimal in Parquet; a float has lost digits."""
    if isinstance(value, float):
        raise RefusedEventError("request_id is a number of too many digits: export it as text")
    return str(value)


def _latency(metadata: Any) -> float | None:
    found = dug(body(metadata), "request_latency")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


# ---------------------------------------------------------------- AI Platform


def _of_platform(context: Context, row: Mapping[str, Any]) -> Iterator[Row]:
    settings = context.settings
    each: Row = {
        context.span.time: Clock(zone="UTC").ticks(row.get("time")),
        "endpoint": text_or_none(row.get("model")),
        "model_version": settings.model_version or text_or_none(row.get("model_version")),
        "status": "ok",
    }
    requests = request_rows(body(row["raw_data"]), settings.names)
    answers = response_rows(body(row.get("raw_prediction") or None), settings.outputs, settings.columns)
    own = digest_id(row)
    return _identified(own, requests, records(own, requests, answers, each, {}), context)


def digest_id(row: Mapping[str, Any]) -> str:
    """Return an id of a row of AI Platform, which has none: the same for its label."""
    parts = [str(row.get(name)) for name in ("model", "model_version", "time", "raw_data")]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def labels(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read the ground truth that AI Platform's table holds; it counts from when its file was written."""
    events = (event for file in files for event in rows_of(file, context, TIMES))
    return decoded(events, _label, context)


def _label(event: Event) -> Iterator[Row]:
    row = event.value
    if "raw_data" not in row:
        raise RefusedEventError("only the older AI Platform's tables hold ground truth")
    truth = body(row.get("groundtruth") or None)
    if truth is None:
        return
    values = truth if isinstance(truth, list) else [truth]
    (value,) = values if len(values) == 1 else (None,)
    if value is None or isinstance(value, Mapping | list):
        raise RefusedEventError("a label of more than one value")
    yield {
        "inference_id": digest_id(row),
        "label": value,
        "labelled_at": ticks(event.file.modified_at),
        "source": "vertex",
    }


FORMAT = Format(
    holds=re.compile(r".*\.(parquet|json|jsonl|ndjson|csv)(\.gz)?", re.IGNORECASE), logs=read, labels=labels
)
