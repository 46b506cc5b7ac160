"""A year of taxi trips that changes little: how often a person is told.

Vendors' shares and fares do change a little in a year, so both are counted: windows in which a column of the table has drifted, those
included that are known when a trip is over, and windows in which a monitor of a fare model would speak. Its columns are what the
model is given and what it answers; a column that it does not lean on makes an ``info``, which is no alarm. *Incidents* are windows in which
one opens, by the rule that holds where none is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.alarms_data import Drawn
from benchmarks.alarms_subjects import retrue_drifted
from benchmarks.alarms_weeks import (
    ALPHA,
    EVIDENTLY,
    RETRUE,
    WEEK_SECONDS,
    Row,
    mean_rows,
    row_of,
    strengths_of,
    weeks_of,
)
from retrue.alarms import Look, alarm_standing
from retrue.config import AlarmSettings
from retrue.findings.harm import harm_of
from retrue.results import Severity
from retrue.statistics.importance import measure_reliance

NUMBERS = ("passenger_count", "trip_distance", "fare_amount", "tip_amount", "tolls_amount", "total_amount")
CATEGORIES = ("vendor_id", "rate_code_id", "store_and_fwd_flag", "payment_type")
INPUTS = ("hour", "passenger_count", "trip_distance", "vendor_id", "rate_code_id", "store_and_fwd_flag")
FARE, ANSWER = "fare_amount", "prediction"
YEAR = slice("2018-01-01", "2018-12-31")
BASELINE_WEEKS = 13
OPENING, RESOLVING = AlarmSettings().opening("drift"), AlarmSettings().resolving("drift")
REPEAT_EVERY = timedelta(days=7)
BEGINNING = datetime(2018, 4, 2, tzinfo=UTC)
Found = Mapping[str, Sequence[float | None]]
"""By column, how many times its threshold each window is; None where it has not drifted."""


def taxi(folder: Path) -> Iterator[Row]:
    """Yield in how many weeks of three quarters each subject alarms, beside the alarms that are stated."""
    table = _trips(folder)
    whole = weeks_of(table, pd.Timedelta(weeks=BASELINE_WEEKS))
    yield from _counted("taxi: all columns, outcomes too", whole, retrue_drifted(whole, ALPHA, seed=0))
    served, harmless = _served(table, len(whole.reference["hour"]))
    found = retrue_drifted(served, ALPHA, seed=0)
    speaking = {name: drifted for name, drifted in found.items() if name not in harmless}
    yield from _counted("taxi: inputs and answers of a fare model", served, speaking)


def _trips(folder: Path) -> pd.DataFrame:
    table = pd.concat([pd.read_csv(path, low_memory=False) for path in sorted(folder.glob("*.csv.gz"))])
    times = pd.to_datetime(table["pickup_datetime"])
    made: dict[str, Any] = {"hour": times.dt.hour.astype(float)}
    made |= {name: table[name].astype(float) for name in NUMBERS}
    made |= {name: table[name].astype(str) for name in CATEGORIES}
    return pd.DataFrame(made).set_index(times).sort_index().loc[YEAR]


def _served(table: pd.DataFrame, baseline_rows: int) -> tuple[Drawn, frozenset[str]]:
    """Return what a fare model, fitted to the baseline, is asked and answers, and the columns it does not lean on."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    inputs = table[list(INPUTS)]
    coded = inputs.assign(**{name: pd.Categorical(inputs[name]).codes for name in INPUTS if name in CATEGORIES})
    model = HistGradientBoostingRegressor(
        categorical_features=[name in CATEGORIES for name in INPUTS], random_state=0
    ).fit(coded[:baseline_rows], table[FARE][:baseline_rows])
    drawn = weeks_of(inputs.assign(**{ANSWER: model.predict(coded)}), pd.Timedelta(weeks=BASELINE_WEEKS))
    asked = {name: drawn.reference[name] for name in INPUTS}
    reliance = measure_reliance(asked, drawn.reference[ANSWER], np.ones(baseline_rows))
    return drawn, frozenset(name for name in INPUTS if harm_of(name, reliance) is Severity.INFO)


def _counted(case: str, drawn: Drawn, found: Found) -> Iterator[Row]:
    weeks = len(drawn.windows)
    counts = {
        RETRUE: sum(any(each is not None for each in week) for week in zip(*found.values(), strict=True)),
        "retrue, incidents": _openings(found, weeks),
        EVIDENTLY: sum(each >= 1 for each in strengths_of(drawn)[EVIDENTLY]),
    }
    for subject, count in counts.items():
        yield {**row_of(subject, case, mean_rows(drawn), weeks, count), "stated": round(weeks * ALPHA, 1)}


def _openings(found: Found, weeks: int) -> int:
    """Return in how many windows an incident of a column opens."""
    starts = [BEGINNING + timedelta(seconds=place * WEEK_SECONDS) for place in range(weeks)]
    opened = set()
    for beyond in found.values():
        looks = [
            Look(start=start, found=each is not None, excess=each) for start, each in zip(starts, beyond, strict=True)
        ]
        was_open = False
        for place in range(weeks):
            standing = alarm_standing(looks[: place + 1], OPENING, RESOLVING, repeat_every=REPEAT_EVERY)
            if standing.open and not was_open:
                opened.add(place)
            was_open = standing.open
    return len(opened)
