"""Traces on a real MLflow server, written by its own tracing and read back through its API."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource
from tests.cli.run import run_json
from tests.sources.logs import column, pull

from retrue.adapters import traces_mlflow
from retrue.adapters.traces_mlflow import read_traces, trace_urls
from retrue.errors import DeliveryError, SourceError
from retrue.sources.spans import Span
from retrue.windows import Window

_NUMBERS = count()
SOURCE = AssessmentSource(source_type="HUMAN", source_id="somebody")


@pytest.fixture
def experiment(mlflow_uri: str) -> Iterator[str]:
    """An experiment of its own that mlflow's tracing writes into."""
    before = mlflow.get_tracking_uri()
    name = f"traced-{next(_NUMBERS)}-{os.getpid()}"
    mlflow.set_tracking_uri(mlflow_uri)
    mlflow.set_experiment(name)
    yield name
    mlflow.set_tracking_uri(before)


@mlflow.trace
def answer(x: int, note: str = "n") -> dict[str, int]:
    mlflow.update_current_trace(client_request_id=f"req-{x}")
    return {"prediction": call_model(x)}


@mlflow.trace(span_type="LLM")
def call_model(x: int) -> int:
    active = mlflow.get_current_active_span()
    assert active is not None
    active.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8})
    active.set_attribute("mlflow.llm.model", "m1")
    if x == 13:
        raise ValueError("unlucky input 13")
    if x == 14:
        raise TimeoutError("too slow")
    return x * 2


def serve(*inputs: int) -> None:
    for x in inputs:
        try:
            answer(x)
        except (ValueError, TimeoutError):
            continue
    mlflow.flush_trace_async_logging()


def span(time: str = "time", *, hours: int = 1) -> Span:
    now = datetime.now(UTC)
    return Span(time=time, start=now - timedelta(hours=hours), end=now + timedelta(hours=1), wanted=lambda name: True)


def window() -> Window:
    now = datetime.now(UTC)
    return Window(model="m", start=now - timedelta(hours=1), end=now + timedelta(hours=1))


def blocks(mlflow_uri: str, experiment: str, **settings: Any) -> dict[str, Any]:
    place = {"uri": mlflow_uri, "format": "mlflow", "experiment": experiment}
    return {"logs": {**place, **settings}, "labels": {**place, "horizon": "30d"}}


def test_traces_become_records_with_their_failures_tokens_and_model(
    tmp_path: Path, mlflow_uri: str, experiment: str
) -> None:
    serve(1, 2, 13, 14)
    with pull(tmp_path, window=window(), traces=read_traces, blocks=blocks(mlflow_uri, experiment)) as pulled:
        rows = pulled.sample(9, seed=0).sort_values("x").to_dict("records")
    assert [row["x"] for row in rows] == [1, 2, 13, 14]
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "timeout"]
    assert [row["prediction"] for row in rows][:2] == [2, 4]
    assert [row["error_type"] for row in rows][2:] == ["ValueError", "TimeoutError"]
    failed = rows[2]
    assert failed["error_message"] == "unlucky input 13"
    assert "in call_model" in failed["error_stack"]
    assert failed["error_stack"].rstrip().endswith("ValueError: unlucky input 13")
    assert {row["input_tokens"] for row in rows} == {3.0}
    assert {row["gen_ai.request.model"] for row in rows} == {"m1"}
    assert {row["endpoint"] for row in rows} == {"answer"}
    assert [row["caller_id"] for row in rows] == [f"req-{x}" for x in (1, 2, 13, 14)]
    assert all(row["latency_ms"] >= 0 and len(row["trace_id"]) == 32 and len(row["span_id"]) == 16 for row in rows)


