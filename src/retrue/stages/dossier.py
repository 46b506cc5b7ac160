"""Everything that is known of an incident or of a failure group: from the ledger, and where its traces are from MLflow."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence

from retrue.errors import LedgerError, RetrueError
from retrue.failures.stories import FailureStory
from retrue.ledger import IncidentStory
from retrue.reports.dossier import Dossier
from retrue.reports.since import since_line
from retrue.results import Finding, Severity
from retrue.since import date_incident
from retrue.stages.hindsight import HISTORY_WINDOWS
from retrue.standing import is_failure
from retrue.workspace import Workspace

log = logging.getLogger(__name__)

GROUP_CHECK = "failure.group"
_TRACE = re.compile(r"[\w-]{1,64}")  # what comes from a log is asked of a server only if it looks like an id


def dossier(workspace: Workspace, name: str) -> Dossier:
    """Return what is known of the incident whose fingerprint, or the failure group whose id begins like this.

    Raises:
        LedgerError: Nothing or more than one thing begins like this.
    """
    incident, group = _incident(workspace, name), None
    if incident is None:
        group = workspace.ledger.failures.get(name)
        incident = _incident(workspace, _fingerprint(group))
    elif is_failure(incident.incident.check):
        group = _group(workspace, incident)
    return Dossier(
        incident=incident,
        failure=group,
        trace_urls=_trace_urls(workspace, group.traces if group else ()),
        now=workspace.now(),
        since=_since(workspace, incident) if incident else "",
    )


def _since(workspace: Workspace, story: IncidentStory) -> str:
    """Return when the metric of an open incident changed, and how, by the last windows."""
    incident = story.incident
    if incident.state == "resolved":
        return ""
    dated = date_incident(
        incident.check, incident.scope, workspace.ledger.history(incident.model, limit=HISTORY_WINDOWS)
    )
    return since_line(dated) if dated else ""


def _incident(workspace: Workspace, fingerprint: str) -> IncidentStory | None:
    try:
        return workspace.ledger.incidents.tell(fingerprint)
    except LedgerError:  # then it may be a failure group, whose lookup says what is wrong
        return None


def _group(workspace: Workspace, incident: IncidentStory) -> FailureStory | None:
    try:
        return workspace.ledger.failures.get(incident.incident.scope, model=incident.incident.model)
    except LedgerError:  # the revision that had it is not the newest any more
        return None


def _fingerprint(group: FailureStory) -> str:
    finding = Finding(
        check=GROUP_CHECK, scope=group.id, severity=Severity.INFO, value="", threshold="", message="", next_step=""
    )
    return finding.fingerprint(group.until.model)


def _trace_urls(workspace: Workspace, traces: Sequence[str]) -> Mapping[str, str]:
    """Return the pages of traces in MLflow; none where it has no server, does not answer or does not know them."""
    named = [trace for trace in traces if _TRACE.fullmatch(trace)]
    if not named or not workspace.project.mlflow:
        return {}
    from retrue.adapters.traces_mlflow import trace_urls

    try:
        return trace_urls(workspace.project.mlflow, named)
    except RetrueError as error:
        log.warning("%s", error)
        return {}
