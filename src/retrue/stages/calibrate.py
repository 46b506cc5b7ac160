"""Calibrate the drift of a reference while it is frozen. Frames become plain arrays here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from retrue.config import ModelSettings
from retrue.labelled import class_name
from retrue.results import Baseline, ColumnKind, DriftCalibration, Profile, TextProfile
from retrue.thresholds import NO_TEXTS, PREDICTION, calibrated_methods, columns_alpha, drift_kinds, is_blind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Values = np.ndarray[Any, np.dtype[Any]]

ROWS_MIN = 100  # fewer rows say next to nothing of their own spread


def calibrate_reference(
    frame: pd.DataFrame,
    profile: Profile,
    settings: ModelSettings,
    *,
    history: Iterable[pd.DataFrame] = (),
    texts: Mapping[str, TextProfile] = NO_TEXTS,
    shared: bool = False,
) -> DriftCalibration | None:
    """Return the calibration of a reference's columns, None where it has under 100 rows or every threshold is written down.

    Args:
        frame: All rows to be frozen, features under bare names, with ``time`` where they have one.
        profile: Of these rows.
        settings: The model's settings.
        history: Rows of later windows that were judged healthy.
        texts: Columns of free text, whose views are in the frames.
        shared: Whether all columns at once, or embeddings, have a share of the stated rate.
    """
    from retrue.statistics.calibration import calibrate, is_calibratable

    methods = calibrated_methods(profile, settings, texts)
    columns = column_values(frame, profile, settings, texts)
    columns = {name: values for name, values in columns.items() if name in methods and is_calibratable(values)}
    if len(frame) < ROWS_MIN or not columns:
        return None
    every = settings.window.every.total_seconds()
    return calibrate(
        columns,
        _times(frame),
        window_rows=_window_rows(frame, every, settings),
        alpha=columns_alpha(settings, shared=shared),
        seed=settings.drift.seed,
        window_seconds=every,
        methods={name: method for name, (method, _) in methods.items()},
        floors={name: floor for name, (_, floor) in methods.items()},
        sample_rows=settings.drift.sample_rows,
        history=[column_values(window, profile, settings, texts) for window in history],
    ).found


def _times(frame: pd.DataFrame) -> Values | None:
    """Return when each row was, in UTC; rows of a training and of its gate may hold their times in two types."""
    import pandas as pd

    if "time" not in frame.columns:
        return None
    times: Values = pd.to_datetime(frame["time"], utc=True).dt.tz_localize(None).to_numpy()
    return times


def calibration_line(baseline: Baseline, settings: ModelSettings) -> str:
    """Say in one line what the calibration of a baseline rests on, and which columns hide a large change."""
    found = baseline.calibration
    if found is None:
        return "not calibrated: under 100 rows, or every threshold is written down"
    chance = settings.drift.false_alarms.chance(settings.window.every)
    line = (
        f"{len(found.columns)} columns calibrated to {settings.drift.false_alarms} false alarms, {chance:.2g} a window, on "
        f"{found.replays} replays ({found.blocks}), {found.stretches} windows in a row"
    )
    blind = [name for name, column in found.columns.items() if is_blind(column, column.detectable)]
    return line + (f"; a shift of 1 sd would pass unseen in {', '.join(sorted(blind))}" if blind else "")


def column_values(
    frame: pd.DataFrame, profile: Profile, settings: ModelSettings, texts: Mapping[str, TextProfile] = NO_TEXTS
) -> Mapping[str, Values]:
    """Return the columns that are compared, as the drift scorers take them: floats, or texts with None for a null."""
    kinds = drift_kinds(profile, settings, texts)
    return {name: _values(as_kinds(frame, kinds)[name], kind) for name, kind in kinds.items() if name in frame.columns}


def as_kinds(frame: pd.DataFrame, kinds: Mapping[str, ColumnKind]) -> pd.DataFrame:
    """Return the frame with predicted classes as text, where they are to be compared as such: 1 and 1.0 are one class."""
    if kinds.get(PREDICTION) is not ColumnKind.TEXT or PREDICTION not in frame.columns:
        return frame
    classes = frame[PREDICTION].astype(object).map(_class_text, na_action="ignore")
    return frame.assign(**{PREDICTION: classes.astype("string")})


def _class_text(value: object) -> str:
    """Return the name of a class that is a number, with all of its digits; texts and booleans stay what the profile calls them."""
    return str(value) if isinstance(value, str | bool) else class_name(value)


def rows_with_value(frame: pd.DataFrame, kinds: Mapping[str, ColumnKind]) -> Mapping[str, int]:
    """Return how many rows of each column have a value: neither null nor, of a number, infinite."""
    return {
        name: int((frame[name].notna() & ~_infinite(frame[name], kind)).sum())
        for name, kind in kinds.items()
        if name in frame.columns
    }


def _infinite(column: pd.Series, kind: ColumnKind) -> pd.Series:
    import pandas as pd

    if kind is not ColumnKind.NUMBER:
        return pd.Series(data=False, index=column.index)
    return pd.to_numeric(column, errors="coerce").isin([float("inf"), float("-inf")])


def _values(column: pd.Series, kind: ColumnKind) -> Values:
    import numpy as np
    import pandas as pd

    if kind is ColumnKind.NUMBER:
        return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    known = column.astype(object)
    return known.where(known.notna(), None).to_numpy(dtype=object)


def _window_rows(frame: pd.DataFrame, every: float, settings: ModelSettings) -> int:
    """Rows of these that fall into a window's length; all of them where they have no times."""
    if "time" not in frame.columns:
        return min(len(frame), settings.drift.sample_rows)
    span = (frame["time"].max() - frame["time"].min()).total_seconds()
    rows = len(frame) * every / span if span else len(frame)
    return max(1, min(round(rows), len(frame), settings.drift.sample_rows))
