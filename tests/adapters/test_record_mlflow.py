"""Windows in MLflow, on a real server: what its API shows, once whatever goes wrong between."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from retrue.adapters import client_mlflow
from retrue.adapters.record_mlflow import MlflowRecorder, WindowRecord
from retrue.errors import DeliveryError
from retrue.results import Finding, Outcome, Severity, Verdict
from retrue.windows import Window

START = datetime(2013, 4, 4, tzinfo=UTC)
WEEK = timedelta(days=7)
_NUMBERS = count()


@pytest.fixture
def model() -> str:
    return f"model-{next(_NUMBERS)}"


@pytest.fixture
def client(mlflow_uri: str) -> MlflowClient:
    return MlflowClient(mlflow_uri)


@pytest.fixture
def recorder(mlflow_uri: str) -> Iterator[MlflowRecorder]:
    before = {name: os.environ.get(name) for name in client_mlflow.PATIENCE}
    yield MlflowRecorder(mlflow_uri)
    assert {name: os.environ.get(name) for name in before} == before, "MLflow's patience is ours while we call it"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    for name in ("drift.html", "quality.html", "summary.html", "verdict.json"):
        (tmp_path / name).write_text(f"<p>{name}</p>")
    return tmp_path


def record(model: str, reports: Path, *, week: int = 0, revision: int = 1, **changed: object) -> WindowRecord:
    window = Window(model=model, start=START + week * WEEK, end=START + (week + 1) * WEEK)
    finding = Finding(
        check="drift.column", scope="<b>", severity=Severity.WARNING, value="0.2", threshold="0.1",
        message="<b> drifted.", next_step="look",
    )  # fmt: skip
    verdict = Verdict(
        window=window, outcome=Outcome.BREACHED, findings=(finding,), reasons=(), model_version="3",
        input_digest=f"{week}.{revision}", config_digest="c", baseline_digest="b",
    )  # fmt: skip
    base = WindowRecord(
        verdict=verdict, revision=revision, step=2257 + week, report_dir=reports, key=verdict.key,
        metrics={"rows": 100.0 + week, "drift.:3c_b:3e_": 0.2}, columns={"drift.:3c_b:3e_": "<b>"},
        flow_run_url="http://127.0.0.1:4200/runs/flow-run/x",
    )  # fmt: skip
    return replace(base, **changed)  # type: ignore[arg-type]


def runs(client: MlflowClient, model: str, kind: str) -> list[Run]:
    experiment = client.get_experiment_by_name(f"retrue/{model}")
    found = client.search_runs([experiment.experiment_id], f"tags.`retrue.kind` = '{kind}'")
    return sorted(found, key=lambda run: str(run.info.run_name))


def test_a_window_is_one_child_run_with_the_names_of_the_design(
    recorder: MlflowRecorder, client: MlflowClient, model: str, reports: Path
) -> None:
    run_id = recorder.record_window(record(model, reports, tags={"retrue.flow_run_id": "f"}))
    run, (history,) = client.get_run(run_id), runs(client, model, "history")
    assert (run.info.run_name, run.info.status) == (f"{model} 2013-04-04 r1", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (1365033600000, 1365638400000)
    assert run.data.tags.items() >= {
        "mlflow.parentRunId": history.info.run_id,
        "retrue.kind": "window",
        "retrue.model": model,
        "retrue.window_start": "2013-04-04T00:00:00+00:00",
        "retrue.window_end": "2013-04-11T00:00:00+00:00",
        "retrue.revision": "1",
        "retrue.verdict": "breached",
        "retrue.model_version": "3",
        "retrue.flow_run_url": "http://127.0.0.1:4200/runs/flow-run/x",
        "retrue.flow_run_id": "f",
        "retrue.columns": '{"drift.:3c_b:3e_": "<b>"}',
    }.items()  # fmt: skip
    assert "\\<b\\> drifted." in run.data.tags["mlflow.note.content"]
    assert run.data.metrics == {"rows": 100.0, "drift.:3c_b:3e_": 0.2}
    names = {file.path for file in client.list_artifacts(run_id)}
    assert names == {"drift.html", "quality.html", "summary.html", "verdict.json"}


def test_the_history_run_holds_every_window_at_its_step_and_end(
    recorder: MlflowRecorder, client: MlflowClient, model: str, reports: Path
) -> None:
    for week in range(3):
        recorder.record_window(record(model, reports, week=week))
    (history,) = runs(client, model, "history")
    points = client.get_metric_history(history.info.run_id, "rows")
    end = int((START + WEEK).timestamp() * 1000)
    assert [(point.step, point.timestamp, point.value) for point in points] == [
        (2257, end, 100.0),
        (2258, end + 604800000, 101.0),
        (2259, end + 2 * 604800000, 102.0),
    ]
    assert (history.info.run_name, history.info.status) == (f"{model} history", "FINISHED")
    assert history.data.tags["retrue.window_start"] == "2013-04-18T00:00:00+00:00"
    assert [file.path for file in client.list_artifacts(history.info.run_id)] == ["summary.html"]


def test_an_older_window_joins_the_history_without_becoming_its_summary(
    recorder: MlflowRecorder, client: MlflowClient, model: str, reports: Path, tmp_path: Path
) -> None:
    recorder.record_window(record(model, reports, week=5))
    (reports / "summary.html").write_text("older")
    recorder.record_window(record(model, reports, week=4))
    (history,) = runs(client, model, "history")
    summary = Path(client.download_artifacts(history.info.run_id, "summary.html", str(tmp_path / "got")))
    assert summary.read_text() == "<p>summary.html</p>"
    assert history.data.metrics["rows"] == 105.0
    assert history.data.tags["retrue.step"] == "2262"


def test_a_second_revision_is_a_run_of_its_own_and_the_current_value(
    recorder: MlflowRecorder, client: MlflowClient, model: str, reports: Path
) -> None:
    recorder.record_window(record(model, reports, metrics={"rows": 200.0}))
    recorder.record_window(record(model, reports, revision=2, metrics={"rows": 150.0, "labels.rows": 9.0}))
    assert [run.info.run_name for run in runs(client, model, "window")] == [
        f"{model} 2013-04-04 r1",
        f"{model} 2013-04-04 r2",
    ]
    (history,) = runs(client, model, "history")
    assert history.data.metrics == {"rows": 150.0, "labels.rows": 9.0}
    assert {point.step for point in client.get_metric_history(history.info.run_id, "rows")} == {2257}


def test_recording_twice_changes_nothing(
    recorder: MlflowRecorder, client: MlflowClient, model: str, reports: Path
) -> None:
    first = recorder.record_window(record(model, reports))
    assert recorder.record_window(record(model, reports)) == first
    (history,) = runs(client, model, "history")
    assert len(runs(client, model, "window")) == 1
    assert len(client.get_metric_history(history.info.run_id, "rows")) == 1


def test_a_window_without_reports_or_server_still_has_its_run(
    recorder: MlflowRecorder, client: MlflowClient, model: str, tmp_path: Path
) -> None:
    run_id = recorder.record_window(record(model, tmp_path / "absent", flow_run_url="", metrics={}, columns={}))
    assert client.get_run(run_id).info.status == "FINISHED"
    assert client.list_artifacts(run_id) == []


def test_two_thousand_columns_and_a_long_tag_fit(
    recorder: MlflowRecorder, client: MlflowClient, model: str, reports: Path
) -> None:
    many = {f"drift.{'x' * 200}{number}": float(number) for number in range(2000)}
    run_id = recorder.record_window(record(model, reports, metrics=many, tags={"long": "y" * 20_000}))
    run = client.get_run(run_id)
    assert run.data.metrics == many
    assert "sha256:" in run.data.tags["long"]


def test_the_experiment_tells_a_newcomer_where_to_look_and_is_no_genai_one(
    recorder: MlflowRecorder, client: MlflowClient, mlflow_uri: str, model: str, reports: Path
) -> None:
    assert recorder.experiment_url(model) == recorder.charts_url(model) == ""
    run_id = recorder.record_window(record(model, reports))
    experiment = client.get_experiment_by_name(f"retrue/{model}")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert "summary.html" in experiment.tags["mlflow.note.content"]
    page = f"{mlflow_uri}/#/experiments/{experiment.experiment_id}/runs"
    assert recorder.experiment_url(model) == f"{page}?workflowType=machine_learning"
    assert recorder.run_url(run_id) == f"{page}/{run_id}?workflowType=machine_learning"
    (history,) = runs(client, model, "history")
    charts = f"{page}/{history.info.run_id}/model-metrics?workflowType=machine_learning"
    assert recorder.charts_url(model) == charts


def test_a_deleted_experiment_is_restored(
    recorder: MlflowRecorder, client: MlflowClient, model: str, reports: Path
) -> None:
    recorder.record_window(record(model, reports))
    client.delete_experiment(client.get_experiment_by_name(f"retrue/{model}").experiment_id)
    recorder.record_window(record(model, reports, week=1))
    assert len(runs(client, model, "window")) == 2


def test_an_experiment_somebody_made_before_gets_our_tags_and_keeps_theirs(
    recorder: MlflowRecorder, client: MlflowClient, model: str, reports: Path
) -> None:
    client.create_experiment(f"retrue/{model}", tags={"mlflow.note.content": "mine"})
    recorder.record_window(record(model, reports))
    tags = client.get_experiment_by_name(f"retrue/{model}").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert tags["mlflow.note.content"] == "mine"


def test_a_lost_answer_to_a_creation_makes_no_ghost_run(
    faulty: Callable[..., str], client: MlflowClient, model: str, reports: Path
) -> None:
    lost: set[str] = set()

    def once(_: int, __: str, path: str) -> str:
        if path.endswith(("/create", "/log-batch")) and path not in lost:
            lost.add(path)
            return "lost"
        return "pass"

    MlflowRecorder(faulty(once)).record_window(record(model, reports))
    assert {path.rsplit("/", 2)[-2] for path in lost} == {"experiments", "runs"}
    (history,), (window,) = runs(client, model, "history"), runs(client, model, "window")
    assert window.info.status == history.info.status == "FINISHED"
    assert len(client.get_metric_history(history.info.run_id, "rows")) == 1


def test_an_error_on_every_third_call_is_survived(
    faulty: Callable[..., str], client: MlflowClient, model: str, reports: Path
) -> None:
    uri = faulty(lambda number, _, __: "error" if number % 3 == 0 else "pass")
    MlflowRecorder(uri).record_window(record(model, reports))
    (window,) = runs(client, model, "window")
    assert window.info.status == "FINISHED"
    assert len(client.list_artifacts(window.info.run_id)) == 4


@pytest.mark.parametrize("path", ["runs/create", "artifacts/drift.html", "runs/log-batch", "runs/update"])
def test_a_half_written_window_is_recognisable_and_completed_later(
    faulty: Callable[..., str], client: MlflowClient, model: str, reports: Path, path: str
) -> None:
    broken = {path}
    recorder = MlflowRecorder(faulty(lambda _, __, asked: "error" if asked.endswith(tuple(broken)) else "pass"))
    with pytest.raises(DeliveryError, match="2013-04-04 r1"):
        recorder.record_window(record(model, reports))
    half = runs(client, model, "window")
    assert all(run.info.status == "RUNNING" for run in half)
    broken.clear()
    run_id = recorder.record_window(record(model, reports))
    assert [run.info.run_id for run in half] in ([], [run_id])
    assert len(runs(client, model, "window")) == len(runs(client, model, "history")) == 1
    assert client.get_run(run_id).data.tags["retrue.verdict"] == "breached"


def test_a_server_that_is_down_is_a_delivery_error_without_credentials(model: str, reports: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        uri = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DeliveryError) as caught:
            MlflowRecorder(uri).record_window(record(model, reports))
    assert "secret" not in str(caught.value)


def test_a_server_that_stays_silent_is_given_up_after_one_timeout(
    faulty: Callable[..., str], model: str, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client_mlflow.PATIENCE, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    asked, answer = [], threading.Event()

    def silent(_: int, __: str, path: str) -> str:
        asked.append(path)
        answer.wait(20)
        return "lost"

    try:
        with pytest.raises(DeliveryError, match="timed out"):
            MlflowRecorder(faulty(silent)).record_window(record(model, reports))
    finally:
        answer.set()
    assert len(asked) == 1
