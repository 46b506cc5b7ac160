"""The dead-man check on a real project: what it complains of, that it tells so once, and once that it is over."""

import socket
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
import yaml

from retrue.complaints import due_window
from retrue.delivery import Recorder
from retrue.ledger import Revision, Trial
from retrue.reports.message import render_message
from retrue.results import Outcome, RetrainCause, Severity, Verdict
from retrue.stages.doctor import Diagnosis, diagnose
from retrue.workspace import Workspace
from tests.stages.project import MODEL, NOW, ONCALL, TEAM, Shop, day, recorders, window

HOUR = timedelta(hours=1)
MEASURED: Mapping[str, float] = {"rows": 400.0, "performance.roc_auc.realised": 0.8}
SETTLED = day(3) + 2 * HOUR  # window 2 may be judged from then on
DUE = SETTLED + 12 * HOUR  # and must have been by then


def judged(
    workspace: Workspace, number: int, *, metrics: Mapping[str, float] = MEASURED, outcome: Outcome = Outcome.HEALTHY
) -> Revision:
    """A window's revision in the ledger, without the minutes of measuring it."""
    verdict = Verdict(
        window=window(number), outcome=outcome, findings=(), reasons=("empty",) * (outcome is Outcome.INCONCLUSIVE),
        model_version="1", input_digest="i", config_digest="c", baseline_digest="b",
    )  # fmt: skip
    return workspace.ledger.commit(
        verdict, token=workspace.ledger.claim(window(number)), metrics=metrics, report_dir=f".retrue/reports/shop/{number}",
        step=number, flow_run_url="", settings=workspace.project.model(MODEL), render=render_message, now=workspace.now(),
    )  # fmt: skip


def examined(shop: Shop, now: datetime, carriers: Mapping[str, Recorder] | None = None) -> Diagnosis:
    with shop.open(carriers=recorders() if carriers is None else carriers, now=now) as workspace:
        return diagnose(workspace)


def checks(diagnosis: Diagnosis) -> list[str]:
    return [f"{each.check} {each.subject}".strip() for each in diagnosis.complaints]


@pytest.fixture
def watched(shop: Shop) -> Shop:
    """The project with windows 0 and 1 judged and mirrored."""
    carriers = recorders()
    with shop.open(carriers=carriers, now=SETTLED - 24 * HOUR) as workspace:
        judged(workspace, 0)
        judged(workspace, 1)
        diagnose(workspace)
    return shop


def test_a_project_that_is_watched_as_it_should_be_has_no_complaint(watched: Shop) -> None:
    carriers = recorders()
    found = examined(watched, SETTLED, carriers)
    assert (found.complaints, found.outcome, found.line) == ((), "healthy", "nothing to complain of")
    assert carriers["notify"].sent == []


def test_a_window_is_overdue_half_its_length_after_it_has_settled(watched: Shop) -> None:
    assert checks(examined(watched, DUE - timedelta(microseconds=1))) == []
    found = examined(watched, DUE)
    assert checks(found) == ["schedule.stalled"]
    assert "ended 2025-03-12 00:00 UTC, the one that ended 2025-03-13 00:00 UTC was due" in found.complaints[0].message
    assert found.outcome == "breached"


def test_grace_is_an_hour_at_least_and_a_day_at_most(watched: Shop) -> None:
    with watched.open() as workspace:
        plain = workspace.project.model(MODEL).window
    for every, late in (("15m", HOUR), ("7d", timedelta(days=1))):
        settings = plain.model_validate({"every": every, "settle": "2h"})
        end = settings.grid.floor(NOW)
        assert due_window(MODEL, settings, end + 2 * HOUR + late).end == end
        assert due_window(MODEL, settings, end + 2 * HOUR + late - timedelta(seconds=1)).end < end


def test_a_stall_is_told_once_to_the_critical_receivers_and_once_when_it_is_over(watched: Shop) -> None:
    carriers = recorders()
    for hours in (0, 1, 2, 71):
        examined(watched, DUE + hours * HOUR, carriers)
    (message,) = carriers["notify"].sent
    assert message["block"] == ONCALL
    assert message["subject"] == "[critical] monitoring: shop schedule.stalled: opened"
    assert "Next: Look at the worker" in str(message["body"])
    with watched.open(carriers=carriers, now=DUE + 72 * HOUR) as workspace:
        for number in range(2, 6):
            judged(workspace, number)
        over = diagnose(workspace)
    assert [each.label for each in over.news.resolved] == ["shop schedule.stalled"]
    examined(watched, DUE + 73 * HOUR, carriers)
    assert [each["subject"] for each in carriers["notify"].sent[1:]] == ["monitoring: shop schedule.stalled: resolved"]


