"""What the ledger's history says about one window: since when, what is pending, what moved."""

from __future__ import annotations

from collections.abc import Sequence

from retrue.incidents import pending
from retrue.reports.since import Hindsight, hindsight_of
from retrue.results import HistoryPoint, Measurements, Verdict
from retrue.since import date_findings, sudden_moves
from retrue.standing import Case, Pending
from retrue.workspace import Workspace

HISTORY_WINDOWS = 60  # that charts show and changes are dated by


def look_back(
    workspace: Workspace, verdict: Verdict, measurements: Measurements, history: Sequence[HistoryPoint]
) -> Hindsight:
    """Return what is to be said of a verdict that is about to be committed."""
    return hindsight_of(
        verdict,
        date_findings(verdict, measurements, history),
        pending_findings(workspace, verdict),
        sudden_moves(verdict, measurements, history),
    )


def pending_findings(workspace: Workspace, verdict: Verdict) -> tuple[Pending, ...]:
    """Return what may become an incident, as of a verdict's window."""
    settings, now = workspace.project.model(verdict.window.model), workspace.now()
    if settings.alarms.reach == 1:  # nothing is ever pending
        return ()
    standing = workspace.ledger.standing(verdict, settings=settings, now=now)
    return pending(Case(verdict=verdict, standing=standing, settings=settings, now=now))
