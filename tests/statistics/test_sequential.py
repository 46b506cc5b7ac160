"""A confidence sequence holds at every look at once, and is what its likelihood ratio says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from retrue.statistics.sequential import evidence_against, mean_sequence, mixture_precision

LOOKS = range(10, 71)
VALUES = st.lists(st.floats(-100, 100), min_size=3, max_size=40).filter(lambda values: np.std(values) > 1e-3)


def test_the_evidence_is_the_ratio_of_the_integrals_it_is_derived_from() -> None:
    """The likelihood over the scale, with a normal effect size, against that without one; by quadrature."""
    values, precision = np.array([0.3, 1.1, 0.8, -0.2, 0.9]), mixture_precision(30, confidence=0.95)

    def likelihood(scale: float, effect: float) -> float:
        return float(np.prod(stats.norm.pdf(values, effect * scale, scale)) / scale)

    mixed, _ = integrate.dblquad(
        lambda effect, scale: likelihood(scale, effect) * stats.norm.pdf(effect, 0, 1 / np.sqrt(precision)),
        0,
        60,
        -6,
        6,
    )
    plain, _ = integrate.quad(lambda scale: likelihood(scale, 0), 0, 60)
    found = evidence_against(0.0, values, confidence=0.95, tuned_for=30)
    assert found == pytest.approx(mixed / plain, rel=1e-4)


@given(values=VALUES)
def test_the_bounds_are_where_the_evidence_reaches_1_over_alpha(values: list[float]) -> None:
    low, high = mean_sequence(values, confidence=0.95, tuned_for=30)
    if np.isfinite(low):
        for bound in (low, high):
            assert evidence_against(bound, values, confidence=0.95, tuned_for=30) == pytest.approx(20, rel=1e-6)


@given(values=VALUES, shift=st.floats(-10, 10), scale=st.floats(0.1, 10))
def test_it_moves_and_stretches_with_its_values(values: list[float], shift: float, scale: float) -> None:
    low, high = mean_sequence(values, confidence=0.95, tuned_for=30)
    moved = mean_sequence(np.asarray(values) * scale + shift, confidence=0.95, tuned_for=30)
    if np.isfinite(low):
        assert moved == pytest.approx((low * scale + shift, high * scale + shift), rel=1e-6, abs=1e-6)


def test_under_no_difference_60_daily_looks_err_at_most_as_often_as_promised() -> None:
    rng, trials = np.random.default_rng(0), 300
    above = below = 0
    for _ in range(trials):
        series = rng.normal(size=max(LOOKS))
        bounds = [mean_sequence(series[:look], confidence=0.95, tuned_for=44) for look in LOOKS]
        above += any(low > 0 for low, _ in bounds)
        below += any(high < 0 for _, high in bounds)
    assert above + below <= stats.binom.ppf(0.999, trials, 0.05)
    assert max(above, below) <= stats.binom.ppf(0.999, trials, 0.025)


def test_a_mean_of_half_a_standard_deviation_is_nearly_always_found_in_60_looks() -> None:
    """0.91 of 500 by simulation, half of them within 31 values."""
    rng, trials = np.random.default_rng(1), 100
    found = sum(
        any(mean_sequence(series[:look], confidence=0.95, tuned_for=44)[0] > 0 for look in LOOKS)
        for series in rng.normal(0.5, 1, (trials, max(LOOKS)))
    )
    assert found >= 0.8 * trials


def test_looking_costs_width() -> None:
    values = stats.norm.ppf((np.arange(44) + 0.5) / 44)
    low, high = mean_sequence(values, confidence=0.95, tuned_for=44)
    once = stats.t.ppf(0.975, 43) * values.std(ddof=1) / np.sqrt(44)
    assert 1.3 < (high - low) / 2 / once < 1.7


def test_it_is_narrowest_for_about_as_many_values_as_it_is_tuned_for() -> None:
    values = stats.norm.ppf((np.arange(200) + 0.5) / 200)
    best = optimize.minimize_scalar(
        lambda tuned: mean_sequence(values, confidence=0.95, tuned_for=tuned)[1], bounds=(20, 2000), method="bounded"
    )
    assert best.x == pytest.approx(200, rel=0.15)


def test_few_values_say_nothing_and_one_that_is_no_number_is_refused() -> None:
    assert mean_sequence([], confidence=0.95, tuned_for=30) == (-np.inf, np.inf)
    assert mean_sequence([1.0, 1.1], confidence=0.95, tuned_for=30) == (-np.inf, np.inf)
    with pytest.raises(ValueError, match="finite"):
        mean_sequence([1.0, np.nan], confidence=0.95, tuned_for=30)
