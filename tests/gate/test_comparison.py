"""The gate lets through what is better, refuses what is not, harms a slice or is broken, and says why."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm, t
from sklearn.metrics import roc_auc_score

from retrue.config import GateSettings
from retrue.gate import judge_challenger
from retrue.metrics import METRICS
from retrue.results import GateResult
from retrue.scoring import interval_of
from retrue.statistics.sequential import mean_sequence

ROWS = 400
SETTINGS = GateSettings(resample="rows", min_rows=100, resamples=200, min_slice_rows=50)
BY_DAY = SETTINGS.model_copy(update={"resample": timedelta(days=1), "resamples": 400})


def sigmoid(margin: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-margin))


def world(seed: int, *, rows: int = ROWS, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and the scores of two models that see the same signal, each with noise of its own; champion noise is 1."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.3).astype(int)
    signal = rng.normal(0, 0.6, rows) + labels
    return labels, sigmoid(signal + rng.normal(0, 1, rows)), sigmoid(signal + rng.normal(0, noise, rows))


def judge(
    labels: Any,
    champion: Any,
    challenger: Any,
    metric: str = "roc_auc",
    *,
    settings: GateSettings = SETTINGS,
    **more: Any,
) -> GateResult:
    task = next(task for task, names in METRICS.items() if metric in names)
    return judge_challenger(
        metric, task=task, labels=labels, champion=champion, challenger=challenger, settings=settings, **more
    )


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


def weathered(
    seed: int, *, days: int = 20, noise: float = 1.0, rows: int = ROWS, swing: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``world`` on some days, and the times of its rows; each day moves the scores of both models, each its own way."""
    labels, champion, challenger = world(seed, rows=rows, noise=noise)
    rng = np.random.default_rng([seed, 1])
    day = rng.integers(0, days, rows)
    moved = [
        sigmoid(np.log(each / (1 - each)) + rng.normal(0, swing, days)[day] * labels) for each in (champion, challenger)
    ]
    times = np.datetime64("2013-04-04") + (day * 24 + rng.integers(0, 24, rows)) * np.timedelta64(1, "h")
    return labels, *moved, times


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


# ---------------------------------------------------------------- slices


