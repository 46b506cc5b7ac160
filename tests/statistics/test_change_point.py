from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrue.statistics.change_point import Shape, find_change, step_f_statistic

# Annual flow of the Nile at Aswan, 1871 to 1970, in 10^8 m^3: Cobb (1978), Biometrika 65(2), table 1
NILE = [
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
    831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
    781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
    744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
]  # fmt: skip
Series = NDArray[np.float64]


def noise(random: np.random.Generator, n: int, phi: float) -> Series:
    """AR(1) of standard deviation 1."""
    series = random.normal(size=n + 50)
    for at in range(1, n + 50):
        series[at] += phi * series[at - 1]
    return np.asarray(series[50:] * np.sqrt(1 - phi**2))


def test_the_nile_fell_after_1898_as_published() -> None:
    """sup F 75.93, the break after 1898 and the means are those of strucchange, whose interval is 1895 to 1902."""
    assert step_f_statistic(NILE) == (28, pytest.approx(75.93, abs=0.005))
    change = find_change(NILE, resamples=999)
    assert change is not None
    assert (change.shape, 1871 + change.index - 1) == (Shape.SUDDEN, 1898)
    assert (change.before, change.after) == (pytest.approx(1097.75), pytest.approx(849.972, abs=1e-3))
    assert change.p_value <= 0.001
    low, high = 1871 + change.low - 1, 1871 + change.high - 1
    assert low <= 1895
    assert 1902 <= high <= 1906


@pytest.mark.parametrize(("phi", "most"), [(0.0, 0.05), (0.3, 0.08), (0.6, 0.12)])
def test_without_a_change_hardly_any_is_found_even_where_neighbours_resemble_each_other(
    phi: float, most: float
) -> None:
    random = np.random.default_rng(5)
    found = sum(find_change(noise(random, 30, phi), resamples=199) is not None for _ in range(200))
    assert found / 200 <= most


@pytest.mark.parametrize("shape", list(Shape))
def test_a_step_and_a_ramp_of_three_deviations_are_found_dated_and_told_apart(shape: Shape) -> None:
    random, at = np.random.default_rng(6), np.arange(30)
    size = 3.0 * (at >= 20) if shape is Shape.SUDDEN else 0.6 * np.clip(at - 19, 0, None)
    found = [find_change(noise(random, 30, 0.2) + size, resamples=199) for _ in range(100)]
    changes = [each for each in found if each is not None]
    assert len(changes) >= 85
    assert sum(each.shape is shape for each in changes) >= 0.85 * len(changes)
    assert sum(each.low <= 20 <= each.high for each in changes) >= 0.85 * len(changes)


def test_a_jump_of_the_newest_value_alone_can_be_found() -> None:
    series = [*noise(np.random.default_rng(7), 40, 0.0), 12.0]
    change = find_change(series)
    assert change is not None
    assert (change.shape, change.index, change.high) == (Shape.SUDDEN, 40, 40)


@pytest.mark.parametrize("values", [[], [1.0] * 9, [2.5] * 40, list(range(9))])
def test_too_few_values_and_those_that_never_move_have_no_change(values: list[float]) -> None:
    assert find_change(values) is None


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite values only"):
        find_change([*range(20), float("nan")])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=12, max_size=25), st.sampled_from([0.5, 2.0, 8.0]), st.sampled_from([-4.0, 2.0])
)
def test_units_do_not_matter(values: list[float], scale: float, shift: float) -> None:
    series = np.round(values, 3)
    once, again = find_change(series, resamples=99), find_change(series * scale + shift, resamples=99)
    assert (once is None) == (again is None)
    if once is not None and again is not None:
        assert (again.shape, again.index, again.low, again.high) == (once.shape, once.index, once.low, once.high)
        assert again.after == pytest.approx(once.after * scale + shift, abs=1e-9)
