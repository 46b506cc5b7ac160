"""The benchmark of alarms counts what it says, and the page holds its figures."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from benchmarks.alarms import DOCS, RESULT
from benchmarks.alarms_data import SHIFTS, flipped, iid, seasonal
from benchmarks.alarms_rates import no_drift, shifts
from benchmarks.alarms_report import markdown
from benchmarks.alarms_subjects import all_at_once_strengths, evidently_strengths

SECTIONS = ("no_drift", "shifts", "streams", "estimation", "gate")


def test_windows_without_drift_and_shifted_ones_are_counted_for_every_subject(tmp_path: Path) -> None:
    rows = list(no_drift(tmp_path, references=1, windows=4, sizes=(200,), processes=1))
    assert {row["case"] for row in rows} == {"iid", "adult-like", "seasonal"}
    assert {"retrue, 1% stated", "retrue, 5% stated", "evidently"} <= {row["subject"] for row in rows}
    assert all(0 <= row["count"] <= row["trials"] == 4 for row in rows)  # type: ignore[operator]
    found = list(shifts(tmp_path, references=1, windows=5, sizes=(500,), processes=1))
    seen = {row["case"]: row["count"] for row in found if row["subject"] == "retrue"}
    assert set(SHIFTS) <= seen.keys()
    assert seen["mean + 0.5 sd"] == 5


def test_the_same_seed_draws_the_same_rows_and_shifts_move_one_column() -> None:
    one, two = (iid(np.random.default_rng(3), 100, 2) for _ in range(2))
    for name, values in one.reference.items():
        assert np.array_equal(values, two.reference[name])
    window = one.windows[0]
    for shift in SHIFTS.values():
        moved = shift(np.random.default_rng(0), window)
        assert sum(not np.array_equal(moved[name], window[name]) for name in window) == 1


def test_a_seasonal_window_is_a_day_after_the_reference() -> None:
    drawn = seasonal(np.random.default_rng(0), 96, 3)
    assert drawn.times is not None
    assert len(drawn.times) == len(drawn.reference["level"]) == 28 * 96
    assert [len(window["level"]) for window in drawn.windows] == [96] * 3


def test_evidentlys_defaults_alarm_on_many_categories_without_drift() -> None:
    """FACTS of the field: the distance of a column of 1,000 categories grows as windows shrink."""
    assert min(evidently_strengths(iid(np.random.default_rng(1), 500, 3))) > 1


def test_a_flipped_correlation_is_seen_by_all_columns_at_once_alone() -> None:
    drawn = flipped(np.random.default_rng(0), 500, 2)
    at_once = all_at_once_strengths(drawn, 0.01, seed=0)
    assert max(at_once[:2]) < 1 < min(at_once[2:])
    marginals = [np.sort(window["normal_1"]).mean() for window in drawn.windows]
    assert np.ptp(marginals) < 0.2


# ---------------------------------------------------------------- what is kept


@pytest.fixture(scope="module")
def kept() -> dict[str, list[dict[str, object]]]:
    if not RESULT.is_file():
        pytest.skip("the benchmark was not run")
    results: dict[str, list[dict[str, object]]] = json.loads(RESULT.read_text())
    return results


def test_the_page_holds_the_figures_that_were_measured(kept: dict[str, list[dict[str, object]]]) -> None:
    assert tuple(kept) == SECTIONS
    assert markdown(kept) in DOCS.read_text()


def test_measured_false_alarms_lie_within_the_binomial_bound_of_what_is_stated(
    kept: dict[str, list[dict[str, object]]],
) -> None:
    from scipy.stats import binom

    judged = [row for row in kept["no_drift"] if str(row["subject"]).startswith("retrue")]
    assert judged
    for row in judged:
        stated = float(str(row["subject"]).split(", ")[1].split("%")[0]) / 100
        assert row["count"] <= binom.ppf(0.999, row["trials"], stated), row


def test_nobody_sees_more_at_the_same_rate_of_false_alarms(kept: dict[str, list[dict[str, object]]]) -> None:
    """Beyond the standard error of two shares."""
    found = {(row["case"], row["size"], row["subject"]): row for row in kept["shifts"]}
    for (case, size, subject), row in found.items():
        ours = found[case, size, "retrue"]
        trials = int(str(row["trials"]))
        error = math.sqrt(2 * 0.25 / trials)
        assert int(str(row["count"])) / trials <= int(str(ours["count"])) / trials + 2 * error, (case, size, subject)


def count_of(rows: list[dict[str, object]], subject: str, case: str) -> int:
    (found,) = [row for row in rows if str(row["subject"]).startswith(subject) and str(row["case"]).startswith(case)]
    return int(str(found["count"]))


def test_a_known_change_is_found_in_the_first_full_window_after_it(kept: dict[str, list[dict[str, object]]]) -> None:
    assert count_of(kept["streams"], "retrue", "electricity: the first full window") == 1


def test_a_year_of_taxi_trips_opens_no_more_incidents_of_a_model_than_alarms_are_stated(
    kept: dict[str, list[dict[str, object]]],
) -> None:
    stated = next(float(str(row["stated"])) for row in kept["streams"] if "fare model" in str(row["case"]))
    assert count_of(kept["streams"], "retrue, incidents", "taxi: inputs and answers of a fare model") <= stated


def test_the_gate_lets_through_gains_and_keeps_out_equals_and_harm(kept: dict[str, list[dict[str, object]]]) -> None:
    from scipy.stats import binom

    gate = kept["gate"]
    assert {row["trials"] for row in gate} == {1_000}
    assert count_of(gate, "gate by day", "the same model") == 0
    for subject in ("gate by day", "gate by McNemar"):
        assert count_of(gate, subject, "a challenger of equal quality") <= binom.ppf(0.999, 1_000, 0.025)
        assert count_of(gate, subject, "+2 points of accuracy") >= 800
    assert count_of(gate, "gate by day", "+2 points in all, -10 on a fifth") >= 990
    assert count_of(gate, "watched gate", "equal quality") <= 25


def test_estimates_are_as_near_as_nannymls_and_their_intervals_hold_more_often(
    kept: dict[str, list[dict[str, object]]],
) -> None:
    ours = {row["case"]: row for row in kept["estimation"] if row["subject"] == "retrue"}
    theirs = [row for row in kept["estimation"] if str(row["subject"]).startswith("NannyML")]
    assert {str(row["case"]).partition(",")[0] for row in theirs} == {"car loan", "flights"}
    for row in theirs:
        own = ours[row["case"]]
        assert own["mean_absolute_error"] == pytest.approx(row["mean_absolute_error"], abs=5e-4)
        assert own["count"] >= row["count"]  # type: ignore[operator]
