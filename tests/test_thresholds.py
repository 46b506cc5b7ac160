from dataclasses import replace

import pytest

from retrue.results import ColumnCalibration, ColumnDrift, ColumnKind, DomainNull, DriftCalibration, TextProfile
from retrue.thresholds import (
    calibrated_methods,
    columns_alpha,
    domain_alpha,
    drift_kinds,
    drift_thresholds,
    explain_drift,
    window_thresholds,
)
from tests.builders import baseline, drift, number, profile, settings, text


def test_each_kind_has_its_method_and_a_column_overrides_setting_by_setting() -> None:
    of = settings(drift={"columns": {"temp": {"threshold": 2.5}, "carrier": {"method": "psi"}}})
    assert drift_thresholds(profile(), of) == {"temp": ("wasserstein", 2.5), "carrier": ("psi", 0.1)}


def test_a_classifiers_predictions_are_classes_and_a_regressions_are_numbers() -> None:
    predicted = profile(number("prediction"))
    assert drift_kinds(predicted, settings()) == {"prediction": ColumnKind.TEXT}
    regression = settings(task="regression", performance={})
    assert drift_thresholds(predicted, regression) == {"prediction": ("wasserstein", 0.1)}


def test_a_column_that_was_never_measurable_gets_no_threshold() -> None:
    empty = text("gone", nulls=1000, null_share=1.0)
    times = number("at", kind=ColumnKind.TIME)
    assert drift_thresholds(profile(empty, times, number()), settings()) == {"temp": ("wasserstein", 0.1)}


COLUMN = ColumnCalibration(
    method="wasserstein", numeric=True, rows=1000, reference_rows=1000, location=0.10, scale=0.02,
    floor=0.05, threshold=0.16, detectable=0.2, quantiles=(),
)  # fmt: skip
FOUND = DriftCalibration(
    columns={"temp": COLUMN}, window_seconds=86400.0, alpha=1 / 90, tail=((0.5, 0.0), (0.1, 2.0), (1 / 90, 3.0)),
    replays=500, stretches=90, blocks="rows one by one",
)  # fmt: skip
CALIBRATED = baseline(calibration=FOUND)


def test_a_threshold_that_is_written_down_wins_and_leaves_the_family() -> None:
    written = settings(drift={"columns": {"temp": {"threshold": 2.5}}})
    assert set(calibrated_methods(profile(), written)) == {"carrier"}
    assert window_thresholds(CALIBRATED, written, {"temp": (1000, 1000)})["temp"] == ("wasserstein", 2.5)
    of_kind = settings(drift={"numeric": {"threshold": 0.4}})
    assert window_thresholds(CALIBRATED, of_kind, {"temp": (1000, 1000)})["temp"] == ("wasserstein", 0.4)


def test_a_calibrated_threshold_is_that_of_the_windows_own_size_and_rate() -> None:
    (_, usual), (_, small), (_, often) = (
        window_thresholds(CALIBRATED, settings(**changes), {"temp": rows})["temp"]  # type: ignore[arg-type]
        for changes, rows in (
            ({}, (1000, 1000)),
            ({}, (100, 1000)),
            ({"drift": {"false_alarms": "9 per 90d"}}, (1000, 1000)),
        )
    )
    assert usual == pytest.approx(0.16)
    assert small > usual > often


def test_another_method_than_the_calibrated_one_is_not_judged_by_its_threshold() -> None:
    psi = settings(drift={"numeric": {"method": "psi"}})
    assert window_thresholds(CALIBRATED, psi, {"temp": (1000, 1000)})["temp"] == ("psi", 0.1)
    explained = explain_drift(drift({"temp": 0.05}), CALIBRATED, psi, {"temp": (1000, 1000)})
    assert "temp is not calibrated for the method in use" in explained.uncalibrated


def test_measured_drift_is_told_how_rare_it_is_and_what_would_have_been_seen() -> None:
    explained = explain_drift(drift({"temp": 0.16}), CALIBRATED, settings(), {"temp": (1000, 1000)})
    column = explained.columns[0]
    assert column.chance == pytest.approx(1 / 90)
    assert column.detectable == pytest.approx(0.2 * 0.1 / 0.16)
    assert (explained.false_alarms, explained.alpha) == ("1 per 90d", pytest.approx(1 / 90))
    assert explained.uncalibrated == ""


