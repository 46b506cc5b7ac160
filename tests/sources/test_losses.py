from collections.abc import Mapping

import pytest

from retrue.logger.runs import Run, Runs
from retrue.sources.losses import Gap, Trace, dropped, dropped_within, lost, lost_within

SECOND = 10**9


def trace(*runs: tuple[int, int], accepted: int = 0, boot: str = "0000000a00000000", **counts: int) -> Trace:
    """Numbers that are on disk; each record's time is its number."""
    tally = {"accepted": accepted, **{name.replace("_", ".", 1): count for name, count in counts.items()}}
    return Trace(
        boot=boot,
        runs=Runs(Run(first, last, first, last) for first, last in runs),
        tally=tally if accepted else {},
    )


def test_nothing_is_lost_where_all_numbers_are_there() -> None:
    assert list(lost(trace((1, 5), accepted=5))) == []
    assert list(lost(trace())) == []


def test_gaps_are_dated_by_the_record_before_them() -> None:
    found = list(lost(trace((3, 5), (9, 9), accepted=12)))
    assert found == [Gap(1, 2, 3), Gap(6, 8, 5), Gap(10, 12, 9)]
    assert lost_within([trace((3, 5), (9, 9), accepted=12)], 4, 6) == 3


def test_process_that_left_nothing_but_its_tally_lost_all_when_it_began() -> None:
    assert list(lost(trace(accepted=4))) == [Gap(1, 4, 10 * SECOND)]


@pytest.mark.parametrize(("count", "left"), [(0, [3, 4]), (1, [3, 3]), (4, [3]), (5, [2]), (7, []), (9, [])])
def test_dropped_records_are_not_lost(count: int, left: list[int]) -> None:
    found = lost(trace((1, 5), (9, 20), accepted=24, dropped_spool=count))
    assert [gap.records for gap in found] == left


def test_drops_explain_the_gaps_nearest_before_they_were_counted() -> None:
    """The first gap is a damaged line of long ago; the second was dropped, and counted soon after."""
    known = trace((1, 5), (9, 20), (31, 40), accepted=40, dropped_storage=10)
    known.count(35, {"accepted": 35, "dropped.storage": 10})
    assert list(lost(known)) == [Gap(6, 8, 5)]
    early = trace((1, 5), (9, 20), (31, 40), accepted=40, dropped_storage=3)
    early.count(15, {"accepted": 15, "dropped.storage": 3})
    assert list(lost(early)) == [Gap(21, 30, 20)]


def test_what_a_living_process_may_still_hold_is_not_lost() -> None:
    known = trace((1, 5), (9, 20), (31, 40), accepted=60)
    known.alive, known.settled = True, 20
    assert list(lost(known)) == [Gap(6, 8, 5), Gap(21, 30, 20)][:1]
    known.alive = False
    assert [gap.records for gap in lost(known)] == [3, 10, 20]


def test_damaged_tally_is_not_believed() -> None:
    assert list(lost(trace((1, 5), accepted=2**60))) == []
    assert list(lost(trace((1, 5), accepted=3))) == []


def test_tail_is_known_from_counters_where_the_tally_is_gone() -> None:
    known = trace((1, 5))
    known.count(5, {"accepted": 9, "dropped.storage": 1})
    assert [gap.records for gap in lost(known)] == [3]


def test_drops_are_dated_where_the_counters_rose() -> None:
    known = trace((1, 40), accepted=40, dropped_storage=5, shed_lane=7)
    for at, counts in (
        (10, {"accepted": 10, "shed.lane": 4}),
        (20, {"accepted": 20, "shed.lane": 4, "dropped.storage": 5}),
    ):
        known.count(at, counts)
    assert [(each.at, each.reason, each.records) for each in dropped(known)] == [
        (10, "lane", 4),
        (20, "storage", 5),
        (40, "lane", 3),
    ]
    within: Mapping[str, int] = dropped_within([known], 0, 15)
    assert within == {"lane": 4}


def test_order_in_which_counters_are_met_does_not_matter() -> None:
    counts = [(at, {"accepted": at, "dropped.storage": at // 10}) for at in (10, 20, 30)]
    found = []
    for order in (counts, counts[::-1]):
        known = trace((1, 8), (10, 18), (20, 40), accepted=40, dropped_storage=3)
        for at, each in order:
            known.count(at, each)
        found.append((list(lost(known)), list(dropped(known))))
    assert found[0] == found[1]
