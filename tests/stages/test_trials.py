"""Challengers that wait for later windows: watched ones are looked at again and again, shadows once."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from retrue.adapters.registry_mlflow import RegisteredVersion
from retrue.baselines import baseline_versions, read_baseline
from retrue.errors import DeliveryError, FencedError
from retrue.stages.freeze import freeze
from retrue.stages.introduce import introduce
from retrue.stages.promotion import Retrained, frozen_before
from retrue.stages.retrain import request_for, retrain_model
from retrue.stages.status import describe
from tests.cli.run import run_json
from tests.stages.learning import RETRAIN, champion, log_days, project, reference_rows, request_of
from tests.stages.project import (
    FEATURES,
    NOW,
    REFERENCE,
    ROWS,
    Shop,
    build,
    day,
    labelled_frame,
    labels,
    recorders,
    records,
)
from tests.stages.test_retrain_runs import Killed, dying_at

T = TypeVar("T")
HOLDOUT = 4
BLOCKS: dict[str, Any] = {"min_rows": 300, "resample": "2h", "resamples": 200, "slices": []}


@pytest.fixture
def name() -> str:
    """A model of its own on the server that all tests share."""
    return f"trial-{uuid.uuid4().hex[:8]}"


def waiting(root: Path, name: str, mlflow: str, *, sign: float, **gate: Any) -> Shop:
    """A project whose world has been of a sign for four days, of which the last was judged, and no request yet."""
    shop = project(root / "shop", name, mlflow, gate={**BLOCKS, **gate})
    with shop.open(now=day(0)) as workspace:
        introduce(workspace, name, reference_rows(), source="five good days")
    log_days(shop, HOLDOUT, sign=sign)
    shop.judge(HOLDOUT - 1, carriers=recorders())
    return shop


def watched(root: Path, name: str, mlflow: str) -> tuple[Shop, str]:
    """A project whose challenger is better, was looked at once, and has a day more; with its request."""
    shop = waiting(root, name, mlflow, sign=-1.0, watch=True, watch_for="60d")
    request = ask(shop)
    look(shop, request)
    another_day(shop, HOLDOUT, sign=-1.0)
    return shop, request


def ask(shop: Shop) -> str:
    with shop.open() as workspace:
        request = workspace.ledger.requests.list(shop.model)
        return request[0].id if request else request_for(workspace, shop.model, "a person wants it")


def look(shop: Shop, request: str) -> Retrained:
    with shop.open(carriers=recorders()) as workspace:
        return retrain_model(workspace, request)


def another_day(shop: Shop, number: int, *, sign: float, with_labels: bool = True) -> None:
    shop.log(rows := records(day(number)))
    if with_labels:
        shop.label(labels(rows, sign=sign))
    shop.judge(number, carriers=recorders())


def looks_asked_for(shop: Shop) -> list[str]:
    with shop.open() as workspace:
        rows = workspace.ledger.outbox.rows(kind="retrain")
        return [row.dedup_key.partition(":look:")[2] for row in rows if ":look:" in row.dedup_key]


def test_a_watched_challenger_is_promoted_by_later_windows(tmp_path: Path, name: str, mlflow_uri: str) -> None:
    """Tuned for 60 days, one day of two-hour blocks bounds nothing yet, however much better it is."""
    shop = waiting(tmp_path, name, mlflow_uri, sign=-1.0, watch=True, watch_for="60d")
    request = ask(shop)
    first = look(shop, request)
    assert (first.state, champion(shop), request_of(shop).state) == ("watching", "1", "watching")
    assert first.reason.startswith("version 2 waits for later windows, up to 2025-05-13 00:00 UTC: ")
    with shop.open() as workspace:
        assert "challenger 2 waits for later windows" in describe(workspace, shop.model, windows=1).title
    again = look(shop, request)
    assert (again.state, again.gate) == ("watching", None), "nothing new to see"
    assert looks_asked_for(shop) == []
    another_day(shop, HOLDOUT, sign=-1.0)
    assert len(looks_asked_for(shop)) == 1
    second = look(shop, request)
    assert second.state == "promoted"
    assert second.gate is not None
    assert (second.gate.test, second.gate.rows, second.gate.blocks) == ("sequence", 2 * ROWS, 24)
    assert (second.version, champion(shop)) == ("2", "2"), "the challenger that waited, not another one"


def test_a_watched_challenger_that_never_shows_it_is_refused_at_the_end(
    tmp_path: Path, name: str, mlflow_uri: str
) -> None:
    shop = waiting(tmp_path, name, mlflow_uri, sign=1.0, watch=True, watch_for="2d")
    request = ask(shop)
    assert look(shop, request).state == "watching"
    another_day(shop, HOLDOUT, sign=1.0)
    code, facts = run_json("retrain", shop.model, "--cause", request, "-C", shop.root)
    assert (code, facts["state"], champion(shop)) == (2, "watching", "1")
    another_day(shop, HOLDOUT + 1, sign=1.0)
    last = look(shop, request)
    assert last.state == "refused"
    assert last.reason.startswith("version 2 refused: not shown to be better by 2025-03-16 00:00 UTC: ")
    assert (request_of(shop).state, champion(shop)) == ("refused", "1")
    with pytest.raises(FencedError, match="is closed: refused"):
        look(shop, request)


def test_a_watched_challenger_that_is_surely_no_better_is_refused_at_once(
    tmp_path: Path, name: str, mlflow_uri: str
) -> None:
    shop = waiting(tmp_path, name, mlflow_uri, sign=1.0, watch=True, watch_for="2d", min_gain=0.3)
    assert look(shop, ask(shop)).state == "refused"


def test_a_window_that_waits_for_labels_is_not_looked_at(tmp_path: Path, name: str, mlflow_uri: str) -> None:
    shop = waiting(tmp_path, name, mlflow_uri, sign=1.0, watch=True, watch_for="20d")
    request = ask(shop)
    look(shop, request)
    another_day(shop, HOLDOUT, sign=1.0, with_labels=False)
    assert looks_asked_for(shop) == []
    assert look(shop, request).gate is None
    shop.label(labels(records(day(HOLDOUT))))
    shop.judge(HOLDOUT, carriers=recorders())
    assert len(looks_asked_for(shop)) == 1
    seen = look(shop, request)
    assert seen.gate is not None
    assert seen.gate.rows == 2 * ROWS


def test_a_shadow_is_judged_once_by_exactly_the_windows_after_its_training(
    tmp_path: Path, name: str, mlflow_uri: str
) -> None:
    shop = waiting(tmp_path, name, mlflow_uri, sign=-1.0, shadow=True, shadow_windows=2)
    request = ask(shop)
    first = look(shop, request)
    assert (first.state, first.gate, champion(shop)) == ("watching", None, "1")
    another_day(shop, HOLDOUT, sign=-1.0)
    assert looks_asked_for(shop) == []
    assert look(shop, request).gate is None, "half of its windows are no look"
    another_day(shop, HOLDOUT + 1, sign=-1.0)
    assert len(looks_asked_for(shop)) == 1
    judged = look(shop, request)
    assert judged.state == "promoted"
    assert judged.gate is not None
    assert (judged.gate.test, judged.gate.rows) == ("bootstrap", 2 * ROWS)
    assert (judged.version, champion(shop)) == ("2", "2")


def test_a_shadow_whose_look_met_no_mlflow_is_looked_at_after_the_next_window(
    tmp_path: Path, name: str, mlflow_uri: str
) -> None:
    shop = waiting(tmp_path, name, mlflow_uri, sign=-1.0, shadow=True, shadow_windows=1)
    gate = {**BLOCKS, "shadow": True, "shadow_windows": 1}
    request = ask(shop)
    look(shop, request)
    another_day(shop, HOLDOUT, sign=-1.0)
    assert len(looks_asked_for(shop)) == 1
    shop.configure(mlflow="http://127.0.0.1:9", retrain={**RETRAIN, "gate": gate})
    with pytest.raises(DeliveryError):
        look(shop, request)
    shop.configure(mlflow=mlflow_uri, retrain={**RETRAIN, "gate": gate})
    another_day(shop, HOLDOUT + 1, sign=-1.0)
    first, again = looks_asked_for(shop)
    assert first.rpartition(":")[0] == again.rpartition(":")[0], "the same look"
    assert look(shop, request).state == "promoted"


def test_a_watched_challenger_whose_run_died_before_its_promotion_is_promoted_after_the_next_window(
    tmp_path: Path, name: str, mlflow_uri: str
) -> None:
    """By then the gate's rows reach further than the reference that was frozen."""
    shop, request = watched(tmp_path, name, mlflow_uri)
    with shop.open(carriers=recorders()) as workspace, pytest.raises(Killed):
        retrain_model(workspace, request, step=dying_at("promote"))
    with shop.open() as workspace:
        frozen = read_baseline(workspace.project.baselines, name, "2")
    later = NOW + timedelta(hours=7)
    shop.log(rows := records(day(HOLDOUT + 1)))
    shop.label(labels(rows, sign=-1.0))
    shop.judge(HOLDOUT + 1, carriers=recorders(), now=later)
    with shop.open(carriers=recorders(), now=later) as workspace:
        promoted = retrain_model(workspace, request)
        assert read_baseline(workspace.project.baselines, name, "2") == frozen
        assert workspace.ledger.models.baseline_digest(name, "2") == frozen.digest
    assert promoted.gate is not None
    assert (promoted.state, promoted.gate.rows, champion(shop)) == ("promoted", 3 * ROWS, "2")


