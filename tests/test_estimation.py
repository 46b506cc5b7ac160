"""Performance without labels: it meets what labels say, and is withheld, with its reason, where it cannot be trusted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.answers import Rows
from retrue.estimation import estimate_performance, fit_estimation
from retrue.performance import measure_performance
from retrue.results import EstimatedPerformance, Estimation, RealisedPerformance, Unmeasured
from retrue.statistics.support import Bounds, bounds_of
from tests.statistics import car_loan

ROWS = 6_000


def world(rows: int = ROWS, *, seed: int = 0, spread: float = 1.0, bend: float = 1.0) -> Rows:
    """Scored rows of a feature; the chance of a label is the score to the power of ``bend``."""
    rng = np.random.default_rng(seed)
    x = np.clip(rng.normal(0, spread, rows), -3, 3)
    score = 1 / (1 + np.exp(-2 * x))
    return Rows(
        predictions=(score >= 0.5).astype(int),
        scores=score,
        labels=(rng.random(rows) < score**bend).astype(float),
        columns={"x": x, "kind": np.where(rng.random(rows) < 0.5, "a", "b").astype(object)},
    )


def bounds(rows: Rows) -> dict[str, Bounds]:
    return {name: bounds_of(values) for name, values in rows.columns.items()}


def estimated(window: Rows, reference: Rows | None = None, **changed: Any) -> EstimatedPerformance | Unmeasured:
    known = reference or world()
    options = {"metric": "roc_auc", "task": "binary", **changed}
    task, metric = options.pop("task"), options.pop("metric")
    estimation = options.pop("estimation", None) or fit_estimation(task, known)
    return estimate_performance(
        estimation, task, metric, window, bounds=bounds(known), reference=lambda: known, **options
    )


def withheld(window: Rows, reference: Rows | None = None, **changed: Any) -> str:
    found = estimated(window, reference, **changed)
    assert isinstance(found, Unmeasured), found
    assert found.part == "estimate"
    return found.reason


def given_estimate(window: Rows, reference: Rows | None = None, **changed: Any) -> EstimatedPerformance:
    found = estimated(window, reference, **changed)
    assert isinstance(found, EstimatedPerformance), found
    return found


def realised(window: Rows, task: str = "binary", metric: str = "roc_auc") -> RealisedPerformance:
    found = measure_performance(
        task, metric, labels=window.truth, predictions=window.predictions, scores=window.scores, resamples=20
    )
    assert isinstance(found, RealisedPerformance)
    return found


# ---------------------------------------------------------------- what it meets


@pytest.mark.parametrize("bend", [1.0, 2.0])
def test_a_harder_window_is_estimated_as_labels_later_say(bend: float) -> None:
    known, harder = world(bend=bend), world(3_000, seed=1, spread=0.4, bend=bend)
    found, later = given_estimate(harder, known), realised(harder)
    assert set(found.metrics) == set(later.metrics)
    for name, each in found.metrics.items():
        half = (each.high - each.low) / 2
        assert abs(each.value - later.metrics[name].value) < 1.5 * half, name
    assert found.judged.high < realised(known).judged.value  # it sees the fall


def test_a_change_of_what_features_mean_is_invisible_to_it() -> None:
    flipped = world(3_000, seed=2)
    flipped = replace(flipped, labels=1 - flipped.truth)
    found = given_estimate(flipped)
    assert realised(flipped).judged.value < 0.3 < 0.7 < found.judged.value


def test_stretches_of_the_reference_that_miss_widen_the_interval() -> None:
    steady = world()
    moody = replace(
        steady, labels=np.where(np.arange(ROWS) // 600 % 2, steady.truth, (np.asarray(steady.scores) > 0.7))
    )
    wide, narrow = (given_estimate(world(2_000, seed=3), each).judged for each in (moody, steady))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_the_order_of_a_windows_rows_does_not_matter_and_a_weight_is_as_many_rows(seed: int) -> None:
    estimation, known, window = fit_estimation("binary", world(600)), world(600), world(150, seed=seed)
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 4, 150)
    many = window.take(rng.permutation(np.repeat(np.arange(150), counts)))
    heavy = replace(window, weights=counts.astype(float))
    fixed = {"estimation": estimation, "max_unsupported_share": 1.0}
    first, second = (given_estimate(each, known, **fixed) for each in (many, heavy))
    assert {name: each.value for name, each in first.metrics.items()} == pytest.approx(
        {name: each.value for name, each in second.metrics.items()}
    )


def test_car_loan_meets_the_published_estimates_and_its_intervals_hold_what_was_realised() -> None:
    reference, analysis = car_loan.rows(car_loan.frame("reference")), car_loan.frame("analysis")
    table = car_loan.published("tutorial_estimating_standard_performance_metrics_binary_classification__cell5")
    analysis = analysis.assign(repaid=car_loan.frame("analysis_target")["repaid"].to_numpy())
    estimation = fit_estimation("binary", reference)
    (calibration,) = estimation.calibrations.values()
    assert (calibration.needed, estimation.max_unsupported_share) == (True, 0.05)
    for number, chunk in enumerate(car_loan.chunks(analysis)):
        window = car_loan.rows(chunk)
        found = given_estimate(window, reference, estimation=estimation)
        assert found.judged.value == pytest.approx(table["roc_auc.value"][number], abs=5e-4)
        assert found.judged.low < realised(window).judged.value < found.judged.high


# ---------------------------------------------------------------- where it is withheld


def test_rows_outside_the_reference_withhold_the_estimate_and_their_columns_are_named() -> None:
    window = world(1_000, seed=4)
    moved = replace(
        window, columns={**window.columns, "x": window.columns["x"] + np.where(np.arange(1_000) < 400, 9, 0)}
    )
    assert withheld(moved) == "40% of the rows lie outside what the reference has seen, over 5% (x 40%)"
    assert given_estimate(moved, max_unsupported_share=0.5).unsupported_share == pytest.approx(0.4)
    renamed = replace(window, columns={**window.columns, "kind": np.full(1_000, "z", dtype=object)})
    assert "(kind 100%)" in withheld(renamed)


def test_a_missing_column_withholds_the_estimate() -> None:
    window = world(1_000, seed=5)
    assert withheld(replace(window, columns={"x": window.columns["x"]})) == (
        "the window has no column kind, which the reference has"
    )


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (replace(world(), labels=None), "the reference of the baseline has no labels"),
        (world(200), "the reference has 200 labelled rows, at least 300 are needed"),
        (replace(world(), labels=np.arange(ROWS) < 10), "10 of 6,000 labels of the reference are 1: too few"),
        (replace(world(), scores=np.linspace(-4, 4, ROWS)), "scores lie outside 0-1: they are no probabilities"),
        (replace(world(), scores=None), "the log has no score column"),
    ],
)
def test_a_reference_that_supports_no_estimate_says_why(reference: Rows, reason: str) -> None:
    assert reason in fit_estimation("binary", reference).withheld
    assert reason in withheld(world(500), reference)


def test_a_window_that_is_too_small_or_has_no_probabilities_says_why() -> None:
    assert withheld(world(50)) == "50 rows, at least 100 are needed"
    assert "no probabilities" in withheld(replace(world(500), scores=np.linspace(0, 2, 500)))
    assert withheld(replace(world(500), predictions=None), metric="f1") == "f1 cannot be estimated from what was logged"


def test_unlabelled_rows_of_a_reference_are_left_out_of_its_calibration() -> None:
    known = world()
    half = replace(known, labels=np.where(np.arange(ROWS) % 2, known.truth, np.nan))
    assert fit_estimation("binary", half).labelled_rows == ROWS // 2


# ---------------------------------------------------------------- the other tasks


def several(rows: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    chance = rng.dirichlet([2.0, 1.0, 1.0], rows)
    truth = (rng.random(rows)[:, None] > chance.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    scores = chance**2 / (chance**2).sum(axis=1, keepdims=True)  # too sure
    names = np.array(["cat", "dog", "fox"], dtype=object)
    return Rows(
        predictions=names[scores.argmax(axis=1)],
        class_scores=np.array([dict(zip(names, row, strict=True)) for row in scores.tolist()], dtype=object),
        labels=names[truth],
        columns={},
    )


def test_several_classes_are_estimated_as_labels_later_say() -> None:
    known, window = several(6_000, 0), several(3_000, 1)
    found = given_estimate(window, known, task="multiclass", metric="f1_macro")
    for name, each in realised(window, "multiclass", "f1_macro").metrics.items():
        assert found.metrics[name].low < each.value < found.metrics[name].high, name
    assert all(each.needed for each in fit_estimation("multiclass", known).calibrations.values())
    assert "no scores column" in fit_estimation("multiclass", replace(known, class_scores=None)).withheld


def prices(rows: int, seed: int, low: float = 0.0) -> Rows:
    rng = np.random.default_rng(seed)
    x = rng.uniform(low, 1.0, rows)
    kind = np.where(rng.random(rows) < 0.5, "a", "b").astype(object)
    said = 10 * x
    truth = said + rng.normal(0, 1, rows) * (0.3 + x) * np.where(kind == "a", 1.0, 2.0)
    return Rows(predictions=said, labels=truth, columns={"x": x, "kind": kind, "prediction": said})


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_a_regressions_error_is_estimated_on_harder_rows(metric: str) -> None:
    known, harder = prices(4_000, 0), prices(1_500, 1, low=0.7)
    found = given_estimate(harder, known, task="regression", metric=metric)
    later = realised(harder, "regression", metric).judged
    assert found.judged.low < later.value < found.judged.high
    assert found.method == "direct_loss"
    assert found.judged.value > 1.1 * realised(known, "regression", metric).judged.value


def test_what_losses_cannot_tell_is_withheld() -> None:
    reason = withheld(prices(500, 1), prices(1_000, 0), task="regression", metric="r2")
    assert reason == "r2 cannot be estimated: it needs how labels vary"


def test_a_reference_with_errors_too_large_to_learn_from_says_so() -> None:
    known = prices(1_000, 0)
    labels = np.array(known.labels, dtype=float)
    labels[3] = 1e300
    reason = withheld(prices(500, 1), replace(known, labels=labels), task="regression", metric="rmse")
    assert "too large to learn from" in reason


def test_an_estimation_is_plain_numbers() -> None:
    from pydantic import TypeAdapter

    adapter, found = TypeAdapter(Estimation), fit_estimation("binary", world())
    assert adapter.validate_json(adapter.dump_json(found)) == found
