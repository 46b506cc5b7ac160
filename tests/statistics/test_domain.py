"""A changed relation is seen that no column shows, and is named; what does not matter changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from retrue.statistics.domain import domain_auc, explain_domain
from retrue.statistics.domain_rows import Rows, bounded, code
from retrue.statistics.weighted_auc import weighted_auc
from tests.statistics.rows import related

FLIPPED = 0.6


@pytest.fixture(scope="module")
def before() -> Rows:
    return related(np.random.default_rng(0), 2000, FLIPPED)


@pytest.fixture(scope="module")
def flipped() -> Rows:
    return related(np.random.default_rng(1), 500, -FLIPPED)


def test_a_flipped_correlation_is_seen_and_named_although_no_column_shows_it(before: Rows, flipped: Rows) -> None:
    auc, parts, relations = explain_domain(before, flipped)
    assert auc > 0.7
    assert {each.column for each in parts[:2]} == {"x0", "x1"}
    assert sum(each.part for each in parts[:2]) > 0.8
    assert sum(each.part for each in parts) == pytest.approx(1, abs=0.001)
    first = relations[0]
    assert (first.first, first.second) == ("x0", "x1")
    assert (first.before, first.now) == (pytest.approx(0.6, abs=0.06), pytest.approx(-0.6, abs=0.06))
    for name in ("x0", "x1", "x2", "gap"):
        assert ks_2samp(before.columns[name], flipped.columns[name], nan_policy="omit").pvalue > 0.01


def test_it_is_seen_among_twenty_columns_too() -> None:
    generator = np.random.default_rng(2)
    wide = related(generator, 2000, FLIPPED, 20), related(generator, 500, -FLIPPED, 20)
    assert explain_domain(*wide)[0] > 0.68


def test_without_a_change_the_auc_is_near_a_half_whatever_the_number_of_categories(before: Rows) -> None:
    generator = np.random.default_rng(3)
    sides = [related(generator, rows, FLIPPED) for rows in (1000, 1000)]
    ids = [generator.integers(0, 200, 1000).astype(str).astype(object) for _ in sides]
    wide = [replace(side, columns={**side.columns, "id": each}) for side, each in zip(sides, ids, strict=True)]
    assert abs(domain_auc(wide[0], wide[1]) - 0.5) < 0.05


def test_a_null_is_a_value_and_a_gap_that_moves_with_another_column_is_a_relation(before: Rows) -> None:
    generator = np.random.default_rng(4)
    sides = [related(generator, 2000, FLIPPED) for _ in range(2)]
    moved = sides[1].columns["x2"].copy()
    unknown = np.isnan(sides[1].columns["gap"])
    moved[unknown] = np.abs(moved[unknown])
    now = replace(sides[1], columns={**sides[1].columns, "x2": moved})
    assert [(each.first, each.second, each.before) for each in explain_domain(sides[0], now)[2]] == [
        ("x2", "gap", None)
    ]
    all_null = replace(sides[1], columns={**sides[1].columns, "gap": np.full(2000, np.nan)})
    assert domain_auc(sides[0], all_null) > 0.53


def test_a_category_that_is_new_tells_the_sides_apart(before: Rows) -> None:
    now = related(np.random.default_rng(5), 1000, FLIPPED)
    group = now.columns["group"].copy()
    group[::4] = "new"
    _, parts, _ = explain_domain(before, replace(now, columns={**now.columns, "group": group}))
    assert parts[0].column == "group"


@pytest.mark.parametrize("unit", [lambda x: 1000 * x, np.exp, lambda x: np.where(x > 3, np.inf, x)])
def test_neither_unit_nor_outliers_matter(before: Rows, flipped: Rows, unit: object) -> None:
    sides = [
        replace(side, columns={name: unit(each) if name == "x0" else each for name, each in side.columns.items()})  # type: ignore[operator]
        for side in (before, flipped)
    ]
    assert domain_auc(sides[0], sides[1]) == pytest.approx(domain_auc(before, flipped), abs=0.01)


def test_the_same_rows_and_seed_give_the_same_auc(before: Rows, flipped: Rows) -> None:
    assert explain_domain(before, flipped, seed=3, rows_max=400) == explain_domain(
        before, flipped, seed=3, rows_max=400
    )


def test_explaining_gives_the_auc_it_explains(before: Rows, flipped: Rows) -> None:
    assert explain_domain(before, flipped)[0] == domain_auc(before, flipped)


def test_too_few_rows_are_refused(before: Rows) -> None:
    with pytest.raises(ValueError, match="2000 and 49 rows: a domain classifier needs 50 on each side"):
        domain_auc(before, before.take(np.arange(49)))
    with pytest.raises(ValueError, match="needs columns"):
        domain_auc(Rows(columns={}), Rows(columns={}))


def test_of_many_rows_a_seeded_part_is_taken_in_order() -> None:
    rows = Rows(columns={"at": np.arange(1000.0)})
    drawn = bounded(rows, 400, np.random.default_rng(0))
    assert len(drawn) == 400
    assert (np.diff(drawn.columns["at"]) > 0).all()
    assert bounded(rows, 1000, np.random.default_rng(0)) is rows


def test_neighbours_in_time_are_in_one_fold(before: Rows) -> None:
    folds = code(before, before).folds[:2000]
    assert (np.diff(folds) != 0).sum() == 19
    assert np.bincount(folds).tolist() == [400] * 5


@settings(max_examples=30)
@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.floats(0.1, 10)), min_size=4, max_size=40).filter(
        lambda rows: len({positive for _, positive, _ in rows}) == 2
    )
)
def test_the_weighted_auc_is_scikit_learns(rows: list[tuple[int, bool, float]]) -> None:
    scores, positive, weights = (np.array(each) for each in zip(*rows, strict=True))
    found = weighted_auc(scores.astype(float), positive, weights)
    assert found == pytest.approx(roc_auc_score(positive, scores, sample_weight=weights))
