"""Findings about slices: declared ones over their bound, and where the model does worst. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.config import ModelSettings
from retrue.results import Finding, Interval, Measurements, Severity, Slice, Slices

SLICE_SKIPPED = "performance.skipped"
FOUND_MAX = 3  # found slices that are findings; the report has all


def slice_findings(measurements: Measurements, settings: ModelSettings) -> Iterator[Finding]:
    """Yield a warning for each declared slice surely over ``max_slice_drop``, and ``info`` for the weakest found ones and for declared ones that
    could not be judged.

    Found slices never breach a window: what they are called changes with luck, so incidents of them would come and go. A
    found slice that the baseline has too, as poor as now, is none that anybody must hear of; it is in the report.
    """
    slices = measurements.slices
    if slices is None:
        return
    bound = settings.performance.max_slice_drop
    if bound is not None:
        for each in slices.declared:
            if each.over_bound and each.metric and each.reference:
                yield _over(each, each.metric, each.reference, settings.metric, bound)
        yield from (_skipped(name, reason, bound) for name, reason in slices.unmeasurable)
    news = [each for each in slices.found if each.drop is None or each.drop.low > 0]
    yield from (_weak(each, slices, settings.metric) for each in news[:FOUND_MAX])


def _over(found: Slice, now: Interval, before: Interval, metric: str, bound: float) -> Finding:
    return Finding(
        check="performance.slice",
        scope=str(found),
        severity=Severity.WARNING,
        value=_shown(now),
        threshold=f"{before.value:.3f} ± {bound:g}",
        message=(
            f"Where {found}, {metric} is {_shown(now)} on {found.rows:,} labelled rows; the baseline had "
            f"{before.value:.3f} there, a worsening of at most {bound:g} is allowed."
        ),
        next_step="Look at what is special about these rows: a feature that broke for them, or a relation that changed.",
    )


def _skipped(name: str, reason: str, bound: float) -> Finding:
    """Tell that a slice was held against no bound, so that an incident of it is not over for that."""
    return Finding(
        check=SLICE_SKIPPED,
        scope=name,
        severity=Severity.INFO,
        value=reason,
        threshold=f"± {bound:g}",
        message=f"Where {name}, performance is not judged: {reason}.",
        next_step="Expected of rare values; else wait for labels, or freeze a baseline that has such rows.",
    )


def _weak(found: Slice, slices: Slices, metric: str) -> Finding:
    own = f" {metric} is {_shown(found.metric)} there." if found.metric else ""
    column = found.conditions[0].column
    return Finding(
        check="performance.slice",
        scope=str(found),
        severity=Severity.INFO,
        value=f"{slices.loss} {found.loss.value:.3f}",
        threshold=f"{found.outside_loss:.3f} elsewhere",
        message=(
            f"The model does worst where {found}: {slices.loss} {found.loss.value:.3f} against {found.outside_loss:.3f} "
            f"elsewhere, {found.rows:,} labelled rows.{own}"
        ),
        next_step=f"To be warned when it gets worse, add {column} to performance.slices and set max_slice_drop.",
    )


def _shown(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
