import threading
from collections import deque

import numpy as np
import pytest

from retrue.logger.calls import Facts
from retrue.logger.lanes import HEAVY_BYTES, TYPICAL_BYTES, Item, Lane, Tick, weigh
from retrue.logger.streams import Stream


def stream() -> Stream:
    return Stream("inferences", None, None)  # type: ignore[arg-type]  # nothing is written here


def facts(**features: object) -> Facts:
    return {"features": features, "prediction": 1}


def test_records_come_out_in_order_with_their_numbers() -> None:
    lane, of = Lane(max_records=10, max_bytes=10**9), stream()
    for number in range(5):
        lane.put(of, facts(x=number), 2.0)
    first = lane.take(2)
    assert [(item[2], item[3]) for item in first] == [(1, 2.0), (2, 2.0)]
    assert [item[2] for item in lane.take(10)] == [3, 4, 5]
    assert lane.take(10) == []
    assert (len(lane), lane.bytes, of.accepted) == (0, 0, 5)


def test_what_two_threads_take_at_once_is_neither_lost_nor_an_error() -> None:
    class Raced(deque[Item]):
        """Whose length was asked before another thread took one."""

        def __len__(self) -> int:
            return super().__len__() + 1

    lane, of = Lane(max_records=10, max_bytes=10**9), stream()
    lane.put(of, facts(x=1), 1.0)
    lane.queue = Raced(lane.queue)
    assert [item[2] for item in lane.take(2)] == [1]
    assert (lane.take(2), lane.bytes) == ([], 0)


def test_lane_is_full_by_records_or_by_bytes() -> None:
    by_records, by_bytes = Lane(max_records=4, max_bytes=10**9), Lane(max_records=10**6, max_bytes=4 * TYPICAL_BYTES)
    for lane in (by_records, by_bytes):
        for _ in range(4):
            assert not lane.is_full()
            lane.put(stream(), facts(x=1), 1.0)
        assert lane.is_full()
        assert not lane.is_overfull()
        for _ in range(4):
            lane.put(stream(), facts(x=1), 1.0)
        assert lane.is_overfull()


def test_heavy_records_are_weighed_each_and_light_ones_again_later() -> None:
    lane, of = Lane(max_records=10**6, max_bytes=2**40), stream()
    heavy = facts(x="a" * 1_000_000)
    for _ in range(20):
        lane.put(of, heavy, 1.0)
    assert 12_000_000 < lane.bytes < 21_000_000
    lane.take(20)
    for _ in range(200):
        lane.put(of, facts(x=1), 1.0)
    assert lane.bytes < 200 * HEAVY_BYTES


def test_few_heavy_records_pass_unweighed_before_the_lane_knows() -> None:
    """At most seven of a sudden kind: the bound that a budget of memory has to add."""
    lane, of = Lane(max_records=10**6, max_bytes=2**24), stream()
    for _ in range(1_000):
        lane.put(of, facts(x=1), 1.0)
    lane.take(1_000)
    taken = 0
    while not lane.is_full():
        lane.put(of, facts(x="a" * 5_000_000), 1.0)
        taken += 1
    assert taken <= 8 + 2**24 // 5_000_000


@pytest.mark.parametrize(
    ("value", "least"),
    [
        ("a" * 1_000_000, 1_000_000),
        (["a" * 100_000] * 10, 1_000_000),
        ({"messages": [{"role": "user", "content": "a" * 1_000_000}]}, 1_000_000),
        (b"a" * 1_000_000, 1_000_000),
        ("ä" * 1_000_000, 2_000_000),
        (np.zeros(1_000_000), 8_000_000),
        ([0.5] * 1_000_000, 24_000_000),
        ({str(number): 0.5 for number in range(100_000)}, 2_400_000),
    ],
)
def test_weight_is_not_understated(value: object, least: int) -> None:
    assert least <= weigh(facts(x=value)) <= 50 * least


def test_usual_record_is_light_and_an_unknown_object_is_not_asked() -> None:
    assert weigh(facts(**{f"x{number}": 0.5 for number in range(20)})) < HEAVY_BYTES
    assert weigh(facts(x=object())) < HEAVY_BYTES


def test_threads_miscount_nothing() -> None:
    lane, of, tick = Lane(max_records=10**6, max_bytes=10**12), stream(), Tick()
    taken: list[int] = []

    def put() -> None:
        for number in range(5_000):
            lane.put(of, facts(x="a" * (number % 50)), 1.0)
            tick.add()

    threads = [threading.Thread(target=put) for _ in range(6)]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        taken += [item[2] for item in lane.take(64)]
    taken += [item[2] for item in lane.take(10**6)]
    assert sorted(taken) == list(range(1, 30_001))
    assert (lane.bytes, tick.value, of.accepted) == (0, 30_000, 30_000)
