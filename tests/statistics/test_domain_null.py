"""The threshold keeps its word where nothing drifts, and what times of the baseline differ by is not an alarm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from retrue.results import DomainNull
from retrue.statistics.domain import domain_auc
from retrue.statistics.domain_null import AUC_MIN, calibrate_domain, domain_threshold, single_auc
from retrue.statistics.domain_rows import Rows
from tests.statistics.rows import related

ALPHA = 0.05
NULL = DomainNull(
    location=0.05, scale=0.08, quantiles=((0.5, 0.51),), threshold=0.56, alpha=0.01, rows=500, reference_rows=5000,
    replays=40, stretches=12, columns=("x", "y"),
)  # fmt: skip


def null_of(rows: Rows, window_rows: int, *, alpha: float = ALPHA, replays: int = 12) -> DomainNull:
    found = calibrate_domain(rows, window_rows=window_rows, alpha=alpha, replays=replays)
    assert isinstance(found, DomainNull)
    return found


def small(generator: np.random.Generator, rows: int, correlation: float = 0.6) -> Rows:
    return related(generator, rows, correlation, 2)


def test_false_alarms_are_within_the_stated_rate_and_a_flipped_correlation_is_found() -> None:
    generator = np.random.default_rng(0)
    alarms = found = windows = 0
    for _ in range(4):
        frozen = small(generator, 2400)
        null = null_of(frozen, 200)
        for _ in range(12):
            windows += 1
            alarms += domain_auc(frozen, small(generator, 200)) >= null.threshold
        found += domain_auc(frozen, small(generator, 200, -0.6)) >= null.threshold
    assert alarms <= binom.ppf(0.975, windows, ALPHA)
    assert found == 4


def seasonal(generator: np.random.Generator, rows: int) -> Rows:
    """An AR(1) series on a daily wave of 200 rows."""
    noise = generator.normal(size=(rows, 3))
    for at in range(1, rows):
        noise[at] = 0.9 * noise[at - 1] + np.sqrt(1 - 0.81) * noise[at]
    noise[:, 0] += np.sin(2 * np.pi * np.arange(rows) / 200)
    return Rows(columns={name: noise[:, at] for at, name in enumerate("xyz")})


def test_windows_of_a_series_that_depends_on_itself_are_no_alarm_although_chance_does_not_explain_them() -> None:
    series = seasonal(np.random.default_rng(1), 4000 + 30 * 200)
    frozen = series.take(np.arange(4000))
    null = null_of(frozen, 200)
    later = [series.take(np.arange(4000 + 200 * at, 4200 + 200 * at)) for at in range(30)]
    aucs = np.array([domain_auc(frozen, each) for each in later])
    assert (aucs > 0.6).mean() > 0.3, "independent rows would be an alarm above 0.57"
    assert (aucs >= null.threshold).sum() <= binom.ppf(0.99, 30, ALPHA)


def test_a_counter_is_left_out_so_that_a_change_can_be_seen() -> None:
    frozen = small(np.random.default_rng(2), 2400)
    counted = replace(frozen, columns={"counter": np.arange(2400.0), **frozen.columns})
    null = null_of(counted, 300)
    assert null.left_out == ("counter",)
    assert null.columns == tuple(frozen.columns)
    assert null.threshold < 0.65


def test_where_every_column_tells_the_time_there_is_no_null() -> None:
    counters = Rows(columns={"a": np.arange(1200.0), "b": -np.arange(1200.0)})
    assert "fewer than two columns" in str(calibrate_domain(counters, window_rows=200, alpha=ALPHA))


def test_too_few_rows_are_said() -> None:
    reason = calibrate_domain(small(np.random.default_rng(3), 599), window_rows=100, alpha=ALPHA)
    assert reason == "the baseline has 599 rows: 600 are needed to know how its own times differ"


def test_a_window_longer_than_a_sixth_of_the_baseline_is_stood_for_by_shorter_stretches() -> None:
    null = null_of(small(np.random.default_rng(4), 900), 5000)
    assert (null.rows, null.stretches) == (150, 6)


def test_freezing_the_same_rows_gives_the_same_null() -> None:
    frozen = small(np.random.default_rng(5), 700)
    assert null_of(frozen, 110) == null_of(frozen, 110)


@pytest.mark.parametrize(("stricter", "looser"), [(0.001, 0.01), (0.01, 0.05), (0.05, 0.2)])
def test_fewer_false_alarms_ask_for_a_larger_auc(stricter: float, looser: float) -> None:
    assert domain_threshold(NULL, alpha=stricter, rows=500) > domain_threshold(NULL, alpha=looser, rows=500)


def test_a_smaller_window_has_a_wider_threshold_and_a_larger_one_none_of_its_own() -> None:
    thresholds = [domain_threshold(NULL, alpha=0.01, rows=rows) for rows in (100, 200, 500, 2000)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[2] == thresholds[3]


def test_the_threshold_is_the_prediction_limit_of_a_normal_distribution() -> None:
    """By hand: t(0.99; 11) = 2.71808, so logit = 0.05 + 2.71808 · 0.08 · sqrt(13 / 12)."""
    assert domain_threshold(NULL, alpha=0.01, rows=500) == pytest.approx(1 / (1 + np.exp(-0.276326)), abs=1e-5)


def test_a_difference_that_is_certain_but_tiny_is_no_alarm() -> None:
    assert domain_threshold(replace(NULL, location=0.0, scale=0.001), alpha=0.05, rows=500) == AUC_MIN


def test_a_single_column_is_told_by_its_bins() -> None:
    generator = np.random.default_rng(6)
    same, moved = (Rows(columns={"x": generator.normal(shift, 1, 2000)}) for shift in (0, 1))
    assert single_auc(same, moved) == pytest.approx(0.76, abs=0.03)
    assert abs(single_auc(same, Rows(columns={"x": generator.normal(0, 1, 2000)})) - 0.5) < 0.04
