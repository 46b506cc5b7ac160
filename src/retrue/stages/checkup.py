"""What the doctor looks at, one check a function; each yields complaints. None of them needs a Prefect server.

A check that breaks on one model's set-up is a complaint of its own; the other checks and models are still examined.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from importlib import metadata

from retrue.baselines import baseline_versions, read_baseline
from retrue.complaints import BREAKING, PROJECT, Complaint, grace, schedule_complaints, version_complaints
from retrue.config import ModelSettings
from retrue.errors import BaselineError, DeliveryError, LedgerError, RetrueError, SuiteError
from retrue.ledger import OutboxRow, RetrainRequest, Revision
from retrue.results import Outcome, Severity
from retrue.stages.looks import look_end
from retrue.stages.maturity import matured_windows
from retrue.workspace import Workspace

OUTBOX_PATIENCE = timedelta(hours=1)
REQUEST_PATIENCE = timedelta(days=1)
MATURE_WINDOWS = 10  # how many of the newest matured windows are asked for their performance
IMPORT_SECONDS = 60.0

_IMPORT = (
    "import importlib, sys; sys.path.insert(0, sys.argv[1]); getattr(importlib.import_module(sys.argv[2]), sys.argv[3])"
)


def examine(workspace: Workspace) -> tuple[Complaint, ...]:
    """Return all that is wrong now, of the project first, then model by model.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    now = workspace.now()
    found = [*_versions(), *_mlflow(workspace)]
    for model, settings in workspace.project.models.items():
        for check in (_schedule, _outbox, _baseline, _retraining, _labels, _suite, _train):
            try:
                found += check(workspace, model, settings, now)
            except LedgerError:
                raise
            except RetrueError as error:
                found.append(
                    _complaint(model, f"setup.{check.__name__.lstrip('_')}", str(error), "Mend it as the message says.")
                )
    return tuple(found)


def _complaint(
    model: str,
    check: str,
    message: str,
    next_step: str,
    *,
    severity: Severity = Severity.CRITICAL,
    subject: str = "",
) -> Complaint:
    return Complaint(model=model, check=check, subject=subject, severity=severity, message=message, next_step=next_step)


# ---------------------------------------------------------------- the project


def _versions() -> Iterator[Complaint]:
    installed = {}
    for name in BREAKING:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    yield from version_complaints(installed)


def _mlflow(workspace: Workspace) -> Iterator[Complaint]:
    if not workspace.project.mlflow:
        return
    from retrue.adapters.client_mlflow import check_answer

    try:
        check_answer(workspace.project.mlflow)
    except DeliveryError as error:
        step = "Look at the MLflow server. Verdicts and messages still go out; the records wait in the outbox."
        yield _complaint(PROJECT, "setup.mlflow", str(error), step, severity=Severity.WARNING)


# ---------------------------------------------------------------- a model


def _schedule(workspace: Workspace, model: str, settings: ModelSettings, now: datetime) -> Iterator[Complaint]:
    newest = workspace.ledger.latest(model)
    yield from schedule_complaints(model, settings.window, newest[0].window if newest else None, now)


def _outbox(workspace: Workspace, model: str, settings: ModelSettings, now: datetime) -> Iterator[Complaint]:
    outbox = workspace.ledger.outbox
    lost = outbox.rows(model=model, state="undelivered")
    for kind in sorted({row.kind for row in lost}):
        rows = [row for row in lost if row.kind == kind]
        why = rows[-1].error or "no server was there to carry them out"
        message = f"{len(rows)} {kind} effects of {model} were given up, the last one: {why}"
        step = "Mend what refused them; until then what they say is only in the ledger."
        yield _complaint(model, "outbox.undelivered", message, step, subject=kind)
    waiting = [row for row in outbox.rows(model=model, state="pending") if now - row.created_at > OUTBOX_PATIENCE]
    if waiting:
        step = "Start what carries them out: `retrue up`, or set PREFECT_API_URL and MLFLOW_TRACKING_URI."
        yield _complaint(model, "outbox.waiting", _waiting(waiting), step, severity=Severity.WARNING)


def _waiting(rows: list[OutboxRow]) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(row.kind for row in rows).items()))
    error = next((f": {row.error}" for row in rows if row.error), "")
    return f"Effects have waited since {rows[0].created_at:%Y-%m-%d %H:%M} UTC ({kinds}){error}"


def _baseline(workspace: Workspace, model: str, settings: ModelSettings, now: datetime) -> Iterator[Complaint]:
    champion = workspace.ledger.models.champion(model)
    freeze = f"Run `retrue baseline {model}`."
    if champion is None:
        yield _complaint(
            model, "baseline.champion", f"No version of {model} is the champion.", freeze, severity=Severity.WARNING
        )
        return
    folder = workspace.project.baselines
    if champion not in baseline_versions(folder, model):
        message = f"Champion {champion} of {model} has no baseline: its windows cannot be judged."
        yield _complaint(model, "baseline.missing", message, freeze)
        return
    try:
        found = read_baseline(folder, model, champion).digest
    except BaselineError as error:
        yield _complaint(model, "baseline.damaged", str(error), "Restore it from version control or from MLflow.")
        return
    if found != workspace.ledger.models.baseline_digest(model, champion):
        message = f"The baseline of champion {champion} of {model} is not the one that the ledger registered."
        yield _complaint(model, "baseline.changed", message, "Restore it from version control or from MLflow.")


