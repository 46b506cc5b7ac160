"""Findings about columns: schema, quality, expectations, drift. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.config import ModelSettings
from retrue.findings.harm import harm_of, leaning
from retrue.results import Baseline, ColumnDrift, ColumnProfile, DriftResult, Finding, Measurements, Severity
from retrue.statistics.distances import excess_of

RARE = 1e-5  # replays say nothing of what is rarer
PREDICTIONS = frozenset({"prediction", "score"})


def schema_findings(measurements: Measurements) -> Iterator[Finding]:
    schema = measurements.schema
    if schema is None:
        return
    all_failed = measurements.system is not None and measurements.system.error_share == 1
    for name in schema.missing:
        if all_failed and name in PREDICTIONS:  # nothing was answered, and the failures are told
            continue
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


def quality_findings(measurements: Measurements, baseline: Baseline, settings: ModelSettings) -> Iterator[Finding]:
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
    rare = before.unseen_share or 0.0
    if now.unseen_share is not None and now.unseen_share - rare > quality.max_unseen_share:
        own = f", as have {rare:.1%} of its own rows" if rare else ""
        yield Finding(
            check="quality.unseen",
            scope=now.name,
            severity=Severity.WARNING,
            value=f"{now.unseen_share:.2%}",
            threshold=f"{min(1.0, rare + quality.max_unseen_share):.2%}",
            message=f"{now.unseen_share:.1%} of rows have a category of {now.name} that the baseline {'does not hold' if rare else 'never saw'}{own}.",
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


def expectation_findings(measurements: Measurements) -> Iterator[Finding]:
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


def rarity(column: ColumnDrift) -> str:
    """Say how often a window without drift has a column so far out; empty where that is not known.

    >>> rarity(ColumnDrift(column="a", method="psi", score=1.0, threshold=0.1, chance=0.0004))
    '; without drift a column is so far out in one window of 2,500'
    """
    if column.chance is None:
        return ""
    once = f"{round(1 / column.chance):,}" if column.chance > RARE else f"more than {round(1 / RARE):,}"
    return f"; without drift a column is so far out in one window of {once}"


def _blind_findings(drift: DriftResult) -> Iterator[Finding]:
    """Yield what no window of this length could show, however many rows it has."""
    blind = [column for column in drift.columns if column.blind == "baseline" and not column.drifted]
    if blind:
        names = ", ".join(column.column for column in blind[:5]) + (
            f" and {len(blind) - 5} more" if len(blind) > 5 else ""
        )
        yield Finding(
            check="drift.blind",
            scope="",
            severity=Severity.INFO,
            value=str(len(blind)),
            threshold="",
            message=f"A shift of one standard deviation, or of 30 % of rows, would pass unseen in {names}: "
            "windows of the baseline differ by as much among themselves.",
            next_step="Freeze a longer baseline, or write a threshold for these columns under drift.columns.",
        )


def drift_findings(measurements: Measurements, baseline: Baseline, settings: ModelSettings) -> Iterator[Finding]:
    drift = measurements.drift
    if drift is None:
        return
    yield from _skipped_findings(baseline)
    if drift.uncalibrated:
        yield Finding(
            check="drift.uncalibrated",
            scope="",
            severity=Severity.INFO,
            value="not calibrated",
            threshold="",
            message=f"How often drift is found where there is none is not known: {drift.uncalibrated}.",
            next_step=f"Freeze it anew: move its folder under baselines/ away and run `retrue baseline {measurements.window.model}`.",
        )
    yield from _blind_findings(drift)
    for column in drift.columns:
        if column.drifted:
            prediction = column.column in PREDICTIONS
            yield Finding(
                check="drift.prediction" if prediction else "drift.column",
                scope=column.column,
                severity=harm_of(column.column, baseline.reliance),
                value=f"{column.score:.3f}",
                threshold=f"{column.threshold:.3f}",
                message=f"{column.column} has drifted: {column.method} {column.score:.3f}, threshold {column.threshold:.3g}{rarity(column)}{leaning(column.column, baseline.reliance)}.",
                next_step="See drift.html: what the model says has shifted."
                if prediction
                else "See its plot in drift.html.",
                excess=excess_of(column.score, column.threshold, column.method),
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


def _skipped_findings(baseline: Baseline) -> Iterator[Finding]:
    """Tell of each column of which the reference holds nothing any more."""
    marginals = baseline.marginals
    if marginals is None:
        return
    for name in marginals.empty:
        text = baseline.texts.get(name)
        if text is not None and text.embedding is None:  # its views are left, and are all that was compared
            continue
        if name in baseline.profile.columns and baseline.profile.columns[name].measurable:
            yield Finding(
                check="drift.skipped",
                scope=name,
                severity=Severity.INFO,
                value="not measured",
                threshold="",
                message=f"Drift of {name} is not measured: the baseline holds nothing of it any more ({marginals.reason}).",
                next_step="Freeze the baseline of a newer version, or list the column under columns.ignore.",
            )
