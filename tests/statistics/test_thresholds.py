import math
from dataclasses import replace

import pytest

from retrue.results import ColumnCalibration, DriftCalibration
from retrue.statistics.thresholds import CHANCE_MIN, chance_of, detectable_at, limit_of, threshold_at

COLUMN = ColumnCalibration(
    method="wasserstein", numeric=True, rows=1000, reference_rows=10_000, location=0.10, scale=0.02,
    floor=0.05, threshold=0.16, detectable=0.2, quantiles=((0.5, 0.05),),
)  # fmt: skip
FOUND = DriftCalibration(
    columns={"a": COLUMN}, window_seconds=86400.0, alpha=0.05, tail=((0.5, -1.0), (0.1, 0.5), (0.05, 3.0), (0.01, 5.0)),
    replays=500, stretches=90, blocks="rows one by one",
)  # fmt: skip


def test_at_the_calibrated_size_the_threshold_is_the_calibrated_one() -> None:
    assert threshold_at(COLUMN, 3.0, 1000, 10_000) == pytest.approx(0.16)


def test_fewer_rows_widen_it_by_the_root_of_the_spread() -> None:
    ratio = math.sqrt((1 / 100 + 1 / 10_000) / (1 / 1000 + 1 / 10_000))
    assert threshold_at(COLUMN, 3.0, 100, 10_000) == pytest.approx(0.16 * ratio)
    sizes = [threshold_at(COLUMN, 3.0, rows, 10_000) for rows in (10, 100, 1000, 10_000, 100_000)]
    assert sizes == sorted(sizes, reverse=True)


def test_more_rows_do_not_narrow_it() -> None:
    """They may be the neighbours of rows that are there already, and say the same."""
    assert threshold_at(COLUMN, 3.0, 10**9, 10**9) == pytest.approx(0.16)


def test_a_side_without_rows_never_drifts() -> None:
    assert threshold_at(COLUMN, 3.0, 0, 10_000) == math.inf


def test_scores_of_psi_widen_with_the_spread_itself() -> None:
    psi = replace(COLUMN, method="psi", floor=0.0032)
    assert threshold_at(psi, 3.0, 1000, 10_000) == pytest.approx(0.16**2)


def test_chance_and_limit_are_each_others_inverse() -> None:
    for chance in (0.3, 0.07, 0.02, 0.001):
        score = COLUMN.location + limit_of(FOUND, chance) * COLUMN.scale
        assert chance_of(FOUND, COLUMN, score, 1000, 10_000) == pytest.approx(chance)
    assert chance_of(FOUND, COLUMN, 99.0, 1000, 10_000) == pytest.approx(CHANCE_MIN)
    assert chance_of(FOUND, COLUMN, 0.0, 1000, 10_000) == 1.0


def test_a_rarer_rate_has_a_higher_limit() -> None:
    limits = [limit_of(FOUND, chance) for chance in (0.2, 0.05, 0.01, 0.001)]
    assert limits == sorted(limits)


def test_a_wider_threshold_hides_more() -> None:
    assert detectable_at(COLUMN, 0.32) == pytest.approx(0.4)
    assert detectable_at(replace(COLUMN, method="psi"), 0.64) == pytest.approx(0.4)
    assert detectable_at(COLUMN, math.inf) is None
    assert detectable_at(replace(COLUMN, detectable=None), 0.2) is None
