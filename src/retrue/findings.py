"""What a breach looks like, family by family: check, severity, sentence, next step. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.config import ModelSettings
from retrue.metrics import greater_is_better, improvement
from retrue.results import Baseline, ColumnProfile, Finding, Interval, Measurements, Severity

PREDICTIONS = frozenset({"prediction", "score"})
LABELS_WAITING = "labels"
LABELS_COVERAGE = "labels.coverage"


def all_findings(measurements: Measurements, baseline: Baseline, settings: ModelSettings) -> Iterator[Finding]:
    """Yield every breach of a window that can be judged."""
    yield from _schema_findings(measurements)
    yield from _quality_findings(measurements, baseline, settings)
    yield from _expectation_findings(measurements)
    yield from _drift_findings(measurements, settings)
    yield from _performance_findings(measurements, baseline, settings)
    yield from _system_findings(measurements, settings)


def source_findings(measurements: Measurements, settings: ModelSettings) -> Iterator[Finding]:
    """Yield what is to be said of the input itself, also of a window that cannot be judged."""
    pull = measurements.pull
    if pull.set_aside:
        places = ", ".join(f"{item.place} ({item.reason})" for item in pull.set_aside[:3])
        yield Finding(
            check="source.set_aside",
            scope="",
            severity=Severity.INFO,
            value=f"{pull.set_aside_share:.2%}",
            threshold=f"{settings.quality.max_set_aside_share:.2%}",
            message=f"{sum(item.count for item in pull.set_aside)} lines or files could not be read: {places}.",
            next_step="Look at what wrote these files; the rest of the window was judged.",
        )
    read = pull.rows + pull.duplicates
    if read and pull.duplicates / read > settings.quality.max_duplicate_share:
        yield Finding(
            check="source.duplicates",
            scope="",
            severity=Severity.WARNING,
            value=f"{pull.duplicates / read:.2%}",
            threshold=f"{settings.quality.max_duplicate_share:.2%}",
            message=f"{pull.duplicates} records repeat an inference_id; each inference was counted once.",
            next_step="Check the logger's retries: it may deliver records twice.",
        )
    if len(pull.model_versions) > 1:
        yield Finding(
            check="source.versions",
            scope="",
            severity=Severity.INFO,
            value=str(len(pull.model_versions)),
            threshold="1",
            message=f"{len(pull.model_versions)} versions served; judged against version {measurements.model_version}.",
            next_step="Expected while a version is being rolled out.",
        )


def _schema_findings(measurements: Measurements) -> Iterator[Finding]:
    schema = measurements.schema
    if schema is None:
        return
    for name in schema.missing:
        yield Finding(
            check="schema.missing",
            scope=name,
            severity=Severity.CRITICAL,
            value="absent",
            threshold="present",
            message=f"Column {name} is in the baseline but not in this window.",
            next_step="Check the feature pipeline of the model server; the model may be guessing without it.",
        )
    for name, before, now in schema.retyped:
        yield Finding(
            check="schema.retyped",
            scope=name,
            severity=Severity.CRITICAL,
            value=now,
            threshold=before,
            message=f"Column {name} was {before} in the baseline and is {now} now.",
            next_step="Find the release that changed its type; statistics of this column are not comparable.",
        )
    for name in schema.extra:
        yield Finding(
            check="schema.extra",
            scope=name,
            severity=Severity.INFO,
            value="present",
            threshold="absent",
            message=f"Column {name} is new: the baseline does not have it and it is not monitored.",
            next_step="Freeze a new baseline if the model uses it, or list it under columns.ignore.",
        )


def _quality_findings(measurements: Measurements, baseline: Baseline, settings: ModelSettings) -> Iterator[Finding]:
    if measurements.profile is None:
        return
    retyped = {name for name, _, _ in measurements.schema.retyped} if measurements.schema else set()
    for name, before in baseline.profile.columns.items():
        now = measurements.profile.columns.get(name)
        if now is None or name in retyped:
            continue
        yield from _null_findings(before, now, settings)
        yield from _value_findings(before, now, settings)


def _null_findings(before: ColumnProfile, now: ColumnProfile, settings: ModelSettings) -> Iterator[Finding]:
    rise = now.null_share - before.null_share
    if rise > settings.quality.max_null_rise:
        gone = now.nulls == now.rows
        yield Finding(
            check="quality.nulls",
            scope=now.name,
            severity=Severity.CRITICAL if gone else Severity.WARNING,
            value=f"{now.null_share:.1%}",
            threshold=f"{min(1.0, before.null_share + settings.quality.max_null_rise):.1%}",
            message=f"{'All' if gone else f'{now.null_share:.1%}'} of {now.name} is null, {before.null_share:.1%} in the baseline.",
            next_step="Check the source of this feature and any join it comes from.",
        )


def _value_findings(before: ColumnProfile, now: ColumnProfile, settings: ModelSettings) -> Iterator[Finding]:
    quality = settings.quality
    if now.infinite_share > max(quality.max_infinite_share, before.infinite_share):
        yield Finding(
            check="quality.infinite",
            scope=now.name,
            severity=Severity.WARNING,
            value=f"{now.infinite_share:.2%}",
            threshold=f"{max(quality.max_infinite_share, before.infinite_share):.2%}",
            message=f"{now.infinities} values of {now.name} are infinite.",
            next_step="Look for a division by zero or an overflow in the feature pipeline.",
        )
    if now.unseen_share is not None and now.unseen_share > quality.max_unseen_share:
        yield Finding(
            check="quality.unseen",
            scope=now.name,
            severity=Severity.WARNING,
            value=f"{now.unseen_share:.2%}",
            threshold=f"{quality.max_unseen_share:.2%}",
            message=f"{now.unseen_share:.1%} of rows have a category of {now.name} that the baseline never saw.",
            next_step="Check for renamed or re-encoded categories; the model has not learned the new ones.",
        )
    if before.distinct > 1 and now.distinct == 1 and now.nulls < now.rows:
        yield Finding(
            check="quality.constant",
            scope=now.name,
            severity=Severity.WARNING,
            value="1",
            threshold=f"{before.distinct}",
            message=f"{now.name} has become constant; the baseline has {before.distinct} values.",
            next_step="Look for a default value that replaced the real ones.",
        )


def _expectation_findings(measurements: Measurements) -> Iterator[Finding]:
    for outcome in measurements.validation.outcomes if measurements.validation else ():
        if outcome.success is False:
            subject = f" on {outcome.column}" if outcome.column else ""
            yield Finding(
                check=f"expectation.{outcome.kind}",
                scope=outcome.column or "",
                severity=outcome.severity,
                value=outcome.observed or "not met",
                threshold=outcome.expected,
                message=f"Expectation {outcome.kind}{subject} is not met{f': observed {outcome.observed}' if outcome.observed else ''}.",
                next_step=f"It is there because: {outcome.why}" if outcome.why else "See quality.html.",
            )


def _drift_findings(measurements: Measurements, settings: ModelSettings) -> Iterator[Finding]:
    drift = measurements.drift
    if drift is None:
        return
    for column in drift.columns:
        if column.drifted:
            prediction = column.column in PREDICTIONS
            yield Finding(
                check="drift.prediction" if prediction else "drift.column",
                scope=column.column,
                severity=Severity.WARNING,
                value=f"{column.score:.3f}",
                threshold=f"{column.threshold:.3f}",
                message=f"{column.column} has drifted: {column.method} {column.score:.3f}, threshold {column.threshold:g}.",
                next_step="See drift.html: what the model says has shifted."
                if prediction
                else "See its plot in drift.html.",
            )
    limit = settings.drift.max_share
    if limit is not None and drift.share is not None and drift.share > limit:
        yield Finding(
            check="drift.share",
            scope="",
            severity=Severity.CRITICAL,
            value=f"{drift.share:.0%}",
            threshold=f"{limit:.0%}",
            message=f"{drift.share:.0%} of columns have drifted, over {limit:.0%}.",
            next_step="Many columns at once point to a change upstream of all of them, or to a new population.",
        )


def _performance_findings(measurements: Measurements, baseline: Baseline, settings: ModelSettings) -> Iterator[Finding]:
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


def _system_findings(measurements: Measurements, settings: ModelSettings) -> Iterator[Finding]:
    health = measurements.system
    if health is None:
        return
    limit = settings.system.max_error_share
    if limit is not None and health.error_share is not None and health.error_share > limit:
        yield Finding(
            check="system.errors",
            scope="",
            severity=Severity.CRITICAL,
            value=f"{health.error_share:.2%}",
            threshold=f"{limit:.2%}",
            message=f"{health.error_share:.2%} of inferences failed, over {limit:.2%}.",
            next_step="Group the failures by error_type in the log.",
        )
    for name in ("p50", "p95", "p99"):
        bound = getattr(settings.system, f"latency_{name}_ms")
        if bound is not None and health.latency_ms.get(name, 0.0) > bound:
            yield Finding(
                check=f"system.latency_{name}",
                scope="",
                severity=Severity.WARNING,
                value=f"{health.latency_ms[name]:.1f} ms",
                threshold=f"{bound:g} ms",
                message=f"Latency {name} is {health.latency_ms[name]:.1f} ms, over {bound:g} ms.",
                next_step="Compare with the rows and the version served: load or a slower model.",
            )