def harmful(loss: float, *, rows: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Right on ``loss`` more rows of the large slice, and on ``loss`` fewer rows of the small one."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, rows)
    origin = np.where(np.arange(rows) % 4, "large", "small")
    champion = np.where(rng.random(rows) < 0.7, labels, 1 - labels)
    wrong, right = champion != labels, champion == labels
    mended = wrong & (origin == "large") & (rng.random(rows) < loss / 0.3)
    broken = right & (origin == "small") & (rng.random(rows) < loss / 0.7)
    return labels, champion, np.where(mended | broken, 1 - champion, champion), origin


def test_a_challenger_that_is_better_in_all_but_harms_a_slice_is_refused_by_name() -> None:
    labels, champion, challenger, origin = harmful(0.15)
    assert judge(labels, champion, challenger, "accuracy").passed
    result = judge(labels, champion, challenger, "accuracy", slices={"origin": origin})
    assert [each.name for each in result.slices] == ["origin=large", "origin=small"]
    assert [each.rows for each in result.slices] == [3000, 1000]
    (refusal,) = result.refusals
    assert refusal.startswith("worse on origin=small (1,000 rows): accuracy gains -0.1")
    assert refusal.endswith("no slice may lose more than 0.02")


def test_a_slice_loss_that_is_tolerated_does_not_refuse() -> None:
    labels, champion, challenger, origin = harmful(0.15)
    tolerant = SETTINGS.model_copy(update={"max_slice_loss": 0.3})
    assert judge(labels, champion, challenger, "accuracy", slices={"origin": origin}, settings=tolerant).passed


def test_slices_refuse_an_equal_challenger_no_more_often_than_noise_does() -> None:
    gates, refused, judged = 60, 0, 0
    strict = SETTINGS.model_copy(update={"max_slice_loss": 0.0, "min_gain": -1.0})
    for seed in range(gates):
        labels, champion, challenger = world(seed)
        slices = {"origin": np.random.default_rng(seed).choice(["a", "b"], ROWS)}
        result = judge(labels, champion, challenger, "log_loss", slices=slices, settings=strict, seed=seed)
        judged += len(result.slices)
        refused += len(result.refusals)
    assert judged == 2 * gates
    assert refused <= binom.ppf(0.999, judged, (1 - SETTINGS.confidence) / 2), refused


def test_small_slices_and_slices_of_one_class_are_left_out() -> None:
    labels, champion, challenger = world(0)
    carrier = np.where(labels == 1, "late", "on time").astype(object)
    carrier[:20] = None
    result = judge(labels, champion, challenger, slices={"carrier": carrier})
    assert result.slices == ()
    assert result.refusals[-1] == (
        "no slice of carrier can be judged: the largest, carrier=on time: all labels are of one class; "
        "wait for more labels, lengthen retrain.holdout, or change retrain.gate.slices or .min_slice_rows"
    )
    result = judge(labels, champion, challenger, "log_loss", slices={"carrier": carrier})
    assert [each.name for each in result.slices] == ["carrier=late", "carrier=on time"]


def test_numbers_are_cut_at_their_quartiles_and_refuse_where_a_quarter_is_harmed() -> None:
    labels, champion, challenger = world(0, rows=4000, noise=0.3)
    distance = np.random.default_rng(1).permutation(np.linspace(1000, 1009, 4000))
    harmed = np.where(distance > 1007, champion.mean(), challenger)
    assert judge(labels, champion, harmed).passed
    result = judge(labels, champion, harmed, slices={"distance": distance})
    assert {each.name: each.rows for each in result.slices} == {
        "distance < 1,002.2": 978,
        "distance in [1,002.2, 1,004.5)": 1022,
        "distance in [1,004.5, 1,006.8)": 1022,
        "distance >= 1,006.8": 978,
    }
    assert [each.split(" (")[0] for each in result.refusals] == ["worse on distance >= 1,006.8"]


@pytest.mark.parametrize(
    "held", [np.asarray, lambda values: pd.array(values, dtype="Int64"), list], ids=["numpy", "nullable", "objects"]
)
def test_numbers_of_few_values_are_slices_by_value_however_they_are_held(held: Any) -> None:
    labels, champion, challenger = world(0)
    stops = held(np.arange(ROWS) % 3)
    result = judge(labels, champion, challenger, "log_loss", slices={"stops": stops})
    assert [each.name for each in result.slices] == ["stops=0", "stops=1", "stops=2"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            [f"customer {number}" for number in range(ROWS)],
            "the largest, customer=customer 0: 1 rows, at least 50 are needed",
        ),
        (["x" * 101] * ROWS, "it has no value of at most 100 characters"),
    ],
    ids=["ids", "prose"],
)
def test_a_column_of_which_no_slice_can_be_judged_refuses(values: list[str], why: str) -> None:
    labels, champion, challenger = world(0, noise=0.1)
    assert judge(labels, champion, challenger).passed
    (refusal,) = judge(labels, champion, challenger, slices={"customer": values}).refusals
    assert refusal.startswith(f"no slice of customer can be judged: {why}; wait for")


def test_a_watched_challenger_waits_for_slices_that_can_be_judged() -> None:
    labels, champion, challenger = world(0, rows=4000, noise=0.1)
    day = np.datetime64("2013-04-04") + np.arange(4000) % 40 * np.timedelta64(1, "D")
    arguments = {"times": day, "settings": BY_DAY, "watched_blocks": 40}
    assert judge(labels, champion, challenger, "log_loss", **arguments).passed
    waiting = judge(labels, champion, challenger, "log_loss", slices={"row": np.arange(4000).astype(str)}, **arguments)
    assert waiting.undecided
    assert [each[:15] for each in waiting.refusals] == ["no slice of row"]


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


# ---------------------------------------------------------------- McNemar's test


BY_COUNT = SETTINGS.model_copy(update={"test": "mcnemar"})


