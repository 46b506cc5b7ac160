"""A project folder around generated logs: settings, a suite of 55 expectations, a frozen baseline.

retrue and pandas are imported inside functions: importing this must not weigh on who is measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.generate import CATEGORIES, CATEGORY_COUNTS, NUMBERS, START, records, write_logs

MODEL, VERSION = "bench", "1"
END = START + timedelta(days=1)
SUITE = "expectations.json"
REFERENCE_ROWS_MAX = 100_000  # as many as a baseline keeps
WINDOW_SEED, REFERENCE_SEED = 1, 2

_SETTINGS = f"""\
version: 1
models:
  {MODEL}:
    task: binary
    logs: {{uri: logs}}
    labels: {{uri: labels, horizon: 30d}}
    window: {{every: 1d}}
    expectations: {SUITE}
    performance: {{metric: roc_auc, min: 0.6, max_drop: 0.05}}
"""


def prepare(folder: Path, rows: int) -> None:
    """Make a project in an empty folder: a day of ``rows`` records with labels, and what they are judged by.

    The baseline is frozen from other rows of the same distributions, as many as the window has and at most 100,000.
    """
    (folder / "retrue.yaml").write_text(_SETTINGS, encoding="utf-8")
    (folder / SUITE).write_text(json.dumps(suite(rows), indent=1), encoding="utf-8")
    write_logs(records(rows, seed=WINDOW_SEED), folder)
    _freeze(folder, min(rows, REFERENCE_ROWS_MAX))


def suite(rows: int) -> dict[str, Any]:
    """Return 55 expectations that a window of so many rows meets, in Great Expectations' own form.

    >>> len(suite(1000)["expectations"])
    55
    """
    return {"name": MODEL, "expectations": list(_expectations(rows)), "meta": {}}


def _expectations(rows: int) -> Iterator[dict[str, Any]]:
    numbers = {f"x{n:02d}": n + 1.0 for n in range(NUMBERS)}
    values = {f"c{n}": [f"v{k}" for k in range(CATEGORY_COUNTS[n])] for n in range(CATEGORIES)}
    yield _entry("expect_table_row_count_to_be_between", min_value=rows // 4, max_value=rows * 4)
    for column in (*numbers, *values):
        yield _entry("expect_column_values_to_not_be_null", column=column, mostly=0.95)
    for column, sd in numbers.items():
        yield _entry(
            "expect_column_values_to_be_between", column=column, min_value=-5 * sd, max_value=5 * sd, mostly=0.999
        )
    for column in ("x00", "x05", "x10", "x15"):
        bound = 0.2 * numbers[column]
        yield _entry("expect_column_mean_to_be_between", column=column, min_value=-bound, max_value=bound)
    for column in ("c0", "c1", "c2"):
        yield _entry("expect_column_values_to_be_in_set", column=column, value_set=values[column], mostly=0.99)
    for column in ("c3", "c4"):
        yield _entry(
            "expect_column_unique_value_count_to_be_between", column=column, min_value=1, max_value=len(values[column])
        )


def _entry(kind: str, **kwargs: object) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": "warning", "meta": {"why": "the generator's distribution"}}


def _freeze(folder: Path, rows: int) -> None:
    from benchmarks.generate import FEATURES
    from retrue.stages.freeze import freeze
    from retrue.workspace import open_workspace

    with open_workspace(folder) as workspace:
        freeze(workspace, MODEL, VERSION, records(rows, seed=REFERENCE_SEED), FEATURES, source="generated")
