from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.decide import decide
from retrue.results import Change, Finding, Severity, Verdict
from retrue.standing import Standing
from tests.deciding import MILD_DROP, MISSING, NULLS, Story, changes, of_kind, past_window
from tests.ledger.verdicts import (
    DRIFT,
    DROP,
    EXTRA,
    FIRST,
    NOW,
    ONCALL,
    TEAM,
    WAITING,
    WEEK,
    finding,
    render,
    verdict,
    watched,
    week,
)

# ---------------------------------------------------------------- incidents

GUESS = finding("performance.estimated", severity=Severity.WARNING)
WITHHELD = finding("performance.withheld", "", Severity.INFO)


def test_an_incident_of_an_estimate_outlives_windows_without_one_and_ends_with_a_good_one() -> None:
    story = Story()
    found = [[GUESS, WAITING], [WAITING, WITHHELD], [WAITING]]
    told = [changes(story.judge(verdict(number, *each))) for number, each in enumerate(found)]
    assert told == [["opened performance.estimated"], [], ["resolved performance.estimated"]]


def test_labels_end_an_incident_of_an_estimate_one_way_or_the_other() -> None:
    story = Story()
    story.judge(verdict(0, GUESS, WAITING))
    assert sorted(changes(story.judge(verdict(0, DROP)))) == [
        "opened performance.drop",
        "resolved performance.estimated",
    ]


def test_an_estimate_says_nothing_of_an_incident_that_labels_opened() -> None:
    story = Story()
    story.judge(verdict(0, DROP))
    assert changes(story.judge(verdict(1, WAITING))) == []


def test_only_labels_ask_for_retraining_unless_estimates_are_named() -> None:
    by_labels, by_both = (watched(retrain={"on": on}) for on in (["performance"], ["performance", "estimated"]))
    refused, asked = (Story(each).judge(verdict(0, GUESS, WAITING)) for each in (by_labels, by_both))
    assert refused.retrain is None
    assert "no finding is of a kind that asks for it (performance)" in refused.retrain_reason
    assert asked.retrain is not None


def test_a_healthy_window_changes_nothing() -> None:
    decision = Story().judge(verdict(0))
    assert (decision.changes, decision.effects) == ((), ())


def test_drift_of_one_window_in_three_is_told_to_nobody_unless_a_rule_says_so() -> None:
    story = Story(watched(alarms={}))
    windows = [[DRIFT], [], [], [DRIFT], [DRIFT]]
    told = [changes(story.judge(verdict(number, *each))) for number, each in enumerate(windows)]
    assert told == [[], [], [], [], ["opened drift.column"]]


@pytest.mark.parametrize(("excess", "told"), [(1.9, []), (2.0, ["opened drift.column"]), (None, [])])
def test_drift_of_twice_its_threshold_is_told_at_once(excess: float | None, told: list[str]) -> None:
    drift = replace(DRIFT, excess=excess)
    assert changes(Story(watched(alarms={})).judge(verdict(0, drift))) == told


def test_drift_that_is_told_is_over_after_two_windows_without_it() -> None:
    story, far = Story(watched(alarms={})), replace(DRIFT, excess=5.0)
    told = [changes(story.judge(verdict(number, *each))) for number, each in enumerate([[far], [], [], [DRIFT]])]
    assert told == [["opened drift.column"], [], ["resolved drift.column"], []]


def test_an_info_finding_makes_no_incident() -> None:
    assert Story().judge(verdict(0, EXTRA)).changes == ()


def test_an_incident_is_opened_once_continued_silently_and_resolved() -> None:
    story = Story()
    news = [story.news(verdict(number, *found)) for number, found in enumerate([[DRIFT], [DRIFT], [], []])]
    assert news == [[f"{TEAM}: opened drift.column"], [], [f"{TEAM}: resolved drift.column"], []]


def test_an_open_incident_is_repeated_after_the_interval_of_window_time_whatever_the_clock_says() -> None:
    story = Story()
    assert [bool(story.news(verdict(number, DRIFT))) for number in range(6)] == [True, False, True, False, True, False]


