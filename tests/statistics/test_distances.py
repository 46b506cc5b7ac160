"""Scores against published vectors, and what every distance keeps to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.statistics.distances import as_distance, as_score, drift_score

METHODS = ("wasserstein", "jensenshannon", "psi", "hellinger", "kl_div")
Values = np.ndarray[Any, np.dtype[Any]]


def vectors() -> list[Mapping[str, Any]]:
    found = next(Path(__file__).parents[2].parent.glob("*/data/expected_drift_vectors/drift_vectors.json"), None)
    if found is None:
        return []
    return [each for each in json.loads(found.read_bytes()) if not str(each.get("note", "")).startswith("doane")]


def drawn(given: Any) -> Values:
    """Build a side of a vector; those with a seed go on drawing from NumPy's global generator, as their source did."""
    if "np_seed" in given:
        np.random.seed(given["np_seed"])
    size = given.get("n")
    if "normal" in given:
        return np.random.normal(*given["normal"], size)
    if "choice_linspace" in given:
        return np.random.choice(np.linspace(*given["choice_linspace"]), size).astype(str)
    if "choice" in given:
        return np.random.choice(given["choice"], size)
    return np.repeat(np.array(given["values"], dtype=str), given["repeats"])


OURS = {"hellinger_cat": ("hellinger", 1.0), "wasserstein": ("wasserstein", 1.0)}
OURS["jensen_shannon_distance_base2"] = ("jensenshannon", 1 / math.sqrt(math.log(2)))


@pytest.mark.skipif(not vectors(), reason="the data is not beside the project")
def test_scores_are_those_that_other_libraries_publish() -> None:
    checked = 0
    for vector in vectors():
        if vector["m"] in OURS:
            method, unit = OURS[vector["m"]]
            reference = drawn(vector["ref"])
            ours = drift_score(reference, drawn(vector["cur"]), method) * unit
            assert abs(ours - vector["expected"]) <= vector["tol"], vector
            checked += 1
    assert checked == 5


@pytest.mark.parametrize("method", METHODS)
def test_equal_sides_score_nothing_and_a_moved_one_does(method: str) -> None:
    values = np.arange(100) / 7.0
    assert drift_score(values, values, method) == pytest.approx(0, abs=1e-7)
    assert drift_score(values, values + 3, method) > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_a_side_without_values_scores_nan(method: str) -> None:
    assert math.isnan(drift_score(np.array([np.nan, np.inf]), np.array([1.0, 2.0]), method))
    assert math.isnan(drift_score(np.array([1.0, 2.0]), np.array([np.nan]), method))
    assert math.isnan(drift_score(np.array([np.nan]), np.array([np.nan]), method))


samples = st.lists(st.integers(-50, 50), min_size=2, max_size=60).map(lambda each: np.array(each, dtype=float))


@settings(max_examples=60, deadline=None)
@given(samples, samples, st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_score(first: Values, second: Values, method: str, random: Any) -> None:
    shuffled = np.array(random.sample(first.tolist(), len(first)))
    assert drift_score(shuffled, second, method) == pytest.approx(drift_score(first, second, method), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(samples, samples, st.sampled_from(("jensenshannon", "hellinger")))
def test_these_distances_are_symmetric_between_categories(first: Values, second: Values, method: str) -> None:
    sides = first.astype(str), second.astype(str)
    assert drift_score(*sides, method) == pytest.approx(drift_score(*reversed(sides), method), abs=1e-9)


def test_psi_and_kl_are_carried_by_their_roots() -> None:
    for method in METHODS:
        assert as_score(float(as_distance(np.asarray(0.3), method)), method) == pytest.approx(0.3)
    assert float(as_distance(np.asarray(0.09), "psi")) == pytest.approx(0.3)