def _retraining(workspace: Workspace, model: str, settings: ModelSettings, now: datetime) -> Iterator[Complaint]:
    for request in workspace.ledger.requests.list(model):
        state = _stuck(workspace, settings, request, now) if request.closed_at is None else ""
        if state:
            message = f"The retraining asked for at {request.opened_at:%Y-%m-%d %H:%M} UTC {state}: {request.id}"
            step = (
                f"Look at the runs of `retrain` in the Prefect UI; `retrue retrain {model} --cause {request.id}` answers it,"
                f" `--cancel {request.id}` closes it."
            )
            yield _complaint(model, "retraining.stuck", message, step, subject=request.id, severity=Severity.WARNING)


def _stuck(workspace: Workspace, settings: ModelSettings, request: RetrainRequest, now: datetime) -> str:
    """Return what a request in flight lacks, empty where it goes on as it should: a challenger may wait for weeks."""
    if request.state == "watching":
        return _unseen(workspace, settings, request, now)
    if request.state == "claimed":
        return "did not end" if request.stale_at <= now else ""
    if now - request.opened_at <= REQUEST_PATIENCE:
        return ""
    return f"did not get through ({request.reason})" if request.reason else "was not taken up"


def _unseen(workspace: Workspace, settings: ModelSettings, request: RetrainRequest, now: datetime) -> str:
    if request.stale_at <= now:
        return "has a challenger that waited for later windows for too long"
    model, trial = request.cause.model, workspace.ledger.requests.trial(request.id)
    newest = workspace.ledger.latest(model)
    if trial is None or not newest:
        return ""
    if look_end(trial, matured_windows(workspace, settings, model, trial.fresh_from)) is None:
        return ""
    due_at = workspace.ledger.requests.look_asked_at(trial) or newest[0].judged_at
    late = now - due_at > REQUEST_PATIENCE
    return f"has a challenger that nobody has looked at since {due_at:%Y-%m-%d %H:%M} UTC" if late else ""


def _labels(workspace: Workspace, model: str, settings: ModelSettings, now: datetime) -> Iterator[Complaint]:
    if settings.labels is None:
        return
    matured = now - settings.labels.horizon - settings.window.settle - grace(settings.window.every)
    newest = workspace.ledger.latest(model, limit=MATURE_WINDOWS, before=matured - settings.window.every)
    late = [each for each in newest if _unjudged(each)]
    if late:
        first, last = late[-1].window.start, late[0].window.end
        message = (
            f"{len(late)} windows that ended before {matured:%Y-%m-%d %H:%M} UTC were never judged on performance, "
            f"though labels of {model} have had their horizon to arrive."
        )
        again = f"`retrue backfill {model} --start {first:%Y-%m-%dT%H:%M} --end {last:%Y-%m-%dT%H:%M}`"
        step = f"See whether labels arrive in {settings.labels.uri}; then {again}."
        yield _complaint(model, "labels.late", message, step, severity=Severity.WARNING)


def _unjudged(revision: Revision) -> bool:
    """Tell whether performance could have been judged and was not; an inconclusive window is an incident already."""
    measured = any(name.startswith("performance.") for name in revision.metrics)
    return not measured and revision.verdict.outcome is not Outcome.INCONCLUSIVE


def _suite(workspace: Workspace, model: str, settings: ModelSettings, now: datetime) -> Iterator[Complaint]:
    if settings.expectations is None:
        return
    from retrue.adapters.suite_gx import load_suite

    try:
        load_suite(workspace.project.path(settings.expectations))
    except SuiteError as error:
        yield _complaint(model, "setup.suite", str(error), "Mend the suite: no window is judged until it loads.")


def _train(workspace: Workspace, model: str, settings: ModelSettings, now: datetime) -> Iterator[Complaint]:
    """Import the train function in a process of its own: it is the user's code, and may do anything."""
    train = settings.retrain.train if settings.retrain else None
    if train is None:
        return
    module, _, function = train.partition(":")
    command = [sys.executable, "-c", _IMPORT, str(workspace.project.root), module, function]
    try:
        done = _run_alone(command)
    except subprocess.TimeoutExpired:
        why = f"it takes more than {IMPORT_SECONDS:.0f} s"
    else:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1] if done.returncode else ""
    if why:
        message = f"retrain.train {train} cannot be imported: {why}"
        yield _complaint(model, "setup.train", message, "Mend the module, or the name in retrue.yaml.")


def _run_alone(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=IMPORT_SECONDS
    )
