"""Gather the rows that explain a window: frames of the log and of the baseline become columns for ``retrue.explained``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.baselines import read_reference
from retrue.config import ModelSettings, Project
from retrue.explained import MOVED, MOVED_ALONE, Examined, attribute_change, find_weak_slices, is_worse
from retrue.labelled import NotMeasurableError, read_labelled
from retrue.results import (
    Attribution,
    Baseline,
    ColumnKind,
    DriftResult,
    Profile,
    RealisedPerformance,
    Reliance,
    Slices,
    Unmeasured,
)
from retrue.sources.pulled import PulledWindow
from retrue.stages.failed import STATUS_COLUMNS, failed_rows
from retrue.statistics.importance import measure_reliance

if TYPE_CHECKING:
    import pandas as pd

EXPLAINED_ROWS_MAX = 20_000  # of each side
RELIANCE_ROWS_MAX = 10_000
COLUMNS_MAX = 100  # features that are looked at, the first ones; bounds the time
PREDICTIONS = ("prediction", "score")
RECORD = ("label", "sample_weight", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Slices and attribution, None of what there is not; ``unmeasured`` are bounds of slices that could not be judged."""

    slices: Slices | None = None
    attribution: Attribution | Unmeasured | None = None
    unmeasured: tuple[Unmeasured, ...] = ()


def explain(
    project: Project,
    settings: ModelSettings,
    baseline: Baseline,
    pulled: PulledWindow,
    *,
    drift: DriftResult | None,
    performance: RealisedPerformance | None,
) -> Explained:
    """Return a window's slices, and what a metric that is worse than the baseline's comes from.

    Where performance could not be measured only inputs that became commoner are looked for, if a column has drifted.
    """
    features = _features(baseline.profile, [name for name in pulled.features if name not in baseline.texts])
    drifted = drift is not None and any(each.drifted for each in drift.columns)
    if not features or (performance is None and not drifted):
        return Explained()
    reference = _examined(_reference(project, settings, baseline, features), features, settings)
    window = _labelled_rows(pulled, features, settings) if performance is not None else None
    served = _served(pulled, features, settings)
    slices = find_weak_slices(
        settings.metric,
        window=window,
        served=served,
        reference=reference,
        declared=settings.performance.slices,
        max_drop=settings.performance.max_slice_drop,
        min_rows=settings.performance.min_slice_rows,
        moves=MOVED if _has_rows(baseline, features) else MOVED_ALONE,
        seed=settings.drift.seed,
    )
    found = None if isinstance(slices, Unmeasured) else slices
    return Explained(
        slices=found,
        attribution=_attribution(settings, baseline, window, reference, performance, found),
        unmeasured=tuple(_unjudged(slices, settings)) if window is not None else (),
    )


def reliance_of(
    frame: pd.DataFrame, profile: Profile, settings: ModelSettings, features: Sequence[str]
) -> Reliance | None:
    """Return how much a model leans on each feature, as its answers in reference rows show; None where it logs none."""
    names = _features(profile, features)
    target = next(
        (name for name in ("score", "prediction") if name in frame.columns and frame[name].notna().any()), None
    )
    if not names or target is None or settings.generates:
        return None
    rows = frame[frame[target].notna()]
    rows = rows.sample(RELIANCE_ROWS_MAX, random_state=settings.drift.seed) if len(rows) > RELIANCE_ROWS_MAX else rows
    classes = target == "prediction" and settings.task != "regression"
    answers = _texts(rows[target]) if classes else _numbers(rows[target])
    usable = np.ones(len(rows), dtype=bool) if classes else np.isfinite(answers)
    columns = {name: values[usable] for name, values in _columns(rows, names).items()}
    if usable.sum() < 2 * settings.performance.min_labels:
        return None
    return measure_reliance(columns, answers[usable], _weights(rows)[usable], seed=settings.drift.seed)


def _unjudged(slices: Slices | Unmeasured, settings: ModelSettings) -> Iterator[Unmeasured]:
    """Yield why a bound of slices could be held against nothing."""
    if settings.performance.max_slice_drop is None:
        return
    if isinstance(slices, Unmeasured):
        yield slices
    elif not any(each.drop for each in slices.declared):
        yield Unmeasured(part="slices", reason=f"{settings.metric} has no value on both sides of any declared slice")


def _attribution(
    settings: ModelSettings,
    baseline: Baseline,
    window: Examined | None,
    reference: Examined,
    performance: RealisedPerformance | None,
    slices: Slices | None,
) -> Attribution | Unmeasured | None:
    before = baseline.performance
    if window is None or performance is None or before is None:
        return None
    if before.metric != performance.metric or not is_worse(performance.metric, performance.judged, before.judged.value):
        return None
    if reference.labelled is None:
        return Unmeasured(part="attribution", reason="the baseline has no labelled rows to compare with")
    declared = next((name for name in settings.performance.slices if name in window.columns), None)
    found = next((each.conditions[0].column for each in slices.found), None) if slices else None
    return attribute_change(
        settings.metric, window=window, reference=reference, by=declared or found, seed=settings.drift.seed
    )


