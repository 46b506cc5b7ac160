"""Retrain: assemble, validate, train, evaluate on later rows, gate, then promote with a new baseline or refuse with reasons."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from retrue.adapters.registry_mlflow import MlflowRegistry, RegisteredVersion, TrainingRecord
from retrue.baselines import baseline_versions
from retrue.config import ModelSettings
from retrue.errors import ConfigError, FencedError, RetrueError
from retrue.ledger import RetrainRequest
from retrue.results import Baseline, GateResult, RetrainCause
from retrue.stages.contest import Contest, assemble, champion_loader, compare
from retrue.stages.freeze import freeze, log_baseline
from retrue.stages.monitor import carry_out
from retrue.stages.steps import Step, directly
from retrue.stages.training import Train, predict, predict_out_of_fold, train_function, with_predictions
from retrue.workspace import Workspace

if TYPE_CHECKING:
    pass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """How a retraining ended: ``state`` is promoted or refused; ``version`` is the challenger's."""

    state: str
    version: str
    reason: str
    gate: GateResult | None
    request_id: str
    mlflow_run_id: str = ""

    @property
    def facts(self) -> dict[str, object]:
        """What a program wants to know of it, as `--json` prints it and a flow run returns it."""
        gain = self.gate.gain if self.gate else None
        return {
            "state": self.state,
            "version": self.version,
            "reason": self.reason,
            "request_id": self.request_id,
            "mlflow_run_id": self.mlflow_run_id,
            "gain": [gain.value, gain.low, gain.high] if gain else None,
        }


def request_for(workspace: Workspace, model: str, cause: str) -> str:
    """Return the id of the request named by ``cause``, or open one for a person's reason and return its id.

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
    return workspace.ledger.requests.open(by_hand, workspace.now()).id


def retrain_model(workspace: Workspace, request_id: str, *, step: Step = directly) -> Retrained:
    """Answer a retraining request: train a challenger on what was known then, and let the gate decide.

    A run that died can be started again: what it registered is found and used.

    Raises:
        FencedError: Another run works on this request, or it is closed.
        RetrueError: It cannot be trained at all; the request is closed as failed.
    """
    request = workspace.ledger.requests.claim(request_id, workspace.now())
    try:
        return _answer(workspace, request, step)
    except FencedError:
        raise
    except RetrueError as error:
        _close(workspace, request, "failed", str(error))
        raise
    except Exception as error:
        _close(workspace, request, "failed", f"it broke off: {type(error).__name__}")
        raise
    finally:
        step("deliver", lambda: carry_out(workspace))


def _answer(workspace: Workspace, request: RetrainRequest, step: Step) -> Retrained:
    settings = workspace.project.model(request.cause.model)
    if settings.retrain is None:
        raise ConfigError(
            "is not configured",
            file=workspace.project.root / "retrue.yaml",
            key=f"models.{request.cause.model}.retrain",
        )
    retrain = settings.retrain
    contest = step("assemble", lambda: assemble(workspace, settings, retrain, request.cause))
    train = train_function(
        workspace.project, settings, champion_loader(workspace, retrain, contest, request.cause.model)
    )
    started_at = workspace.now()
    estimator = step("train", lambda: train(contest.training.inputs, contest.training.labels))
    gate = step("gate", lambda: compare(workspace, settings, retrain, contest, estimator, request.cause.model))
    training = TrainingRecord(
        key=request.id,
        started_at=started_at,
        rows=len(contest.training),
        data_digest=contest.training.digest,
        cause=request.cause,
        trusted_types=retrain.trusted_types,
    )
    registered = step("register", lambda: _register(workspace, request.cause, estimator, training, contest, gate))
    if not gate.passed:
        reason = f"version {registered.version} refused: {'; '.join((*gate.refusals, *filter(None, [contest.note])))}"
        _close(workspace, request, "refused", reason)
        return Retrained(
            state="refused",
            version=registered.version,
            reason=reason,
            gate=gate,
            request_id=request.id,
            mlflow_run_id=registered.run_id,
        )
    step("freeze", lambda: _freeze(workspace, settings, contest, estimator, train, registered))
    return step("promote", lambda: _promote(workspace, settings, request, contest, registered, gate))


def _register(
    workspace: Workspace,
    cause: RetrainCause,
    estimator: Any,
    training: TrainingRecord,
    contest: Contest,
    gate: GateResult,
) -> RegisteredVersion:
    registry = MlflowRegistry(workspace.mlflow)
    registered = registry.register_model(
        cause.model,
        estimator,
        training=training,
        example=contest.later.inputs.head(5),
        taken=versions_from_elsewhere(workspace, cause.model),
    )
    registry.record_retraining(registered.run_id, gate, cause=cause)
    registry.move_alias(cause.model, "challenger", registered.version)
    workspace.ledger.models.register_version(
        cause.model,
        registered.version,
        sha256=registered.sha256,
        kind="skops",
        run_id=registered.run_id,
        now=workspace.now(),
    )
    return registered


def versions_from_elsewhere(workspace: Workspace, model: str) -> frozenset[str]:
    """Return the versions that have a baseline and are not of our registry: their numbers are taken."""
    ours = workspace.ledger.models.registered(model)
    return frozenset(baseline_versions(workspace.project.baselines, model)) - ours


def _freeze(
    workspace: Workspace,
    settings: ModelSettings,
    contest: Contest,
    estimator: Any,
    train: Train,
    registered: RegisteredVersion,
) -> Baseline:
    """Freeze the challenger's baseline: its training rows predicted out of fold, and the later rows by itself."""
    import pandas as pd

    learned = predict_out_of_fold(train, contest.training, settings)
    judged = with_predictions(contest.later.frame, predict(estimator, contest.later.inputs, settings))
    columns = [name for name in learned.columns if name in judged.columns]
    frame = pd.concat([learned[columns], judged[columns]], ignore_index=True)
    source = f"training of version {registered.version}, out of fold, and its gate"
    baseline = freeze(workspace, registered.model, registered.version, frame, contest.training.features, source=source)
    log_baseline(workspace, registered)
    return baseline


