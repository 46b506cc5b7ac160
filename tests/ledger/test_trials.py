"""Requests whose challenger waits, and versions on probation, in the ledger."""

from dataclasses import replace
from datetime import timedelta

import pytest

from retrue.errors import FencedError, LedgerError
from retrue.ledger import Ledger, Look, ProbationEnd, Trial
from tests.ledger.test_models import register
from tests.ledger.test_requests import BY_HAND
from tests.ledger.verdicts import DROP, NOW, ONCALL, commit, serve, verdict, week

DAY = timedelta(days=1)
LOOK = Look(end=week(1).end, outcome="undecided", reason="not yet")


@pytest.fixture
def asked(ledger: Ledger) -> str:
    serve(ledger, "1")
    commit(ledger, verdict(0, DROP))
    return ledger.requests.list("m")[0].id


def trial(request: str) -> Trial:
    return Trial(
        request_id=request, kind="watch", version="2", champion="1", rows_from=week(0).start, fresh_from=week(0).end,
        ends_at=week(8).end,
    )  # fmt: skip


def wait(ledger: Ledger, request: str, *, look: Look | None = None, patience: timedelta = 30 * DAY) -> None:
    known = ledger.requests.trial(request) or trial(request)
    token = ledger.requests.claim(request, NOW).token
    ledger.requests.watch(known, token=token, look=look, patience=patience, now=NOW)


def test_a_watching_request_is_in_flight_and_is_claimed_again_for_each_look(ledger: Ledger, asked: str) -> None:
    wait(ledger, asked)
    assert (ledger.requests.get(asked).state, ledger.requests.watching("m")) == ("watching", trial(asked))
    with pytest.raises(LedgerError, match="is still in flight"):
        ledger.requests.open(BY_HAND, NOW)
    wait(ledger, asked, look=LOOK)
    assert ledger.requests.trial(asked) == replace(trial(asked), looks=(LOOK,))
    assert ledger.requests.claim(asked, NOW).token == 3
    assert ledger.requests.watching("m") is None, "a flow run looks at it"


def test_a_run_that_was_taken_over_records_no_look(ledger: Ledger, asked: str) -> None:
    wait(ledger, asked)
    old = ledger.requests.claim(asked, NOW, lease_seconds=60)
    ledger.requests.claim(asked, NOW + DAY)
    with pytest.raises(FencedError, match="took request"):
        ledger.requests.watch(trial(asked), token=old.token, look=LOOK, patience=DAY, now=NOW + DAY)


def test_a_look_whose_run_died_waits_again_and_a_request_nobody_looks_at_is_given_up(
    ledger: Ledger, asked: str
) -> None:
    wait(ledger, asked)
    ledger.requests.claim(asked, NOW, lease_seconds=60)
    commit(ledger, verdict(1, DROP), now=NOW + DAY)
    assert ledger.requests.get(asked).state == "watching"
    commit(ledger, verdict(2, DROP), now=NOW + 30 * DAY)
    given_up = ledger.requests.get(asked)
    assert (given_up.state, given_up.reason) == ("failed", "abandoned: no flow run looked at its challenger again")


def test_a_look_is_asked_for_once_and_starts_a_flow_run_of_its_own(ledger: Ledger, asked: str) -> None:
    wait(ledger, asked)
    for _ in range(2):
        ledger.requests.ask_look(asked, week(1).end, NOW)
    first, look = ledger.outbox.rows(kind="retrain")
    assert look.dedup_key == f"{first.dedup_key}:look:{week(1).end.isoformat()}:1"
    assert look.payload["request_id"] == asked
    ledger.requests.cancel(asked, by="ada", reason="enough", now=NOW)
    ledger.requests.ask_look(asked, week(2).end, NOW)
    assert len(ledger.outbox.rows(kind="retrain")) == 2


def looks_at(ledger: Ledger, end: str) -> int:
    return sum(f":look:{end}:" in row.dedup_key for row in ledger.outbox.rows(kind="retrain"))


