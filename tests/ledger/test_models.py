from datetime import timedelta

import pytest

from retrue.errors import DigestMismatchError, FencedError, ModelError
from retrue.ledger import Ledger
from tests.ledger.verdicts import DROP, NOW, ONCALL, TEAM, commit, serve, verdict


def register(ledger: Ledger, version: str, sha256: str = "a" * 64) -> None:
    ledger.models.register_version("m", version, sha256=sha256, kind="skops", run_id="run", now=NOW)


def test_a_version_keeps_the_digest_it_was_registered_with(ledger: Ledger) -> None:
    register(ledger, "1")
    register(ledger, "1")
    with pytest.raises(DigestMismatchError, match="registered with digest aaaaaaaaaaaa…, not bbbbbbbbbbbb…"):
        register(ledger, "1", "b" * 64)
    assert ledger.models.version_digest("m", "1") == "a" * 64
    assert ledger.models.version("m", "1").run_id == "run"


def test_an_unregistered_version_has_no_digest_and_is_not_promoted(ledger: Ledger) -> None:
    with pytest.raises(ModelError, match="not registered"):
        ledger.models.version_digest("m", "1")
    with pytest.raises(ModelError, match="not registered"):
        ledger.models.promote("m", "1", expected_champion=None, reason="", now=NOW)
    assert ledger.models.champion("m") is None


def test_a_promotion_moves_the_champion_and_writes_alias_event_and_messages(ledger: Ledger) -> None:
    serve(ledger, "1")
    register(ledger, "2")
    gate = {"gain": 0.03}
    made = ledger.models.promote(
        "m", "2", expected_champion="1", reason="gain 0.03", gate=gate, notify=[ONCALL, TEAM, ONCALL], now=NOW
    )
    alias, event, *messages = ledger.outbox.rows()[2:]
    assert (made.new, made.from_version, made.gate, ledger.models.champion("m")) == (True, "1", gate, "2")
    assert alias.payload["aliases"] == {"champion": "2", "previous": "1", "challenger": None}
    assert event.payload["event"] == "retrue.model.promoted"
    assert [message.payload["block"] for message in messages] == [ONCALL, TEAM]
    assert messages[0].payload["subject"] == "m: version 2 promoted"


def test_a_challenger_compared_with_an_old_champion_is_not_promoted(ledger: Ledger) -> None:
    serve(ledger, "1", "2")
    register(ledger, "3")
    effects = ledger.outbox.rows()
    with pytest.raises(FencedError, match="champion of m is 2, not 1"):
        ledger.models.promote("m", "3", expected_champion="1", reason="", now=NOW)
    assert (ledger.models.champion("m"), ledger.outbox.rows()) == ("2", effects)


def test_promoting_again_changes_nothing(ledger: Ledger) -> None:
    serve(ledger, "1")
    commit(ledger, verdict(0, DROP))
    (request,) = ledger.requests.list("m")
    token = ledger.requests.claim(request.id, NOW).token
    register(ledger, "2")
    made = {"expected_champion": "1", "reason": "", "request": request.id, "token": token, "now": NOW}
    first = ledger.models.promote("m", "2", **made)  # type: ignore[arg-type]
    effects = ledger.outbox.rows()
    again = ledger.models.promote("m", "2", **made)  # type: ignore[arg-type]
    without_request = ledger.models.promote("m", "2", expected_champion="1", reason="", now=NOW)
    assert (first.new, again.new, again.id, without_request.id) == (True, False, first.id, first.id)
    assert ledger.outbox.rows() == effects


def test_rollback_goes_back_one_version_at_a_time(ledger: Ledger) -> None:
    serve(ledger, "1", "2", "3")
    back = ledger.models.rollback("m", reason="worse on Mondays", by="ada", notify=[ONCALL], now=NOW)
    assert (back.action, back.version, back.from_version, back.actor) == ("rolled-back", "2", "3", "ada")
    alias, event, message = ledger.outbox.rows()[-3:]
    assert alias.payload["aliases"] == {"champion": "2", "previous": "1"}
    assert event.payload["event"] == "retrue.model.rolled-back"
    assert message.payload["subject"] == "m: version 2 is back"
    assert ledger.models.rollback("m", reason="", by="ada", now=NOW).version == "1"
    with pytest.raises(ModelError, match="no version to go back to from 1"):
        ledger.models.rollback("m", reason="", by="ada", now=NOW)


def test_a_rolled_back_version_can_be_promoted_again(ledger: Ledger) -> None:
    serve(ledger, "1", "2")
    ledger.models.rollback("m", reason="", by="ada", now=NOW)
    assert ledger.models.promote("m", "2", expected_champion="1", reason="", now=NOW).new
    assert [move.action for move in ledger.models.promotions("m")] == [
        "promoted",
        "rolled-back",
        "promoted",
        "promoted",
    ]
    assert ledger.models.champion("m") == "2"


def test_rows_served_by_an_older_version_ask_for_no_retraining(ledger: Ledger) -> None:
    serve(ledger, "1", "2")
    committed = commit(ledger, verdict(0, DROP, version="1"))
    assert committed.decision.retrain is None
    assert committed.decision.retrain_reason.endswith("version 1 served this window and the champion is 2.")


def test_a_baseline_is_known_by_its_latest_digest(ledger: Ledger) -> None:
    assert ledger.models.baseline_digest("m", "1") is None
    for digest in ("old", "old", "new"):
        ledger.models.register_baseline("m", "1", digest, NOW)
    ledger.models.register_baseline("m", "2", "other", NOW + timedelta(days=1))
    assert ledger.models.baseline_digest("m", "1") == "new"


def test_a_baseline_has_had_its_digest_since_it_was_first_registered(ledger: Ledger) -> None:
    for days, digest in enumerate(("frozen", "without a person", "frozen")):
        ledger.models.register_baseline("m", "1", digest, NOW + timedelta(days=days))
    assert ledger.models.baseline_registered_at("m", "1", "frozen") == NOW
    assert ledger.models.baseline_registered_at("m", "1", "without a person") == NOW + timedelta(days=1)
    assert ledger.models.baseline_registered_at("m", "2", "frozen") is None
