"""CBPE gives the published numbers, is unbiased on calibrated scores, and knows its own noise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.labelled import LabelledRows
from retrue.metrics import METRICS
from retrue.scoring import value_of
from retrue.statistics.cbpe import ScoredRows, estimate_binary, estimate_multiclass
from retrue.statistics.probability_calibration import calibrated, fit_calibration
from tests.statistics import car_loan

BINARY, MULTICLASS = METRICS["binary"], METRICS["multiclass"]
ROWS = 3_000


def drawn(rows: int = ROWS, seed: int = 0) -> ScoredRows:
    """Rows whose scores are the probabilities, with ties and weights."""
    rng = np.random.default_rng(seed)
    score = np.round(rng.beta(2, 4, rows), 2)
    weight = rng.choice([1.0, 3.0], rows)
    return ScoredRows(score=score, predicted=(score >= 0.4).astype(float), probability=score, weight=weight)


def taken(rows: ScoredRows, places: Any, weight: Any = None) -> ScoredRows:
    predicted = None if rows.predicted is None else rows.predicted[places]
    return ScoredRows(
        score=rows.score[places],
        predicted=predicted,
        probability=rows.probability[places],
        weight=rows.weight[places] if weight is None else weight,
    )


def values(rows: ScoredRows) -> dict[str, float]:
    return {name: each.value for name, each in estimate_binary(BINARY, rows).items()}


def realised(rows: ScoredRows, truth: np.ndarray) -> dict[str, float]:
    assert rows.predicted is not None
    labelled = LabelledRows(truth=truth, predicted=rows.predicted, score=rows.score, weight=rows.weight)
    return {name: value_of(name, labelled) for name in BINARY}


# ---------------------------------------------------------------- published numbers


@pytest.fixture(scope="module")
def estimates() -> list[dict[str, Any]]:
    reference = car_loan.frame("reference")
    score = reference["y_pred_proba"].to_numpy()
    calibration = fit_calibration(reference["repaid"].to_numpy(), score, np.ones(len(score)))
    assert calibration.needed
    found = []
    for chunk in car_loan.chunks(car_loan.frame("analysis")):
        score = chunk["y_pred_proba"].to_numpy()
        rows = ScoredRows(
            score=score,
            predicted=chunk["y_pred"].to_numpy(float),
            probability=calibrated(calibration, score),
            weight=np.ones(len(score)),
        )
        found.append(estimate_binary(BINARY, rows))
    return found


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "f1"])
def test_car_loan_gives_the_published_estimates(estimates: list[dict[str, Any]], metric: str) -> None:
    table = car_loan.published("tutorial_estimating_standard_performance_metrics_binary_classification__cell5")
    ours = np.array([each[metric].value for each in estimates])
    assert np.abs(ours - table[f"{metric}.value"]).max() < 5e-6  # the tables have six digits
    assert len(ours) == 10


def test_car_loan_gives_what_the_published_confusion_matrix_says_of_precision_and_recall(
    estimates: list[dict[str, Any]],
) -> None:
    table = car_loan.published("tutorial_estimating_confusion_matrix_binary_classification__cell5")
    hit, false, missed = (table[f"{name}.value"] for name in ("true_positive", "false_positive", "false_negative"))
    for metric, expected in (("precision", hit / (hit + false)), ("recall", hit / (hit + missed))):
        ours = np.array([each[metric].value for each in estimates])
        assert np.abs(ours - expected).max() < 1e-5


@pytest.mark.parametrize("metric", ["roc_auc", "f1", "precision", "recall", "accuracy", "average_precision"])
def test_our_realised_metrics_are_the_published_ones(metric: str) -> None:
    table = car_loan.published("tutorial_calculating_standard_metrics_binary_classification__cell5")
    truth = car_loan.frame("analysis_target")["repaid"].to_numpy(float)
    for number, chunk in enumerate(car_loan.chunks(car_loan.frame("analysis"))):
        rows = LabelledRows(
            truth=truth[number * car_loan.CHUNK : (number + 1) * car_loan.CHUNK],
            predicted=chunk["y_pred"].to_numpy(float),
            score=chunk["y_pred_proba"].to_numpy(),
            weight=np.ones(len(chunk)),
        )
        assert value_of(metric, rows) == pytest.approx(table[f"{metric}.value"][number], abs=1e-6)


@pytest.mark.parametrize(
    ("metric", "factor"), [("roc_auc", 2**0.5), ("precision", 1.0), ("recall", 1.0), ("accuracy", 1.0)]
)
def test_our_sampling_error_is_the_published_one(estimates: list[dict[str, Any]], metric: str, factor: float) -> None:
    """The published one of ROC AUC counts how positives are placed, not negatives: with as many of each ours is √2 of it."""
    table = car_loan.published("tutorial_calculating_standard_metrics_binary_classification__cell5")
    published = table[f"{metric}.sampling_error"][0]  # of the reference: the first five chunks are like it
    ours = np.mean([each[metric].sd for each in estimates[:5]])
    assert ours == pytest.approx(factor * published, rel=0.1)


# ---------------------------------------------------------------- properties


def test_scores_that_are_probabilities_give_unbiased_estimates() -> None:
    rows = drawn(rows=20_000)
    rng = np.random.default_rng(1)
    found = estimate_binary(BINARY, rows)
    worlds = [realised(rows, (rng.random(20_000) < rows.probability).astype(float)) for _ in range(40)]
    for name in BINARY:
        seen = np.array([world[name] for world in worlds])
        assert abs(seen.mean() - found[name].value) < 4 * seen.std() / 40**0.5, name


def test_the_sampling_error_is_that_of_drawn_rows_and_labels() -> None:
    rows, rng = drawn(), np.random.default_rng(2)
    found = estimate_binary(BINARY, rows)
    worlds: list[dict[str, float]] = []
    for _ in range(200):
        places = rng.integers(0, ROWS, ROWS)
        part = taken(rows, places)
        worlds.append(realised(part, (rng.random(ROWS) < part.probability).astype(float)))
    for name in BINARY:
        assert np.std([world[name] for world in worlds]) == pytest.approx(found[name].sd, rel=0.2), name


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    rows = drawn(rows=60, seed=seed)
    mixed = taken(rows, np.random.default_rng(seed).permutation(60))
    assert values(mixed) == pytest.approx(values(rows), nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_weight_is_as_many_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 4, 50)
    rows = drawn(rows=50, seed=seed)
    weighted = taken(rows, np.arange(50), counts.astype(float))
    repeated = taken(rows, np.repeat(np.arange(50), counts), np.ones(counts.sum()))
    assert values(weighted) == pytest.approx(values(repeated))


def test_certain_rows_have_the_realised_metrics_as_their_estimate() -> None:
    rows = drawn()
    truth = (np.random.default_rng(3).random(ROWS) < rows.score).astype(float)
    sure = ScoredRows(score=rows.score, predicted=rows.predicted, probability=truth, weight=rows.weight)
    assert values(sure) == pytest.approx(realised(rows, truth))


def test_metrics_that_need_a_prediction_are_left_out_without_one() -> None:
    rows = drawn()
    silent = ScoredRows(score=rows.score, predicted=None, probability=rows.probability, weight=rows.weight)
    assert set(estimate_binary(BINARY, silent)) == {"roc_auc", "average_precision", "log_loss", "brier_score"}


def test_a_metric_without_a_value_is_left_out() -> None:
    zero, one = np.zeros(4), np.ones(4)
    rows = ScoredRows(score=one / 2, predicted=zero, probability=zero, weight=one)
    assert not {"roc_auc", "recall", "precision", "average_precision"} & set(estimate_binary(BINARY, rows))


# ---------------------------------------------------------------- several classes


def several(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet([2.0, 1.0, 0.5], rows)
    predicted = np.where(rng.random(rows) < 0.8, probability.argmax(axis=1), rng.integers(0, 3, rows))
    return probability, predicted, rng.choice([1.0, 4.0], rows)


def chosen(probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(probability))[:, None] > probability.cumsum(axis=1)).sum(axis=1).clip(0, 2).astype(float)


def test_several_classes_are_estimated_without_bias_and_with_their_noise() -> None:
    probability, predicted, weight = several(ROWS)
    rng = np.random.default_rng(4)
    found = estimate_multiclass(MULTICLASS, predicted=predicted, probability=probability, weight=weight)
    worlds: dict[str, list[float]] = {name: [] for name in MULTICLASS}
    for _ in range(200):
        places = rng.integers(0, ROWS, ROWS)
        rows = LabelledRows(
            truth=chosen(probability[places], rng),
            predicted=predicted[places].astype(float),
            score=np.zeros(ROWS),
            weight=weight[places],
        )
        for name, seen in worlds.items():
            seen.append(value_of(name, rows))
    for name, seen in worlds.items():
        assert abs(np.mean(seen) - found[name].value) < 4 * np.std(seen) / 200**0.5, name
        assert np.std(seen) == pytest.approx(found[name].sd, rel=0.2), name


def test_certain_classes_have_the_realised_metrics_as_their_estimate() -> None:
    probability, predicted, weight = several(500)
    truth = chosen(probability, np.random.default_rng(5))
    sure = np.eye(3)[truth.astype(int)]
    found = estimate_multiclass(MULTICLASS, predicted=predicted, probability=sure, weight=weight)
    rows = LabelledRows(truth=truth, predicted=predicted.astype(float), score=np.zeros(500), weight=weight)
    assert {name: each.value for name, each in found.items()} == pytest.approx(
        {name: value_of(name, rows) for name in MULTICLASS}
    )
