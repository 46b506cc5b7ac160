"""CloudEvents as they are kept: structured JSON, headers with a body, Kafka messages, and the text of a display. Pure.

Source: CloudEvents 1.0, its JSON format and its HTTP and Kafka bindings; the display is that of Knative's ``event_display``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from retrue.sources.formats.clock import Clock
from retrue.sources.formats.cutting import aside_on_failure, json_events
from retrue.sources.formats.events import Context, Event
from retrue.sources.formats.payload import body
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.json_lines import LINE_BYTES_MAX, RefusedFileError, open_stream, parse_value
from retrue.sources.listing import SourceFile

_DISPLAY = b"cloudevents.Event"
_SECTION = re.compile(r"^(Context Attributes|Extensions|Data),?$")
_ATTRIBUTES = ("id", "type", "source", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """``at`` in microseconds since 1970, None where the event has no time; ``extensions`` by lower-case name.

    ``content`` parses the body, which can be refused while the rest of the event stands.
    """

    id: str
    type: str
    at: int | None
    extensions: Mapping[str, Any]
    content: Callable[[], Any]


def cloud_events(file: SourceFile, context: Context) -> Iterator[Event]:
    """Yield the events of a file: JSON lines, JSON documents, or the text of a display."""
    with aside_on_failure(file, context.tally):
        with open_stream(file) as stream:
            shown = _DISPLAY in stream.read(200)
        yield from _displayed(file) if shown else json_events(file, context)


def _displayed(file: SourceFile) -> Iterator[Event]:
    """Yield the events of a display as structured JSON events."""
    with open_stream(file) as stream:
        content = stream.read(LINE_BYTES_MAX + 1)
    if len(content) > LINE_BYTES_MAX:
        raise RefusedFileError(f"a display of more than {LINE_BYTES_MAX} bytes: keep events as JSON lines")
    lines = content.decode("utf-8", "replace").splitlines()
    starts = [number for number, line in enumerate(lines) if line.endswith("cloudevents.Event")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        block = lines[start:end]
        try:
            yield Event(file, start + 1, sum(map(len, block)), _block(block))
        except ValueError:
            yield Event(file, start + 1, 0, None, "the displayed event is not as Knative shows it")


def _block(lines: list[str]) -> dict[str, Any]:
    section, event, data = "", {}, []
    for line in lines:
        match = _SECTION.match(line.strip()) if not line.startswith("  ") else None
        if match:
            section = match[1]
        elif section == "Data":
            data.append(line)
        elif section:
            name, _, value = line.strip().partition(":")
            event[name.strip()] = value.strip()
    return {**event, "data": parse_value("\n".join(data).encode()) if data else None}


def cloud_event(value: Mapping[str, Any]) -> CloudEvent:
    """Return the event of a JSON object, however it was kept.

    Raises:
        RefusedEventError: It is none, or its time cannot be read.
    """
    if isinstance(value.get("headers"), Mapping | list):
        return _of_message(value)
    if "type" not in value or "id" not in value:
        raise RefusedEventError("no CloudEvent: it has no id or no type")
    named = {name.lower(): each for name, each in value.items()}
    packed = named.get("data_base64")
    about = {"encoding": "" if packed is None else "BASE64", "content_type": str(named.get("datacontenttype", ""))}
    return _event(named, partial(body, named.get("data") if packed is None else packed, **about), None)


def _of_message(message: Mapping[str, Any]) -> CloudEvent:
    """The event of an HTTP request or a Kafka message: attributes in headers, with ``ce-`` or ``ce_`` before them or bare."""
    headers = {_bare(name): value for name, value in _headers(message["headers"])}
    raw = next((message[name] for name in ("body", "value", "payload", "data") if name in message), None)
    encoding = "BASE64" if message.get("encoding") == "base64" else ""
    content = partial(body, raw, encoding=encoding, content_type=str(headers.get("content-type", "")))
    stamp = next((message[name] for name in ("timestamp", "ts", "@timestamp") if name in message), None)
    return _event(headers, content, stamp)


def _event(named: Mapping[str, Any], content: Callable[[], Any], stamp: Any) -> CloudEvent:
    """``stamp`` is a Kafka message's own time, in milliseconds where it is a number: its headers have none."""
    time = named.get("time") or stamp
    return CloudEvent(
        id=str(named.get("id") or ""),
        type=str(named.get("type") or ""),
        at=None if time is None else Clock(unit="ms").ticks(time),
        extensions={name: value for name, value in named.items() if name not in (*_ATTRIBUTES, "data")},
        content=content,
    )


def _headers(headers: Any) -> Iterator[tuple[str, Any]]:
    """Headers as a mapping, as a list of keys and values in turn, or as a list of objects."""
    if isinstance(headers, Mapping):
        yield from headers.items()
    elif headers and isinstance(headers[0], Mapping):
        yield from ((each["key"], each["value"]) for each in headers)
    else:
        yield from zip(headers[::2], headers[1::2], strict=True)


def _bare(name: str) -> str:
    return re.sub(r"^ce[-_]", "", name.lower())


def trace_of(extensions: Mapping[str, Any]) -> dict[str, str]:
    """Return trace and span id of the W3C ``traceparent`` among an event's extensions."""
    match = re.fullmatch(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", str(extensions.get("traceparent")))
    return {"trace_id": match[1], "span_id": match[2]} if match else {}
