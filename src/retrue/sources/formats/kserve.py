"""KServe's payload logger: CloudEvents that share an id, and the JSON, CSV and Parquet objects of its blob store.

Source: kserve/kserve, pkg/logger. An object of the blob store is named after the first record of its batch, so nothing is
read out of names. CSV and Parquet have no time: that of the object stands in, and there is no latency.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from retrue.sources.formats.clock import Clock
from retrue.sources.formats.cloud_events import CloudEvent, cloud_event, cloud_events, trace_of
from retrue.sources.formats.cutting import csv_events, parquet_events
from retrue.sources.formats.events import Context, Event, Format, Found, text_or_none
from retrue.sources.formats.halves import Side
from retrue.sources.formats.pairing import Message, paired
from retrue.sources.formats.payload import Row, body
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.listing import SourceFile
from retrue.sources.spans import ticks

_TYPE = re.compile(r"(?:org\.kubeflow\.serving|io\.seldon\.serving)\.inference\.(request|response)")


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Put requests and responses together by their id, wherever the two lie."""
    return paired(_events(files, context), _message, context)


def _events(files: Sequence[SourceFile], context: Context) -> Iterator[Event]:
    for file in files:
        name = file.name.lower().removesuffix(".gz")
        if name.endswith(".parquet"):
            yield from parquet_events(file, context, times={})
        elif name.endswith(".csv"):
            yield from csv_events(file, context)
        else:
            yield from cloud_events(file, context)


def _message(event: Event) -> Message | None:
    value = event.value
    if "reqType" in value or "inferenceService" in value:
        return _of_object(value, event.file)
    kept = cloud_event(value)
    side = side_of(kept.type)
    if side is None:
        return None
    if kept.at is None:
        raise RefusedEventError("no time")
    if not kept.id:
        raise RefusedEventError("no id that request and response share")
    return Message(
        key=kept.id, side=side, at=kept.at, timed=True, content=kept.content, fields=_fields(kept), code=_code(kept)
    )


def side_of(kind: str) -> Side | None:
    """Return which half a CloudEvent's type is of an inference, None where it is of none.

    Raises:
        RefusedEventError: The type is not one of a model server.
    """
    match = _TYPE.fullmatch(kind)
    if match:
        return "request" if match[1] == "request" else "response"
    if not kind.startswith(("org.kubeflow.serving", "io.seldon.serving")):
        raise RefusedEventError("a CloudEvent of another type")
    return None


def _fields(event: CloudEvent) -> Row:
    return {"endpoint": endpoint_of(event.extensions), **trace_of(event.extensions)}


def endpoint_of(extensions: Mapping[str, Any]) -> str | None:
    """Return the service, and its variant where there is one: an empty one is the default.

    >>> endpoint_of({"inferenceservicename": "iris", "endpoint": ""})
    'iris'
    >>> endpoint_of({"inferenceservicename": "iris", "endpoint": "canary", "component": "predictor"})
    'iris/canary'
    """
    service = text_or_none(extensions.get("inferenceservicename"))
    variant = text_or_none(extensions.get("endpoint"))
    return "/".join(each for each in (service, variant if variant != "default" else None) if each) or None


def _code(event: CloudEvent) -> int | None:
    """The HTTP status that a coming KServe logs with responses other than 200."""
    code = str(event.extensions.get("statuscode", ""))
    return int(code) if code.isdigit() else None


def _of_object(value: Mapping[str, Any], file: SourceFile) -> Message:
    """A record of the blob store: an object in JSON, a row in CSV and Parquet, where structures are JSON text."""
    side = side_of(str(value["reqType"]))
    if side is None:
        raise RefusedEventError("a record of another type")
    occurred = value.get("occurrenceTime")
    if not value.get("id"):
        raise RefusedEventError("no id that request and response share")
    about = {"encoding": "BASE64", "content_type": str(value.get("contentType") or "")}
    names = {"inferenceservicename": value.get("inferenceService"), "endpoint": value.get("endpoint")}
    return Message(
        key=str(value["id"]),
        side=side,
        at=Clock().ticks(occurred) if occurred else ticks(file.modified_at),
        timed=bool(occurred),
        content=partial(body, value.get("bytes") or None, **about),
        fields={"endpoint": endpoint_of(names)},
    )


FORMAT = Format(holds=re.compile(r".*\.(json|jsonl|ndjson|csv|parquet|txt|log)(\.gz)?", re.IGNORECASE), logs=read)
