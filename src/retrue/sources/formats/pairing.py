"""Records out of requests and responses that are events of their own, as KServe and Seldon write them.

A request without its response is a failure that nobody logged: KServe logs only responses of HTTP 200, so it failed, or its
record was lost. A response without its request is set aside: nothing says when it was asked for, nor what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from retrue.sources.formats.cutting import HOUR_TICKS
from retrue.sources.formats.events import Context, Event, Found, checked
from retrue.sources.formats.halves import Halves, Side
from retrue.sources.formats.payload import Row, failure, records, request_rows, response_rows
from retrue.sources.formats.refused import OTHER_SHAPE, SHAPE_ERRORS, RefusedEventError

PATIENCE_TICKS = HOUR_TICKS  # a response comes within an hour of its request, or never
ALONE = {
    "status": "error",
    "error_type": "NoResponse",
    "error_message": "no response was logged: the request failed, or the record of its response was lost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request or a response: ``at`` in microseconds since 1970, ``timed`` where that is its own and not its file's.

    ``content`` parses its body. ``fields`` are fields of the record that both halves say alike; ``code`` is of HTTP, where it is known.
    """

    key: str
    side: Side
    at: int
    timed: bool
    content: Callable[[], Any]
    fields: Row
    code: int | None = None


Read = Callable[[Event], Message | Iterable[Row] | None]
"""What an event is: a half, the records of an inference that is whole already, or None where it is neither."""


def paired(events: Iterable[Event], read: Read, context: Context) -> Iterator[Found]:
    """Put the halves of inferences together.

    With ``sides`` of the settings a log of one side alone is read, each message a record.
    """
    halves = Halves()
    last: Event | None = None
    try:
        for last in events:
            yield from _of_event(last, read, halves, context)
        if last is not None:
            yield from _rest(halves, last, context)
    finally:
        halves.close()


def _of_event(event: Event, read: Read, halves: Halves, context: Context) -> Iterator[Found]:
    if event.reason:
        yield Found(event, reason=event.reason)
        return
    try:
        known = read(event)
        message = known if isinstance(known, Message) else None
        whole = () if known is None or isinstance(known, Message) else known
        found = (
            list(_of_message(message, halves, context))
            if message
            else [checked(row, context.span.time) for row in whole]
        )
    except RefusedEventError as error:
        yield Found(event, reason=str(error))
    except SHAPE_ERRORS:
        yield Found(event, reason=OTHER_SHAPE)
    else:
        if message and not found:
            yield Found(event, at=message.at)
        for record in found:
            yield Found(event, record=record, at=record[context.span.time])


def _of_message(message: Message, halves: Halves, context: Context) -> Iterator[Row]:
    settings = context.settings
    if settings.sides != "both":
        if message.side == settings.sides:
            half = _half(message, context)
            yield from _merged(message.key, half, half, context)
        return
    if not context.span.start_ticks - PATIENCE_TICKS <= message.at < context.span.end_ticks + PATIENCE_TICKS:
        return
    if message.side == "request" and not context.span.start_ticks <= message.at < context.span.end_ticks:
        halves.finish(message.key)
        return
    try:
        half = _half(message, context)
    except SHAPE_ERRORS:  # its other half is no failure, and no loss: this one says what is wrong
        halves.finish(message.key)
        raise
    other = halves.match(message.key, message.side, half)
    if other is not None:
        request, response = (half, other) if message.side == "request" else (other, half)
        yield from _merged(message.key, request, response, context)


def _half(message: Message, context: Context) -> Row:
    settings = context.settings
    half: Row = {"at": message.at, "timed": message.timed, "fields": message.fields}
    content = message.content()
    if message.side == "request":
        return half | {"requests": request_rows(content, settings.names)}
    failed = failure(message.code, content)
    if failed.get("status", "ok") != "ok":
        return half | {"failure": failed}
    return half | {"answers": response_rows(content, settings.outputs, settings.columns)}


def _merged(key: str, request: Row, response: Row, context: Context) -> Iterator[Row]:
    each = {**response["fields"], **request["fields"], context.span.time: request["at"]}
    if "answers" in response:
        each["status"] = "ok"
    taken = response["at"] - request["at"]
    if request is not response and request["timed"] and response["timed"] and taken >= 0:
        each["latency_ms"] = taken / 1000
    if context.settings.model_version:
        each["model_version"] = context.settings.model_version
    each |= response.get("failure", {})
    identity = context.settings.columns.inference_id
    requests = request.get("requests", [])
    for number, record in enumerate(records(key, requests, response.get("answers", []), each, {})):
        if identity and number < len(requests):
            record["inference_id"] = requests[number].get(identity)
            record["caller_id"] = key
        yield checked(record, context.span.time)


def _rest(halves: Halves, last: Event, context: Context) -> Iterator[Found]:
    """The halves that stayed alone, placed in the last file."""
    span = context.span
    nowhere = last._replace(line=0, size_bytes=0, value=None)
    for key, side, half in halves.rest():
        if side == "request":
            try:
                merged = list(
                    _merged(key, half, {"at": half["at"], "timed": False, "fields": {}, "failure": ALONE}, context)
                )
            except RefusedEventError as error:
                yield Found(nowhere, reason=str(error))
                continue
            for record in merged:
                yield Found(nowhere, record=record, at=record[span.time])
        elif span.start_ticks + PATIENCE_TICKS <= half["at"] < span.end_ticks:
            context.tally.set_aside_rows(last.file.name, "a response without its request")
