"""Judge one window and let everything follow: measure, judge, write reports, commit, carry out."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import orjson

from retrue.delivery import DeliveryReport, deliver
from retrue.errors import ConfigError, RetrueError
from retrue.failures.stories import FailureStory, measured_failures
from retrue.judge import judge
from retrue.ledger import Revision
from retrue.metrics import greater_is_better
from retrue.recorded import metrics_of, verdict_json
from retrue.reports.markdown import render_markdown
from retrue.reports.message import render_message
from retrue.reports.opening import opening_sentences
from retrue.reports.quality import render_quality
from retrue.reports.since import Hindsight
from retrue.reports.summary import render_summary
from retrue.results import HistoryPoint, Measurements, Verdict
from retrue.stages.compact import compact
from retrue.stages.hindsight import HISTORY_WINDOWS, look_back
from retrue.stages.looks import ask_for_look
from retrue.stages.measure import OpenWindow, measure, open_window
from retrue.stages.probation import watch_champion
from retrue.stages.steps import Step, directly
from retrue.windows import Window
from retrue.workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A window's revision in the ledger, and where its reports lie."""

    revision: Revision
    report_dir: Path
    delivery: DeliveryReport

    @property
    def verdict(self) -> Verdict:
        return self.revision.verdict

    @property
    def facts(self) -> dict[str, object]:
        """What a program wants to know of it, as `--json` prints it and a flow run returns it."""
        return {
            "model": self.verdict.window.model,
            "window_start": self.verdict.window.start.isoformat(),
            "window_end": self.verdict.window.end.isoformat(),
            "revision": self.revision.number,
            "new": self.revision.new,
            "verdict": self.verdict.outcome.value,
            "line": self.verdict.line,
            "findings": [finding.label for finding in self.verdict.findings],
            "model_version": self.verdict.model_version,
            "mlflow_run_id": self.revision.mlflow_run_id,
            "retrain": self.revision.decision.retrain_reason,
            "reports": str(self.report_dir),
        }


def window_to_judge(
    workspace: Workspace, model: str, end: datetime | str | None, *, at: datetime | None = None
) -> Window:
    """Return the window that ends at a time, by default the newest one that had settled ``at`` a time, or now.

    Raises:
        ConfigError: No such model, no window ends there, or it has not ended: judged now, it would outdate all others.
    """
    settings = workspace.project.model(model)
    try:
        window = settings.window.window_ending(model, end, now=at or workspace.now())
        if window.end > workspace.now():
            raise ValueError(f"the window that ends at {window.end:%Y-%m-%d %H:%M} UTC has not ended yet")
        return window
    except ValueError as error:
        raise ConfigError(
            str(error), file=workspace.project.root / "retrue.yaml", key=f"models.{model}.window"
        ) from error


def monitor_window(workspace: Workspace, window: Window, *, step: Step = directly, flow_run_url: str = "") -> Judged:
    """Judge a window; the same window with the same input, settings and baseline is judged once.

    Raises:
        RetrueError: The set-up is broken. A bad or unmeasurable window is a verdict, not an error.
    """
    token = workspace.ledger.claim(window)
    erased = workspace.erased(window.model)
    compact(workspace.project, window.model)
    with open_window(workspace.project, window, step=step, erased=erased) as opened:
        revision = workspace.ledger.find(opened.key)
        if revision is None:
            revision = _judge(workspace, opened, token, step=step, flow_run_url=flow_run_url)
    ledger = workspace.ledger
    if ledger.probations.open_of(window.model) or ledger.requests.watching(window.model):
        step("compare versions", lambda: _compare_versions(workspace, window.model))
    delivery = step("deliver", lambda: carry_out(workspace))
    return Judged(
        revision=replace(workspace.ledger.revision(revision.id), new=revision.new),
        report_dir=workspace.project.path(revision.report_dir),
        delivery=delivery,
    )


def _compare_versions(workspace: Workspace, model: str) -> None:
    """Look at a version on probation, and ask for a look at a challenger that waits: the verdict stands whatever becomes of it."""
    try:
        watch_champion(workspace, model)
        ask_for_look(workspace, model)
    except RetrueError as error:
        log.warning("%s: the versions could not be compared, the next run tries again: %s", model, error)


