"""Runs of one retraining request that meet, break off or die: one of them answers it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest

from retrue.adapters.registry_mlflow import MlflowRegistry
from retrue.errors import DeliveryError, FencedError
from retrue.stages.monitor import carry_out
from retrue.stages.retrain import retrain_model
from tests.stages.learning import RETRAIN, Learned, aliases, another_request, champion, request_of, retrain
from tests.stages.project import NOW, TRAIN, Shop

T = TypeVar("T")
Copy = Callable[[Shop], Shop]


class Killed(BaseException):
    """What a step dies of."""


def dying_at(step: str) -> Callable[[str, Callable[[], T]], T]:
    def dies(name: str, work: Callable[[], T]) -> T:
        if name == step:
            raise Killed
        return work()

    return dies


def test_of_two_runs_of_one_request_the_second_writes_nothing(learned_once: Learned, copied: Copy) -> None:
    shop = copied(learned_once.turned)
    refusals: list[str] = []

    def meets_another(name: str, work: Callable[[], T]) -> T:
        if name == "train":
            with pytest.raises(FencedError) as refusal:
                retrain(shop, learned_once.request)
            refusals.append(str(refusal.value))
        return work()

    with shop.open() as workspace:
        assert retrain_model(workspace, learned_once.request, step=meets_another).state == "promoted"
    assert refusals[0].startswith(f"another flow run works on request {learned_once.request}, until ")


def test_a_run_that_was_taken_over_promotes_nothing(learned_once: Learned, copied: Copy) -> None:
    shop = copied(learned_once.turned)

    def overtaken(name: str, work: Callable[[], T]) -> T:
        if name == "promote":
            with shop.open(now=NOW + timedelta(hours=7)) as other:
                other.ledger.requests.claim(learned_once.request, other.now())
        return work()

    with shop.open() as workspace, pytest.raises(FencedError, match="another flow run took request"):
        retrain_model(workspace, learned_once.request, step=overtaken)
    assert champion(shop) == "1"
    assert request_of(shop).state == "claimed", "by the other, who goes on"


def test_a_run_that_breaks_closes_its_request(learned_once: Learned, copied: Copy) -> None:
    """Left open it would hold back every later one for hours."""
    shop = copied(learned_once.turned)

    def breaks(name: str, work: Callable[[], T]) -> T:
        if name == "gate":
            raise ZeroDivisionError("a value")
        return work()

    with shop.open() as workspace, pytest.raises(ZeroDivisionError):
        retrain_model(workspace, learned_once.request, step=breaks)
    assert (request_of(shop).state, request_of(shop).reason) == ("failed", "it broke off: ZeroDivisionError")


def test_a_run_that_met_no_mlflow_trains_nothing_and_leaves_its_request_to_another(
    learned_once: Learned, copied: Copy, mlflow_uri: str
) -> None:
    shop = copied(learned_once.turned)
    shop.configure(mlflow="http://127.0.0.1:9", retrain=RETRAIN)
    with (
        shop.open() as workspace,
        pytest.raises(DeliveryError, match="stays open, and is tried again from 2025-04-20 12:05"),
    ):
        retrain_model(workspace, learned_once.request, step=dying_at("train"))
    assert request_of(shop).state == "open"
    shop.configure(mlflow=mlflow_uri, retrain=RETRAIN)
    assert retrain(shop, learned_once.request).state == "promoted"


@pytest.mark.parametrize("step", ["register", "freeze", "promote"])
def test_a_run_that_died_is_started_again_and_uses_what_was_registered(
    learned_once: Learned, copied: Copy, mlflow_uri: str, step: str
) -> None:
    shop, registry = copied(learned_once.turned), MlflowRegistry(mlflow_uri)
    shop.configure(mlflow=mlflow_uri, retrain={**RETRAIN, "cooldown": "2d"})
    request = another_request(shop, learned_once.request, step)
    with shop.open() as workspace, pytest.raises(Killed):
        retrain_model(workspace, request, step=dying_at(step))
    assert champion(shop) == "1"
    left = registry.versions(shop.model)
    again = retrain(shop, request, hours=7)
    assert again.state == "promoted"
    assert champion(shop) == again.version == registry.versions(shop.model)[-1]
    assert len(registry.versions(shop.model)) == len(left) + (step == "register")


FICKLE = """

_fit, _first = train, pathlib.Path(__file__).with_name("first")


def train(features, labels):
    if not _first.exists():
        _first.touch()
        return _fit(features, labels)
    return _fit(features, 1 - labels.astype("int64"))
"""


def test_the_gate_judges_the_file_that_was_registered_and_not_another_training(
    learned_once: Learned, copied: Copy
) -> None:
    """Trained a second time it is the opposite of a model, which the gate would refuse."""
    shop = copied(learned_once.turned)
    (shop.root / "training.py").write_text(f"import pathlib\n{TRAIN}{FICKLE}")
    with shop.open() as workspace, pytest.raises(Killed):
        retrain_model(workspace, learned_once.request, step=dying_at("freeze"))
    again = retrain(shop, learned_once.request, hours=7)
    assert (again.state, champion(shop)) == ("promoted", again.version)


def test_a_run_that_died_after_its_promotion_leaves_the_aliases_to_the_next_delivery(
    learned_once: Learned, copied: Copy, mlflow_uri: str
) -> None:
    shop = copied(learned_once.turned)
    with shop.open() as workspace, pytest.raises(Killed):
        retrain_model(workspace, learned_once.request, step=dying_at("deliver"))
    version = champion(shop)
    assert version != "1"
    with pytest.raises(FencedError, match="is closed: promoted"):
        retrain(shop, learned_once.request)
    with shop.open() as workspace:
        carry_out(workspace)
    assert aliases(mlflow_uri, shop.model)["champion"] == version
