"""MLflow traces of schema 2 and 3, out of files or through the API, as records of the calls that they trace.

A trace is one inference: inputs and outputs are those of its root span, whole, where the previews of its ``info`` are cut off;
its failure is the exception event of the root span, else that of the first span that has one. Attribute values are JSON inside
strings, ids of spans base64. Expectations that were logged on a trace are labels.

Source: mlflow 3.17 entities/trace_info.py, entities/span.py and tracing/constant.py.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from retrue.sources.formats.clock import Clock
from retrue.sources.formats.cutting import json_events
from retrue.sources.formats.events import Context, Event, Format, Found, decoded, dug, text_or_none
from retrue.sources.formats.gen_ai import generation, unwrapped, usage
from retrue.sources.formats.payload import Row, response_rows
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.listing import SourceFile

Span = Mapping[str, Any]

_STATUS = {"OK": "ok", "ERROR": "error"}
_TYPED = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Timeout))(?::\s*(.*))?$", re.DOTALL)
_TIMEOUTS = re.compile(r"(^|\.)(\w*Timeout\w*|CancelledError)$")


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read the traces of files: one a line, an array of them, or one a file."""
    return of_events((event for file in files for event in json_events(file, context)), context)


def of_events(events: Iterator[Event], context: Context) -> Iterator[Found]:
    """Read traces wherever they come from."""
    return decoded(events, partial(_records, context), context)


def _records(context: Context, event: Event) -> Iterator[Row]:
    info, data = event.value.get("info"), event.value.get("data") or {}
    if not isinstance(info, Mapping):
        raise RefusedEventError("no trace: it has no info")
    spans = [span for span in data.get("spans") or () if isinstance(span, Mapping)]
    root = next((span for span in spans if not parent_of(span)), None)
    about = info.get("trace_metadata") or info.get("request_metadata") or {}
    trace_id = str(info.get("trace_id") or info.get("request_id") or "")
    state = str(info.get("state") or info.get("status") or "").removeprefix("TRACE_STATUS_")
    record: Row = {
        "inference_id": trace_id,
        "caller_id": text_or_none(info.get("client_request_id")),
        context.span.time: _time(info),
        "endpoint": text_or_none((info.get("tags") or {}).get("mlflow.traceName")) or dug(root, "name"),
        "model_version": context.settings.model_version or text_or_none(about.get("mlflow.modelId")),
        "status": _STATUS.get(state),
        "latency_ms": _latency(info),
        "trace_id": trace_id.removeprefix("tr-"),
        "span_id": span_id(root) if root else None,
    }
    if state == "IN_PROGRESS":
        context.notes["traces that never ended have no status"] += 1
    for name, value in _inputs(info, data, root, context).items():
        record[f"features.{name}"] = value
    record |= _outputs(info, data, root, context)
    record |= _generation(spans, about)
    if record["status"] == "error":
        record |= failure_of(root, spans)
    identity = context.settings.columns.inference_id
    if identity:
        record["inference_id"] = (
            record["caller_id"] if identity == "client_request_id" else record.get(f"features.{identity}")
        )
    yield record


def _time(info: Mapping[str, Any]) -> int:
    if info.get("request_time") is not None:
        return Clock(unit="ms").ticks(info["request_time"])
    return Clock(unit="ms").ticks(info.get("timestamp_ms"))


def _latency(info: Mapping[str, Any]) -> float | None:
    found = next(
        (info[name] for name in ("execution_duration_ms", "execution_time_ms", "execution_duration") if name in info),
        None,
    )
    if isinstance(found, str) and found.endswith("s"):  # a duration of protocol buffers
        return float(found[:-1]) * 1000
    return float(found) if isinstance(found, int | float) else None


# ---------------------------------------------------------------- inputs and outputs


def _attributes(span: Span | None) -> Mapping[str, Any]:
    found = (span or {}).get("attributes")
    return found if isinstance(found, Mapping) else {}


def _inputs(info: Mapping[str, Any], data: Mapping[str, Any], root: Span | None, context: Context) -> Mapping[str, Any]:
    attributes = _attributes(root)
    whole = attributes.get("mlflow.spanInputs", attributes.get("input.value", data.get("request")))
    if whole is None and info.get("request_preview"):
        whole = _preview(info["request_preview"], context)
    found = unwrapped(whole)
    if isinstance(found, Mapping):
        return {str(name): value for name, value in found.items()}
    return {} if found is None else {"input": found}


def _outputs(info: Mapping[str, Any], data: Mapping[str, Any], root: Span | None, context: Context) -> Row:
    attributes = _attributes(root)
    whole = attributes.get("mlflow.spanOutputs", attributes.get("output.value", data.get("response")))
    if whole is None and info.get("response_preview"):
        whole = _preview(info["response_preview"], context)
    found = unwrapped(whole)
    rows = response_rows(found, context.settings.outputs, context.settings.columns) if found is not None else []
    if len(rows) > 1:
        return {"prediction": found}
    return rows[0] if rows else {}


def _preview(text: Any, context: Context) -> Any:
    """A preview is used where it is whole: one that was cut off is no JSON any more."""
    found = unwrapped(text)
    if isinstance(found, str):
        context.notes["only previews are there, which are cut off: keep the spans too"] += 1
        return None
    return found


