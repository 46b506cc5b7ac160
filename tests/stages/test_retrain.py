"""Retraining on a real MLflow server: what is promoted, what is refused, and what cannot be trained."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient

from retrue.adapters.registry_mlflow import Alias, MlflowRegistry
from retrue.adapters.servers import Server
from retrue.baselines import baseline_versions, read_baseline
from retrue.errors import ConfigError, DigestMismatchError, FencedError, LedgerError, ModelError
from retrue.stages.introduce import introduce
from retrue.stages.promotion import Retrained
from retrue.stages.retrain import cancel_request, request_for, retrain_model
from tests.cli.run import run, run_json
from tests.sources.logs import Row
from tests.stages.learning import (
    DAYS,
    RETRAIN,
    Learned,
    aliases,
    another_request,
    asked_as_of_the_last_day,
    champion,
    log_days,
    project,
    reference_rows,
    request_of,
    retrain,
)
from tests.stages.project import (
    ONCALL,
    ROWS,
    TEAM,
    Shop,
    chance,
    day,
    labels,
    recorders,
    records,
)

Copy = Callable[[Shop], Shop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """A copy of the module's project after its request was answered, and where the aliases pointed then."""

    shop: Shop
    retrained: Retrained
    aliases: dict[Alias, str | None]


@pytest.fixture(scope="module")
def promoted(learned_once: Learned, tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Promoted:
    root = Path(shutil.copytree(learned_once.turned.root, tmp_path_factory.mktemp("promoted") / "shop"))
    shop = Shop(root=root, model=learned_once.turned.model)
    retrained = retrain(shop, learned_once.request)
    return Promoted(shop=shop, retrained=retrained, aliases=aliases(mlflow_uri, shop.model))


# ---------------------------------------------------------------- introduce


def test_a_first_version_is_registered_with_its_baseline_and_serves(learned_once: Learned, mlflow_uri: str) -> None:
    shop = learned_once.turned
    client = MlflowClient(mlflow_uri)
    version = client.get_model_version(shop.model, "1")
    assert {file.path for file in client.list_artifacts(version.run_id, "baseline")} == {
        "baseline/baseline.json",
        "baseline/reference.parquet",
    }
    with shop.open() as workspace:
        ledger = workspace.ledger.models
        first = ledger.promotions(shop.model)[-1]
        assert (first.version, first.from_version, first.reason) == (
            "1",
            None,
            "first version, trained on five good days",
        )
        assert ledger.version(shop.model, "1").sha256 == version.tags["retrue.sha256"]
        baseline = read_baseline(workspace.project.baselines, shop.model, "1")
    assert ledger_digest(shop, "1") == baseline.digest
    assert baseline.performance is not None
    assert 0.7 < baseline.performance.judged.value < 0.9, "out of fold, and the world is a coin"


def ledger_digest(shop: Shop, version: str) -> str | None:
    with shop.open() as workspace:
        return workspace.ledger.models.baseline_digest(shop.model, version)


def test_a_model_is_introduced_once(learned_once: Learned) -> None:
    shop = learned_once.turned
    with shop.open() as workspace, pytest.raises(ModelError, match="learned has a champion already"):
        introduce(workspace, shop.model, reference_rows(), source="again")


def test_a_first_version_needs_a_train_function(tmp_path: Path, mlflow_uri: str) -> None:
    shop = project(tmp_path / "shop", "untrained", mlflow_uri, train=None)
    with shop.open() as workspace, pytest.raises(ModelError, match=r"needs retrain\.train in retrue\.yaml"):
        introduce(workspace, shop.model, reference_rows(), source="rows")


def test_the_verdict_that_asked_names_the_request(learned_once: Learned) -> None:
    assert learned_once.request.startswith("learned:")
    assert learned_once.request.endswith(":1")


# ---------------------------------------------------------------- promoted


def test_a_challenger_that_is_truly_better_serves(promoted: Promoted, mlflow_uri: str) -> None:
    retrained = promoted.retrained
    assert retrained.state == "promoted"
    assert retrained.gate is not None
    assert (retrained.gate.passed, retrained.gate.rows) == (True, ROWS)
    assert {each.name for each in retrained.gate.slices} == {"device=app", "device=web"}
    assert champion(promoted.shop) == retrained.version != "1"
    assert promoted.aliases == {"champion": retrained.version, "challenger": None, "previous": "1"}
    tags = MlflowClient(mlflow_uri).get_run(retrained.mlflow_run_id).data.tags
    assert (tags["retrue.gate"], tags["retrue.kind"]) == ("passed", "training")
    assert request_of(promoted.shop).state == "promoted"


def test_the_promotion_is_on_record_with_its_gate_and_told(promoted: Promoted) -> None:
    with promoted.shop.open() as workspace:
        made = workspace.ledger.models.promotions("learned")[0]
        told = [row.payload for row in workspace.ledger.outbox.rows(kind="notify") if "promoted" in str(row.payload)]
    assert (made.version, made.from_version) == (promoted.retrained.version, "1")
    assert made.request_id == promoted.retrained.request_id
    assert made.gate["metric"] == "roc_auc"
    assert made.reason == promoted.retrained.reason
    assert {payload["block"] for payload in told} == {ONCALL, TEAM}


def test_the_new_version_has_its_own_baseline_and_its_windows_are_judged_by_it(
    promoted: Promoted, copied: Copy
) -> None:
    shop, version = copied(promoted.shop), promoted.retrained.version
    rows = records(day(DAYS), version=version)
    for row in rows:
        row["score"] = float(chance({key.removeprefix("features."): value for key, value in row.items()}, sign=-1))
        row["prediction"] = int(row["score"] >= 0.5)
    shop.log(rows)
    shop.label(labels(rows, sign=-1))
    judged = shop.judge(DAYS, carriers=recorders())
    assert judged.verdict.line == "healthy"
    assert judged.verdict.baseline_digest == ledger_digest(shop, version) != ledger_digest(shop, "1")
    with shop.open() as workspace:
        assert {incident.state for incident in workspace.ledger.incidents.list()} == {"resolved"}


def test_a_request_is_answered_once(promoted: Promoted) -> None:
    with promoted.shop.open() as workspace, pytest.raises(FencedError, match="is closed: promoted"):
        retrain_model(workspace, promoted.retrained.request_id)


def test_a_rollback_goes_back_and_the_aliases_follow(promoted: Promoted, copied: Copy, mlflow_uri: str) -> None:
    shop, version = copied(promoted.shop), promoted.retrained.version
    code, facts = run_json("rollback", shop.model, "--reason", "it felt wrong", "-C", shop.root)
    assert code == 0
    assert (facts["version"], facts["from_version"]) == ("1", version)
    assert champion(shop) == "1"
    moved = aliases(mlflow_uri, shop.model)
    assert (moved["champion"], moved["previous"]) == ("1", None)
    again = run("rollback", shop.model, "-C", shop.root)
    assert (again.exit_code, again.stderr) == (2, "retrue: learned has no version to go back to from 1\n")


# ---------------------------------------------------------------- not promoted


def test_a_challenger_that_is_no_better_is_refused_with_its_reasons(tmp_path: Path, mlflow_uri: str) -> None:
    shop = project(tmp_path / "shop", "equal", mlflow_uri)
    with shop.open(now=day(0)) as workspace:
        introduce(workspace, shop.model, reference_rows(), source="five good days")
    log_days(shop, sign=1.0)
    code, facts = run_json("retrain", shop.model, "--cause", asked_as_of_the_last_day(shop), "-C", shop.root)
    assert (code, facts["state"], facts["version"]) == (1, "refused", "2")
    assert facts["reason"].startswith("version 2 refused: not shown to be better: roc_auc gains ")
    assert champion(shop) == "1"
    assert aliases(mlflow_uri, shop.model) == {"champion": "1", "challenger": "2", "previous": None}
    assert (request_of(shop).state, request_of(shop).reason) == ("refused", facts["reason"])
    assert baseline_versions(shop.root / "baselines", shop.model) == ("1",)
    tags = MlflowClient(mlflow_uri).get_run(facts["mlflow_run_id"]).data.tags
    assert tags["retrue.gate"] == "refused"
    assert tags["retrue.refusals"] in facts["reason"]


def test_a_champion_whose_stored_file_was_changed_is_not_loaded(
    learned_once: Learned, copied: Copy, mlflow_server: Server
) -> None:
    shop = copied(learned_once.turned)
    before = MlflowRegistry(mlflow_server.url).versions(shop.model)
    stored = model_file(mlflow_server, shop.model, "1")
    content = stored.read_bytes()
    stored.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(DigestMismatchError, match="It was changed since and was not loaded"):
            retrain(shop, learned_once.request)
    finally:
        stored.write_bytes(content)
    assert request_of(shop).state == "failed"
    assert "was not loaded" in request_of(shop).reason
    assert MlflowRegistry(mlflow_server.url).versions(shop.model) == before


def model_file(server: Server, model: str, version: str) -> Path:
    """Where the server keeps a version's skops file."""
    location = MlflowClient(server.url).get_model_version_download_uri(model, version)
    home = server.log_path.parents[1] / "mlflow" / "artifacts"
    return home / urlsplit(location).path.lstrip("/") / "model.skops"


def without_age(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "features.age"} for row in rows]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda shop: shop.configure(retrain=RETRAIN), "models are kept in MLflow: set `mlflow` in retrue.yaml"),
        (
            lambda shop: shop.configure(mlflow="http://127.0.0.1:9", retrain={**RETRAIN, "train": "training:fit"}),
            "retrain.train training:fit cannot be imported from",
        ),
        (
            lambda shop: (shop.root / "training.py").write_text("def train(features, labels):\n    1 / 0\n"),
            "retrain.train training:train failed in training.py:2 (ZeroDivisionError)",
        ),
        (
            lambda shop: shop.configure(retrain={**RETRAIN, "gate": {**RETRAIN["gate"], "slices": ["devise"]}}),
            "models.learned.retrain.gate.slices: no column 'devise' (did you mean 'device'?)",
        ),
        (lambda shop: shop.configure(), "models.learned.retrain: is not configured"),
        (
            lambda shop: [shop.log([{**row, "features.age": None} for row in records(day(n))]) for n in range(DAYS)],
            "the rows to train on fail expect_column_values_to_be_in_type_list(age): mend the features first",
        ),
        (
            lambda shop: [shop.log(without_age(records(day(n)))) for n in range(DAYS)],
            "the labelled windows lack age, which the champion's baseline has",
        ),
        (lambda shop: [path.unlink() for path in shop.root.glob("labels/*")], "0 labelled rows to train on and 0 to judge by"),
        (lambda shop: (shop.root / "logs" / "broken.jsonl").write_text("{\n" * 100), "of the rows to train on were set aside"),
    ],
    ids=["no MLflow", "no such function", "a failing function", "no such slice", "not asked for", "a null feature", "no feature", "no labels", "a broken log"],
)  # fmt: skip
def test_what_cannot_be_trained_is_closed_as_failed_with_the_reason(
    learned_once: Learned, copied: Copy, spoil: Callable[[Shop], object], message: str
) -> None:
    shop = copied(learned_once.turned)
    spoil(shop)
    with pytest.raises((ModelError, ConfigError), match=re.escape(message)):
        retrain(shop, learned_once.request)
    assert (request_of(shop).state, message in request_of(shop).reason) == ("failed", True)


