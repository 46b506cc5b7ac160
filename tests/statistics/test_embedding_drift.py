"""Embeddings that moved are told apart, those that did not are not, and what is no table of numbers is refused."""

from __future__ import annotations

import numpy as np
import pytest

from retrue.statistics.domain_null import calibrate_auc
from retrue.statistics.embedding_drift import embedding_auc, embedding_rows


def test_a_shift_of_a_direction_is_seen_among_many_dimensions_and_chance_is_not() -> None:
    generator = np.random.default_rng(0)
    frozen = embedding_rows(generator.normal(size=(1800, 64)))
    null = calibrate_auc(frozen, embedding_auc, rows=300, alpha=0.05, seed=0, replays=12)
    usual = [embedding_auc(frozen, embedding_rows(generator.normal(size=(300, 64)))) for _ in range(30)]
    assert sum(auc >= null.threshold for auc in usual) <= 4
    direction = np.zeros(64)
    direction[:8] = 0.2
    assert embedding_auc(frozen, embedding_rows(generator.normal(size=(300, 64)) + direction)) >= null.threshold


def test_a_dimension_that_never_varies_does_not_matter() -> None:
    generator = np.random.default_rng(1)
    sides = [np.hstack([generator.normal(size=(200, 4)), np.ones((200, 1))]) for _ in range(2)]
    assert 0.3 < embedding_auc(*(embedding_rows(side) for side in sides)) < 0.7


@pytest.mark.parametrize("values", [np.zeros(3), np.array([[np.nan, 1.0]]), np.zeros((0, 4)), np.zeros((2, 2, 2))])
def test_what_is_no_table_of_finite_numbers_is_refused(values: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match="one row a text"):
        embedding_rows(values)
