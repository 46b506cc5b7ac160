"""Which drift method and threshold each column gets. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from retrue.config import DriftSettings
from retrue.results import ColumnKind, Profile


def drift_thresholds(profile: Profile, settings: DriftSettings) -> Mapping[str, tuple[str, float]]:
    """Return (method, threshold) of every column of a baseline whose distribution can be compared.

    A column's own entry under ``drift.columns`` wins over the entry of its kind, setting by setting.
    """
    return {
        name: _of_column(name, column.kind, settings) for name, column in profile.columns.items() if column.measurable
    }


def _of_column(name: str, kind: ColumnKind, settings: DriftSettings) -> tuple[str, float]:
    of_kind = settings.numeric if kind is ColumnKind.NUMBER else settings.categorical
    own = settings.columns.get(name)
    method = (own and own.method) or of_kind.method or "jensenshannon"
    threshold = (own and own.threshold) or of_kind.threshold or 0.1
    return method, threshold
