from dataclasses import replace
from datetime import timedelta

import pytest

from retrue.errors import FencedError, LedgerError
from retrue.ledger import Ledger
from retrue.results import RetrainCause
from tests.ledger.verdicts import DROP, NOW, ONCALL, TEAM, commit, serve, verdict, week

HOUR = timedelta(hours=1)
BY_HAND = RetrainCause(
    model="m",
    fingerprint="by-hand",
    check="manual",
    scope="",
    attempt=1,
    as_of=week(0).end,
    message="Ada asked for it.",
)


@pytest.fixture
def asked(ledger: Ledger) -> str:
    """The id of a request that a verdict asked for."""
    serve(ledger, "1")
    commit(ledger, verdict(0, DROP))
    return ledger.requests.list("m")[0].id


def test_a_request_reads_back_with_its_cause(ledger: Ledger, asked: str) -> None:
    request = ledger.requests.get(asked)
    assert (request.state, request.cause.check) == ("open", "performance.drop")
    assert request.cause.as_of == week(0).end + timedelta(hours=2)


def test_two_flow_runs_cannot_hold_one_request(ledger: Ledger, asked: str) -> None:
    assert ledger.requests.claim(asked, NOW).token == 1
    with pytest.raises(FencedError, match="another flow run works on"):
        ledger.requests.claim(asked, NOW + HOUR)


def test_a_flow_run_takes_over_from_one_that_died_which_can_then_write_nothing(ledger: Ledger, asked: str) -> None:
    dead = ledger.requests.claim(asked, NOW, lease_seconds=3600)
    alive = ledger.requests.claim(asked, NOW + HOUR)
    ledger.models.register_version("m", "2", sha256="2" * 64, kind="skops", run_id="r", now=NOW)
    with pytest.raises(FencedError, match="took request"):
        ledger.requests.close(asked, token=dead.token, state="failed", reason="out of memory", now=NOW)
    with pytest.raises(FencedError, match="took request"):
        ledger.models.promote("m", "2", expected_champion="1", reason="", request=asked, token=dead.token, now=NOW)
    ledger.models.promote("m", "2", expected_champion="1", reason="", request=asked, token=alive.token, now=NOW)
    assert (ledger.models.champion("m"), ledger.requests.get(asked).state) == ("2", "promoted")


def test_a_retraining_that_failed_starts_no_cool_down(ledger: Ledger, asked: str) -> None:
    token = ledger.requests.claim(asked, NOW).token
    ledger.requests.close(asked, token=token, state="failed", reason="MLflow was down", now=NOW)
    commit(ledger, verdict(1, DROP))
    assert [request.state for request in ledger.requests.list("m")] == ["open", "failed"]


def fail(ledger: Ledger, request: str) -> None:
    token = ledger.requests.claim(request, NOW).token
    ledger.requests.close(request, token=token, state="failed", reason="no disk left", now=NOW)


def test_retrainings_that_failed_are_no_attempts_and_are_asked_for_ever_more_rarely(ledger: Ledger, asked: str) -> None:
    """`max_attempts` is 2, and the cool-down two weeks."""
    fail(ledger, asked)
    asked_in = []
    for number in range(1, 7):
        reason = commit(ledger, verdict(number, DROP)).decision.retrain_reason
        assert "a person is needed" not in reason
        newest = ledger.requests.list("m")[0]
        if newest.state == "open":
            asked_in.append(number)
            fail(ledger, newest.id)
        else:
            assert reason.startswith(f"No retraining: the last {number // 2 + 1} failed, the newest as of 2013-")
    assert asked_in == [1, 3, 5]


def retries(ledger: Ledger) -> list[timedelta]:
    return [row.next_attempt_at - NOW for row in ledger.outbox.rows(kind="retrain") if ":again:" in row.dedup_key]