def test_a_second_stall_is_told_again(watched: Shop) -> None:
    carriers = recorders()
    examined(watched, DUE, carriers)
    with watched.open(carriers=carriers, now=DUE + HOUR) as workspace:
        judged(workspace, 2)
        diagnose(workspace)
    examined(watched, DUE + timedelta(days=1), carriers)
    subjects = [str(each["subject"]) for each in carriers["notify"].sent]
    assert [subject.rpartition(" ")[2] for subject in subjects] == ["opened", "resolved", "opened"]


def test_a_model_that_was_never_judged_is_a_complaint(shop: Shop) -> None:
    found = examined(shop, SETTLED)
    assert checks(found) == ["schedule.never"]
    assert found.complaints[0].severity is Severity.WARNING


def test_effects_that_wait_for_more_than_an_hour_are_one_complaint(watched: Shop) -> None:
    with watched.open(carriers={}, now=SETTLED) as workspace:
        judged(workspace, 2)
    assert checks(examined(watched, SETTLED + HOUR, {})) == []
    found = examined(watched, SETTLED + HOUR + timedelta(seconds=1), {})
    assert checks(found) == ["outbox.waiting"]
    assert "(1 event, 1 record)" in found.complaints[0].message
    assert checks(examined(watched, SETTLED + 2 * HOUR)) == [], "delivered before it is examined"


def test_effects_that_were_given_up_are_a_complaint_by_kind_with_the_last_error(watched: Shop) -> None:
    with watched.open(carriers={}, now=SETTLED) as workspace:
        judged(workspace, 2)
        (row,) = workspace.ledger.outbox.take_due(SETTLED, "w", kinds=["event"])
        workspace.ledger.outbox.mark_failed(row, "410 gone", SETTLED + timedelta(days=1))
    found = examined(watched, SETTLED + HOUR)
    assert checks(found) == ["outbox.undelivered event"]
    assert found.complaints[0].message == "1 event effects of shop were given up, the last one: 410 gone"


def test_a_model_without_a_champion_is_a_complaint(watched: Shop) -> None:
    other = yaml.safe_load((watched.root / "retrue.yaml").read_text())
    other["models"]["new"] = {**other["models"][MODEL], "expectations": None}
    (watched.root / "retrue.yaml").write_text(yaml.safe_dump(other))
    found = examined(watched, SETTLED)
    assert [each.label for each in found.complaints] == ["new schedule.never", "new baseline.champion"]


def test_a_champion_without_its_baseline_is_a_complaint(watched: Shop) -> None:
    with watched.open(now=SETTLED) as workspace:
        models = workspace.ledger.models
        models.register_version(MODEL, "2", sha256="", kind="external", run_id="", now=SETTLED)
        models.promote(MODEL, "2", expected_champion="1", reason="better", now=SETTLED)
    assert checks(examined(watched, SETTLED)) == ["baseline.missing"]


def test_a_baseline_that_was_changed_by_hand_is_a_complaint(watched: Shop) -> None:
    description = watched.root / "baselines" / MODEL / "1" / "baseline.json"
    description.write_text(description.read_text().replace("five good days", "six good days"))
    found = examined(watched, SETTLED)
    assert checks(found) == ["baseline.damaged"]
    assert "baseline.json was changed" in found.complaints[0].message


def test_a_baseline_that_the_ledger_does_not_know_is_a_complaint(watched: Shop) -> None:
    with watched.open(now=SETTLED) as workspace:
        workspace.ledger.models.register_baseline(MODEL, "1", "another", SETTLED)
    assert checks(examined(watched, SETTLED)) == ["baseline.changed"]


CAUSE = RetrainCause(
    model=MODEL, fingerprint="f" * 32, check="performance.drop", scope="", attempt=1, as_of=SETTLED, message="dropped",
)  # fmt: skip


