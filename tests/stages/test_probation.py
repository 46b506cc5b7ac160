"""A promoted version beside the one before it: what happens by itself when it turns out worse, and when it does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from retrue.stages.probation import watch_champion
from retrue.stages.status import describe
from tests.stages.learning import DAYS, RETRAIN, Learned, aliases, champion, request_of, retrain
from tests.stages.project import NOW, ONCALL, Shop, day, labels, recorders, records

Copy = Callable[[Shop], Shop]


@pytest.fixture(scope="module")
def promoted_once(learned_once: Learned, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A copy of the session's project whose challenger serves: it was trained in a world turned over."""
    root = Path(shutil.copytree(learned_once.turned.root, tmp_path_factory.mktemp("probation") / "shop"))
    shop = Shop(root=root, model=learned_once.turned.model)
    assert retrain(shop, learned_once.request).state == "promoted"
    return shop


@pytest.fixture
def promoted(promoted_once: Shop, copied: Copy) -> Shop:
    return copied(promoted_once)


def log_day(shop: Shop, number: int, *, sign: float) -> None:
    shop.log(rows := records(day(number), version=champion(shop) or ""))
    shop.label(labels(rows, sign=sign))


def serve_day(shop: Shop, number: int, *, sign: float) -> None:
    """Log, label and judge a day of the promoted version, in a world of a sign."""
    log_day(shop, number, sign=sign)
    shop.judge(number, carriers=recorders())


def states(shop: Shop) -> list[tuple[str, int]]:
    with shop.open() as workspace:
        return [(each.state, len(each.looks)) for each in workspace.ledger.probations.list(shop.model)]


def test_a_promotion_opens_a_probation_of_the_rows_after_its_gate(promoted: Shop) -> None:
    with promoted.open() as workspace:
        probation = workspace.ledger.probations.open_of(promoted.model)
        assert probation is not None
        assert (probation.version, probation.previous) == (champion(promoted), "1")
        assert probation.rows_from == day(DAYS)
        standing = describe(workspace, promoted.model, windows=1)
    assert f"champion {probation.version} (on probation)" in standing.title
    assert standing.facts["probation"] == probation.version


def test_a_version_that_is_worse_than_the_one_before_goes_back_by_itself(promoted: Shop, mlflow_uri: str) -> None:
    version = champion(promoted)
    log_day(promoted, DAYS, sign=1.0)
    promoted.judge(DAYS)
    assert champion(promoted) == "1"
    assert aliases(mlflow_uri, promoted.model)["champion"] == "1"
    assert states(promoted) == [("rolled-back", 1)]
    with promoted.open() as workspace:
        made = workspace.ledger.models.promotions(promoted.model)[0]
        events = [row.payload for row in workspace.ledger.outbox.rows(kind="event")]
        told = [row.payload for row in workspace.ledger.outbox.rows(kind="notify") if "is back" in str(row.payload)]
    assert (made.action, made.version, made.from_version, made.actor) == ("rolled-back", "1", version, "retrue")
    assert made.reason.startswith(f"version {version} on probation: worse than the version before on the same 400 rows")
    assert events[-1]["event"] == "retrue.model.rolled-back"
    assert ONCALL in {payload["block"] for payload in told}


def test_a_rollback_starts_the_cool_down_anew_and_counts_as_an_attempt(promoted: Shop, mlflow_uri: str) -> None:
    promoted.configure(mlflow=mlflow_uri, retrain={**RETRAIN, "cooldown": "3d", "max_attempts": 1})
    serve_day(promoted, DAYS, sign=1.0)
    asked = request_of(promoted).id
    for number in range(DAYS + 1, DAYS + 5):
        serve_day(promoted, number, sign=-1.0)
    assert request_of(promoted).id == asked
    with promoted.open() as workspace:
        reasons = [each.decision.retrain_reason for each in workspace.ledger.latest(promoted.model, limit=4)]
    assert all("a person is needed" in reason for reason in reasons), reasons


def test_the_cool_down_after_a_rollback_is_counted_from_it(promoted: Shop, mlflow_uri: str) -> None:
    promoted.configure(mlflow=mlflow_uri, retrain={**RETRAIN, "cooldown": "2d"})
    serve_day(promoted, DAYS, sign=1.0)
    asked = request_of(promoted).id
    serve_day(promoted, DAYS + 1, sign=-1.0)
    assert request_of(promoted).id == asked
    with promoted.open() as workspace:
        assert (
            "the last one was as of 2025-03-15 02:00"
            in workspace.ledger.latest(promoted.model)[0].decision.retrain_reason
        )
    serve_day(promoted, DAYS + 2, sign=-1.0)
    assert request_of(promoted).id != asked


def test_a_version_that_keeps_its_promise_ends_its_probation(promoted: Shop) -> None:
    version = champion(promoted)
    for number in range(4):
        assert states(promoted) == [("open", number)]
        serve_day(promoted, DAYS + number, sign=-1.0)
    assert states(promoted) == [("kept", 4)]
    assert champion(promoted) == version
    with promoted.open() as workspace:
        told = [str(row.payload["subject"]) for row in workspace.ledger.outbox.rows(kind="notify")]
    assert f"{promoted.model}: probation of version {version} ended, kept" in told
    serve_day(promoted, DAYS + 4, sign=1.0)
    assert champion(promoted) == version, "its probation is over"


def test_a_window_that_waits_for_labels_is_no_look_and_one_is_taken_when_they_come(promoted: Shop) -> None:
    promoted.log(records(day(DAYS), version=champion(promoted) or ""))
    promoted.judge(DAYS, carriers=recorders())
    assert states(promoted) == [("open", 0)]
    promoted.label(labels(records(day(DAYS))))
    promoted.judge(DAYS, carriers=recorders())
    assert champion(promoted) == "1"


def test_the_same_windows_are_looked_at_once(promoted: Shop) -> None:
    serve_day(promoted, DAYS, sign=-1.0)
    promoted.judge(DAYS, carriers=recorders())
    with promoted.open() as workspace:
        assert watch_champion(workspace, promoted.model) is None
    assert states(promoted) == [("open", 1)]


def test_without_a_server_for_the_models_the_verdict_stands_and_the_look_waits(
    promoted: Shop, mlflow_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    promoted.configure(mlflow="http://127.0.0.1:9", retrain=RETRAIN)
    serve_day(promoted, DAYS, sign=1.0)
    assert states(promoted) == [("open", 0)]
    assert "the next run tries again" in caplog.text
    promoted.configure(mlflow=mlflow_uri, retrain=RETRAIN)
    promoted.judge(DAYS, carriers=recorders())
    assert champion(promoted) == "1"


def test_no_probation_where_none_is_wanted(learned_once: Learned, copied: Copy, mlflow_uri: str) -> None:
    shop = copied(learned_once.turned)
    shop.configure(mlflow=mlflow_uri, retrain={**RETRAIN, "gate": {**RETRAIN["gate"], "probation": 0}})
    retrain(shop, learned_once.request)
    assert states(shop) == []


def test_a_rollback_by_a_person_ends_the_probation(promoted: Shop) -> None:
    with promoted.open() as workspace:
        workspace.ledger.models.rollback(promoted.model, reason="no", by="ada", now=NOW)
        (probation,) = workspace.ledger.probations.list(promoted.model)
    assert (probation.state, probation.reason) == ("ended", "rolled back by ada")
