import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples.flights.data import CATEGORICAL_FEATURES, FEATURES, flights_between
from examples.flights.replay import BATCH_ROWS, FlightReplay, days_between, log_schema

DAY = date(2013, 7, 1)


class ByDistance:
    """A classifier that needs no fitting: the farther, the later; shorter flights than 1,000 miles are on time."""

    classes_ = np.array([0, 1])

    def predict_proba(self, features: pd.DataFrame, /) -> npt.NDArray[np.float64]:
        assert list(features) == list(FEATURES), "the model may see the features only"
        miles = features["distance_miles"].to_numpy()
        late = miles / (miles + 1000)
        return np.column_stack([1 - late, late])


@pytest.fixture
def replay(flights: pd.DataFrame, tmp_path: Path) -> FlightReplay:
    return FlightReplay(
        classifier=ByDistance(),
        model_version="7",
        flights=flights,
        logs=tmp_path / "logs",
        labels=tmp_path / "labels",
    )


def written(path: Path | None) -> Path:
    assert path is not None
    return path


def label_records(path: Path) -> Iterator[dict[str, object]]:
    return map(json.loads, path.read_text(encoding="utf-8").splitlines())


def test_records_have_the_contracts_columns_and_types(replay: FlightReplay) -> None:
    schema = pq.read_schema(written(replay.serve_day(DAY)))
    assert schema.equals(log_schema())
    assert schema.field("time").type == pa.timestamp("ns", tz="UTC")
    assert schema.names == [
        *("inference_id", "time", "model", "model_version", "status", "latency_ms"),
        *(f"features.{name}" for name in FEATURES),
        *("prediction", "score"),
    ]
    assert all(schema.field(f"features.{name}").type == pa.string() for name in CATEGORICAL_FEATURES)


def test_every_flight_of_the_day_is_served_once_in_order(replay: FlightReplay, flights: pd.DataFrame) -> None:
    departing = flights_between(flights, datetime(2013, 7, 1, tzinfo=UTC), datetime(2013, 7, 2, tzinfo=UTC))
    records = pq.read_table(written(replay.serve_day(DAY))).to_pandas()
    assert records["inference_id"].tolist() == departing["inference_id"].tolist()
    assert records["time"].is_monotonic_increasing
    assert records[["model", "model_version", "status"]].drop_duplicates().values.tolist() == [
        ["flight-delay", "7", "ok"]
    ]


def test_prediction_is_the_class_of_the_higher_probability(replay: FlightReplay) -> None:
    records = pq.read_table(written(replay.serve_day(DAY))).to_pandas()
    assert (records["prediction"] == (records["score"] > 0.5)).all()
    assert set(records["prediction"]) == {0, 1}


def test_missing_weather_is_null_not_nan(replay: FlightReplay, flights: pd.DataFrame) -> None:
    table = pq.read_table(written(replay.serve_day(DAY)))
    departing = flights[flights["inference_id"].isin(table["inference_id"].to_pylist())]
    assert table["features.gust_mph"].null_count == departing["gust_mph"].isna().sum() > 0


def test_latency_is_measured_and_shared_by_a_batch(replay: FlightReplay) -> None:
    latency_ms = pq.read_table(written(replay.serve_day(DAY)))["latency_ms"].to_numpy()
    assert (latency_ms > 0).all()
    assert len(np.unique(latency_ms)) == -(-len(latency_ms) // BATCH_ROWS)


def test_playing_a_day_again_changes_only_latencies(replay: FlightReplay) -> None:
    first = pq.read_table(written(replay.serve_day(DAY))).drop_columns("latency_ms")
    labels = written(replay.land_day(DAY)).read_bytes()
    assert pq.read_table(written(replay.serve_day(DAY))).drop_columns("latency_ms").equals(first)
    assert written(replay.land_day(DAY)).read_bytes() == labels


def test_landed_flights_of_a_day_all_get_their_label(replay: FlightReplay, flights: pd.DataFrame) -> None:
    """The longest of the day lands on the third day; what then has no label was cancelled or diverted."""
    served = set(pq.read_table(written(replay.serve_day(DAY)))["inference_id"].to_pylist())
    files = [written(replay.land_day(day)) for day in days_between(DAY, date(2013, 7, 4))]
    labels = {record["inference_id"]: record["label"] for file in files for record in label_records(file)}
    rows = flights[flights["inference_id"].isin(served)].set_index("inference_id")
    assert served - labels.keys() == set(rows.index[rows["label"].isna()]) != set()
    assert all(rows["label"][name] == labels[name] for name in served & labels.keys())


def test_label_records_stand_in_the_file_of_their_day(replay: FlightReplay) -> None:
    records = list(label_records(written(replay.land_day(DAY))))
    assert all(list(record) == ["inference_id", "label", "labelled_at", "source"] for record in records)
    times = [datetime.fromisoformat(str(record["labelled_at"])) for record in records]
    assert times == sorted(times)
    assert {at.astimezone(UTC).date() for at in times} == {DAY}


def test_a_day_without_flights_writes_nothing(replay: FlightReplay, tmp_path: Path) -> None:
    assert replay.serve_day(date(2015, 1, 1)) is None
    assert replay.land_day(date(2015, 1, 1)) is None
    assert list(tmp_path.iterdir()) == []


def test_no_unfinished_file_is_left(replay: FlightReplay) -> None:
    log, label = written(replay.serve_day(DAY)), written(replay.land_day(DAY))
    assert list(log.parent.iterdir()) == [log]
    assert list(label.parent.iterdir()) == [label]


def test_days_are_half_open() -> None:
    assert days_between(date(2013, 2, 27), date(2013, 3, 2)) == (
        date(2013, 2, 27),
        date(2013, 2, 28),
        date(2013, 3, 1),
    )
    assert days_between(DAY, DAY) == ()
