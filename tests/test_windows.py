from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.errors import NameRefusedError
from retrue.windows import Grid, Window, check_name

WEEK = Grid(every=timedelta(days=7))
PARIS = Grid(every=timedelta(days=1), zone="Europe/Paris")
TIMES = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize("name", ["../x", "", "A", "-a", "a/b", "a" * 65, "a\n", "a..b", "%2e%2e"])
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(NameRefusedError):
        check_name(name)


def test_a_window_refuses_naive_and_reversed_bounds() -> None:
    with pytest.raises(ValueError, match="aware"):
        Window(model="m", start=datetime(2013, 1, 1), end=at(2013, 1, 2))  # noqa: DTZ001
    with pytest.raises(ValueError, match="before it ends"):
        Window(model="m", start=at(2013, 1, 2), end=at(2013, 1, 2))


@given(TIMES)
def test_the_latest_window_has_settled_and_is_at_most_one_window_old(now: datetime) -> None:
    window = WEEK.latest("m", now=now, settle=timedelta(hours=2))
    assert window.end <= now - timedelta(hours=2) < window.end + WEEK.every


@given(TIMES)
def test_every_moment_lies_in_exactly_one_window(moment: datetime) -> None:
    first = WEEK.floor(moment)
    windows = list(WEEK.windows_between("m", first - WEEK.every, first + 2 * WEEK.every))
    assert [window.start <= moment < window.end for window in windows] == [False, True, False]


def test_windows_between_leaves_out_those_that_stick_out() -> None:
    days = Grid(every=timedelta(days=1))
    windows = list(days.windows_between("m", at(2013, 1, 1, 5), at(2013, 1, 4, 23)))
    assert [(window.start, window.end) for window in windows] == [
        (at(2013, 1, 2), at(2013, 1, 3)),
        (at(2013, 1, 3), at(2013, 1, 4)),
    ]


def test_local_days_have_23_and_25_hours_where_the_clocks_change() -> None:
    spring = PARIS.window_ending("m", at(2025, 3, 30, 22))
    autumn = PARIS.window_ending("m", at(2025, 10, 26, 23))
    assert (spring.end - spring.start, autumn.end - autumn.start) == (timedelta(hours=23), timedelta(hours=25))


def test_a_window_that_does_not_end_on_the_grid_is_refused_with_the_border_before() -> None:
    with pytest.raises(ValueError, match="2013-01-03"):
        WEEK.window_ending("m", at(2013, 1, 5))


def test_steps_of_the_chart_follow_each_other() -> None:
    windows = list(WEEK.windows_between("m", at(2013, 1, 3), at(2013, 3, 1)))
    steps = [WEEK.index(window) for window in windows]
    assert steps == list(range(steps[0], steps[0] + len(steps)))


def test_the_name_has_the_hour_only_where_windows_are_not_whole_days() -> None:
    assert Window(model="m", start=at(2013, 1, 3), end=at(2013, 1, 4)).name == "m 2013-01-03"
    assert Window(model="m", start=at(2013, 1, 3), end=at(2013, 1, 3, 1)).name == "m 2013-01-03T00:00Z"


def test_local_windows_must_be_whole_days() -> None:
    with pytest.raises(ValueError, match="whole days"):
        Grid(every=timedelta(hours=5), zone="Europe/Paris")
