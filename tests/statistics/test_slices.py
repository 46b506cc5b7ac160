"""The search for weak slices: what it finds, what it does not, and that its intervals hold."""

from collections.abc import Mapping

import numpy as np
import pytest

from retrue.statistics.conditions import Bucketed, bucketed
from retrue.statistics.slices import SliceThresholds, find_slices, mean_interval


def columns(rows: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    numbers = {f"x{number}": rng.normal(size=rows) for number in range(6)}
    words = {f"c{number}": rng.choice(list("abcdefgh"), size=rows).astype(object) for number in range(3)}
    return numbers | words


def cut(given: Mapping[str, np.ndarray]) -> list[Bucketed]:
    return [bucketed(name, values) for name, values in given.items()]


def test_a_weak_category_is_found_with_the_rows_it_has() -> None:
    rng = np.random.default_rng(1)
    given = columns(6000, rng)
    bad = given["c1"] == "d"
    loss = rng.exponential(0.5, 6000) * np.where(bad, 1.8, 1.0)
    search = find_slices(cut(given), loss, np.ones(6000))
    (first,) = search.found
    assert [str(each) for each in first.conditions] == ["c1 = d"]
    assert first.inside.low < 0.9 < first.inside.high
    assert first.inside.value == pytest.approx(loss[bad & search.held].mean())


def test_a_pair_is_found_that_neither_condition_shows() -> None:
    rng = np.random.default_rng(2)
    given = columns(20_000, rng)
    bad = (given["c0"] == "b") & (given["c1"] == "c")
    loss = rng.exponential(0.5, 20_000) * np.where(bad, 2.2, 1.0)
    search = find_slices(cut(given), loss, np.ones(20_000))
    assert [sorted(map(str, each.conditions)) for each in search.found] == [["c0 = b", "c1 = c"]]


def test_where_there_is_nothing_next_to_nothing_is_found() -> None:
    """100 worlds of 60 conditions and 1,400 pairs, heavy-tailed losses: false finds in at most one in twenty, and luck."""
    finds = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = find_slices(cut(columns(1000, rng)), rng.exponential(0.5, 1000), np.ones(1000), seed=seed).found
        finds += bool(found)
    assert finds <= 11  # 99.9 % of binomial(100, 0.05)


def test_the_interval_of_a_found_slice_holds_although_it_was_picked_as_the_worst() -> None:
    """What the searched half says would be too high; the held half does not know that it was picked."""
    covered = told = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        given = columns(2000, rng)
        share = np.where(given["c2"] == "a", 0.3, 0.1)
        found = find_slices(cut(given), (rng.random(2000) < share).astype(float), np.ones(2000), seed=seed).found
        for each in found:
            if [str(part) for part in each.conditions] == ["c2 = a"]:
                told += 1
                covered += each.inside.low <= 0.3 <= each.inside.high
    assert told > 30
    assert covered / told > 0.87


def test_weights_count_rows_as_often_as_they_stand_for() -> None:
    """Losses of 2 that stand for one row and of 0 that stand for three are on average 0.5, as elsewhere: no slice."""
    rng = np.random.default_rng(3)
    category = rng.choice(["a", "b"], 4000).astype(object)
    inside = category == "a"
    high = rng.random(4000) < 0.5
    loss = np.where(inside, np.where(high, 2.0, 0.0), 0.5)
    weight = np.where(inside, np.where(high, 1.0, 3.0), 1.0)
    column = [bucketed("c", category)]
    assert find_slices(column, loss, np.ones(4000)).found
    assert not find_slices(column, loss, weight).found


def test_each_told_slice_is_on_columns_of_its_own() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=8000)
    loss = rng.exponential(0.5, 8000) * (1 + (x > 1) + (x > 1.3))
    found = find_slices([bucketed("x", x)], loss, np.ones(8000)).found
    assert len(found) == 1
    assert found[0].conditions[0].relation == ">="


def test_a_slice_of_too_few_rows_is_not_looked_at() -> None:
    rng = np.random.default_rng(5)
    category = np.where(np.arange(2000) < 60, "rare", "usual").astype(object)
    loss = np.where(category == "rare", 5.0, 0.5) + rng.random(2000)
    assert not find_slices([bucketed("c", category)], loss, np.ones(2000)).found
    assert find_slices([bucketed("c", category)], loss, np.ones(2000), thresholds=SliceThresholds(min_rows=40)).found


def test_a_constant_loss_and_no_columns_have_no_slices() -> None:
    assert not find_slices([bucketed("x", np.arange(500.0))], np.ones(500), np.ones(500)).found
    assert not find_slices([], np.arange(500.0), np.ones(500)).found


def test_the_same_seed_finds_the_same() -> None:
    rng = np.random.default_rng(6)
    given = cut(columns(3000, rng))
    loss = rng.exponential(0.5, 3000)
    assert (
        find_slices(given, loss, np.ones(3000), seed=3).found == find_slices(given, loss, np.ones(3000), seed=3).found
    )


def test_a_mean_of_equal_weights_has_students_interval() -> None:
    """Of 20 values with mean 10 and population deviation 2: 10 ± 2.093 · 2 / √20."""
    found = mean_interval(np.tile([8.0, 12.0], 10), np.ones(20))
    assert found is not None
    assert found.high == pytest.approx(10 + 2.093 * 2 / np.sqrt(20), abs=1e-3)
    assert mean_interval(np.ones(1), np.ones(1)) is None
