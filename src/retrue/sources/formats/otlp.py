"""Bodies of log records in OTLP's JSON, as collectors write them into files. Pure.

Source: opentelemetry-proto, logs/v1 and common/v1, in the JSON mapping of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retrue.sources.formats.events import Event
from retrue.sources.formats.refused import OTHER_SHAPE, SHAPE_ERRORS
from retrue.sources.json_lines import parse_value


def log_bodies(event: Event) -> Iterator[Event]:
    """Yield the bodies of an OTLP batch that are objects; an event that is none stays as it is."""
    if event.reason or not isinstance(event.value.get("resourceLogs"), list):
        yield event
        return
    try:
        bodies = list(_bodies(event.value["resourceLogs"]))
    except SHAPE_ERRORS:
        yield event._replace(value=None, reason=OTHER_SHAPE)
        return
    for body in bodies:
        reason = "" if isinstance(body, Mapping) else "the body of a log record is no object"
        yield event._replace(value=body, reason=reason, size_bytes=event.size_bytes // len(bodies))


def _bodies(batch: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    for resource in batch:
        for scope in resource.get("scopeLogs", ()):
            yield from (plain(record.get("body") or {}) for record in scope.get("logRecords", ()))


def plain(value: Mapping[str, Any]) -> Any:
    """Return an ``AnyValue`` as a plain one; text that is a JSON object becomes it.

    >>> plain({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "3"}}]}})
    {'a': 3}
    """
    kind, held = _held(value)
    if kind == "kvlistValue":
        return {each["key"]: plain(each.get("value") or {}) for each in held.get("values", ())}
    if kind == "arrayValue":
        return [plain(each) for each in held.get("values", ())]
    if kind == "intValue":
        return int(held)
    if kind == "stringValue" and held.startswith("{"):
        try:
            return parse_value(held.encode("utf-8", "replace"))
        except ValueError:
            return held
    return held


def _held(value: Mapping[str, Any]) -> tuple[str, Any]:
    return next(iter(value.items())) if value else ("", None)
