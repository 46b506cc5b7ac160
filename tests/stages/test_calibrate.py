"""A baseline is calibrated while it is frozen, and windows are judged by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrue.adapters.profile_ibis import profile_file
from retrue.baselines import read_baseline
from retrue.results import Baseline, ColumnKind, Profile
from retrue.stages.calibrate import as_kinds, calibrate_reference, calibration_line, column_values, rows_with_value
from retrue.stages.freeze import freeze
from tests import builders
from tests.stages.project import FEATURES, MODEL, REFERENCE, Shop, day, document, labelled_frame, labels, records

FRAME = labelled_frame(REFERENCE, 5)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A project in which no threshold is written down."""
    shop = Shop(root=tmp_path / "shop")
    shop.root.mkdir()
    shop.configure(drift={"false_alarms": "1 per 90d"})
    with shop.open() as workspace:
        freeze(workspace, MODEL, "1", FRAME, FEATURES, source="five good days")
    return shop


def frozen(shop: Shop) -> Baseline:
    with shop.open() as workspace:
        return read_baseline(workspace.project.baselines, MODEL, "1")


def test_freezing_calibrates_every_compared_column(shop: Shop) -> None:
    baseline = frozen(shop)
    assert baseline.calibration is not None
    assert set(baseline.calibration.columns) == set(baseline.thresholds) == {*FEATURES, "prediction", "score"}
    for name, (method, threshold) in baseline.thresholds.items():
        column = baseline.calibration.columns[name]
        assert (column.method, column.threshold) == (method, threshold)


def test_times_in_two_types_are_one_calibration(shop: Shop) -> None:
    """As a challenger's rows have them: those it learned from, and those of its gate."""
    half = len(FRAME) // 2
    mixed = pd.concat(
        [
            FRAME.head(half),
            FRAME.tail(len(FRAME) - half).assign(time=lambda rows: rows["time"].dt.tz_convert("Europe/Paris")),
        ]
    )
    assert mixed["time"].dtype == object
    with shop.open() as workspace:
        settings = workspace.project.model(MODEL)
    profile = frozen(shop).profile
    assert calibrate_reference(mixed, profile, settings) == calibrate_reference(FRAME, profile, settings)


def test_a_column_that_no_distance_can_hold_stops_no_freezing(shop: Shop) -> None:
    huge = FRAME.assign(age=[1e300 * (number % 7) for number in range(len(FRAME))])
    with shop.open() as workspace:
        settings = workspace.project.model(MODEL)
        baseline = freeze(workspace, MODEL, "2", huge, FEATURES, source="a sensor gone mad")
    assert baseline.calibration is not None
    assert "age" not in baseline.calibration.columns
    assert "income" in baseline.calibration.columns
    assert "age" in baseline.thresholds
    nothing = FRAME.assign(**dict.fromkeys((*FEATURES, "prediction", "score")))
    assert calibrate_reference(nothing, baseline.profile, settings) is None


def test_a_windows_threshold_is_the_reports_and_is_told_with_its_chance(shop: Shop) -> None:
    rows = records(day(0))
    shop.log(rows)
    shop.label(labels(rows))
    judged = shop.judge(0)
    told = {each["column"]: each for each in document(judged.report_dir)["measurements"]["drift"]["columns"]}
    assert all(0 < each["chance"] <= 1 and each["detectable"] > 0 for each in told.values())
    page = (judged.report_dir / "drift.html").read_text()
    assert all(f"{each['threshold']:g}" in page for each in told.values())
    assert "Stated rate: 1 per 90d" in (judged.report_dir / "summary.html").read_text()


def test_a_healthy_window_is_in_the_calibration_of_the_next_baseline(shop: Shop) -> None:
    rows = records(day(0))
    shop.log(rows)
    shop.label(labels(rows))
    before = frozen(shop).calibration
    verdict = shop.judge(0).verdict
    with shop.open() as workspace:
        after = freeze(workspace, MODEL, "2", FRAME, FEATURES, source="the same days again").calibration
    assert before is not None
    assert after is not None
    assert after.stretches == before.stretches + (verdict.outcome.value == "healthy") == before.stretches + 1


