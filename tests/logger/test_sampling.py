import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.logger.calls import ACCEPTED, SHED, Facts
from retrue.logger.drain import Drain
from retrue.logger.encoder import Encoder
from retrue.logger.intake import Intake, Queues
from retrue.logger.lanes import Item
from retrue.logger.sampling import NEVER, check_sample, halvings, weight
from retrue.logger.streams import FAILURES, FULL, PRESSURE, Stream
from tests.logger.conftest import OpenLog
from tests.logger.serving import on_disk

SIGMAS = 4.0  # of a wrong alarm in 16,000 draws; the seeds are fixed, so that there is none


def intake(*, sample: float = 1.0, **queues: int) -> Intake:
    """An intake whose drain takes nothing by itself."""

    def never(facts: Facts, number: int, stands_for: float) -> None:
        raise AssertionError("nothing is encoded here")

    def no_spool() -> None:
        raise AssertionError("nothing is written here")

    inferences, labels = (Stream(kind, no_spool, never) for kind in ("inferences", "labels"))  # type: ignore[arg-type]
    encoder = Encoder((inferences, labels), is_quick=True)
    made = Intake(inferences, labels, encoder, Queues(**queues), sample)
    made.drain = Drain(made.urgent, made.rest, (inferences, labels), encoder)
    made.drain.resting = False
    return made


def offered(made: Intake, values: list[float], random: Random, *, per_round: int, taken_per_round: int) -> list[Item]:
    """Offer successes faster than they are taken; return all that were kept."""
    kept: list[Item] = []
    for place, value in enumerate(values):
        made.success({"features": {"x": value}}, random.random())
        if place % per_round == 0:
            kept += made.rest.take(taken_per_round)
    return kept + made.rest.take(len(made.rest))


def deviation(kept: list[tuple[float, float]], truth: float) -> float:
    """By how many standard errors a weighted sum of (value, weight) misses the truth.

    The variance of a Horvitz-Thompson sum of independent draws is estimated by the sum of w * (w - 1) * x**2.
    """
    estimate = sum(value * stands_for for value, stands_for in kept)
    return abs(estimate - truth) / math.sqrt(sum(w * (w - 1) * x**2 for x, w in kept))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("sample", "per_round"), [(0.1, 100_000), (1.0, 1_000), (0.3, 400)])
def test_weighted_estimates_are_unbiased_with_and_without_pressure(sample: float, per_round: int, seed: int) -> None:
    random = Random(seed)
    values = [random.lognormvariate(0, 1) for _ in range(40_000)]
    made = intake(sample=sample, records=2_000)
    kept = [
        (item[1]["features"]["x"], item[3])  # type: ignore[index]
        for item in offered(made, values, random, per_round=per_round, taken_per_round=50)
    ]
    assert len(kept) < 0.5 * len(values)
    assert not made.inferences.shed[FULL].value
    assert deviation([(1.0, w) for _, w in kept], len(values)) < SIGMAS
    assert deviation(kept, sum(values)) < SIGMAS
    large = [(1.0, w) for x, w in kept if x > 2]
    assert deviation(large, sum(x > 2 for x in values)) < SIGMAS
    for part in range(4):  # likewise in each stretch of time, though pressure differs between them
        begins, ends = part * 10_000, (part + 1) * 10_000
        stretch = set(values[begins:ends])
        assert deviation([(1.0, w) for x, w in kept if x in stretch], 10_000) < SIGMAS


def test_estimates_without_weights_would_be_biased_under_pressure() -> None:
    """The control of the test above: early records, kept with a higher probability, are large."""
    random = Random(1)
    values = [10.0 if place < 3_000 else 1.0 for place in range(40_000)]
    kept = [
        (item[1]["features"]["x"], item[3])  # type: ignore[index]
        for item in offered(intake(records=2_000), values, random, per_round=1_000, taken_per_round=50)
    ]
    truth = sum(values) / len(values)
    assert sum(x for x, _ in kept) / len(kept) > 1.5 * truth
    assert sum(x * w for x, w in kept) / sum(w for _, w in kept) == pytest.approx(truth, rel=0.1)


