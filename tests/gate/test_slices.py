"""A challenger that harms a slice is refused by name, and one of which no slice tells is too."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from tests.gate.worlds import BY_DAY, ROWS, SETTINGS, harmful, judge, world


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
