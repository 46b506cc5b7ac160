"""Alarms on two recorded streams: electricity with a change that is known, a year of taxi trips that hardly changes.

| stream | baseline | windows | what is right |
|---|---|---|---|
| ``electricity`` | the first 24 weeks | the weeks after | the first full window after row 17,424, where three columns begin to vary, alarms |
| ``taxi`` | the first quarter | the weeks after | in 9 months no more alarms than stated: one in 90 days |

A window alarms where any column drifts by the thresholds that the baseline was calibrated to.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.alarms_taxi import taxi
from benchmarks.alarms_weeks import Row, row_of, strengths_of, weeks_of

WEEK_ROWS = 336
BASELINE_WEEKS = 24
CHANGE_ROW = 17_424
PRICES = ("nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")


def streams(data: Path) -> Iterator[Row]:
    """Yield what was found in the streams whose folders there are."""
    if (data / "electricity_elec2").is_dir():
        yield from _electricity(data / "electricity_elec2" / "elec2.csv")
    if (data / "nyc_taxi_yellow_2018").is_dir():
        yield from taxi(data / "nyc_taxi_yellow_2018")


def _electricity(path: Path) -> Iterator[Row]:
    table = pd.read_csv(path, usecols=list(PRICES))
    times = pd.Timestamp("1996-05-07") + pd.to_timedelta(np.arange(len(table)) * 1_800, unit="s")
    drawn = weeks_of(table.set_index(times), pd.Timedelta(weeks=BASELINE_WEEKS))
    first = -(-CHANGE_ROW // WEEK_ROWS) - BASELINE_WEEKS
    for subject, strengths in strengths_of(drawn).items():
        alarms = [place for place, each in enumerate(strengths) if each >= 1]
        before = sum(place < first for place in alarms)
        yield row_of(subject, "electricity: windows before the change", WEEK_ROWS, first, before)
        found = [place for place in alarms if place >= first]
        after = found[0] - first + 1 if found else None
        yield {
            **row_of(subject, "electricity: the first full window after the change", WEEK_ROWS, 1, int(after == 1)),
            "windows_until_found": after,
        }