def test_opened_and_resolved_are_announced_as_events() -> None:
    story = Story()
    opened, resolved = story.judge(verdict(0, DRIFT)), story.judge(verdict(1))
    names = [effect.payload["event"] for effect in (*of_kind(opened, "event"), *of_kind(resolved, "event"))]
    assert names == ["retrue.incident.opened", "retrue.incident.resolved"]


def test_a_graver_turn_is_told_to_the_receivers_of_the_graver_tier_and_only_once() -> None:
    story = Story(watched(retrain=None))
    story.judge(verdict(0, MILD_DROP))
    assert story.news(verdict(1, DROP)) == [f"{ONCALL}: repeated performance.drop"]
    assert story.news(verdict(2, MILD_DROP)) == []
    assert story.news(verdict(3)) == [f"{block}: resolved performance.drop" for block in (ONCALL, TEAM)]


def test_an_inconclusive_window_resolves_nothing_and_is_an_incident_of_its_own() -> None:
    story = Story()
    story.judge(verdict(0, DRIFT))
    assert story.news(verdict(1, reasons=["no rows"])) == [f"{TEAM}: opened window.inconclusive"]
    assert story.news(verdict(2, reasons=["no rows"])) == []
    assert story.news(verdict(3, DRIFT)) == [f"{TEAM}: repeated drift.column, resolved window.inconclusive"]


def test_a_breached_window_that_was_only_partly_measured_resolves_nothing() -> None:
    story = Story()
    story.judge(verdict(0, DRIFT))
    partly = replace(verdict(1, DROP), reasons=("drift of temp could not be measured: no finite value",))
    assert changes(story.judge(partly)) == ["opened performance.drop"]


@pytest.mark.parametrize(("before", "now"), [(DRIFT, MISSING), (DRIFT, NULLS), (NULLS, MISSING), (DROP, WAITING)])
def test_an_incident_that_could_not_be_looked_at_again_is_not_resolved(before: Finding, now: Finding) -> None:
    story = Story()
    story.judge(verdict(0, before))
    assert f"resolved {before.check}" not in changes(story.judge(verdict(1, now)))


def test_a_missing_column_hides_no_other_column() -> None:
    story = Story()
    story.judge(verdict(0, finding("drift.column", "dep_hour", Severity.WARNING)))
    assert "resolved drift.column" in changes(story.judge(verdict(1, MISSING)))


def test_a_later_revision_of_the_newest_window_may_resolve_and_open_again() -> None:
    story = Story()
    assert story.news(verdict(0, DRIFT)) == [f"{TEAM}: opened drift.column"]
    assert story.news(verdict(0, data="late")) == [f"{TEAM}: resolved drift.column"]
    assert story.news(verdict(0, DRIFT, data="later")) == [f"{TEAM}: opened drift.column"]
    assert story.news(verdict(0, DRIFT, data="latest")) == []


def test_a_past_window_changes_nothing_that_a_newer_one_measured() -> None:
    story = Story()
    story.judge(verdict(1, DRIFT))
    assert story.judge(verdict(0, DROP, data="late")).changes == ()
    assert story.judge(verdict(0, data="later")).changes == ()


def test_labels_that_arrive_late_open_an_incident_of_the_newest_window_that_has_them() -> None:
    story = Story()
    story.judge(verdict(0, WAITING))
    story.judge(verdict(1, WAITING))
    late = story.judge(verdict(0, DROP, data="labels"))
    assert changes(late) == ["opened performance.drop"]
    assert late.retrain is not None
    assert late.retrain.as_of == week(1).end + timedelta(hours=2), "the data known by then, not by the past window"
    assert changes(story.judge(verdict(1, data="labels"))) == ["resolved performance.drop"]


def test_a_past_window_does_not_end_the_silence_of_a_newer_one() -> None:
    story = Story()
    story.judge(verdict(1, reasons=["no rows"]))
    assert story.judge(verdict(0)).changes == ()


def test_a_flapping_incident_stays_open_until_it_was_gone_for_an_interval() -> None:
    story = Story(watched(notify={"warning": [TEAM], "repeat_every": "28d"}))
    found = [[DRIFT], [], [DRIFT], [], [DRIFT], [], [], [], []]
    news = [story.news(verdict(number, *each)) for number, each in enumerate(found)]
    told = [message.split(": ")[1] for messages in news for message in messages]
    assert told == ["opened drift.column", "resolved drift.column", "opened drift.column", "resolved drift.column"]
    assert news[-1] == [f"{TEAM}: resolved drift.column"]


