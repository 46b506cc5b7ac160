"""A window in the light of those before it: since when what was found has been so, and what moved all of a sudden. Pure.

None of it is part of a verdict, which follows from its own window alone; it is what reports say of the history at the time.
Only windows that the same model version served are compared: scores of another version are distances from another baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from retrue.recorded import MEAN, encode_name, metrics_of
from retrue.results import Finding, HistoryPoint, Measurements, Verdict
from retrue.statistics.change_point import ChangePoint, find_change
from retrue.statistics.jump import jump_p_value
from retrue.windows import Window

MOVES_LEVEL = 0.01  # chance of any sudden move being told in a window without one, over all columns together
_TRAFFIC = {"system.errors": "system.error_share"} | {
    f"system.latency_{name}": f"system.latency_ms.{name}" for name in ("p50", "p95", "p99")
}
_PERFORMANCE = {"performance.estimated": "estimated"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """Since when a metric has been as it is: the first window of the change, and the first and last it may have been."""

    change: ChangePoint
    since: Window
    earliest: Window
    latest: Window
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A column's mean, or its distance from the baseline, that is suddenly not what it was in the window before.

    ``p_value`` counts all that was looked at in the window (Bonferroni).
    """

    column: str
    metric: str
    before: float
    now: float
    p_value: float

    @property
    def is_mean(self) -> bool:
        return self.metric.startswith(MEAN)


def metric_of(check: str, scope: str) -> str | None:
    """Return the recorded metric that a finding is about, None where it is about no single one.

    >>> metric_of("drift.column", "temp"), metric_of("performance.drop", "roc_auc"), metric_of("schema.missing", "temp")
    ('drift.temp', 'performance.roc_auc.realised', None)
    """
    if check in ("drift.column", "drift.prediction"):
        return encode_name(scope)
    if check in ("drift.share", "drift.multivariate"):
        return check
    if check.startswith("performance.") and scope:
        return f"performance.{scope}.{_PERFORMANCE.get(check, 'realised')}"
    return None if scope else _TRAFFIC.get(check)


def date_findings(verdict: Verdict, measurements: Measurements, history: Sequence[HistoryPoint]) -> Mapping[str, Dated]:
    """Return since when breaching findings have been so, by fingerprint; those that cannot be dated are left out.

    Args:
        verdict: The judged window.
        measurements: What it was judged on.
        history: Other windows of the model, in any order; later ones are not looked at.
    """
    past = [*_before(verdict.window, verdict.model_version, history), _point(verdict, measurements)]
    breaching = [finding for finding in verdict.findings if finding.severity.breaches]
    dated = {finding.fingerprint(verdict.window.model): _date(finding, past) for finding in breaching}
    return {fingerprint: each for fingerprint, each in dated.items() if each is not None}


def date_metric(name: str | None, points: Sequence[HistoryPoint]) -> Dated | None:
    """Return since when a metric has been as it is in the last of these windows, None where that is not told from chance.

    Args:
        name: As recorded.
        points: Windows that one model version served, oldest first; those without the metric are left out.
    """
    known = [(each.window, each.metrics[name]) for each in points if name is not None and name in each.metrics]
    change = find_change([value for _, value in known])
    if change is None:
        return None
    windows = [window for window, _ in known]
    since, earliest, latest = (windows[at] for at in (change.index, change.low, change.high))
    return Dated(change=change, since=since, earliest=earliest, latest=latest, windows=len(windows))


def date_incident(check: str, scope: str, history: Sequence[HistoryPoint]) -> Dated | None:
    """Return since when an incident's metric has been as it is in the newest window, None where that cannot be told."""
    ordered = sorted(history, key=lambda each: each.window.start)
    if not ordered:
        return None
    served = [each for each in ordered if each.model_version == ordered[-1].model_version]
    return date_metric(metric_of(check, scope), served)


def sudden_moves(verdict: Verdict, measurements: Measurements, history: Sequence[HistoryPoint]) -> tuple[Move, ...]:
    """Return what moved suddenly against the windows before, the most surprising first: ``drift.sudden``.

    The baseline cannot show it where the comparison with it is always on, as with a season, or blind, as where a column went
    from one side of it to the other. Every number's mean and every column's drift score is held against its own jumps before;
    with all of them together, a window in which nothing jumped tells something in at most 1 % of cases.
    """
    past = _before(verdict.window, verdict.model_version, history)
    now = metrics_of(measurements, verdict)
    tested = list(_tested(measurements, now, past))
    moves = [Move(column=column, metric=name, before=before, now=now[name], p_value=min(1.0, p_value * len(tested)))
             for column, name, before, p_value in tested]  # fmt: skip
    return tuple(sorted((each for each in moves if each.p_value <= MOVES_LEVEL), key=lambda each: each.p_value))


def _tested(
    measurements: Measurements, now: Mapping[str, float], past: Sequence[HistoryPoint]
) -> Iterator[tuple[str, str, float, float]]:
    """Yield column, metric, value before, and chance, of everything that has enough of a past."""
    drift = [each.column for each in measurements.drift.columns] if measurements.drift else []
    profile = list(measurements.profile.columns) if measurements.profile else []
    named = [(each, encode_name(each, prefix=MEAN)) for each in profile] + [(each, encode_name(each)) for each in drift]
    for column, name in named:
        before = [each.metrics[name] for each in past if name in each.metrics]
        p_value = jump_p_value([*before, now[name]]) if name in now else None
        if p_value is not None:
            yield column, name, before[-1], p_value


def _date(finding: Finding, past: Sequence[HistoryPoint]) -> Dated | None:
    return date_metric(metric_of(finding.check, finding.scope), past)


def _before(window: Window, version: str, history: Sequence[HistoryPoint]) -> list[HistoryPoint]:
    earlier = [each for each in history if each.window.start < window.start and each.model_version == version]
    return sorted(earlier, key=lambda each: each.window.start)


def _point(verdict: Verdict, measurements: Measurements) -> HistoryPoint:
    return HistoryPoint(
        window=verdict.window,
        revision=0,
        outcome=verdict.outcome,
        line=verdict.line,
        model_version=verdict.model_version,
        metrics=metrics_of(measurements, verdict),
        breaches=verdict.breaches,
    )
