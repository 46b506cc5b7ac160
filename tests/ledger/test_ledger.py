from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from retrue.errors import FencedError, LedgerError
from retrue.ledger import Ledger
from retrue.results import Change, Severity
from tests.ledger.verdicts import DRIFT, DROP, EXTRA, NOW, commit, render, serve, verdict, watched, week


def test_a_revision_reads_back_as_it_was_committed(ledger: Ledger) -> None:
    judged = verdict(0, DROP, DRIFT, EXTRA)
    committed = commit(ledger, judged)
    found = ledger.find(judged.key)
    assert committed.new
    assert found is not None
    assert (found.verdict, found.window, found.number) == (judged, week(0), 1)
    assert found.metrics == {"rows": 1000.0, "performance.roc_auc.realised": 0.55}
    assert (found.decision, found.judged_at, found.step) == (committed.decision, NOW, 7)
    assert ledger.revision(committed.id) == found


def test_hostile_text_reads_back(ledger: Ledger) -> None:
    name = "</script>\0\x1b[31m\u2028<!channel>'; DROP TABLE retrue_windows; --"
    judged = verdict(0, replace(DROP, scope=name))
    commit(ledger, judged)
    (incident,) = ledger.incidents.list("m")
    found = ledger.find(judged.key)
    assert found is not None
    assert found.verdict == judged
    assert incident.scope == name.replace("\0", "\\x00")


def test_the_same_verdict_twice_is_one_row_with_one_set_of_effects(ledger: Ledger) -> None:
    first = commit(ledger, verdict(0, DROP))
    effects = ledger.outbox.rows()
    again = commit(ledger, verdict(0, DROP), now=NOW + timedelta(hours=1))
    assert not again.new
    assert (again.id, again.number, again.judged_at, again.decision) == (first.id, 1, NOW, first.decision)
    assert ledger.outbox.rows() == effects
    assert len(ledger.revisions(week(0))) == 1