def test_a_mute_ends_by_the_clock_of_people() -> None:
    story = Story()
    fingerprint = DRIFT.fingerprint("m")
    story.standing = replace(story.standing, muted={fingerprint: NOW + timedelta(hours=1)})
    assert story.news(verdict(0, DRIFT)) == []
    assert story.standing.incidents[0].state == "open"
    assert story.news(verdict(1, DRIFT), now=NOW + timedelta(hours=1)) == [f"{TEAM}: repeated drift.column"]


def test_the_end_of_an_incident_nobody_heard_of_is_not_told() -> None:
    story = Story()
    story.standing = replace(story.standing, muted={DRIFT.fingerprint("m"): NOW + timedelta(hours=1)})
    story.judge(verdict(0, DRIFT))
    assert story.news(verdict(1), now=NOW + timedelta(hours=2)) == []


# ---------------------------------------------------------------- messages


def test_each_receiver_gets_one_message_with_the_changes_of_its_tiers() -> None:
    story = Story(watched(notify={"critical": [ONCALL, TEAM], "warning": [TEAM]}, retrain=None))
    assert story.news(verdict(0, DROP, NULLS, DRIFT)) == [
        f"{ONCALL}: opened performance.drop, opened quality.nulls",
        f"{TEAM}: opened performance.drop, opened quality.nulls, opened drift.column",
    ]


def test_ten_thousand_findings_are_one_message() -> None:
    many = [finding("drift.column", f"column {number}", Severity.WARNING) for number in range(10_000)]
    assert len(of_kind(Story().judge(verdict(0, *many)), "notify")) == 1


def test_without_receivers_nothing_is_sent_and_incidents_are_kept() -> None:
    decision = Story(watched(notify={})).judge(verdict(0, DROP))
    assert of_kind(decision, "notify") == []
    assert changes(decision) == ["opened performance.drop"]


def test_a_finding_that_stands_twice_in_a_verdict_is_one_incident_of_the_graver_severity() -> None:
    decision = Story().judge(verdict(0, MILD_DROP, DROP))
    assert [change.incident.severity for change in decision.changes] == [Severity.CRITICAL]


# ---------------------------------------------------------------- retraining


def test_a_performance_drop_asks_for_retraining_as_of_the_windows_settling() -> None:
    decision = Story().judge(verdict(0, DROP))
    assert decision.retrain is not None
    assert (decision.retrain.check, decision.retrain.attempt) == ("performance.drop", 1)
    assert decision.retrain.as_of == week(0).end + timedelta(hours=2)
    (start,) = of_kind(decision, "retrain")
    assert start.payload["request_id"] == f"m:{DROP.fingerprint('m')}:1"
    assert "retrue.retrain.requested" in [effect.payload["event"] for effect in of_kind(decision, "event")]
    assert decision.retrain_reason == "Retraining asked for by performance.drop, attempt 1."


@pytest.mark.parametrize(
    ("judged", "changed", "reason"),
    [
        (verdict(0, DROP), {"champion": "2"}, "version 1 served this window and the champion is 2"),
        (verdict(0, DROP), {"champion": None}, "version 1 served this window and the champion is not set"),
        (verdict(0, DROP), {"open_request": "m:x:1"}, "request m:x:1 is still open"),
        (verdict(0, DROP), {"last_as_of": week(0).start}, "the last one was as of 2013-04-04 00:00, the next may be from 2013-04-18"),
        (verdict(0, DRIFT), {}, "no finding is of a kind that asks for it (performance)"),
        (verdict(0, DROP, reasons=["a third was set aside"]), {}, "the window is inconclusive"),
        (verdict(0), {}, "the window is healthy"),
        (verdict(0, DROP), {"past": (past_window(verdict(1)),)}, "a newer window has been judged"),
    ],
)  # fmt: skip
def test_retraining_is_not_asked_for_and_the_reason_is_said(
    judged: Verdict, changed: dict[str, object], reason: str
) -> None:
    standing = replace(Standing(champion="1"), **changed)  # type: ignore[arg-type]
    decision = decide(judged, revision=1, standing=standing, settings=watched(), render=render, now=NOW)
    assert decision.retrain is None
    assert reason in decision.retrain_reason
    assert of_kind(decision, "retrain") == []


