"""A look at a version on probation: worse beyond noise, kept, or nothing that could be said."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from benchmarks.alarms_gate import rolled_back, rolled_back_worse
from scipy.stats import binom

from retrue.config import GateSettings
from retrue.gate import Past, ProbationLook, judge_probation, probation_looks, probation_windows
from retrue.results import Interval

ROWS, DAYS = 3000, 14
SETTINGS = GateSettings(resamples=200)
TIMES = np.datetime64("2013-04-04") + np.arange(ROWS) % DAYS * np.timedelta64(1, "D")


def answers(share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and predictions that are right on a share of them."""
    labels = np.random.default_rng(0).integers(0, 2, ROWS)
    right = np.random.default_rng(seed).random(ROWS) < share
    return labels, np.where(right, labels, 1 - labels)


def look(right: float, previous: float | Past, **more: Any) -> ProbationLook:
    labels, now = answers(right, 1)
    before = previous if isinstance(previous, Past) else answers(previous, 2)[1]
    arguments: dict[str, Any] = {"champion": now, "previous": before, "times": TIMES, "settings": SETTINGS, "looks": 3}
    return judge_probation("accuracy", task="binary", labels=labels, **{**arguments, **more})


def test_a_version_that_is_worse_on_the_same_rows_is_told_with_both_values() -> None:
    found = look(0.7, 0.8)
    assert found.outcome == "worse"
    assert found.reason.startswith("worse than the version before on the same 3,000 rows: accuracy 0.7")
    assert found.gain is not None
    assert found.gain.high < 0


@pytest.mark.parametrize("champion", [0.8, 0.9])
def test_an_equal_or_better_one_is_kept(champion: float) -> None:
    assert look(champion, 0.8).outcome == "kept"


def test_each_look_has_its_part_of_the_certainty() -> None:
    one, many = look(0.7, 0.8, looks=1), look(0.7, 0.8, looks=10)
    assert one.gain is not None
    assert many.gain is not None
    assert (one.gain.confidence, many.gain.confidence) == (pytest.approx(0.95), pytest.approx(0.995))
    assert many.gain.low < one.gain.low


def test_what_cannot_be_compared_is_inconclusive_with_its_reason() -> None:
    few = look(0.7, 0.8, times=TIMES[0] + np.zeros(ROWS, dtype="timedelta64[D]"))
    assert (few.outcome, few.gain) == ("inconclusive", None)
    assert few.reason.startswith("labelled rows in only 1 blocks of 1d")
    broken = answers(0.7, 1)[1].astype(object)
    broken[3] = None
    assert look(0.7, 0.8, champion=broken).reason == "the version has no answer or NaN on 1 of 3,000 rows"


def past(low: float, high: float, previous: float) -> Past:
    return Past(baseline=Interval(value=(low + high) / 2, low=low, high=high), previous_at_gate=previous)


def test_without_the_version_before_it_is_worse_below_its_baseline_and_below_what_that_one_reached() -> None:
    assert look(0.7, past(0.78, 0.82, 0.77)).outcome == "worse"
    assert look(0.7, past(0.78, 0.82, 0.65)).outcome == "kept", "the version before was no better than that"
    assert look(0.7, past(0.68, 0.82, 0.77)).outcome == "kept", "its own baseline is no better than that"
    assert "which cannot be loaded to be compared" in look(0.7, past(0.78, 0.82, 0.77)).reason


def test_a_loss_is_worse_above() -> None:
    rng = np.random.default_rng(0)
    labels = rng.normal(size=ROWS)
    arguments: dict[str, Any] = {
        "task": "regression",
        "labels": labels,
        "times": TIMES,
        "settings": SETTINGS,
        "looks": 1,
    }
    bad = judge_probation("mae", champion=labels + rng.normal(0, 2, ROWS), previous=past(0.7, 0.9, 0.9), **arguments)
    good = judge_probation("mae", champion=labels + rng.normal(0, 1, ROWS), previous=past(0.7, 0.9, 0.9), **arguments)
    assert (bad.outcome, good.outcome) == ("worse", "kept")


def test_without_the_version_before_too_little_is_inconclusive_too() -> None:
    few = look(0.7, past(0.78, 0.82, 0.77), settings=SETTINGS.model_copy(update={"min_rows": 5000}))
    assert (few.outcome, few.reason) == ("inconclusive", "3,000 labelled rows, at least 5,000 are needed")


@pytest.mark.parametrize(
    ("resample", "probation", "days", "windows", "looks"),
    [("1d", 4, 7, 4, 3), ("1d", 4, 1, 10, 1), ("1d", 20, 1, 20, 11), ("rows", 4, 1, 4, 4), ("1d", 0, 7, 0, 1)],
)
def test_a_probation_is_long_enough_for_a_look(
    resample: str, probation: int, days: int, windows: int, looks: int
) -> None:
    settings = GateSettings(resample=resample, probation=probation)  # type: ignore[arg-type]
    every = timedelta(days=days)
    assert (probation_windows(settings, every), probation_looks(settings, every)) == (windows, looks)


def test_a_version_of_equal_quality_is_rolled_back_at_most_as_often_as_promised() -> None:
    """The full figure is the benchmark's."""
    trials = 40
    assert sum(map(rolled_back, range(trials))) <= binom.ppf(0.999, trials, 0.025)


def test_a_version_that_loses_two_points_is_rolled_back_nearly_always() -> None:
    assert sum(map(rolled_back_worse, range(20))) >= 16
