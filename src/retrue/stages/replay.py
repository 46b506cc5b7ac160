"""Replay a policy over past windows, out of the ledger and the logs. Nothing is written anywhere, and nobody is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from retrue.adapters.suite_gx import load_suite
from retrue.config import ModelSettings, Project
from retrue.config_file import load_policy
from retrue.errors import ReplayError
from retrue.failures.stories import MeasuredFailures, measured_failures
from retrue.judge import judge, unreadable_reasons
from retrue.ledger import Known, Revision
from retrue.recorded import measurements_of
from retrue.replayed import PolicyRun, Rejudged, Span, lies_in, run_policy
from retrue.results import Baseline, DriftResult, Measurements, Verdict
from retrue.stages.measure import check_columns, find_baseline, measure, open_window
from retrue.standing import FailureStanding
from retrue.thresholds import explain_drift, under_settings, window_thresholds
from retrue.times import as_utc
from retrue.windows import Window
from retrue.workspace import Workspace

log = logging.getLogger(__name__)

PRESENT = "present"
RECORDED = "as recorded"
FROM_RECORD = "judged again from what is recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two policies over the same span; ``skipped`` are windows that neither could be replayed on, with the reason."""

    model: str
    start: datetime
    end: datetime
    present: PolicyRun
    other: PolicyRun
    skipped: tuple[tuple[Window, str], ...]

    @property
    def outcome(self) -> str:
        """Whether the other policy would have raised false alarms; any alarm counts where no window is marked healthy."""
        counted = self.other.false_alarms if self.other.healthy_windows else self.other.alarms
        return "breached" if counted else "healthy"


@dataclass(frozen=True, slots=True)
class _Policy:
    """A policy with what it is judged by: a project in which it stands, the suite's bytes, and the digests of both."""

    name: str
    project: Project
    settings: ModelSettings
    suite: bytes

    @property
    def config_digest(self) -> str:
        return self.settings.judging_digest(self.suite)

    @property
    def measuring_digest(self) -> str:
        return self.settings.measuring_digest(self.suite)


class _LostLogError(Exception):
    """A window's log is not whole any more."""


def replay(
    workspace: Workspace,
    model: str,
    policy: Path,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    healthy: Sequence[Span] = (),
) -> Comparison:
    """Replay another policy, and the present one beside it, over the windows of a span.

    Args:
        workspace: The project.
        model: Whose windows.
        policy: Another retrue.yaml, or a file with the keys of the model's block that differ.
        start: The first window starts then or later; that of the first judged window by default.
        end: The last window ends by then; that of the last judged window by default.
        healthy: Spans known to have been well, beside those of ``alarms.healthy`` of both policies.

    Raises:
        ConfigError: The policy is refused.
        ReplayError: No window lies in the span or in one of ``healthy``, or none was ever judged and the span is not given.
        RetrueError: The set-up is broken, as when a window is judged.
    """
    present = _policy(PRESENT, workspace.project, model)
    settings = load_policy(policy, workspace.project.root, model)
    other = _policy(policy.name, _with(workspace.project, model, settings), model)
    span = _span(workspace, model, start, end)
    spans = (*healthy, *present.settings.alarms.healthy, *other.settings.alarms.healthy)
    known, skipped = workspace.ledger.failures.known(model), dict[Window, str]()
    judged = [list(_judged(workspace, each, model, span, known, skipped)) for each in (present, other)]
    both = [[each for each in windows if each.verdict.window not in skipped] for windows in judged]
    if not all(both):
        raise ReplayError(f"no window of {model} could be replayed from {span[0]:%Y-%m-%d} to {span[1]:%Y-%m-%d}")
    runs = [
        run_policy(each.name, windows, each.settings, healthy=tuple(dict.fromkeys(spans)))
        for each, windows in zip((present, other), both, strict=True)
    ]
    _refuse_empty(healthy, [each.verdict.window for each in runs[1].windows])
    return Comparison(
        model=model, start=span[0], end=span[1], present=runs[0], other=runs[1], skipped=tuple(sorted(skipped.items()))
    )


def _policy(name: str, project: Project, model: str) -> _Policy:
    settings = project.model(model)
    suite = load_suite(project.path(settings.expectations)).content if settings.expectations else b""
    return _Policy(name, project, settings, suite)


def _with(project: Project, model: str, settings: ModelSettings) -> Project:
    return project.model_copy(update={"models": {**project.models, model: settings}})


def _span(workspace: Workspace, model: str, start: datetime | None, end: datetime | None) -> Span:
    judged = workspace.ledger.windows(model)
    if not judged and (start is None or end is None):
        raise ReplayError(f"no window of {model} was ever judged: say which span to replay (--start, --end)")
    first = as_utc(start) if start else judged[0].start
    last = as_utc(end) if end else judged[-1].end
    return first, last


