import math

import numpy as np
import pytest

from retrue.statistics.family import CHANCES, column_tails, fit_tail, largest, lift_tail

RNG = np.random.default_rng(0)


def test_the_limit_of_columns_together_is_exceeded_as_often_as_stated() -> None:
    """Twenty columns with tails of every kind, independent: fresh windows against a limit from 500 replays."""
    heavy = np.linspace(0.3, 1.2, 20)
    exceeded = []
    for _ in range(30):
        replayed, fresh = (np.exp(RNG.normal(size=(rows, 20)) * heavy) for rows in (500, 500))
        tails = column_tails(replayed)
        tail = dict(fit_tail(largest(replayed, tails), 0.05))
        exceeded.append([(largest(fresh, tails) > tail[chance]).mean() for chance in (0.05, 0.01)])
    found = np.mean(exceeded, axis=0)
    assert 0.03 < found[0] < 0.05
    assert 0.004 < found[1] < 0.0105


def test_each_column_has_about_the_same_part_in_the_false_alarms() -> None:
    heavy = np.array([0.2, 1.5])
    distances = np.exp(RNG.normal(size=(20_000, 2)) * heavy)
    location, scale = column_tails(distances)
    shares = ((distances - location) / scale > 1.5).mean(axis=0)
    assert 0.5 < shares[0] / shares[1] < 2


def test_columns_that_move_together_need_no_wider_limit_than_one() -> None:
    one = RNG.exponential(size=(2000, 1))
    together, apart = np.repeat(one, 20, axis=1), RNG.exponential(size=(2000, 20))
    limits = [dict(fit_tail(largest(each, column_tails(each)), 0.05))[0.05] for each in (one, together, apart)]
    assert limits[0] == pytest.approx(limits[1])
    assert limits[2] > limits[0] + 1


def test_the_tail_only_rises_and_ranks_are_conservative() -> None:
    most = np.sort(RNG.exponential(size=99))
    tail = fit_tail(most, 0.07)
    chances, limits = zip(*tail, strict=True)
    assert set(chances) == {*CHANCES, 0.07}
    assert list(limits) == sorted(limits)
    assert dict(tail)[0.1] == most[89]  # of 99 and a new one, ten lie at or beyond the 90th


def test_a_tail_is_lifted_only_where_more_contiguous_windows_exceed_it_than_chance_lets() -> None:
    tail = fit_tail(np.sort(RNG.exponential(size=500)), 0.05)
    assert lift_tail(tail, np.zeros(13), 13, 0.05) == tail
    assert lift_tail(tail, np.full(3, 99.0), 3, 0.05) == tail  # three windows say nothing
    lifted = lift_tail(tail, np.sort(RNG.exponential(size=200) * 9), 13, 0.05)
    lifts = {round(after - before, 9) for (_, before), (_, after) in zip(tail, lifted, strict=True)}
    assert len(lifts) == 1
    assert lifts.pop() > 0


def test_constant_columns_have_no_tail_and_no_part() -> None:
    assert [each.tolist() for each in column_tails(np.zeros((50, 2)))] == [[0.0, 0.0], [0.0, 0.0]]
    most = largest(np.zeros((50, 2)), column_tails(np.zeros((50, 2))))
    assert all(math.isfinite(limit) for _, limit in fit_tail(most, 0.05))
