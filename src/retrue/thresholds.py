"""Which drift method and threshold each column gets, in general and in a window of a given size. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from retrue.config import DriftSettings, MethodSettings, ModelSettings
from retrue.results import (
    EMBEDDING,
    Baseline,
    ColumnCalibration,
    ColumnDrift,
    ColumnKind,
    DomainDrift,
    DriftCalibration,
    DriftResult,
    Profile,
    TextProfile,
)
from retrue.statistics.calibration import FLOORS
from retrue.statistics.domain_threshold import domain_threshold
from retrue.statistics.thresholds import chance_of, detectable_at, limit_of, threshold_at
from retrue.times import duration_text

PREDICTION = "prediction"
UNCALIBRATED = 0.1  # where nothing was calibrated: Evidently's own for these methods
SHIFT_WANTED = 1.0  # sd: a column whose threshold lets less than this pass unseen is judged
SHARE_WANTED = 0.3  # of rows that change their category

Rows = Mapping[str, tuple[int, int]]
"""Column to rows with a value: (window, reference)."""

PREDICTIONS = frozenset({PREDICTION, "score"})
NO_TEXTS: Mapping[str, TextProfile] = {}
EMBEDDING_METHOD = "domain_auc"
DOMAIN_SHARE = 0.2
"""Of the stated rate, for all columns at once and for embeddings; single columns have the rest (Bonferroni)."""


def domain_alpha(settings: ModelSettings, *, texts: int = 0) -> float:
    """Return the false-alarm rate per window of what is judged of all columns at once.

    The embeddings of ``texts`` columns share it in equal parts.
    """
    return DOMAIN_SHARE * settings.drift.false_alarms.chance(settings.window.every) / (1 + texts)


def columns_alpha(settings: ModelSettings, *, shared: bool) -> float:
    """Return the false-alarm rate per window of all single columns together.

    Args:
        settings: With the rate of all drift checks.
        shared: Whether the baseline has null distributions of all columns at once, or of embeddings, which have their share.
    """
    return (1 - DOMAIN_SHARE * shared) * settings.drift.false_alarms.chance(settings.window.every)


def under_settings(domain: DomainDrift, baseline: Baseline, settings: ModelSettings) -> DomainDrift:
    """Return measured drift of all columns with the threshold of these settings."""
    if baseline.domain is None:
        return domain
    alpha = domain_alpha(settings, texts=_embedded(baseline))
    return replace(domain, threshold=domain_threshold(baseline.domain, alpha=alpha, rows=domain.current_rows))


def _embedded(baseline: Baseline) -> int:
    return sum(text.embedding is not None for text in baseline.texts.values())


def domain_kinds(
    profile: Profile, settings: ModelSettings, texts: Mapping[str, TextProfile] = NO_TEXTS
) -> Mapping[str, ColumnKind]:
    """Return the kinds of the columns that are compared all at once: what the model is given, not what it answers."""
    kinds = drift_kinds(profile, settings, texts)
    return {name: kind for name, kind in kinds.items() if name not in PREDICTIONS}


def drift_kinds(
    profile: Profile, settings: ModelSettings, texts: Mapping[str, TextProfile] = NO_TEXTS
) -> Mapping[str, ColumnKind]:
    """Return the kind of every column of a baseline whose distribution can be compared.

    The predictions of a classifier are classes, even where they are written as numbers. A column of free text is compared by
    its views, such as ``review.length``.
    """
    kinds = {name: column.kind for name, column in profile.columns.items() if column.measurable and name not in texts}
    kinds |= {view: kind for text in texts.values() for view, kind in text.views.items() if view not in kinds}
    classes = settings.task in ("binary", "multiclass") and PREDICTION in kinds
    return {**kinds, PREDICTION: ColumnKind.TEXT} if classes else kinds


def calibrated_methods(
    profile: Profile, settings: ModelSettings, texts: Mapping[str, TextProfile] = NO_TEXTS
) -> Mapping[str, tuple[str, float]]:
    """Return (method, floor) of the columns whose threshold is calibrated: those that have none in retrue.yaml."""
    found = {}
    for name, kind in drift_kinds(profile, settings, texts).items():
        method, chosen = _of_column(name, kind, settings.drift)
        if chosen.threshold is None:
            found[name] = (method, chosen.floor or FLOORS[method])
    return found


def drift_thresholds(
    profile: Profile,
    settings: ModelSettings,
    calibration: DriftCalibration | None = None,
    texts: Mapping[str, TextProfile] = NO_TEXTS,
) -> Mapping[str, tuple[str, float]]:
    """Return (method, threshold) of the columns to compare: as written, else calibrated, else ``UNCALIBRATED``.

    A column's own entry under ``drift.columns`` wins over the entry of its kind, setting by setting.
    """
    return {
        name: _threshold(
            *_of_column(name, kind, settings.drift), calibration.columns.get(name) if calibration else None
        )
        for name, kind in drift_kinds(profile, settings, texts).items()
    }


def window_thresholds(baseline: Baseline, settings: ModelSettings, rows: Rows) -> Mapping[str, tuple[str, float]]:
    """Return (method, threshold) of the columns to compare, at a window's own size and the stated rate of false alarms.

    Args:
        baseline: What the window is compared with.
        settings: The model's settings.
        rows: Rows with a value per column; one that is absent keeps the threshold of the calibrated size.
    """
    thresholds = dict(drift_thresholds(baseline.profile, settings, baseline.calibration, baseline.texts))
    alpha = domain_alpha(settings, texts=_embedded(baseline))
    for name, text in baseline.texts.items():
        embedding = f"{name}.{EMBEDDING}"
        if text.embedding is not None and embedding in rows:
            threshold = domain_threshold(text.embedding, alpha=alpha, rows=rows[embedding][0])
            thresholds[embedding] = (EMBEDDING_METHOD, threshold)
    for name, column in _family(baseline, settings).items():
        if all(rows.get(name, (0, 0))):
            limit = _limit(baseline, settings)
            thresholds[name] = (column.method, threshold_at(column, limit, *rows[name]))
    return thresholds


def explain_drift(drift: DriftResult, baseline: Baseline, settings: ModelSettings, rows: Rows) -> DriftResult:
    """Return measured drift with what calibration says: how rare each score is, and what would have been seen."""
    family = _family(baseline, settings)
    columns = tuple(
        _explain(each, baseline.calibration, family[each.column], rows[each.column])
        if baseline.calibration and each.column in family and each.column in rows
        else replace(each, rows=rows.get(each.column), chance=None, detectable=None, blind="")
        for each in drift.columns
    )
    reason = _uncalibrated(baseline, settings, family, [each.column for each in drift.columns])
    if not family:
        return replace(drift, columns=columns, uncalibrated=reason, false_alarms="", alpha=None)
    rate = settings.drift.false_alarms
    alpha = rate.chance(settings.window.every)
    return replace(drift, columns=columns, uncalibrated=reason, false_alarms=str(rate), alpha=alpha)


def _explain(
    drift: ColumnDrift, calibration: DriftCalibration, column: ColumnCalibration, rows: tuple[int, int]
) -> ColumnDrift:
    detectable = detectable_at(column, drift.threshold)
    return replace(
        drift,
        chance=chance_of(calibration, column, drift.score, *rows),
        detectable=detectable,
        numeric=column.numeric,
        rows=rows,
        blind=_blind(column, detectable),
    )


def is_blind(column: ColumnCalibration, detectable: float | None) -> bool:
    """Whether a shift of one standard deviation, or of 30 % of rows, would pass unseen."""
    return detectable is None or detectable > (SHIFT_WANTED if column.numeric else SHARE_WANTED)


def _blind(column: ColumnCalibration, detectable: float | None) -> Literal["", "window", "baseline"]:
    if not is_blind(column, detectable):
        return ""
    return "baseline" if is_blind(column, column.detectable) else "window"


def _uncalibrated(
    baseline: Baseline, settings: ModelSettings, family: Mapping[str, ColumnCalibration], columns: list[str]
) -> str:
    """Return why thresholds are not those of the stated rate, empty where they are."""
    methods = calibrated_methods(baseline.profile, settings, baseline.texts)
    found = baseline.calibration
    if found is None:
        none = f"drift is judged by the fixed threshold {UNCALIBRATED}, since this baseline was never calibrated"
        return none if any(name in methods for name in columns) else ""
    if found.window_seconds and settings.window.every.total_seconds() != found.window_seconds:
        return f"thresholds are those of windows of another length than {duration_text(settings.window.every)}"
    strange = [name for name in columns if name in methods and name not in family]
    if strange:
        return f"{', '.join(sorted(strange)[:3])} {'is' if len(strange) == 1 else 'are'} not calibrated for the method in use"
    return ""


def _family(baseline: Baseline, settings: ModelSettings) -> Mapping[str, ColumnCalibration]:
    """Return the calibrations that are in use: of columns without a threshold of their own, by the method still wanted."""
    methods = calibrated_methods(baseline.profile, settings, baseline.texts)
    known = baseline.calibration.columns if baseline.calibration else {}
    return {
        name: replace(known[name], floor=floor)
        for name, (method, floor) in methods.items()
        if name in known and known[name].method == method
    }


def _limit(baseline: Baseline, settings: ModelSettings) -> float:
    shared = baseline.domain is not None or _embedded(baseline) > 0
    return limit_of(baseline.calibration, columns_alpha(settings, shared=shared)) if baseline.calibration else 0.0


def _threshold(method: str, chosen: MethodSettings, column: ColumnCalibration | None) -> tuple[str, float]:
    if chosen.threshold is not None:
        return method, chosen.threshold
    return method, column.threshold if column and column.method == method else UNCALIBRATED


def _of_column(name: str, kind: ColumnKind, settings: DriftSettings) -> tuple[str, MethodSettings]:
    """Return a column's method, and what is set for it, setting by setting."""
    number = kind is ColumnKind.NUMBER
    of_kind = settings.numeric if number else settings.categorical
    own = settings.columns.get(name) or MethodSettings()
    merged = MethodSettings(
        threshold=own.threshold or of_kind.threshold,
        floor=own.floor or of_kind.floor,
    )
    return own.method or of_kind.method or ("wasserstein" if number else "jensenshannon"), merged
