"""Models that came from elsewhere: the log names their versions, MLflow does not know them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from retrue.adapters.registry_mlflow import MlflowRegistry
from retrue.errors import ModelError
from retrue.stages.freeze import freeze_from_log
from retrue.stages.monitor import carry_out
from tests.cli.run import run_json
from tests.stages.learning import (
    DAYS,
    RETRAIN,
    aliases,
    asked_as_of_the_last_day,
    champion,
    log_days,
    project,
    retrain,
)
from tests.stages.project import REFERENCE, ROWS, Shop, day, labels, records


@pytest.fixture
def adopted(tmp_path: Path, mlflow_uri: str) -> Shop:
    """A project whose champion is only known by its log: version 1 of a model that retrue never trained."""
    shop = project(tmp_path / "adopted", f"adopted-{tmp_path.name[-12:].lower().strip('_')}", mlflow_uri)
    for number in range(2):
        shop.log(rows := records(REFERENCE + timedelta(days=number)))
        shop.label(labels(rows))
    with shop.open(now=day(0)) as workspace:
        freeze_from_log(workspace, shop.model, start=None, end=None)
    log_days(shop)
    return shop


def test_a_champion_from_elsewhere_is_compared_by_the_scores_it_logged(adopted: Shop, mlflow_uri: str) -> None:
    later = records(day(DAYS - 1))
    adopted.log([*later[: ROWS - 50], *({**row, "model_version": "other"} for row in later[ROWS - 50 :])])
    retrained = retrain(adopted, asked_as_of_the_last_day(adopted))
    assert retrained.state == "promoted"
    assert retrained.gate is not None
    assert retrained.gate.rows == ROWS - 50, "rows that another version served say nothing of the champion"
    assert retrained.gate.champion is not None
    assert retrained.gate.champion < 0.3
    assert champion(adopted) == retrained.version
    assert aliases(mlflow_uri, adopted.model)["champion"] == retrained.version


def test_a_challenger_never_takes_the_number_of_a_version_from_elsewhere(adopted: Shop, mlflow_uri: str) -> None:
    """MLflow counts from 1, whatever the versions in the log are called."""
    retrained = retrain(adopted, asked_as_of_the_last_day(adopted))
    assert (retrained.state, retrained.version) == ("promoted", "2")
    assert MlflowRegistry(mlflow_uri).versions(adopted.model) == ("2",)
    with adopted.open() as workspace:
        assert workspace.ledger.models.version(adopted.model, "1").kind == "external"


def test_going_back_to_a_version_from_elsewhere_leaves_no_alias_on_the_one_that_failed(
    adopted: Shop, mlflow_uri: str
) -> None:
    retrain(adopted, asked_as_of_the_last_day(adopted))
    code, facts = run_json("rollback", adopted.model, "-C", adopted.root)
    assert (code, facts["version"], facts["waiting"]) == (0, "1", waiting(adopted))
    assert champion(adopted) == "1"
    moved = aliases(mlflow_uri, adopted.model)
    assert (moved["champion"], moved["previous"]) == (None, None)


def waiting(shop: Shop) -> int:
    """Effects that wait for a Prefect server, which no test here has."""
    with shop.open() as workspace:
        rows = workspace.ledger.outbox.rows(state="pending")
    assert {row.kind for row in rows} == {"event", "notify"}
    return len(rows)


def test_an_alias_that_somebody_else_set_stays(adopted: Shop, mlflow_uri: str) -> None:
    """Whoever has the model in MLflow already keeps what serves there until a challenger is promoted."""
    client = MlflowClient(mlflow_uri)
    client.create_registered_model(adopted.model)
    run_id = client.create_run("0").info.run_id
    client.create_model_version(adopted.model, f"runs:/{run_id}/model", run_id)
    client.set_registered_model_alias(adopted.model, "champion", "1")
    with adopted.open() as workspace:
        assert carry_out(workspace).failed == 0
    assert aliases(mlflow_uri, adopted.model)["champion"] == "1"


def test_a_champion_from_elsewhere_cannot_be_refitted(adopted: Shop, mlflow_uri: str) -> None:
    adopted.configure(mlflow=mlflow_uri, retrain={**RETRAIN, "train": None})
    with pytest.raises(ModelError, match=r"version 1 of \S+ is not in the registry: name retrain.train in retrue.yaml"):
        retrain(adopted, asked_as_of_the_last_day(adopted))