def test_expectations_logged_on_traces_are_labels(tmp_path: Path, mlflow_uri: str, experiment: str) -> None:
    serve(1, 2)
    client = MlflowClient(mlflow_uri)
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    for trace in client.search_traces(locations=[experiment_id]):
        if json.loads(trace.data.request)["x"] == 2:
            mlflow.log_expectation(trace_id=trace.info.trace_id, name="truth", value=1, source=SOURCE)
    with pull(tmp_path, window=window(), traces=read_traces, blocks=blocks(mlflow_uri, experiment)) as pulled:
        assert pulled.report.labelled_rows == 1
        frame = pulled.labelled_frame(["x", "label"])
        assert frame.to_dict("list") == {"x": [2], "label": [1]}


def test_pages_follow_each_other(mlflow_uri: str, experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces_mlflow, "PAGE_ROWS", 2)
    serve(*range(5))
    found = list(read_traces(mlflow_uri, experiment, span()))
    assert sorted(each["info"]["client_request_id"] for each in found) == [f"req-{x}" for x in range(5)]


def test_traces_outside_the_span_are_not_asked_for(mlflow_uri: str, experiment: str) -> None:
    serve(1)
    later = Span(
        time="time",
        start=datetime.now(UTC) + timedelta(hours=1),
        end=datetime.now(UTC) + timedelta(hours=2),
        wanted=lambda name: True,
    )
    assert list(read_traces(mlflow_uri, experiment, later)) == []


def test_the_experiment_may_be_an_id_and_an_unknown_one_is_refused(mlflow_uri: str, experiment: str) -> None:
    serve(1)
    experiment_id = MlflowClient(mlflow_uri).get_experiment_by_name(experiment).experiment_id
    assert len(list(read_traces(mlflow_uri, experiment_id, span()))) == 1
    for unknown in ("nobody's", "987654321"):
        with pytest.raises(SourceError, match="no experiment"):
            list(read_traces(mlflow_uri, unknown, span()))


def test_a_server_that_does_not_answer_is_an_error_of_ours(mlflow_uri: str) -> None:
    with pytest.raises(DeliveryError):
        list(read_traces("http://127.0.0.1:9", "any", span()))


def test_a_server_without_an_experiment_or_a_reader_is_refused(tmp_path: Path, mlflow_uri: str) -> None:
    place = {"logs": {"uri": mlflow_uri, "format": "mlflow"}, "labels": None}
    with pytest.raises(SourceError, match="experiment"), pull(tmp_path, traces=read_traces, blocks=place):
        pass
    with pytest.raises(SourceError, match="cannot be read from here"), pull(tmp_path, blocks=place):
        pass


def test_what_the_api_gives_and_what_its_file_holds_are_read_alike(
    tmp_path: Path, mlflow_uri: str, experiment: str
) -> None:
    serve(1, 13)
    kept = list(read_traces(mlflow_uri, experiment, span()))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/traces.json").write_text(json.dumps(kept, indent=1))
    there = {"logs": {"uri": "logs", "format": "mlflow"}, "labels": None}
    with (
        pull(tmp_path, window=window(), blocks=there) as in_files,
        pull(
            tmp_path, window=window(), traces=read_traces, blocks={**blocks(mlflow_uri, experiment), "labels": None}
        ) as served,
    ):
        assert column(in_files, "inference_id") == column(served, "inference_id")
        assert in_files.report.rows == served.report.rows == 2


def test_a_server_is_checked_like_a_folder(mlflow_uri: str, experiment: str) -> None:
    serve(1, 13)
    address = mlflow_uri.replace("//", "//user:hunter2@")
    further = f"{{experiment: {experiment}}}"
    code, (found,) = run_json("import", "--check", address, "--format", "mlflow", "--settings", further)
    assert (code, found["records"], found["values"]["error_type"]) == (0, 2, {"ValueError": 1})
    assert "hunter2" not in json.dumps(found)


def test_pages_of_known_traces_are_linked(mlflow_uri: str, experiment: str) -> None:
    serve(1)
    (found,) = read_traces(mlflow_uri, experiment, span())
    own = found["info"]["trace_id"]
    urls = trace_urls(mlflow_uri, [own.removeprefix("tr-"), "0" * 32])
    assert list(urls) == [own.removeprefix("tr-")]
    assert urls[own.removeprefix("tr-")].endswith(f"selectedEvaluationId={own}")
