"""Seldon Core 1: CloudEvents paired by ``requestid``, its Kafka messages, its Elasticsearch documents, and its feedback.

Source: SeldonIO/seldon-core, executor/logger/worker.go and components/seldon-request-logger. A document of Elasticsearch is
an inference whole; batches are split there under ids that end in ``-item-<n>``, from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from retrue.sources.formats.clock import Clock
from retrue.sources.formats.cloud_events import CloudEvent, cloud_event, cloud_events, trace_of
from retrue.sources.formats.events import Context, Event, Format, Found, decoded, dug, text_or_none
from retrue.sources.formats.kserve import endpoint_of, side_of
from retrue.sources.formats.pairing import Message, paired
from retrue.sources.formats.payload import Row, records, request_rows, response_rows, row_id
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.formats.tensors import seldon_rows
from retrue.sources.listing import SourceFile

FEEDBACK = "io.seldon.serving.feedback"
_ITEM = re.compile(r"(.*)-item-(\d{1,9})")


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Put requests and responses together by their ``requestid``; documents of Elasticsearch are whole already."""
    return paired(_events(files, context), partial(_known, context), context)


def labels(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read the truth that feedback events bring; a reward alone is no label."""
    return decoded(_events(files, context), lambda event: _feedback(event.value, context), context)


def _events(files: Sequence[SourceFile], context: Context) -> Iterator[Event]:
    for file in files:
        for event in cloud_events(file, context):
            hits = dug(event.value, "hits.hits")
            if isinstance(hits, list):  # the answer of a search
                yield from (event._replace(value=hit, line=number) for number, hit in enumerate(hits, 1))
            else:
                yield event


def _known(context: Context, event: Event) -> Message | Iterator[Row] | None:
    if document(event.value) is not None:
        return _of_document(event.value, context)
    kept = cloud_event(event.value)
    side = side_of(kept.type)
    if side is None:
        return None
    if kept.at is None:
        raise RefusedEventError("no time")
    fields = {"endpoint": endpoint_of(kept.extensions), **trace_of(kept.extensions)}
    return Message(key=_key(kept), side=side, at=kept.at, timed=True, content=kept.content, fields=fields)


def _key(event: CloudEvent) -> str:
    """The request's id: that of the event is another for each half."""
    found = text_or_none(event.extensions.get("requestid"))
    if found is None:
        raise RefusedEventError("no requestid that request and response share")
    return found


# ---------------------------------------------------------------- Elasticsearch


def document(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the document of the reference sink that a value is, None where it is none."""
    source = value.get("_source", value)
    if isinstance(source, Mapping) and "RequestId" in source and ("request" in source or "response" in source):
        return source
    return None


def _of_document(value: Mapping[str, Any], context: Context) -> Iterator[Row]:
    found = document(value)
    if found is None:
        raise RefusedEventError("no document of an inference")
    settings = context.settings
    request, response = found.get("request") or {}, found.get("response") or {}
    clock = Clock()
    asked = request.get("ce-time") or found.get("Ce-Time") or found.get("@timestamp")
    each: Row = {
        context.span.time: clock.ticks(asked),
        "endpoint": endpoint_of({name.lower().removeprefix("ce-"): part for name, part in found.items()}),
        "model_version": settings.model_version,
        "status": "ok" if response else "error",
    }
    if request.get("ce-time") and response.get("ce-time"):
        taken = clock.ticks(response["ce-time"]) - clock.ticks(request["ce-time"])
        each |= {"latency_ms": taken / 1000} if taken >= 0 else {}
    if not response:
        each |= {"error_type": "NoResponse", "error_message": "the document has no response"}
    answers = (
        response_rows({"predictions": [_instance(response)]}, settings.outputs, settings.columns) if response else []
    )
    requests = request_rows([_instance(request)], settings.names) if request else []
    yield from records(_document_id(value, found), requests, answers, each, {})


def _instance(part: Mapping[str, Any]) -> Any:
    """The row of a document's half, by name where the document has names."""
    instance, names = part.get("instance"), part.get("names")
    if isinstance(instance, list) and isinstance(names, list) and len(names) == len(instance):
        return dict(zip(names, instance, strict=True))
    return instance


def _document_id(value: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    match = _ITEM.fullmatch(str(value.get("_id", "")))
    return row_id(match[1], int(match[2])) if match else str(found["RequestId"])


# ---------------------------------------------------------------- labels


def _feedback(value: Mapping[str, Any], context: Context) -> Iterator[Row]:
    if document(value) is not None:
        return
    kept = cloud_event(value)
    if kept.type != FEEDBACK:
        return
    truth = dug(kept.content(), "truth")
    if not truth:
        context.notes["feedback without a truth is no label: a reward says only how good the answer was"] += 1
        return
    if kept.at is None:
        raise RefusedEventError("no time")
    for number, (_, row) in enumerate(seldon_rows(truth)):
        if isinstance(row, list) and len(row) != 1:
            raise RefusedEventError("a label of more than one value")
        label = row[0] if isinstance(row, list) else row
        yield {
            "inference_id": row_id(_join_key(kept), number),
            "label": label,
            "labelled_at": kept.at,
            "source": "seldon",
        }


def _join_key(event: CloudEvent) -> str:
    """The request's id: of the feedback's own header, else the one that the response in it carries."""
    return text_or_none(dug(event.content(), "response.meta.puid")) or _key(event)


FORMAT = Format(holds=re.compile(r".*\.(json|jsonl|ndjson|txt|log)(\.gz)?", re.IGNORECASE), logs=read, labels=labels)
