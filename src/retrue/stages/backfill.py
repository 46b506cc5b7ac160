"""Judge every window of a span, oldest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial

from retrue.stages.monitor import Judged, monitor_window
from retrue.stages.steps import Step, directly
from retrue.times import as_utc
from retrue.workspace import Workspace

REVISITED_MAX = 100  # windows; each is pulled again to see whether its labels have come


def judge_span(
    workspace: Workspace, model: str, start: datetime, end: datetime, *, step: Step = directly, flow_run_url: str = ""
) -> Iterator[Judged]:
    """Judge the windows that lie wholly within [start, end) and have settled, and yield each as it is done."""
    settings = workspace.project.model(model).window
    settled = settings.grid.floor(workspace.now() - settings.settle)
    for window in settings.grid.windows_between(model, as_utc(start), min(as_utc(end), settled)):
        yield step(window.name, partial(monitor_window, workspace, window, flow_run_url=flow_run_url))


def judge_matured(
    workspace: Workspace, model: str, *, step: Step = directly, flow_run_url: str = ""
) -> Iterator[Judged]:
    """Judge again the windows within the labels' horizon that still wait for labels, and yield those that changed."""
    settings = workspace.project.model(model)
    if settings.labels is None:
        return
    oldest = workspace.now() - settings.labels.horizon
    for revision in reversed(workspace.ledger.latest(model, limit=REVISITED_MAX)):
        if revision.awaits_labels and revision.window.end > oldest:
            again = partial(monitor_window, workspace, revision.window, flow_run_url=flow_run_url)
            judged = step(f"again: {revision.window.name}", again)
            if judged.revision.new:
                yield judged


def count_outcomes(judged: Iterable[Mapping[str, object]]) -> str:
    """Return how many windows came out how, as a state message shows it."""
    counts = Counter(str(facts["verdict"]) for facts in judged)
    shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    return f"{counts.total()} windows: {shown}" if shown else "no window lies wholly in the span"