def test_a_watched_challenger_that_is_cancelled_leaves_champion_and_baselines_as_they_are(
    tmp_path: Path, name: str, mlflow_uri: str
) -> None:
    shop, request = watched(tmp_path, name, mlflow_uri)

    def cancelled_at_the_gate(step: str, work: Callable[[], T]) -> T:
        found = work()
        if step == "gate":
            code, facts = run_json("retrain", name, "--cancel", request, "--reason", "wrong labels", "-C", shop.root)
            assert (code, facts["state"]) == (0, "cancelled")
        return found

    with shop.open(carriers=recorders()) as workspace, pytest.raises(FencedError, match="is closed: cancelled"):
        retrain_model(workspace, request, step=cancelled_at_the_gate)
    assert (request_of(shop).state, champion(shop)) == ("cancelled", "1")
    assert baseline_versions(shop.root / "baselines", name) == ("1",)
    asked_before = looks_asked_for(shop)
    another_day(shop, HOLDOUT + 1, sign=-1.0)
    assert looks_asked_for(shop) == asked_before


@pytest.mark.parametrize("source", ["training of version 2, out of fold, and its gate", "logs"])
def test_only_a_baseline_that_the_request_froze_is_taken_for_its_own(tmp_path: Path, source: str) -> None:
    """A run may also have died between writing the baseline and registering it."""
    shop = build(tmp_path / "shop")
    with shop.open() as workspace:
        freeze(workspace, shop.model, "2", labelled_frame(REFERENCE, 2), FEATURES, source=source)
    with shop.open() as workspace:
        store = sqlite3.connect(shop.root / ".retrue" / "ledger.db")
        with store:
            store.execute("delete from retrue_baselines where version = '2'")
        store.close()
        ours = frozen_before(workspace, RegisteredVersion(model=shop.model, version="2", run_id="r", sha256="s"))
        digest = workspace.ledger.models.baseline_digest(shop.model, "2")
    assert (ours, digest is not None) == (source != "logs", source != "logs")


