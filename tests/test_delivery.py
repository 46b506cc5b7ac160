from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from retrue.delivery import Recorder, deliver
from retrue.errors import DeliveryError
from retrue.ledger import Ledger
from tests.ledger.verdicts import DRIFT, DROP, NOW, ONCALL, TEAM, commit, verdict


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open("sqlite:///ledger.db", root=tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_each_effect_reaches_the_carrier_of_its_kind_once(ledger: Ledger, clock: Clock) -> None:
    committed = commit(ledger, verdict(0, DROP))
    carriers = {"notify": Recorder(), "event": Recorder(), "record": Recorder(result={"mlflow_run_id": "run1"})}
    report = deliver(ledger, carriers, now=clock, worker="w")
    again = deliver(ledger, carriers, now=clock, worker="w")
    assert (report.done, report.failed, report.pending, again.done) == (4, 0, 0, 0)
    assert [message["block"] for message in carriers["notify"].sent] == [ONCALL]
    assert ledger.revision(committed.id).mlflow_run_id == "run1"


def test_a_carrier_is_given_the_dedup_key(ledger: Ledger, clock: Clock) -> None:
    commit(ledger, verdict(0))
    record = Recorder()
    deliver(ledger, {"record": record}, now=clock, worker="w")
    assert record.sent[0]["dedup_key"] == f"record:{verdict(0).key}"


def test_kinds_without_a_carrier_stay_pending(ledger: Ledger, clock: Clock) -> None:
    commit(ledger, verdict(0, DROP))
    report = deliver(ledger, {"event": Recorder()}, now=clock, worker="w")
    assert (report.done, report.pending) == (2, 2)
    assert deliver(ledger, {"notify": Recorder()}, now=clock, worker="w", kinds=["record"]).done == 0


def test_a_receiver_that_fails_holds_no_other_back_and_is_tried_later(ledger: Ledger, clock: Clock) -> None:
    commit(ledger, verdict(0, DROP, DRIFT))
    notify = Recorder(refusals=[DeliveryError("slack-webhook/oncall answered 500")])
    report = deliver(ledger, {"notify": notify}, now=clock, worker="w")
    assert (report.done, report.failed) == (1, 1)
    assert [message["block"] for message in notify.sent] == [TEAM]
    assert ledger.outbox.rows(kind="notify")[0].error == "slack-webhook/oncall answered 500"
    clock.at += timedelta(seconds=30)
    assert deliver(ledger, {"notify": notify}, now=clock, worker="w").done == 1
    assert [message["block"] for message in notify.sent] == [TEAM, ONCALL]


def test_an_hours_outage_of_mlflow_drains_in_order_without_duplicates(ledger: Ledger, clock: Clock) -> None:
    down = Recorder(refusals=[ConnectionRefusedError(111, "Connection refused")] * 7)
    for number in range(30):
        commit(ledger, verdict(number))
        deliver(ledger, {"record": down}, now=clock, worker="w")
        clock.at += timedelta(minutes=2)
    clock.at += timedelta(hours=1)
    assert deliver(ledger, {"record": down}, now=clock, worker="w").pending == 30, "the events"
    revisions = [payload["revision"] for payload in down.sent]
    assert revisions == [ledger.latest("m", limit=30)[29 - number].id for number in range(30)]


def test_a_deliverer_killed_between_sending_and_marking_costs_one_duplicate_of_the_same_key(
    ledger: Ledger, clock: Clock
) -> None:
    commit(ledger, verdict(0, DROP))
    sent = Recorder()
    (row,) = ledger.outbox.take_due(NOW, "killed", kinds=["notify"])
    sent({**row.payload, "dedup_key": row.dedup_key})
    for _ in range(20):
        deliver(ledger, {"notify": sent}, now=clock, worker="w")
        clock.at += timedelta(minutes=1)
    assert [payload["dedup_key"] for payload in sent.sent] == [row.dedup_key] * 2


def test_an_undelivered_message_is_reported(ledger: Ledger, clock: Clock) -> None:
    commit(ledger, verdict(0, DROP))
    notify = Recorder(refusals=[DeliveryError("410 gone")] * 100)
    for _ in range(40):
        report = deliver(ledger, {"notify": notify}, now=clock, worker="w")
        clock.at += timedelta(hours=1)
    assert (report.undelivered, notify.sent) == (1, [])


def test_a_broken_carrier_is_heard_of_and_the_next_call_reaches_the_rows_behind_it(
    ledger: Ledger, clock: Clock
) -> None:
    commit(ledger, verdict(0, DROP, DRIFT))
    notify = Recorder(refusals=[ZeroDivisionError("a bug")])
    with pytest.raises(ZeroDivisionError):
        deliver(ledger, {"notify": notify}, now=clock, worker="w")
    clock.at += timedelta(minutes=5)
    assert deliver(ledger, {"notify": notify}, now=clock, worker="w").pending == 4
    assert {message["block"] for message in notify.sent} == {ONCALL, TEAM}


def test_a_row_is_tried_once_a_call_however_long_the_call_lasts(ledger: Ledger, clock: Clock) -> None:
    commit(ledger, verdict(0, DROP))

    def slow(_: Mapping[str, object]) -> Mapping[str, object]:
        clock.at += timedelta(hours=1)
        raise DeliveryError("timeout")

    carrier: Callable[[Mapping[str, object]], Mapping[str, object]] = slow
    assert deliver(ledger, {"notify": carrier}, now=clock, worker="w").failed == 1


def test_a_web_clients_error_keeps_no_secret_address(ledger: Ledger, clock: Clock) -> None:
    commit(ledger, verdict(0, DROP))
    notify = Recorder(refusals=[OSError("POST https://hooks.example/s3cret failed")])
    deliver(ledger, {"notify": notify}, now=clock, worker="w")
    assert ledger.outbox.rows(kind="notify")[0].error == "OSError: "
