from retrue.results import ColumnKind
from retrue.thresholds import drift_kinds, drift_thresholds
from tests.builders import number, profile, settings, text


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
