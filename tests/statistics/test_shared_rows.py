"""Copies of rows are counted, and rows that are equal by chance are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.statistics.shared_rows import shared_rows


def test_copies_of_rows_that_are_all_different_are_counted_one_by_one() -> None:
    rng = np.random.default_rng(0)
    training, later = rng.random(5000), rng.random(1000)
    assert shared_rows(training, later)[0] == 0
    leaked = np.concatenate([later[:-40], training[:40]])
    assert shared_rows(training, leaked) == (40, pytest.approx(np.sqrt(40)))


@pytest.mark.parametrize("cells", [20, 2_000, 30_000, 1_000_000])
@pytest.mark.parametrize("sizes", [(5000, 1000), (1000, 5000), (2000, 2000)])
def test_rows_that_are_equal_by_chance_are_no_copies_however_coarse_they_are(
    cells: int, sizes: tuple[int, int]
) -> None:
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng([seed, cells])
        chance = rng.gamma(0.5, size=cells)  # some contents are far commoner than others
        drawn = [rng.choice(cells, size, p=chance / chance.sum()) for size in sizes]
        copies, error = shared_rows(*drawn)
        alarms += copies > max(0.005 * sizes[1], 3 * error)
    assert alarms <= 1


def test_copies_are_found_among_rows_that_coincide_by_chance_too() -> None:
    rng = np.random.default_rng(0)
    training, later = rng.integers(0, 200_000, 5000), rng.integers(0, 200_000, 2000)
    leaked = np.concatenate([later[:-100], training[:100]])
    copies, error = shared_rows(training, leaked)
    assert copies == pytest.approx(100, abs=25)
    assert copies > 3 * error


@given(rows=st.lists(st.integers(0, 30), max_size=60), seed=st.integers(0, 10))
def test_the_order_of_rows_does_not_matter_and_copies_are_not_negative(rows: list[int], seed: int) -> None:
    first, second = rows[::2], rows[1::2]
    shuffled = np.random.default_rng(seed).permutation(first)
    copies, error = shared_rows(first, second)
    assert copies >= 0
    assert error >= 0
    assert shared_rows(shuffled, second) == (copies, error)


def test_no_rows_are_no_copies() -> None:
    assert shared_rows([], []) == (0, 0)
    assert shared_rows([1, 2], []) == (0, 0)
