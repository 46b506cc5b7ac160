"""Window runs on a real MLflow server: found by their windows, gone with their artifacts, whatever goes wrong between."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from mlflow import MlflowClient

from retrue.adapters.purge_mlflow import WindowRuns
from retrue.adapters.record_mlflow import MlflowRecorder, WindowRecord
from retrue.errors import DeliveryError
from retrue.results import Outcome, Verdict
from retrue.windows import Window

START = datetime(2013, 4, 4, tzinfo=UTC)
WEEK = timedelta(days=7)
_NUMBERS = count()


@pytest.fixture
def model(mlflow_uri: str, tmp_path: Path) -> str:
    """A model with three recorded weeks, each with one report."""
    name = f"purged-{next(_NUMBERS)}"
    (tmp_path / "summary.html").write_text("<p>canary</p>")
    recorder = MlflowRecorder(mlflow_uri)
    for week in range(3):
        window = Window(model=name, start=START + week * WEEK, end=START + (week + 1) * WEEK)
        verdict = Verdict(
            window=window, outcome=Outcome.HEALTHY, findings=(), reasons=(), model_version="1",
            input_digest="i", config_digest="c", baseline_digest="b",
        )  # fmt: skip
        record = WindowRecord(
            verdict=verdict, revision=1, step=week, metrics={"rows": 1.0}, report_dir=tmp_path, key=verdict.key
        )
        recorder.record_window(record)
    return name


def names(mlflow_uri: str, model: str) -> list[str]:
    client = MlflowClient(mlflow_uri)
    found = client.search_runs([client.get_experiment_by_name(f"retrue/{model}").experiment_id])
    return sorted(str(run.info.run_name).removeprefix(f"{model} ") for run in found)


def test_only_runs_of_windows_that_started_before_are_found(mlflow_uri: str, model: str) -> None:
    found = WindowRuns(mlflow_uri, model).of_windows_before(START + 2 * WEEK)
    assert sorted(run.window_start for run in found) == [START, START + WEEK]
    assert all(len(run.key) == 32 for run in found)


def test_a_model_that_was_never_recorded_has_no_runs(mlflow_uri: str) -> None:
    assert WindowRuns(mlflow_uri, "nobody").of_windows_before(START) == ()


def test_a_removed_run_is_gone_with_its_artifacts_and_the_history_stays(mlflow_uri: str, model: str) -> None:
    runs = WindowRuns(mlflow_uri, model)
    (first,) = runs.of_windows_before(START + WEEK)
    runs.remove(first)
    assert MlflowClient(mlflow_uri).list_artifacts(first.id) == []
    assert names(mlflow_uri, model) == ["2013-04-11 r1", "2013-04-18 r1", "history"]
    assert runs.of_windows_before(START + WEEK) == ()


def test_a_removal_that_died_before_the_run_was_deleted_is_completed(
    faulty: Callable[..., str], mlflow_uri: str, model: str
) -> None:
    broken = {"runs/delete"}
    dying = WindowRuns(faulty(lambda _, __, path: "error" if path.endswith(tuple(broken)) else "pass"), model)
    (first,) = dying.of_windows_before(START + WEEK)
    with pytest.raises(DeliveryError, match=first.id):
        dying.remove(first)
    assert MlflowClient(mlflow_uri).list_artifacts(first.id) == []
    broken.clear()
    assert dying.of_windows_before(START + WEEK) == (first,)
    dying.remove(first)
    assert names(mlflow_uri, model) == ["2013-04-11 r1", "2013-04-18 r1", "history"]
