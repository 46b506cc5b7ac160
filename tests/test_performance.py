"""Values are scikit-learn's, intervals cover, order does not matter, and what cannot be measured says why."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from retrue.labelled import LabelledRows
from retrue.metrics import METRICS
from retrue.performance import measure_performance
from retrue.results import RealisedPerformance, Unmeasured
from retrue.scoring import resampler, resamples_of, value_of

ROWS = 600


def drawn(task: str, *, rows: int = ROWS, seed: int = 0) -> dict[str, Any]:
    """Rows of a fair model, with weights, tied scores and, in a multiclass task, a class that is never predicted."""
    rng = np.random.default_rng(seed)
    weights = rng.choice([1.0, 4.0, 10.0], rows)
    if task == "binary":
        labels = (rng.random(rows) < 0.3).astype(int)
        scores = np.round(np.clip(rng.normal(0.3 + 0.2 * labels, 0.15), 0.01, 0.99), 2)
        return {"labels": labels, "predictions": (scores > 0.4).astype(int), "scores": scores, "weights": weights}
    if task == "multiclass":
        labels = rng.integers(0, 5, rows)
        predictions = np.where(rng.random(rows) < 0.6, labels, rng.integers(0, 4, rows)) % 4
        return {"labels": labels, "predictions": predictions, "scores": None, "weights": weights}
    labels = rng.normal(50, 10, rows)
    return {"labels": labels, "predictions": labels + rng.normal(1, 3, rows), "scores": None, "weights": weights}


def measured(task: str, metric: str | None = None, **changed: Any) -> RealisedPerformance:
    result = measure_performance(task, metric or METRICS[task][0], **(drawn(task) | changed))
    assert isinstance(result, RealisedPerformance), result
    return result


def unmeasured(task: str, metric: str | None = None, **changed: Any) -> str:
    result = measure_performance(task, metric or METRICS[task][0], **(drawn(task) | changed))
    assert isinstance(result, Unmeasured), result
    return result.reason


SKLEARN = {
    "roc_auc": lambda y, p, s, w: sk.roc_auc_score(y, s, sample_weight=w),
    "average_precision": lambda y, p, s, w: sk.average_precision_score(y, s, sample_weight=w),
    "log_loss": lambda y, p, s, w: sk.log_loss(y, s, sample_weight=w),
    "brier_score": lambda y, p, s, w: sk.brier_score_loss(y, s, sample_weight=w),
    "accuracy": lambda y, p, s, w: sk.accuracy_score(y, p, sample_weight=w),
    "f1": lambda y, p, s, w: sk.f1_score(y, p, sample_weight=w),
    "precision": lambda y, p, s, w: sk.precision_score(y, p, sample_weight=w),
    "recall": lambda y, p, s, w: sk.recall_score(y, p, sample_weight=w),
    "f1_macro": lambda y, p, s, w: sk.f1_score(y, p, average="macro", sample_weight=w),
    "balanced_accuracy": lambda y, p, s, w: sk.balanced_accuracy_score(y, p, sample_weight=w),
    "rmse": lambda y, p, s, w: sk.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, s, w: sk.mean_absolute_error(y, p, sample_weight=w),
    "r2": lambda y, p, s, w: sk.r2_score(y, p, sample_weight=w),
    "mape": lambda y, p, s, w: sk.mean_absolute_percentage_error(y, p, sample_weight=w),
}
MEASURED = sorted(task for task in METRICS if METRICS[task])  # generation has none
ALL = [(task, metric) for task in METRICS for metric in METRICS[task]]


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_every_metric_of_a_task_is_scikit_learns_and_lies_in_its_interval(task: str, metric: str) -> None:
    found = measured(task).metrics[metric]
    columns = drawn(task)
    expected = SKLEARN[metric](columns["labels"], columns["predictions"], columns["scores"], columns["weights"])
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.low < found.value < found.high
    assert found.confidence == 0.95


def test_all_metrics_of_a_task_are_measured() -> None:
    for task in MEASURED:
        assert set(measured(task).metrics) == set(METRICS[task])


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_a_resample_has_the_value_scikit_learn_gives_for_its_rows(task: str, metric: str) -> None:
    columns = {name: None if each is None else np.asarray(each, dtype=float) for name, each in drawn(task).items()}
    absent = np.full(ROWS, np.nan)
    rows = LabelledRows(
        truth=columns["labels"],
        predicted=columns["predictions"],
        score=absent if columns["scores"] is None else columns["scores"],
        weight=columns["weights"],
    )
    (counts,) = resamples_of(ROWS, count=5, seed=3)
    found = resampler(list(METRICS[task]), rows)(counts)[metric]
    expected = [value_of(metric, rows.take(np.repeat(np.arange(ROWS), each.astype(int)))) for each in counts]
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_a_resample_of_blocks_has_the_value_scikit_learn_gives_for_the_rows_of_the_drawn_blocks(
    task: str, metric: str
) -> None:
    columns = {name: None if each is None else np.asarray(each, dtype=float) for name, each in drawn(task).items()}
    absent = np.full(ROWS, np.nan)
    rows = LabelledRows(
        truth=columns["labels"],
        predicted=columns["predictions"],
        score=absent if columns["scores"] is None else columns["scores"],
        weight=columns["weights"],
    )
    blocks = np.random.default_rng(1).integers(0, 12, ROWS)
    (counts,) = resamples_of(ROWS, count=5, seed=3, blocks=blocks)
    picks = [np.random.default_rng(3).integers(0, 12, 12, dtype=np.int32)]
    assert (counts[0] == np.bincount(picks[0], minlength=12)[blocks]).all()
    found = resampler(list(METRICS[task]), rows)(counts)[metric]
    members = [np.flatnonzero(blocks == number) for number in range(12)]
    taken = [
        np.concatenate([members[number] for number in range(12) for _ in range(int(each[members[number][0]]))])
        for each in counts
    ]
    assert found == pytest.approx([value_of(metric, rows.take(each)) for each in taken], rel=1e-9)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    trials = 200
    covered = 0
    for seed in range(trials):
        draw = np.random.default_rng(seed).normal(0, 1, 200)
        mae = measured("regression", "mae", labels=draw, predictions=np.zeros(200), weights=None, seed=seed).judged
        covered += mae.low <= np.sqrt(2 / np.pi) <= mae.high
    assert 0.88 <= covered / trials <= 0.99


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(120)), task=st.sampled_from(MEASURED))
def test_the_order_of_rows_does_not_matter(order: list[int], task: str) -> None:
    columns = drawn(task, rows=120)
    shuffled = {name: None if each is None else each[order] for name, each in columns.items()}
    assert measured(task, **shuffled) == measured(task, **columns)


def test_the_seed_moves_the_interval_but_not_the_value() -> None:
    first, second = measured("binary", seed=1).judged, measured("binary", seed=2).judged
    assert first.value == second.value
    assert first.low != second.low


def test_a_weight_of_two_counts_like_the_row_twice() -> None:
    columns = drawn("binary")
    once = measured("binary", weights=np.full(ROWS, 2.0))
    twice = measured(
        "binary", **{name: None if name == "weights" else np.tile(each, 2) for name, each in columns.items()}
    )
    assert {name: each.value for name, each in once.metrics.items()} == pytest.approx(
        {name: each.value for name, each in twice.metrics.items()}
    )


@pytest.mark.parametrize(
    ("yes", "no"),
    [(1, 0), (1.0, 0.0), ("1", "0"), ("1.0", "0.0"), (True, False), ("true", "false"), (np.True_, np.False_)],
)
def test_the_ways_a_class_is_written_are_one_class(yes: Any, no: Any) -> None:
    columns = drawn("binary")
    written = np.empty(ROWS, dtype=object)
    written[:] = [yes if each else no for each in columns["predictions"]]
    assert measured("binary", "f1", predictions=written) == measured("binary", "f1")


def test_a_named_positive_label_is_found_in_labels_and_predictions() -> None:
    columns = drawn("binary")
    named = {each: np.where(columns[each] == 1, "late", "on time").astype(object) for each in ("labels", "predictions")}
    assert measured("binary", "f1", positive_label="late", **named) == measured("binary", "f1")
    assert "positive_label 1 is neither" in unmeasured("binary", "f1", **named)


def test_rows_without_a_label_or_without_any_answer_are_left_out() -> None:
    columns = drawn("binary")
    labels, predictions, scores = (columns[each].astype(object) for each in ("labels", "predictions", "scores"))
    labels[:50] = None
    predictions[50:70] = None
    scores[50:70] = np.nan
    found = measured("binary", labels=labels, predictions=predictions, scores=scores)
    assert found.labelled_rows == ROWS - 70
    assert found.metrics == measured("binary", **{name: each[70:] for name, each in columns.items()}).metrics


def test_coverage_is_passed_on() -> None:
    assert measured("binary", coverage_share=0.4).coverage_share == 0.4


def test_metrics_that_need_a_score_are_left_out_without_one() -> None:
    assert set(measured("binary", "f1", scores=None).metrics) == {"accuracy", "f1", "precision", "recall"}
    assert unmeasured("binary", scores=None) == "roc_auc cannot be measured: the log has no score column"


def test_metrics_that_need_a_prediction_are_left_out_without_one() -> None:
    assert set(measured("binary", predictions=None).metrics) == {
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier_score",
    }
    assert "no prediction column" in unmeasured("binary", "f1", predictions=None)
    assert "no prediction column" in unmeasured("regression", predictions=None)
    assert "no prediction column" in unmeasured("multiclass", predictions=None, scores=np.ones(ROWS))


def test_scores_beyond_0_and_1_still_rank_but_are_no_probabilities() -> None:
    margins = drawn("binary")["scores"] * 10 - 5
    found = measured("binary", scores=margins)
    assert {"roc_auc", "average_precision"} <= set(found.metrics)
    assert not {"log_loss", "brier_score"} & set(found.metrics)
    assert "scores lie outside 0-1" in unmeasured("binary", "log_loss", scores=margins)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_score_that_is_no_number_is_not_passed_over(bad: float) -> None:
    scores = drawn("binary")["scores"].copy()
    scores[7] = bad
    assert unmeasured("binary", scores=scores).endswith("1 of 600 scores are missing or not finite")
    assert "roc_auc" not in measured("binary", "f1", scores=scores).metrics


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_an_infinite_prediction_is_not_passed_over(bad: float) -> None:
    predictions = drawn("regression")["predictions"].copy()
    predictions[7] = bad
    assert "1 of 600 predictions are missing or not finite" in unmeasured("regression", predictions=predictions)


def test_a_model_that_answers_only_some_rows_is_not_judged_by_those() -> None:
    predictions = drawn("regression")["predictions"].copy()
    predictions[:61] = np.nan
    assert unmeasured("regression", predictions=predictions) == "61 of 600 labelled rows have no prediction"


@pytest.mark.parametrize("value", [0, 1])
def test_ranking_metrics_need_both_classes_and_the_others_do_not(value: int) -> None:
    labels = np.full(ROWS, value)
    assert unmeasured("binary", labels=labels).endswith("all labels are of one class")
    found = measured("binary", "accuracy", labels=labels)
    assert not {"roc_auc", "average_precision"} & set(found.metrics)
    assert {"log_loss", "brier_score"} <= set(found.metrics)


def test_precision_of_a_model_that_never_says_yes_is_not_zero_but_unmeasured() -> None:
    silent = {"predictions": np.zeros(ROWS, dtype=int)}
    assert unmeasured("binary", "precision", **silent).endswith("no prediction is positive")
    assert measured("binary", "recall", **silent).judged.value == 0


@pytest.mark.parametrize(
    ("task", "changed", "reason"),
    [
        ("binary", {"labels": np.full(ROWS, np.nan)}, "no labels have arrived"),
        ("binary", {"labels": np.full(ROWS, None, dtype=object)}, "no labels have arrived"),
        ("binary", {"min_labels": ROWS + 1}, "600 labelled rows, at least 601 are needed"),
        ("binary", {"predictions": None, "scores": None}, "no prediction column and no score column"),
        ("binary", {"labels": np.arange(ROWS) % 3}, "hold 3 classes"),
        ("regression", {"labels": np.full(ROWS, "late", dtype=object)}, "labels are not numbers"),
        ("regression", {"predictions": np.full(ROWS, "soon", dtype=object)}, "predictions are not numbers"),
        ("multiclass", {"labels": [["a"]] * ROWS}, "nested values"),
        ("binary", {"weights": np.zeros(ROWS)}, "sample weights"),
        ("binary", {"weights": np.full(ROWS, -1.0)}, "sample weights"),
        ("binary", {"weights": np.full(ROWS, np.nan)}, "sample weights"),
    ],
)
def test_what_cannot_be_measured_says_why(task: str, changed: dict[str, Any], reason: str) -> None:
    assert reason in unmeasured(task, **changed)


@pytest.mark.parametrize("rest", [0.0, 0.1])
def test_resamples_of_equal_labels_say_nothing_of_r2(rest: float) -> None:
    """Of 150 labels two differ, so that one resample in eight has only equal ones: what is left of their variance is rounding."""
    rng = np.random.default_rng(0)
    labels = np.full(150, rest)
    labels[:2] = 5.0, 9.0
    predictions = labels + rng.normal(0, 0.1, 150)
    r2 = measured("regression", "r2", labels=labels, predictions=predictions, weights=None).judged
    assert 0.8 < r2.low < r2.value < r2.high <= 1
    counts = np.array([np.r_[0.0, 0.0, np.ones(148)], np.ones(150)])
    rows = LabelledRows(truth=labels, predicted=predictions, score=labels, weight=np.ones(150))
    assert np.isnan(resampler(["r2"], rows)(counts)["r2"]).tolist() == [True, False]


def test_r2_of_equal_labels_is_unmeasured() -> None:
    assert unmeasured("regression", "r2", labels=np.full(ROWS, 3.0)).endswith("all labels are equal")


def test_predictions_that_are_probabilities_cost_only_the_metrics_of_predictions() -> None:
    scores = drawn("binary")["scores"]
    assert "f1" not in measured("binary", predictions=scores).metrics
    assert "classes" in unmeasured("binary", "f1", predictions=scores)


def test_columns_of_different_lengths_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        measure_performance("binary", "f1", labels=[1, 0], predictions=[1], scores=None)


def test_no_reason_quotes_a_value() -> None:
    canary = np.full(ROWS, "canary-4711", dtype=object)
    for task in MEASURED:
        for column in ("labels", "predictions", "scores"):
            with warnings.catch_warnings():
                result = measure_performance(task, METRICS[task][0], **(drawn(task) | {column: canary}))
            assert "canary" not in str(result)
