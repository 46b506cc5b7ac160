"""Calibration follows scikit-learn, is used only where it helps, and counts weights as rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from retrue.statistics.probability_calibration import (
    apply_curve,
    calibrated,
    calibrated_classes,
    fit_calibration,
    fit_isotonic,
    pool_scores,
)

ROWS = 20_000


def world(bend: float, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels; the chance of a label is the score to the power of ``bend``."""
    rng = np.random.default_rng(0)
    score = rng.random(rows)
    return score, (rng.random(rows) < score**bend).astype(float)


def test_a_curve_predicts_as_isotonic_regression_does() -> None:
    score, truth = world(2.0, 2_000)
    sklearn = IsotonicRegression(out_of_bounds="clip").fit(score, truth)
    at = np.linspace(-0.5, 1.5, 101)
    assert apply_curve(fit_isotonic(truth, score, np.ones(2_000)), at) == pytest.approx(sklearn.predict(at))


def test_bent_scores_need_calibration_and_get_right() -> None:
    score, truth = world(2.0)
    found = fit_calibration(truth, score, np.ones(ROWS))
    assert found.needed
    assert found.error_before == pytest.approx(1 / 6, abs=0.01)  # mean of x - x²
    assert found.error_after < 0.02
    assert np.abs(calibrated(found, score) - score**2).mean() < 0.02


def test_scores_that_are_probabilities_are_left_alone_where_a_curve_only_adds_noise() -> None:
    rng = np.random.default_rng(5)
    score = np.repeat([0.3, 0.6], 2_000)
    truth = np.concatenate([rng.permutation(np.arange(2_000) < 600), rng.permutation(np.arange(2_000) < 1_200)])
    order = rng.permutation(4_000)
    found = fit_calibration(truth[order], score[order], np.ones(4_000))
    assert found.error_before == pytest.approx(0)
    assert not found.needed
    assert calibrated(found, score).tolist() == score.tolist()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_weights_are_rows_and_their_order_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score, truth, counts = np.round(rng.random(40), 1), rng.integers(0, 2, 40).astype(float), rng.integers(1, 4, 40)
    places = rng.permutation(np.repeat(np.arange(40), counts))
    heavy, many = fit_isotonic(truth, score, counts), fit_isotonic(truth[places], score[places], np.ones(len(places)))
    assert apply_curve(heavy, score) == pytest.approx(apply_curve(many, score))


def test_classes_are_calibrated_against_the_rest_and_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    truth = rng.dirichlet([2.0, 1.0, 1.0], ROWS)
    scores = truth**2 / (truth**2).sum(axis=1, keepdims=True)  # too sure
    label = (rng.random(ROWS)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    found = {
        name: fit_calibration((label == number).astype(float), scores[:, number], np.ones(ROWS))
        for number, name in enumerate("abc")
    }
    probability = calibrated_classes(found, scores)
    assert probability.sum(axis=1) == pytest.approx(1)
    assert np.abs(probability - truth).mean() < 0.5 * np.abs(scores - truth).mean()


def test_a_row_without_any_probability_keeps_its_scores() -> None:
    never = fit_calibration(np.zeros(20), np.linspace(0, 1, 20), np.ones(20))
    assert calibrated_classes({"a": never, "b": never}, np.array([[0.8, 0.2]])).tolist() == [[0.8, 0.2]]


@settings(max_examples=50, deadline=None)
@given(scores=st.lists(st.floats(0, 1), min_size=5, max_size=60))
def test_pooled_scores_are_shared_by_five_rows_and_keep_their_order_and_mean(scores: list[float]) -> None:
    given_scores = np.array(scores)
    pooled = pool_scores(given_scores)
    assert np.unique(pooled, return_counts=True)[1].min() >= 5
    order = np.argsort(given_scores, kind="stable")
    assert (np.diff(pooled[order]) >= -1e-12).all()
    assert pooled.mean() == pytest.approx(given_scores.mean())


def test_the_knots_of_a_curve_tell_of_no_single_row() -> None:
    score, truth = world(1.0, 400)
    knots = fit_calibration(truth, score, np.ones(400)).curve.scores
    assert not set(knots) & set(score.tolist())