def test_a_model_without_train_function_is_refitted_as_it_is(
    learned_once: Learned, copied: Copy, mlflow_uri: str
) -> None:
    shop = copied(learned_once.turned)
    shop.configure(mlflow=mlflow_uri, retrain={**RETRAIN, "train": None})
    assert retrain(shop, another_request(shop, learned_once.request, "refit")).state == "promoted"


# ---------------------------------------------------------------- requests by hand


def test_a_person_opens_a_request_as_of_the_newest_judged_window(learned_once: Learned, copied: Copy) -> None:
    shop = copied(learned_once.turned)
    request = another_request(shop, learned_once.request, "the sky is blue")
    opened = request_of(shop)
    assert (opened.id, opened.cause.check, opened.cause.message) == (request, "manual", "the sky is blue")
    assert opened.cause.as_of == day(DAYS) + timedelta(hours=2)


def test_the_same_reason_again_is_the_same_request_while_it_is_in_flight(learned_once: Learned, copied: Copy) -> None:
    shop = copied(learned_once.turned)
    request = another_request(shop, learned_once.request, "the sky is blue")
    with shop.open() as workspace:
        assert request_for(workspace, shop.model, "the sky is blue") == request
        workspace.ledger.requests.cancel(request, by="me", reason="enough", now=workspace.now())
        assert request_for(workspace, shop.model, "the sky is blue") != request