def _refuse_empty(spans: Sequence[Span], windows: Sequence[Window]) -> None:
    """Refuse spans without a window: a mistyped year would have no false alarm, whatever the policy."""
    for start, end in spans:
        if not any(lies_in(each, (start, end)) for each in windows):
            raise ReplayError(
                f"the span marked healthy from {start:%Y-%m-%d} to {end:%Y-%m-%d} holds no whole window of "
                f"{windows[0].model}: those from {windows[0].start:%Y-%m-%d} to {windows[-1].end:%Y-%m-%d} were replayed"
            )


def _judged(
    workspace: Workspace, policy: _Policy, model: str, span: Span, known: Known, skipped: dict[Window, str]
) -> Iterator[Rejudged]:
    """Yield each settled window of a span under a policy, oldest first, with where failure groups stand by then."""
    window = policy.settings.window
    settled = window.grid.floor(workspace.now() - window.settle)
    so_far = known.nothing()
    for each in window.grid.windows_between(model, span[0], min(span[1], settled)):
        try:
            verdict, how, failures = _rejudge(workspace, policy, each)
        except _LostLogError as lost:
            skipped[each] = str(lost)
            continue
        counted = so_far.plus(each, failures) if failures is not None else so_far.plus_from(known, each)
        standing = FailureStanding() if counted is so_far else counted.standing(so_far, each)
        so_far = counted
        yield Rejudged(verdict=verdict, how=how, failures=standing)


def _rejudge(workspace: Workspace, policy: _Policy, window: Window) -> tuple[Verdict, str, MeasuredFailures | None]:
    """Return a window's verdict under a policy, how it came about, and its failures where they were measured again."""
    revision = next(reversed(workspace.ledger.revisions(window)), None)
    if revision is None:
        return _measured_again(workspace, policy, window, None, "it was never judged")
    if revision.verdict.config_digest == policy.config_digest:
        return revision.verdict, RECORDED, None
    measurements, reason = _recorded(workspace.project, policy, revision)
    if measurements is None:
        return _measured_again(workspace, policy, window, revision, reason)
    baseline = find_baseline(policy.project, window.model, measurements.model_version)
    verdict = judge(measurements, baseline, policy.settings, config_digest=policy.config_digest)
    return verdict, FROM_RECORD, None


def _recorded(project: Project, policy: _Policy, revision: Revision) -> tuple[Measurements | None, str]:
    """Return what a revision measured, under a policy's thresholds; None where that does not suffice, and why."""
    document = _document(project.path(revision.report_dir) / "verdict.json")
    if document is None:
        return None, "its measurements are gone"
    if document["digests"].get("measuring") != policy.measuring_digest:
        return None, "the policy measures otherwise"
    measurements = measurements_of(document)
    baseline = find_baseline(policy.project, revision.window.model, measurements.model_version)
    if (baseline.digest if baseline else "") != measurements.baseline_digest:
        return None, "its baseline is another one now"
    if baseline is None:
        return measurements, ""
    check_columns(policy.project, policy.settings, baseline)
    if measurements.profile is None and not any(unreadable_reasons(measurements, policy.settings)):
        return None, "too little of it was measured"
    return _under_thresholds(measurements, baseline, policy.settings)


def _under_thresholds(
    measurements: Measurements, baseline: Baseline, settings: ModelSettings
) -> tuple[Measurements | None, str]:
    if measurements.drift is None:
        return measurements, ""
    rows = {each.column: each.rows for each in measurements.drift.columns if each.rows}
    thresholds = window_thresholds(baseline, settings, rows)
    columns = []
    for each in measurements.drift.columns:
        method, threshold = thresholds.get(each.column, ("", 0.0))
        if method != each.method:
            return None, "the policy measures otherwise"
        columns.append(replace(each, threshold=threshold))
    domain = measurements.domain and under_settings(measurements.domain, baseline, settings)
    if domain and domain.drifted and not domain.parts:
        return None, "under the policy the window is told apart, and by what was not recorded"
    drift: DriftResult = replace(measurements.drift, columns=tuple(columns))
    return replace(measurements, drift=explain_drift(drift, baseline, settings, rows), domain=domain), ""


def _document(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        log.debug("no measurements in %s: %s", path, error)
        return None


def _measured_again(
    workspace: Workspace, policy: _Policy, window: Window, revision: Revision | None, reason: str
) -> tuple[Verdict, str, MeasuredFailures | None]:
    """Measure a window from its log.

    Raises:
        _LostLogError: The log has fewer rows than when the window was judged: what is gone would look as if it had never been.
    """
    before = revision.metrics.get("rows", 0.0) if revision else 0.0
    with open_window(policy.project, window, erased=workspace.erased(window.model)) as opened:
        if opened.pulled.report.rows < before:
            raise _LostLogError(f"{reason}, and its log has {opened.pulled.report.rows:,} of {before:,.0f} rows left")
        measurements, _ = measure(opened)
        verdict = judge(measurements, opened.baseline, policy.settings, config_digest=policy.config_digest)
    return verdict, f"measured again from the log: {reason}", measured_failures(measurements)
