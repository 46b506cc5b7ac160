"""Spans of OpenTelemetry: one a call, under the active span, with the attributes of the GenAI conventions.

    log = InferenceLogger("chat", version="1", to="logs/chat", observers=[OtelSpans(trace.get_tracer("shop"))])

Exporter, sampler and processor are the user's: this only needs a tracer. Spans made inside the call become children of its
span, and its record carries their `trace_id`, so a failure leads to its trace. What leaves in a span is redacted as the
record on disk is, and less of it: names, numbers and program text, never features, answers or an exception's own words.
"""

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from retrue.logger.calls import Call

_NANOSECONDS_PER_MILLISECOND = 1_000_000

_ATTRIBUTES: Final[Mapping[str, str]] = {
    "inference_id": "retrue.inference_id",
    "model": "retrue.model",
    "model_version": "retrue.model_version",
    "status": "retrue.status",
    "endpoint": "retrue.endpoint",
    "request_bytes": "retrue.request_bytes",
    "cost_usd": "retrue.cost_usd",
    "error_type": "error.type",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.request.model": "gen_ai.request.model",
    "gen_ai.response.model": "gen_ai.response.model",
    "gen_ai.provider.name": "gen_ai.provider.name",
}
"""Field of the record to attribute; the semantic conventions have no name for the `retrue.` ones."""

_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)
_FINISH_REASONS = "gen_ai.response.finish_reasons"
_GENERATES = ("gen_ai.request.model", "input_tokens", "output_tokens")


class OtelSpans:
    """An observer that opens a span as a call begins and ends it with the call.

    Calls given to `InferenceLogger.record` have ended before anybody hears of them: they get their span then, with the
    times they had.

    Args:
        tracer: Makes the spans, as in `opentelemetry.trace.get_tracer("shop")`.
        operation: `gen_ai.operation.name` of calls that generate: `chat`, `text_completion`, `embeddings` …
    """

    def __init__(self, tracer: Tracer, *, operation: str = "chat") -> None:
        self._tracer = tracer
        self._operation = operation

    def started(self, call: Call) -> None:
        """Open the call's span and make it the active one."""
        before = context.get_current()
        span = self._tracer.start_span("inference", context=_above(before, call), kind=SpanKind.INTERNAL)
        context.attach(trace.set_span_in_context(span, before))
        call.state = (span, before)
        own = span.get_span_context()
        if own.is_valid:
            call.told(trace_id=trace.format_trace_id(own.trace_id), span_id=trace.format_span_id(own.span_id))

    def finished(self, call: Call, record: Mapping[str, object]) -> None:
        """Say how it ended and end its span."""
        if isinstance(call.state, tuple):
            span, before = call.state
            self._end(span, call, record, None)
            context.attach(before)  # not detach: a streamed response may end in another task, where the token is void
        else:
            span = self._tracer.start_span("inference", kind=SpanKind.INTERNAL, start_time=_time(record))
            self._end(span, call, record, _ends_at(record))

    def _end(self, span: trace.Span, call: Call, record: Mapping[str, object], ends_at: int | None) -> None:
        if span.is_recording():
            written = call.redacted(record)
            self._describe(span, written)
            _conclude(span, written, ends_at)
        span.end(ends_at)

    def _describe(self, span: trace.Span, record: Mapping[str, object]) -> None:
        generates = any(record.get(name) is not None for name in _GENERATES)
        span.update_name(self._name(record, generates))
        if generates:
            span.set_attribute("gen_ai.operation.name", self._operation)
        for field, attribute in _ATTRIBUTES.items():
            value = record.get(field)
            if isinstance(value, (str, int, float)):
                span.set_attribute(attribute, value)
        reasons = record.get(_FINISH_REASONS)
        if isinstance(reasons, list):
            span.set_attribute(_FINISH_REASONS, [str(reason) for reason in reasons])

    def _name(self, record: Mapping[str, object], generates: bool) -> str:
        if generates:
            return f"{self._operation} {record.get('gen_ai.request.model') or record.get('model')}"
        return f"predict {record.get('model')}"


def _above(active: context.Context, call: Call) -> context.Context:
    """Return under what the call's span goes: the active span, else the caller's of a `traceparent` header."""
    if trace.get_current_span(active).get_span_context().is_valid:
        return active
    trace_id, span_id = call.facts.get("trace_id"), call.facts.get("span_id")
    if not isinstance(trace_id, str) or not isinstance(span_id, str):
        return active
    remote = trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=_SAMPLED)
    return trace.set_span_in_context(trace.NonRecordingSpan(remote), active)


def _conclude(span: trace.Span, record: Mapping[str, object], ends_at: int | None) -> None:
    """Set the status and, where an exception ended the call, the event that trace viewers show."""
    status = record.get("status")
    if status == "ok":
        span.set_status(Status(StatusCode.OK))
        return
    kind = str(record.get("error_type") or status)
    span.set_status(Status(StatusCode.ERROR, kind))
    event: dict[str, Any] = {"exception.type": kind}
    if isinstance(message := record.get("error_message"), str):
        event["exception.message"] = message
    span.add_event("exception", event, ends_at)


def _time(record: Mapping[str, object]) -> int | None:
    began = record.get("time")
    return began if isinstance(began, int) else None


def _ends_at(record: Mapping[str, object]) -> int | None:
    began, latency = _time(record), record.get("latency_ms")
    if began is None or not isinstance(latency, (int, float)):
        return None
    return began + int(latency * _NANOSECONDS_PER_MILLISECOND)
