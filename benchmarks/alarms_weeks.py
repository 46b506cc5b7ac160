"""Recorded streams as a baseline and the weeks after it, and what alarms in a week."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.alarms_data import Columns, Drawn
from benchmarks.alarms_subjects import evidently_strengths, retrue_strengths

WEEK_SECONDS = 7 * 86_400.0
STATED_SECONDS = 90 * 86_400.0
ALPHA = WEEK_SECONDS / STATED_SECONDS
RETRUE, EVIDENTLY = "retrue, 1 per 90d", "evidently"
Row = dict[str, object]


def weeks_of(table: pd.DataFrame, baseline: pd.Timedelta) -> Drawn:
    """Cut a table by its index: a baseline, then whole weeks."""
    end = table.index[0].floor("D") + baseline
    reference = table[table.index < end]
    place = (table.index - end) // pd.Timedelta(weeks=1)
    whole = range(int((table.index[-1] - end) // pd.Timedelta(weeks=1)))
    return Drawn(
        reference=_columns(reference),
        windows=tuple(_columns(table[place == week]) for week in whole),
        times=reference.index.to_numpy(),
        window_seconds=WEEK_SECONDS,
    )


def strengths_of(drawn: Drawn) -> dict[str, list[float]]:
    """Return by subject the strength of each week; it alarms from 1 on."""
    return {
        RETRUE: retrue_strengths(drawn, (ALPHA,), seed=0)[ALPHA],
        EVIDENTLY: evidently_strengths(drawn),
    }


def row_of(subject: str, case: str, size: int, trials: int, count: int) -> Row:
    """Return one row of the results."""
    return {"subject": subject, "case": case, "size": size, "trials": trials, "count": count}


def _columns(table: pd.DataFrame) -> Columns:
    return {
        name: table[name].to_numpy(dtype=float if table[name].dtype.kind in "fiu" else object) for name in table.columns
    }


def mean_rows(drawn: Drawn) -> int:
    """Return the rows of a week, on the average."""
    return round(float(np.mean([len(next(iter(window.values()))) for window in drawn.windows])))
