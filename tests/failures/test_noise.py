"""Many conditions on windows in which chance alone decides what fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.failures import Exposure, InputThresholds, Sums, pairs_to_measure, rank_conditions
from retrue.failures.inputs import SUSPECTS_OF_COLUMN
from retrue.failures.kinds import FailureKind, failure_kind
from retrue.results import Condition, FailingInput

Masks = Mapping[Condition, Any]


def masks(rows: int, draw: np.random.Generator) -> dict[Condition, Any]:
    """Categories of five columns and overlapping ranges of ten numbers: 344 conditions."""
    found = {}
    for column in range(5):
        values = draw.integers(0, 40, rows)
        found |= {Condition(column=f"k{column}", relation="=", value=f"v{each}"): values == each for each in range(40)}
    for column in range(10):
        values = draw.normal(size=rows)
        for share in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98):
            edge = np.quantile(values, share)
            found[Condition(column=f"n{column}", relation="<", value=f"{share}")] = values < edge
            found[Condition(column=f"n{column}", relation=">=", value=f"{share}")] = values >= edge
    return found


def exposures(given: Masks, failed: Any, weights: Any) -> list[Exposure]:
    return [
        Exposure(conditions=(condition,), failed=sums(weights[mask & failed]), total=sums(weights[mask]))
        for condition, mask in given.items()
    ]


def sums(weights: Any) -> Sums:
    return Sums(rows=len(weights), weight=float(weights.sum()), squares=float((weights**2).sum()))


def told(given: Masks, failed: Any, weights: Any) -> tuple[FailingInput, ...]:
    singles = exposures(given, failed, weights)
    all_failed, total = sums(weights[failed]), sums(weights)
    pairs = pairs_to_measure(singles, failed=all_failed, total=total)
    both = {pair: given[pair[0]] & given[pair[1]] for pair in pairs}
    doubles = [
        Exposure(conditions=pair, failed=sums(weights[mask & failed]), total=sums(weights[mask]))
        for pair, mask in both.items()
    ]
    return rank_conditions([*singles, *doubles], failed=all_failed, total=total)


@pytest.mark.parametrize("sample", [1.0, 0.2])
@pytest.mark.parametrize("share", [0.01, 0.2])
def test_chance_names_nothing_among_hundreds_of_conditions(share: float, sample: float) -> None:
    """One false find in a hundred is what is promised: 20 windows have room for one."""
    named = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        rows = (1000, 4000)[seed % 2]
        conditions, failed = masks(rows, draw), draw.random(rows) < share
        kept = failed | (draw.random(rows) < sample)
        weights = np.where(failed, 1.0, 1 / sample)[kept]
        named += bool(told({each: mask[kept] for each, mask in conditions.items()}, failed[kept], weights))
    assert named <= 1


def test_ranges_of_one_number_leave_room_for_pairs_with_another_column() -> None:
    draw = np.random.default_rng(1)
    conditions = masks(8000, draw)
    high = conditions[Condition(column="n0", relation=">=", value="0.75")]
    kind = conditions[Condition(column="k0", relation="=", value="v3")]
    failed = (
        (high & (draw.random(8000) < 0.15)) | (high & kind & (draw.random(8000) < 0.9)) | (draw.random(8000) < 0.01)
    )
    singles = exposures(conditions, failed, np.ones(8000))
    pairs = pairs_to_measure(singles, failed=sums(np.ones(int(failed.sum()))), total=sums(np.ones(8000)))
    of_number = {each for pair in pairs for each in pair if each.column == "n0"}
    assert 0 < len(of_number) <= SUSPECTS_OF_COLUMN
    assert any({each.column for each in pair} == {"n0", "k0"} for pair in pairs)


def test_a_handful_of_failures_is_judged_by_what_is_exact() -> None:
    """Seven failures where one is expected have a probability of 1 in 12,000 by the binomial: too much for 400 looks."""
    looks = 400
    harmless = [
        Exposure(conditions=(Condition(column=f"c{n}", relation="is missing"),), failed=sums(np.ones(1)), total=sums(np.ones(25)))
        for n in range(looks)
    ]  # fmt: skip
    odd = Exposure(
        conditions=(Condition(column="odd", relation="is missing"),), failed=sums(np.ones(7)), total=sums(np.ones(25))
    )
    thresholds = InputThresholds()
    found = rank_conditions(
        [*harmless, odd], failed=sums(np.ones(200)), total=sums(np.ones(5000)), thresholds=thresholds
    )
    assert found == ()
    exact = 1 - sum(math.comb(200, n) * 0.005**n * 0.995 ** (200 - n) for n in range(7))
    assert exact > thresholds.false_share / looks


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_whatever_is_recorded_has_a_kind(status: str, error_type: str, message: str) -> None:
    assert failure_kind(status, error_type, message) in FailureKind
