from datetime import datetime, timedelta

import pytest

from retrue.ledger import Ledger, OutboxRow
from tests.ledger.verdicts import DROP, NOW, commit, serve, verdict

MINUTE = timedelta(minutes=1)


def take(ledger: Ledger, now: datetime = NOW, **changes: object) -> tuple[OutboxRow, ...]:
    return ledger.outbox.take_due(now, "w", **changes)  # type: ignore[arg-type]


def test_a_leased_row_is_not_given_out_again(ledger: Ledger) -> None:
    commit(ledger, verdict(0))
    assert len(take(ledger)) == 2
    assert take(ledger) == ()


def test_a_row_of_a_dead_worker_is_given_out_again_under_the_same_key(ledger: Ledger) -> None:
    commit(ledger, verdict(0))
    (first,) = take(ledger, kinds=["event"], lease_seconds=60)
    assert take(ledger, NOW + timedelta(seconds=59), kinds=["event"]) == ()
    (second,) = take(ledger, NOW + timedelta(seconds=60), kinds=["event"])
    assert (second.id, second.dedup_key, second.attempts) == (first.id, first.dedup_key, 2)


def test_a_delivered_row_is_never_given_out_again(ledger: Ledger) -> None:
    commit(ledger, verdict(0))
    for row in take(ledger):
        ledger.outbox.mark_done(row, {}, NOW)
    assert take(ledger, NOW + timedelta(days=400)) == ()
    assert ledger.outbox.counts() == {("record", "done"): 1, ("event", "done"): 1}


def test_a_row_that_fails_waits_twice_as_long_each_time(ledger: Ledger) -> None:
    commit(ledger, verdict(0))
    now, waits = NOW, []
    for _ in range(9):
        (row,) = take(ledger, now, kinds=["record"])
        ledger.outbox.mark_failed(row, "server down", now)
        (row,) = ledger.outbox.rows(kind="record")
        waits.append((row.next_attempt_at - now).total_seconds())
        now = row.next_attempt_at
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert row.error == "server down"


def test_a_row_that_fails_past_its_deadline_is_undelivered_and_can_be_revived(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    (row,) = take(ledger, NOW + timedelta(days=1), kinds=["notify"])
    ledger.outbox.mark_failed(row, "410 gone", NOW + timedelta(days=1))
    (lost,) = ledger.outbox.rows(state="undelivered")
    assert (lost.id, lost.error) == (row.id, "410 gone")
    assert take(ledger, NOW + timedelta(days=300), kinds=["notify"]) == ()
    assert ledger.outbox.retry_undelivered(NOW + timedelta(days=301), model="m") == 1
    assert len(take(ledger, NOW + timedelta(days=301), kinds=["notify"])) == 1


def test_a_worker_whose_lease_was_taken_over_cannot_put_the_row_back(ledger: Ledger) -> None:
    commit(ledger, verdict(0))
    (slow,) = take(ledger, kinds=["event"], lease_seconds=60)
    (taken_over,) = take(ledger, NOW + MINUTE, kinds=["event"])
    ledger.outbox.mark_failed(slow, "timeout", NOW + MINUTE)
    assert take(ledger, NOW + 2 * MINUTE, kinds=["event"]) == ()
    ledger.outbox.mark_done(taken_over, {}, NOW + 2 * MINUTE)
    ledger.outbox.mark_failed(slow, "timeout", NOW + 2 * MINUTE)
    assert ledger.outbox.counts()["event", "done"] == 1


def test_records_of_a_model_go_out_in_order_and_a_failed_one_holds_the_later_ones_back(ledger: Ledger) -> None:
    first, second = commit(ledger, verdict(0)), commit(ledger, verdict(1))
    commit(ledger, verdict(0, model="other"))
    head, other = take(ledger, kinds=["record"])
    assert (head.payload["revision"], other.model) == (first.id, "other")
    ledger.outbox.mark_failed(head, "down", NOW)
    assert take(ledger, NOW, kinds=["record"]) == ()
    (head,) = take(ledger, NOW + MINUTE, kinds=["record"])
    ledger.outbox.mark_done(head, {"mlflow_run_id": "run1"}, NOW + MINUTE)
    (after,) = take(ledger, NOW + MINUTE, kinds=["record"])
    assert after.payload["revision"] == second.id


def test_an_undelivered_record_lets_the_later_ones_go(ledger: Ledger) -> None:
    commit(ledger, verdict(0))
    second = commit(ledger, verdict(1))
    late = NOW + timedelta(days=31)
    (head,) = take(ledger, late, kinds=["record"])
    ledger.outbox.mark_failed(head, "poison", late)
    (after,) = take(ledger, late, kinds=["record"])
    assert after.payload["revision"] == second.id


def test_the_mirrors_run_id_goes_into_the_revision(ledger: Ledger) -> None:
    committed = commit(ledger, verdict(0))
    (row,) = take(ledger, kinds=["record"])
    ledger.outbox.mark_done(row, {"mlflow_run_id": "run1"}, NOW)
    assert ledger.revision(committed.id).mlflow_run_id == "run1"


def test_alias_moves_of_a_model_go_out_in_order(ledger: Ledger) -> None:
    serve(ledger, "1", "2")
    (first,) = take(ledger, kinds=["alias"])
    assert first.payload["aliases"] == {"champion": "1", "previous": None, "challenger": None}
    ledger.outbox.mark_done(first, {}, NOW)
    (second,) = take(ledger, kinds=["alias"])
    assert second.payload["aliases"] == {"champion": "2", "previous": "1", "challenger": None}


def test_only_the_kinds_asked_for_are_given_out_and_no_more_than_the_limit(ledger: Ledger) -> None:
    for number in range(3):
        commit(ledger, verdict(number))
    assert [row.kind for row in take(ledger, kinds=["event"], limit=2)] == ["event", "event"]
    assert take(ledger, kinds=[]) == ()


def test_counts_are_per_model_kind_and_state(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    commit(ledger, verdict(0, model="other"))
    assert ledger.outbox.counts(model="m") == {
        ("record", "pending"): 1, ("event", "pending"): 2, ("notify", "pending"): 1,
    }  # fmt: skip
    assert ledger.outbox.counts()["record", "pending"] == 2


@pytest.mark.parametrize("characters", [10, 5000])
def test_errors_are_kept_short(ledger: Ledger, characters: int) -> None:
    commit(ledger, verdict(0))
    (row,) = take(ledger, kinds=["event"])
    ledger.outbox.mark_failed(row, "x" * characters, NOW)
    assert len(ledger.outbox.rows(kind="event")[0].error) == min(characters, 500)
