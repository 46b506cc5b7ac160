"""Findings about performance: bounds, drops, estimates while labels are awaited. Pure.

There is one verdict: by labels where enough have arrived, else by the estimate, else none, which is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from retrue.config import ModelSettings
from retrue.digits import decimal_all
from retrue.metrics import greater_is_better, improvement
from retrue.results import (
    ESTIMATED,
    WITHHELD,
    Baseline,
    EstimatedPerformance,
    Finding,
    Interval,
    Measurements,
    Severity,
    Unmeasured,
)

LABELS_WAITING = "labels"
LABELS_COVERAGE = "labels.coverage"
ESTIMATE = "estimate"
BLIND = "Concept drift is invisible to an estimate."


def performance_findings(measurements: Measurements, baseline: Baseline, settings: ModelSettings) -> Iterator[Finding]:
    unmeasured = {item.part: item for item in measurements.unmeasured}
    if LABELS_WAITING in unmeasured:
        yield _waiting_finding(unmeasured[LABELS_WAITING], measurements.estimate, settings)
    if measurements.performance is None:
        yield from _estimate_findings(measurements.estimate, unmeasured.get(ESTIMATE), baseline, settings)
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


def _waiting_finding(waiting: Unmeasured, estimate: EstimatedPerformance | None, settings: ModelSettings) -> Finding:
    instead = f" The estimate stands in: {estimate.metric} {shown(estimate.judged)}. {BLIND}" if estimate else ""
    return Finding(
        check=LABELS_COVERAGE,
        scope="",
        severity=Severity.INFO,
        value=waiting.reason,
        threshold=f"{settings.performance.min_coverage:.0%}",
        message=f"Performance is not judged{' by labels' if estimate else ''} yet: {waiting.reason}.{instead}",
        next_step="The window is judged again once labels have arrived.",
    )


def _estimate_findings(
    estimate: EstimatedPerformance | None, withheld: Unmeasured | None, baseline: Baseline, settings: ModelSettings
) -> Iterator[Finding]:
    """Judge an estimate by the stricter of the bounds: it breaches only when its whole interval is beyond."""
    if estimate is None:
        if withheld and _bounded(settings):
            yield _withheld_finding(withheld)
        return
    metric, limit = estimate.metric, _estimate_limit(estimate.metric, baseline, settings)
    if limit is None or improvement(metric, before=limit, after=estimate.judged.value) >= 0:
        return
    sure = improvement(metric, before=limit, after=_best(metric, estimate.judged)) < 0
    beyond = f"{'below' if greater_is_better(metric) else 'above'} {limit:.4g}"
    doubt = "" if sure else ", but its interval reaches over it"
    yield Finding(
        check=ESTIMATED,
        scope=metric,
        severity=Severity.WARNING if sure else Severity.INFO,
        value=shown(estimate.judged),
        threshold=f"{limit:.4g}",
        message=f"Labels are missing; estimated {metric} is {shown(estimate.judged)}, {beyond}{doubt}. {BLIND}",
        next_step="Inputs have moved to where the model does worse: see drift.html, and get labels for some of these rows.",
    )


def _estimate_limit(metric: str, baseline: Baseline, settings: ModelSettings) -> float | None:
    """Return the stricter of the metric's own bound and the drop allowed from the baseline, None where neither is set."""
    bounds, better = settings.performance, greater_is_better(metric)
    limits = [bounds.min if better else bounds.max]
    if bounds.max_drop is not None and baseline.performance is not None and baseline.performance.metric == metric:
        limits.append(baseline.performance.judged.value + (-bounds.max_drop if better else bounds.max_drop))
    known = [limit for limit in limits if limit is not None]
    return (max if better else min)(known, default=None)


def _bounded(settings: ModelSettings) -> bool:
    """Whether anything was asked of performance."""
    bounds = settings.performance
    return any(limit is not None for limit in (bounds.min, bounds.max, bounds.max_drop))


def _withheld_finding(withheld: Unmeasured) -> Finding:
    return Finding(
        check=WITHHELD,
        scope="",
        severity=Severity.INFO,
        value="not estimated",
        threshold="",
        message=f"No estimate stands in for missing labels: {withheld.reason}.",
        next_step="Until labels arrive, nothing is known of this window's performance.",
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
        value=shown(realised),
        threshold=f"{bound:g}",
        message=f"Realised {metric} is {shown(realised)}, {'below' if greater_is_better(metric) else 'above'} {bound:g}.",
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
        value=shown(realised),
        threshold=f"{reference:.3f} ± {limit:g}",
        message=f"Realised {metric} is {shown(realised)}; the baseline had {reference:.3f}, a worsening of at most {limit:g} is allowed.",
        next_step="See whether inputs drifted too: then retraining on recent rows is likely to help.",
    )


def _best(metric: str, interval: Interval) -> float:
    return interval.high if greater_is_better(metric) else interval.low


def shown(interval: Interval) -> str:
    """Write a value with its interval.

    >>> shown(Interval(value=0.65, low=0.6, high=0.7))
    '0.650 [0.600, 0.700]'
    >>> shown(Interval(value=1e-6, low=9e-7, high=1.2e-6))
    '1e-06 [9e-07, 1.2e-06]'
    """
    value, low, high = decimal_all((interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"
