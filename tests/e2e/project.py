"""A small project for the tests on real servers: ferries that come in late, for a reason that changes after three days.

Rows are drawn from a seed of their day, so that the same day is always the same. One feature has a name that tries to break
out of every page it is shown on.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MODEL = "ferry-late"
UNKNOWN = "quay-late"
"""A model whose baseline nobody has frozen."""

BLOCK = "crew"
HOSTILE = "</script><script>document.title='pwned'</script>"
FEATURES = ("wind", "tide", "line", HOSTILE)
ROWS = 600

DAY = timedelta(days=1)
LEARNED = datetime(2025, 3, 1, tzinfo=UTC)
SERVED = datetime(2025, 3, 4, tzinfo=UTC)
CHANGED = datetime(2025, 3, 7, tzinfo=UTC)
"""From here on wind brings ferries in early; on this day, the column with the hostile name leaves its range."""
RETRAINED = datetime(2025, 3, 8, tzinfo=UTC)
CHANGED_BACK = datetime(2025, 3, 9, tzinfo=UTC)

_RETRUE_YAML = f"""\
version: 1
ledger: sqlite:///.retrue/ledger.db
mlflow: ${{MLFLOW_TRACKING_URI}}
models:
  {MODEL}: &ferries
    task: binary
    logs: {{uri: logs/{MODEL}}}
    labels: {{uri: labels/{MODEL}, horizon: 30d}}
    window: {{every: 1d, settle: 2h, min_rows: 200}}
    expectations: expectations/{MODEL}.json
    drift: {{numeric: {{method: wasserstein, threshold: 0.3}}, categorical: {{method: jensenshannon, threshold: 0.3}}}}
    performance: {{metric: roc_auc, min: 0.7, max_drop: 0.2}}
    retrain:
      train: ferry_model:train
      history: 1d
      holdout: 12h
      include_reference: false
      gate: {{resample: 1h, min_rows: 200, slices: [line], min_slice_rows: 50, max_slice_loss: 0.1}}
    notify: {{critical: [custom-webhook/{BLOCK}], warning: [custom-webhook/{BLOCK}], info: digest}}
  {UNKNOWN}:
    task: binary
    logs: {{uri: logs/{UNKNOWN}}}
    window: {{every: 1d, min_rows: 200}}
"""

_MODEL_PY = '''\
"""How the ferries' model is trained."""

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def train(features, labels):
    lines = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["line"]), remainder="passthrough")
    return make_pipeline(lines, LogisticRegression()).fit(features, labels.astype("int64"))
'''


def furnish(folder: Path) -> None:
    """Fill a folder that `retrue init` made: settings, train function, a schedule that does not come up during the tests."""
    (folder / "retrue.yaml").write_text(_RETRUE_YAML)
    (folder / "ferry_model.py").write_text(_MODEL_PY)
    deployments = folder / "prefect.yaml"
    far = f"15 {(datetime.now(UTC).hour + 12) % 24} * * *"
    deployments.write_text(deployments.read_text().replace("15 2 * * *", far))
    frame = draw(SERVED)
    write_day(folder, UNKNOWN, SERVED, frame.assign(prediction=0, score=frame["wind"].rank(pct=True)), version="7")


def draw(day: datetime, *, rows: int = ROWS) -> pd.DataFrame:
    """Return a day's ferries: ids, times, features under bare names, and what became of them."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(day.toordinal())
    wind = random.uniform(-2, 2, size=rows)
    towards = -1 if CHANGED <= day < CHANGED_BACK else 1
    late = random.random(rows) < 1 / (1 + np.exp(-3 * towards * wind))
    return pd.DataFrame(
        {
            "inference_id": [f"{day:%Y-%m-%d}-{number}" for number in range(rows)],
            "time": pd.date_range(day, periods=rows, freq=DAY / rows),
            "wind": wind,
            "tide": random.uniform(size=rows),
            "line": random.choice(["north", "south"], size=rows),
            HOSTILE: np.where((day == CHANGED) & (np.arange(rows) < 12), 2.0, random.uniform(size=rows)),
            "label": late.astype("int64"),
        }
    )


def write_day(folder: Path, model: str, day: datetime, frame: pd.DataFrame, *, version: str) -> None:
    """Write what a model server would have logged of a day, and its labels, an hour later each."""
    named = frame.rename(columns={name: f"features.{name}" for name in FEATURES})
    log = named.drop(columns="label").assign(model=model, model_version=version, status="ok", latency_ms=12.5)
    logs, labels = folder / "logs" / model, folder / "labels" / model
    for each in (logs, labels):
        each.mkdir(parents=True, exist_ok=True)
    log.to_parquet(logs / f"{day:%Y-%m-%d}.parquet", index=False)
    with (labels / f"{day:%Y-%m-%d}.jsonl").open("w") as lines:
        for inference_id, label, at in zip(frame["inference_id"], frame["label"], frame["time"], strict=True):
            written: dict[str, Any] = {"inference_id": inference_id, "label": label}
            lines.write(json.dumps({**written, "labelled_at": (at + timedelta(hours=1)).isoformat()}) + "\n")


def add_late_rows(folder: Path, day: datetime) -> None:
    """Let a day's log grow after it was judged."""
    logs = folder / "logs" / MODEL
    late = _again(logs / f"{day:%Y-%m-%d}.parquet").head(20)
    late["inference_id"] += "-late"
    late.to_parquet(logs / f"{day:%Y-%m-%d}-late.parquet", index=False)


def _again(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)
