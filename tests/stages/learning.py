"""A project whose champion was trained here and is in MLflow, a world that has turned since, and what is known of both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from retrue.adapters.registry_mlflow import Alias, MlflowRegistry
from retrue.ledger import RetrainRequest
from retrue.stages.introduce import introduce
from retrue.stages.promotion import Retrained
from retrue.stages.retrain import request_for, retrain_model
from retrue.stages.training import LabelledRows
from tests.stages.project import (
    FEATURES,
    FIRST,
    NOW,
    REFERENCE,
    TRAIN,
    Shop,
    day,
    labelled_frame,
    labels,
    records,
)

DAYS = 4  # three to train on, the last to judge by
RETRAIN: dict[str, Any] = {
    "train": "training:train",
    "on": ["performance"],
    "cooldown": "1d",
    "holdout": "1d",
    "include_reference": False,
    "gate": {"min_rows": 300, "resample": "rows", "resamples": 200, "slices": ["device"], "min_slice_rows": 100},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The project before and after its world turned, and the request that the last day's verdict made."""

    turned: Shop
    request: str


def reference_rows() -> LabelledRows:
    return LabelledRows(frame=labelled_frame(REFERENCE, 5), features=FEATURES)


def project(root: Path, model: str, mlflow: str, **retrain: Any) -> Shop:
    """A project with nothing logged and no champion."""
    shop = Shop(root=root, model=model)
    root.mkdir(parents=True)
    shop.configure(mlflow=mlflow, retrain={**RETRAIN, **retrain})
    (root / "training.py").write_text(TRAIN)
    return shop


def log_days(shop: Shop, days: int = DAYS, *, sign: float = -1.0) -> None:
    for number in range(days):
        shop.log(rows := records(day(number)))
        shop.label(labels(rows, sign=sign))


def learn(root: Path, mlflow: str, model: str = "learned") -> Learned:
    """Introduce version 1, let people do the opposite for days, and judge the last of them."""
    shop = project(root, model, mlflow)
    with shop.open(now=FIRST) as workspace:
        introduce(workspace, model, reference_rows(), source="five good days")
    log_days(shop)
    shop.judge(DAYS - 1)
    with shop.open() as workspace:
        (request,) = workspace.ledger.requests.list(model)
    return Learned(turned=shop, request=request.id)


def champion(shop: Shop) -> str | None:
    with shop.open() as workspace:
        return workspace.ledger.models.champion(shop.model)


def request_of(shop: Shop) -> RetrainRequest:
    with shop.open() as workspace:
        return workspace.ledger.requests.list(shop.model)[0]


def retrain(shop: Shop, request: str, *, hours: int = 0) -> Retrained:
    with shop.open(now=NOW + timedelta(hours=hours)) as workspace:
        return retrain_model(workspace, request)


def aliases(uri: str, model: str) -> dict[Alias, str | None]:
    registry = MlflowRegistry(uri)
    names: tuple[Alias, ...] = ("champion", "challenger", "previous")
    return {name: registry.alias_version(model, name) for name in names}


def asked_as_of_the_last_day(shop: Shop) -> str:
    """A request made when the last logged day had settled."""
    with shop.open(now=day(DAYS) + timedelta(hours=2)) as workspace:
        return request_for(workspace, shop.model, "a person wants it")


def another_request(shop: Shop, open_request: str, reason: str) -> str:
    """Put a request of its own, with the same data, in the place of the open one: its id is what a version is found by."""
    with shop.open() as workspace:
        workspace.ledger.requests.cancel(open_request, by="a test", reason=reason, now=NOW)
        return request_for(workspace, shop.model, reason)
