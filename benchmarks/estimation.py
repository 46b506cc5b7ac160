"""Estimated against realised performance: ``python -m benchmarks.estimation DATA`` prints the rows of `estimation`.

- *car loan*: the binary set NannyML publishes results on (``DATA/nannyml_car_loan``), reference of 50,000 rows, ten chunks of 5,000.
  Beside ours the error of NannyML's own published estimates (``DATA/expected_nannyml_docs_dev``).
- *flights*: the model of ``examples/flights``, which knows what is known before departure, trained on the first quarter of 2013;
  its predictions there out of fold are the reference, each of the 38 whole weeks from 4 April on a window. A week is estimated or
  withheld by the rule of `retrue.statistics.support`; ``flights, all weeks`` estimates every one nevertheless. NannyML, which withholds
  none, is measured on the same weeks where its own environment is.

A row is ``{subject, case, size, trials, count, mean_absolute_error, mean_half_width}``: of ``trials`` windows of about ``size`` rows
that were estimated, ``count`` had what was realised in their 95 % interval. The error is in units of the case's metric.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from benchmarks.alarms_subjects import NANNYML, ask_nannyml
from retrue.answers import Rows
from retrue.estimation import estimate_performance, fit_estimation
from retrue.performance import measure_performance
from retrue.results import EstimatedPerformance, RealisedPerformance
from retrue.statistics.support import bounds_of

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 5_000
WEEKS = 38
PEER_METRICS = ("roc_auc", "accuracy")  # which it estimates of those that we do
TABLES = "expected_nannyml_docs_dev"
ESTIMATED = "tutorial_estimating_standard_performance_metrics_binary_classification__cell5.csv"
REALISED = "tutorial_calculating_standard_metrics_binary_classification__cell5.csv"


class Row(TypedDict):
    """One line of `estimation`; see the module."""

    subject: str
    case: str
    size: int
    trials: int
    count: int
    mean_absolute_error: float
    mean_half_width: float


def estimation_rows(data: Path, metrics: Sequence[str] = ("roc_auc", "accuracy", "brier_score")) -> list[Row]:
    """Return every row of the section; a set that is not there has none.

    Args:
        data: The folder of sample data.
        metrics: Of binary tasks.
    """
    rows: list[Row] = []
    if (data / "nannyml_car_loan").is_dir():
        rows += car_loan(data, metrics)
    if (data / TABLES).is_dir():
        rows += published(data / TABLES)
    return rows + flights(metrics)


def car_loan(data: Path, metrics: Sequence[str]) -> list[Row]:
    """Return the rows of car loan."""
    import pandas as pd

    folder = data / "nannyml_car_loan"
    read = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "analysis", "analysis_target")}
    later = read["analysis"].assign(repaid=read["analysis_target"]["repaid"].to_numpy(dtype=float))
    features = [name for name in later.columns if name not in ("id", "timestamp", "repaid", "y_pred")]
    said = {"score": "y_pred_proba", "prediction": "y_pred", "label": "repaid"}
    reference, *windows = (
        _rows(part, features, **said)
        for part in (read["reference"], *(later.iloc[at : at + CHUNK] for at in range(0, len(later), CHUNK)))
    )
    return list(_compared("car loan", reference, windows, metrics))


def flights(metrics: Sequence[str]) -> list[Row]:
    """Return the rows of flights, none where their package is not installed."""
    from examples.flights.data import FEATURES, FlightsNotInstalledError, load_flights

    try:
        frame = load_flights()
    except FlightsNotInstalledError:
        return []
    reference, later = _scored_flights(frame[frame["label"].notna()].astype({"label": "int64"}))
    week = (later["time"] - later["time"].dt.normalize().min()).dt.days // 7
    said = {"score": "score", "prediction": "prediction", "label": "label"}
    known, *windows = (
        _rows(part, [*FEATURES, "score"], **said)
        for part in (reference, *(later[week == number] for number in range(WEEKS)))
    )
    own = [
        *_compared("flights", known, windows, metrics),
        *_compared("flights, all weeks", known, windows, metrics, max_unsupported_share=1.0),
    ]
    if not NANNYML.is_dir():
        return own
    peer = _nannyml(reference, later.assign(week=week)[week < WEEKS])
    estimated = [isinstance(each, EstimatedPerformance) for each in _estimates(known, windows, metrics[0])]
    return [*own, *_beside("flights", peer, windows, estimated), *_beside("flights, all weeks", peer, windows)]


def published(folder: Path) -> list[Row]:
    """Return how far NannyML's published estimates of car loan are from its published realised values."""
    rows: list[Row] = []
    estimated, realised = _table(folder / ESTIMATED), _table(folder / REALISED)
    for metric in ("roc_auc", "accuracy"):
        apart = np.abs(estimated[f"{metric}.value"] - realised[f"{metric}.value"])
        half = estimated[f"{metric}.upper_confidence_boundary"] - estimated[f"{metric}.value"]
        rows.append(_row("NannyML, published", f"car loan, {metric}", CHUNK, apart, half))
    return rows


def _table(path: Path) -> Mapping[str, np.ndarray[Any, Any]]:
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    numbers = [name for name in lines[0] if name.endswith((".value", ".upper_confidence_boundary"))]
    return {name: np.array([float(line[name]) for line in lines]) for name in numbers}


