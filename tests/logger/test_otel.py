import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode, Tracer, format_span_id, format_trace_id

from retrue.logger import InferenceLogger
from retrue.logger.asgi import InferenceMiddleware
from retrue.logger.otel import OtelSpans
from tests.aio import run_async
from tests.logger.serving import on_disk

SECRET = "jane.doe@example.org"


class Traced:
    """A logger whose spans are kept."""

    def __init__(self, to: Path) -> None:
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.tracer: Tracer = provider.get_tracer("shop")
        self.to = to
        observers = [OtelSpans(self.tracer)]
        self.log = InferenceLogger("shop", version="3", to=to, observers=observers, resources_every=None)

    def span(self, name: str = "predict shop") -> ReadableSpan:
        (found,) = (each for each in self.spans.get_finished_spans() if each.name == name)
        return found

    def written(self) -> list[dict[str, object]]:
        assert self.log.flush()
        return on_disk(self.to)


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    made = Traced(tmp_path)
    yield made
    made.log.close()


def test_a_call_is_a_span_and_its_record_names_it(traced: Traced) -> None:
    with traced.log.observe({"age": 3}, inference_id="o-1", endpoint="POST /predict", request_bytes=9) as call:
        call.predicted(1)
    span = traced.span()
    assert span.attributes == {
        "retrue.inference_id": "o-1",
        "retrue.model": "shop",
        "retrue.model_version": "3",
        "retrue.status": "ok",
        "retrue.endpoint": "POST /predict",
        "retrue.request_bytes": 9,
    }
    assert span.status.status_code is StatusCode.OK
    (record,) = traced.written()
    assert record["trace_id"] == format_trace_id(span.context.trace_id)
    assert record["span_id"] == format_span_id(span.context.span_id)


def test_spans_form_a_waterfall_around_and_within_the_call(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("request") as above:
        with traced.log.observe({}), traced.tracer.start_as_current_span("features"):
            pass
        assert trace.get_current_span() is above
    call, within = traced.span(), traced.span("features")
    assert call.parent is not None
    assert within.parent is not None
    assert call.parent.span_id == above.get_span_context().span_id
    assert within.parent.span_id == call.context.span_id
    assert call.start_time <= within.start_time <= within.end_time <= call.end_time  # type: ignore[operator]


def test_no_span_stays_active_after_the_call(traced: Traced) -> None:
    with traced.log.observe({}):
        assert trace.get_current_span().get_span_context().is_valid
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_failed_call_has_its_exception_but_none_of_its_data(traced: Traced) -> None:
    with pytest.raises(ValueError, match="no fare"), traced.log.observe({"passenger": SECRET}):
        raise ValueError(f"no fare for {SECRET}")
    span = traced.span()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    (event,) = span.events
    assert event.name == "exception"
    assert event.attributes is not None
    assert event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"] == "no fare for <*>"
    assert SECRET not in span.to_json()


def test_a_rejection_and_a_timeout_are_errors_too(traced: Traced) -> None:
    with traced.log.observe({}, inference_id="a") as call:
        call.rejected("quota")
    with traced.log.observe({}, inference_id="b") as call:
        call.timed_out()
    described = [span.status.description for span in traced.spans.get_finished_spans()]
    assert described == ["rejected", "timeout"]


def test_a_generation_has_the_attributes_of_the_conventions(traced: Traced) -> None:
    with traced.log.observe({"prompt": SECRET}) as call:
        call.generated(
            model="small",
            response_model="small-1",
            provider="openai",
            input_tokens=30,
            output_tokens=7,
            cost_usd=0.01,
            finish_reason="stop",
        )
        call.predicted(SECRET)
    span = traced.span("chat small")
    assert {name: value for name, value in (span.attributes or {}).items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "small",
        "gen_ai.response.model": "small-1",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.response.finish_reasons": ("stop",),
    }
    assert (span.attributes or {})["retrue.cost_usd"] == 0.01
    assert SECRET not in span.to_json()


def test_a_record_given_afterwards_has_the_times_it_had(traced: Traced) -> None:
    traced.log.record({}, time=1_700_000_000_000_000_000, latency_ms=250.0)
    span = traced.span()
    assert (span.start_time, span.end_time) == (1_700_000_000_000_000_000, 1_700_000_000_250_000_000)


def test_spans_that_are_sampled_out_cost_nothing_and_break_nothing(tmp_path: Path) -> None:
    log = InferenceLogger(
        "shop",
        version="3",
        to=tmp_path,
        observers=[OtelSpans(TracerProvider(sampler=ALWAYS_OFF).get_tracer("shop"))],
        resources_every=None,
    )
    with log.observe({}) as call:
        call.predicted(1)
    assert log.close().on_disk == 1
    assert log.stats().observer_errors == 0


def test_the_callers_trace_goes_on_through_the_middleware(traced: Traced) -> None:
    trace_id, span_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "headers": [(b"traceparent", f"00-{trace_id}-{span_id}-01".encode())],
    }

    async def app(scope: object, receive: object, send: object) -> None:
        async def answer() -> None:
            await send({"type": "http.response.start", "status": 200})  # type: ignore[operator]
            await send({"type": "http.response.body"})  # type: ignore[operator]

        await asyncio.create_task(answer())  # the answer's end, where the call ends, is in another task

    async def send(message: object) -> None:
        """Take the answer."""

    run_async(InferenceMiddleware(app, log=traced.log)(scope, None, send))  # type: ignore[arg-type]
    span = traced.span()
    assert span.parent is not None
    assert format_trace_id(span.context.trace_id) == trace_id
    assert format_span_id(span.parent.span_id) == span_id
    (record,) = traced.written()
    assert (record["trace_id"], record["span_id"]) == (trace_id, format_span_id(span.context.span_id))
    assert traced.log.stats().observer_errors == 0
