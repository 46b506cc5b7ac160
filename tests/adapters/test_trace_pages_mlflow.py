"""Pages of traces, on a real MLflow server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from retrue.adapters.traces_mlflow import trace_urls
from retrue.errors import DeliveryError


@pytest.fixture
def traced(mlflow_uri: str) -> Iterator[tuple[str, str]]:
    """The ids of an experiment and of a trace in it."""
    mlflow.set_tracking_uri(mlflow_uri)  # the exporter of traces knows no other
    client = MlflowClient(tracking_uri=mlflow_uri)
    experiment = client.get_experiment_by_name("trace-pages")
    number = experiment.experiment_id if experiment else client.create_experiment("trace-pages")
    span = client.start_trace("predict", experiment_id=number)
    client.end_trace(span.trace_id, status="ERROR")
    mlflow.flush_trace_async_logging()
    yield str(number), str(span.trace_id)
    mlflow.set_tracking_uri("")


def test_a_trace_has_a_page_by_its_own_id_and_by_opentelemetrys(mlflow_uri: str, traced: tuple[str, str]) -> None:
    experiment, trace = traced
    page = f"{mlflow_uri}/#/experiments/{experiment}/traces?workflowType=machine_learning&selectedEvaluationId={trace}"
    otel = trace.removeprefix("tr-")
    assert trace_urls(mlflow_uri, [trace, otel]) == {trace: page, otel: page}


@pytest.mark.parametrize("unknown", ["ab" * 16, "tr-nothing"])
def test_a_trace_that_mlflow_does_not_know_has_none(mlflow_uri: str, traced: tuple[str, str], unknown: str) -> None:
    assert list(trace_urls(mlflow_uri, [unknown, traced[1]])) == [traced[1]]


def test_a_store_that_is_no_server_has_no_pages(tmp_path: Path) -> None:
    assert trace_urls(f"sqlite:///{tmp_path / 'nothing.db'}", ["ab" * 16]) == {}


def test_a_server_that_is_down_is_said_once() -> None:
    with pytest.raises(DeliveryError, match="MLflow did not take it"):
        trace_urls("http://127.0.0.1:9", ["ab" * 16])
