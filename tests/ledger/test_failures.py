"""Failure groups in the ledger: where they stand follows from the newest revision of every window, in any order of judging."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.errors import LedgerError
from retrue.failures.stories import EVERYTHING_ELSE, POINTS_MAX, FailureStory
from retrue.ledger import Ledger
from retrue.results import HISTOGRAM_BINS
from tests.ledger.failing import EWR, LOOKUP, PARSE, failure_group, found, judge_week, measured
from tests.ledger.verdicts import NOW, WEEK, commit, verdict, watched, week


def only(ledger: Ledger) -> FailureStory:
    (story,) = ledger.failures.list("m")
    return story


def states(ledger: Ledger) -> list[tuple[str, str]]:
    return [(story.id, story.status.value) for story in ledger.failures.list("m")]


def messages(ledger: Ledger) -> list[object]:
    return [row.payload["body"] for row in ledger.outbox.rows(kind="notify")]


# ---------------------------------------------------------------- what is kept


def test_a_group_is_told_with_all_that_its_windows_had(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group(rows=20, versions={"2": 5, "3": 15}))
    judge_week(ledger, 1, failure_group(rows=30, number=1, versions={"3": 30}, message="the newest text"))
    story = only(ledger)
    assert (story.text.message, story.text.frames, story.text.kind) == (
        "the newest text",
        ("serve.answer", "features.encode"),
        "error",
    )
    assert (story.first_seen_at, story.last_seen_at) == (
        week(0).start + timedelta(hours=1),
        week(1).start + timedelta(hours=7),
    )
    assert (story.first_versions, story.versions, story.endpoints) == (("2", "3"), {"2": 5, "3": 45}, {"/predict": 50})
    assert story.samples == ("parse-1-1", "parse-1-2", "parse-0-1", "parse-0-2")
    assert (story.rows, story.inputs, story.now) == (50, (EWR,), story.newest)
    assert [(point.window, point.rows, point.share) for point in story.points] == [
        (week(0), 20, 0.02),
        (week(1), 30, 0.03),
    ]
    assert story.newest.histogram == (30, *(0,) * (HISTOGRAM_BINS - 1))


def test_hostile_text_is_kept_escaped(ledger: Ledger) -> None:
    hostile = "a\x00\ud800<b>"
    judge_week(
        ledger,
        0,
        failure_group(title=hostile, message=hostile, frames=(hostile,), samples=(hostile,), versions={hostile: 3}),
    )
    story = only(ledger)
    assert story.text.title == "a\\x00\\ud800<b>"
    assert story.samples == (hostile,)


def test_groups_are_found_by_the_beginning_of_their_id(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group(), failure_group("parsing00000"))
    assert ledger.failures.get("parse").id == PARSE
    for name, said in (
        ("pars", "more than one"),
        ("nothing", "no failure group"),
        ("", "no failure group"),
        ("%", "no failure"),
    ):
        with pytest.raises(LedgerError, match=said):
            ledger.failures.get(name)


def test_groups_of_other_models_are_others(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group())
    commit(ledger, verdict(0, model="other"), failures=measured(failure_group(rows=1)), of=watched(retrain=None))
    assert (only(ledger).rows, ledger.failures.list("other")[0].rows) == (20, 1)
    assert ledger.failures.get(PARSE, model="other").rows == 1


# ---------------------------------------------------------------- where groups stand


def test_a_group_goes_through_its_life_window_by_window(ledger: Ledger) -> None:
    seen = []
    for number, rows in enumerate([20, 20, 60, 20, 0, 0, 0, 0, 20, 20]):
        judge_week(ledger, number, *([failure_group(rows=rows, number=number)] if rows else []))
        seen.append(only(ledger).status.value)
    assert seen == [
        "new",
        "ongoing",
        "escalating",
        "ongoing",
        "ongoing",
        "ongoing",
        "resolved",
        "resolved",
        "regressed",
        "ongoing",
    ]


def test_a_window_that_could_not_measure_failures_resolves_nothing(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group())
    for number in range(1, 6):
        judge_week(ledger, number, counted=False)
    assert states(ledger) == [(PARSE, "new")]
    assert ledger.incidents.list("m")[0].state == "open"
    assert only(ledger).until == week(0)


def test_a_window_judged_again_replaces_its_counts(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group(rows=20), failure_group(LOOKUP))
    judge_week(ledger, 0, failure_group(rows=7), data="late rows")
    story = only(ledger)
    assert (story.id, story.rows, story.status.value) == (PARSE, 7, "new")


def test_a_window_judged_again_without_measuring_failures_counts_none(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group())
    judge_week(ledger, 0, counted=False, data="late rows")
    assert ledger.failures.list("m") == ()


WEEKS = [
    [failure_group(rows=20)],
    [failure_group(rows=25, number=1), failure_group(LOOKUP, number=1)],
    [],
    [failure_group(rows=90, number=3)],
]


def test_every_order_of_judging_gives_the_same_state(tmp_path: Path) -> None:
    told = []
    for number, order in enumerate(permutations(range(len(WEEKS)))):
        with Ledger.open(f"sqlite:///{number}.db", root=tmp_path) as ledger:
            for judged in order:
                judge_week(ledger, judged, *WEEKS[judged])
            told.append(ledger.failures.list("m"))
    assert len(told[0]) == 2
    assert all(each == told[0] for each in told)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=8), st.randoms())
def test_revisions_in_any_order_of_windows_give_the_state_of_the_last_of_each(
    tmp_path_factory: pytest.TempPathFactory, judged: list[tuple[int, int]], random: object
) -> None:
    """What was judged last of each window counts; windows may be judged in any order."""
    last = dict(judged)
    shuffled = sorted(last.items(), key=lambda _: random.random())  # type: ignore[attr-defined]
    told = []
    for name, steps in (("every", judged), ("last", shuffled)):
        root = tmp_path_factory.mktemp(name)
        with Ledger.open("sqlite:///ledger.db", root=root) as ledger:
            for step, (number, rows) in enumerate(steps):
                groups = [failure_group(rows=rows, number=number)] if rows else []
                judge_week(ledger, number, *groups, data=f"{number} {step}")
            told.append(
                [(each.status, each.rows, each.points, each.first_seen_at) for each in ledger.failures.list("m")]
            )
    assert told[0] == told[1]


def test_of_a_long_history_the_first_window_and_all_counts_stay_known(tmp_path: Path) -> None:
    with Ledger.open("sqlite:///ledger.db", root=tmp_path) as ledger:
        for number in range(POINTS_MAX + 5):
            judge_week(ledger, number, *([failure_group(number=number)] if number != 3 else []), findings=())
        story = only(ledger)
    assert (story.first_seen_at, story.rows, len(story.points)) == (
        week(0).start + timedelta(hours=1),
        20 * 64,
        POINTS_MAX,
    )
    assert story.sightings[0].samples == ()
    assert story.samples[0] == f"parse-{POINTS_MAX + 4}-1"


# ---------------------------------------------------------------- stories for a report


def test_a_report_of_a_window_is_told_before_it_is_committed(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group(rows=20))
    (story,) = ledger.failures.tell(week(1), measured(failure_group(rows=60, number=1)))
    assert (story.status.value, story.before and story.before.value) == ("escalating", "new")
    assert (story.now and story.now.rows, story.until) == (60, week(1))
    judge_week(ledger, 1, failure_group(rows=60, number=1))
    (again,) = ledger.failures.tell(week(1), measured(failure_group(rows=60, number=1)))
    assert (again.status, again.points) == (story.status, story.points)


def test_a_report_does_not_look_into_later_windows(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group(rows=20))
    before = ledger.failures.tell(week(1), measured(failure_group(rows=20, number=1)))
    judge_week(ledger, 5, failure_group(rows=90, number=5), failure_group(LOOKUP, number=5))
    assert ledger.failures.tell(week(1), measured(failure_group(rows=20, number=1))) == before


def test_a_report_tells_of_its_own_groups_of_open_ones_and_of_those_it_resolves(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group(), failure_group(LOOKUP))
    for number in range(1, 3):
        judge_week(ledger, number, failure_group(number=number))
    told = {story.id: story for story in ledger.failures.tell(week(3), measured(failure_group(number=3)))}
    assert (told[LOOKUP].resolved, told[LOOKUP].now) == (True, None)
    judge_week(ledger, 3, failure_group(number=3))
    assert [story.id for story in ledger.failures.tell(week(4), measured(failure_group(number=4)))] == [PARSE]


# ---------------------------------------------------------------- incidents


def test_a_failure_group_is_an_incident_until_enough_windows_were_without_it(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group())
    told = []
    for number in range(1, 4):
        judge_week(ledger, number)
        told.append(ledger.incidents.list("m")[0].state)
    assert told == ["open", "open", "resolved"]
    assert messages(ledger) == ["opened failure.group", "resolved failure.group"]


def test_a_group_that_is_back_opens_its_incident_again(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group())
    for number in range(1, 4):
        judge_week(ledger, number)
    judge_week(ledger, 4, failure_group(number=4))
    incident = ledger.incidents.list("m")[0]
    assert (incident.state, incident.episode, only(ledger).status.value) == ("open", 2, "regressed")


def test_an_escalation_is_told_before_the_interval_has_passed_and_only_when_it_begins(ledger: Ledger) -> None:
    patient = watched(retrain=None, notify={"warning": ["slack-webhook/team"], "repeat_every": "365d"})
    for number, rows in enumerate([20, 20, 60, 90, 90]):
        judge_week(ledger, number, failure_group(rows=rows, number=number), of=patient)
    assert messages(ledger) == ["opened failure.group", "repeated failure.group"]


def test_an_escalation_reaches_people_who_acknowledged_the_incident(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group())
    ledger.incidents.acknowledge(ledger.incidents.list("m")[0].fingerprint, by="ada", now=NOW)
    judge_week(ledger, 1, failure_group(rows=60, number=1))
    assert messages(ledger)[-1] == "repeated failure.group"


def test_the_same_escalation_judged_again_is_told_once(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group())
    for data in ("r1", "r2"):
        judge_week(ledger, 1, failure_group(rows=60, number=1), data=data)
    assert messages(ledger) == ["opened failure.group", "repeated failure.group"]


def test_an_older_window_judged_later_neither_opens_nor_resolves_what_a_newer_one_measured(ledger: Ledger) -> None:
    judge_week(ledger, 5, failure_group(number=5))
    judge_week(ledger, 1, failure_group(LOOKUP, number=1))
    judge_week(ledger, 2)
    assert [(each.scope, each.state) for each in ledger.incidents.list("m")] == [(PARSE, "open")]


def test_a_mute_until_it_escalates_ends_with_the_escalation(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group())
    fingerprint = found().fingerprint("m")
    ledger.incidents.mute(fingerprint, until=None, reason="known", by="ada", now=NOW)
    for number in (1, 2, 3):
        judge_week(ledger, number, failure_group(rows=20, number=number))
    assert messages(ledger) == ["opened failure.group"]
    judge_week(ledger, 4, failure_group(rows=90, number=4), now=NOW + WEEK)
    assert messages(ledger) == ["opened failure.group", "repeated failure.group"]
    assert ledger.incidents.mutes(NOW + WEEK) == ()
    assert ledger.incidents.tell(fingerprint).mutes[0].until == NOW + WEEK


# ---------------------------------------------------------------- forgetting


def test_samples_of_old_windows_are_forgotten_and_counts_stay(ledger: Ledger) -> None:
    for number in range(3):
        judge_week(ledger, number, failure_group(number=number))
    before = [(each.status, each.rows, each.points) for each in ledger.failures.list("m")]
    assert ledger.failures.count_samples("m", before=week(1).end) == 2
    assert ledger.failures.forget_samples("m", before=week(1).end) == 2
    assert ledger.failures.forget_samples("m", before=week(1).end) == 0
    story = only(ledger)
    assert (story.samples, story.traces) == (("parse-2-1", "parse-2-2"), (f"{2:032x}",))
    assert story.sightings[0].inputs == ()
    assert [(each.status, each.rows, each.points) for each in ledger.failures.list("m")] == before


def test_texts_of_groups_that_are_long_gone_are_forgotten(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group(), failure_group(LOOKUP))
    judge_week(ledger, 1, failure_group(number=1))
    assert ledger.failures.count_texts("m", before=week(1).start) == 1
    assert ledger.failures.forget_texts("m", before=week(1).start) == 1
    assert ledger.failures.count_texts("m", before=week(1).start) == 0
    gone = ledger.failures.get(LOOKUP).text
    assert (gone.title, gone.message, gone.frames, gone.reasons) == ("ValueError", "(removed)", (), ())
    assert ledger.failures.get(PARSE).text.frames


def test_a_persons_inferences_are_forgotten_in_every_revision_and_message(ledger: Ledger) -> None:
    def render(*_: object) -> tuple[str, str]:
        return "new failure", "Again: retrue reproduce parse-0-1\nAgain: retrue reproduce parse-0-11\n"

    judge_week(ledger, 0, failure_group())
    judged = verdict(0, found(), data="late")
    ledger.commit(
        judged, token=ledger.claim(judged.window), metrics={}, report_dir="", step=0, flow_run_url="",
        settings=watched(retrain=None, notify={"warning": ["slack-webhook/team"], "repeat_every": "0s"}),
        render=render, now=NOW, failures=measured(failure_group()),
    )  # fmt: skip
    assert ledger.failures.forget("m", ["parse-0-1", "nobody"]) == 2
    assert ledger.failures.forget("m", ["parse-0-1"]) == 0
    assert only(ledger).samples == ("parse-0-2",)
    kept = "Again: retrue reproduce (removed)\nAgain: retrue reproduce parse-0-11\n"
    assert messages(ledger)[-1] == kept
    effects = ledger.revisions(week(0))[-1].decision.effects
    assert [effect.payload["body"] for effect in effects if effect.kind == "notify"] == [kept]


def test_a_window_too_crowded_to_list_a_group_does_not_resolve_it(ledger: Ledger) -> None:
    judge_week(ledger, 0, failure_group(rows=20), failure_group(LOOKUP, rows=20))
    for number in range(1, 6):
        judge_week(ledger, number, failure_group(EVERYTHING_ELSE, rows=500, number=number))
    assert not ledger.failures.get(LOOKUP).resolved
    for number in range(6, 12):
        judge_week(ledger, number)
    assert ledger.failures.get(LOOKUP).resolved
