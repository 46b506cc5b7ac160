"""SageMaker: data capture of endpoints, ground truth as labels, and the manifests of captured batch transforms.

Source: the developer guide on data capture, model quality merge and batch capture. The folders of captured data are hours of
invocation, those of ground truth hours of collection, both in UTC; a bucket may hold other layouts, which are read whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from retrue.sources.formats.clock import Clock
from retrue.sources.formats.cutting import json_events
from retrue.sources.formats.events import Context, Event, Format, Found, decoded, text_or_none
from retrue.sources.formats.partitions import hour_of, is_outside
from retrue.sources.formats.payload import Row, body, csv_rows, records, request_rows, response_rows, row_id
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.formats.sagemaker_batch import read_batches, split
from retrue.sources.listing import SourceFile
from retrue.sources.spans import TICK, ticks

_ENDPOINT = re.compile(r"(?:^|/)([^/]+)/([^/]+)/\d{4}/\d\d/\d\d/\d\d/[^/]+$")


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read what was captured; one side of an event may be absent, and each has an encoding of its own."""
    captures, batch = split(files)
    events = (event for file in captures for event in json_events(file, context))
    yield from decoded(events, lambda event: _capture(event, context), context)
    yield from read_batches(batch, context)


def _capture(event: Event, context: Context) -> Iterator[Row]:
    if "captureData" not in event.value:
        raise RefusedEventError("no captureData")
    capture, about = event.value["captureData"], event.value["eventMetadata"]
    settings = context.settings
    caller = text_or_none(about.get("inferenceId"))
    each: Row = {
        context.span.time: Clock().ticks(about.get("inferenceTime")),
        "caller_id": caller,
        "endpoint": endpoint_of(event.file.name),
        "model_version": settings.model_version,
    }
    asked, answered = (_side(capture.get(name)) for name in ("endpointInput", "endpointOutput"))
    if answered is not None:
        each["status"] = "ok"  # only answers of status 200 are captured
    requests = request_rows(asked, settings.names)
    answers = response_rows(answered, settings.outputs, settings.columns)
    yield from records(caller or str(about["eventId"]), requests, answers, each, {})


def _side(side: Mapping[str, Any] | None) -> Any:
    if not side or side.get("data") is None:
        return None
    return body(
        side["data"], encoding=str(side.get("encoding", "")), content_type=str(side.get("observedContentType", ""))
    )


def endpoint_of(name: str) -> str | None:
    """Return endpoint and variant of a file's path.

    >>> endpoint_of("churn/AllTraffic/2022/04/18/00/a.jsonl")
    'churn/AllTraffic'
    """
    match = _ENDPOINT.search(name)
    return f"{match[1]}/{match[2]}" if match else None


# ---------------------------------------------------------------- labels


def labels(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read ground truth; it has no time of its own: it counts from the end of the hour it was collected in."""
    events = (event for file in files for event in json_events(file, context))
    return decoded(events, _ground_truth, context)


def _ground_truth(event: Event) -> Iterator[Row]:
    if "groundTruthData" not in event.value:
        raise RefusedEventError("no groundTruthData")
    truth, about = event.value["groundTruthData"], event.value["eventMetadata"]
    hour = hour_of(event.file.name)
    at = ticks(hour + timedelta(hours=1) - TICK) if hour else ticks(event.file.modified_at)
    content = body(truth["data"], encoding=str(truth.get("encoding", "")))
    rows = csv_rows(content) if isinstance(content, str) else content if isinstance(content, list) else [content]
    for number, row in enumerate(rows):
        cells = row if isinstance(row, list) else [row]
        if len(cells) != 1:
            raise RefusedEventError("a label of more than one value")
        identity = row_id(str(about["eventId"]), number)
        yield {"inference_id": identity, "label": cells[0], "labelled_at": at, "source": "sagemaker"}


FORMAT = Format(
    holds=re.compile(r".*\.(jsonl|json|out|csv)(\.gz)?|(.*/)?(input|output)/\d{4}/\d\d/\d\d/\d\d/[^/]+", re.IGNORECASE),
    logs=read,
    labels=labels,
    is_outside=is_outside,
)
