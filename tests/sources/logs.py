"""Small logs and labels on disk, in either format, for tests of sources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from retrue.config import ModelSettings
from retrue.sources.files import pull_window
from retrue.sources.pulled import PulledWindow
from retrue.windows import Window

START = datetime(2025, 1, 1, tzinfo=UTC)
END = START + timedelta(days=1)
WINDOW = Window(model="m", start=START, end=END)

Row = dict[str, Any]


def settings(**blocks: Any) -> ModelSettings:
    """Settings of a model whose logs and labels lie in ``logs`` and ``labels``."""
    folders = {"logs": {"uri": "logs"}, "labels": {"uri": "labels", "horizon": "30d"}}
    return ModelSettings.model_validate({"task": "binary", **folders, **blocks})


def record(number: int, **values: Any) -> Row:
    """One record; its time lies in ``WINDOW`` for numbers below 1,440."""
    return {
        "inference_id": f"id-{number}",
        "time": START + timedelta(minutes=number),
        "model": "m",
        "model_version": "1",
        "status": "ok",
        "latency_ms": 10.0 + number,
        "prediction": number % 2,
        "score": 0.25,
        "features.x": number / 8 + 0.5,
        "features.carrier": "UA" if number % 2 else "AA",
        **values,
    }


def records(count: int, **values: Any) -> list[Row]:
    return [record(number, **values) for number in range(count)]


def label(number: int, value: Any, *, minutes: int = 60, **values: Any) -> Row:
    """A label of a record, that arrives some minutes after the window's start."""
    at = START + timedelta(minutes=minutes)
    return {"inference_id": f"id-{number}", "label": value, "labelled_at": at, **values}


def write_parquet(path: Path, rows: Sequence[Row], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path, **options)
    return path


def line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, default=lambda at: at.isoformat()).encode()


def write_lines(path: Path, rows: Sequence[Row | bytes], *, end: bytes = b"\n") -> Path:
    """Write records, or raw lines given as bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((row if isinstance(row, bytes) else line(row)) + end for row in rows))
    return path


def pull(root: Path, **options: Any) -> AbstractContextManager[PulledWindow]:
    """Pull ``WINDOW`` from a root; ``blocks`` go into the settings."""
    blocks = options.pop("blocks", {})
    return pull_window(options.pop("window", WINDOW), settings(**blocks), root=root, **options)


def column(pulled: PulledWindow, name: str) -> list[Any]:
    """A column's values in order of id."""
    table = pulled.expression()
    return [value for (value,) in pulled.engine.fetch(table.order_by(table.inference_id).select(name))]


def digest(root: Path, **options: Any) -> str:
    with pull(root, **options) as pulled:
        return pulled.report.input_digest
