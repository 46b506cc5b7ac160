import math

import numpy as np
import pytest

from retrue.statistics.distances import drift_score
from retrue.statistics.own_unit import in_unit, own_unit

RNG = np.random.default_rng(0)
VALUES = RNG.normal(5, 1, 3000)


@pytest.mark.parametrize("sd", [1e-2, 1e-3, 1e-6, 1e-30, 1e-290])
def test_a_column_scores_in_its_own_standard_deviations_in_whatever_unit(sd: float) -> None:
    moved = RNG.normal(5.5, 1, 1000)
    unit = own_unit(VALUES * sd)
    sides = (in_unit(side * sd, unit) for side in (VALUES, moved))
    assert drift_score(*sides, "wasserstein") == pytest.approx(drift_score(VALUES, moved, "wasserstein"), rel=1e-9)


def test_a_small_unit_becomes_larger_by_a_power_of_two_and_another_stays() -> None:
    unit = own_unit(VALUES * 1e-6)
    assert math.log2(unit) == round(math.log2(unit)) > 0
    assert 0.4 < np.std(in_unit(VALUES * 1e-6, unit)) < 1.1
    assert own_unit(VALUES) == own_unit(VALUES * 0.02) == own_unit(VALUES * 1e200) == 1


@pytest.mark.parametrize(
    "values", [[], [np.nan, np.inf], [0.0, 0.0], [7e-9] * 3, [0.3, 0.1 + 0.2], [1e-310] * 2], ids=str
)
def test_what_has_no_spread_but_rounding_stays_in_its_unit(values: list[float]) -> None:
    assert own_unit(np.array(values, dtype=float)) == 1


def test_infinities_count_as_missing_and_huge_values_stay_huge() -> None:
    unit = own_unit(VALUES * 1e-200)
    found = in_unit(np.array([np.inf, -np.inf, np.nan, 1e300, -1e300]), unit)
    assert np.isnan(found[:3]).all()
    assert found[3:].tolist() == [1e150, -1e150]