def test_a_window_too_small_to_see_one_sd_is_blind_and_a_baseline_that_differs_so_is_another_case() -> None:
    few = {"temp": (10, 1000)}
    _, wide = window_thresholds(CALIBRATED, settings(), few)["temp"]
    small = replace(drift({}), columns=(ColumnDrift(column="temp", method="wasserstein", score=0.1, threshold=wide),))
    assert explain_drift(small, CALIBRATED, settings(), few).columns[0].blind == "window"
    noisy = baseline(calibration=replace(FOUND, columns={"temp": replace(COLUMN, detectable=None)}))
    assert explain_drift(drift({"temp": 0.1}), noisy, settings(), few).columns[0].blind == "baseline"


def test_a_baseline_frozen_before_there_was_calibration_is_judged_as_it_was_and_says_so() -> None:
    rows = {"temp": (1000, 1000)}
    assert window_thresholds(baseline(), settings(), rows)["temp"] == ("wasserstein", 0.1)
    explained = explain_drift(drift({"temp": 0.05}), baseline(), settings(), rows)
    assert "never calibrated" in explained.uncalibrated
    assert (explained.alpha, explained.columns[0].chance) == (None, None)
    written = settings(drift={"numeric": {"threshold": 0.4}})
    assert explain_drift(drift({"temp": 0.05}), baseline(), written, rows).uncalibrated == ""


def test_windows_of_another_length_than_the_calibrated_one_are_told() -> None:
    weekly = settings(window={"every": "7d"})
    assert "another length" in explain_drift(drift({"temp": 0.05}), CALIBRATED, weekly, {"temp": (9, 9)}).uncalibrated


def test_recorded_drift_explained_anew_is_that_of_another_rate() -> None:
    """What a replay does: the rows that were recorded suffice."""
    rows = {"temp": (400, 1000)}
    often = settings(drift={"false_alarms": "9 per 90d"})
    recorded = explain_drift(drift({"temp": 0.2}), CALIBRATED, settings(), rows)
    kept = {each.column: each.rows for each in recorded.columns if each.rows}
    assert kept == rows
    assert explain_drift(recorded, CALIBRATED, often, kept) == explain_drift(
        drift({"temp": 0.2}), CALIBRATED, often, rows
    )
    written = settings(drift={"numeric": {"threshold": 0.4}, "categorical": {"threshold": 0.4}})
    again = explain_drift(recorded, CALIBRATED, written, kept)
    assert (again.alpha, again.columns[0].chance, again.columns[0].detectable) == (None, None, None)


def test_all_columns_at_once_have_a_fifth_of_the_stated_rate_and_single_ones_the_rest() -> None:
    null = DomainNull(
        location=0.0, scale=0.1, quantiles=(), threshold=0.6, alpha=0.001, rows=500, reference_rows=1000, replays=40,
        stretches=20, columns=("temp", "carrier"),
    )  # fmt: skip
    stated = 1 / 90
    assert domain_alpha(settings()) == pytest.approx(0.2 * stated)
    assert 2 * domain_alpha(settings(), texts=1) == pytest.approx(0.2 * stated)
    assert columns_alpha(settings(), shared=True) + domain_alpha(settings()) == pytest.approx(stated)
    assert columns_alpha(settings(), shared=False) == pytest.approx(stated)
    rows = {"temp": (1000, 1000)}
    alone, beside = (
        window_thresholds(each, settings(), rows)["temp"][1] for each in (CALIBRATED, replace(CALIBRATED, domain=null))
    )
    assert beside > alone


def test_a_view_of_a_text_is_a_column_and_the_text_is_none() -> None:
    of_text = {"carrier": TextProfile(column="carrier", texts=9, common="", rare="", trigrams=())}
    kinds = drift_kinds(profile(), settings(), of_text)
    assert "carrier" not in kinds
    assert (kinds["carrier.length"], kinds["carrier.script"]) == (ColumnKind.NUMBER, ColumnKind.TEXT)
    own = settings(drift={"columns": {"carrier.length": {"threshold": 2.5}}})
    assert drift_thresholds(profile(), own, None, of_text)["carrier.length"] == ("wasserstein", 2.5)
