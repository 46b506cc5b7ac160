"""McNemar's exact test gives what the literature prints, and its interval agrees with its p-value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.statistics.mcnemar import exact_mcnemar, mcnemar_interval, mid_p_mcnemar

COUNTS = st.integers(min_value=0, max_value=60)


def test_the_published_example_of_the_mid_p_test_comes_out() -> None:
    """Fagerland et al. (2013), table 1: airway hyper-responsiveness of 21 children (Bentur et al.), 1 against 7."""
    assert round(exact_mcnemar(1, 7), 4) == 0.0703
    assert round(mid_p_mcnemar(1, 7), 4) == 0.0391


def test_the_interval_of_the_odds_is_that_of_the_r_package_exact2x2() -> None:
    """Fay (2010), mcnemar.exact on matrix(c(21, 9, 2, 12), 2): p = 0.06543, odds ratio in 0.02336 to 1.07364."""
    assert round(exact_mcnemar(2, 9), 5) == 0.06543
    low, high = mcnemar_interval(2, 9, rows=11, confidence=0.95)
    odds = [(1 + bound) / (1 - bound) for bound in (low, high)]
    assert odds == pytest.approx([0.02336, 1.07364], abs=5e-6)


@given(won=COUNTS, lost=COUNTS)
def test_the_interval_excludes_0_exactly_where_the_test_rejects(won: int, lost: int) -> None:
    low, high = mcnemar_interval(won, lost, rows=200, confidence=0.95)
    assert (not low <= 0 <= high) == (exact_mcnemar(won, lost) < 0.05)


@given(won=COUNTS, lost=COUNTS)
def test_both_tests_are_symmetric_and_the_mid_p_value_is_the_smaller_one(won: int, lost: int) -> None:
    assert exact_mcnemar(won, lost) == exact_mcnemar(lost, won)
    assert mid_p_mcnemar(won, lost) == pytest.approx(mid_p_mcnemar(lost, won))
    assert 0 < mid_p_mcnemar(won, lost) <= exact_mcnemar(won, lost) <= 1


@given(won=COUNTS, lost=COUNTS)
def test_the_interval_turns_over_with_the_models(won: int, lost: int) -> None:
    low, high = mcnemar_interval(won, lost, rows=200, confidence=0.9)
    assert mcnemar_interval(lost, won, rows=200, confidence=0.9) == pytest.approx((-high, -low))


def test_no_row_that_tells_is_no_difference_and_impossible_counts_are_refused() -> None:
    assert exact_mcnemar(0, 0) == 1
    assert mcnemar_interval(0, 0, rows=10, confidence=0.95) == (0, 0)
    for counts in ((-1, 3), (3, -1)):
        with pytest.raises(ValueError, match="not negative"):
            exact_mcnemar(*counts)
    with pytest.raises(ValueError, match="12 of 10 rows"):
        mcnemar_interval(6, 6, rows=10, confidence=0.95)
