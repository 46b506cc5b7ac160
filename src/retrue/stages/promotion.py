"""What an answered request leaves: a registered challenger, and a promotion with a new baseline or a refusal with its reasons."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from retrue.adapters.registry_mlflow import MlflowRegistry, RegisteredVersion, TrainingRecord
from retrue.baselines import baseline_versions, read_baseline
from retrue.config import ModelSettings
from retrue.digits import decimal_all
from retrue.ledger import RetrainRequest
from retrue.results import GateResult, RetrainCause
from retrue.stages.contest import Contest
from retrue.stages.freeze import freeze, log_baseline
from retrue.stages.steps import Step
from retrue.stages.training import Train, predict, predict_out_of_fold, with_predictions
from retrue.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """How a retraining ended: ``state`` is promoted, refused, or watching where later windows decide; ``version`` is the challenger's."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A request with the challenger that was trained for it."""

    settings: ModelSettings
    request: RetrainRequest
    contest: Contest
    registered: RegisteredVersion
    train: Train

    @property
    def version(self) -> str:
        return self.registered.version

    def ended(self, state: str, reason: str, gate: GateResult | None) -> Retrained:
        return Retrained(
            state=state,
            version=self.version,
            reason=reason,
            gate=gate,
            request_id=self.request.id,
            mlflow_run_id=self.registered.run_id,
        )


def crown(workspace: Workspace, answered: Answered, estimator: Any, gate: GateResult, step: Step) -> Retrained:
    """Promote a challenger with its baseline: the one that a run of this request froze before it died, or a new one."""
    step("freeze", lambda: _ensure_baseline(workspace, answered, estimator))
    return step("promote", lambda: _promote(workspace, answered, gate))


def refuse(workspace: Workspace, answered: Answered, gate: GateResult | None, why: str) -> Retrained:
    note = answered.contest.note
    reason = f"version {answered.version} refused: {why}{f'; {note}' if note else ''}"
    close(workspace, answered.request, "refused", reason)
    return answered.ended("refused", reason, gate)


def register(
    workspace: Workspace,
    cause: RetrainCause,
    estimator: Any,
    training: TrainingRecord,
    contest: Contest,
    gate: GateResult | None,
) -> RegisteredVersion:
    registry = MlflowRegistry(workspace.mlflow)
    registered = registry.register_model(
        cause.model,
        estimator,
        training=training,
        example=(contest.later if len(contest.later) else contest.training).inputs.head(5),
        taken=versions_from_elsewhere(workspace, cause.model),
    )
    if gate is not None:
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


def _ensure_baseline(workspace: Workspace, answered: Answered, estimator: Any) -> None:
    workspace.ledger.requests.check(answered.request.id, token=answered.request.token)
    if not frozen_before(workspace, answered.registered):
        _freeze(workspace, answered.settings, answered.contest, estimator, answered.train, answered.registered)
    log_baseline(workspace, answered.registered)


def frozen_before(workspace: Workspace, registered: RegisteredVersion) -> bool:
    """Tell whether a run of the same request froze this version's baseline already; it is registered if that run died before.

    Frozen again it would be another: windows judged since have come to the rows of the gate. One from anywhere else, or changed
    since, is not taken for ours.

    Raises:
        BaselineError: It is damaged.
    """
    model, version = registered.model, registered.version
    if version not in baseline_versions(workspace.project.baselines, model):
        return False
    found = read_baseline(workspace.project.baselines, model, version)
    known = workspace.ledger.models.baseline_digest(model, version)
    if found.provenance.source != _source(registered) or known not in (None, found.digest):
        return False
    workspace.ledger.models.register_baseline(model, version, found.digest, workspace.now())
    return True


def _source(registered: RegisteredVersion) -> str:
    return f"training of version {registered.version}, out of fold, and its gate"


def _freeze(
    workspace: Workspace,
    settings: ModelSettings,
    contest: Contest,
    estimator: Any,
    train: Train,
    registered: RegisteredVersion,
) -> None:
    """Freeze the challenger's baseline: its training rows predicted out of fold, and the later rows by itself."""
    import pandas as pd

    learned = predict_out_of_fold(train, contest.training, settings)
    judged = with_predictions(contest.later.frame, predict(estimator, contest.later.inputs, settings))
    columns = [name for name in learned.columns if name in judged.columns]
    frame = pd.concat([learned[columns], judged[columns]], ignore_index=True)
    frame = frame.assign(
        time=pd.to_datetime(frame["time"], utc=True)
    )  # which two types of times would have made objects
    features, source = contest.training.features, _source(registered)
    freeze(workspace, registered.model, registered.version, frame, features, source=source)


def _promote(workspace: Workspace, answered: Answered, gate: GateResult) -> Retrained:
    request, contest, settings = answered.request, answered.contest, answered.settings
    reason = f"version {answered.version} promoted: {_shown(gate)} on the same {gate.rows} later rows"
    reason += f"; {contest.note}" if contest.note else ""
    watched = settings.retrain is not None and settings.retrain.gate.probation > 0
    workspace.ledger.models.promote(
        request.cause.model,
        answered.version,
        expected_champion=contest.champion,
        reason=reason,
        request=request.id,
        token=request.token,
        gate=asdict(gate),
        probation_from=contest.end if watched else None,
        notify=receivers(settings),
        now=workspace.now(),
    )
    return answered.ended("promoted", reason, gate)


def _shown(gate: GateResult) -> str:
    if gate.gain is None or gate.champion is None or gate.challenger is None:
        return "not compared"
    new, old = decimal_all([gate.challenger, gate.champion])
    gain, low, high = decimal_all([gate.gain.value, gate.gain.low, gate.gain.high], sign="+")
    return f"{gate.metric} {new} against {old}, gain {gain} [{low}, {high}],"


def close(workspace: Workspace, request: RetrainRequest, state: Any, reason: str) -> None:
    settings = workspace.project.model(request.cause.model)
    workspace.ledger.requests.close(
        request.id, token=request.token, state=state, reason=reason, notify=receivers(settings), now=workspace.now()
    )


def receivers(settings: ModelSettings) -> tuple[str, ...]:
    """Return everybody who hears of this model's breaches hears what became of its retraining."""
    return tuple(dict.fromkeys((*settings.notify.critical, *settings.notify.warning)))
