"""Spans of the logger in a real MLflow server: what its OTLP endpoint took, and what its API shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from mlflow import MlflowClient
from mlflow.entities import Span, Trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

from retrue.logger import Fields, InferenceLogger
from retrue.logger.asgi import InferenceMiddleware, current_call
from retrue.logger.genai import Price, generated_from
from retrue.logger.otel import OtelSpans
from tests.logger.serving import on_disk, serving

httpx = pytest.importorskip("httpx")

SECRET = "jane.doe@example.org"
RESPONSE = {
    "model": "small",
    "choices": [{"message": {"content": SECRET}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 500},
}


@dataclass(frozen=True)
class Observed:
    """A chat server whose spans went to MLflow and whose records went to disk."""

    traces: dict[str, Trace]
    records: list[dict[str, Any]]

    def record(self, status: str) -> dict[str, Any]:
        return next(each for each in self.records if each["status"] == status)

    def trace(self, status: str) -> Trace:
        """The trace that a record points to."""
        return self.traces[f"tr-{self.record(status)['trace_id']}"]

    def span(self, status: str, name: str) -> Span:
        return next(each for each in self.trace(status).data.spans if each.name == name)


def chat(log: InferenceLogger, tracer: Tracer) -> FastAPI:
    app = FastAPI()
    app.add_middleware(InferenceMiddleware, log=log)

    @app.post("/chat")
    def answer(passenger: str, fares: int) -> str:
        with tracer.start_as_current_span("look up fares"):
            if not fares:
                raise LookupError(f"no fare for {passenger}")
        with tracer.start_as_current_span("ask the model"):
            generated_from(current_call(), RESPONSE, provider="openai", prices={"small": Price(input=1, output=2)})
        return "well"

    return app


@pytest.fixture(scope="module")
def observed(mlflow_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    to = tmp_path_factory.mktemp("traced")
    experiment = MlflowClient(mlflow_uri).create_experiment("traced")
    exporter = OTLPSpanExporter(f"{mlflow_uri}/v1/traces", headers={"x-mlflow-experiment-id": experiment})
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("chat")
    spans = OtelSpans(tracer)
    log = InferenceLogger("chat", version="1", to=to, fields=Fields(), observers=[spans], resources_every=None)
    with serving(chat(log, tracer)) as url:
        for fares in (3, 0):
            httpx.post(f"{url}/chat", params={"passenger": SECRET, "fares": fares}, trust_env=False)
    log.close()
    provider.shutdown()
    return Observed(traces=found_traces(mlflow_uri, experiment), records=on_disk(to))


def found_traces(uri: str, experiment: str) -> dict[str, Trace]:
    found = MlflowClient(uri).search_traces(locations=[experiment], include_spans=True)
    return {trace.info.trace_id: trace for trace in found}


def test_each_record_carries_the_id_of_its_trace(observed: Observed) -> None:
    assert {f"tr-{record['trace_id']}" for record in observed.records} == observed.traces.keys()
    assert len(observed.traces) == 2


def test_a_trace_is_a_waterfall_of_what_happened_in_the_call(observed: Observed) -> None:
    call = observed.span("ok", "chat small")
    assert call.parent_id is None
    inner = [span for span in observed.trace("ok").data.spans if span.parent_id == call.span_id]
    assert sorted(span.name for span in inner) == ["ask the model", "look up fares"]
    assert all(call.start_time_ns <= span.start_time_ns <= span.end_time_ns <= call.end_time_ns for span in inner)


def test_mlflow_understands_the_generation(observed: Observed) -> None:
    call = observed.span("ok", "chat small")
    assert call.span_type == "CHAT_MODEL"
    assert call.attributes["mlflow.chat.tokenUsage"] == {
        "input_tokens": 1_000,
        "output_tokens": 500,
        "total_tokens": 1_500,
    }
    assert call.attributes["retrue.cost_usd"] == pytest.approx(0.002)
    assert call.attributes["retrue.inference_id"] == observed.record("ok")["inference_id"]


def test_a_failed_call_is_an_error_with_its_exceptions_event(observed: Observed) -> None:
    call = observed.span("error", "predict chat")
    assert (call.status.status_code.value, call.status.description) == ("ERROR", "LookupError")
    (event,) = call.events
    assert (event.name, event.attributes["exception.type"]) == ("exception", "LookupError")
    assert event.attributes["exception.message"] == observed.record("error")["error_message"] == "no fare for <*>"
    assert observed.trace("error").info.state.value == "ERROR"


def test_what_the_logger_sends_holds_nobodys_data(observed: Observed) -> None:
    for status, name in (("ok", "chat small"), ("error", "predict chat")):
        assert SECRET not in str(observed.span(status, name).to_dict())
    assert SECRET not in str(observed.records)
