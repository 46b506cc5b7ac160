"""Conditions on inputs, on data of which it is known what fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.failures import Exposure, InputThresholds, Sums, pairs_to_measure, rank_conditions, relative_risk
from retrue.results.failures import Condition

Record = Mapping[str, object]
FIELDS = {"origin": ["EWR", "JFK", "LGA"], "visib": [None, "low", "high"], "carrier": ["AA", "UA", "DL", "B6"]}
ORIGIN, MISSING = (
    Condition(column="origin", relation="=", value="EWR"),
    Condition(column="visib", relation="is missing"),
)


def sums(weights: Iterable[float]) -> Sums:
    values = list(weights)
    return Sums(rows=len(values), weight=math.fsum(values), squares=math.fsum(each * each for each in values))


def of(rows: int, weight: float = 1.0) -> Sums:
    return sums([weight] * rows)


class Window:
    """Records with their weights and whether they failed, and the sums that an engine would take of them."""

    def __init__(self, fails: Callable[[Record, np.random.Generator], bool], rows: int = 6000, seed: int = 1) -> None:
        chance = np.random.default_rng(seed)
        self.records = [
            {name: values[chance.integers(len(values))] for name, values in FIELDS.items()} for _ in range(rows)
        ]
        self.failed = [fails(record, chance) for record in self.records]

    def exposure(self, *conditions: Condition) -> Exposure:
        inside = [all(self.holds(record, each) for each in conditions) for record in self.records]
        return Exposure(
            conditions=conditions,
            failed=sums(1.0 for here, bad in zip(inside, self.failed, strict=True) if here and bad),
            total=sums(1.0 for here in inside if here),
        )

    @staticmethod
    def holds(record: Record, condition: Condition) -> bool:
        value = record[condition.column]
        return value is None if condition.relation == "is missing" else value == condition.value

    def told(self, thresholds: InputThresholds = InputThresholds()) -> list[str]:  # noqa: B008 - frozen
        failed, total = of(sum(self.failed)), of(len(self.records))
        singles = [self.exposure(each) for each in conditions()]
        pairs = pairs_to_measure(singles, failed=failed, total=total, thresholds=thresholds)
        exposures = [*singles, *(self.exposure(*pair) for pair in pairs)]
        return [
            " and ".join(map(str, each.conditions))
            for each in rank_conditions(exposures, failed=failed, total=total, thresholds=thresholds)
        ]


def conditions() -> Iterable[Condition]:
    for name, values in FIELDS.items():
        for value in values:
            if value is None:
                yield Condition(column=name, relation="is missing")
            else:
                yield Condition(column=name, relation="=", value=str(value))


def test_a_bug_in_two_conditions_is_named_by_the_pair_alone() -> None:
    window = Window(lambda record, chance: chance.random() < (0.5 if both(record) else 0.01))
    assert window.told() == ["origin = EWR and visib is missing"]


def both(record: Record) -> bool:
    return record["origin"] == "EWR" and record["visib"] is None


def test_a_bug_in_one_condition_is_named_by_it_alone() -> None:
    window = Window(lambda record, chance: chance.random() < (0.2 if record["visib"] is None else 0.01))
    assert window.told() == ["visib is missing"]


def test_two_bugs_are_both_named() -> None:
    def fails(record: Record, chance: np.random.Generator) -> bool:
        return bool(chance.random() < (0.3 if record["visib"] is None else 0.15 if record["carrier"] == "UA" else 0.01))

    assert Window(fails).told()[0] == "visib is missing"
    assert "carrier = UA" in Window(fails).told()


def test_chance_names_nothing() -> None:
    told = [Window(lambda _, chance: chance.random() < 0.05, rows=1500, seed=seed).told() for seed in range(60)]
    assert sum(map(bool, told)) <= 1


def test_few_failures_or_few_records_name_nothing() -> None:
    thresholds = InputThresholds(min_failures=5, min_rows=20)
    exposures = [
        Exposure(conditions=(ORIGIN,), failed=of(4), total=of(4)),
        Exposure(conditions=(MISSING,), failed=of(6), total=of(6)),
    ]
    assert rank_conditions(exposures, failed=of(10), total=of(5000), thresholds=thresholds) == ()


def test_what_is_told_has_shares_counts_and_a_sentence() -> None:
    (found,) = rank_conditions(
        [Exposure(conditions=(ORIGIN,), failed=of(34), total=of(100))], failed=of(44), total=of(1100)
    )
    assert (found.inside_share, found.outside_share, found.rows, found.failures) == (0.34, 0.01, 100, 34)
    assert str(found) == "fails 34x more when origin = EWR"


def test_no_condition_may_hold_everywhere() -> None:
    assert (
        rank_conditions([Exposure(conditions=(ORIGIN,), failed=of(9), total=of(50))], failed=of(9), total=of(50)) == ()
    )
    with pytest.raises(ValueError, match="inside and outside"):
        relative_risk(of(1), of(2), of(0), of(0))


def test_ratio_and_interval_are_those_of_a_textbook() -> None:
    """Aspirin and myocardial infarction, Physicians' Health Study: Agresti 2013, Categorical Data Analysis, 3.1.3."""
    found = relative_risk(of(189), of(11034), of(104), of(11037))
    assert (round(found.value, 2), round(found.low, 2), round(found.high, 2)) == (1.82, 1.43, 2.31)


