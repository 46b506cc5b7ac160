"""K of M windows to open, L to resolve: a pure function of what each window saw."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.alarms import AlarmStanding, Look, alarm_standing
from retrue.config import OpenRule, ResolveRule
from retrue.results import Change, Severity
from tests.deciding import Story, changes
from tests.ledger.verdicts import DRIFT, DROP, FIRST, TEAM, WEEK, finding, verdict, watched

NEVER_FLAPS = timedelta(0)
SEEN = st.lists(st.booleans(), max_size=25)
RULES = st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(1, 4)).map(
    lambda each: (OpenRule(after=each[0], of=each[0] + each[1]), ResolveRule(after=each[2]))
)


def looks(seen: Sequence[bool]) -> list[Look]:
    return [Look(start=FIRST + number * WEEK, found=found) for number, found in enumerate(seen)]


def stands(seen: Sequence[bool], rules: tuple[OpenRule, ResolveRule], repeat_every: timedelta) -> AlarmStanding:
    return alarm_standing(looks(seen), *rules, repeat_every=repeat_every)


def of(text: str) -> list[bool]:
    return [each == "x" for each in text]


@pytest.mark.parametrize(
    ("seen", "is_open"),
    [("x", False), ("xx", True), ("x.x", True), ("x..x", False), ("xx.", True), ("xx..", False), ("x.x.x", True)],
)
def test_two_of_three_open_and_two_without_resolve(seen: str, is_open: bool) -> None:
    rules = OpenRule(after=2, of=3), ResolveRule(after=2)
    assert stands(of(seen), rules, NEVER_FLAPS).open is is_open


def test_a_standing_tells_the_window_that_opened_it_and_the_last_that_has_it() -> None:
    standing = stands(of("x.x.x."), (OpenRule(after=2, of=3), ResolveRule(after=2)), NEVER_FLAPS)
    assert (standing.opened, standing.last, standing.seen) == (FIRST + 2 * WEEK, FIRST + 4 * WEEK, 1)


@pytest.mark.parametrize(
    ("rule", "is_open"),
    [
        (OpenRule(after=2, of=3, at_once=2), True),
        (OpenRule(after=2, of=3, at_once=2.5), False),
        (OpenRule(after=2, of=3), False),
    ],
)
def test_one_window_far_beyond_its_threshold_opens_at_once_where_the_rule_says_so(
    rule: OpenRule, is_open: bool
) -> None:
    near, far = Look(start=FIRST, found=True, excess=1.1), Look(start=FIRST + 3 * WEEK, found=True, excess=2.2)
    between = [Look(start=FIRST + number * WEEK, found=False) for number in (1, 2)]
    standing = alarm_standing([near, *between, far], rule, ResolveRule(), repeat_every=NEVER_FLAPS)
    assert (standing.open, standing.opened) == (is_open, far.start if is_open else None)


def test_nothing_seen_is_nothing_open() -> None:
    assert stands([], (OpenRule(), ResolveRule()), NEVER_FLAPS) == AlarmStanding(open=False, seen=0)


@given(SEEN, SEEN, RULES)
def test_more_windows_with_the_finding_never_close_an_incident(
    seen: list[bool], more: list[bool], rules: tuple[OpenRule, ResolveRule]
) -> None:
    added = [found or also for found, also in zip(seen, [*more, *[False] * len(seen)], strict=False)]
    assert not stands(seen, rules, NEVER_FLAPS).open or stands(added, rules, NEVER_FLAPS).open


@given(SEEN, RULES, st.integers(0, 10))
def test_a_window_with_the_finding_never_closes_an_incident_however_it_flaps(
    seen: list[bool], rules: tuple[OpenRule, ResolveRule], weeks: int
) -> None:
    assert not stands(seen, rules, weeks * WEEK).open or stands([*seen, True], rules, weeks * WEEK).open


@given(SEEN, RULES, st.integers(0, 10))
def test_an_incident_opens_only_with_k_of_m_and_is_over_only_after_l(
    seen: list[bool], rules: tuple[OpenRule, ResolveRule], weeks: int
) -> None:
    opening, resolving = rules
    opened = False
    for place in range(len(seen)):
        standing = stands(seen[: place + 1], rules, weeks * WEEK)
        if standing.open and not opened:
            assert seen[place]
            assert sum(seen[max(0, place + 1 - opening.last) : place + 1]) >= opening.after
        if opened and not standing.open:
            assert not any(seen[max(0, place + 1 - resolving.after) : place + 1])
        opened = standing.open


@given(SEEN, st.integers(0, 6))
def test_one_of_one_and_one_is_the_plain_rule(seen: list[bool], weeks: int) -> None:
    """An incident opens with a finding and ends without; one that came back soon ends when it was away for as long."""
    is_open, flapping, last, before = False, False, None, None
    for look in looks(seen):
        if look.found:
            if not is_open:
                is_open, flapping = True, before is not None and look.start - before < weeks * WEEK
            last = look.start
        elif is_open and last is not None and (not flapping or look.start - last >= weeks * WEEK):
            is_open, before = False, last
    assert stands(seen, (OpenRule(), ResolveRule()), weeks * WEEK).open is is_open


# ---------------------------------------------------------------- with verdicts, and what is told

CONFIRMED = {"kinds": {"drift": {"open": {"after": 2, "of": 3}, "resolve": {"after": 2}}}}


def confirmed(**changes: object) -> Story:
    return Story(watched(alarms=CONFIRMED, **changes))


def test_until_it_opens_a_finding_breaches_its_window_and_tells_nobody() -> None:
    story = confirmed()
    judged = verdict(0, DRIFT)
    assert (judged.outcome, story.news(judged)) == ("breached", [])
    assert story.news(verdict(1)) == []
    assert story.news(verdict(2, DRIFT)) == [f"{TEAM}: opened drift.column"]


def test_a_flapping_finding_is_opened_once_and_resolved_once() -> None:
    story = Story(watched(alarms={}))
    news = [story.news(verdict(number, *found)) for number, found in enumerate([[DRIFT], [], [DRIFT], [], [DRIFT], [], [], []])]  # fmt: skip
    told = [message.split(": ")[1] for messages in news for message in messages]
    assert [each for each in told if "repeated" not in each] == ["opened drift.column", "resolved drift.column"]


def test_a_rule_of_one_kind_leaves_the_others() -> None:
    assert changes(confirmed().judge(verdict(0, DRIFT, DROP))) == ["opened performance.drop"]


def test_windows_that_could_not_measure_it_count_neither_way() -> None:
    story = confirmed()
    story.judge(verdict(0, DRIFT))
    story.judge(verdict(1, reasons=["no rows"]))
    story.judge(verdict(2, reasons=["no rows"]))
    assert "opened drift.column" in changes(story.judge(verdict(3, DRIFT)))
    story.judge(verdict(4))
    story.judge(verdict(5, reasons=["no rows"]))
    assert "resolved drift.column" in changes(story.judge(verdict(6)))


def test_a_window_judged_late_opens_what_newer_ones_began_as_grave_as_they_found_it() -> None:
    story = confirmed()
    grave = finding("drift.column", "temp", Severity.CRITICAL)
    story.judge(verdict(1, grave))
    (opened,) = story.judge(verdict(0, DRIFT)).changes
    assert opened.change is Change.OPENED
    assert (opened.incident.opened_window, opened.incident.severity) == (verdict(1).window.start, Severity.CRITICAL)


def test_retraining_waits_for_the_incident_and_says_so() -> None:
    story = Story(watched(alarms={"kinds": {"performance": {"open": {"after": 2}}}}))
    first = story.judge(verdict(0, DROP))
    assert first.retrain_reason == (
        "No retraining: performance.drop was found in 1 of the last 2 windows, an incident opens with 2."
    )
    assert story.judge(verdict(1, DROP)).retrain is not None


STEPS = st.lists(
    st.tuples(st.lists(st.sampled_from([DRIFT, DROP]), unique=True), st.booleans()), min_size=1, max_size=8
)


@given(STEPS, st.randoms(use_true_random=False), RULES)
def test_the_order_of_judging_does_not_matter(
    steps: list[tuple[list[object], bool]], random: object, rules: tuple[OpenRule, ResolveRule]
) -> None:
    """Windows judged in any order, some of them twice, leave the same incidents open as judging each once in order."""
    policy = {"open": rules[0].model_dump(), "resolve": rules[1].model_dump()}
    settings = watched(alarms={**policy, "kinds": {"drift": policy}}, retrain=None)
    final = [verdict(number, *found, reasons=["no rows"] if blind else []) for number, (found, blind) in enumerate(steps)]  # type: ignore[arg-type]  # fmt: skip
    earlier = [verdict(number, DRIFT, data="first") for number in range(len(final))]
    shuffled = [*final]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    in_order, mixed = Story(settings), Story(settings)
    for judged in final:
        in_order.judge(judged)
    for judged in (*random.sample(earlier, len(earlier) // 2), *shuffled):  # type: ignore[attr-defined]
        mixed.judge(judged)
    for story in (in_order, mixed):  # what a window could not measure is settled by the next that could
        story.judge(verdict(len(final)))
    assert unresolved(mixed) == unresolved(in_order)


def unresolved(story: Story) -> set[tuple[object, ...]]:
    return {
        (each.check, each.scope, each.opened_window, each.last_window)
        for each in story.standing.incidents
        if each.state != "resolved"
    }