def telling(won: int, lost: int, *, rows: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two models that are right on all rows but those that only the other one gets right."""
    labels, number = np.ones(rows, dtype=int), np.arange(rows)
    return labels, np.where(number < won, 0, 1), np.where((number >= won) & (number < won + lost), 0, 1)


def test_mcnemars_test_decides_by_the_rows_that_only_one_got_right() -> None:
    """9 of 10 such rows: p = 0.0215; 8 of 10: 0.109."""
    passed, refused = (judge(*telling(won, 10 - won), "accuracy", settings=BY_COUNT) for won in (9, 8))
    assert (passed.passed, passed.test) == (True, "mcnemar")
    assert passed.gain is not None
    assert (passed.gain.value, passed.gain.low > 0) == (0.008, True)
    assert refused.refusals[0].startswith("not shown to be better: accuracy gains +0.006 (95% interval -0.001")


def test_mcnemars_test_refuses_a_slice_that_it_shows_to_be_worse() -> None:
    labels, champion, challenger = telling(40, 15)
    origin = np.where(np.arange(1000) >= 40, "later", "first")
    strict = BY_COUNT.model_copy(update={"max_slice_loss": 0.01, "min_slice_rows": 30})
    (refusal,) = judge(labels, champion, challenger, "accuracy", settings=strict, slices={"origin": origin}).refusals
    assert refusal.startswith("worse on origin=later (960 rows): accuracy gains -0.01562")


def test_mcnemars_test_counts_rows_and_refuses_to_weigh_them() -> None:
    weights = np.where(np.arange(1000) % 2, 1.0, 2.0)
    (refusal,) = judge(*telling(90, 10), "accuracy", settings=BY_COUNT, weights=weights).refusals
    assert refusal == "rows have different weights, and McNemar's test counts rows: use gate.test: bootstrap"
    assert judge(*telling(90, 10), "accuracy", settings=BY_COUNT, weights=np.full(1000, 3.0)).passed


# ---------------------------------------------------------------- watched


def test_a_watched_gain_is_the_mean_of_the_days_gains_with_its_interval_for_every_look() -> None:
    labels, champion, challenger, times = weathered(0, rows=2000, noise=0.3)
    result = judge(labels, champion, challenger, times=times, settings=BY_DAY, watched_blocks=44)
    day = times.astype("datetime64[D]")
    gains = [
        roc_auc_score(labels[day == each], challenger[day == each])
        - roc_auc_score(labels[day == each], champion[day == each])
        for each in np.unique(day)
    ]
    assert result.gain is not None
    assert result.gain.value == pytest.approx(np.mean(gains))
    assert (result.gain.low, result.gain.high) == pytest.approx(mean_sequence(gains, confidence=0.95, tuned_for=44))
    assert (result.test, result.blocks) == ("sequence", 20)


def test_what_is_not_shown_yet_is_undecided_and_what_never_will_be_is_not() -> None:
    *pair, times = weathered(0)
    equal = judge(*pair, times=times, settings=BY_DAY, watched_blocks=44)
    assert (equal.passed, equal.undecided) == (False, True)
    asked = BY_DAY.model_copy(update={"min_gain": 0.9})
    assert not judge(*pair, times=times, settings=asked, watched_blocks=44).undecided
    assert not judge(*pair, times=times, settings=BY_DAY).undecided, "a single look decides"


def test_too_few_days_are_undecided_while_watched_and_a_broken_answer_is_refused() -> None:
    labels, champion, challenger, times = weathered(0, days=9)
    assert judge(labels, champion, challenger, times=times, settings=BY_DAY, watched_blocks=44).undecided
    labels, champion, challenger, times = weathered(0)
    broken = challenger.copy()
    broken[3] = np.nan
    result = judge(labels, champion, broken, times=times, settings=BY_DAY, watched_blocks=44)
    assert (result.passed, result.undecided) == (False, False)


def test_a_watched_slice_that_is_worse_holds_a_better_challenger_back() -> None:
    labels, champion, challenger, origin = harmful(0.15)
    times = np.datetime64("2013-04-04") + np.arange(4000) // 200 * np.timedelta64(1, "D")
    arguments: dict[str, Any] = {"times": times, "settings": BY_DAY, "watched_blocks": 30}
    assert judge(labels, champion, challenger, "accuracy", **arguments).passed
    held = judge(labels, champion, challenger, "accuracy", slices={"origin": origin}, **arguments)
    assert (held.passed, held.undecided) == (False, True)


def test_rows_cannot_be_watched() -> None:
    with pytest.raises(ValueError, match="by blocks of time"):
        judge(*world(0), watched_blocks=44)