def test_a_request_given_back_is_tried_again_after_ever_longer_waits(ledger: Ledger, asked: str) -> None:
    for _ in range(9):
        token = ledger.requests.claim(asked, NOW).token
        again_at = ledger.requests.release(asked, token=token, reason="MLflow is down", now=NOW)
        assert retries(ledger)[-1] == again_at - NOW
    minutes = [wait // timedelta(minutes=1) for wait in retries(ledger)]
    assert minutes == [5, 10, 20, 40, 80, 160, 320, 360, 360]
    assert (ledger.requests.get(asked).state, ledger.requests.get(asked).reason) == ("open", "MLflow is down")
    assert len(ledger.outbox.rows(kind="retrain", state="pending")) == 1, "one flow run at a time"
    retry = ledger.outbox.rows(kind="retrain")[-1]
    first = ledger.outbox.rows(kind="retrain")[0]
    assert {**retry.payload} == {**first.payload}, "the same flow run, at another time"


def test_a_request_given_back_for_days_is_given_up_and_told(ledger: Ledger, asked: str) -> None:
    late = NOW + timedelta(days=8) - HOUR / 60
    token = ledger.requests.claim(asked, late).token
    ledger.requests.release(asked, token=token, reason="MLflow is down", now=late)
    assert retries(ledger) == [], "its time would be over"
    commit(ledger, verdict(1), now=NOW + timedelta(days=8))
    given_up = ledger.requests.get(asked)
    assert (given_up.state, given_up.reason) == ("failed", "abandoned: MLflow is down")
    told = [row.payload for row in ledger.outbox.rows(kind="notify") if row.payload["body"] == given_up.reason]
    assert {each["block"] for each in told} == {ONCALL, TEAM}


def test_a_request_that_ended_starts_no_flow_run_any_more(ledger: Ledger, asked: str) -> None:
    token = ledger.requests.claim(asked, NOW).token
    ledger.requests.release(asked, token=token, reason="MLflow is down", now=NOW)
    fail(ledger, asked)
    assert {row.state for row in ledger.outbox.rows(kind="retrain")} == {"done"}


def test_a_run_that_was_taken_over_gives_nothing_back(ledger: Ledger, asked: str) -> None:
    old = ledger.requests.claim(asked, NOW, lease_seconds=60)
    ledger.requests.claim(asked, NOW + HOUR)
    with pytest.raises(FencedError, match="took request"):
        ledger.requests.release(asked, token=old.token, reason="MLflow is down", now=NOW + HOUR)


def test_a_refusal_is_kept_with_its_reason_and_told(ledger: Ledger, asked: str) -> None:
    token = ledger.requests.claim(asked, NOW).token
    close = {"token": token, "state": "refused", "reason": "no gain on 2,000 rows", "notify": [ONCALL], "now": NOW}
    refused = ledger.requests.close(asked, **close)  # type: ignore[arg-type]
    assert ledger.requests.close(asked, **close) == refused  # type: ignore[arg-type]
    assert (refused.state, refused.reason, refused.closed_at) == ("refused", "no gain on 2,000 rows", NOW)
    message = ledger.outbox.rows(kind="notify")[-1].payload
    assert (message["subject"], message["body"]) == ("m: retraining refused", "no gain on 2,000 rows")


def test_a_closed_request_cannot_be_claimed_or_closed_otherwise(ledger: Ledger, asked: str) -> None:
    token = ledger.requests.claim(asked, NOW).token
    ledger.requests.close(asked, token=token, state="refused", reason="worse", now=NOW)
    with pytest.raises(FencedError, match="is closed: refused"):
        ledger.requests.claim(asked, NOW + 100 * HOUR)
    with pytest.raises(FencedError, match="is closed: refused"):
        ledger.requests.close(asked, token=token, state="failed", reason="other", now=NOW)


def test_a_cancelled_request_promotes_nothing(ledger: Ledger, asked: str) -> None:
    token = ledger.requests.claim(asked, NOW).token
    ledger.models.register_version("m", "2", sha256="2" * 64, kind="skops", run_id="r", now=NOW)
    cancelled = ledger.requests.cancel(asked, by="ada", reason="wrong labels", notify=[ONCALL], now=NOW)
    assert (cancelled.state, cancelled.reason) == ("cancelled", "cancelled by ada: wrong labels")
    assert ledger.outbox.rows(kind="notify")[-1].payload["subject"] == "m: retraining cancelled"
    with pytest.raises(FencedError, match="is closed: cancelled"):
        ledger.requests.check(asked, token=token)
    with pytest.raises(FencedError):
        ledger.models.promote("m", "2", expected_champion="1", reason="", request=asked, token=token, now=NOW)


def test_a_cancelled_request_starts_the_cool_down_and_is_no_attempt(ledger: Ledger, asked: str) -> None:
    """`max_attempts` is 2, and the cool-down two weeks."""
    asked_in = []
    for number in range(1, 7):
        newest = ledger.requests.list("m")[0]
        if newest.state == "open":
            ledger.requests.cancel(newest.id, by="ada", reason="not now", now=NOW)
            asked_in.append(number - 1)
        assert "a person is needed" not in commit(ledger, verdict(number, DROP)).decision.retrain_reason
    assert asked_in == [0, 2, 4]


def test_a_person_may_ask_too_but_not_beside_a_request_in_flight(ledger: Ledger, asked: str) -> None:
    with pytest.raises(
        LedgerError, match=f"still in flight: wait for it, or close it by `retrue retrain m --cancel {asked}`"
    ):
        ledger.requests.open(BY_HAND, NOW)
    token = ledger.requests.claim(asked, NOW).token
    ledger.requests.close(asked, token=token, state="refused", reason="worse", now=NOW)
    opened = ledger.requests.open(BY_HAND, NOW)
    assert ledger.requests.open(BY_HAND, NOW + HOUR) == opened
    assert ledger.requests.open(replace(BY_HAND, model="other"), NOW).state == "open"


def test_the_next_attempt_of_an_incident_is_another_request(ledger: Ledger, asked: str) -> None:
    token = ledger.requests.claim(asked, NOW).token
    ledger.requests.close(asked, token=token, state="refused", reason="worse", now=NOW)
    commit(ledger, verdict(1, DROP))
    assert len(ledger.requests.list("m")) == 1, "within the cool-down"
    commit(ledger, verdict(2, DROP))
    newest = ledger.requests.list("m")[0]
    assert newest.id == asked.removesuffix(":1") + ":2"
    assert ledger.incidents.list("m")[0].attempt == 2


def test_a_request_whose_flow_run_died_is_abandoned_at_a_later_commit(ledger: Ledger, asked: str) -> None:
    ledger.requests.claim(asked, NOW, lease_seconds=60)
    commit(ledger, verdict(1), now=NOW + HOUR)
    assert ledger.requests.get(asked).reason == "abandoned: its flow run did not end in time"


def test_an_unknown_request_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no retraining request"):
        ledger.requests.get("m:x:1")
