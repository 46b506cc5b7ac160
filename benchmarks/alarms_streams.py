"""Alarms on two recorded streams: electricity with a change that is known, a year of taxi trips that hardly changes.

| stream | baseline | windows | what is right |
|---|---|---|---|
| ``electricity`` | the first 24 weeks | the weeks after | the first full window after row 17,424, where three columns begin to vary, alarms |
| ``taxi`` | the first quarter | the weeks after | in 9 months no more alarms than stated: one in 90 days |

A window alarms where any column drifts by the thresholds that the baseline was calibrated to. Taxi trips do change a little in a
year (vendors' shares, fares), so *2 of 3 windows* counts what a person is told under ``OPENING`` and ``RESOLVING``: windows in which an
incident of a column opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.alarms_data import Columns, Drawn
from benchmarks.alarms_subjects import evidently_strengths, retrue_drifted, retrue_strengths
from retrue.alarms import Look, alarm_standing
from retrue.config import OpenRule, ResolveRule

WEEK_SECONDS = 7 * 86_400.0
STATED_SECONDS = 90 * 86_400.0
ALPHA = WEEK_SECONDS / STATED_SECONDS
WEEK_ROWS = 336
BASELINE_WEEKS = 24
CHANGE_ROW = 17_424
PRICES = ("nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
TRIP_NUMBERS = ("passenger_count", "trip_distance", "fare_amount", "tip_amount", "tolls_amount", "total_amount")
TRIP_CATEGORIES = ("vendor_id", "rate_code_id", "store_and_fwd_flag", "payment_type")
OPENING, RESOLVING = OpenRule(after=2, of=3), ResolveRule(after=4)
BEGINNING = datetime(2018, 4, 2, tzinfo=UTC)
Row = dict[str, object]


def streams(data: Path) -> Iterator[Row]:
    """Yield what was found in the streams whose folders there are."""
    if (data / "electricity_elec2").is_dir():
        yield from _electricity(data / "electricity_elec2" / "elec2.csv")
    if (data / "nyc_taxi_yellow_2018").is_dir():
        yield from _taxi(data / "nyc_taxi_yellow_2018")


def _electricity(path: Path) -> Iterator[Row]:
    table = pd.read_csv(path, usecols=list(PRICES))
    times = pd.Timestamp("1996-05-07") + pd.to_timedelta(np.arange(len(table)) * 1_800, unit="s")
    drawn = _weeks(table.set_index(times), pd.Timedelta(weeks=BASELINE_WEEKS))
    first = -(-CHANGE_ROW // WEEK_ROWS) - BASELINE_WEEKS
    for subject, strengths in _judged(drawn).items():
        alarms = [place for place, each in enumerate(strengths) if each >= 1]
        row = _row(subject, "electricity: windows before the change", WEEK_ROWS, first, sum(a < first for a in alarms))
        yield row
        found = [place for place in alarms if place >= first]
        after = found[0] - first + 1 if found else None
        yield {
            **_row(subject, "electricity: the first full window after the change", WEEK_ROWS, 1, int(after == 1)),
            "windows_until_found": after,
        }


def _taxi(folder: Path) -> Iterator[Row]:
    read = [pd.read_csv(path, low_memory=False) for path in sorted(folder.glob("*.csv.gz"))]
    table = pd.concat(read)
    times = pd.to_datetime(table["pickup_datetime"])
    table = table.assign(
        hour=times.dt.hour.astype(float),
        **{name: table[name].astype(float) for name in TRIP_NUMBERS},
        **{name: table[name].astype(str) for name in TRIP_CATEGORIES},
    )
    table = table.set_index(times).sort_index().loc["2018-01-01":"2018-12-31"]
    drawn = _weeks(table[["hour", *TRIP_NUMBERS, *TRIP_CATEGORIES]], pd.Timedelta(weeks=13))
    rows, weeks = round(np.mean([len(window["hour"]) for window in drawn.windows])), len(drawn.windows)
    alarms = {subject: sum(each >= 1 for each in strengths) for subject, strengths in _judged(drawn).items()}
    alarms["retrue, 2 of 3 windows"] = _openings(drawn)
    for subject, count in alarms.items():
        yield {
            **_row(subject, "taxi: a year that hardly changes", rows, weeks, count),
            "stated": round(weeks * ALPHA, 1),
        }


def _openings(drawn: Drawn) -> int:
    """Return in how many windows an incident opens."""
    starts = [BEGINNING + timedelta(seconds=place * WEEK_SECONDS) for place in range(len(drawn.windows))]
    opened = set()
    for drifted in retrue_drifted(drawn, ALPHA, seed=0).values():
        looks = [Look(start=start, found=found) for start, found in zip(starts, drifted, strict=True)]
        was_open = False
        for place in range(len(looks)):
            standing = alarm_standing(looks[: place + 1], OPENING, RESOLVING, repeat_every=timedelta(days=7))
            if standing.open and not was_open:
                opened.add(place)
            was_open = standing.open
    return len(opened)


def _judged(drawn: Drawn) -> dict[str, list[float]]:
    return {
        "retrue, 1 per 90d": retrue_strengths(drawn, (ALPHA,), seed=0)[ALPHA],
        "evidently": evidently_strengths(drawn),
    }


def _weeks(table: pd.DataFrame, baseline: pd.Timedelta) -> Drawn:
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


def _columns(table: pd.DataFrame) -> Columns:
    return {
        name: table[name].to_numpy(dtype=float if table[name].dtype.kind == "f" else object) for name in table.columns
    }


def _row(subject: str, case: str, size: int, trials: int, count: int) -> Row:
    return {"subject": subject, "case": case, "size": size, "trials": trials, "count": count}
