"""Judging a window: once for the same input, again for another, and what becomes of its effects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from retrue.errors import BaselineError, ConfigError, DeliveryError, FencedError, SuiteError
from retrue.results import Outcome
from retrue.stages.backfill import count_outcomes, judge_matured, judge_span
from retrue.stages.digest import make_digests
from retrue.stages.monitor import carry_out, monitor_window, window_to_judge
from retrue.stages.publish import publish
from retrue.stages.status import describe
from tests.cli.run import run, run_json
from tests.stages.project import (
    DAY,
    MODEL,
    NOW,
    ONCALL,
    TEAM,
    Shop,
    day,
    document,
    labels,
    recorders,
    records,
    window,
)

T = TypeVar("T")
WINDOW = ("monitor", MODEL, "--window-end", "2025-03-11", "-C")


@pytest.fixture
def breached(shop: Shop) -> Shop:
    """A project whose first window misses a column."""
    shop.log([{key: value for key, value in row.items() if key != "features.income"} for row in records(day(0))])
    return shop


def healthy(shop: Shop, number: int) -> None:
    shop.log(rows := records(day(number)))
    shop.label(labels(rows))


def outbox(shop: Shop) -> Counter[str]:
    """How many effects of every kind judging windows has brought, in any state."""
    with shop.open() as workspace:
        rows = workspace.ledger.outbox.rows()
    return Counter(row.kind for row in rows if row.created_at >= NOW)


# ---------------------------------------------------------------- judged once


def test_a_window_judged_twice_is_one_revision_with_one_set_of_effects(breached: Shop) -> None:
    first, facts = run_json(*WINDOW, breached.root)
    effects = outbox(breached)
    second, again = run_json(*WINDOW, breached.root)
    assert (first, second) == (1, 1)
    assert (facts["new"], again["new"]) == (True, False)
    assert {**again, "new": True} == facts
    assert outbox(breached) == effects == {"record": 1, "event": 2, "notify": 1}
    with breached.open() as workspace:
        assert len(workspace.ledger.revisions(window())) == 1
    assert "r1, judged before on the same input" in run(*WINDOW, breached.root).stdout


def test_a_window_judged_twice_keeps_its_reports(breached: Shop) -> None:
    judged = breached.judge()
    before = {path.name: path.stat().st_mtime_ns for path in judged.report_dir.iterdir()}
    assert breached.judge().report_dir == judged.report_dir
    assert {path.name: path.stat().st_mtime_ns for path in judged.report_dir.iterdir()} == before


def test_rows_in_other_files_and_another_order_are_the_same_input(breached: Shop) -> None:
    breached.judge()
    (whole,) = breached.root.glob("logs/*")
    whole.unlink()
    rows = [{key: value for key, value in row.items() if key != "features.income"} for row in records(day(0))]
    breached.log(rows[:150], name="b")
    breached.log_lines(rows[:149:-1], name="a")
    assert not breached.judge().revision.new


def test_another_value_in_the_input_is_revision_2_and_tells_nobody_again(breached: Shop) -> None:
    breached.judge()
    rows = [{key: value for key, value in row.items() if key != "features.income"} for row in records(day(0))]
    breached.log([{**rows[0], "features.age": 21.5}, *rows[1:]])
    second = breached.judge()
    assert (second.revision.number, second.revision.new) == (2, True)
    assert second.verdict.outcome is Outcome.BREACHED
    assert outbox(breached) == {"record": 2, "event": 3, "notify": 1}


def test_another_threshold_is_revision_2(breached: Shop) -> None:
    first = breached.judge()
    breached.configure(drift={"numeric": {"threshold": 0.001}, "categorical": {"threshold": 0.2}})
    second = breached.judge()
    assert (second.revision.number, second.revision.new) == (2, True)
    assert len(second.verdict.findings) > len(first.verdict.findings)
    assert second.report_dir != first.report_dir
    assert document(second.report_dir)["revision"] == 2


def test_another_receiver_is_no_revision(breached: Shop) -> None:
    breached.judge()
    breached.configure(notify={"critical": [TEAM]})
    assert not breached.judge().revision.new


def test_an_edited_suite_is_revision_2(breached: Shop) -> None:
    breached.judge()
    path = breached.root / "expectations" / "shop.json"
    suite = json.loads(path.read_text())
    path.write_text(json.dumps({**suite, "expectations": suite["expectations"][:-1]}))
    assert breached.judge().revision.number == 2


def test_labels_that_arrive_later_are_revision_2_with_performance(shop: Shop) -> None:
    shop.log(rows := records(day(0)))
    first = shop.judge()
    assert [finding.label for finding in first.verdict.findings] == ["labels.coverage"]
    assert document(first.report_dir)["measurements"]["performance"] is None
    shop.label(labels(rows, sign=-1))
    second = shop.judge()
    assert (second.revision.number, second.verdict.line) == (2, "breached: performance.drop(roc_auc)")
    assert second.revision.metrics["performance.roc_auc.realised"] < 0.5
    assert shop.judge().revision.number == 2


def test_windows_whose_labels_have_come_are_judged_again_with_the_newest(shop: Shop) -> None:
    for number in range(3):
        shop.log(records(day(number)))
        shop.judge(number)
    shop.label(labels(records(day(1)), sign=-1))
    with shop.open(now=day(4)) as workspace:
        (matured,) = judge_matured(workspace, MODEL)
        assert list(judge_matured(workspace, MODEL)) == []
    assert (matured.verdict.window, matured.revision.number) == (window(1), 2)
    assert matured.verdict.line == "breached: performance.drop(roc_auc)"
    shop.label(labels(records(day(0)), sign=-1))
    with shop.open(now=day(1) + 30 * DAY) as workspace:
        assert list(judge_matured(workspace, MODEL)) == [], "its labels are over the horizon"


def test_labels_after_the_horizon_change_nothing(shop: Shop) -> None:
    shop.log(rows := records(day(0)))
    shop.judge()
    shop.label(labels(rows, sign=-1, after=timedelta(days=32)))
    assert not shop.judge().revision.new


# ---------------------------------------------------------------- effects


def test_without_a_server_effects_wait_and_are_carried_out_later_exactly_once(breached: Shop) -> None:
    judged = breached.judge()
    assert (judged.delivery.done, judged.delivery.pending) == (0, 4)
    assert "4 effects wait in the outbox for a Prefect or MLflow server" in run(*WINDOW, breached.root).stdout
    carriers = recorders()
    with breached.open(carriers=carriers) as workspace:
        assert carry_out(workspace).done == 4
        assert carry_out(workspace).done == 0
    assert breached.judge(carriers=carriers).delivery.done == 0
    sent = {kind: list(carrier.sent) for kind, carrier in carriers.items() if carrier.sent}
    assert {kind: len(payloads) for kind, payloads in sent.items()} == {"record": 1, "event": 2, "notify": 1}
    assert (sent["notify"][0]["block"], sent["notify"][0]["severity"]) == (ONCALL, "critical")
    assert {each["event"] for each in sent["event"]} == {"retrue.window.judged", "retrue.incident.opened"}
    assert "4 effects wait" not in run(*WINDOW, breached.root).stdout


def test_the_record_of_a_later_delivery_is_known_to_the_window(breached: Shop) -> None:
    assert breached.judge().revision.mlflow_run_id is None
    carriers = recorders()
    carriers["record"].result = {"mlflow_run_id": "run-7"}
    assert breached.judge(carriers=carriers).revision.mlflow_run_id == "run-7"


def test_a_receiver_that_refuses_changes_no_verdict_and_is_tried_again_later(breached: Shop) -> None:
    carriers = recorders()
    carriers["notify"].refusals = [DeliveryError("not now")]
    judged = breached.judge(carriers=carriers)
    assert judged.verdict.outcome is Outcome.BREACHED
    assert (judged.delivery.failed, judged.delivery.pending) == (1, 1)
    assert breached.judge(carriers=carriers).delivery.done == 0
    assert breached.judge(carriers=carriers, now=NOW + timedelta(minutes=1)).delivery.done == 1
    assert len(carriers["notify"].sent) == 1


def test_an_incident_is_told_when_it_opens_and_when_it_is_over(breached: Shop) -> None:
    carriers = recorders()
    breached.judge(carriers=carriers)
    healthy(breached, 1)
    judged = breached.judge(1, carriers=carriers)
    assert judged.verdict.outcome is Outcome.HEALTHY
    subjects = [str(payload["subject"]) for payload in carriers["notify"].sent]
    assert len(subjects) == 2
    assert "resolved" in subjects[1].lower() + str(carriers["notify"].sent[1]["body"]).lower()


def test_a_digest_gathers_information_once(shop: Shop) -> None:
    shop.log([{**row, "features.coupon": 1.0} for row in records(day(0))])
    shop.judge()
    carriers = recorders("notify")
    with shop.open(carriers=carriers) as workspace:
        (digest,) = make_digests(workspace)
        assert make_digests(workspace) == []
    assert [item.check for item in digest.items] == ["labels.coverage", "schema.extra"]
    assert [payload["block"] for payload in carriers["notify"].sent] == [TEAM]


# ---------------------------------------------------------------- other runs


def test_a_run_whose_window_was_claimed_by_another_writes_nothing(breached: Shop) -> None:
    with breached.open() as workspace:

        def overtaken(name: str, work: Callable[[], T]) -> T:
            if name == "commit":
                workspace.ledger.claim(window())
            return work()

        with pytest.raises(FencedError, match="another run took shop 2025-03-10 over"):
            monitor_window(workspace, window(), step=overtaken)
        assert workspace.ledger.revisions(window()) == ()
    assert outbox(breached) == {}
    assert breached.judge().revision.number == 1


def test_a_run_that_died_before_its_commit_leaves_the_window_to_the_next(breached: Shop) -> None:
    class Killed(BaseException):
        pass

    def dies(name: str, work: Callable[[], T]) -> T:
        if name == "commit":
            raise Killed
        return work()

    with breached.open() as workspace, pytest.raises(Killed):
        monitor_window(workspace, window(), step=dies)
    judged = breached.judge()
    assert (judged.revision.number, judged.revision.new) == (1, True)
    assert len(list(judged.report_dir.parent.iterdir())) == 1


# ---------------------------------------------------------------- set-ups that are broken


def test_without_any_baseline_nothing_is_judged(shop: Shop) -> None:
    healthy(shop, 0)
    (shop.root / "baselines" / MODEL).rename(shop.root / "away")
    with pytest.raises(BaselineError, match="shop has no baseline to compare with: run `retrue baseline shop`"):
        shop.judge()
    with shop.open() as workspace:
        assert workspace.ledger.revisions(window()) == ()


def test_a_version_without_baseline_is_inconclusive_where_others_have_one(shop: Shop) -> None:
    shop.log(records(day(0), version="9"))
    assert shop.judge().verdict.reasons == ("version 9 has no baseline: run `retrue baseline shop`",)


def test_two_versions_are_judged_as_the_one_that_served_most(shop: Shop) -> None:
    rows = records(day(0))
    shop.log([*rows[:300], *({**row, "model_version": "9"} for row in rows[300:])])
    judged = shop.judge()
    assert judged.verdict.model_version == "1"
    assert {finding.check for finding in judged.verdict.findings} == {"labels.coverage", "source.versions"}


def test_a_baseline_that_was_changed_by_hand_is_refused(shop: Shop) -> None:
    healthy(shop, 0)
    path = shop.root / "baselines" / MODEL / "1" / "baseline.json"
    path.write_text(path.read_text().replace('"null_share": 0.0', '"null_share": 0.5', 1))
    with pytest.raises(BaselineError, match="is not as it was frozen"):
        shop.judge()


def test_a_suite_that_cannot_be_read_is_refused(shop: Shop) -> None:
    (shop.root / "expectations" / "shop.json").write_text("{")
    with pytest.raises(SuiteError):
        shop.judge()


@pytest.mark.parametrize(
    ("blocks", "key"),
    [
        ({"drift": {"columns": {"incom": {"threshold": 1.0}}}}, "drift.columns"),
        ({"retrain": {"train": "training:train", "gate": {"slices": ["incom"]}}}, "retrain.gate.slices"),
    ],
)
def test_a_column_that_the_baseline_does_not_have_is_refused_with_the_nearest(
    shop: Shop, blocks: dict[str, object], key: str
) -> None:
    shop.configure(**blocks)
    healthy(shop, 0)
    with pytest.raises(ConfigError, match=f"models.shop.{key}: no column 'incom' \\(did you mean 'income'\\?\\)"):
        shop.judge()


def test_a_window_end_off_the_grid_is_refused(shop: Shop) -> None:
    with shop.open() as workspace, pytest.raises(ConfigError, match="windows end every 1 day, 0:00:00 in UTC"):
        window_to_judge(workspace, MODEL, "2025-03-10T06:00:00Z")


def test_the_newest_settled_window_is_the_default(shop: Shop) -> None:
    for hour, expected in ((1, 38), (2, 39)):
        with shop.open(now=day(40) + timedelta(hours=hour)) as workspace:
            assert window_to_judge(workspace, MODEL, None) == window(expected)


# ---------------------------------------------------------------- spans, status, pages


def test_a_span_judges_its_whole_settled_windows_oldest_first(shop: Shop) -> None:
    for number in range(4):
        healthy(shop, number)
    with shop.open(now=day(3) + timedelta(hours=2)) as workspace:
        judged = list(judge_span(workspace, MODEL, day(0) + timedelta(hours=1), day(9)))
    assert [each.verdict.window for each in judged] == [window(1), window(2)]
    assert count_outcomes(each.facts for each in judged) == "2 windows: 2 healthy"
    with shop.open() as workspace:
        assert list(judge_span(workspace, MODEL, day(0) + timedelta(hours=1), day(1))) == []
    assert count_outcomes([]) == "no window lies wholly in the span"


def test_status_tells_who_serves_what_is_open_and_what_waits(breached: Shop) -> None:
    breached.judge()
    with breached.open() as workspace:
        standing = describe(workspace, MODEL, windows=3)
    assert standing.title == "shop: champion 1, 1 open incident"
    assert standing.rows == [("2025-03-10 00:00", "1", "breached: schema.missing(income)", "1")]
    assert (standing.outcome, standing.outbox) == (
        "breached",
        "outbox: 2 event waiting, 1 notify waiting, 1 record waiting",
    )


def test_effects_that_were_given_up_are_shown(breached: Shop) -> None:
    breached.judge()
    carriers = recorders("notify")
    carriers["notify"].refusals = [DeliveryError("gone")]
    with breached.open(carriers=carriers, now=NOW + 2 * DAY) as workspace:
        carry_out(workspace)
        standing = describe(workspace, MODEL, windows=1)
    assert standing.outbox.endswith("1 notify UNDELIVERED")


def test_publishing_outside_of_a_flow_run_does_nothing(breached: Shop) -> None:
    judged = breached.judge()
    with breached.open() as workspace:
        publish(workspace, judged)
        publish(workspace, replace(judged, report_dir=breached.root / "cleared-away"))