def test_a_trial_ends_when_the_champion_is_another_one(tmp_path: Path, name: str, mlflow_uri: str) -> None:
    shop = waiting(tmp_path, name, mlflow_uri, sign=1.0, watch=True, watch_for="20d")
    request = ask(shop)
    look(shop, request)
    with shop.open() as workspace:
        models = workspace.ledger.models
        first = models.version(shop.model, "1")
        models.register_version(
            shop.model, "9", sha256=first.sha256, kind="skops", run_id=first.run_id, now=workspace.now()
        )
    another_day(shop, HOLDOUT, sign=1.0)
    with shop.open() as workspace:
        workspace.ledger.models.promote(shop.model, "9", expected_champion="1", reason="by hand", now=workspace.now())
    (shop.root / "baselines" / shop.model / "1").rename(shop.root / "baselines" / shop.model / "9")
    with pytest.raises(Exception, match=r"baseline|champion became version 9"):
        look(shop, request)
    assert request_of(shop).state == "failed"


def test_the_terms_of_a_trial_do_not_change_with_the_settings(tmp_path: Path, name: str, mlflow_uri: str) -> None:
    shop = waiting(tmp_path, name, mlflow_uri, sign=1.0, watch=True, watch_for="20d")
    request = ask(shop)
    look(shop, request)
    shop.configure(mlflow=mlflow_uri, retrain={**RETRAIN, "gate": {**BLOCKS, "watch": False}})
    another_day(shop, HOLDOUT, sign=1.0)
    seen = look(shop, request)
    assert seen.gate is not None
    assert (seen.state, seen.gate.test) == ("watching", "sequence")
