"""Judge every window of a span, oldest first."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial

from retrue.errors import RetrueError
from retrue.stages.baseline_rows import changed_since
from retrue.stages.monitor import Judged, monitor_window, window_to_judge
from retrue.stages.steps import Step, directly
from retrue.times import as_utc
from retrue.windows import Window
from retrue.workspace import Workspace

log = logging.getLogger(__name__)

REVISITED_MAX = 100  # windows; each is pulled again to see whether its labels have come


def judge_span(
    workspace: Workspace, model: str, start: datetime, end: datetime, *, step: Step = directly, flow_run_url: str = ""
) -> Iterator[Judged]:
    """Judge the windows that lie wholly within [start, end) and have settled, and yield each as it is done.

    Raises:
        RetrueError: One could not be judged: the first such error, once all others were.
    """
    settings = workspace.project.model(model).window
    settled = settings.grid.floor(workspace.now() - settings.settle)
    windows = settings.grid.windows_between(model, as_utc(start), min(as_utc(end), settled))
    yield from _judge_all(workspace, windows, step, flow_run_url)


def judge_matured(
    workspace: Workspace, model: str, *, step: Step = directly, flow_run_url: str = ""
) -> Iterator[Judged]:
    """Judge again the windows within the labels' horizon that still wait for labels, and yield those that changed.

    Not those of which `retention` has taken something, nor those whose baseline it has: what is gone would look as if it had
    never been there.

    Raises:
        RetrueError: One could not be judged: the first such error, once all others were.
    """
    settings = workspace.project.model(model)
    if settings.labels is None:
        return
    oldest = workspace.now() - settings.labels.horizon
    newest_first = workspace.ledger.latest(model, limit=REVISITED_MAX)
    waiting = [each for each in reversed(newest_first) if each.awaits_labels and each.window.end > oldest]
    kept = workspace.project.retention.of_records
    whole = [
        each.window
        for each in waiting
        if (kept is None or each.window.start >= workspace.now() - kept) and not changed_since(workspace, each.verdict)
    ]
    yield from (judged for judged in _judge_all(workspace, whole, step, flow_run_url) if judged.revision.new)


def _judge_all(workspace: Workspace, windows: Iterable[Window], step: Step, flow_run_url: str) -> Iterator[Judged]:
    failed = None
    for window in windows:
        try:
            judged = step(window.name, partial(monitor_window, workspace, window, flow_run_url=flow_run_url))
        except RetrueError as error:
            log.warning("%s could not be judged: %s", window.name, error)
            failed = failed or error
        else:
            yield judged
    if failed:
        raise failed


def judge_due(
    workspace: Workspace,
    model: str,
    window_end: datetime | str | None,
    *,
    at: datetime | None = None,
    step: Step = directly,
    flow_run_url: str = "",
) -> Iterator[Judged]:
    """Judge the window that ends at ``window_end``, which is yielded last.

    By default that is the newest one that had settled ``at`` the time the run was scheduled for, or now, after those whose labels have come; it is judged whatever became of them.

    Raises:
        RetrueError: One could not be judged.
    """
    failed = None
    if window_end is None:
        try:
            yield from judge_matured(workspace, model, step=step, flow_run_url=flow_run_url)
        except RetrueError as error:
            failed = error
    window = window_to_judge(workspace, model, window_end, at=at)
    yield monitor_window(workspace, window, step=step, flow_run_url=flow_run_url)
    if failed:
        raise failed


def count_outcomes(judged: Iterable[Mapping[str, object]]) -> str:
    """Return how many windows came out how, as a state message shows it."""
    counts = Counter(str(facts["verdict"]) for facts in judged)
    shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    return f"{counts.total()} windows: {shown}" if shown else "no window lies wholly in the span"
