"""Introduce a model: train its first version, register it, freeze its baseline, make it the champion."""

from __future__ import annotations

from typing import Any

from retrue.adapters.registry_mlflow import MlflowRegistry, RegisteredVersion, TrainingRecord
from retrue.errors import ModelError
from retrue.stages.freeze import freeze, log_baseline
from retrue.stages.monitor import carry_out
from retrue.stages.steps import Step, directly
from retrue.stages.training import LabelledRows, predict_out_of_fold, train_function
from retrue.workspace import Workspace


def introduce(
    workspace: Workspace, model: str, rows: LabelledRows, *, source: str, step: Step = directly
) -> RegisteredVersion:
    """Train the first version on labelled rows, register it, freeze its baseline out of fold, and make it the champion.

    Raises:
        ModelError: The model has a champion already, or retrain.train is not set.
        FencedError: Another process introduced one meanwhile.
    """
    settings = workspace.project.model(model)
    if workspace.ledger.models.champion(model):
        raise ModelError(f"{model} has a champion already: use `retrue retrain {model}`")
    if settings.retrain is None or settings.retrain.train is None:
        raise ModelError(f"a first version of {model} needs retrain.train in retrue.yaml")
    train = train_function(workspace.project, settings, _no_champion)
    training = TrainingRecord(
        key=f"{model}:first:{rows.digest}",
        started_at=workspace.now(),
        rows=len(rows),
        data_digest=rows.digest,
        trusted_types=settings.retrain.trusted_types,
    )
    estimator = step("train", lambda: train(rows.inputs, rows.labels))
    registry = MlflowRegistry(workspace.mlflow)
    registered = step(
        "register", lambda: registry.register_model(model, estimator, training=training, example=rows.inputs.head(5))
    )
    workspace.ledger.models.register_version(
        model, registered.version, sha256=registered.sha256, kind="skops", run_id=registered.run_id, now=workspace.now()
    )
    frame = step("predict out of fold", lambda: predict_out_of_fold(train, rows, settings))
    step("freeze", lambda: freeze(workspace, model, registered.version, frame, rows.features, source=source))
    log_baseline(workspace, registered)
    workspace.ledger.models.promote(
        model,
        registered.version,
        expected_champion=None,
        reason=f"first version, trained on {source}",
        now=workspace.now(),
    )
    step("deliver", lambda: carry_out(workspace))
    return registered


def _no_champion() -> Any:
    raise ModelError("there is no champion to refit")