def _promote(
    workspace: Workspace,
    settings: ModelSettings,
    request: RetrainRequest,
    contest: Contest,
    registered: RegisteredVersion,
    gate: GateResult,
) -> Retrained:
    reason = f"version {registered.version} promoted: {_shown(gate)} on the same {gate.rows} later rows"
    reason += f"; {contest.note}" if contest.note else ""
    workspace.ledger.models.promote(
        request.cause.model,
        registered.version,
        expected_champion=contest.champion,
        reason=reason,
        request=request.id,
        token=request.token,
        gate=asdict(gate),
        notify=receivers(settings),
        now=workspace.now(),
    )
    return Retrained(
        state="promoted",
        version=registered.version,
        reason=reason,
        gate=gate,
        request_id=request.id,
        mlflow_run_id=registered.run_id,
    )


def _shown(gate: GateResult) -> str:
    if gate.gain is None or gate.champion is None or gate.challenger is None:
        return "not compared"
    gain = f"gain {gate.gain.value:+.3f} [{gate.gain.low:+.3f}, {gate.gain.high:+.3f}]"
    return f"{gate.metric} {gate.challenger:.3f} against {gate.champion:.3f}, {gain},"


def _close(workspace: Workspace, request: RetrainRequest, state: Any, reason: str) -> None:
    settings = workspace.project.model(request.cause.model)
    workspace.ledger.requests.close(
        request.id, token=request.token, state=state, reason=reason, notify=receivers(settings), now=workspace.now()
    )


def receivers(settings: ModelSettings) -> tuple[str, ...]:
    """Return everybody who hears of this model's breaches hears what became of its retraining."""
    return tuple(dict.fromkeys((*settings.notify.critical, *settings.notify.warning)))