def test_without_a_retrain_block_nothing_is_asked_for() -> None:
    assert "not configured" in Story(watched(retrain=None)).judge(verdict(0, DROP)).retrain_reason


def test_a_drop_that_retraining_does_not_cure_calls_a_person_once() -> None:
    story = Story(watched(notify={"critical": [ONCALL], "repeat_every": "70d"}))
    decisions = [story.judge(verdict(number, DROP)) for number in range(9)]
    asked = [number for number, decision in enumerate(decisions) if decision.retrain]
    calls = {
        each.dedup_key for decision in decisions for each in of_kind(decision, "notify") if "person" in each.dedup_key
    }
    assert asked == [0, 2], "two attempts, a cool-down of two weeks apart"
    assert len(calls) == 1
    assert decisions[-1].retrain_reason == (
        "No retraining: 2 of 2 attempts have not cured performance.drop; a person is needed."
    )


def test_attempts_start_anew_when_the_incident_comes_back_but_their_numbers_go_on() -> None:
    story = Story()
    for number in range(3):
        story.judge(verdict(number, DROP))
    story.judge(verdict(3))
    again = story.judge(verdict(10, DROP))
    assert again.retrain is not None
    assert again.retrain.attempt == 3
    assert again.changes[0].incident.attempt == 1


# ---------------------------------------------------------------- whatever comes

FOUND = st.lists(st.sampled_from([DROP, MILD_DROP, DRIFT, EXTRA, MISSING, NULLS]), unique_by=lambda each: each.check)
VERDICTS = st.lists(st.tuples(st.integers(0, 8), FOUND, st.booleans()), min_size=1, max_size=15)


def _tell(number: int, data: int, found: list[Finding], blind: bool) -> Verdict:
    return verdict(number, *found, reasons=["no rows"] if blind else [], data=str(data))


@given(VERDICTS)
def test_judging_the_same_again_sends_nothing(steps: list[tuple[int, list[Finding], bool]]) -> None:
    story = Story(watched(retrain=None))
    for data, (number, found, blind) in enumerate(steps):
        story.news(_tell(number, data, found, blind))
        again = story.judge(_tell(number, data, found, blind))
        assert {effect.dedup_key for effect in again.effects if effect.kind != "event"} <= story.sent
        assert {change.change for change in again.changes} <= {Change.CONTINUED}


@given(VERDICTS)
def test_opened_and_resolved_take_turns_and_each_receiver_has_one_message(
    steps: list[tuple[int, list[Finding], bool]],
) -> None:
    story, state = Story(), dict[str, Change]()
    for data, (number, found, blind) in enumerate(steps):
        decision = story.judge(_tell(number, data, found, blind))
        for change in decision.changes:
            if change.change in (Change.OPENED, Change.RESOLVED):
                assert state.get(change.incident.fingerprint, Change.RESOLVED) is not change.change
                state[change.incident.fingerprint] = change.change
        messages = [each for each in of_kind(decision, "notify") if "person" not in each.dedup_key]
        assert len({each.payload["block"] for each in messages}) == len(messages)
        assert len({each.dedup_key for each in decision.effects}) == len(decision.effects)


@given(VERDICTS)
def test_retrainings_keep_their_distance_and_never_repeat_a_number(
    steps: list[tuple[int, list[Finding], bool]],
) -> None:
    story = Story()
    asked = [
        story.judge(_tell(number, data, found, blind)).retrain for data, (number, found, blind) in enumerate(steps)
    ]
    times = [cause.as_of for cause in asked if cause]
    attempts = [(cause.fingerprint, cause.attempt) for cause in asked if cause]
    assert all(later - earlier >= timedelta(days=14) for earlier, later in pairwise(times))
    assert len(set(attempts)) == len(attempts)


def test_the_clock_of_the_data_starts_with_the_first_window() -> None:
    assert Story().judge(verdict(0, DRIFT)).changes[0].incident.last_notified_at == FIRST + WEEK