def profile_of(folder: Path, frame: pd.DataFrame) -> Profile:
    frame.to_parquet(folder / "rows.parquet", index=False)
    return profile_file(folder / "rows.parquet", [name for name in frame.columns if name != "time"])


def test_a_tiny_baseline_and_one_with_written_thresholds_are_not_calibrated(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, FRAME[[*FEATURES]])
    assert calibrate_reference(FRAME.head(50), profile, builders.settings()) is None
    written = builders.settings(drift={"numeric": {"threshold": 0.2}, "categorical": {"threshold": 0.2}})
    assert calibrate_reference(FRAME, profile, written) is None
    assert "not calibrated" in calibration_line(builders.baseline(), written)


def test_nullable_columns_booleans_and_numeric_classes_become_plain_values(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "prediction": [1.0, 0.0, 1.0],
            "endless": [1.0, np.inf, np.nan],
        }
    )
    values = column_values(frame, profile_of(tmp_path, frame), builders.settings())
    assert values["whole"][[0, 2]].tolist() == [1.0, 3.0]
    assert np.isnan(values["whole"][1])
    assert values["flag"].tolist() == [True, None, False]
    assert values["prediction"].tolist() == ["1", "0", "1"]
    kinds = {"whole": ColumnKind.NUMBER, "flag": ColumnKind.BOOLEAN, "endless": ColumnKind.NUMBER}
    assert rows_with_value(frame, kinds) == {"whole": 2, "flag": 2, "endless": 1}


def test_predicted_classes_keep_every_digit_however_a_side_holds_them() -> None:
    kinds = {"prediction": ColumnKind.TEXT}
    ids = [1234561, 1234563, None, 20_000_000_000_000_000]
    held = (pd.array(ids, dtype="Int64"), pd.array(ids, dtype="float64"), pd.array(ids, dtype="object"))
    for column in held:
        found = as_kinds(pd.DataFrame({"prediction": column}), kinds)["prediction"]
        assert found.fillna("").tolist() == ["1234561", "1234563", "", "20000000000000000"]
    texts = pd.DataFrame({"prediction": ["1.0", " a", "true", None]})
    assert as_kinds(texts, kinds)["prediction"].dropna().tolist() == ["1.0", " a", "true"]


def test_predictions_that_all_become_another_class_of_many_digits_are_drift(shop: Shop) -> None:
    shop.configure(performance={"metric": "roc_auc", "positive_label": "1234562"}, expectations=None)
    reference = FRAME.assign(prediction=FRAME["prediction"] + 1234561)
    with shop.open() as workspace:
        freeze(workspace, MODEL, "2", reference, FEATURES, source="long class numbers")
    shop.log([{**row, "model_version": "2", "prediction": 1234562} for row in records(day(0))])
    told = document(shop.judge(0).report_dir)["measurements"]["drift"]["columns"]
    (prediction,) = [each for each in told if each["column"] == "prediction"]
    assert prediction["score"] > 0.3 > prediction["threshold"]


def test_the_line_says_what_the_calibration_rests_on(shop: Shop) -> None:
    line = calibration_line(frozen(shop), builders.settings())
    assert "7 columns calibrated to 1 per 90d false alarms, 0.011 a window, on 500 replays" in line
    assert json.dumps(line)


@pytest.mark.parametrize("every", ["1h", "1d", "7d"])
def test_any_length_of_window_can_be_calibrated(tmp_path: Path, every: str) -> None:
    profile = profile_of(tmp_path, FRAME[[*FEATURES]])
    found = calibrate_reference(FRAME, profile, builders.settings(window={"every": every}))
    assert found is not None
    assert all(column.threshold > 0 for column in found.columns.values())
