"""A small project on disk: the model `shop` with its logs, labels, frozen baseline, suite and train function.

A day is a window. Who buys follows from age, basket, country and device; the model that serves knows how, so its score is
the true probability of the usual world. Numbers have bounds, so that no usual day leaves the ranges of the suite.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from retrue.delivery import Recorder
from retrue.stages.freeze import freeze
from retrue.stages.monitor import Judged, carry_out, monitor_window
from retrue.windows import Window
from retrue.workspace import Workspace, open_workspace
from tests.sources.logs import Row, write_lines, write_parquet

MODEL = "shop"
NUMBERS, CATEGORIES = ("age", "income", "basket"), ("country", "device")
FEATURES = (*NUMBERS, *CATEGORIES)
DRIFTING = (*FEATURES, "prediction", "score")
DAY = timedelta(days=1)
REFERENCE = datetime(2025, 3, 1, tzinfo=UTC)
FIRST = datetime(2025, 3, 10, tzinfo=UTC)
NOW = datetime(2025, 4, 20, 12, tzinfo=UTC)
ROWS = 400
EFFECTS = ("record", "alias", "notify", "event", "retrain")
ONCALL, TEAM = "slack-webhook/oncall", "slack-webhook/team"

SETTINGS: Mapping[str, Any] = {
    "task": "binary",
    "logs": {"uri": "logs"},
    "labels": {"uri": "labels", "horizon": "30d"},
    "window": {"every": "1d", "settle": "2h", "min_rows": 100},
    "expectations": "expectations/shop.json",
    "drift": {"numeric": {"threshold": 0.3}, "categorical": {"threshold": 0.2}},
    "performance": {"metric": "roc_auc", "max_drop": 0.1},
    "notify": {"critical": [ONCALL], "warning": [TEAM], "info": "digest"},
}

TRAIN = '''\
"""How `shop` is trained."""

from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def train(features, labels):
    columns = ColumnTransformer([
        ("numbers", StandardScaler(), ["age", "income", "basket"]),
        ("categories", OneHotEncoder(handle_unknown="ignore"), ["country", "device"]),
    ])
    return make_pipeline(columns, LogisticRegression()).fit(features, labels.astype("int64"))
'''


def day(number: int) -> datetime:
    """The start of a window; 0 is the first after the baseline."""
    return FIRST + number * DAY


def window(number: int = 0, model: str = MODEL) -> Window:
    return Window(model=model, start=day(number), end=day(number + 1))


def records(start: datetime, count: int = ROWS, *, version: str = "1", seed: int | None = None) -> list[Row]:
    """Records spread evenly over the day from ``start``; the same day has the same ones."""
    draw = np.random.default_rng(seed if seed is not None else start.toordinal())
    values: dict[str, Any] = {
        "age": draw.uniform(20, 60, count).round(1),
        "income": draw.uniform(10_000, 50_000, count).round(2),
        "basket": draw.uniform(0, 90, count).round(2),
        "country": draw.choice(["DE", "ES", "FR"], count, p=[0.5, 0.3, 0.2]),
        "device": draw.choice(["app", "web"], count),
    }
    score = chance(values)
    step = DAY / count
    return [
        {
            "inference_id": f"{start:%Y%m%d}-{number}",
            "time": start + number * step,
            "model": MODEL,
            "model_version": version,
            "status": "ok",
            "latency_ms": 10.0,
            "prediction": int(score[number] >= 0.5),
            "score": float(score[number]),
            **{f"features.{name}": column[number].item() for name, column in values.items()},
        }
        for number in range(count)
    ]


def chance(values: Mapping[str, Any], *, sign: float = 1.0) -> Any:
    """The probability of buying: with ``sign`` -1 that of a world in which people do the opposite."""
    strength = 0.08 * (np.asarray(values["age"]) - 40) - 0.05 * (np.asarray(values["basket"]) - 45)
    strength = strength + 0.8 * (np.asarray(values["country"]) == "ES") - 0.6 * (np.asarray(values["device"]) == "app")
    return 1 / (1 + np.exp(-sign * strength))


def labels(rows: Sequence[Row], *, sign: float = 1.0, after: timedelta = timedelta(hours=1)) -> list[Row]:
    """What happened, drawn from the chances of a world, known some time after each record."""
    draw = np.random.default_rng(len(rows))
    chances = chance({name: [row[f"features.{name}"] for row in rows] for name in FEATURES}, sign=sign)
    bought = draw.random(len(rows)) < chances
    return [
        {"inference_id": row["inference_id"], "label": int(label), "labelled_at": row["time"] + after}
        for row, label in zip(rows, bought, strict=True)
    ]


def labelled_frame(start: datetime, days: int, *, sign: float = 1.0) -> pd.DataFrame:
    """Labelled records under bare names, as a window's table has them."""
    rows = [row for number in range(days) for row in records(start + number * DAY)]
    frame = pd.DataFrame(rows).rename(columns={f"features.{name}": name for name in FEATURES})
    return frame.assign(label=[row["label"] for row in labels(rows, sign=sign)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The project's folder, with what tests do to it."""

    root: Path
    model: str = MODEL

    def configure(self, **blocks: Any) -> None:
        """Write retrue.yaml; ``blocks`` replace the model's, ``mlflow`` the server.

        All columns at once are looked at only where a block asks for it: to calibrate that takes seconds.
        """
        mlflow = blocks.pop("mlflow", None)
        settings = {**SETTINGS, **blocks}
        settings["drift"] = {"multivariate": False, **settings.get("drift", {})}
        document = {"version": 1, "mlflow": mlflow, "models": {self.model: settings}}
        (self.root / "retrue.yaml").write_text(yaml.safe_dump(document))

    def log(self, rows: Sequence[Row], *, name: str = "") -> Path:
        """Write records of the model as one Parquet file, named after the day of the first."""
        path = self.root / "logs" / f"{name or format(rows[0]['time'], '%Y-%m-%d')}.parquet"
        return write_parquet(path, [{**row, "model": self.model} for row in rows])

    def log_lines(self, rows: Sequence[Row | bytes], *, name: str = "lines") -> Path:
        return write_lines(self.root / "logs" / f"{name}.jsonl", rows)

    def label(self, rows: Sequence[Row], *, name: str = "") -> Path:
        return write_lines(self.root / "labels" / f"{name or format(rows[0]['labelled_at'], '%Y-%m-%d')}.jsonl", rows)

    @contextmanager
    def open(self, *, carriers: Mapping[str, Recorder] | None = None, now: datetime = NOW) -> Iterator[Workspace]:
        """Open the workspace at a time, with these carriers instead of servers where any are given."""
        with open_workspace(self.root, now=lambda: now) as workspace:
            yield workspace if carriers is None else replace(workspace, carriers=carriers)

    def judge(self, number: int = 0, *, carriers: Mapping[str, Recorder] | None = None, now: datetime = NOW) -> Judged:
        with self.open(carriers=carriers, now=now) as workspace:
            return monitor_window(workspace, window(number, self.model))


def recorders(*kinds: str) -> dict[str, Recorder]:
    """A carrier that keeps what it is given, for each kind of effect."""
    return {kind: Recorder() for kind in kinds or EFFECTS}


def document(judged_dir: Path) -> dict[str, Any]:
    """A window's ``verdict.json``."""
    content: dict[str, Any] = json.loads((judged_dir / "verdict.json").read_text())
    return content


def build(root: Path, **blocks: Any) -> Shop:
    """Make the project with the baseline of version 1, which serves, and the suite proposed from it."""
    shop = Shop(root=root)
    root.mkdir(parents=True, exist_ok=True)
    shop.configure(**blocks)
    (root / "training.py").write_text(TRAIN)
    with shop.open(now=FIRST) as workspace:
        freeze(workspace, MODEL, "1", labelled_frame(REFERENCE, 5), FEATURES, source="five good days")
        models = workspace.ledger.models
        models.register_version(MODEL, "1", sha256="", kind="external", run_id="", now=FIRST)
        models.promote(MODEL, "1", expected_champion=None, reason="it serves", now=FIRST)
    with shop.open(now=FIRST, carriers=recorders()) as workspace:
        carry_out(workspace)
    return shop
