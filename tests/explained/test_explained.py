"""Slices and attribution of labelled rows, on small worlds whose truth is known."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from retrue.explained import MOVED, MOVED_ALONE, Examined, attribute_change, find_loss, find_weak_slices, is_worse
from retrue.explained.slices import share_interval
from retrue.labelled import read_labelled
from retrue.results import Attribution, Interval, Slices, Unmeasured

ROWS = 4000


def world(
    seed: int, *, rows: int = ROWS, hot: float = 0.0, broken: str = "", flipped: float = 0.0, failing: str = ""
) -> Examined:
    """Scores are the true chances of the usual world. ``hot`` shifts temp, which makes outcomes harder to tell; of origin
    ``broken`` the scores say nothing; a share ``flipped`` of the outcomes is the other way; of origin ``failing`` a tenth fails."""
    rng = np.random.default_rng(seed)
    temp = rng.normal(hot, 1, rows)
    origin = rng.choice(["EWR", "JFK", "LGA"], rows).astype(object)
    line = rng.normal(size=rows)
    sure = np.where(temp > 1, 0.3, 2.5) * line
    score = 1 / (1 + np.exp(-sure))
    label = (rng.random(rows) < score).astype(int)
    label = np.where(rng.random(rows) < flipped, 1 - label, label)
    score = np.where(origin == broken, rng.permutation(score), score)
    labelled = read_labelled("binary", labels=label, predictions=(score > 0.5).astype(int), scores=score, weights=None)
    failed = (rng.random(rows) < np.where(origin == failing, 0.1, 0.0)).astype(float)
    columns: Mapping[str, np.ndarray] = {"temp": temp, "origin": origin, "line": line}
    return Examined(columns=columns, weight=np.ones(rows), labelled=labelled, failed=failed)


def slices(window: Examined, **options: object) -> Slices:
    found = find_weak_slices("roc_auc", window=window, served=window, reference=world(0), **options)  # type: ignore[arg-type]
    assert isinstance(found, Slices)
    return found


def attributed(window: Examined, metric: str = "roc_auc", **options: object) -> Attribution:
    found = attribute_change(metric, window=window, reference=world(0), **options)  # type: ignore[arg-type]
    assert isinstance(found, Attribution)
    return found


def test_a_declared_slice_that_got_worse_is_over_its_bound_and_the_others_are_not() -> None:
    found = slices(world(1, broken="EWR"), declared=["origin"], max_drop=0.1)
    assert {str(each): each.over_bound for each in found.declared} == {
        "origin = EWR": True, "origin = JFK": False, "origin = LGA": False,
    }  # fmt: skip
    worst = found.declared[0]
    assert worst.metric is not None
    assert worst.metric.low < 0.5 < worst.metric.high
    assert worst.rows == pytest.approx(ROWS / 3, rel=0.1)


def test_declared_slices_are_called_over_their_bound_by_chance_seldom() -> None:
    """The drop is 0 and the bound the least there is: at most one in twenty windows, and luck."""
    over = [
        any(each.over_bound for each in slices(world(seed, rows=1500), declared=["origin"], max_drop=1e-6).declared)
        for seed in range(1, 31)
    ]
    assert sum(over) <= 5  # 99.6 % of binomial(30, 0.05)


def test_a_number_that_is_declared_is_cut_into_quarters_of_the_reference() -> None:
    found = slices(world(1, hot=1.0), declared=["temp"])
    usual, hotter = (slices(world(1, hot=each), declared=["temp"]) for each in (0.0, 1.0))
    assert [str(each) for each in usual.declared] == [str(each) for each in hotter.declared]
    assert len(found.declared) == 4


def test_where_outcomes_are_hard_to_tell_is_found() -> None:
    """That is where the score is near a half, and in the heat."""
    found = {each.conditions[0].column: each for each in slices(world(2)).found}
    assert set(found) == {"line", "temp"}
    assert found["temp"].conditions[0].relation == ">="
    assert found["temp"].loss.value > 1.2 * found["temp"].outside_loss


def test_inputs_that_became_commoner_are_told() -> None:
    moved = slices(world(3, hot=0.8)).moved
    assert moved[0].conditions[0].column == "temp"
    assert moved[0].ratio.low > 1.2
    assert moved[0].share > moved[0].reference_share
    assert slices(world(3)).moved == ()


def test_failures_are_told_by_slice() -> None:
    found = slices(world(4, failing="LGA"), declared=["origin"])
    shares = {str(each): each.failure_share for each in found.declared}
    worst = shares["origin = LGA"]
    assert worst is not None
    assert worst.low < 0.1 < worst.high
    other = shares["origin = JFK"]
    assert other is not None
    assert other.value == 0


def test_a_slice_of_too_few_labelled_rows_is_told_with_its_reason() -> None:
    found = slices(world(5, rows=200), declared=["origin"], min_rows=100)
    assert found.declared == ()
    assert all("100 are needed" in reason for _, reason in found.unmeasurable)


def test_where_the_reference_has_no_whole_rows_no_pair_of_inputs_is_compared() -> None:
    """Its columns are marginals: what stands side by side in them is not of one inference."""
    shuffled = world(0)
    rng = np.random.default_rng(1)
    marginals = Examined(
        columns={name: rng.permutation(each) for name, each in shuffled.columns.items()}, weight=shuffled.weight
    )
    window = world(3)
    apart = Examined(columns={**window.columns, "twin": window.columns["temp"]}, weight=window.weight)
    alone = Examined(
        columns={**marginals.columns, "twin": rng.permutation(marginals.columns["temp"])}, weight=marginals.weight
    )
    found = [
        find_weak_slices("roc_auc", window=None, served=apart, reference=alone, moves=moves)
        for moves in (MOVED, MOVED_ALONE)
    ]
    assert [bool(each.moved) for each in found if isinstance(each, Slices)] == [True, False]


def test_without_labels_only_what_became_commoner_is_told() -> None:
    found = find_weak_slices("roc_auc", window=None, served=world(3, hot=0.8), reference=world(0))
    assert isinstance(found, Slices)
    assert (found.slices, bool(found.moved)) == ((), True)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "f1"])
def test_changed_inputs_are_told_from_a_changed_relation(metric: str) -> None:
    hot, flipped = attributed(world(6, hot=0.9), metric), attributed(world(6, flipped=0.2), metric)
    assert abs(hot.inputs.value) > 4 * abs(hot.relation.value)
    assert hot.features[0].name == "temp"
    assert abs(flipped.relation.value) > 4 * abs(flipped.inputs.value)
    for each in (hot, flipped):
        parts = each.inputs.value + each.relation.value + (each.unsupported.value if each.unsupported else 0.0)
        assert parts == pytest.approx(each.total.value, abs=1e-12)
        assert each.after - each.before == pytest.approx(each.total.value, abs=1e-12)


def test_an_accuracy_falls_where_its_errors_rise() -> None:
    found = attributed(world(6, flipped=0.2), "accuracy")
    assert found.total.value == pytest.approx(-found.loss_total.value)
    assert found.total.low < found.total.value < found.total.high < 0
    assert found.after < found.before


def test_slices_of_a_split_add_up_to_the_change_of_the_loss() -> None:
    found = attributed(world(7, broken="EWR"), by="origin")
    assert [each.name for each in found.slices] == ["origin = EWR", "origin = JFK", "origin = LGA"]
    assert sum(each.total for each in found.slices) == pytest.approx(found.loss_total.value, abs=1e-12)
    assert found.slices[0].relation > 0.8 * found.loss_total.value


def test_without_labelled_reference_rows_nothing_is_split() -> None:
    reference = Examined(columns=world(0).columns, weight=np.ones(ROWS))
    assert isinstance(attribute_change("roc_auc", window=world(1), reference=reference), Unmeasured)


def test_each_metric_has_a_loss_on_single_rows() -> None:
    rows = world(0).labelled
    assert rows is not None
    names = {metric: found[0] for metric in ("roc_auc", "brier_score", "f1") if (found := find_loss(metric, rows))}
    assert names == {"roc_auc": "log_loss", "brier_score": "brier_score", "f1": "error rate"}
    values = read_labelled("regression", labels=[1.0, 2.0], predictions=[1.0, 4.0], scores=None, weights=None)
    squared = find_loss("rmse", values)
    assert squared is not None
    assert squared[1].tolist() == [0.0, 4.0]


def test_only_a_whole_interval_beyond_is_worse() -> None:
    assert is_worse("roc_auc", Interval(value=0.6, low=0.58, high=0.62), 0.65)
    assert not is_worse("roc_auc", Interval(value=0.6, low=0.55, high=0.66), 0.65)
    assert is_worse("mae", Interval(value=3.0, low=2.8, high=3.2), 2.5)


def test_a_share_has_wilsons_interval() -> None:
    """10 of 263 (Newcombe 1998, Stat. Med. 17, method 3 has 0.0208 to 0.0685 for 10 of 263)."""
    found = share_interval(np.repeat([1.0, 0.0], [10, 253]), np.ones(263))
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (0.0208, 0.0686)
    assert share_interval(np.empty(0), np.empty(0)) is None


def test_a_class_that_only_inputs_of_their_own_have_leaves_no_metric_to_split() -> None:
    """All fraud comes by a channel that is new."""
    window = world(9)
    labelled = window.labelled
    assert labelled is not None
    new = np.arange(ROWS) % 5 == 0
    columns = {**window.columns, "origin": np.where(new, "partner", window.columns["origin"]).astype(object)}
    fraud = replace(window, columns=columns, labelled=replace(labelled, truth=new.astype(float)))
    for metric in ("roc_auc", "average_precision", "recall"):
        found = attribute_change(metric, window=fraud, reference=world(0))
        assert found == Unmeasured(
            part="attribution", reason=f"{metric} has no value on the inputs that both sides have"
        )