def test_a_person_cancels_a_request_with_a_reason_and_may_then_ask_for_another(
    learned_once: Learned, copied: Copy
) -> None:
    shop, request = copied(learned_once.turned), learned_once.request
    with shop.open() as workspace, pytest.raises(ConfigError, match="no model 'other'"):
        cancel_request(workspace, "other", request, by="ada", reason="x")
    said = run("retrain", shop.model, "--cancel", request, "--reason", "wrong labels", "-C", shop.root)
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout.startswith(f"learned: request {request} is closed, cancelled by ")
    assert (request_of(shop).state, champion(shop)) == ("cancelled", "1")
    assert request_of(shop).reason.endswith(": wrong labels")
    again = run("retrain", shop.model, "--cancel", request, "-C", shop.root)
    assert (again.exit_code, "is closed: cancelled" in again.stderr) == (2, True)
    with shop.open() as workspace:
        assert request_for(workspace, shop.model, "now with the right ones") != request


def test_the_id_of_a_request_is_that_request_and_another_reason_waits_its_turn(learned_once: Learned) -> None:
    with learned_once.turned.open() as workspace:
        assert request_for(workspace, "learned", learned_once.request) == learned_once.request
        with pytest.raises(LedgerError, match="is still in flight"):
            request_for(workspace, "learned", "me too")


def test_retraining_right_after_a_baseline_waits_for_labelled_rows(shop: Shop) -> None:
    """The baseline may be newer than the newest settled window: then there is nothing to train on yet, and it says so."""
    shop.configure(mlflow="http://127.0.0.1:9", retrain=RETRAIN)
    with shop.open(now=day(-6)) as workspace:
        request = request_for(workspace, shop.model, "at once")
        with pytest.raises(ModelError, match="wait for"):
            retrain_model(workspace, request)
        assert workspace.ledger.requests.get(request).state == "failed"
