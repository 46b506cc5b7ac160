"""`retrue reproduce`: one recorded inference again, through the version that answered it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retrue.adapters.registry_mlflow import MlflowRegistry
from retrue.errors import ModelError
from retrue.sources.files import pull_window
from retrue.stages.introduce import introduce
from retrue.stages.reproduce import Likeness, Reproduced, reproduce
from retrue.stages.training import predict
from tests.cli.run import run, run_json
from tests.sources.logs import Row
from tests.stages.learning import project, reference_rows
from tests.stages.project import FEATURES, FIRST, Shop, day, records, window

SERVER = """\
def answer(model, features):
    rates = {"DE": 1.0, "FR": 1.0}
    rates[features["country"]]
    return 1, 0.75
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Shop:
    """A project whose version 1 is in the registry and has answered a day."""
    shop = project(tmp_path_factory.mktemp("reproduce") / "shop", "reproduced", mlflow_uri)
    with shop.open(now=FIRST) as workspace:
        introduce(workspace, shop.model, reference_rows(), source="five good days")
        models = workspace.ledger.models
        estimator = MlflowRegistry(mlflow_uri).load_version(
            shop.model, "1", sha256=models.version_digest(shop.model, "1")
        )
        settings = workspace.project.model(shop.model)
    (shop.root / "server.py").write_text(SERVER)
    shop.log([_answered(row, estimator, settings) for row in records(day(0))])
    return shop


def _answered(row: Row, estimator: Any, settings: Any) -> Row:
    import pandas as pd

    said = predict(estimator, pd.DataFrame([{name: row[f"features.{name}"] for name in FEATURES}]), settings)
    assert said.score is not None
    return {**row, "prediction": int(said.prediction[0]), "score": float(said.score[0])}


def again(shop: Shop, inference_id: str) -> Reproduced:
    with shop.open() as workspace:
        return reproduce(workspace, inference_id)


def failed(row: Row, **changes: object) -> Row:
    unanswered = {name: value for name, value in row.items() if name not in ("prediction", "score")}
    error = {"status": "error", "error_type": "KeyError", "error_message": "'ES'"}
    return {**unanswered, **error, "time": row["time"], "inference_id": f"{row['inference_id']}-failed", **changes}


def test_the_recorded_version_gives_the_recorded_answer(served: Shop) -> None:
    found = again(served, "20250310-7")
    assert (found.likeness, found.model_version) == (Likeness.SAME_ANSWER, "1")
    assert found.now is not None
    assert found.now.score == pytest.approx(found.logged.score)
    assert set(found.inputs) == set(FEATURES)


def test_an_answer_that_differs_is_told(served: Shop) -> None:
    served.log([{**records(day(1))[0], "prediction": 1, "score": 0.99999}], name="other")
    found = again(served, "20250311-0")
    assert found.likeness is Likeness.OTHER_ANSWER
    assert found.logged.line != (found.now.line if found.now else "")


def test_a_failure_of_the_server_around_the_model_is_met_through_serve(served: Shop) -> None:
    spanish = next(row for row in records(day(2)) if row["features.country"] == "ES")
    served.log([failed(spanish)], name="spanish")
    assert again(served, f"{spanish['inference_id']}-failed").likeness is Likeness.ANSWERS_NOW
    settings = (served.root / "retrue.yaml").read_text()
    try:
        (served.root / "retrue.yaml").write_text(
            settings.replace("task: binary", "task: binary\n    serve: server:answer")
        )
        found = again(served, f"{spanish['inference_id']}-failed")
        assert found.likeness is Likeness.SAME_FAILURE
        assert found.now is not None
        assert found.now.error_type == "KeyError"
    finally:
        (served.root / "retrue.yaml").write_text(settings)


def test_a_field_that_was_not_kept_is_named(served: Shop) -> None:
    unkept = {"features.country": json.dumps({"type": "str", "len": 2}), "features.age": json.dumps({"type": "float"})}
    row = {**records(day(3))[0], **unkept}
    served.log([row], name="redacted")
    found = again(served, row["inference_id"])
    assert again(served, "20250310-7").likeness is Likeness.SAME_ANSWER
    assert (found.likeness, found.now) == (Likeness.CANNOT, None)
    assert "did not keep age, country" in found.reason


def test_a_version_without_a_baseline_cannot_be_run(served: Shop) -> None:
    served.log([{**records(day(4))[0], "model_version": "9"}], name="unknown-version")
    assert "version 9 has no baseline" in again(served, "20250314-0").reason


def test_an_id_nobody_logged_is_an_error_that_names_the_logs(served: Shop) -> None:
    with pytest.raises(ModelError, match=r"no record 'nobody' in the logs of reproduced"):
        again(served, "nobody")


def test_the_command_tells_sameness_by_its_exit_code(served: Shop) -> None:
    code, same = run_json("reproduce", "20250310-7", "-C", served.root)
    assert (code, same["likeness"]) == (0, "same answer")
    assert run("reproduce", "nobody", "-C", served.root).exit_code == 2


def test_only_the_wanted_records_are_pulled(served: Shop, tmp_path: Path) -> None:
    with served.open() as workspace:
        settings = workspace.project.model(served.model)
        with pull_window(window(0, served.model), settings, root=served.root, only=("20250310-7",)) as pulled:
            assert pulled.report.rows == 1


def test_a_version_known_by_its_log_only_is_served_without_a_model(shop: Shop) -> None:
    (shop.root / "remote.py").write_text("def answer(model, features):\n    assert model is None\n    return 1, 0.75\n")
    shop.configure(serve="remote:answer")
    shop.log([{**records(day(0))[0], "prediction": 1, "score": 0.75}])
    assert again(shop, "20250310-0").likeness is Likeness.SAME_ANSWER


def test_a_version_known_by_its_log_only_cannot_run_without_serve(shop: Shop) -> None:
    shop.log(records(day(0)))
    found = again(shop, "20250310-0")
    assert (found.likeness, found.now) == (Likeness.CANNOT, None)
    assert "name a function under `serve`" in found.reason