def _generation(spans: Sequence[Span], about: Mapping[str, Any]) -> Row:
    """Tokens and cost of the whole trace as MLflow added them up, else of its spans; the model of the first that names one."""
    each = [(generation(_attributes(span)), _attributes(span)) for span in spans]
    found: Row = {}
    for fields, _ in each:
        found = {**{name: value for name, value in fields.items() if not name.endswith("_tokens")}, **found}
    counted = [fields | usage(unwrapped(attributes.get("mlflow.chat.tokenUsage"))) for fields, attributes in each]
    tokens = {
        name: sum(row[name] for row in counted if name in row)
        for name in ("input_tokens", "output_tokens")
        if any(name in row for row in counted)
    }
    found |= tokens | usage(unwrapped(about.get("mlflow.trace.tokenUsage")))
    costs = [_cost(attributes.get("mlflow.llm.cost")) for _, attributes in each]
    total = _cost(about.get("mlflow.trace.cost"))
    if total is None and any(cost is not None for cost in costs):
        total = sum(cost for cost in costs if cost is not None)
    return found | ({} if total is None else {"cost_usd": total})


def _cost(value: Any) -> float | None:
    found = dug(unwrapped(value), "total_cost")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


# ---------------------------------------------------------------- failures


def failure_of(root: Span | None, spans: Sequence[Span]) -> Row:
    """Return type, message and stack of the exception that a failed trace recorded.

    The root span's is taken: its stack holds the whole way down. A trace without events has at most a status message.
    """
    for span in [*([root] if root else []), *spans]:
        for event in span.get("events") or ():
            kept = event.get("attributes") or {}
            if event.get("name") == "exception" or "exception.type" in kept:
                return _failure(*(_plain(kept.get(f"exception.{part}")) for part in ("type", "message", "stacktrace")))
    for span in [*([root] if root else []), *spans]:
        status = span.get("status")
        message = status.get("message") if isinstance(status, Mapping) else span.get("status_message")
        if text_or_none(message):
            match = _TYPED.match(str(message))
            return _failure(match[1], match[2] or "", None) if match else _failure(None, str(message), None)
    return {}


def _failure(kind: str | None, message: str | None, stack: str | None) -> Row:
    status = {"status": "timeout"} if kind and _TIMEOUTS.search(kind) else {}
    return {**status, "error_type": kind, "error_message": message, "error_stack": stack}


def _plain(value: Any) -> str | None:
    found = unwrapped(value) if isinstance(value, str) and value.startswith('"') else value
    return None if found is None else str(found)


# ---------------------------------------------------------------- spans


def parent_of(span: Span) -> str | None:
    """Return the id of a span's parent, None of a root."""
    return span.get("parent_span_id") or span.get("parent_id") or None


def span_id(span: Span) -> str | None:
    """Return a span's id in hexadecimal: schema 3 has base64, schema 2 hexadecimal after ``0x``.

    >>> span_id({"span_id": "0u0Hyofr57M="}), span_id({"context": {"span_id": "0x12345"}})
    ('d2ed07ca87ebe7b3', '0000000000012345')
    """
    found = span.get("span_id") or dug(span, "context.span_id")
    if not isinstance(found, str):
        return None
    if found.startswith("0x"):
        return found.removeprefix("0x").rjust(16, "0")
    try:
        return base64.b64decode(found, validate=True).hex() if len(found) == 12 else found
    except (binascii.Error, ValueError):
        return found


# ---------------------------------------------------------------- labels


def labels(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read expectations, and feedback of a person, that were logged on traces; ``columns.label`` names which."""
    return labels_of_events((event for file in files for event in json_events(file, context)), context)


def labels_of_events(events: Iterator[Event], context: Context) -> Iterator[Found]:
    """Read the labels of traces wherever they come from."""
    return decoded(events, partial(_labels, context), context)


def _labels(context: Context, event: Event) -> Iterator[Row]:
    info = event.value.get("info")
    if not isinstance(info, Mapping):
        raise RefusedEventError("no trace: it has no info")
    wanted, identity = context.settings.columns.label, context.settings.columns.inference_id
    for assessment in info.get("assessments") or ():
        name = assessment.get("assessment_name") or assessment.get("name")
        expected = assessment.get("expectation")
        given = expected if expected is not None else (assessment.get("feedback") if wanted else None)
        if given is None or (wanted and name != wanted) or assessment.get("valid") is False:
            continue
        value = given.get("value") if isinstance(given, Mapping) else given
        if value is None:
            continue
        own = (
            info.get("client_request_id")
            if identity == "client_request_id"
            else info.get("trace_id") or info["request_id"]
        )
        yield {
            "inference_id": own,
            "label": value,
            "labelled_at": Clock(unit="ms").ticks(assessment.get("create_time") or assessment.get("create_time_ms")),
            "source": "mlflow",
        }


FORMAT = Format(holds=re.compile(r".*\.(json|jsonl|ndjson)(\.gz)?", re.IGNORECASE), logs=read, labels=labels)
