"""The gate's other decisions: by the rows that only one got right, and by looks at day after day."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from retrue.statistics.sequential import mean_sequence
from tests.gate.worlds import BY_DAY, SETTINGS, harmful, judge, weathered, world

# ---------------------------------------------------------------- McNemar's test


BY_COUNT = SETTINGS.model_copy(update={"test": "mcnemar"})


def telling(won: int, lost: int, *, rows: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two models that are right on all rows but those that only the other one gets right."""
    labels, number = np.ones(rows, dtype=int), np.arange(rows)
    return labels, np.where(number < won, 0, 1), np.where((number >= won) & (number < won + lost), 0, 1)


def test_mcnemars_test_decides_by_the_rows_that_only_one_got_right() -> None:
    """9 of 10 such rows: p = 0.0215; 8 of 10: 0.109."""
    passed, refused = (judge(*telling(won, 10 - won), "accuracy", settings=BY_COUNT) for won in (9, 8))
    assert (passed.passed, passed.test) == (True, "mcnemar")
    assert passed.gain is not None
    assert (passed.gain.value, passed.gain.low > 0) == (0.008, True)
    assert refused.refusals[0].startswith("not shown to be better: accuracy gains +0.006 (95% interval -0.001")


def test_mcnemars_test_refuses_a_slice_that_it_shows_to_be_worse() -> None:
    labels, champion, challenger = telling(40, 15)
    origin = np.where(np.arange(1000) >= 40, "later", "first")
    strict = BY_COUNT.model_copy(update={"max_slice_loss": 0.01, "min_slice_rows": 30})
    (refusal,) = judge(labels, champion, challenger, "accuracy", settings=strict, slices={"origin": origin}).refusals
    assert refusal.startswith("worse on origin=later (960 rows): accuracy gains -0.01562")


def test_mcnemars_test_counts_rows_and_refuses_to_weigh_them() -> None:
    weights = np.where(np.arange(1000) % 2, 1.0, 2.0)
    (refusal,) = judge(*telling(90, 10), "accuracy", settings=BY_COUNT, weights=weights).refusals
    assert refusal == "rows have different weights, and McNemar's test counts rows: use gate.test: bootstrap"
    assert judge(*telling(90, 10), "accuracy", settings=BY_COUNT, weights=np.full(1000, 3.0)).passed


# ---------------------------------------------------------------- watched


def test_a_watched_gain_is_the_mean_of_the_days_gains_with_its_interval_for_every_look() -> None:
    labels, champion, challenger, times = weathered(0, rows=2000, noise=0.3)
    result = judge(labels, champion, challenger, times=times, settings=BY_DAY, watched_blocks=44)
    day = times.astype("datetime64[D]")
    gains = [
        roc_auc_score(labels[day == each], challenger[day == each])
        - roc_auc_score(labels[day == each], champion[day == each])
        for each in np.unique(day)
    ]
    assert result.gain is not None
    assert result.gain.value == pytest.approx(np.mean(gains))
    assert (result.gain.low, result.gain.high) == pytest.approx(mean_sequence(gains, confidence=0.95, tuned_for=44))
    assert (result.test, result.blocks) == ("sequence", 20)


def test_what_is_not_shown_yet_is_undecided_and_what_never_will_be_is_not() -> None:
    *pair, times = weathered(0)
    equal = judge(*pair, times=times, settings=BY_DAY, watched_blocks=44)
    assert (equal.passed, equal.undecided) == (False, True)
    asked = BY_DAY.model_copy(update={"min_gain": 0.9})
    assert not judge(*pair, times=times, settings=asked, watched_blocks=44).undecided
    assert not judge(*pair, times=times, settings=BY_DAY).undecided, "a single look decides"


def test_too_few_days_are_undecided_while_watched_and_a_broken_answer_is_refused() -> None:
    labels, champion, challenger, times = weathered(0, days=9)
    assert judge(labels, champion, challenger, times=times, settings=BY_DAY, watched_blocks=44).undecided
    labels, champion, challenger, times = weathered(0)
    broken = challenger.copy()
    broken[3] = np.nan
    result = judge(labels, champion, broken, times=times, settings=BY_DAY, watched_blocks=44)
    assert (result.passed, result.undecided) == (False, False)


def test_a_watched_slice_that_is_worse_holds_a_better_challenger_back() -> None:
    labels, champion, challenger, origin = harmful(0.15)
    times = np.datetime64("2013-04-04") + np.arange(4000) // 200 * np.timedelta64(1, "D")
    arguments: dict[str, Any] = {"times": times, "settings": BY_DAY, "watched_blocks": 30}
    assert judge(labels, champion, challenger, "accuracy", **arguments).passed
    held = judge(labels, champion, challenger, "accuracy", slices={"origin": origin}, **arguments)
    assert (held.passed, held.undecided) == (False, True)


def test_rows_cannot_be_watched() -> None:
    with pytest.raises(ValueError, match="by blocks of time"):
        judge(*world(0), watched_blocks=44)
