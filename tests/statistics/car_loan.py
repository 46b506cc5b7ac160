"""The published car loan example, where a folder ``*/data`` beside the project has it: rows, labels, and tables of results."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrue.answers import Rows

CHUNK = 5_000
CATEGORIES = ("salary_range", "size_of_downpayment", "repaid_loan_on_prev_car")
NUMBERS = ("car_value", "debt_to_income_ratio", "loan_length", "driver_tenure", "y_pred_proba")
_PLACES = tuple(Path(__file__).parents[3].glob("*/data"))


def folder(name: str) -> Path:
    """Return a folder of the sample data, or skip the test where there is none."""
    found = next((each / name for each in _PLACES if (each / name).is_dir()), None)
    if found is None:
        pytest.skip(f"no folder {name} of sample data beside the project")
    return found


def frame(name: str) -> pd.DataFrame:
    return pd.read_parquet(folder("nannyml_car_loan") / f"{name}.parquet")


def published(name: str) -> Mapping[str, np.ndarray]:
    """Return a table of ten chunks as numbers by column."""
    with (folder("expected_nannyml_docs_dev") / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        column: np.array([float(row[column]) for row in rows])
        for column in rows[0]
        if column.rsplit(".", 1)[-1] in ("value", "sampling_error")
    }


def rows(table: pd.DataFrame) -> Rows:
    text = {name: table[name].astype(str).to_numpy(dtype=object) for name in CATEGORIES}
    return Rows(
        predictions=table["y_pred"].to_numpy(),
        scores=table["y_pred_proba"].to_numpy(),
        labels=table["repaid"].to_numpy() if "repaid" in table else None,
        columns={**{name: table[name].to_numpy(float) for name in NUMBERS}, **text},
    )


def chunks(table: pd.DataFrame) -> list[pd.DataFrame]:
    return [table.iloc[start : start + CHUNK] for start in range(0, len(table), CHUNK)]