def _features(profile: Profile, features: Sequence[str]) -> dict[str, ColumnKind]:
    kinds = {name: profile.columns[name].kind for name in features if name in profile.columns}
    known = {name: kind for name, kind in kinds.items() if profile.columns[name].measurable}
    return dict(list(known.items())[:COLUMNS_MAX])


def _reference(
    project: Project, settings: ModelSettings, baseline: Baseline, features: Mapping[str, ColumnKind]
) -> pd.DataFrame:
    """Return rows of the baseline, those with a label where there are enough of them."""
    frame = read_reference(project.baselines, baseline.model, baseline.version)
    kept = [name for name in (*features, *PREDICTIONS, *RECORD) if name in frame.columns]
    frame = frame[kept]
    if not _has_rows(baseline, features):
        frame = frame.drop(columns="label", errors="ignore")
    if "label" in frame.columns and frame["label"].notna().sum() >= settings.performance.min_labels:
        frame = _answered(frame[frame["label"].notna()])
    if len(frame) > EXPLAINED_ROWS_MAX:
        frame = frame.sample(EXPLAINED_ROWS_MAX, random_state=settings.drift.seed)
    return frame


def _has_rows(baseline: Baseline, features: Mapping[str, ColumnKind]) -> bool:
    """Tell whether the reference holds whole rows: in marginals, what stands side by side is not of one inference."""
    changed = set(baseline.marginals.columns) if baseline.marginals else set()
    return not changed & {*features, *PREDICTIONS, "label"}


def _labelled_rows(
    pulled: PulledWindow, features: Mapping[str, ColumnKind], settings: ModelSettings
) -> Examined | None:
    wanted = [name for name in (*features, *PREDICTIONS, *STATUS_COLUMNS, *RECORD) if name in pulled.columns]
    frame = pulled.sample(EXPLAINED_ROWS_MAX, seed=settings.drift.seed, columns=wanted, labelled=True)
    frame = frame[~failed_rows(frame)].drop(columns=[*STATUS_COLUMNS], errors="ignore")
    examined = _examined(_answered(frame), features, settings)
    return examined if examined.labelled is not None else None


def _served(pulled: PulledWindow, features: Mapping[str, ColumnKind], settings: ModelSettings) -> Examined:
    wanted = [name for name in (*features, *STATUS_COLUMNS, "sample_weight") if name in pulled.columns]
    frame = pulled.sample(EXPLAINED_ROWS_MAX, seed=settings.drift.seed, columns=wanted)
    return _examined(frame, features, settings)


def _answered(frame: pd.DataFrame) -> pd.DataFrame:
    said = [name for name in PREDICTIONS if name in frame.columns]
    return frame[frame[said].notna().any(axis=1)] if said else frame.head(0)


def _examined(frame: pd.DataFrame, features: Mapping[str, ColumnKind], settings: ModelSettings) -> Examined:
    failed = failed_rows(frame).to_numpy(dtype=float) if set(STATUS_COLUMNS) & set(frame.columns) else None
    labelled = None
    if "label" in frame.columns and len(frame) and frame["label"].notna().all():
        try:
            labelled = read_labelled(
                settings.task,
                labels=frame["label"],
                predictions=frame.get("prediction"),
                scores=frame.get("score"),
                weights=frame.get("sample_weight"),
                positive_label=settings.performance.positive_label,
            )
        except NotMeasurableError:
            labelled = None
    return Examined(
        columns=_columns(frame, features), weight=_weights(frame), labelled=labelled, failed=failed, time=_times(frame)
    )


def _columns(frame: pd.DataFrame, features: Mapping[str, ColumnKind]) -> dict[str, Any]:
    """Return features as floats and texts; one that the window does not have, or not as numbers, is missing everywhere."""
    import pandas as pd

    absent = pd.Series(np.nan, index=frame.index)
    columns = {name: frame[name] if name in frame.columns else absent for name in features}
    return {
        name: _numbers(column) if features[name] is ColumnKind.NUMBER else _texts(column)
        for name, column in columns.items()
    }


def _numbers(column: pd.Series) -> Any:
    import pandas as pd

    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def _texts(column: pd.Series) -> Any:
    texts = np.empty(len(column), dtype=object)
    texts[:] = [None if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]
    return texts


def _times(frame: pd.DataFrame) -> Any:
    """Return seconds since 1970, None where the rows have no times."""
    if "time" not in frame.columns or frame["time"].isna().any():
        return None
    return frame["time"].dt.tz_localize(None).to_numpy(dtype="datetime64[us]").astype(float) / 1e6


def _weights(frame: pd.DataFrame) -> Any:
    if "sample_weight" not in frame.columns:
        return np.ones(len(frame))
    return frame["sample_weight"].fillna(1.0).to_numpy(dtype=float)
