"""Columns that are empty where a model learns: of a sample, a fold, or a stretch of time."""

import numpy as np
import pytest

from retrue.statistics.domain import domain_auc, explain_domain
from retrue.statistics.domain_null import calibrate_domain
from retrue.statistics.domain_rows import Rows
from retrue.statistics.importance import measure_reliance

ROWS = 1_200


def columns(odd: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"one": rng.normal(size=ROWS), "two": rng.normal(size=ROWS), "odd": odd}


NOTHING = np.full(ROWS, np.nan)
ONCE = np.where(np.arange(ROWS) == 7, 1.0, np.nan)
LATE = np.where(np.arange(ROWS) > 1_000, np.arange(ROWS) / ROWS, np.nan)
NO_TEXT = np.full(ROWS, None, dtype=object)


@pytest.mark.parametrize("odd", [NOTHING, ONCE, LATE, NO_TEXT], ids=["nothing", "once", "late", "no text"])
def test_a_column_without_values_stops_neither_the_null_nor_a_window(odd: np.ndarray) -> None:
    rows = Rows(columns=columns(odd))
    null = calibrate_domain(rows, window_rows=200, alpha=0.05, replays=6)
    assert isinstance(null, str) or np.isfinite(null.threshold)
    window = rows.take(np.arange(200))
    assert 0 <= domain_auc(rows, window) <= 1
    explain_domain(rows, window)


@pytest.mark.parametrize("odd", [NOTHING, ONCE, LATE, NO_TEXT], ids=["nothing", "once", "late", "no text"])
def test_a_column_without_values_has_no_part_in_what_a_model_leans_on(odd: np.ndarray) -> None:
    given = columns(odd)
    found = measure_reliance(given, given["one"] * 2, np.ones(ROWS))
    assert found.shares["one"] > 0.9
    assert found.shares.get("odd", 0.0) < 0.05
