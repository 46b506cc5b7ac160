"""The expected calibration error is that of its definition, weighted, and the same by resamples' sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.statistics.calibration_error import expected_calibration_error, residuals_by_bin

ROWS = 400


def world(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    chances = rng.uniform(0.05, 0.95, ROWS)
    return (rng.random(ROWS) < chances).astype(float), chances


def test_it_is_the_definition_bin_by_bin() -> None:
    labels, scores = world()
    bins = np.array_split(np.argsort(scores), 10)
    wanted = sum(len(rows) / ROWS * abs(labels[rows].mean() - scores[rows].mean()) for rows in bins)
    assert expected_calibration_error(labels, scores) == pytest.approx(wanted)


def test_scores_that_are_too_sure_err_by_what_they_are_off() -> None:
    labels = np.tile([0.0, 1.0], 100)
    assert expected_calibration_error(labels, np.full(200, 0.9)) == pytest.approx(0.4)
    assert expected_calibration_error(labels, np.full(200, 0.5)) == 0


@given(seed=st.integers(0, 50), order=st.randoms())
def test_it_is_a_share_and_the_order_of_rows_does_not_matter(seed: int, order) -> None:  # type: ignore[no-untyped-def]
    labels, scores = world(seed)
    rows = list(range(ROWS))
    order.shuffle(rows)
    error = expected_calibration_error(labels, scores)
    assert 0 <= error <= 1
    assert expected_calibration_error(labels[rows], scores[rows]) == pytest.approx(error)


def test_a_weight_of_two_is_the_row_twice() -> None:
    labels, scores = world()
    weights = np.random.default_rng(1).integers(1, 3, ROWS)
    twice = expected_calibration_error(np.repeat(labels, weights), np.repeat(scores, weights))
    assert expected_calibration_error(labels, scores, weights=weights) == pytest.approx(twice)


def test_equal_scores_share_a_bin() -> None:
    assert np.count_nonzero(residuals_by_bin([0, 1, 1, 0], [0.3, 0.3, 0.3, 0.3]).any(axis=0)) == 1


def test_a_missing_score_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        expected_calibration_error([0, 1], [0.5, np.nan])
