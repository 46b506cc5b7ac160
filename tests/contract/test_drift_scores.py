"""Our scores are Evidently's own, on many random columns of every kind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType

from retrue.adapters.drift_evidently import measure_drift
from retrue.results import ColumnKind
from retrue.statistics.distances import code, draw_scores, drift_score
from retrue.statistics.own_unit import in_unit, own_unit

NUMERIC = ("wasserstein", "jensenshannon", "psi", "hellinger", "kl_div")
CATEGORICAL = NUMERIC[1:]
Values = np.ndarray[Any, np.dtype[Any]]


def evidently_score(reference: Values, current: Values, method: str, kind: ColumnType) -> float:
    sides = [pd.Series(side).replace([-np.inf, np.inf], np.nan).dropna() for side in (reference, current)]
    test = get_stattest(sides[0], sides[1], kind, method)
    return float(test(sides[0], sides[1], kind, 0.1).drift_score)


def assert_same(ours: float, theirs: float, method: str) -> None:
    """Equal to 1e-9; where a distance is a root of next to nothing, its square is, since the root loses half the digits."""
    if method in ("jensenshannon", "hellinger") and ours < 1e-5:
        assert abs(ours**2 - (0.0 if math.isnan(theirs) else theirs) ** 2) < 1e-9
    else:
        assert abs(ours - theirs) <= 1e-9 * max(1, abs(theirs))


def numbers(seed: int) -> tuple[Values, Values]:
    rng = np.random.default_rng(seed)
    rows = rng.integers(30, 3000, 2)
    draw = (
        lambda n: rng.normal(5, 3, n),
        lambda n: rng.lognormal(0, 2, n),
        lambda n: rng.standard_t(2, n) * 1e4,
        lambda n: np.round(rng.normal(0, 4, n)),
        lambda n: rng.integers(0, 15, n).astype(float),
        lambda n: np.where(rng.random(n) < 0.7, 0.0, rng.exponential(2, n)),
        lambda n: np.full(n, 3.0),
        lambda n: rng.random(n) * 1e-5,
    )[seed % 8]
    sides = draw(rows[0]), draw(rows[1]) + (seed % 3) * 0.3
    if seed % 2:
        for side in sides:
            side[rng.random(len(side)) < 0.2] = np.nan
            side[rng.random(len(side)) < 0.01] = np.inf
    return sides


def labels(seed: int) -> tuple[Values, Values]:
    rng = np.random.default_rng(seed)
    names = np.array([f"c{number}" for number in range((2, 5, 40, 900)[seed % 4])], dtype=object)
    weights = [rng.dirichlet(np.full(len(names), 0.5)) for _ in range(2)]
    first, second = (rng.choice(names, rng.integers(30, 3000), p=each) for each in weights)
    if seed % 2:
        first[rng.random(len(first)) < 0.2] = None
    return first, second


@pytest.mark.parametrize("method", NUMERIC)
def test_scores_of_numbers_are_evidentlys(method: str) -> None:
    for seed in range(64):
        reference, current = numbers(seed)
        theirs = evidently_score(reference, current, method, ColumnType.Numerical)
        assert_same(drift_score(reference, current, method), theirs, method)


@pytest.mark.parametrize("method", NUMERIC)
@pytest.mark.parametrize("sd", [1e-3, 1e-6, 1e-9])
def test_scores_of_columns_of_small_units_are_the_reports(method: str, sd: float) -> None:
    rng = np.random.default_rng(3)
    reference, current = rng.normal(5, 1, 2000) * sd, rng.normal(5.3, 1, 500) * sd
    frames = [pd.DataFrame({"n": side}) for side in (reference, current)]
    result, _ = measure_drift(*frames, {"n": (method, 0.1)}, {"n": ColumnKind.NUMBER}, title="small")
    sides = [in_unit(side, own_unit(reference)) for side in (reference, current)]
    assert_same(drift_score(*sides, method), result.columns[0].score, method)


@pytest.mark.parametrize("method", CATEGORICAL)
def test_scores_of_categories_are_evidentlys(method: str) -> None:
    for seed in range(48):
        reference, current = labels(seed)
        theirs = evidently_score(reference, current, method, ColumnType.Categorical)
        assert_same(drift_score(reference, current, method), theirs, method)


@pytest.mark.parametrize("method", NUMERIC)
def test_many_windows_score_as_each_by_itself_does(method: str) -> None:
    """The vectorised form: draws out of one column against the rest of its rows."""
    rng = np.random.default_rng(1)
    values = np.round(rng.lognormal(0, 1, 2000), 2)
    values[rng.random(2000) < 0.1] = np.nan
    column = code(values, method)
    draws = [rng.permutation(2000)[:size] for size in (50, 400, 1000)]
    found = draw_scores(column, draws, method)
    for drawn, ours in zip(draws, found, strict=True):
        rest = np.delete(values, drawn)
        assert_same(float(ours), evidently_score(rest, values[drawn], method, ColumnType.Numerical), method)


@pytest.mark.parametrize("method", CATEGORICAL)
def test_a_column_of_ids_scores_as_the_report_does(method: str) -> None:
    rng = np.random.default_rng(2)
    reference, current = (rng.zipf(1.3, 4000).clip(max=10**9).astype(str).astype(object) for _ in range(2))
    kinds = {"id": ColumnKind.TEXT}
    frames = [pd.DataFrame({"id": side}) for side in (reference, current)]
    result, _ = measure_drift(*frames, {"id": (method, 0.1)}, kinds, title="ids")
    assert_same(drift_score(reference, current, method), result.columns[0].score, method)
