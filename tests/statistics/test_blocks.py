import numpy as np
import pytest

from retrue.statistics.blocks import DAY, HOUR, WEEK, composed, contiguous, plan_blocks, single

RNG = np.random.default_rng(0)


def hourly(days: float) -> np.ndarray:
    return np.arange(0, days * DAY, HOUR)


@pytest.mark.parametrize(
    ("days", "window", "cell", "period"),
    [
        (91, 7 * DAY, 3.5 * DAY, WEEK),  # half a window
        (91, DAY, DAY / 2, WEEK),
        (91, 60 * DAY, 3.5 * DAY, WEEK),  # a twentieth of the baseline, and a window no longer than half of it
        (11, DAY, DAY / 2, DAY),  # no four weeks to choose from
        (10, HOUR * 2, HOUR, DAY),
    ],
)
def test_a_cell_divides_the_period_and_is_at_most_half_a_window(
    days: float, window: float, cell: float, period: float
) -> None:
    plan = plan_blocks(hourly(days), window)
    assert plan is not None
    assert (plan.cell_seconds, plan.period_seconds) == (cell, period)
    assert plan.window_seconds <= days * DAY / 2


def test_without_times_that_differ_rows_are_drawn_one_by_one() -> None:
    assert plan_blocks(np.zeros(100), DAY) is None
    assert plan_blocks(np.array([0.0, 0.0, 5.0, 5.0]), 2.0) is None
    assert plan_blocks(np.array([]), DAY) is None


def test_a_short_span_has_blocks_without_a_pattern() -> None:
    plan = plan_blocks(np.arange(0, 2 * DAY, 60), HOUR)
    assert plan is not None
    assert plan.words == "blocks in time"


def test_no_row_stands_twice_in_a_composed_window_and_every_cell_keeps_weekday_and_hour() -> None:
    times = hourly(91)
    plan = plan_blocks(times, 7 * DAY)
    assert plan is not None
    for rows in composed(times, plan, 50, RNG):
        assert len(set(rows.tolist())) == len(rows)
        places = np.unique(times[rows] % WEEK)
        assert len(places) == len(rows) == pytest.approx(7 * 24, abs=2)  # every hour of the week once


def test_a_window_of_half_the_baseline_takes_half_of_every_weekday() -> None:
    times = hourly(84)
    plan = plan_blocks(times, 84 * DAY)
    assert plan is not None
    for rows in composed(times, plan, 20, RNG):
        assert 0.4 < len(rows) / len(times) <= 0.51


def test_contiguous_windows_are_stretches_without_a_gap_and_empty_ones_are_left_out() -> None:
    times = np.concatenate([hourly(5), 30 * DAY + hourly(5)])
    windows = contiguous(times, DAY, 100)
    assert len(windows) == 10  # days, of which 25 between the two spans are empty
    for rows in windows:
        assert np.array_equal(rows, np.arange(rows[0], rows[-1] + 1))
        assert times[rows[-1]] - times[rows[0]] <= DAY


def test_single_rows_are_drawn_without_replacement() -> None:
    assert all(len(set(rows.tolist())) == 40 for rows in single(50, 40, 10, RNG))
