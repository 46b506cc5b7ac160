"""MLflow traces of both schemas out of files, on the real sample where there is one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sources.formats.reads import SAMPLES, at, copy_of, read, read_labels, write

STACK = 'Traceback (most recent call last):\n  File "app.py", line 3, in f\n    boom()\nValueError: boom'


def span(
    name: str = "f", *, parent: str | None = None, events: tuple[Any, ...] = (), **attributes: Any
) -> dict[str, Any]:
    return {
        "trace_id": "X1HCVtaURAz75AYi3RX2vA==", "span_id": "0u0Hyofr57M=", "parent_span_id": parent, "name": name,
        "start_time_unix_nano": 1, "end_time_unix_nano": 2, "events": list(events),
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {name.replace("__", "."): value for name, value in attributes.items()},
    }  # fmt: skip


def raised(kind: str = "ValueError", message: str = "boom") -> dict[str, Any]:
    kept = {"exception.type": kind, "exception.message": message, "exception.stacktrace": STACK}
    return {"name": "exception", "time_unix_nano": 1, "attributes": kept}


def trace(*spans: dict[str, Any], metadata: dict[str, str] | None = None, **info: Any) -> dict[str, Any]:
    about = {
        "trace_id": "tr-5f51c256d694440cfbe40622dd15f6bc", "client_request_id": "req-2",
        "request_time": "2025-01-01T10:00:00.500Z", "execution_duration_ms": 78, "state": "OK",
        "trace_metadata": metadata or {}, "tags": {"mlflow.traceName": "outer"}, **info,
    }  # fmt: skip
    return {"info": about, "data": {"spans": list(spans)}}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real samples lie beside the repository")
def test_the_real_traces_of_schema_2_are_read(tmp_path: Path) -> None:
    found = read(copy_of(["mlflow_traces_v2.json"], tmp_path), "mlflow")
    assert found.reasons == {}
    assert found.column("inference_id") == ["tr-1234567", "test-trace-123"]
    assert found.column("latency_ms") == [456, 20]
    assert found.column("time") == [123_000, 1_234_567_890_000]
    assert found.features() == {"prompt": "What is the meaning of life?"}
    assert found.column("prediction") == [42, "I'll help you with the weather information."]
    assert found.column("span_id") == ["0000000000012345", "0000000000000123"]


def test_values_are_json_inside_strings_and_ids_base64(tmp_path: Path) -> None:
    root = span(
        mlflow__spanInputs='{"x": 2, "name": "q"}', mlflow__spanOutputs='{"answer": 1}', mlflow__llm__model='"m1"',
        mlflow__chat__tokenUsage='{"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}',
        mlflow__llm__cost='{"total_cost": 0.25}',
    )  # fmt: skip
    write(tmp_path / "a.jsonl", trace(root))
    (row,) = read(tmp_path, "mlflow").rows
    assert (row["features.x"], row["features.name"], row["prediction"]) == (2, "q", 1)
    assert (row["trace_id"], row["span_id"]) == ("5f51c256d694440cfbe40622dd15f6bc", "d2ed07ca87ebe7b3")
    assert (row["input_tokens"], row["output_tokens"], row["cost_usd"]) == (3, 5, 0.25)
    assert (row["gen_ai.request.model"], row["endpoint"], row["status"]) == ("m1", "outer", "ok")
    assert (row["time"], row["latency_ms"], row["caller_id"]) == (at("2025-01-01T10:00:00.500000"), 78, "req-2")


def test_totals_of_the_trace_win_over_sums_of_its_spans(tmp_path: Path) -> None:
    usage = '{"input_tokens": 3, "output_tokens": 5}'
    spans = span(mlflow__chat__tokenUsage=usage), span(parent="p", mlflow__chat__tokenUsage=usage)
    totals = {
        "mlflow.trace.tokenUsage": '{"input_tokens": 4, "output_tokens": 6}',
        "mlflow.trace.cost": '{"total_cost": 0.5}',
    }
    write(tmp_path / "a.jsonl", trace(*spans), trace(*spans, metadata=totals))
    found = read(tmp_path, "mlflow")
    assert found.column("input_tokens") == [6, 4]
    assert found.column("cost_usd") == [None, 0.5]


def test_the_exception_event_gives_type_message_and_stack(tmp_path: Path) -> None:
    inner = span("inner", parent="p", events=(raised("KeyError", "inner"),))
    write(
        tmp_path / "a.jsonl",
        trace(inner, span(events=(raised(),)), state="ERROR"),
        trace(span(), inner, state="ERROR"),
        trace(span(events=(raised("asyncio.exceptions.TimeoutError"),)), state="ERROR"),
    )
    found = read(tmp_path, "mlflow")
    assert found.column("error_type") == ["ValueError", "KeyError", "asyncio.exceptions.TimeoutError"]
    assert found.column("error_message") == ["boom", "inner", "boom"]
    assert found.column("error_stack")[0] == STACK
    assert found.column("status") == ["error", "error", "timeout"]


@pytest.mark.parametrize(
    ("message", "kind", "left"),
    [
        ("ValueError: boom: at 3", "ValueError", "boom: at 3"),
        ("my.app.QuotaException", "my.app.QuotaException", ""),
        ("it broke", None, "it broke"),
    ],
)
def test_a_failure_without_an_event_is_read_from_the_status(
    tmp_path: Path, message: str, kind: str | None, left: str
) -> None:
    failed = {**span(), "status": {"code": "STATUS_CODE_ERROR", "message": message}}
    write(tmp_path / "a.jsonl", trace(failed, state="ERROR"))
    (row,) = read(tmp_path, "mlflow").rows
    assert (row["error_type"], row["error_message"]) == (kind, left)


def test_previews_are_used_only_where_they_are_whole(tmp_path: Path) -> None:
    write(
        tmp_path / "a.jsonl",
        trace(request_preview='{"x": 2}', response_preview="3"),
        trace(request_preview='{"x": "' + "y" * 900, response_preview='{"cut": "of'),
        trace(span(mlflow__spanInputs='{"x": "whole"}'), request_preview='{"x": "wh'),
    )
    found = read(tmp_path, "mlflow")
    assert found.column("features.x") == [2, None, "whole"]
    assert found.column("prediction") == [3, None, None]
    assert sum(found.notes.values()) == 2


def test_a_trace_that_never_ended_has_no_status_and_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", trace(span(), state="IN_PROGRESS"))
    found = read(tmp_path, "mlflow")
    assert found.column("status") == [None]
    assert found.notes == {"traces that never ended have no status": 1}


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai__request__model": "m1", "gen_ai__provider__name": "p", "gen_ai__usage__input_tokens": 3,
            "gen_ai__usage__output_tokens": "5", "gen_ai__response__finish_reasons": '["stop"]',
        },
        {
            "llm__model_name": '"m1"', "llm__provider": "p", "llm__token_count__prompt": 3,
            "llm__token_count__completion": 5, "gen_ai__response__finish_reasons": ["stop"],
        },
    ],
    ids=["opentelemetry", "openinference"],
)  # fmt: skip
def test_generation_attributes_of_both_conventions_are_read(tmp_path: Path, attributes: dict[str, Any]) -> None:
    write(tmp_path / "a.jsonl", trace(span(**attributes)))
    (row,) = read(tmp_path, "mlflow").rows
    assert (row["gen_ai.request.model"], row["gen_ai.provider.name"]) == ("m1", "p")
    assert (row["input_tokens"], row["output_tokens"]) == (3, 5)
    assert row["gen_ai.response.finish_reasons"] == "stop"


def test_a_duration_of_protocol_buffers_is_seconds(tmp_path: Path) -> None:
    kept = trace(span(), execution_duration="0.078s")
    del kept["info"]["execution_duration_ms"]
    write(tmp_path / "a.jsonl", kept)
    assert read(tmp_path, "mlflow").column("latency_ms") == [78.0]


def assessment(name: str, value: Any, kind: str = "expectation") -> dict[str, Any]:
    return {"assessment_name": name, kind: {"value": value}, "create_time": "2025-01-03T00:00:00Z", "valid": True}


def test_expectations_are_labels_and_the_settings_choose_among_them(tmp_path: Path) -> None:
    said = [assessment("label", 1.0), assessment("thumbs", True, "feedback"), {**assessment("old", 2), "valid": False}]
    write(tmp_path / "a.json", json.dumps([trace(span(), assessments=said)], indent=1).encode())
    (label,) = read_labels(tmp_path, "mlflow").rows
    assert (label["inference_id"], label["label"]) == ("tr-5f51c256d694440cfbe40622dd15f6bc", 1.0)
    assert label["labelled_at"] == at("2025-01-03T00:00:00")
    chosen = {"label": "thumbs", "inference_id": "client_request_id"}
    (label,) = read_labels(tmp_path, "mlflow", columns=chosen).rows
    assert (label["inference_id"], label["label"]) == ("req-2", True)


def test_what_is_no_trace_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {"a": 1}, {"info": 3}, {"info": {"trace_id": "x"}})
    assert read(tmp_path, "mlflow").reasons == {"no trace: it has no info": 2, "no time": 1}