@pytest.mark.parametrize("cells", [(0, 50, 3, 50), (3, 50, 0, 50), (0, 50, 0, 50), (50, 50, 50, 50), (50, 50, 0, 50)])
def test_empty_cells_give_finite_and_wide_intervals(cells: tuple[int, int, int, int]) -> None:
    found = relative_risk(*map(of, cells))
    assert 0 < found.low < found.value < found.high < math.inf


@given(st.integers(1, 40), st.integers(41, 400), st.integers(1, 40), st.integers(41, 400), st.floats(0.1, 100))
def test_equal_weights_change_nothing(a: int, n: int, c: int, m: int, weight: float) -> None:
    plain = relative_risk(of(a), of(n), of(c), of(m))
    weighted = relative_risk(of(a, weight), of(n, weight), of(c, weight), of(m, weight))
    assert (weighted.value, weighted.low, weighted.high) == pytest.approx(
        (plain.value, plain.low, plain.high), rel=1e-6
    )


@given(st.integers(1, 40), st.integers(41, 400), st.integers(1, 40), st.integers(41, 400))
def test_inside_and_outside_exchanged_give_the_inverse(a: int, n: int, c: int, m: int) -> None:
    one, other = relative_risk(of(a), of(n), of(c), of(m)), relative_risk(of(c), of(m), of(a), of(n))
    assert one.value == pytest.approx(1 / other.value)
    assert (one.low, one.high) == (pytest.approx(1 / other.high), pytest.approx(1 / other.low))


def test_intervals_of_sampled_records_hold_the_truth_as_often_as_they_say() -> None:
    """Failures are all kept, successes at one in ten; the true ratio is 3."""
    chance = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        cells = []
        for rows, share in ((400, 0.3), (4000, 0.1)):
            failed = int(chance.binomial(rows, share))
            kept = int(chance.binomial(rows - failed, 0.1))
            cells += [of(failed), sums([1.0] * failed + [10.0] * kept)]
        found = relative_risk(*cells)
        held += found.low <= 3 <= found.high
    assert 0.91 <= held / 400 <= 0.985


def test_pairs_are_of_two_columns_and_of_what_fails_alone() -> None:
    window = Window(lambda record, chance: chance.random() < (0.5 if both(record) else 0.01))
    failed, total = of(sum(window.failed)), of(len(window.records))
    pairs = pairs_to_measure([window.exposure(each) for each in conditions()], failed=failed, total=total)
    assert (ORIGIN, MISSING) in pairs or (MISSING, ORIGIN) in pairs
    assert all(one.column != other.column for one, other in pairs)
    assert len(pairs) <= 28


@pytest.mark.parametrize(("weight", "squares"), [(math.nan, 1.0), (1.0, math.inf), (-1.0, 1.0)])
def test_sums_that_are_no_numbers_are_refused(weight: float, squares: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Sums(rows=1, weight=weight, squares=squares)


def test_order_of_what_was_measured_changes_nothing() -> None:
    exposures = [
        Exposure(conditions=(Condition(column=name, relation="=", value=value),), failed=of(failed), total=of(100))
        for (name, value), failed in zip(product("abc", "xy"), (40, 30, 20, 12, 9, 8), strict=True)
    ]
    told = [rank_conditions(each, failed=of(130), total=of(5000)) for each in (exposures, exposures[::-1])]
    assert told[0] == told[1]
    assert len(told[0]) == InputThresholds().keep
