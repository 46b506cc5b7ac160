"""Estimate a window's performance while labels are missing, and fit at freezing what that needs. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retrue.answers import Rows
from retrue.baselines import read_reference
from retrue.config import ModelSettings, Project
from retrue.estimation import estimate_performance, fit_estimation
from retrue.findings import ESTIMATE
from retrue.results import Baseline, ColumnKind, ColumnProfile, EstimatedPerformance, Estimation, Profile, Unmeasured
from retrue.statistics.support import Bounds

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CLASS_SCORES = "scores"
_ANSWERS = ("prediction", "score", "sample_weight")


def estimation_of(frame: pd.DataFrame, profile: Profile, settings: ModelSettings) -> Estimation | None:
    """Return what a baseline of these rows, in order of time, keeps for estimates; None where nothing is scored."""
    if settings.generates:
        return None
    reference = _rows(frame, support_of(profile), weights=frame.get("sample_weight"))
    return fit_estimation(settings.task, reference, positive_label=settings.performance.positive_label)


def estimate_frame(
    project: Project,
    settings: ModelSettings,
    baseline: Baseline,
    frame: pd.DataFrame,
    *,
    weights: pd.Series[Any] | None,
) -> EstimatedPerformance | Unmeasured:
    """Return the estimated performance of answered inferences, with ``estimated_columns``, or why there is none."""
    estimation = baseline.estimation
    if estimation is None:
        reason = f"the baseline of version {baseline.version} was frozen without what an estimate needs"
        return Unmeasured(part=ESTIMATE, reason=reason)
    if baseline.marginals is not None and estimation.method == "direct_loss":
        reason = (
            f"losses are learned from whole rows, and the baseline holds none any more ({baseline.marginals.reason})"
        )
        return Unmeasured(part=ESTIMATE, reason=reason)
    bounds = support_of(baseline.profile)
    return estimate_performance(
        estimation,
        settings.task,
        settings.metric,
        _rows(frame, bounds, weights=weights),
        bounds=bounds,
        reference=lambda: _reference(project, baseline, bounds),
        positive_label=settings.performance.positive_label,
        min_rows=settings.performance.min_labels,
        max_unsupported_share=_limit(settings, baseline, estimation),
        seed=settings.drift.seed,
    )


def estimated_columns(baseline: Baseline, settings: ModelSettings) -> tuple[str, ...]:
    """Return the columns that an estimate is made from, where a window has them."""
    classes = (CLASS_SCORES,) if settings.task == "multiclass" else ()
    return tuple(dict.fromkeys((*support_of(baseline.profile), *_ANSWERS, *classes)))


def support_of(profile: Profile) -> Mapping[str, Bounds]:
    """Return what a baseline has of each column by which support can be told: numbers, and text with its categories."""
    found = {name: _bounds(column) for name, column in profile.columns.items()}
    return {name: bounds for name, bounds in found.items() if bounds is not None}


def _limit(settings: ModelSettings, baseline: Baseline, estimation: Estimation) -> float:
    """Return how large a share of rows may be outside; marginals do not hold rare categories of the reference's own rows."""
    own = settings.performance.max_unsupported_share
    rare = sum(column.unseen_share or 0.0 for column in baseline.profile.columns.values())
    return min(1.0, estimation.max_unsupported_share + rare) if own is None else own


def _bounds(column: ColumnProfile) -> Bounds | None:
    nullable = column.nulls > 0
    if column.kind is ColumnKind.NUMBER:
        finite = not column.infinities
        low, high = (column.minimum, column.maximum) if finite else (None, None)
        return Bounds(low=low, high=high, nullable=nullable)
    if column.kind in (ColumnKind.TEXT, ColumnKind.BOOLEAN) and column.categories:
        return Bounds(categories=frozenset(column.categories), nullable=nullable)
    return None


def _reference(project: Project, baseline: Baseline, bounds: Mapping[str, Bounds]) -> Rows:
    frame = read_reference(project.baselines, baseline.model, baseline.version)
    return _rows(frame, bounds, weights=frame.get("sample_weight"))


def _rows(frame: pd.DataFrame, bounds: Mapping[str, Bounds], *, weights: pd.Series[Any] | None) -> Rows:
    columns = {name: _values(frame[name], each) for name, each in bounds.items() if name in frame.columns}
    return Rows(
        predictions=frame.get("prediction"),
        scores=frame.get("score"),
        class_scores=frame.get(CLASS_SCORES),
        weights=weights,
        labels=frame.get("label"),
        columns=columns,
    )


def _values(column: pd.Series[Any], bounds: Bounds) -> np.ndarray[Any, Any]:
    """Return numbers as floats, anything else as the text the profile has for its categories, None for nulls."""
    import pandas as pd

    if bounds.categories is None:
        return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=float("nan"))
    texts = column.astype(object).map(_category_text, na_action="ignore")
    return texts.astype(object).where(column.notna(), None).to_numpy(dtype=object)


def _category_text(value: object) -> str:
    """Return a value as the profile calls it: a column of booleans and nulls comes as objects."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
