"""What follows from failure groups: resolved by the ledger's word, told when they escalate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retrue.results import Finding, Severity
from retrue.standing import FailureStanding
from tests.deciding import MILD_DROP, Story, changes, of_kind
from tests.ledger.verdicts import (
    DRIFT,
    DROP,
    NOW,
    ONCALL,
    TEAM,
    WEEK,
    finding,
    verdict,
    watched,
)

GROUP = finding("failure.group", "4a1b2c", Severity.WARNING)


def failing(story: Story, number: int, *findings: Finding, **standing: object) -> list[str]:
    """Judge a week while the ledger says this of the failure groups; return the news."""
    story.standing = replace(story.standing, failures=FailureStanding(**standing))  # type: ignore[arg-type]
    return story.news(verdict(number, *findings))


def test_a_failure_group_is_resolved_when_the_ledger_says_so_not_by_one_window_without_it() -> None:
    story = Story()
    assert failing(story, 0, GROUP) == [f"{TEAM}: opened failure.group"]
    assert failing(story, 1) == []
    assert failing(story, 2, resolved=frozenset({"another"})) == []
    assert failing(story, 3, resolved=frozenset({"4a1b2c"})) == [f"{TEAM}: resolved failure.group"]


def test_an_inconclusive_window_that_measured_failures_may_resolve_a_group() -> None:
    story = Story()
    failing(story, 0, GROUP)
    story.standing = replace(story.standing, failures=FailureStanding(resolved=frozenset({"4a1b2c"})))
    assert f"{TEAM}: opened window.inconclusive, resolved failure.group" in story.news(verdict(1, reasons=["no label"]))


def test_an_escalation_is_told_at_once_and_a_window_that_measured_it_later_supersedes_it() -> None:
    story = Story()
    failing(story, 0, GROUP)
    assert failing(story, 1, GROUP, escalated=frozenset({"4a1b2c"})) == [f"{TEAM}: repeated failure.group"]
    assert failing(story, 1, GROUP, escalated=frozenset({"4a1b2c"}), superseded=True) == []


def test_an_incident_of_another_kind_does_not_escalate_with_a_group_of_its_scopes_name() -> None:
    story = Story()
    story.news(verdict(0, DRIFT))
    assert failing(story, 1, DRIFT, escalated=frozenset({"temp"})) == []


@pytest.mark.parametrize(
    ("after", "escalated", "told"),
    [
        (MILD_DROP, frozenset(), []),
        (DROP, frozenset(), [f"{ONCALL}: repeated performance.drop"]),
        (GROUP, frozenset(), []),
        (GROUP, frozenset({"4a1b2c"}), [f"{TEAM}: repeated failure.group"]),
    ],
    ids=["same", "graver", "ongoing", "escalating"],
)
def test_a_mute_until_it_escalates_gives_way_to_a_graver_turn_and_to_an_escalation(
    after: Finding, escalated: frozenset[str], told: list[str]
) -> None:
    story = Story(watched(retrain=None))
    story.news(verdict(0, MILD_DROP, GROUP))
    muted = frozenset(incident.fingerprint for incident in story.standing.incidents)
    story.standing = replace(story.standing, muted_until_escalation=muted)
    other = GROUP if after is not GROUP else MILD_DROP
    decision_news = failing(story, 5, after, other, escalated=escalated)
    assert decision_news == told


def test_a_mute_with_a_date_outlasts_an_escalation() -> None:
    story = Story()
    failing(story, 0, GROUP)
    story.standing = replace(story.standing, muted={GROUP.fingerprint("m"): NOW + WEEK})
    assert failing(story, 1, GROUP, escalated=frozenset({"4a1b2c"})) == []


def test_a_change_says_whether_its_incident_escalated() -> None:
    story = Story(watched(retrain=None))
    (opened,) = story.judge(verdict(0, MILD_DROP)).changes
    (graver,) = story.judge(verdict(1, DROP)).changes
    (same,) = story.judge(verdict(2, DROP)).changes
    assert [change.escalated for change in (opened, graver, same)] == [False, True, False]


def test_a_message_names_the_incidents_it_is_about() -> None:
    (message,) = of_kind(Story().judge(verdict(0, GROUP)), "notify")
    assert message.payload["incidents"] == [GROUP.fingerprint("m")]


@pytest.mark.parametrize(
    ("gap", "open_one", "stays"),
    [
        (("system.status", ""), ("system.errors", ""), True),
        (("system.status", ""), ("system.errors", "/explain"), True),
        (("system.status", ""), ("system.latency_p95", ""), False),
        (("system.traffic", "/explain"), ("system.latency_p95", "/explain"), True),
        (("system.traffic", "/explain"), ("system.latency_p95", "/predict"), False),
    ],
)
def test_what_a_window_could_not_measure_of_its_serving_is_not_cured(
    gap: tuple[str, str], open_one: tuple[str, str], stays: bool
) -> None:
    story = Story()
    story.judge(verdict(0, finding(*open_one, Severity.WARNING)))
    decision = story.judge(verdict(1, finding(*gap, Severity.INFO)))
    assert (changes(decision) == []) is stays
