import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.failures import FailureStatus, LifecycleThresholds, WindowCount, lifecycle_of, status_of

NEW, ONGOING, ESCALATING, REGRESSED, RESOLVED = (
    FailureStatus.NEW,
    FailureStatus.ONGOING,
    FailureStatus.ESCALATING,
    FailureStatus.REGRESSED,
    FailureStatus.RESOLVED,
)


def count(rows: int, inferences: float = 1000.0, weight: float = 1.0) -> WindowCount:
    return WindowCount(rows=rows, failures=rows * weight, inferences=inferences)


def story(*rows: int) -> list[FailureStatus]:
    """The status at each of the windows."""
    return [status_of([count(each) for each in rows[: place + 1]]) for place in range(len(rows))]


def test_a_life_from_new_to_regressed() -> None:
    assert story(20, 22, 18, 0, 0, 0, 0, 19, 21) == [
        *(NEW, ONGOING, ONGOING),
        *(ONGOING, ONGOING, RESOLVED, RESOLVED),
        *(REGRESSED, ONGOING),
    ]


def test_escalates_while_it_grows_and_not_once_it_stays() -> None:
    assert story(20, 21, 19, 60)[-1] is ESCALATING
    assert story(20, 21, 19, *[60] * 8)[-1] is ONGOING


@pytest.mark.parametrize("rows", [(1, 2), (3, 9), (20, 39), (8, 17)])
def test_small_numbers_and_small_changes_are_no_escalation(rows: tuple[int, int]) -> None:
    assert story(*rows)[-1] is ONGOING


def test_more_traffic_is_no_escalation() -> None:
    assert status_of([count(20, 1000), count(100, 5000)]) is ONGOING


def test_weights_count_towards_the_share_and_records_towards_the_certainty() -> None:
    assert status_of([count(30, 1000), count(30, 1000, weight=3.0)]) is ESCALATING
    assert status_of([count(3, 1000), count(3, 1000, weight=3.0)]) is ONGOING


def test_a_rare_failure_is_not_resolved_for_being_rare() -> None:
    assert story(1, 0, 0, 0)[-1] is RESOLVED
    assert status_of([count(1, 10_000), *[count(0, 1000)] * 10]) is ONGOING
    assert status_of([count(1, 10_000), *[count(0, 1000)] * 30]) is RESOLVED


def test_windows_without_traffic_prove_nothing() -> None:
    idle = count(0, 0.0)
    assert status_of([count(20), idle, idle, idle]) is ONGOING
    assert status_of([count(20), idle, idle, idle, count(20)]) is ONGOING
    assert status_of([count(20), *[count(0)] * 3, idle]) is RESOLVED


def test_reasons_are_in_words() -> None:
    assert lifecycle_of([count(20), count(80)]).reason == "4x the share of the 1 windows before"
    assert lifecycle_of([count(20), *[count(0)] * 3, count(1)]).reason == "back after 3 windows without it"


@pytest.mark.parametrize("counts", [[], [count(0)], [count(0), count(0)]])
def test_a_group_that_never_occurred_is_refused(counts: list[WindowCount]) -> None:
    with pytest.raises(ValueError, match="at least one window"):
        status_of(counts)


@pytest.mark.parametrize(
    ("failures", "inferences"), [(2.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0), (1.0, float("inf"))]
)
def test_impossible_counts_are_refused(failures: float, inferences: float) -> None:
    with pytest.raises(ValueError, match="part of the inferences"):
        WindowCount(rows=1, failures=failures, inferences=inferences)


def test_impossible_thresholds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        LifecycleThresholds(factor=0.5)


COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any)


@given(COUNTS, st.integers(1, 9))
def test_status_depends_on_shares_not_on_the_unit_of_weights(rows: list[int], scale: int) -> None:
    plain = [count(each) for each in rows]
    scaled = [WindowCount(rows=each, failures=float(each * scale), inferences=1000.0 * scale) for each in rows]
    quiet = LifecycleThresholds(expected_failures=0)  # expected failures are a number of records
    assert status_of(plain, thresholds=quiet) is status_of(scaled, thresholds=quiet)


@given(COUNTS)
def test_only_a_window_with_failures_is_new_escalating_or_regressed(rows: list[int]) -> None:
    status = status_of([count(each) for each in rows])
    assert (status in (NEW, ESCALATING, REGRESSED)) <= (rows[-1] > 0)
    assert (status is RESOLVED) <= (rows[-1] == 0)