def carry_out(workspace: Workspace) -> DeliveryReport:
    """Carry out whatever in the outbox is due and has a carrier here."""
    return deliver(workspace.ledger, workspace.carriers, now=workspace.now, worker=workspace.worker)


def _judge(workspace: Workspace, opened: OpenWindow, token: int, *, step: Step, flow_run_url: str) -> Revision:
    measurements, drift_html = measure(opened, step=step)
    verdict = judge(measurements, opened.baseline, opened.settings, config_digest=opened.config_digest)
    report_dir = f".retrue/reports/{opened.window.model}/{opened.window.start:%Y-%m-%dT%H%M}-{verdict.key[:12]}"
    number = (
        len(workspace.ledger.revisions(opened.window)) + 1
    )  # ours, or the claim has passed to another and we may not commit
    history = workspace.ledger.history(opened.window.model, limit=HISTORY_WINDOWS, before=opened.window.start)
    failures = measured_failures(measurements)
    stories = workspace.ledger.failures.tell(opened.window, failures)
    hindsight = look_back(workspace, verdict, measurements, history)
    folder = workspace.project.path(report_dir)
    _write_reports(folder, verdict, measurements, opened, history, stories, hindsight, drift_html, number)
    revision = step(
        "commit",
        lambda: workspace.ledger.commit(
            verdict,
            token=token,
            metrics=metrics_of(measurements, verdict),
            report_dir=report_dir,
            step=opened.settings.window.grid.index(opened.window),
            flow_run_url=flow_run_url,
            settings=opened.settings,
            render=functools.partial(
                render_message,
                stories=stories,
                hindsight=hindsight,
                opening=opening_sentences(verdict, measurements, history, hindsight=hindsight),
            ),
            now=workspace.now(),
            failures=failures,
        ),
    )
    log.info("%s: %s", opened.window.name, verdict.line)
    return revision


def _write_reports(
    folder: Path,
    verdict: Verdict,
    measurements: Measurements,
    opened: OpenWindow,
    history: Sequence[HistoryPoint],
    stories: Sequence[FailureStory],
    hindsight: Hindsight,
    drift_html: str,
    number: int,
) -> None:
    profile = opened.baseline.profile if opened.baseline else None
    pages: Mapping[str, str] = {
        "summary.html": render_summary(
            verdict, measurements, history, limits=_limits(opened, measurements), stories=stories, hindsight=hindsight
        ),
        "quality.html": render_quality(verdict, measurements, baseline=profile),
        "drift.html": drift_html,
        "verdict.md": render_markdown(verdict, measurements, history, stories=stories, hindsight=hindsight),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        if page:
            (folder / name).write_text(page, encoding="utf-8")
    measuring = opened.settings.measuring_digest(opened.suite.content if opened.suite else b"")
    document = verdict_json(verdict, measurements, revision=number, measuring_digest=measuring)
    (folder / "verdict.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _limits(opened: OpenWindow, measurements: Measurements) -> Mapping[str, float]:
    """Return the thresholds to draw, by the metric's recorded name."""
    settings, metric = opened.settings, opened.settings.metric
    bound = settings.performance.min if greater_is_better(metric) else settings.performance.max
    system = settings.system
    latency = {f"system.latency_ms.{name}": getattr(system, f"latency_{name}_ms") for name in ("p50", "p95", "p99")}
    limits = {
        f"performance.{metric}.realised": bound,
        f"performance.{metric}.estimated": bound,
        "drift.multivariate": None if measurements.domain is None else measurements.domain.threshold,
        "system.error_share": system.max_error_share,
        "system.cost_usd_per_1k": system.max_cost_usd_per_1k,
        "system.cpu_cores.p95": system.max_cpu_cores,
        "system.memory_bytes.max": None if system.max_memory_gb is None else system.max_memory_gb * 1e9,
        "system.connections.max": system.max_connections,
        **latency,
    }
    return {name: limit for name, limit in limits.items() if limit is not None}
