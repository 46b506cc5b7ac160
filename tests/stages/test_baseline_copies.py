"""Copies of baselines in MLflow follow them when their rows end, and retrainings know that there are none to learn from."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from retrue.adapters.registry_mlflow import MlflowRegistry
from retrue.adapters.servers import Server
from retrue.errors import ModelError
from retrue.stages.baseline_rows import put_in_place
from retrue.stages.introduce import introduce
from retrue.stages.retrain import Retrained, request_for, retrain_model
from retrue.stages.training import LabelledRows
from tests.stages.learning import project
from tests.stages.project import FEATURES, FIRST, Shop, day, labels, records
from tests.stages.test_baseline_rows import (
    CANARIES,
    NOTE,
    baseline_of,
    frame_with_canaries,
    keep,
    places,
    prepare,
    purged,
)
from tests.stages.test_erase import places_of

TRAIN_ON_NUMBERS = '''\
"""A model that holds nothing of a single row: categories it had learned would be in its file."""

from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def train(features, labels):
    numbers = ColumnTransformer([("numbers", "passthrough", ["age", "basket"])])
    return make_pipeline(numbers, LogisticRegression()).fit(features, labels.astype("int64"))
'''


@pytest.fixture
def learned(tmp_path: Path, mlflow_uri: str, request: pytest.FixtureRequest) -> Shop:
    """A project whose champion was trained on rows with the canaries and is in MLflow with its baseline."""
    model = f"aged-{request.node.name[-12:].replace('_', '-')}"
    shop = project(tmp_path / "shop", model, mlflow_uri, include_reference=True)
    (shop.root / "training.py").write_text(TRAIN_ON_NUMBERS)
    rows = LabelledRows(frame=frame_with_canaries(), features=(*FEATURES, "note"))
    with shop.open(now=FIRST) as workspace:
        introduce(workspace, shop.model, rows, source="five good days")
    keep(shop, features="30d")
    return shop


def artifacts(server: Server) -> Path:
    return server.log_path.parents[1] / "mlflow" / "artifacts"


def test_mlflows_copy_is_replaced_and_nothing_of_a_person_is_left_there(learned: Shop, mlflow_server: Server) -> None:
    store = artifacts(mlflow_server)
    assert all(places_of(store, canary) for canary in CANARIES)
    assert purged(learned).counts["baselines"] == 1
    assert [places_of(store, canary) for canary in CANARIES] == [[], [], [], []]
    assert [places(learned, canary) for canary in CANARIES] == [[], [], [], []]
    assert purged(learned).counts["baselines"] == 0


def test_a_copy_that_could_not_be_replaced_is_by_the_next_purge(learned: Shop, mlflow_server: Server) -> None:
    configured = (learned.root / "retrue.yaml").read_text()
    (learned.root / "retrue.yaml").write_text(yaml.safe_dump({**yaml.safe_load(configured), "mlflow": None}))
    for _ in range(2):
        assert purged(learned).problems == (
            f"the baseline of {learned.model} version 1: its copy in MLflow may hold rows still, and no MLflow server is configured",
        )
    assert baseline_of(learned, "1").marginals is not None
    assert places_of(artifacts(mlflow_server), NOTE)
    (learned.root / "retrue.yaml").write_text(configured)
    assert purged(learned).counts["baselines"] == 1
    assert places_of(artifacts(mlflow_server), NOTE) == []


def test_a_copy_that_was_cut_short_is_not_taken_for_whole(
    learned: Shop, mlflow_server: Server, mlflow_uri: str
) -> None:
    with learned.open() as workspace:
        put_in_place(workspace, prepare(learned, "1"))
        run = workspace.ledger.models.version(learned.model, "1").run_id
    reference = learned.root / "baselines" / learned.model / "1" / "reference.parquet"
    MlflowClient(mlflow_uri).log_artifact(run, str(reference), "baseline")
    assert MlflowRegistry(mlflow_uri).copied_digest(run) != baseline_of(learned, "1").digest
    assert purged(learned).counts["baselines"] == 1
    assert MlflowRegistry(mlflow_uri).copied_digest(run) == baseline_of(learned, "1").digest


def ask(shop: Shop, days: int) -> Retrained:
    """Log some days, let the rows of the baseline end, and answer a request of the evening of the last day."""
    for number in range(days):
        rows = [{**row, "features.note": "a note"} for row in records(day(number))]
        shop.log(rows)
        shop.label(labels(rows))
    keep(shop, features="3d")
    purged(shop, day(0))
    with shop.open(now=day(days) + timedelta(hours=2)) as workspace:
        return retrain_model(workspace, request_for(workspace, shop.model, "a person wants it"))


def test_a_retraining_learns_nothing_from_marginals_and_says_so(learned: Shop, mlflow_uri: str) -> None:
    retrained = ask(learned, 4)
    assert "the reference of version 1 was left out: it holds no whole rows since 2025-03-10" in retrained.reason
    run = MlflowClient(mlflow_uri).get_run(retrained.mlflow_run_id)
    assert run.data.metrics["rows"] == 1200, "three days of the log"


def test_a_retraining_that_had_the_reference_alone_is_refused_with_the_reason(learned: Shop) -> None:
    with pytest.raises(ModelError, match=r"wait for more labels.*; the reference of version 1 was left out"):
        ask(learned, 1)
