"""The gate's promises, on fewer trials than the benchmark takes: its rows are those of section ``gate`` of alarms.json."""

from collections.abc import Callable

import pytest
from scipy.stats import binom

from benchmarks import alarms_gate as simulated


@pytest.mark.parametrize(
    ("run", "trials"),
    [
        (simulated.identical, 20),
        (simulated.equal, 100),
        (simulated.equal_by_mcnemar, 100),
        (simulated.watched, 100),
    ],
)
def test_a_challenger_that_is_no_better_is_promoted_at_most_as_often_as_alpha(
    run: Callable[[int], bool], trials: int
) -> None:
    assert sum(map(run, range(trials))) <= binom.ppf(0.999, trials, 0.025)


@pytest.mark.parametrize("run", [simulated.better, simulated.better_by_mcnemar, simulated.watched_better])
def test_two_points_of_true_gain_are_promoted_nearly_always(run: Callable[[int], bool]) -> None:
    assert sum(map(run, range(30))) >= 0.8 * 30


def test_a_challenger_that_harms_a_slice_is_refused_for_it() -> None:
    assert sum(map(simulated.harmful, range(20))) >= 18


def test_looking_daily_without_a_sequence_errs_far_more_often() -> None:
    trials = 200
    assert sum(map(simulated.looked_at_daily_without, range(trials))) > binom.ppf(0.999, trials, 0.025)


def test_every_case_is_a_row_of_the_section() -> None:
    rows = simulated.measure(trials=1)
    assert len(rows) == len(simulated.CASES)
    assert all(set(row) == {"subject", "case", "size", "trials", "count"} for row in rows)
