"""Rows whose first two columns go together, and the sample data beside the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrue.statistics.domain_rows import Rows

FOLDERS = sorted(Path(__file__).parents[3].glob("*/data"))


def related(generator: np.random.Generator, rows: int, correlation: float, columns: int = 5) -> Rows:
    """Standard normal columns of which ``x0`` and ``x1`` have this correlation, a category and a column with nulls."""
    values = generator.normal(size=(rows, columns))
    values[:, 1] = correlation * values[:, 0] + np.sqrt(1 - correlation**2) * values[:, 1]
    made: dict[str, Any] = {f"x{number}": values[:, number] for number in range(columns)}
    made["group"] = generator.choice(np.array(["a", "b", "c"], dtype=object), rows, p=[0.6, 0.3, 0.1])
    made["gap"] = np.where(generator.random(rows) < 0.1, np.nan, generator.exponential(size=rows))
    return Rows(columns=made)


def sample(place: str) -> Path:
    """Return a file of the sample data; the test is skipped where there is none."""
    found = next((folder / place for folder in FOLDERS if (folder / place).exists()), None)
    if found is None:
        pytest.skip(f"no */data/{place} beside the project")
    return found
