"""What the ledger knows of erased people: salted digests and receipts."""

from __future__ import annotations

from datetime import timedelta

from retrue.ledger import Ledger
from tests.ledger.verdicts import NOW


def test_a_subject_is_known_again_and_nobody_else_is(ledger: Ledger) -> None:
    request = ledger.erasures.begin("m", ["ann"], ["caller_id"], by="bo", now=NOW)
    ledger.erasures.bury(request, ["i-1", "i-2"])
    ledger.erasures.bury(request, ["i-2", "i-3"])
    people = ledger.erasures.tombstones("m")
    assert people.names("ann")
    assert not people.names("anne")
    assert [people.covers(each) for each in ("i-1", "i-2", "i-3", "i-4")] == [True, True, True, False]
    assert people.columns == ("caller_id",)


def test_requests_of_one_model_share_a_salt_and_add_up(ledger: Ledger) -> None:
    ledger.erasures.begin("m", ["ann"], ["caller_id"], by="bo", now=NOW)
    ledger.erasures.begin("m", ["cy"], ["features.name"], by="bo", now=NOW)
    ledger.erasures.begin("other", ["di"], ["caller_id"], by="bo", now=NOW)
    people = ledger.erasures.tombstones("m")
    assert [people.names(each) for each in ("ann", "cy", "di")] == [True, True, False]
    assert people.columns == ("caller_id", "features.name")


def test_a_model_nobody_was_erased_from_has_no_tombstones(ledger: Ledger) -> None:
    assert not ledger.erasures.tombstones("m")


def test_a_receipt_is_open_until_everything_within_reach_is_gone(ledger: Ledger) -> None:
    request = ledger.erasures.begin("m", ["ann"], ["caller_id"], by="bo", now=NOW)
    assert ledger.erasures.list("m")[0].finished_at is None
    ledger.erasures.finish(request, removed={"records": 3}, left=["backups"], now=NOW + timedelta(minutes=1))
    (receipt,) = ledger.erasures.list("m")
    assert (receipt.removed, list(receipt.left), receipt.asked_by) == ({"records": 3}, ["backups"], "bo")
    assert receipt.finished_at == NOW + timedelta(minutes=1)


def test_compacting_keeps_everything(ledger: Ledger) -> None:
    ledger.erasures.begin("m", ["ann"], ["caller_id"], by="bo", now=NOW)
    ledger.erasures.compact()
    assert ledger.erasures.tombstones("m").names("ann")