def test_everything_offered_is_kept_sampled_out_or_shed() -> None:
    made, random = intake(sample=0.5, records=500), Random(2)
    kept = offered(made, [1.0] * 20_000, random, per_round=500, taken_per_round=20)
    shed = made.inferences.shed
    assert shed[PRESSURE].value > 0
    assert len(kept) + made.inferences.sampled_out.value + shed[PRESSURE].value + shed[FULL].value == 20_000
    assert made.inferences.accepted == len(kept)


def test_failures_are_kept_while_successes_are_shed() -> None:
    made, random = intake(records=100, failure_records=1_000), Random(3)
    for _ in range(5_000):
        made.success({}, random.random())
    answers = {made.failure({}, (ValueError, None, line)) for line in range(1_000)}
    assert answers == {ACCEPTED}
    assert len(made.urgent) == 1_000


def test_overflowing_failures_keep_the_first_of_each_place_and_count_the_others_exactly() -> None:
    made = intake(failure_records=10, failures_of_a_place=3)
    usual, rare = (ValueError, None, 1), (KeyError, None, 2)
    for _ in range(100):
        made.failure({}, usual)
    for _ in range(4):
        made.failure({}, rare)
    assert len(made.urgent) == 10 + 3 + 3
    assert made.overflow.shed == {usual: 100 - 13, rare: 1}
    assert made.inferences.shed[FAILURES].value == 88
    made.urgent.take(100)
    made.failure({}, usual)
    made.failure({}, usual)
    assert [item[3] for item in made.urgent.take(100)] == [1.0 + 87, 1.0]


def test_failures_of_countless_places_take_bounded_memory() -> None:
    made = intake(failure_records=1, failures_of_a_place=1)
    for line in range(5_000):
        made.failure({}, (ValueError, None, line))
    assert len(made.urgent) <= 2
    assert len(made.overflow.shed) <= 1_025
    assert sum(made.overflow.shed.values()) == made.inferences.shed[FAILURES].value == 5_000 - made.inferences.accepted


def test_durable_success_is_neither_sampled_nor_thinned() -> None:
    made = intake(sample=0.0, records=1)
    assert made.sure({}) == ACCEPTED
    assert made.urgent.take(1)[0][3] == 1.0


@given(st.integers(1, 10**6), st.data())
def test_probability_falls_as_a_lane_fills_and_is_nil_when_it_is_full(capacity: int, data: st.DataObject) -> None:
    used = data.draw(st.integers(0, capacity - 1))
    assert halvings(used, capacity) <= halvings(used + 1, capacity)
    assert halvings(used, capacity) == 0 or 2 * used >= capacity
    assert halvings(capacity, capacity) == NEVER


@given(st.floats(0.001, 1.0), st.integers(0, 40))
def test_weight_is_the_inverse_of_the_probability(sample: float, halved: int) -> None:
    assert weight(sample, halved) * sample * 0.5**halved == pytest.approx(1.0)


@pytest.mark.parametrize("sample", [-0.1, 1.01, float("nan"), float("inf"), "0.1", None, True])
def test_sample_that_is_no_share_is_refused(sample: object) -> None:
    with pytest.raises(ValueError, match="share of successes"):
        check_sample(sample)  # type: ignore[arg-type]


def test_a_seed_makes_the_choice_repeatable_and_the_hosts_random_numbers_stay_untouched(open_log: OpenLog) -> None:
    import random

    before = random.getstate()
    answers = []
    for _ in range(2):
        log = open_log(sample=0.5, seed=7)
        answers.append([log.record({"x": number}) for number in range(100)])
    assert answers[0] == answers[1]
    assert 20 < answers[0].count(ACCEPTED) < 80
    assert random.getstate() == before


def test_weights_reach_the_disk_and_failures_weigh_one(open_log: OpenLog, tmp_path) -> None:  # type: ignore[no-untyped-def]
    log = open_log(sample=0.25, seed=1)
    for number in range(400):
        log.record({"x": number})
    for _ in range(50):
        log.record({"x": -1}, error=ValueError())
    counts = log.close()
    records = on_disk(tmp_path)
    assert len(records) == counts.on_disk == counts.accepted
    assert {record["sample_weight"] for record in records if record["status"] == "ok"} == {4.0}
    assert [record["sample_weight"] for record in records if record["status"] == "error"] == [1.0] * 50
    assert counts.sampled_out + counts.accepted == 450
    assert SHED not in {log.record({})}