def test_a_retraining_that_nobody_takes_up_is_a_complaint_after_a_day(watched: Shop) -> None:
    with watched.open(now=SETTLED - 24 * HOUR) as workspace:
        request = workspace.ledger.requests.open(CAUSE, workspace.now())
    assert checks(examined(watched, SETTLED)) == []
    assert checks(examined(watched, SETTLED + timedelta(seconds=1))) == [f"retraining.stuck {request.id}"]
    with watched.open(now=SETTLED) as workspace:
        workspace.ledger.requests.cancel(request.id, by="me", reason="enough", now=SETTLED)
    assert checks(examined(watched, SETTLED + HOUR)) == []


def waits(shop: Shop, *, ends_at: datetime, patience: timedelta = timedelta(days=30)) -> str:
    """A request asked for three days ago, whose shadow judges by the windows up to a time."""
    with shop.open(now=SETTLED - 72 * HOUR) as workspace:
        requests, now = workspace.ledger.requests, workspace.now()
        token = requests.claim(requests.open(CAUSE, now).id, now).token
        request = requests.list(MODEL)[0].id
        trial = Trial(
            request_id=request, kind="shadow", version="2", champion="1", rows_from=day(0), fresh_from=day(0), ends_at=ends_at,
        )  # fmt: skip
        requests.watch(trial, token=token, look=None, patience=patience, now=now)
    return request


def test_a_challenger_that_waits_for_later_windows_is_no_complaint(watched: Shop) -> None:
    waits(watched, ends_at=day(3))
    assert checks(examined(watched, SETTLED)) == []


def test_a_challenger_that_waits_past_its_patience_is_a_complaint(watched: Shop) -> None:
    request = waits(watched, ends_at=day(3), patience=72 * HOUR)
    assert checks(examined(watched, SETTLED - timedelta(seconds=1))) == []
    assert checks(examined(watched, SETTLED)) == [f"retraining.stuck {request}"]


def test_a_look_that_is_due_and_that_nobody_asked_for_is_a_complaint_a_day_after_its_window_was_judged(
    watched: Shop,
) -> None:
    request = waits(watched, ends_at=day(2))
    assert checks(examined(watched, SETTLED)) == []
    assert checks(examined(watched, SETTLED + timedelta(seconds=1))) == [f"retraining.stuck {request}"]


def test_a_look_that_was_asked_for_again_is_due_since_it_was_asked_for_first(watched: Shop) -> None:
    request = waits(watched, ends_at=day(2))
    with watched.open(now=SETTLED) as workspace:
        requests = workspace.ledger.requests
        requests.ask_look(request, day(2), SETTLED - 12 * HOUR)
        token = requests.claim(request, SETTLED - 11 * HOUR).token
        trial = requests.trial(request)
        assert trial is not None
        requests.watch(trial, token=token, look=None, patience=timedelta(days=9), now=SETTLED - 11 * HOUR)
        requests.ask_look(request, day(2), SETTLED)
        judged(workspace, 2)
    assert checks(examined(watched, SETTLED + 12 * HOUR)) == []
    (found,) = examined(watched, SETTLED + 13 * HOUR).complaints
    assert "has a challenger that nobody has looked at since 2025-03-12 14:00 UTC" in found.message


def test_a_flow_run_that_works_on_an_old_request_is_no_complaint_until_its_claim_has_run_out(watched: Shop) -> None:
    request = waits(watched, ends_at=day(3))
    with watched.open() as workspace:
        workspace.ledger.requests.claim(request, SETTLED - HOUR, lease_seconds=3600)
    assert checks(examined(watched, SETTLED - timedelta(seconds=1))) == []
    assert checks(examined(watched, SETTLED)) == [f"retraining.stuck {request}"]


def test_a_retraining_that_meets_no_mlflow_for_a_day_is_a_complaint_that_says_so(watched: Shop) -> None:
    with watched.open(now=SETTLED - 25 * HOUR) as workspace:
        request = workspace.ledger.requests.open(CAUSE, workspace.now()).id
        token = workspace.ledger.requests.claim(request, workspace.now()).token
        workspace.ledger.requests.release(request, token=token, reason="MLflow is down", now=workspace.now())
    (found,) = examined(watched, SETTLED).complaints
    assert "did not get through (MLflow is down): " in found.message