def test_a_look_that_came_to_nothing_is_asked_for_again(ledger: Ledger, asked: str) -> None:
    wait(ledger, asked)
    end = week(8).end
    ledger.requests.ask_look(asked, end, NOW)
    wait(ledger, asked)
    for _ in range(2):
        ledger.requests.ask_look(asked, end, NOW + DAY)
    assert looks_at(ledger, end.isoformat()) == 2


def test_a_look_whose_run_was_killed_is_asked_for_again(ledger: Ledger, asked: str) -> None:
    wait(ledger, asked)
    end = week(8).end
    ledger.requests.ask_look(asked, end, NOW)
    ledger.requests.claim(asked, NOW, lease_seconds=60)
    commit(ledger, verdict(1, DROP), now=NOW + DAY)
    ledger.requests.ask_look(asked, end, NOW + DAY)
    assert looks_at(ledger, end.isoformat()) == 2


def test_a_watching_challenger_is_promoted_by_its_claim(ledger: Ledger, asked: str) -> None:
    register(ledger, "2")
    wait(ledger, asked)
    token = ledger.requests.claim(asked, NOW).token
    ledger.models.promote("m", "2", expected_champion="1", reason="", request=asked, token=token, now=NOW)
    assert (ledger.requests.get(asked).state, ledger.models.champion("m")) == ("promoted", "2")


# ---------------------------------------------------------------- probation


def on_probation(ledger: Ledger, version: str = "2", before: str | None = "1") -> None:
    register(ledger, version)
    ledger.models.promote("m", version, expected_champion=before, reason="better", probation_from=week(1).end, now=NOW)


def end(ledger: Ledger, state: str) -> ProbationEnd:
    probation = ledger.probations.open_of("m")
    assert probation is not None
    return ProbationEnd(probation=probation, look=replace(LOOK, outcome="worse"), state=state, as_of=week(2).end)


def test_a_first_version_has_nothing_to_be_compared_with(ledger: Ledger) -> None:
    on_probation(ledger, "1", None)
    assert ledger.probations.open_of("m") is None


def test_looks_are_kept_in_order_and_two_runs_cannot_take_the_same(ledger: Ledger) -> None:
    serve(ledger, "1")
    on_probation(ledger)
    seen = ledger.probations.open_of("m")
    assert seen is not None
    ledger.probations.look(seen, LOOK)
    with pytest.raises(FencedError, match="another run looked at version 2"):
        ledger.probations.look(seen, LOOK)
    after = ledger.probations.open_of("m")
    assert after is not None
    assert after.looks == (LOOK,)


def test_a_probation_that_ends_leaves_the_champion_and_is_told(ledger: Ledger) -> None:
    serve(ledger, "1")
    on_probation(ledger)
    ledger.probations.end(end(ledger, "kept"), notify=[ONCALL], now=NOW)
    assert (ledger.probations.list("m")[0].state, ledger.models.champion("m")) == ("kept", "2")
    assert ledger.outbox.rows(kind="notify")[-1].payload["subject"] == "m: probation of version 2 ended, kept"


def test_a_rollback_and_the_end_of_its_probation_are_one_transaction(ledger: Ledger) -> None:
    serve(ledger, "1")
    on_probation(ledger)
    ended = end(ledger, "rolled-back")
    made = ledger.models.rollback("m", reason="worse", by="retrue", probation=ended, now=NOW)
    assert (made.version, ledger.probations.list("m")[0].state) == ("1", "rolled-back")
    with pytest.raises(FencedError):
        ledger.models.rollback("m", reason="worse", by="retrue", probation=ended, now=NOW)
    assert ledger.models.champion("m") == "1"


def test_another_promotion_ends_a_probation_and_opens_its_own(ledger: Ledger) -> None:
    serve(ledger, "1")
    on_probation(ledger)
    on_probation(ledger, "3", "2")
    assert [(each.version, each.state) for each in ledger.probations.list("m")] == [("3", "open"), ("2", "ended")]
