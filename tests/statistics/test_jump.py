from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.statistics.jump import BEFORE_MIN, jump_p_value

SERIES = st.lists(st.integers(-50, 50), min_size=BEFORE_MIN + 1, max_size=40)


def test_a_difference_as_large_as_those_before_is_none() -> None:
    assert jump_p_value([10, 11] * 8) == pytest.approx(0.3466, abs=1e-4)  # of Student's t with 8 degrees at 1


@given(SERIES, st.integers(1, 9), st.integers(-9, 9))
def test_units_and_direction_do_not_matter(values: list[int], scale: int, shift: int) -> None:
    assert jump_p_value([scale * each + shift for each in values]) == pytest.approx(jump_p_value(values))
    assert jump_p_value([-each for each in values]) == pytest.approx(jump_p_value(values))


@given(SERIES, st.integers(0, 100))
def test_a_larger_jump_is_never_less_surprising(values: list[int], more: int) -> None:
    *before, last, _ = values
    near, far = jump_p_value([*before, last, last + 1]), jump_p_value([*before, last, last + 1 + more])
    assert near is None or far is None or far <= near


def test_a_season_is_no_jump() -> None:
    weeks = np.arange(30)
    assert (jump_p_value(10 * np.sin(2 * np.pi * weeks / 52)) or 0) > 0.05


def test_fifty_series_without_jumps_seldom_have_one() -> None:
    """All together at 1 %: normal noise, the season of a year, and what differs from neighbour to neighbour by little."""
    random, at = np.random.default_rng(8), np.arange(20)
    noise = random.normal(size=(400, 50, 20))
    for series in (noise, noise + 5 * np.sin(2 * np.pi * (at + random.integers(0, 52, (400, 50, 1))) / 52)):
        windows = [min(jump_p_value(each) or 0 for each in window) for window in series]
        assert np.mean(np.array(windows) <= 0.01 / 50) <= 0.01


def test_little_history_says_nothing_and_none_at_all_makes_any_jump_one() -> None:
    assert jump_p_value(list(range(BEFORE_MIN))) is None
    assert jump_p_value([3.0] * 12) == 1.0
    assert jump_p_value([*[3.0] * 12, 3.0 + 1e-12]) == 1.0
    assert jump_p_value([*[3.0] * 12, 3.5]) == 0.0


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite values only"):
        jump_p_value([1.0, float("inf")] * 8)


def test_differences_too_large_to_be_squared_say_nothing() -> None:
    assert jump_p_value([1e308, -1e308] * 8) is None
