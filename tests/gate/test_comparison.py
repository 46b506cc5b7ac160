"""The gate lets through what is better, refuses what is not or is broken, and says why."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm, t

from retrue.scoring import interval_of
from tests.gate.worlds import BY_DAY, ROWS, SETTINGS, judge, weathered, world


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss"])
def test_a_challenger_of_equal_quality_passes_at_most_as_often_as_the_confidence_allows(metric: str) -> None:
    gates = 200
    promoted = sum(judge(*world(seed), metric, seed=seed).passed for seed in range(gates))
    assert promoted <= binom.ppf(0.999, gates, (1 - SETTINGS.confidence) / 2), promoted


def test_a_real_gain_passes_nearly_always() -> None:
    gates = 40
    promoted = sum(judge(*world(seed, rows=1500, noise=0.3), seed=seed).passed for seed in range(gates))
    assert promoted >= 0.8 * gates


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "f1"])
def test_the_same_model_is_never_promoted(metric: str) -> None:
    labels, champion, _ = world(0)
    answers = champion if metric in {"roc_auc", "log_loss"} else champion > 0.5
    result = judge(labels, answers, answers, metric)
    assert result.refusals == (
        f"not shown to be better: {metric} gains +0 (95% interval +0 to +0), and the interval must lie above 0",
    )


@pytest.mark.parametrize(
    ("metric", "task"), [("rmse", "regression"), ("f1_macro", "multiclass"), ("mae", "regression")]
)
def test_a_clear_gain_passes_in_every_task_and_its_reverse_is_refused(metric: str, task: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, ROWS)
    worse = np.where(rng.random(ROWS) < 0.5, labels, rng.integers(0, 4, ROWS))
    better = np.where(rng.random(ROWS) < 0.9, labels, worse)
    forth, back = judge(labels, worse, better, metric), judge(labels, better, worse, metric)
    assert forth.passed
    assert not back.passed
    assert forth.gain is not None
    assert forth.gain.value > 0
    assert back.gain is not None
    assert back.gain.value == pytest.approx(-forth.gain.value)
    assert (forth.champion, forth.challenger) == (back.challenger, back.champion)


def test_a_gain_below_the_least_asked_for_is_refused_and_a_small_loss_may_be_allowed() -> None:
    labels, champion, better = world(0, rows=1500, noise=0.3)
    assert judge(labels, champion, better).passed
    assert not judge(labels, champion, better, settings=SETTINGS.model_copy(update={"min_gain": 0.3})).passed
    assert judge(labels, champion, champion, settings=SETTINGS.model_copy(update={"min_gain": -0.01})).passed


# ---------------------------------------------------------------- days


@pytest.mark.parametrize(("metric", "days"), [("roc_auc", 10), ("log_loss", 20)])
def test_a_gate_of_days_is_not_fooled_by_lucky_days_as_a_gate_of_rows_is(metric: str, days: int) -> None:
    gates, promoted = 150, {"rows": 0, "days": 0}
    for seed in range(gates):
        *pair, times = weathered(seed, days=days)
        promoted["rows"] += judge(*pair, metric, seed=seed).passed
        promoted["days"] += judge(*pair, metric, seed=seed, times=times, settings=BY_DAY).passed
    bound = binom.ppf(0.999, gates, (1 - BY_DAY.confidence) / 2)
    assert promoted["days"] <= bound < promoted["rows"], promoted


def test_a_gate_says_how_many_blocks_its_intervals_are_drawn_from() -> None:
    *pair, times = weathered(0)
    by_rows, by_days = judge(*pair, times=times), judge(*pair, times=times, settings=BY_DAY)
    assert (by_rows.resample, by_rows.blocks) == ("rows", None)
    assert (by_days.resample, by_days.blocks) == ("1d", 20)
    assert by_days.refusals[0].endswith("and the interval over 20 blocks of 1d must lie above 0")
    assert by_rows.gain is not None
    assert by_days.gain is not None
    assert by_rows.gain.value == by_days.gain.value
    assert by_days.gain.low < by_rows.gain.low


def test_too_few_days_refuse_with_the_number() -> None:
    *pair, times = weathered(0, days=9)
    (refusal,) = judge(*pair, times=times, settings=BY_DAY).refusals
    assert refusal.startswith("labelled rows in only 9 blocks of 1d, at least 10 are needed")
    by_hour = BY_DAY.model_copy(update={"resample": timedelta(hours=1)})
    assert (judge(*pair, times=times, settings=by_hour).blocks or 0) > 100


def test_days_without_labels_are_no_blocks() -> None:
    labels, champion, challenger, times = weathered(0, days=12)
    unknown = np.where(times < np.datetime64("2013-04-06"), np.nan, labels)
    assert judge(unknown, champion, challenger, times=times, settings=BY_DAY).blocks == 10


def test_a_row_without_a_time_refuses_and_no_times_at_all_are_a_mistake_of_the_caller() -> None:
    *pair, times = weathered(0)
    times[3] = np.datetime64("NaT")
    assert judge(*pair, times=times, settings=BY_DAY).refusals == ("1 of 400 labelled rows have no time",)
    with pytest.raises(ValueError, match="need the rows' times"):
        judge(*pair, settings=BY_DAY)


def test_a_slice_that_occurs_on_few_days_is_left_out() -> None:
    *pair, times = weathered(0)
    season = np.where(times < np.datetime64("2013-04-13"), "nine days", "eleven days")
    result = judge(*pair, "log_loss", times=times, slices={"season": season}, settings=BY_DAY)
    assert [each.name for each in result.slices] == ["season=eleven days"]
    assert len(judge(*pair, "log_loss", slices={"season": season}).slices) == 2


def test_a_slice_is_not_refused_for_one_bad_day() -> None:
    labels, champion, _ = world(0, rows=4000)
    day = np.arange(4000) % 20
    better = np.where(labels == 1, np.maximum(champion, 0.9), champion)
    bad = (day == 0) & (np.arange(4000) // 20 % 2 == 0)
    challenger, origin = np.where(bad, 1 - better, champion), np.where(np.arange(4000) // 20 % 2, "a", "b")
    times = np.datetime64("2013-04-04") + day * np.timedelta64(1, "D")
    tolerant = {"min_gain": -1.0, "max_slice_loss": 0.0}
    by_rows, by_days = (each.model_copy(update=tolerant) for each in (SETTINGS, BY_DAY))
    arguments = {"metric": "log_loss", "times": times, "slices": {"origin": origin}}
    assert "worse on origin=b" in judge(labels, champion, challenger, settings=by_rows, **arguments).refusals[0]
    assert judge(labels, champion, challenger, settings=by_days, **arguments).passed


def test_an_interval_of_few_blocks_is_as_wide_as_students_t_asks_for() -> None:
    resampled = norm.ppf((np.arange(100_000) + 0.5) / 100_000) * np.sqrt(9 / 10)
    assert interval_of(resampled, 0.95, blocks=10) == pytest.approx((-t.isf(0.025, 9), t.isf(0.025, 9)), rel=1e-3)
    assert interval_of(resampled, 0.95, blocks=100_000) == pytest.approx(interval_of(resampled, 0.95), rel=1e-3)


def test_a_real_gain_passes_a_gate_of_days_nearly_always() -> None:
    gates = 40
    promoted = 0
    for seed in range(gates):
        *pair, times = weathered(seed, rows=1500, noise=0.3, swing=0.2)
        promoted += judge(*pair, "roc_auc", seed=seed, times=times, settings=BY_DAY).passed
    assert promoted >= 0.8 * gates, promoted


# ---------------------------------------------------------------- broken input


@pytest.mark.parametrize("who", ["champion", "challenger"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_answer_that_is_no_number_refuses(who: str, bad: float) -> None:
    labels, champion, challenger = world(0, noise=0.1)
    answers = {"champion": champion, "challenger": challenger}
    answers[who][3] = bad
    result = judge(labels, answers["champion"], answers["challenger"])
    assert not result.passed
    assert result.gain is None
    assert who in result.refusals[0]
    assert "1 of 400" in result.refusals[0]


def test_too_few_rows_refuse_with_the_number() -> None:
    labels, champion, challenger = world(0)
    with_gaps = labels.astype(float)
    with_gaps[: ROWS - 99] = np.nan
    result = judge(with_gaps, champion, challenger)
    assert result.refusals == ("99 labelled rows, at least 100 are needed",)
    assert result.rows == 99


@pytest.mark.parametrize(
    ("labels", "reason"),
    [(np.ones(ROWS), "one class"), (np.full(ROWS, np.nan), "0 labelled rows"), (np.arange(ROWS), "classes")],
)
def test_labels_that_judge_nothing_refuse(labels: np.ndarray, reason: str) -> None:
    _, champion, challenger = world(0)
    assert reason in judge(labels, champion, challenger).refusals[0]


def test_scores_that_are_no_probabilities_refuse_under_log_loss() -> None:
    labels, champion, _ = world(0)
    assert "outside 0-1" in judge(labels, champion, champion * 3, "log_loss").refusals[0]


def test_an_error_beyond_floats_refuses() -> None:
    labels = np.random.default_rng(0).normal(size=ROWS)
    result = judge(labels, labels + 1, labels + 1e200, "rmse")
    assert result.refusals == ("rmse is not finite: 1 of the champion, inf of the challenger",)


def test_rows_without_a_label_are_left_out_on_both_sides() -> None:
    labels, champion, challenger = world(0)
    longer = [
        np.concatenate([each.astype(float), np.full(30, last)])
        for each, last in ((labels, np.nan), (champion, 0.5), (challenger, 0.5))
    ]
    assert judge(*longer) == judge(labels, champion, challenger)


def test_weights_decide_which_rows_count() -> None:
    labels, champion, better = world(0, noise=0.1)
    mixed = np.where(np.arange(ROWS) % 2, better, 1 - better)
    assert not judge(labels, champion, mixed).passed
    weights = np.where(np.arange(ROWS) % 2, 1.0, 1e-6)
    assert judge(labels, champion, mixed, weights=weights).passed


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(ROWS)), metric=st.sampled_from(["roc_auc", "brier_score", "average_precision"]))
def test_the_order_of_rows_does_not_matter(order: list[int], metric: str) -> None:
    labels, champion, challenger = world(0)
    origin = np.where(np.arange(ROWS) % 3, "a", "b")
    sorted_ = judge(labels, champion, challenger, metric, slices={"origin": origin})
    shuffled = judge(labels[order], champion[order], challenger[order], metric, slices={"origin": origin[order]})
    assert shuffled == sorted_


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(ROWS)))
def test_the_order_of_rows_of_one_day_or_another_does_not_matter(order: list[int]) -> None:
    labels, champion, challenger, times = weathered(0)
    champion, challenger = (np.round(each, 1) for each in (champion, challenger))
    sorted_ = judge(labels, champion, challenger, times=times, settings=BY_DAY)
    assert judge(labels[order], champion[order], challenger[order], times=times[order], settings=BY_DAY) == sorted_
