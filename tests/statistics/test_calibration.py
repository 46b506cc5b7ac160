"""The stated rate of false alarms holds, for independent rows and for a daily season with memory; and what is seen is seen.

The same simulation at full size (reference of 20,000 rows, 20 columns, 400 windows and more) is in docs/statistics.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom

from retrue.results import DriftCalibration
from retrue.statistics.blocks import DAY
from retrue.statistics.calibration import Calibration, calibrate
from retrue.statistics.thresholds import limit_of, threshold_at

Values = np.ndarray[Any, np.dtype[Any]]
Columns = Mapping[str, Values]
Rng = np.random.Generator
REFERENCE, PER_DAY = 6000, 100


def independent(rng: Rng, rows: int, start: int) -> Columns:
    """Normal, skewed, heavy-tailed, half-zero numbers; 2 to 300 categories."""
    del start
    zipf = 1 / np.arange(1, 301)
    return {
        "normal": rng.normal(size=rows),
        "skewed": rng.lognormal(0, 1, rows),
        "heavy": rng.standard_t(3, rows),
        "zeros": np.where(rng.random(rows) < 0.6, 0, rng.exponential(1, rows)),
        "few": rng.integers(0, 8, rows).astype(float),
        "two": rng.choice(["a", "b"], rows, p=[0.8, 0.2]),
        "many": rng.choice(300, rows, p=zipf / zipf.sum()).astype("U3"),
    }


def seasonal(rng: Rng, rows: int, start: int) -> Columns:
    """First-order autoregressions (0.9 from row to row) on a daily season of several strengths; one cut into categories."""
    noise = rng.normal(size=(7, rows + 200)) * np.sqrt(1 - 0.9**2)
    series = lfilter([1], [1, -0.9], noise, axis=1)[:, 200:]
    season = np.sin(2 * np.pi * (start + np.arange(rows)) / PER_DAY)
    series += np.linspace(0, 1, 7)[:, None] * season
    numbers = {f"n{place}": each for place, each in enumerate(series[:6])}
    return {**numbers, "cut": np.digitize(series[6], [-1, 0, 1]).astype("U1")}


def times(rows: int = REFERENCE) -> Values:
    return np.arange(rows) * DAY / PER_DAY


def alarms(draw: Callable[[Rng, int, int], Columns], rows: int, references: int, windows: int) -> list[bool]:
    rng = np.random.default_rng(rows)
    found = []
    for seed in range(references):
        judge = calibrate(draw(rng, REFERENCE, 0), times(), window_rows=rows, alpha=0.05, seed=seed).judge
        starts = (rows * int(each) for each in rng.integers(0, 1000, windows))
        found += [bool(judge(draw(rng, rows, start))) for start in starts]
    return found


@pytest.mark.parametrize("draw", [independent, seasonal])
@pytest.mark.parametrize(("rows", "references", "windows"), [(100, 8, 30), (250, 8, 30), (1000, 6, 25), (6000, 4, 15)])
def test_windows_without_drift_alarm_no_oftener_than_stated(
    draw: Callable[[Rng, int, int], Columns], rows: int, references: int, windows: int
) -> None:
    found = alarms(draw, rows, references, windows)
    assert sum(found) <= binom.ppf(0.999, len(found), 0.05)


def reference(seed: int = 0, rows: int = REFERENCE) -> Columns:
    return independent(np.random.default_rng(seed), rows, 0)


@pytest.fixture(scope="module")
def calibrated() -> Calibration:
    return calibrate(reference(), times(), window_rows=1000, alpha=0.05)


def test_a_shift_of_the_detectable_size_is_seen_in_its_column(calibrated: Calibration) -> None:
    rng = np.random.default_rng(9)
    column = calibrated.found.columns["normal"]
    assert column.detectable is not None
    assert 0.08 < column.detectable < 0.3  # Student's test at this level and size needs 0.14
    seen = [
        calibrated.judge({**independent(rng, 1000, 0), "normal": rng.normal(column.detectable, 1, 1000)})
        for _ in range(60)
    ]
    assert sum("normal" in each for each in seen) > 60 * 0.6


def test_the_same_seed_gives_the_same_calibration_whatever_the_order_of_rows(calibrated: Calibration) -> None:
    shuffle = np.random.default_rng(1).permutation(REFERENCE)
    mixed = {name: values[shuffle] for name, values in reference().items()}
    again = calibrate(mixed, times()[shuffle], window_rows=1000, alpha=0.05)
    assert again.found == calibrated.found


def test_dependence_in_time_widens_what_rows_alone_would_say() -> None:
    columns = seasonal(np.random.default_rng(0), REFERENCE, 0)
    in_time = calibrate(columns, times(), window_rows=500, alpha=0.05).found
    alone = calibrate(columns, None, window_rows=500, alpha=0.05).found
    assert alone.blocks == "rows one by one"
    for name, column in in_time.columns.items():
        assert column.threshold > 2 * alone.columns[name].threshold


@pytest.mark.parametrize("method", ["wasserstein", "jensenshannon"])
def test_the_unit_of_a_column_decides_nothing(method: str) -> None:
    rng = np.random.default_rng(2)
    values, past, moved = rng.normal(5, 1, 3000), rng.normal(5, 1, 500), rng.normal(5.4, 1, 500)
    found = {
        unit: calibrate(
            {"n": values * unit},
            None,
            window_rows=500,
            alpha=0.05,
            methods={"n": method},
            history=[{"n": past * unit}] * 4,
        )
        for unit in (1.0, 1e-6)
    }
    plain, tiny = (each.found.columns["n"] for each in found.values())
    assert tiny.threshold == pytest.approx(plain.threshold, rel=0.02)  # bins may part equal values elsewhere
    assert tiny.detectable == pytest.approx(plain.detectable, rel=0.02)
    assert [each.judge({"n": moved * unit}) for unit, each in found.items()] == [("n",), ("n",)]
    assert [each.judge({"n": past * unit}) for unit, each in found.items()] == [(), ()]


def test_a_floor_keeps_certain_trifles_quiet() -> None:
    columns = {"n": np.random.default_rng(0).normal(size=20_000)}
    found = calibrate(columns, None, window_rows=20_000, alpha=0.05, floors={"n": 0.3}).found
    assert found.columns["n"].threshold == 0.3
    assert calibrate(columns, None, window_rows=20_000, alpha=0.05).found.columns["n"].threshold == 0.05


def test_healthy_history_that_lies_further_out_widens_thresholds() -> None:
    rng = np.random.default_rng(3)
    before = calibrate(reference(), None, window_rows=500, alpha=0.05).found
    later = [{**independent(rng, 500, 0), "normal": rng.normal(0.4 * (-1) ** place, 1, 500)} for place in range(12)]
    after = calibrate(reference(), None, window_rows=500, alpha=0.05, history=later).found
    assert after.stretches == 12
    assert limit_threshold(after, "normal") > 1.5 * limit_threshold(before, "normal")


def limit_threshold(found: DriftCalibration, name: str) -> float:
    return threshold_at(found.columns[name], limit_of(found, found.alpha), 500, REFERENCE)


def test_columns_without_values_or_with_one_are_harmless() -> None:
    columns = {
        "empty": np.full(500, np.nan),
        "constant": np.ones(500),
        "one": np.full(500, "x"),
        "normal": np.random.default_rng(0).normal(size=500),
    }
    found = calibrate(columns, times(500), window_rows=100, alpha=0.05)
    assert "empty" not in found.found.columns
    assert found.judge({"constant": np.ones(100), "one": np.full(100, "x"), "normal": columns["normal"][:100]}) == ()
    only = calibrate({"constant": columns["constant"]}, None, window_rows=100, alpha=0.05).found
    assert only.columns["constant"].threshold == 0.05


@pytest.mark.parametrize(("alpha", "rows"), [(0.0, 100), (1.0, 100), (0.05, 7)])
def test_nonsense_is_refused(alpha: float, rows: int) -> None:
    with pytest.raises(ValueError, match=r"alpha|too few"):
        calibrate({"n": np.arange(float(rows))}, None, window_rows=10, alpha=alpha)


def test_a_calibration_of_a_model_takes_seconds() -> None:
    """20,000 rows, 25 columns, 500 replays: 3 s on a quiet core."""
    rng = np.random.default_rng(0)
    columns = {f"n{place}": rng.normal(size=20_000) for place in range(18)}
    columns |= {f"c{place}": rng.choice(50, 20_000).astype("U2") for place in range(7)}
    start = time.process_time()
    calibrate(columns, np.arange(20_000) * 388.0, window_rows=1500, alpha=0.05)
    assert time.process_time() - start < 30


def test_what_is_found_is_plain_numbers(calibrated: Calibration) -> None:
    column = calibrated.found.columns["normal"]
    assert json.dumps([column.threshold, column.detectable, column.location, list(calibrated.found.tail)])
    assert type(column.detectable) is float
