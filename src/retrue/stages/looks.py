"""When a challenger that waits for later windows is to be looked at again."""

from __future__ import annotations

from datetime import datetime

from retrue.ledger import Trial
from retrue.stages.maturity import Matured, matured_windows
from retrue.workspace import Workspace


def ask_for_look(workspace: Workspace, model: str) -> None:
    """Ask for a look at a challenger that waits, where windows have matured since the last: the flow `retrain` takes it."""
    trial = workspace.ledger.requests.watching(model)
    if trial is None:
        return
    settings = workspace.project.model(model)
    end = look_end(trial, matured_windows(workspace, settings, model, trial.fresh_from))
    if end is not None:
        workspace.ledger.requests.ask_look(trial.request_id, end, workspace.now())


def look_end(trial: Trial, matured: Matured | None) -> datetime | None:
    """Return up to where the next look goes, None where there is nothing new to see: a shadow is looked at once, at its end."""
    if matured is None or matured.end is None:
        return None
    end = min(matured.end, trial.ends_at)
    least = trial.ends_at if trial.kind == "shadow" else (trial.looks[-1].end if trial.looks else trial.fresh_from)
    new = end >= least if trial.kind == "shadow" else end > least
    return end if new else None
