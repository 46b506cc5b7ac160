from datetime import timedelta

from retrue.ledger import Ledger
from tests.ledger.verdicts import DROP, NOW, commit, serve, verdict

DAY = timedelta(days=1)
SOON = timedelta(microseconds=1)


def end(ledger: Ledger, kind: str, *, result: dict[str, object] | None = None) -> None:
    for row in ledger.outbox.take_due(NOW, "w", kinds=[kind]):
        ledger.outbox.mark_done(row, result or {}, NOW)


def test_traces_say_where_reports_and_runs_are_and_what_still_waits(ledger: Ledger) -> None:
    commit(ledger, verdict(0), now=NOW - DAY)
    end(ledger, "record", result={"mlflow_run_id": "run"})
    commit(ledger, verdict(1))
    commit(ledger, verdict(0, model="other"))
    first, second = ledger.purges.traces("m")
    assert (first.key, first.report_dir, first.judged_at) == (verdict(0).key, ".retrue/reports/m", NOW - DAY)
    assert [(each.mlflow_run_id, each.waits) for each in (first, second)] == [("run", False), (None, True)]


def test_a_run_is_forgotten_and_the_verdict_stays(ledger: Ledger) -> None:
    made = commit(ledger, verdict(0))
    end(ledger, "record", result={"mlflow_run_id": "run"})
    ledger.purges.forget_run("run")
    assert ledger.revision(made.id).mlflow_run_id is None
    assert ledger.revision(made.id).verdict == verdict(0)


def test_effects_that_have_ended_are_dropped_and_those_that_wait_are_not(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    end(ledger, "event")
    for row in ledger.outbox.take_due(NOW, "w", kinds=["notify"]):
        ledger.outbox.mark_failed(row, "410 gone", NOW + DAY)  # given up
    assert ledger.purges.count_ended("m", before=NOW) == 0
    assert ledger.purges.count_ended("m", before=NOW + SOON) == ledger.outbox.counts()["event", "done"]
    assert ledger.purges.oldest_effect("m", since=NOW + 2 * DAY) == NOW
    before = sum(ledger.outbox.counts().values())
    dropped = ledger.purges.drop_ended("m", before=NOW + 2 * DAY)
    assert dropped == before - sum(ledger.outbox.counts().values())
    assert {state for _, state in ledger.outbox.counts()} == {"pending"}
    assert ledger.purges.drop_ended("m", before=NOW + 2 * DAY) == 0


def test_effects_of_another_model_stay(ledger: Ledger) -> None:
    commit(ledger, verdict(0, model="other"))
    end(ledger, "event")
    assert ledger.purges.drop_ended("m", before=NOW + DAY) == 0


def test_a_receipt_is_written_before_and_completed_after(ledger: Ledger) -> None:
    number = ledger.purges.begin("m", {"reports": 3}, NOW)
    (begun,) = ledger.purges.list("m")
    assert (begun.planned, begun.removed, begun.finished_at) == ({"reports": 3}, {}, None)
    ledger.purges.finish(number, removed={"reports": 2}, oldest_kept={"reports": NOW.isoformat()}, now=NOW + DAY)
    (done,) = ledger.purges.list("m")
    assert (done.removed, done.oldest_kept, done.finished_at) == (
        {"reports": 2},
        {"reports": NOW.isoformat()},
        NOW + DAY,
    )


def test_every_model_the_ledger_has_heard_of_is_known(ledger: Ledger) -> None:
    serve(ledger, "1", model="b")
    commit(ledger, verdict(0, model="a"))
    assert ledger.purges.models() == ("a", "b")
