"""Model versions on a real MLflow server: registered once, loaded only as registered, aliases read back."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.ensemble import HistGradientBoostingClassifier

from retrue.adapters.registry_mlflow import MlflowRegistry, RegisteredVersion, TrainingRecord
from retrue.errors import DeliveryError, DigestMismatchError, ModelError, NameRefusedError
from retrue.results import GateResult, Interval, RetrainCause, SliceComparison

RNG = np.random.default_rng(0)
ROWS = pd.DataFrame({"a": RNG.normal(size=200), "c": pd.Categorical(RNG.choice(["canary-x", "canary-y"], 200))})
LABELS = (ROWS["a"] > 0).astype(int)
ESTIMATOR = HistGradientBoostingClassifier(max_iter=3).fit(ROWS, LABELS)
CAUSE = RetrainCause(
    model="m", fingerprint="f" * 32, check="performance.roc_auc", scope="", attempt=1,
    as_of=datetime(2013, 9, 1, tzinfo=UTC), message="roc_auc is <low>.",
)  # fmt: skip
_NUMBERS = count()


@pytest.fixture
def model() -> str:
    return f"registered-{next(_NUMBERS)}"


@pytest.fixture
def registry(mlflow_uri: str) -> MlflowRegistry:
    return MlflowRegistry(mlflow_uri)


@pytest.fixture
def client(mlflow_uri: str) -> MlflowClient:
    return MlflowClient(mlflow_uri)


def training(key: str = "first", **changed: object) -> TrainingRecord:
    arguments: dict[str, object] = {
        "key": key,
        "started_at": datetime(2013, 9, 2, tzinfo=UTC),
        "rows": 200,
        "data_digest": "d" * 64,
        "cause": CAUSE,
        "params": {"max_iter": "3"},
        "metrics": {"roc_auc": 0.66},
    }
    return TrainingRecord(**(arguments | changed))  # type: ignore[arg-type]


def register(registry: MlflowRegistry, model: str, key: str = "first") -> RegisteredVersion:
    return registry.register_model(model, ESTIMATOR, training=training(key), example=ROWS.head(20))


def test_a_version_has_a_training_run_with_its_cause_and_data(
    registry: MlflowRegistry, client: MlflowClient, model: str
) -> None:
    registered = register(registry, model)
    run = client.get_run(registered.run_id)
    assert client.get_experiment(run.info.experiment_id).name == f"retrue/{model}/training"
    assert (run.info.run_name, run.info.status) == (f"{model} v1", "FINISHED")
    assert run.data.params == {"max_iter": "3"}
    assert run.data.metrics == {"roc_auc": 0.66, "rows": 200.0}
    assert run.data.tags.items() >= {
        "retrue.kind": "training",
        "retrue.model": model,
        "retrue.model_version": "1",
        "retrue.cause": "roc_auc is <low>.",
        "retrue.incident": "f" * 32,
        "retrue.data_digest": "d" * 64,
        "retrue.sha256": registered.sha256,
    }.items()  # fmt: skip
    version = client.get_model_version(model, "1")
    assert (version.run_id, version.status) == (registered.run_id, "READY")


def test_the_example_rows_give_a_signature_and_are_not_stored(
    registry: MlflowRegistry, model: str, tmp_path: Path
) -> None:
    register(registry, model)
    uri = registry._client.get_model_version_download_uri(model, "1")
    folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path), tracking_uri=registry._tracking_uri))
    assert {path.name for path in folder.iterdir()} == {"MLmodel", "model.skops", "requirements.txt"}
    assert b"canary" not in (folder / "MLmodel").read_bytes()
    assert mlflow.models.Model.load(str(folder)).signature.inputs.input_names() == ["a", "c"]


def test_a_version_is_loaded_as_it_was_registered(registry: MlflowRegistry, model: str) -> None:
    registered = register(registry, model)
    loaded = registry.load_version(model, "1", sha256=registered.sha256)
    np.testing.assert_array_equal(loaded.predict_proba(ROWS), ESTIMATOR.predict_proba(ROWS))


def test_plain_mlflow_loads_it_too(registry: MlflowRegistry, mlflow_uri: str, model: str) -> None:
    register(registry, model)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(mlflow_uri)
    try:
        loaded = mlflow.sklearn.load_model(f"models:/{model}/1")
    finally:
        mlflow.set_tracking_uri(before)
    np.testing.assert_array_equal(loaded.predict(ROWS), ESTIMATOR.predict(ROWS))


def test_registering_again_returns_the_same_version(registry: MlflowRegistry, model: str) -> None:
    first = register(registry, model)
    assert register(registry, model) == first
    assert register(registry, model, "second").version == "2"
    assert registry.versions(model) == ("1", "2")


@pytest.mark.parametrize("path", ["artifacts/model.skops", "model-versions/create", "runs/log-batch", "runs/update"])
@pytest.mark.parametrize("how", ["error", "lost"])
def test_a_registration_that_broke_off_goes_on_without_a_second_version(
    faulty: Callable[..., str], client: MlflowClient, model: str, path: str, how: str
) -> None:
    broken = {path}
    registry = MlflowRegistry(faulty(lambda _, __, asked: how if asked.endswith(tuple(broken)) else "pass"))
    with pytest.raises(DeliveryError):
        register(registry, model)
    broken.clear()
    registered = register(registry, model)
    assert registry.versions(model) == ("1",)
    assert client.get_run(registered.run_id).info.status == "FINISHED"
    assert registry.load_version(model, "1", sha256=registered.sha256)


def test_a_changed_file_is_not_even_opened(
    registry: MlflowRegistry, client: MlflowClient, model: str, tmp_path: Path
) -> None:
    registered = register(registry, model)
    (tmp_path / "model.skops").write_bytes(b"evil")
    model_id = client.get_model_version(model, "1").source.removeprefix("models:/")
    client.log_model_artifact(model_id, str(tmp_path / "model.skops"))
    with pytest.raises(DigestMismatchError, match=registered.sha256[:16]):
        registry.load_version(model, "1", sha256=registered.sha256)


def test_a_version_without_a_skops_file_or_without_being_there_is_refused(
    registry: MlflowRegistry, client: MlflowClient, model: str, tmp_path: Path
) -> None:
    register(registry, model)
    (tmp_path / "model.skops").mkdir()
    (tmp_path / "model.skops" / "evil.py").write_text("raise SystemExit")
    (tmp_path / "model.pkl").write_bytes(b"evil")
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(tmp_path), "model")
    source = f"{run.info.artifact_uri}/model"
    client.create_model_version(model, source, run_id=run.info.run_id)
    for version in ("2", "77"):
        with pytest.raises(ModelError, match=f"no version {version}"):
            registry.load_version(model, version, sha256="0" * 64)


def test_an_alias_moves_is_read_back_and_goes(registry: MlflowRegistry, model: str) -> None:
    assert registry.alias_version(model, "champion") is None
    register(registry, model)
    register(registry, model, "second")
    registry.move_alias(model, "champion", "1")
    registry.move_alias(model, "previous", "1")
    registry.move_alias(model, "champion", "2")
    assert (registry.alias_version(model, "champion"), registry.alias_version(model, "previous")) == ("2", "1")
    registry.move_alias(model, "previous", None)
    registry.move_alias(model, "previous", None)
    assert registry.alias_version(model, "previous") is None
    with pytest.raises(ModelError, match="no version 9"):
        registry.move_alias(model, "champion", "9")
    assert registry.alias_version(model, "champion") == "2"


def test_a_gate_is_written_to_the_training_run(registry: MlflowRegistry, client: MlflowClient, model: str) -> None:
    registered = register(registry, model)
    gain = Interval(value=0.03, low=-0.01, high=0.05)
    gate = GateResult(
        metric="roc_auc", rows=5000, champion=0.61, challenger=0.64, gain=gain,
        slices=(SliceComparison(name="origin=EWR", rows=800, gain=gain),), refusals=("gain may be none",),
    )  # fmt: skip
    registry.record_retraining(registered.run_id, gate, cause=CAUSE)
    run = client.get_run(registered.run_id)
    assert run.data.metrics.items() >= {"gate.passed": 0.0, "gate.gain": 0.03, "gate.gain.low": -0.01}.items()
    assert run.data.tags.items() >= {"retrue.gate": "refused", "retrue.refusals": "gain may be none"}.items()
    assert {file.path for file in client.list_artifacts(registered.run_id)} == {"gate.html", "gate.json"}


def test_a_baseline_is_copied_to_the_training_run(
    registry: MlflowRegistry, client: MlflowClient, model: str, tmp_path: Path
) -> None:
    registered = register(registry, model)
    (tmp_path / "baseline.json").write_text("{}")
    (tmp_path / "reference.parquet").write_bytes(b"PAR1")
    registry.log_baseline(registered.run_id, tmp_path)
    copied = {file.path for file in client.list_artifacts(registered.run_id, "baseline")}
    assert copied == {"baseline/baseline.json", "baseline/reference.parquet"}


def test_a_name_that_could_leave_its_folder_is_refused(registry: MlflowRegistry) -> None:
    for act in (
        lambda: register(registry, "../etc"),
        lambda: registry.load_version("models:/x@latest", "1", sha256=""),
        lambda: registry.versions("a' OR name != '"),
    ):
        with pytest.raises(NameRefusedError):
            act()


def test_a_version_has_a_page(registry: MlflowRegistry, mlflow_uri: str) -> None:
    url = registry.version_url("flight-delay", "3")
    assert url == f"{mlflow_uri}/#/models/flight-delay/versions/3?workflowType=machine_learning"
