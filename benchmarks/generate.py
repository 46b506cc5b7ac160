"""Logs of a made-up model, for benchmarks: 25 feature columns, labels for 97 % of rows, seeded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

NUMBERS, CATEGORIES = 20, 5
START = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = tuple(f"x{n:02d}" for n in range(NUMBERS)) + tuple(f"c{n}" for n in range(CATEGORIES))
CATEGORY_COUNTS = (2, 5, 20, 100, 500)


def records(rows: int, *, seed: int) -> pd.DataFrame:
    """Return ``rows`` inferences of one day in the record's columns, features bare, with a label column."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(seed)
    columns: dict[str, object] = {
        "inference_id": pd.Series(np.arange(rows)).map("{:012d}".format),
        "time": pd.Timestamp(START) + pd.to_timedelta(np.sort(random.integers(0, 86_400_000, rows)), unit="ms"),
        "model": "bench",
        "model_version": "1",
        "status": "ok",
        "latency_ms": random.gamma(2, 5, rows),
    }
    numbers = random.normal(size=(rows, NUMBERS))
    columns |= {f"x{n:02d}": numbers[:, n] * (n + 1) for n in range(NUMBERS)}
    for n, count in enumerate(CATEGORY_COUNTS):
        columns[f"c{n}"] = np.array([f"v{k}" for k in range(count)])[random.integers(0, count, rows)]
    score = 1 / (1 + np.exp(-numbers[:, 0] - 0.5 * numbers[:, 1]))
    columns |= {"prediction": (score > 0.5).astype("int64"), "score": score}
    label = (random.random(rows) < score).astype("float64")
    columns["label"] = np.where(random.random(rows) < 0.97, label, np.nan)
    return pd.DataFrame(columns)


def write_logs(frame: pd.DataFrame, folder: Path) -> None:
    """Write the rows as a logger would: one Parquet file an hour, labels in one file."""
    logs, labels = folder / "logs", folder / "labels"
    logs.mkdir(parents=True)
    labels.mkdir()
    logged = frame.drop(columns="label").rename(columns={name: f"features.{name}" for name in FEATURES})
    for hour, part in logged.groupby(logged["time"].dt.hour):
        part.to_parquet(logs / f"{hour:02d}.parquet", index=False)
    known = frame.loc[frame["label"].notna(), ["inference_id", "label", "time"]]
    known = known.assign(label=known["label"].astype("int64"), labelled_at=known["time"] + timedelta(minutes=5))
    known.drop(columns="time").to_parquet(labels / "labels.parquet", index=False)
