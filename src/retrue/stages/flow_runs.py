"""Flow runs on the Prefect server whose time is over, of all models in one look."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from retrue.errors import DeliveryError
from retrue.ledger import Trace
from retrue.workspace import Workspace

if TYPE_CHECKING:
    from retrue.adapters.purge_prefect import EndedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class OldFlowRuns:
    """Flow runs that ended before a time, by model, or why they could not be listed.

    Runs of flows that are of no model count with the project's first. ``before`` is None where they are kept for ever.
    """

    before: datetime | None = None
    of_model: Mapping[str, Sequence[EndedRun]] = field(default_factory=dict)
    problem: str = ""


def old_flow_runs(workspace: Workspace, models: Collection[str]) -> OldFlowRuns:
    """List the flow runs whose time is over. A server that does not answer is asked once, whatever the number of models."""
    kept = workspace.project.retention.prefect
    if kept is None:
        return OldFlowRuns()
    before = workspace.now() - kept
    if not workspace.prefect:
        return OldFlowRuns(before=before)
    from retrue.adapters.purge_prefect import FlowRuns

    try:
        found = FlowRuns(workspace.prefect).ended_before(before, models)
    except DeliveryError as error:
        return OldFlowRuns(before=before, problem=str(error))
    first = next(iter(workspace.project.models))
    of_model = {model: [run for run in found if (run.model or first) == model] for model in models}
    return OldFlowRuns(before=before, of_model=of_model)


def beyond_reach(workspace: Workspace, model: str, traces: Sequence[Trace], before: datetime | None) -> str:
    """Return why flow runs of a model cannot be removed where no server is configured; empty where there is none to remove.

    A time that somebody set is meant: it is told that it cannot be kept even where the ledger knows of no run.
    """
    if workspace.prefect or before is None:
        return ""
    old = len({trace.flow_run_url for trace in traces if trace.flow_run_url and trace.judged_at < before})
    if not old and "prefect" not in workspace.project.retention.model_fields_set:
        return ""
    which = f"{old} flow runs of {model} have expired" if old else f"retention.prefect ends flow runs of {model}"
    return f"{which}, and no Prefect server is configured"


def oldest_flow_run(traces: Sequence[Trace], since: datetime) -> datetime | None:
    """Return when the oldest window was judged whose flow run stays."""
    return min((each.judged_at for each in traces if each.flow_run_url and each.judged_at >= since), default=None)


def remove_flow_runs(workspace: Workspace, runs: Sequence[EndedRun], problems: list[str]) -> Iterator[int]:
    """Remove flow runs; yields 1 for each that is gone. The ledger forgets each before Prefect does."""
    if not runs:
        return
    from retrue.adapters.purge_prefect import FlowRuns

    try:
        for _ in FlowRuns(workspace.prefect).remove(runs, forget=workspace.ledger.purges.forget_flow_run):
            yield 1
    except DeliveryError as error:
        problems.append(str(error))
