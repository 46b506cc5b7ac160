"""Retrain: assemble, validate, train, evaluate on later rows, gate, then promote with a new baseline or refuse with reasons."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from retrue.adapters.client_mlflow import check_answer
from retrue.adapters.registry_mlflow import MlflowRegistry, RegisteredVersion, TrainingRecord
from retrue.config import ModelSettings, RetrainSettings
from retrue.errors import ConfigError, DeliveryError, FencedError, LedgerError, ModelError, RetrueError
from retrue.ledger import UNCLAIMED_FOR, Look, RetrainRequest, Trial
from retrue.results import GateResult, RetrainCause
from retrue.stages.contest import Contest, assemble, champion_loader, compare, labelled_rows, load_version
from retrue.stages.looks import look_end
from retrue.stages.maturity import matured_windows
from retrue.stages.monitor import carry_out
from retrue.stages.promotion import Answered, Retrained, close, crown, receivers, refuse, register
from retrue.stages.steps import Step, directly
from retrue.stages.training import train_function
from retrue.windows import Window
from retrue.workspace import Workspace


def request_for(workspace: Workspace, model: str, cause: str) -> str:
    """Return the id of the request named by ``cause``, or open one for a person's reason and return its id.

    The same reason again is the same request as long as that is in flight, such as one that waits for MLflow.
    A request of a person may use what was known when the newest window had settled.

    Raises:
        LedgerError: Another request is in flight.
    """
    settings = workspace.project.model(model)
    known = workspace.ledger.requests.list(model, limit=None)
    if any(request.id == cause for request in known):
        return cause
    newest = workspace.ledger.latest(model)
    end = newest[0].window.end if newest else settings.window.grid.floor(workspace.now() - settings.window.settle)
    by_hand = RetrainCause(
        model=model,
        fingerprint=hashlib.sha256(f"{model}\0manual\0{cause}".encode()).hexdigest()[:32],
        check="manual",
        scope="",
        attempt=len(known) + 1,
        as_of=end + settings.window.settle,
        message=cause,
    )
    same = (each for each in known if each.closed_at is None and each.cause.fingerprint == by_hand.fingerprint)
    mine = next(same, None)
    if mine is not None:
        return mine.id
    return workspace.ledger.requests.open(by_hand, workspace.now(), notify=receivers(settings)).id


def cancel_request(workspace: Workspace, model: str, request: str, *, by: str, reason: str) -> RetrainRequest:
    """Close a model's request in flight by a person's order; who serves and every baseline stay as they are.

    A challenger that waits for later windows stays registered and is looked at no more; a flow run at work promotes nothing.

    Raises:
        LedgerError: The model has no such request, or it has ended.
    """
    told = receivers(workspace.project.model(model))
    asked_for = workspace.ledger.requests.get(request).cause.model
    if asked_for != model:
        raise LedgerError(f"request {request} is one of {asked_for}, not of {model}")
    cancelled = workspace.ledger.requests.cancel(request, by=by, reason=reason, notify=told, now=workspace.now())
    carry_out(workspace)
    return cancelled


def retrain_model(workspace: Workspace, request_id: str, *, step: Step = directly) -> Retrained:
    """Answer a retraining request: train a challenger on what was known then, and let the gate decide.

    Where the gate watches or has a shadow, the challenger waits for later windows; answering the request again looks at it again.
    A run that died can be started again: what it registered is found and used. One that MLflow did not answer leaves the request
    open, and it is tried again later.

    Raises:
        FencedError: Another run works on this request, or it is closed.
        DeliveryError: MLflow did not answer.
        RetrueError: It cannot be trained at all; the request is closed as failed.
    """
    request = workspace.ledger.requests.claim(request_id, workspace.now())
    trial = workspace.ledger.requests.trial(request_id)
    try:
        return _answer(workspace, request, step) if trial is None else _look(workspace, request, trial, step)
    except FencedError:
        raise
    except DeliveryError as error:
        if trial is not None:
            _wait(workspace, request, trial, None)
            raise
        again_at = workspace.ledger.requests.release(
            request_id, token=request.token, reason=str(error), now=workspace.now()
        )
        raise DeliveryError(
            f"{error}; request {request_id} stays open, and is tried again from {again_at:%Y-%m-%d %H:%M} UTC on"
        ) from error
    except RetrueError as error:
        close(workspace, request, "failed", str(error))
        raise
    except Exception as error:
        close(workspace, request, "failed", f"it broke off: {type(error).__name__}")
        raise
    finally:
        step("deliver", lambda: carry_out(workspace))


def _answer(workspace: Workspace, request: RetrainRequest, step: Step) -> Retrained:
    settings, retrain = _settings(workspace, request)
    contest = step("assemble", lambda: assemble(workspace, settings, retrain, request.cause))
    train = train_function(
        workspace.project, settings, champion_loader(workspace, retrain, contest, request.cause.model)
    )
    check_answer(workspace.mlflow)  # or a training of hours would be thrown away
    started_at = workspace.now()
    estimator = step("train", lambda: train(contest.training.inputs, contest.training.labels))
    gate = None
    if not retrain.gate.shadow:
        gate = step("gate", lambda: compare(workspace, settings, retrain, contest, estimator, request.cause.model))
    training = TrainingRecord(
        key=request.id,
        started_at=started_at,
        rows=len(contest.training),
        data_digest=contest.training.digest,
        cause=request.cause,
        trusted_types=retrain.trusted_types,
    )
    registered = step("register", lambda: register(workspace, request.cause, estimator, training, contest, gate))
    if registered.is_found:
        estimator, gate = _judged_as_registered(workspace, settings, retrain, contest, registered, request.cause, step)
    answered = Answered(settings=settings, request=request, contest=contest, registered=registered, train=train)
    if gate is not None and gate.passed:
        return crown(workspace, answered, estimator, gate, step)
    if gate is not None and not gate.undecided:
        return refuse(workspace, answered, gate, "; ".join(gate.refusals))
    return _start_trial(workspace, retrain, answered, gate)


def _judged_as_registered(
    workspace: Workspace,
    settings: ModelSettings,
    retrain: RetrainSettings,
    contest: Contest,
    registered: RegisteredVersion,
    cause: RetrainCause,
    step: Step,
) -> tuple[Any, GateResult | None]:
    """Judge the file that a run of this request registered before it died: a training need not give the same model twice."""
    estimator = load_version(workspace, retrain, registered.model, registered.version)
    if retrain.gate.shadow:
        return estimator, None
    gate = step("gate", lambda: compare(workspace, settings, retrain, contest, estimator, registered.model))
    MlflowRegistry(workspace.mlflow).record_retraining(registered.run_id, gate, cause=cause)
    return estimator, gate


def _settings(workspace: Workspace, request: RetrainRequest) -> tuple[ModelSettings, RetrainSettings]:
    settings = workspace.project.model(request.cause.model)
    if settings.retrain is None:
        raise ConfigError(
            "is not configured",
            file=workspace.project.root / "retrue.yaml",
            key=f"models.{request.cause.model}.retrain",
        )
    return settings, settings.retrain


# ---------------------------------------------------------------- later windows decide


def _start_trial(
    workspace: Workspace, retrain: RetrainSettings, answered: Answered, gate: GateResult | None
) -> Retrained:
    contest = answered.contest
    every = answered.settings.window.every
    lasts = retrain.gate.shadow_windows * every if gate is None else retrain.gate.watch_for
    trial = Trial(
        request_id=answered.request.id,
        kind="shadow" if gate is None else "watch",
        version=answered.version,
        champion=contest.champion,
        rows_from=contest.later_from,
        fresh_from=contest.end,
        ends_at=contest.end + lasts,
    )
    what = f"its shadow of {retrain.gate.shadow_windows} windows" if gate is None else "; ".join(gate.refusals)
    reason = f"version {answered.version} waits for later windows, up to {trial.ends_at:%Y-%m-%d %H:%M} UTC: {what}"
    look = None if gate is None else Look(end=contest.end, outcome="undecided", reason=reason)
    _wait(workspace, answered.request, trial, look)
    return answered.ended("watching", reason, gate)


def _wait(workspace: Workspace, request: RetrainRequest, trial: Trial, look: Look | None) -> None:
    """Let a request wait: as long as its windows last, their labels may take, and a flow run may be late."""
    settings = workspace.project.model(request.cause.model)
    horizon = settings.labels.horizon if settings.labels else timedelta(0)
    patience = (trial.ends_at - trial.fresh_from) + horizon + settings.window.every + UNCLAIMED_FOR
    workspace.ledger.requests.watch(trial, token=request.token, look=look, patience=patience, now=workspace.now())


def _look(workspace: Workspace, request: RetrainRequest, trial: Trial, step: Step) -> Retrained:
    """Judge a challenger that waits by all its windows that have matured; at the end of its time it is refused."""
    settings, retrain = _settings(workspace, request)
    retrain = _as_begun(retrain, trial)
    model = request.cause.model
    matured = matured_windows(workspace, settings, model, trial.fresh_from)
    end = look_end(trial, matured)
    registered = _known(workspace, model, trial.version)
    if matured is None or end is None:
        _wait(workspace, request, trial, None)
        reason = f"version {trial.version} waits for later windows: none has its labels yet that was not looked at"
        return _watching(request, registered, reason, None)
    contest = step("assemble", lambda: _contest_of(workspace, settings, retrain, request, trial, end, matured.as_of))
    train = train_function(workspace.project, settings, champion_loader(workspace, retrain, contest, model))
    estimator = load_version(workspace, retrain, model, trial.version)
    gate = step("gate", lambda: compare(workspace, settings, retrain, contest, estimator, model))
    MlflowRegistry(workspace.mlflow).record_retraining(registered.run_id, gate, cause=request.cause)
    answered = Answered(settings=settings, request=request, contest=contest, registered=registered, train=train)
    if gate.passed:
        return crown(workspace, answered, estimator, gate, step)
    if not gate.undecided or end >= trial.ends_at:
        late = f"not shown to be better by {trial.ends_at:%Y-%m-%d %H:%M} UTC: " if gate.undecided else ""
        return refuse(workspace, answered, gate, late + "; ".join(gate.refusals))
    reason = f"version {trial.version} waits for later windows: {'; '.join(gate.refusals)}"
    _wait(workspace, request, trial, Look(end=end, outcome="undecided", reason=reason))
    return answered.ended("watching", reason, gate)


def _as_begun(retrain: RetrainSettings, trial: Trial) -> RetrainSettings:
    """Return the settings with the terms that a trial began with: they may not change between looks."""
    terms = {
        "watch": trial.kind == "watch",
        "shadow": trial.kind == "shadow",
        "watch_for": trial.ends_at - trial.fresh_from,
    }
    gate = retrain.gate.model_copy(update=terms)
    return retrain.model_copy(update={"gate": gate, "holdout": trial.fresh_from - trial.rows_from})


def _contest_of(
    workspace: Workspace,
    settings: ModelSettings,
    retrain: RetrainSettings,
    request: RetrainRequest,
    trial: Trial,
    end: datetime,
    as_of: datetime,
) -> Contest:
    """Gather the rows that a challenger was trained on again, and all it is judged by up to ``end``."""
    held = assemble(workspace, settings, retrain, request.cause)
    if held.champion != trial.champion:
        raise ModelError(
            f"the champion became version {held.champion} while {trial.version} was compared with {trial.champion}: retrain"
        )
    span = Window(model=request.cause.model, start=trial.rows_from, end=end)
    later = labelled_rows(workspace, settings, span, held.baseline, as_of=as_of)
    return replace(held, later=later, later_from=trial.rows_from, end=end)


def _known(workspace: Workspace, model: str, version: str) -> RegisteredVersion:
    known = workspace.ledger.models.version(model, version)
    return RegisteredVersion(model=model, version=version, run_id=known.run_id, sha256=known.sha256)


def _watching(
    request: RetrainRequest, registered: RegisteredVersion, reason: str, gate: GateResult | None
) -> Retrained:
    return Retrained(
        state="watching",
        version=registered.version,
        reason=reason,
        gate=gate,
        request_id=request.id,
        mlflow_run_id=registered.run_id,
    )
