"""Let go of what `retention` no longer keeps: reports, MLflow runs, flow runs, ended effects, values of logs and baselines.

Age counts from when a window was judged; where the ledger does not know it (a run that died before its commit), from when
the folder was written, or from the window's start. What still waits to be mirrored to MLflow is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from retrue.errors import DeliveryError, NameRefusedError
from retrue.ledger import Trace
from retrue.report_folders import ReportFolder, remove_report_folder, report_folders
from retrue.stages.baseline_rows import OutlivedBaselines, let_go_of_rows, outlived_baselines
from retrue.stages.expire import FAILURES, expire
from retrue.stages.flow_runs import OldFlowRuns, beyond_reach, old_flow_runs, oldest_flow_run, remove_flow_runs
from retrue.workspace import Workspace

if TYPE_CHECKING:
    from retrue.adapters.purge_mlflow import WindowRun
    from retrue.adapters.purge_prefect import EndedRun

log = logging.getLogger(__name__)

REPORTS, RUNS, EFFECTS, FLOW_RUNS, BASELINES = "reports", "mlflow_runs", "outbox", "flow_runs", "baselines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What of a model is kept no longer; ``effects_before`` is None where they are kept for ever.

    ``flow_runs`` is None where no Prefect server is configured, ``baselines`` where no time ends their rows.
    ``oldest_kept`` has the time of the oldest thing of each kind that stays, ``problems`` what could not be looked at.
    """

    model: str
    reports: tuple[ReportFolder, ...]
    runs: tuple[WindowRun, ...]
    effects: int
    effects_before: datetime | None
    values: Mapping[str, int]
    flow_runs: Sequence[EndedRun] | None
    baselines: OutlivedBaselines | None
    oldest_kept: Mapping[str, datetime]
    problems: tuple[str, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How much there is of each kind."""
        counts = {REPORTS: len(self.reports), RUNS: len(self.runs), EFFECTS: self.effects, **self.values}
        counts |= {} if self.flow_runs is None else {FLOW_RUNS: len(self.flow_runs)}
        return counts | ({} if self.baselines is None else {BASELINES: len(self.baselines.versions)})

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        return {"model": self.model, "expired": dict(self.counts), **_facts(self.oldest_kept, self.problems)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was removed of a model, and what should have been and could not."""

    model: str
    counts: Mapping[str, int]
    oldest_kept: Mapping[str, datetime]
    problems: tuple[str, ...]

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        return {"model": self.model, "removed": dict(self.counts), **_facts(self.oldest_kept, self.problems)}


def _facts(oldest_kept: Mapping[str, datetime], problems: tuple[str, ...]) -> dict[str, object]:
    return {"oldest_kept": {kind: at.isoformat() for kind, at in oldest_kept.items()}, "problems": list(problems)}


def purge(workspace: Workspace) -> tuple[Purged, ...]:
    """Remove what has expired of every model, with a receipt for each in the ledger.

    A purge that dies is completed by the next. What cannot be removed is a problem of its model; the others go on.
    """
    purged = tuple(_remove(workspace, expired) for expired in find_expired(workspace))
    if any(each.counts.get(FAILURES) for each in purged):
        workspace.ledger.erasures.compact()
    return purged


def find_expired(workspace: Workspace) -> tuple[Expired, ...]:
    """Return what a purge would remove now, of every model that is or was watched; nothing is changed."""
    models = dict.fromkeys((*workspace.project.models, *workspace.ledger.purges.models()))
    flow_runs = old_flow_runs(workspace, models)
    expired = [_expired(workspace, model, flow_runs) for model in models]
    expired[0] = replace(expired[0], problems=(*expired[0].problems, *filter(None, [flow_runs.problem])))
    return tuple(expired)


def purge_line(purged: tuple[Purged, ...]) -> str:
    """Return what was removed in one line, and what could not be."""
    removed = [f"{count} {kind} of {each.model}" for each in purged for kind, count in each.counts.items() if count]
    problems = [problem for each in purged for problem in each.problems]
    return "; ".join([f"removed {', '.join(removed)}" if removed else "nothing has expired", *problems])


# ---------------------------------------------------------------- looking


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What was found of one kind: what has expired, the oldest that stays, and why it could not be looked at."""

    expired: tuple[Any, ...] = ()
    oldest_kept: datetime | None = None
    problem: str = ""


def _expired(workspace: Workspace, model: str, flow_runs: OldFlowRuns) -> Expired:
    retention, now = workspace.project.retention, workspace.now()
    traces = workspace.ledger.purges.traces(model)
    reports = _look_at_reports(workspace, model, traces, now - retention.reports) if retention.reports else _Looked()
    runs = _look_at_runs(workspace, model, traces, now - retention.mlflow) if retention.mlflow else _Looked()
    values, refused = expire(workspace, model, dry_run=True)
    before = now - _effects_kept(workspace, model, retention.outbox) if retention.outbox else None
    effects = workspace.ledger.purges.count_ended(model, before=before) if before else 0
    baselines = outlived_baselines(workspace, model) if retention.of_baselines else None
    beyond = beyond_reach(workspace, model, traces, flow_runs.before)
    oldest = {
        REPORTS: reports.oldest_kept,
        RUNS: runs.oldest_kept,
        EFFECTS: workspace.ledger.purges.oldest_effect(model, since=before) if before else None,
        FLOW_RUNS: oldest_flow_run(traces, flow_runs.before) if flow_runs.before else None,
        BASELINES: baselines.oldest_kept if baselines else None,
    }
    return Expired(
        model=model,
        reports=reports.expired,
        runs=runs.expired,
        effects=effects,
        effects_before=before,
        values=values,
        flow_runs=flow_runs.of_model.get(model) if workspace.prefect else None,
        baselines=baselines,
        oldest_kept={kind: at for kind, at in oldest.items() if at},
        problems=(
            *filter(None, (reports.problem, runs.problem, beyond)),
            *refused,
            *(baselines.problems if baselines else ()),
        ),
    )


def _effects_kept(workspace: Workspace, model: str, retention: timedelta) -> timedelta:
    """Return how long effects stay: their keys stop a revision within the labels' horizon from telling the same again."""
    settings = workspace.project.models.get(model)
    return max(retention, settings.labels.horizon) if settings and settings.labels else retention


def _look_at_reports(workspace: Workspace, model: str, traces: tuple[Trace, ...], before: datetime) -> _Looked:
    known = {trace.report_dir.rpartition("/")[2]: trace for trace in traces}
    try:
        folders = report_folders(workspace.project.reports, model)
    except NameRefusedError as error:
        return _Looked(problem=str(error))
    expired, kept = [], []
    for folder in folders:
        trace = known.get(folder.path.name)
        made_at = trace.judged_at if trace else folder.written_at
        if folder.half_removed or (made_at < before and not (trace and trace.waits)):
            expired.append(folder)
        else:
            kept.append(made_at)
    return _Looked(expired=tuple(expired), oldest_kept=min(kept, default=None))


def _look_at_runs(workspace: Workspace, model: str, traces: tuple[Trace, ...], before: datetime) -> _Looked:
    mirrored = [trace for trace in traces if trace.mlflow_run_id]
    oldest = min((trace.judged_at for trace in mirrored if trace.judged_at >= before), default=None)
    if not workspace.project.mlflow:
        waiting = sum(trace.judged_at < before for trace in mirrored)
        why = f"{waiting} MLflow runs of {model} have expired, and no MLflow server is configured" if waiting else ""
        return _Looked(oldest_kept=oldest, problem=why)
    from retrue.adapters.purge_mlflow import WindowRuns

    judged = {trace.key: trace.judged_at for trace in traces}
    try:
        found = WindowRuns(workspace.project.mlflow, model).of_windows_before(before)
    except DeliveryError as error:
        return _Looked(oldest_kept=oldest, problem=str(error))
    expired = tuple(run for run in found if judged.get(run.key, run.window_start) < before)
    return _Looked(expired=expired, oldest_kept=oldest)


# ---------------------------------------------------------------- removing


def _remove(workspace: Workspace, expired: Expired) -> Purged:
    purges = workspace.ledger.purges
    receipt = purges.begin(expired.model, expired.counts, workspace.now())
    problems = list(expired.problems)
    removed = {
        REPORTS: sum(_remove_reports(workspace, expired, problems)),
        RUNS: sum(_remove_runs(workspace, expired, problems)),
        EFFECTS: purges.drop_ended(expired.model, before=expired.effects_before) if expired.effects_before else 0,
        **expire(workspace, expired.model)[0],
    }
    if expired.flow_runs is not None:
        removed[FLOW_RUNS] = sum(remove_flow_runs(workspace, expired.flow_runs, problems))
    if expired.baselines is not None:
        removed[BASELINES] = sum(let_go_of_rows(workspace, expired.model, expired.baselines, problems))
    oldest = {kind: at.isoformat() for kind, at in expired.oldest_kept.items()}
    purges.finish(receipt, removed=removed, oldest_kept=oldest, now=workspace.now())
    log.info("purged %s: %s", expired.model, removed)
    return Purged(model=expired.model, counts=removed, oldest_kept=expired.oldest_kept, problems=tuple(problems))


def _remove_reports(workspace: Workspace, expired: Expired, problems: list[str]) -> Iterator[int]:
    for folder in expired.reports:
        try:
            remove_report_folder(workspace.project.reports, expired.model, folder)
        except OSError as error:
            problems.append(f"{folder.path.name} of {expired.model} was not removed: {error.strerror}")
        else:
            yield 1


def _remove_runs(workspace: Workspace, expired: Expired, problems: list[str]) -> Iterator[int]:
    """The ledger forgets a run before MLflow does: one that is still there is found again, a dead link is not."""
    if not expired.runs:
        return
    from retrue.adapters.purge_mlflow import WindowRuns

    runs = WindowRuns(workspace.mlflow, expired.model)
    for run in expired.runs:
        workspace.ledger.purges.forget_run(run.id)
        try:
            runs.remove(run)
        except DeliveryError as error:
            problems.append(str(error))
            return
        yield 1
