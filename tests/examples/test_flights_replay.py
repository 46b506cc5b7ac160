from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from examples.flights.data import FEATURES, flights_between
from examples.flights.replay import BATCH_ROWS, FIELDS, MODEL, FlightReplay, days_between
from examples.flights.server import RELEASES, answer, prepare, release_on

from retrue.config import ModelSettings
from retrue.logger import InferenceLogger
from retrue.sources.files import pull_window
from retrue.sources.pulled import PulledWindow
from retrue.windows import Window

DAY = date(2013, 8, 5)  # of a release without a fault
CALM = date(2013, 5, 23)


class ByDistance:
    """A classifier that needs no fitting: the farther, the later; shorter flights than 1,000 miles are on time."""

    classes_ = np.array([0, 1])

    def predict_proba(self, features: pd.DataFrame, /) -> npt.NDArray[np.float64]:
        assert list(features) == list(FEATURES), "the model may see the features only"
        miles = features["distance_miles"].to_numpy()
        late = miles / (miles + 1000)
        return np.column_stack([1 - late, late])


Play = Callable[[date], pd.DataFrame]


@pytest.fixture
def play(flights: pd.DataFrame, tmp_path: Path) -> Play:
    """Serve a day, land its flights, and read the log back as a window."""

    def played(day: date) -> pd.DataFrame:
        with InferenceLogger(MODEL, version="7", to=tmp_path, fields=FIELDS) as log:
            replay = FlightReplay(classifier=ByDistance(), flights=flights, log=log)
            replay.serve_day(day)
            for landing in days_between(day, day + timedelta(days=3)):
                replay.land_day(landing)
        with window_of(tmp_path, day) as pulled:
            return pulled.sample(10_000, seed=0).sort_values(["time", "inference_id"], ignore_index=True)

    return played


@contextmanager
def window_of(folder: Path, day: date) -> Iterator[PulledWindow]:
    uris: dict[str, Any] = {"logs": {"uri": str(folder)}, "labels": {"uri": str(folder / "labels")}}
    settings = ModelSettings.model_validate({"task": "binary", **uris})
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    with pull_window(Window(model=MODEL, start=start, end=start + timedelta(days=1)), settings, root=folder) as pulled:
        yield pulled


def departing(flights: pd.DataFrame, day: date) -> pd.DataFrame:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return flights_between(flights, start, start + timedelta(days=1)).reset_index(drop=True)


def test_every_flight_of_the_day_is_logged_once_with_all_its_features(play: Play, flights: pd.DataFrame) -> None:
    records, expected = play(DAY), departing(flights, DAY)
    assert records["inference_id"].tolist() == expected["inference_id"].tolist()
    assert (records["time"].dt.as_unit("ns") == expected["time"]).all()
    pd.testing.assert_frame_equal(records[list(FEATURES)], expected[list(FEATURES)], check_dtype=False)
    assert set(records["model_version"]) == {"7"}


def test_prediction_is_the_class_of_the_higher_probability(play: Play) -> None:
    records = play(DAY)
    assert (records["prediction"] == (records["score"] > 0.5)).all()
    assert set(records["prediction"]) == {0, 1}


def test_missing_weather_is_null_not_nan(play: Play, flights: pd.DataFrame) -> None:
    assert play(DAY)["gust_mph"].isna().sum() == departing(flights, DAY)["gust_mph"].isna().sum() > 0


def test_latency_is_measured_and_shared_by_a_batch(play: Play) -> None:
    latency_ms = play(DAY)["latency_ms"]
    assert (latency_ms > 0).all()
    assert latency_ms.nunique() == -(-len(latency_ms) // BATCH_ROWS)


def test_landed_flights_all_get_their_label(play: Play, flights: pd.DataFrame) -> None:
    """The longest of the day lands on the third day; what then has no label was cancelled or diverted."""
    records, expected = play(DAY), departing(flights, DAY)
    unlabelled = set(records["inference_id"][records["label"].isna()])
    assert unlabelled == set(expected["inference_id"][expected["label"].isna()]) != set()
    known = expected["label"].notna()
    assert (records["label"][known].astype(int) == expected["label"][known].astype(int)).all()
    assert (records["labelled_at"][known].dt.as_unit("s") == expected["labelled_at"][known].dt.as_unit("s")).all()


def test_what_the_server_raises_is_logged_and_the_others_are_answered(play: Play, flights: pd.DataFrame) -> None:
    records, expected = play(CALM), departing(flights, CALM)
    failed = records[records["status"] == "error"]
    calm = (expected["origin"] == "EWR") & (expected["wind_mph"] == 0)
    assert set(failed["inference_id"][failed["error_type"] == "ZeroDivisionError"]) == set(
        expected["inference_id"][calm]
    )
    assert calm.sum() > 5
    assert failed["prediction"].isna().all()
    assert records["prediction"][records["status"] == "ok"].notna().all()


def test_a_day_without_flights_logs_nothing(flights: pd.DataFrame, tmp_path: Path) -> None:
    with InferenceLogger(MODEL, version="7", to=tmp_path, fields=FIELDS) as log:
        replay = FlightReplay(classifier=ByDistance(), flights=flights, log=log)
        assert (replay.serve_day(date(2015, 1, 1)), replay.land_day(date(2015, 1, 1))) == (0, 0)


def test_each_release_fails_as_it_says(flights: pd.DataFrame) -> None:
    features = departing(flights, DAY).iloc[0][list(FEATURES)].to_dict()
    calm = {**features, "origin": "EWR", "gust_mph": None, "wind_mph": 0.0}
    with pytest.raises(ZeroDivisionError):
        prepare(calm, release_on(date(2013, 5, 16)))
    with pytest.raises(KeyError):
        prepare({**features, "dest": "ACK"}, release_on(date(2013, 5, 1)))
    slow = [name for name in map(str, range(200)) if _times_out(features, name)]
    assert 0 < len(slow) < 50
    assert prepare({**calm, "dest": "ACK"}, release_on(DAY), inference_id=slow[0])["origin"] == "EWR"


def _times_out(features: dict[str, object], inference_id: str) -> bool:
    try:
        prepare({**features, "hour": 17.0, "dest": "LAX"}, release_on(date(2013, 6, 27)), inference_id=inference_id)
    except TimeoutError:
        return True
    return False


def test_one_request_is_answered_as_the_newest_release_does(flights: pd.DataFrame) -> None:
    features = departing(flights, DAY).iloc[0][list(FEATURES)].to_dict()
    prediction, score = answer(ByDistance(), {**features, "origin": "JFK"})
    assert prediction == int(score > 0.5)
    with pytest.raises(ZeroDivisionError):
        answer(ByDistance(), {**features, "origin": "EWR", "wind_mph": 0.0})
    assert release_on(date(2013, 12, 31)) is RELEASES[-1]


def test_days_are_half_open() -> None:
    assert days_between(date(2013, 2, 27), date(2013, 3, 2)) == (
        date(2013, 2, 27),
        date(2013, 2, 28),
        date(2013, 3, 1),
    )
    assert days_between(DAY, DAY) == ()
