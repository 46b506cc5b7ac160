"""Replay a policy over past windows, out of the ledger and the logs. Nothing is written anywhere, and nobody is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from retrue.adapters.suite_gx import load_suite
from retrue.config import ModelSettings, Project
from retrue.config_file import Policy, load_policy
from retrue.errors import ConfigError, ReplayError
from retrue.failures.stories import MeasuredFailures, measured_failures
from retrue.judge import judge, unreadable_reasons
from retrue.ledger import Known, Revision
from retrue.marginals import profile_before_marginals
from retrue.recorded import measurements_of
from retrue.replayed import PolicyRun, Rejudged, Span, lies_in, run_policy
from retrue.results import Baseline, DriftResult, Measurements, Verdict
from retrue.stages.measure import check_columns, find_baseline, measure, open_window
from retrue.standing import FailureStanding
from retrue.thresholds import explain_drift, under_settings, window_thresholds
from retrue.times import as_utc, duration_text
from retrue.windows import Window
from retrue.workspace import Workspace

log = logging.getLogger(__name__)

PRESENT = "present"
RECORDED = "as recorded"
FROM_RECORD = "judged again from what is recorded"
MEASURED_AGAIN = "measured again from the log"
BESIDE = f"{MEASURED_AGAIN}, as for the other policy"


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
    """A policy with what it is judged by: a project in which it stands, the suite's bytes, and the digests of both.

    ``written`` is the file that it was read from, None of what retrue.yaml says.
    """

    name: str
    project: Project
    settings: ModelSettings
    suite: bytes
    written: Policy | None = None

    @property
    def config_digest(self) -> str:
        return self.settings.judging_digest(self.suite)

    @property
    def measuring_digest(self) -> str:
        return self.settings.measuring_digest(self.suite)


_Told = tuple[Verdict, str, MeasuredFailures | None]
"""A window's verdict under a policy, how it came about, and its failures where they were measured again."""


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
    written = load_policy(policy, workspace.project.root, model)
    other = _policy(policy.name, _with(workspace.project, model, written.settings), model, written)
    span = _span(workspace, model, start, end)
    spans = (*healthy, *present.settings.alarms.healthy, *other.settings.alarms.healthy)
    judged, skipped = _judged(workspace, (present, other), model, span)
    if not all(judged):
        why = next((f": {reason}" for _, reason in sorted(skipped.items())), "")
        raise ReplayError(f"no window of {model} could be replayed from {span[0]:%Y-%m-%d} to {span[1]:%Y-%m-%d}{why}")
    known = workspace.ledger.failures.known(model)
    runs = [
        run_policy(each.name, list(_counted(told, known)), each.settings, healthy=tuple(dict.fromkeys(spans)))
        for each, told in zip((present, other), judged, strict=True)
    ]
    _refuse_empty(healthy, [each.verdict.window for each in runs[1].windows])
    return Comparison(
        model=model, start=span[0], end=span[1], present=runs[0], other=runs[1], skipped=tuple(sorted(skipped.items()))
    )


def _policy(name: str, project: Project, model: str, written: Policy | None = None) -> _Policy:
    settings = project.model(model)
    suite = load_suite(project.path(settings.expectations)).content if settings.expectations else b""
    return _Policy(name, project, settings, suite, written)


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
    workspace: Workspace, policies: Sequence[_Policy], model: str, span: Span
) -> tuple[list[list[_Told]], dict[Window, str]]:
    """Return what each policy says of the settled windows of a span, oldest first, and the windows left out, with the reason.

    What is measured again for one policy is measured again for the other: labels that came later count for both.
    """
    found = [
        {each: _from_record(workspace, policy, each) for each in _windows(workspace, policy, model, span)}
        for policy in policies
    ]
    again = {each: how for told in found for each, (verdict, how) in told.items() if verdict is None}
    skipped: dict[Window, str] = {}
    judged = [
        list(_told(workspace, policy, told, again, skipped)) for policy, told in zip(policies, found, strict=True)
    ]
    return [[each for each in told if each[0].window not in skipped] for told in judged], skipped


def _windows(workspace: Workspace, policy: _Policy, model: str, span: Span) -> Sequence[Window]:
    window = policy.settings.window
    settled = window.grid.floor(workspace.now() - window.settle)
    return list(window.grid.windows_between(model, span[0], min(span[1], settled)))


def _told(
    workspace: Workspace,
    policy: _Policy,
    found: Mapping[Window, tuple[Verdict | None, str]],
    again: Mapping[Window, str],
    skipped: dict[Window, str],
) -> Iterator[_Told]:
    """Yield what a policy says of each window; those whose log is not whole any more are added to ``skipped``."""
    for window, (verdict, how) in found.items():
        if verdict is not None and window not in again:
            yield verdict, how, None
        elif window not in skipped:
            try:
                measured, failures = _measured_again(workspace, policy, window)
            except _LostLogError as lost:
                skipped[window] = f"{again[window]}, and {lost}"
            else:
                yield measured, BESIDE if verdict is not None else f"{MEASURED_AGAIN}: {how}", failures


