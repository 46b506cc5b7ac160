"""Findings about performance: bounds, drops, labels that are awaited. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.config import ModelSettings
from retrue.metrics import greater_is_better, improvement
from retrue.results import Baseline, Finding, Interval, Measurements, Severity

LABELS_WAITING = "labels"
LABELS_COVERAGE = "labels.coverage"


def performance_findings(measurements: Measurements, baseline: Baseline, settings: ModelSettings) -> Iterator[Finding]:
    waiting = next((item for item in measurements.unmeasured if item.part == LABELS_WAITING), None)
    if waiting:
        yield Finding(
            check=LABELS_COVERAGE,
            scope="",
            severity=Severity.INFO,
            value=waiting.reason,
            threshold=f"{settings.performance.min_coverage:.0%}",
            message=f"Performance is not judged yet: {waiting.reason}.",
            next_step="The window is judged again once labels have arrived.",
        )
    realised = measurements.performance
    if realised is None:
        return
    yield from _bound_finding(realised.metric, realised.judged, settings)
    if baseline.performance is not None and baseline.performance.metric == realised.metric:
        yield from _drop_finding(realised.metric, realised.judged, baseline.performance.judged.value, settings)
    elif settings.performance.max_drop is not None:
        yield Finding(
            check="performance.reference",
            scope=realised.metric,
            severity=Severity.INFO,
            value="none",
            threshold=f"± {settings.performance.max_drop:g}",
            message=f"A drop of {realised.metric} is not judged: the baseline of version {baseline.version} has no {realised.metric}.",
            next_step="Freeze a baseline of rows that have labels.",
        )


def _bound_finding(metric: str, realised: Interval, settings: ModelSettings) -> Iterator[Finding]:
    bound = settings.performance.min if greater_is_better(metric) else settings.performance.max
    if bound is None or improvement(metric, before=bound, after=realised.value) >= 0:
        return
    sure = improvement(metric, before=bound, after=_best(metric, realised)) < 0
    yield Finding(
        check="performance.realised",
        scope=metric,
        severity=Severity.CRITICAL if sure else Severity.WARNING,
        value=_shown(realised),
        threshold=f"{bound:g}",
        message=f"Realised {metric} is {_shown(realised)}, {'below' if greater_is_better(metric) else 'above'} {bound:g}.",
        next_step="Compare drift.html and the slices; retrain if the world has changed, mend the features if they have.",
    )


def _drop_finding(metric: str, realised: Interval, reference: float, settings: ModelSettings) -> Iterator[Finding]:
    limit = settings.performance.max_drop
    if limit is None or improvement(metric, before=reference, after=realised.value) >= -limit:
        return
    sure = improvement(metric, before=reference, after=_best(metric, realised)) < -limit
    yield Finding(
        check="performance.drop",
        scope=metric,
        severity=Severity.CRITICAL if sure else Severity.WARNING,
        value=_shown(realised),
        threshold=f"{reference:.3f} ± {limit:g}",
        message=f"Realised {metric} is {_shown(realised)}; the baseline had {reference:.3f}, a worsening of at most {limit:g} is allowed.",
        next_step="See whether inputs drifted too: then retraining on recent rows is likely to help.",
    )


def _best(metric: str, interval: Interval) -> float:
    return interval.high if greater_is_better(metric) else interval.low


def _shown(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