def _scored_flights(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the first quarter scored out of fold, in five stretches of time, and what follows scored by the whole model."""
    import pandas as pd
    from examples.flights.data import FEATURES
    from examples.flights.model import train

    frame = frame.sort_values("time")
    first = frame[frame["time"] < pd.Timestamp("2013-04-01", tz="UTC")]
    later = frame[frame["time"] >= pd.Timestamp("2013-04-04", tz="UTC")]
    fold = np.arange(len(first)) * 5 // len(first)
    columns = list(FEATURES)
    score = np.empty(len(first))
    for number in range(5):
        rest = first[fold != number]
        model = train(rest[columns], rest["label"])
        score[fold == number] = model.predict_proba(first.loc[fold == number, columns])[:, 1]
    whole = train(first[columns], first["label"]).predict_proba(later[columns])[:, 1]
    return tuple(part.assign(score=said, prediction=said >= 0.5) for part, said in ((first, score), (later, whole)))  # type: ignore[return-value]


def _rows(frame: pd.DataFrame, features: Sequence[str], *, score: str, prediction: str, label: str) -> Rows:
    columns = {}
    for name in features:
        column = frame[name]
        number = column.dtype.kind in "if"
        text = column.astype("string").astype(object)
        columns[name] = column.to_numpy(dtype=float) if number else text.where(column.notna(), None).to_numpy()
    return Rows(predictions=frame[prediction], scores=frame[score], labels=frame[label], columns=columns)


def _nannyml(reference: pd.DataFrame, weeks: pd.DataFrame) -> Mapping[str, Mapping[str, Sequence[float]]]:
    """Return NannyML's estimates of the weeks; all their rows are given the time of a Monday, where its weeks begin."""
    import pandas as pd

    columns = ["time", "label", "prediction", "score"]
    naive = reference.assign(
        time=reference["time"].dt.tz_localize(None), prediction=reference["prediction"].astype(int)
    )
    mondays = pd.Timestamp("2013-04-01") + pd.to_timedelta(7 * weeks["week"], unit="D")
    with tempfile.TemporaryDirectory(prefix="retrue-bench-") as folder:
        naive[columns].to_parquet(Path(folder) / "reference.parquet")
        said = weeks.assign(time=mondays, prediction=weeks["prediction"].astype(int))
        said[columns].to_parquet(Path(folder) / "weeks.parquet")
        found: Mapping[str, Mapping[str, Sequence[float]]] = json.loads(ask_nannyml("estimate", folder, *PEER_METRICS))
    return found


def _beside(
    case: str,
    peer: Mapping[str, Mapping[str, Sequence[float]]],
    windows: Sequence[Rows],
    chosen: Sequence[bool] | None = None,
) -> Iterator[Row]:
    """Yield how far NannyML's estimates of the chosen windows are from what the labels say."""
    kept = np.ones(len(windows), dtype=bool) if chosen is None else np.array(chosen)
    realised = [_realised(window) for window in windows]
    size = round(float(np.mean([len(window.truth) for window, each in zip(windows, kept, strict=True) if each])))
    for metric, estimated in peer.items():
        values, high = np.array(estimated["value"]), np.array(estimated["high"])
        apart = np.abs(values - np.array([each.metrics[metric].value for each in realised]))
        yield _row("NannyML", f"{case}, {metric}", size, apart[kept], (high - values)[kept])


def _estimates(reference: Rows, windows: Sequence[Rows], metric: str, **options: Any) -> list[object]:
    estimation = fit_estimation("binary", reference)
    bounds = {name: bounds_of(values) for name, values in reference.columns.items()}
    return [estimate_performance(estimation, "binary", metric, window, bounds=bounds, **options) for window in windows]


def _compared(
    case: str, reference: Rows, windows: Sequence[Rows], metrics: Sequence[str], **options: Any
) -> Iterator[Row]:
    found = list(zip(_estimates(reference, windows, metrics[0], **options), windows, strict=True))
    pairs = [(each, _realised(window)) for each, window in found if isinstance(each, EstimatedPerformance)]
    size = round(float(np.mean([each.rows for each, _ in pairs]))) if pairs else 0
    for metric in metrics:
        apart = np.array([abs(each.metrics[metric].value - said.metrics[metric].value) for each, said in pairs])
        half = np.array([(each.metrics[metric].high - each.metrics[metric].low) / 2 for each, _ in pairs])
        yield _row("retrue", f"{case}, {metric}", size, apart, half)


def _realised(window: Rows) -> RealisedPerformance:
    found = measure_performance(
        "binary",
        "roc_auc",
        labels=window.truth,
        predictions=window.predictions,
        scores=window.scores,
        resamples=10,  # only its values are used
    )
    assert isinstance(found, RealisedPerformance)
    return found


def _row(subject: str, case: str, size: int, apart: np.ndarray[Any, Any], half: np.ndarray[Any, Any]) -> Row:
    return Row(
        subject=subject,
        case=case,
        size=size,
        trials=len(apart),
        count=int((apart <= half).sum()),
        mean_absolute_error=round(float(apart.mean()), 4) if len(apart) else float("nan"),
        mean_half_width=round(float(half.mean()), 4) if len(half) else float("nan"),
    )


if __name__ == "__main__":
    for row in estimation_rows(Path(sys.argv[1])):
        print(" · ".join(f"{name} {value}" for name, value in row.items()))
