from collections.abc import Callable

import numpy as np
import pytest

from retrue.statistics.importance import measure_reliance

ROWS = 4000


def inputs(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    numbers = {name: rng.normal(size=ROWS) for name in ("strong", "weak", "unused")}
    twin = numbers["strong"] + 0.1 * rng.normal(size=ROWS)
    return {**numbers, "twin": twin, "kind": rng.choice(["a", "b", "c"], ROWS).astype(object)}


def scores(given: dict[str, np.ndarray]) -> np.ndarray:
    line = 1.5 * given["strong"] + 0.5 * given["weak"] + 0.6 * (given["kind"] == "a")
    return 1 / (1 + np.exp(-line))


def classes(given: dict[str, np.ndarray]) -> np.ndarray:
    return np.where(scores(given) > 0.5, "late", "on time").astype(object)


@pytest.mark.parametrize("answer", [scores, classes])
def test_a_model_leans_on_what_its_answers_follow_from(answer: Callable[..., np.ndarray]) -> None:
    given = inputs()
    found = measure_reliance(given, answer(given), np.ones(ROWS))
    assert found.fidelity > 0.8
    assert found.shares["strong"] > 0.5
    assert 0.02 < found.shares["weak"] < 0.25
    assert found.shares["kind"] > 0.01
    assert found.shares["unused"] + 2 * found.sds["unused"] < 0.01


def test_shares_follow_the_variances_of_a_sum() -> None:
    """Of 2a + b with equal spreads the features have 4/5 and 1/5 of the variance, so of what shuffling costs."""
    rng = np.random.default_rng(1)
    given = {"a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS)}
    found = measure_reliance(given, 2 * given["a"] + given["b"], np.ones(ROWS))
    assert found.shares["a"] == pytest.approx(0.8, abs=0.03)
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_features_that_say_the_same_have_the_share_of_both() -> None:
    given = inputs()
    found = measure_reliance(given, scores(given), np.ones(ROWS))
    assert found.shares["twin"] == found.shares["strong"]


def test_answers_that_do_not_follow_from_the_features_have_no_fidelity() -> None:
    given = inputs()
    found = measure_reliance(given, np.random.default_rng(2).random(ROWS), np.ones(ROWS))
    assert found.fidelity < 0.1


def test_a_class_that_only_one_fold_has_is_no_error() -> None:
    answers = np.array(["no"] * (ROWS - 1) + ["yes"], dtype=object)
    assert measure_reliance(inputs(), answers, np.ones(ROWS)).fidelity < 0.5


def test_constant_answers_lean_on_nothing() -> None:
    found = measure_reliance(inputs(), np.full(ROWS, 0.5), np.ones(ROWS))
    assert (found.fidelity, dict(found.shares)) == (0.0, {})


def test_the_same_rows_and_seed_give_the_same() -> None:
    given = inputs()
    assert measure_reliance(given, scores(given), np.ones(ROWS)) == measure_reliance(
        given, scores(given), np.ones(ROWS)
    )