def test_changed_input_makes_revision_2_and_keeps_revision_1(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    second = commit(ledger, verdict(0, DROP, data="late rows"))
    assert second.new
    assert [revision.verdict.input_digest for revision in ledger.revisions(week(0))] == ["input", "late rows"]
    assert [revision.number for revision in ledger.revisions(week(0))] == [1, 2]


def test_a_revision_that_tells_the_same_sends_no_second_message(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    commit(ledger, verdict(0, DROP, data="late rows"))
    assert len(ledger.outbox.rows(kind="notify")) == 1
    assert len(ledger.outbox.rows(kind="record")) == 2


def test_every_new_revision_is_recorded_and_announced(ledger: Ledger) -> None:
    committed = commit(ledger, verdict(0))
    record, event = ledger.outbox.rows()
    assert (record.kind, record.payload["revision"]) == ("record", committed.id)
    assert (event.kind, event.payload["event"], event.payload["verdict"]) == (
        "event",
        "retrue.window.judged",
        "healthy",
    )


def test_an_older_claim_cannot_commit(ledger: Ledger) -> None:
    stopped = ledger.claim(week(0))
    commit(ledger, verdict(0, data="newer"))
    with pytest.raises(FencedError, match="took m 2013-04-04 over"):
        commit(ledger, verdict(0, DROP), token=stopped)
    assert [revision.verdict.input_digest for revision in ledger.revisions(week(0))] == ["newer"]
    assert ledger.incidents.list() == ()


def test_a_window_that_was_never_claimed_cannot_be_committed(ledger: Ledger) -> None:
    with pytest.raises(FencedError):
        commit(ledger, verdict(0), token=1)


def test_claims_of_one_window_do_not_fence_another(ledger: Ledger) -> None:
    token = ledger.claim(week(0))
    ledger.claim(week(1))
    ledger.claim(week(0, model="other"))
    assert commit(ledger, verdict(0), token=token).new


def test_a_nan_metric_is_refused_and_nothing_is_written(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match=r"'drift\.temp'"):
        ledger.commit(
            verdict(0), token=ledger.claim(week(0)), metrics={"drift.temp": float("nan")}, report_dir="", step=0,
            flow_run_url="", settings=watched(), render=render, now=NOW,
        )  # fmt: skip
    assert ledger.find(verdict(0).key) is None


def test_a_commit_that_fails_while_deciding_leaves_nothing_behind(ledger: Ledger) -> None:
    def broken(*_: object) -> tuple[str, str]:
        raise ZeroDivisionError

    token = ledger.claim(week(0))
    with pytest.raises(ZeroDivisionError):
        ledger.commit(
            verdict(0, DROP), token=token, metrics={}, report_dir="", step=0,
            flow_run_url="", settings=watched(), render=broken, now=NOW,
        )  # fmt: skip
    assert (ledger.revisions(week(0)), ledger.incidents.list(), ledger.outbox.rows()) == ((), (), ())


def test_a_process_killed_in_the_middle_of_a_commit_leaves_nothing_behind(
    empty_url: str, tmp_path: Path, doomed: Callable[[str, Path], int]
) -> None:
    with Ledger.open(empty_url, root=tmp_path) as ledger:
        assert doomed(empty_url, tmp_path) == -9
        assert (ledger.revisions(week(0)), ledger.incidents.list(), ledger.outbox.rows()) == ((), (), ())
        assert commit(ledger, verdict(0, DROP)).number == 1


def test_a_breach_opens_an_incident_a_message_and_a_request_in_one_commit(ledger: Ledger) -> None:
    serve(ledger, "1")
    committed = commit(ledger, verdict(0, DROP))
    (incident,) = ledger.incidents.list("m", state="open")
    (request,) = ledger.requests.list("m")
    (message,) = ledger.outbox.rows(kind="notify")
    (start,) = ledger.outbox.rows(kind="retrain")
    assert [change.change for change in committed.decision.changes] == [Change.OPENED]
    assert (incident.check, incident.severity, incident.attempt) == ("performance.drop", Severity.CRITICAL, 1)
    assert request.id == start.payload["request_id"] == f"m:{incident.fingerprint}:1"
    assert message.payload["body"] == "opened performance.drop"


def test_incidents_live_on_over_windows_and_are_resolved(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    commit(ledger, verdict(1, DROP))
    commit(ledger, verdict(2))
    (incident,) = ledger.incidents.list("m")
    bodies = [row.payload["body"] for row in ledger.outbox.rows(kind="notify")]
    assert (incident.state, incident.opened_window, incident.last_window) == ("resolved", week(0).start, week(1).start)
    assert bodies == ["opened performance.drop", "resolved performance.drop"]


def test_a_late_revision_of_a_past_window_changes_no_incident(ledger: Ledger) -> None:
    serve(ledger, "1")
    commit(ledger, verdict(0))
    commit(ledger, verdict(1))
    late = commit(ledger, verdict(0, DROP, data="late"))
    assert late.decision.changes == ()
    assert late.decision.retrain_reason == "No retraining: a newer window has been judged on the same checks."
    assert ledger.incidents.list() == ()
    assert ledger.requests.list() == ()


def test_a_second_request_waits_for_the_first(ledger: Ledger) -> None:
    serve(ledger, "1")
    commit(ledger, verdict(0, DROP))
    later = commit(ledger, verdict(4, DROP))
    assert later.decision.retrain is None
    assert "still open" in later.decision.retrain_reason


def test_a_request_nobody_ever_worked_on_is_abandoned_at_a_later_commit(ledger: Ledger) -> None:
    serve(ledger, "1")
    commit(ledger, verdict(0, DROP))
    later = commit(ledger, verdict(4, DROP), now=NOW + timedelta(days=30))
    newest, oldest = ledger.requests.list("m")
    assert later.decision.retrain is not None
    assert (oldest.state, oldest.reason) == ("failed", "abandoned: no flow run started it")
    assert newest.id.endswith(":2")


def test_history_is_the_newest_revision_of_each_window_oldest_first(ledger: Ledger) -> None:
    for number in (1, 0, 2):
        commit(ledger, verdict(number, DROP))
    commit(ledger, verdict(1, data="late"))
    commit(ledger, verdict(0, model="other"))
    points = ledger.history("m", limit=2)
    assert [(point.window, point.revision, point.line) for point in points] == [
        (week(1), 2, "healthy"),
        (week(2), 1, "breached: performance.drop(roc_auc)"),
    ]
    assert points[0].metrics["rows"] == 1000.0
    assert [point.window for point in ledger.history("m", limit=5, before=week(2).start)] == [week(0), week(1)]
    assert [revision.window for revision in ledger.latest("m")] == [week(2)]


def test_an_unknown_revision_is_an_error_and_an_unknown_key_is_none(ledger: Ledger) -> None:
    assert ledger.find("nothing") is None
    with pytest.raises(LedgerError, match="no such revision"):
        ledger.revision(99)