def test_matured_windows_whose_performance_was_never_judged_are_one_complaint_until_newer_ones_are(shop: Shop) -> None:
    with shop.open(carriers=recorders(), now=day(40)) as workspace:
        for number in range(8):
            judged(workspace, number, metrics={"rows": 400.0} if number in (5, 6) else MEASURED)
        (late,) = (each for each in diagnose(workspace).complaints if each.check == "labels.late")
    assert late.message.startswith("2 windows that ended before 2025-03-19 10:00 UTC")
    assert late.next_step.endswith("`retrue backfill shop --start 2025-03-15T00:00 --end 2025-03-17T00:00`.")
    with shop.open(carriers=recorders(), now=day(50)) as workspace:
        for number in range(8, 18):
            judged(workspace, number)
        assert "labels.late" not in checks(diagnose(workspace))


@pytest.mark.parametrize(
    ("metrics", "outcome", "after_days", "late"),
    [
        ({"rows": 400.0}, Outcome.HEALTHY, 34, True),
        ({"rows": 400.0}, Outcome.HEALTHY, 30, False),
        ({"rows": 0.0}, Outcome.INCONCLUSIVE, 34, False),
        (MEASURED, Outcome.HEALTHY, 34, False),
    ],
)
def test_labels_are_late_once_a_window_without_performance_has_matured(
    shop: Shop, metrics: Mapping[str, float], outcome: Outcome, after_days: int, late: bool
) -> None:
    with shop.open(carriers=recorders(), now=SETTLED) as workspace:
        judged(workspace, 0, metrics=metrics, outcome=outcome)
    found = checks(examined(shop, day(after_days)))
    assert ("labels.late" in found) is late


def test_a_broken_set_up_of_one_model_leaves_the_others_examined(watched: Shop) -> None:
    document = yaml.safe_load((watched.root / "retrue.yaml").read_text())
    broken = {**document["models"][MODEL], "expectations": "expectations/none.json", "notify": {"warning": [TEAM]}}
    document["models"] = {"broken": broken, **document["models"]}
    (watched.root / "retrue.yaml").write_text(yaml.safe_dump(document))
    carriers = recorders()
    found = examined(watched, DUE, carriers)
    assert [each.label for each in found.complaints] == [
        "broken schedule.never",
        "broken baseline.champion",
        "broken setup.suite",
        "shop schedule.stalled",
    ]
    told = {str(each["block"]): str(each["subject"]) for each in carriers["notify"].sent}
    assert told == {
        TEAM: "[critical] monitoring: 3 opened",
        ONCALL: "[critical] monitoring: shop schedule.stalled: opened",
    }


@pytest.mark.parametrize(
    ("train", "code", "why"),
    [
        ("training:nothing", None, "has no attribute 'nothing'"),
        ("absent:train", None, "No module named 'absent'"),
        ("leaving:train", "raise SystemExit('I leave')", "I leave"),
        ("training:train", None, None),
    ],
)
def test_a_train_function_that_cannot_be_imported_is_a_complaint(
    watched: Shop, train: str, code: str | None, why: str | None
) -> None:
    if code:
        (watched.root / "leaving.py").write_text(code)
    watched.configure(retrain={"train": train})
    found = examined(watched, SETTLED)
    assert checks(found) == (["setup.train"] if why else [])
    assert not why or why in found.complaints[0].message


def test_mlflow_that_does_not_answer_is_told_once_to_everybody(watched: Shop) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        watched.configure(mlflow=f"http://user:s3cret@127.0.0.1:{taken.getsockname()[1]}")
        carriers = recorders()
        for _ in range(2):
            found = examined(watched, SETTLED, carriers)
    assert checks(found) == ["setup.mlflow"]
    (message,) = carriers["notify"].sent
    assert (message["block"], message["severity"]) == (ONCALL, "warning")
    assert "s3cret" not in str(message)


def test_a_doctor_that_dies_before_delivery_has_its_message_sent_by_the_next(watched: Shop) -> None:
    examined(watched, DUE, {})
    carriers = recorders()
    examined(watched, DUE + HOUR, carriers)
    assert len(carriers["notify"].sent) == 1
