"""``summary.html``: what a person reads first. Verdict, findings, key figures, failures, the model's life as charts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from retrue.failures.stories import FailureStory
from retrue.recorded import metrics_of
from retrue.reports.charts import ChartPoint, Series, line_chart, lines_chart
from retrue.reports.failures import failure_section
from retrue.reports.figures import (
    count,
    day,
    dollars,
    estimate_sentences,
    key_figures,
    metric,
    number,
    share,
    size,
    span,
    tokens,
)
from retrue.reports.opening import opening_sentences
from retrue.reports.page import render, verdict_line
from retrue.reports.resources import resource_figures, sampled
from retrue.reports.seen import seen_sentences
from retrue.reports.served import comparisons, side_by_side
from retrue.reports.since import NO_HINDSIGHT, Hindsight
from retrue.reports.why import why_section
from retrue.results import ColumnDrift, HistoryPoint, Measurements, Outcome, Verdict
from retrue.windows import Window

DRIFT_ROWS_MAX = 15
RECENT_MAX = 10
PARTS_MAX = 8


_LINES: tuple[tuple[str, Mapping[str, str], Callable[[float], str]], ...] = (
    ("Latency, ms", {name: f"system.latency_ms.{name}" for name in ("p50", "p95", "p99")}, number),
    ("Cost per 1,000 inferences", {"cost": "system.cost_usd_per_1k"}, dollars),
    ("Tokens", {"in": "system.input_tokens", "out": "system.output_tokens"}, tokens),
    ("Processor, cores of a process", {name: f"system.cpu_cores.{name}" for name in ("p50", "p95", "max")}, number),
    ("Memory of a process", {"memory": "system.memory_bytes.max"}, size),
    ("Connections of a process", {"connections": "system.connections.max"}, count),
)
"""Charts with their lines by name, each with its recorded metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One drawn chart with its heading and its newest value; ``keys`` are names and newest values of its lines, if several."""

    title: str
    now: str
    svg: Markup
    keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Past:
    window: Window
    outcome: Outcome
    model_version: str
    metrics: Mapping[str, float]


def render_summary(
    verdict: Verdict,
    measurements: Measurements,
    history: Sequence[HistoryPoint],
    *,
    limits: Mapping[str, float] | None = None,
    stories: Sequence[FailureStory] = (),
    hindsight: Hindsight = NO_HINDSIGHT,
) -> str:
    """Return the page of one window.

    Args:
        verdict: The window's judgement.
        measurements: What it was judged on.
        history: Other windows of the model, in any order; this window's own point, if among them, is replaced.
        limits: Thresholds to draw, by metric name as recorded, such as ``performance.roc_auc.realised``.
        stories: The failure groups that matter for the window, from ``Ledger.failures.tell``.
        hindsight: What other windows have to say about this one.

    Returns:
        A self-contained HTML document, made for a pane of 640 px. The same arguments give the same bytes.
    """
    past = _past(verdict, measurements, history)
    judged = _judged_metric(measurements, past)
    drifted = sorted(
        measurements.drift.columns if measurements.drift else (),
        key=lambda column: (-column.score / column.threshold if column.threshold else 0.0, column.column),
    )
    return render(
        "summary.html.j2",
        verdict=verdict,
        line=verdict_line(verdict),
        span=span(verdict.window),
        notes={each: hindsight.notes.get(each.fingerprint(verdict.window.model), ()) for each in verdict.findings},
        hindsight=hindsight,
        opening=opening_sentences(verdict, measurements, history, hindsight=hindsight),
        why=why_section(measurements),
        figures=key_figures(measurements),
        estimate=estimate_sentences(measurements),
        failures=failure_section(stories, measurements.system),
        titles={each.id: each.text.title for each in stories},
        side_by_side=side_by_side(measurements.system),
        comparison=comparisons(measurements.system),
        resources=resource_figures(measurements.system),
        sampled=sampled(measurements.system),
        charts=list(_charts(past, judged, limits or {})),
        drifted=_shown_drift(drifted),
        seen=list(seen_sentences(measurements.drift)),
        parts=_parts(measurements),
        told_apart=any(each.check == "drift.multivariate" for each in verdict.findings),
        more_drift=max(0, len(drifted) - DRIFT_ROWS_MAX),
        recent=[_row(each, judged) for each in reversed(past[-RECENT_MAX:])] if len(past) > 1 else [],
        metric_name=judged and judged.split(".")[1],
        sources=list(_sources(verdict, measurements)),
    )


def _past(verdict: Verdict, measurements: Measurements, history: Sequence[HistoryPoint]) -> list[_Past]:
    others = [
        _Past(point.window, point.outcome, point.model_version, point.metrics)
        for point in history
        if point.window.start != verdict.window.start
    ]
    this = _Past(verdict.window, verdict.outcome, verdict.model_version, metrics_of(measurements, verdict))
    return sorted([*others, this], key=lambda each: each.window.start)


def _judged_metric(measurements: Measurements, past: Sequence[_Past]) -> str | None:
    """Return the recorded name of the judged metric; from history where this window's labels have not arrived.

    Where no labels ever arrived, it is the estimated one.
    """
    if measurements.performance is not None:
        return f"performance.{measurements.performance.metric}.realised"
    for each in reversed(past):
        known = sorted(name for name in each.metrics if name.startswith("performance.") and name.endswith(".realised"))
        if known:
            return known[0]
    return f"performance.{measurements.estimate.metric}.estimated" if measurements.estimate else None


def _charts(past: Sequence[_Past], judged: str | None, limits: Mapping[str, float]) -> Iterator[Chart]:
    if len(past) >= 2:
        yield from _single_charts(past, judged, limits)
        yield from _line_charts(past, limits)


def _line_charts(past: Sequence[_Past], limits: Mapping[str, float]) -> Iterator[Chart]:
    """Yield charts of several lines, and of what not every model has."""
    for title, names, shown in _LINES:
        series = [Series(name=key, points=_points(past, name), limit=limits.get(name)) for key, name in names.items()]
        drawn = lines_chart(title, series, shown=shown)
        if drawn:
            newest = ((each.name, each.points[-1].value) for each in series)
            keys = tuple((name, "not measured" if value is None else shown(value)) for name, value in newest)
            only = keys[0][1] if len(keys) == 1 else ""
            yield Chart(title=title, now=only, svg=Markup(drawn), keys=keys if len(keys) > 1 else ())  # noqa: S704 - charts escape


def _single_charts(past: Sequence[_Past], judged: str | None, limits: Mapping[str, float]) -> Iterator[Chart]:
    wanted: list[tuple[str, str, Callable[[float], str], bool]] = [
        (judged, _judged_title(judged, past), metric, False) if judged else ("", "", metric, False),
        ("drift.share", "Share of drifted columns", share, True),
        ("drift.multivariate", "All columns at once, AUC", metric, False),
        ("rows", "Rows", count, True),
        ("system.error_share", "Failed inferences", share, True),
        ("quality.success_share", "Expectations met", share, False),
    ]
    for name, title, shown, from_zero in wanted:
        points = _points(past, name)
        beside = _points(past, _estimated(name)) if name == judged else ()
        drawn = line_chart(title, points, shown=shown, limit=limits.get(name), from_zero=from_zero, beside=beside)
        if drawn:
            newest = points[-1].value
            yield Chart(title=title, now="not measured" if newest is None else shown(newest), svg=Markup(drawn))  # noqa: S704 - charts escape


def _judged_title(judged: str, past: Sequence[_Past]) -> str:
    _, name, how = judged.split(".")
    beside = how == "realised" and any(_estimated(judged) in each.metrics for each in past)
    return f"{name} ({how}{', dashed: estimated' if beside else ''})"


def _estimated(judged: str) -> str:
    return judged.replace(".realised", ".estimated")


def _points(past: Sequence[_Past], name: str) -> list[ChartPoint]:
    return [_point(each, before, name) for before, each in zip([None, *past], past, strict=False)]


def _point(this: _Past, before: _Past | None, name: str) -> ChartPoint:
    changed = before is not None and before.model_version != this.model_version
    return ChartPoint(
        at=this.window.start.timestamp(),
        label=day(this.window),
        value=this.metrics.get(name),
        low=this.metrics.get(f"{name}.low"),
        high=this.metrics.get(f"{name}.high"),
        joined=before is None or before.window.end >= this.window.start,
        mark=f"version {this.model_version}" if changed else "",
        tone="" if this.outcome is Outcome.HEALTHY else this.outcome.value,
    )


def _parts(measurements: Measurements) -> Sequence[tuple[str, str]]:
    """Return the columns that tell the window from the baseline, with their parts in it, largest first."""
    found = measurements.domain.parts if measurements.domain else ()
    return [(each.column, share(each.part)) for each in found[:PARTS_MAX] if each.part > 0]


def _shown_drift(drifted: Sequence[ColumnDrift]) -> Sequence[ColumnDrift]:
    return drifted[:DRIFT_ROWS_MAX]


def _row(each: _Past, judged: str | None) -> Mapping[str, str]:
    value = each.metrics.get(judged or "drift.share")
    return {
        "day": day(each.window),
        "outcome": each.outcome.value,
        "rows": count(each.metrics["rows"]) if "rows" in each.metrics else "",
        "metric": "" if value is None else metric(value) if judged else share(value),
        "version": each.model_version,
    }


def _sources(verdict: Verdict, measurements: Measurements) -> Iterator[tuple[str, str]]:
    pull = measurements.pull
    yield (
        "Model versions",
        ", ".join(f"{name} ({count(rows)} rows)" for name, rows in sorted(pull.model_versions.items())),
    )
    yield "Files", f"{pull.files_read:,} read, {pull.files_skipped:,} outside the window"
    for item in pull.set_aside[:5]:
        yield "Set aside", f"{item.place}: {item.reason} ({item.count:,})"
    for part in measurements.unmeasured:
        yield f"No {part.part}", part.reason
    yield (
        "Judged on",
        f"input {verdict.input_digest[:12]}, settings {verdict.config_digest[:12]}, baseline {verdict.baseline_digest[:12]}",
    )
