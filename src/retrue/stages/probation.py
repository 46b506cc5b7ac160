"""Watch a promoted version beside the one before it, and go back to that by itself when the new one is worse."""

from __future__ import annotations

import logging
from typing import Any

from retrue.baselines import read_baseline
from retrue.config import ModelSettings, RetrainSettings
from retrue.errors import ModelError
from retrue.gate import Past, ProbationLook, judge_probation, probation_looks, probation_windows
from retrue.ledger import Look, Probation, ProbationEnd
from retrue.results import Baseline
from retrue.stages.contest import labelled_rows, load_version, wall_clock
from retrue.stages.maturity import Matured, matured_windows
from retrue.stages.promotion import receivers
from retrue.stages.training import predict
from retrue.windows import Window
from retrue.workspace import Workspace

log = logging.getLogger(__name__)


def watch_champion(workspace: Workspace, model: str) -> ProbationLook | None:
    """Take the next look at a version on probation, once a further window has matured; None where there is nothing to see.

    A version that is worse than the one before it is rolled back. Without MLflow the models cannot be loaded: it waits.

    Raises:
        DeliveryError: MLflow did not answer; the look is taken the next time.
        FencedError: Another run took this look.
    """
    settings = workspace.project.model(model)
    probation = workspace.ledger.probations.open_of(model)
    if probation is None or settings.retrain is None or not workspace.project.mlflow:
        return None
    lasts = probation_windows(settings.retrain.gate, settings.window.every)
    matured = matured_windows(workspace, settings, model, probation.rows_from)
    matured = None if matured is None else matured.first(lasts)
    seen = probation.looks[-1].end if probation.looks else probation.rows_from
    if matured is None or matured.end is None or matured.end <= seen:
        return None
    look = _look(workspace, settings, settings.retrain, probation, matured)
    _record(workspace, settings, probation, look, matured, last=len(matured.windows) >= lasts)
    return look


def _look(
    workspace: Workspace,
    settings: ModelSettings,
    retrain: RetrainSettings,
    probation: Probation,
    matured: Matured,
) -> ProbationLook:
    try:
        return _compare(workspace, settings, retrain, probation, matured)
    except ModelError as error:  # such as rows that lack a feature: later windows may have it
        return ProbationLook(outcome="inconclusive", reason=str(error), rows=0)


def _compare(
    workspace: Workspace,
    settings: ModelSettings,
    retrain: RetrainSettings,
    probation: Probation,
    matured: Matured,
) -> ProbationLook:
    model = probation.model
    baseline = read_baseline(workspace.project.baselines, model, probation.version)
    span = Window(model=model, start=probation.rows_from, end=matured.windows[-1].end)
    rows = labelled_rows(workspace, settings, span, baseline, as_of=matured.as_of)
    if not len(rows):
        return ProbationLook(outcome="inconclusive", reason="no labelled rows since its promotion", rows=0)
    estimator = load_version(workspace, retrain, model, probation.version)
    if estimator is None:
        raise ModelError(f"version {probation.version} of {model} is not in the registry: it cannot be compared")
    before = load_version(workspace, retrain, model, probation.previous)
    metric = settings.metric
    previous: Any
    if before is None:
        previous = _past(workspace, probation, baseline)
    else:
        previous = predict(before, rows.inputs, settings).judged(metric)
    return judge_probation(
        metric,
        task=settings.task,
        labels=rows.labels,
        champion=predict(estimator, rows.inputs, settings).judged(metric),
        previous=previous,
        settings=retrain.gate,
        looks=probation_looks(retrain.gate, settings.window.every),
        times=wall_clock(rows.frame["time"], settings.window.timezone),
        weights=rows.frame.get("sample_weight"),
        positive_label=settings.performance.positive_label,
        seed=settings.drift.seed,
    )


def _past(workspace: Workspace, probation: Probation, baseline: Baseline) -> Past:
    """Return what a version that came from elsewhere left behind: the gate's value, beside the new version's baseline."""
    made = next(
        each
        for each in workspace.ledger.models.promotions(probation.model, limit=100)
        if each.id == probation.promotion_id
    )
    reached = made.gate.get("champion")
    if baseline.performance is None or not isinstance(reached, float):
        raise ModelError(
            f"version {probation.previous} of {probation.model} cannot be loaded, and {probation.version} has no measured"
            " baseline to be held against"
        )
    return Past(baseline=baseline.performance.judged, previous_at_gate=reached)


def _record(
    workspace: Workspace,
    settings: ModelSettings,
    probation: Probation,
    look: ProbationLook,
    matured: Matured,
    *,
    last: bool,
) -> None:
    ledger, now, told = workspace.ledger, workspace.now(), receivers(settings)
    version = probation.version
    seen = Look(
        end=matured.windows[-1].end, outcome=look.outcome, reason=f"version {version} on probation: {look.reason}"
    )
    log.info("%s: %s", probation.model, seen.reason)
    state = "rolled-back" if look.outcome == "worse" else look.outcome
    end = ProbationEnd(probation=probation, look=seen, state=state, as_of=matured.as_of)
    if look.outcome == "worse":
        ledger.models.rollback(probation.model, reason=seen.reason, by="retrue", notify=told, probation=end, now=now)
    elif last:
        ledger.probations.end(end, notify=told, now=now)
    else:
        ledger.probations.look(probation, seen)