def _counted(told: Sequence[_Told], known: Known) -> Iterator[Rejudged]:
    """Yield windows, oldest first, with where failure groups stand by then."""
    so_far = known.nothing()
    for verdict, how, failures in told:
        window = verdict.window
        counted = so_far.plus(window, failures) if failures is not None else so_far.plus_from(known, window)
        standing = FailureStanding() if counted is so_far else counted.standing(so_far, window)
        so_far = counted
        yield Rejudged(verdict=verdict, how=how, failures=standing)


def _from_record(workspace: Workspace, policy: _Policy, window: Window) -> tuple[Verdict | None, str]:
    """Return a window's verdict under a policy by what is recorded of it, and how; None where that does not suffice, and why."""
    revision = _newest(workspace, window)
    if revision is None:
        return None, "it was never judged"
    if revision.verdict.config_digest == policy.config_digest:
        return revision.verdict, RECORDED
    document = _document(policy.project.path(revision.report_dir) / "verdict.json")
    if document is None:
        return None, "its measurements are gone"
    if document["digests"].get("measuring") != policy.measuring_digest:
        return None, "the policy measures otherwise"
    recorded = measurements_of(document)
    baseline = find_baseline(policy.project, window.model, recorded.model_version)
    if baseline is not None and baseline.digest != recorded.baseline_digest:
        baseline = _as_it_was(workspace, baseline, revision)
    if (baseline.digest if baseline else "") != recorded.baseline_digest:
        return None, "its baseline is another one now"
    measurements, reason = _under_policy(recorded, baseline, policy) if baseline else (recorded, "")
    if measurements is None:
        return None, reason
    return judge(measurements, baseline, policy.settings, config_digest=policy.config_digest), FROM_RECORD


def _under_policy(measurements: Measurements, baseline: Baseline, policy: _Policy) -> tuple[Measurements | None, str]:
    with _placed(policy):
        check_columns(policy.project, policy.settings, baseline)
    if measurements.profile is None and not any(unreadable_reasons(measurements, policy.settings)):
        return None, "too little of it was measured"
    return _under_thresholds(measurements, baseline, policy.settings)


@contextmanager
def _placed(policy: _Policy) -> Iterator[None]:
    """Name the policy's file where a key of it is refused, and not the retrue.yaml that it was put over."""
    try:
        yield
    except ConfigError as error:
        line = policy.written.lines.get(error.key) if policy.written else None
        if policy.written is None or line is None:
            raise
        raise ConfigError(error.message, file=policy.written.file, line=line, key=error.key) from error


def _newest(workspace: Workspace, window: Window) -> Revision | None:
    return next(reversed(workspace.ledger.revisions(window)), None)


def _as_it_was(workspace: Workspace, baseline: Baseline, revision: Revision) -> Baseline:
    """Return a baseline as a revision was compared with it, where no more than rows of people have gone since.

    It was frozen before the window was judged and has had today's digest only since then: nothing but a purge or an erasure
    changes one that is frozen.
    """
    models, at = workspace.ledger.models, revision.judged_at
    changed_at = models.baseline_registered_at(baseline.model, baseline.version, baseline.digest)
    if changed_at is None or not baseline.provenance.frozen_at <= at <= changed_at:
        return baseline
    was = replace(baseline, digest=revision.verdict.baseline_digest)
    if was.marginals is None or was.marginals.made_at < at:
        return was
    return replace(was, marginals=None, profile=profile_before_marginals(was.profile))


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


def _measured_again(workspace: Workspace, policy: _Policy, window: Window) -> tuple[Verdict, MeasuredFailures | None]:
    """Measure a window from its log.

    Raises:
        _LostLogError: `retention` has taken something of it, or it has fewer rows than when the window was judged: what is
            gone would look as if it had never been.
    """
    kept = workspace.project.retention.of_records
    if kept is not None and window.start < workspace.now() - kept:
        raise _LostLogError(f"its records are past their retention of {duration_text(kept)}")
    revision = _newest(workspace, window)
    before = revision.metrics.get("rows", 0.0) if revision else 0.0
    with _placed(policy), open_window(policy.project, window, erased=workspace.erased(window.model)) as opened:
        if opened.pulled.report.rows < before:
            raise _LostLogError(f"its log has {opened.pulled.report.rows:,} of {before:,.0f} rows left")
        measurements, _ = measure(opened)
        verdict = judge(measurements, opened.baseline, policy.settings, config_digest=policy.config_digest)
    return verdict, measured_failures(measurements)
