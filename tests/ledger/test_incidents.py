from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from retrue.errors import LedgerError
from retrue.ledger import Ledger
from retrue.results import Severity
from tests.ledger.verdicts import DRIFT, DROP, NOW, commit, verdict, watched


def messages(ledger: Ledger) -> list[object]:
    return [row.payload["body"] for row in ledger.outbox.rows(kind="notify")]


def test_incidents_are_listed_gravest_first_by_model_and_state(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DRIFT, DROP))
    commit(ledger, verdict(0, DRIFT, model="other"))
    assert [incident.severity for incident in ledger.incidents.list("m")] == [Severity.CRITICAL, Severity.WARNING]
    assert len(ledger.incidents.list()) == 3
    assert ledger.incidents.list("m", state="resolved") == ()


def test_how_far_a_finding_was_beyond_its_threshold_is_remembered(ledger: Ledger) -> None:
    """A window judged late asks again where the incident stands, by what the ledger holds."""
    by_default = watched(alarms={})
    commit(ledger, verdict(1, replace(DRIFT, excess=3.0)), of=by_default)
    commit(ledger, verdict(0), of=by_default)
    (incident,) = ledger.incidents.list()
    assert (incident.state, incident.opened_window) == ("open", verdict(1).window.start)


def test_a_fingerprint_may_be_shortened(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    (incident,) = ledger.incidents.list()
    assert ledger.incidents.get(incident.fingerprint[:6]) == incident


@pytest.mark.parametrize("unknown", ["zz", "", "%", "_"])
def test_an_unknown_fingerprint_is_refused(ledger: Ledger, unknown: str) -> None:
    commit(ledger, verdict(0, DROP))
    with pytest.raises(LedgerError, match="no incident begins with"):
        ledger.incidents.get(unknown)


def test_an_ambiguous_fingerprint_is_refused(ledger: Ledger) -> None:
    for number in range(17):  # more than there are first digits
        commit(ledger, verdict(0, DRIFT, model=f"m{number}"))
    firsts = [incident.fingerprint[0] for incident in ledger.incidents.list()]
    twice = next(first for first in firsts if firsts.count(first) > 1)
    with pytest.raises(LedgerError, match="more than one incident begins"):
        ledger.incidents.get(twice)


def test_an_acknowledged_incident_is_not_repeated_but_its_end_is_told(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    (incident,) = ledger.incidents.list()
    assert ledger.incidents.acknowledge(incident.fingerprint, by="ada", now=NOW).state == "acknowledged"
    commit(ledger, verdict(5, DROP))
    commit(ledger, verdict(6))
    assert messages(ledger) == ["opened performance.drop", "resolved performance.drop"]


def test_a_resolved_incident_cannot_be_acknowledged(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    commit(ledger, verdict(1))
    with pytest.raises(LedgerError, match="resolved already"):
        ledger.incidents.acknowledge(ledger.incidents.list()[0].fingerprint, by="ada", now=NOW)


def test_a_muted_incident_is_recorded_and_sends_nothing_until_the_mute_ends(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    (incident,) = ledger.incidents.list()
    ledger.incidents.mute(incident.fingerprint, until=NOW + timedelta(hours=2), reason="known", by="ada", now=NOW)
    commit(ledger, verdict(3, DROP), now=NOW + timedelta(hours=1))
    assert messages(ledger) == ["opened performance.drop"]
    assert ledger.incidents.list()[0].last_window == verdict(3).window.start
    commit(ledger, verdict(4, DROP), now=NOW + timedelta(hours=2))
    assert messages(ledger) == ["opened performance.drop", "repeated performance.drop"]


def test_a_mute_outlives_the_process_and_ends_in_utc_through_a_change_of_clocks(empty_url: str, tmp_path: Path) -> None:
    paris = ZoneInfo("Europe/Paris")
    set_at = datetime(2025, 10, 26, 0, 0, tzinfo=UTC)
    second_half_past_two = datetime(2025, 10, 26, 2, 30, tzinfo=paris, fold=1)  # 01:30 UTC; the first one is 00:30
    with Ledger.open(empty_url, root=tmp_path) as ledger:
        commit(ledger, verdict(0, DROP))
        fingerprint = ledger.incidents.list()[0].fingerprint
        ledger.incidents.mute(fingerprint, until=second_half_past_two, reason="night", by="ada", now=set_at)
    with Ledger.open(empty_url, root=tmp_path) as ledger:
        assert len(ledger.incidents.mutes(datetime(2025, 10, 26, 1, 29, tzinfo=UTC), model="m")) == 1
        assert ledger.incidents.mutes(datetime(2025, 10, 26, 1, 30, tzinfo=UTC)) == ()


def test_a_mute_needs_a_reason_an_author_and_a_future(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    (incident,) = ledger.incidents.list()
    later = NOW + timedelta(days=1)
    for until, reason, by in ((NOW, "known", "ada"), (later, " ", "ada"), (later, "known", "")):
        with pytest.raises(LedgerError, match="a mute"):
            ledger.incidents.mute(incident.fingerprint, until=until, reason=reason, by=by, now=NOW)


def test_unmuting_lets_messages_through_again(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    (incident,) = ledger.incidents.list()
    ledger.incidents.mute(incident.fingerprint, until=NOW + timedelta(days=9), reason="known", by="ada", now=NOW)
    ledger.incidents.unmute(incident.fingerprint)
    commit(ledger, verdict(1))
    assert messages(ledger)[-1] == "resolved performance.drop"


def test_a_mute_until_it_escalates_has_no_date_and_ends_when_the_finding_becomes_graver(ledger: Ledger) -> None:
    mild = replace(DROP, severity=Severity.WARNING)
    quiet = watched(retrain=None)
    commit(ledger, verdict(0, mild), of=quiet)
    fingerprint = ledger.incidents.list()[0].fingerprint
    muted = ledger.incidents.mute(fingerprint, until=None, reason="known", by="ada", now=NOW)
    assert (muted.until, ledger.incidents.mutes(NOW + timedelta(days=999))) == (None, (muted,))
    commit(ledger, verdict(4, mild), of=quiet)
    assert len(messages(ledger)) == 1
    commit(ledger, verdict(5, DROP), of=quiet)
    assert messages(ledger)[1:] == ["repeated performance.drop"]
    assert ledger.incidents.mutes(NOW) == ()


def test_everything_of_an_incident_is_told(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    commit(ledger, verdict(1, DROP))
    fingerprint = ledger.incidents.list()[0].fingerprint
    ledger.incidents.acknowledge(fingerprint, by="ada", now=NOW)
    ledger.incidents.mute(fingerprint, until=NOW + timedelta(days=1), reason="known", by="bob", now=NOW)
    commit(ledger, verdict(2))
    story = ledger.incidents.tell(fingerprint[:6])
    assert [(step.window, step.change.value, step.value, step.message) for step in story.steps] == [
        (verdict(0).window, "opened", "0.55", "performance.drop on roc_auc."),
        (verdict(1).window, "continued", "0.55", "performance.drop on roc_auc."),
        (verdict(2).window, "resolved", "", ""),
    ]
    assert [(mute.by, mute.reason) for mute in story.mutes] == [("bob", "known")]
    assert [message.payload["body"] for message in story.messages] == ["opened performance.drop"]
    assert (story.incident.state, story.acknowledged_by) == ("resolved", None)


TWO_OF_THREE = watched(alarms={"kinds": {"drift": {"open": {"after": 2, "of": 3}, "resolve": {"after": 2}}}})


def test_windows_in_any_order_open_and_resolve_the_same(ledger: Ledger) -> None:
    for model, order in {"forth": (0, 1, 2, 3), "back": (3, 2, 1, 0)}.items():
        for number in order:
            found = (DRIFT,) if number in (0, 2, 3) else ()
            commit(ledger, verdict(number, *found, model=model), of=TWO_OF_THREE)
    forth, back = (ledger.incidents.list(model)[0] for model in ("forth", "back"))
    assert (forth.opened_window, forth.last_window) == (verdict(2).window.start, verdict(3).window.start)
    assert (back.opened_window, back.last_window) == (forth.opened_window, forth.last_window)
    assert messages(ledger) == ["opened drift.column"] * 2


def test_a_window_judged_again_counts_by_its_newest_revision(ledger: Ledger) -> None:
    for number in range(3):
        commit(ledger, verdict(number, DRIFT), of=TWO_OF_THREE)
    for number in (0, 1):
        commit(ledger, verdict(number, data="mended"), of=TWO_OF_THREE)
    assert [each.state for each in ledger.incidents.list()] == ["resolved"]


def test_windows_without_verdicts_about_it_neither_open_nor_resolve(ledger: Ledger) -> None:
    blind = watched(alarms={"kinds": {"window": {"open": {"after": 2}}}})
    commit(ledger, verdict(0, reasons=["no rows"]), of=blind)
    assert ledger.incidents.list() == ()
    commit(ledger, verdict(1, reasons=["no rows"]), of=blind)
    assert [each.check for each in ledger.incidents.list()] == ["window.inconclusive"]
