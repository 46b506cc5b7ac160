"""A data-dependent bug is named whatever the sampling and however few the records."""

from __future__ import annotations

import pytest

from retrue.failures import Exposure, Sums, rank_conditions
from retrue.results import Condition
from tests.sources.logs import Row
from tests.stages.project import Shop, day, document, records


def named(shop: Shop, rows: list[Row]) -> str:
    """What the finding about the one failure group says of its inputs."""
    shop.log(rows)
    recorded = document(shop.judge(0).report_dir)
    (message,) = (each["message"] for each in recorded["findings"] if each["check"] == "failure.group")
    return str(message).partition("), ")[2]


def failed(row: Row) -> Row:
    return {**row, "status": "error", "error_type": "ValueError", "error_message": "bad", "prediction": None, "score": None}  # fmt: skip


@pytest.mark.parametrize("sample", [1, 2, 10])
def test_inputs_are_named_as_before_where_only_successes_are_sampled(shop: Shop, sample: int) -> None:
    """A success weighs 10, a failure 1: what stands in for no failure at all must weigh what a failure does."""
    kept: list[Row] = []
    for number, row in enumerate(records(day(0), 8000)):
        if number % 20 == 1 and row["features.country"] == "ES":
            kept.append({**failed(row), "sample_weight": 1.0})
        elif number % sample == 0:
            kept.append({**row, "sample_weight": float(sample)})
    assert named(shop, kept) == "fails only when country = ES."


def test_a_pair_that_always_fails_is_named_in_a_small_window(shop: Shop) -> None:
    """34 of 34 failed and none of 320 elsewhere: the chance of it is that of the counts, not that of half a failure."""
    rows = [
        failed(row) if row["features.country"] == "FR" and row["features.device"] == "web" else row
        for row in records(day(0), 350)
    ]
    assert named(shop, rows) == "fails only when country = FR and device = web."


def test_few_sampled_successes_prove_no_condition() -> None:
    """A success of 50 was kept, ten in all: that none of them is among half of the records happens in one of a thousand."""
    failed, total = weighed(100), weighed(100, 10)
    half = exposure("income", failed=52, sound=0)
    others = [exposure(f"other {number}", failed=50, sound=5) for number in range(40)]
    assert rank_conditions([half, *others], failed=failed, total=total) == ()


def weighed(failed: int, sound: int = 0) -> Sums:
    """Failures of weight 1 and successes of weight 50."""
    return Sums(rows=failed + sound, weight=failed + 50.0 * sound, squares=failed + 2500.0 * sound)


def exposure(column: str, *, failed: int, sound: int) -> Exposure:
    conditions = (Condition(column=column, relation="=", value="x"),)
    return Exposure(conditions=conditions, failed=weighed(failed), total=weighed(failed, sound))
