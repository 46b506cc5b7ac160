"""Which drift method and threshold each column gets. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from retrue.config import DriftSettings, ModelSettings
from retrue.results import ColumnKind, Profile

PREDICTION = "prediction"


def drift_kinds(profile: Profile, settings: ModelSettings) -> Mapping[str, ColumnKind]:
    """Return the kind of every column of a baseline whose distribution can be compared.

    The predictions of a classifier are classes, even where they are written as numbers.
    """
    kinds = {name: column.kind for name, column in profile.columns.items() if column.measurable}
    classes = settings.task in ("binary", "multiclass") and PREDICTION in kinds
    return {**kinds, PREDICTION: ColumnKind.TEXT} if classes else kinds


def drift_thresholds(profile: Profile, settings: ModelSettings) -> Mapping[str, tuple[str, float]]:
    """Return (method, threshold) of the same columns.

    A column's own entry under ``drift.columns`` wins over the entry of its kind, setting by setting.
    """
    return {name: _of_column(name, kind, settings.drift) for name, kind in drift_kinds(profile, settings).items()}


def _of_column(name: str, kind: ColumnKind, settings: DriftSettings) -> tuple[str, float]:
    of_kind = settings.numeric if kind is ColumnKind.NUMBER else settings.categorical
    own = settings.columns.get(name)
    method = (own and own.method) or of_kind.method or "jensenshannon"
    threshold = (own and own.threshold) or of_kind.threshold or 0.1
    return method, threshold
