"""The deployed flows on real servers: what Prefect's and MLflow's APIs return after they ran."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import yaml

from tests.e2e.harbour import Json, wait_for
from tests.e2e.project import CHANGED, DAY, HOSTILE, MODEL, RETRAINED, ROWS, SERVED, UNKNOWN
from tests.e2e.story import Story

pytestmark = pytest.mark.timeout(600)  # whoever comes first plays the story: 70 s on two quiet cores

REPORTS = {"drift.html", "quality.html", "summary.html", "verdict.json"}
TAGS = {
    "retrue.kind", "retrue.model", "retrue.window_start", "retrue.window_end", "retrue.revision", "retrue.verdict",
    "retrue.model_version", "retrue.flow_run_url",
}  # fmt: skip
METRICS = {
    "verdict.breached", "rows", "quality.success_share", "drift.share", "drift.wind", "drift.line", "drift.score",
    "performance.roc_auc.realised", "labels.coverage_share", "system.error_share",
    "system.latency_ms.p50", "system.latency_ms.p95", "system.latency_ms.p99",
}  # fmt: skip


def judged_windows(story: Story, day: object) -> list[tuple[object, ...]]:
    """The ledger's revisions of a day's window: number, outcome, MLflow run, flow-run page."""
    return story.harbour.ledger(
        "SELECT number, outcome, mlflow_run_id, flow_run_url FROM retrue_revisions JOIN retrue_windows AS w"
        " ON w.id = window_id WHERE w.model = ? AND date(w.start_at) = ? ORDER BY number",
        MODEL,
        f"{day:%Y-%m-%d}",
    )


def events_of(story: Story) -> Counter[tuple[str, str]]:
    """The main model's events, by name and start of their window (empty for promotions)."""
    found = story.harbour.events(MODEL)
    return Counter((event["event"], event["payload"].get("window_start", "")[:10]) for event in found)


# ---------------------------------------------------------------- Prefect


def test_up_deploys_every_flow_of_prefect_yaml(story: Story) -> None:
    wanted = yaml.safe_load((story.harbour.folder / "prefect.yaml").read_text())["deployments"]
    found = story.harbour.prefect("deployments/filter", {})
    assert {each["name"] for each in found} == {each["name"] for each in wanted} > {"monitor", "backfill", "retrain"}
    assert {each["work_pool_name"] for each in found} == {"retrue"}


def test_the_schedule_plans_runs_of_the_monitor(story: Story) -> None:
    planned = story.harbour.runs_of("monitor", scheduled=True)
    assert {(run["state_type"], run["parameters"]["model"]) for run in planned} == {("SCHEDULED", MODEL)}


def test_a_monitor_run_is_called_after_its_window_and_ends_with_the_verdict(story: Story) -> None:
    run = story.runs["first"]
    assert (run["name"], run["state_type"]) == (f"{MODEL} {RETRAINED:%Y-%m-%d}", "COMPLETED")
    assert run["state"]["message"] == "healthy"
    assert "retrue" in run["tags"], "by it `retrue purge` knows the run as ours"


def test_a_monitor_run_shows_its_steps_by_name_and_our_lines_in_its_log(story: Story) -> None:
    run_id = story.runs["first"]["id"]
    steps = ["pull", "profile", "validate", "drift", "drift of all columns", "performance", "explain", "failures"]
    steps += ["commit", "compare versions", "deliver"]  # the version that serves is on probation
    assert wait_for(lambda: len(names := story.harbour.tasks_of(run_id)) >= len(steps) and names) == steps
    assert f"{MODEL} {RETRAINED:%Y-%m-%d}: healthy" in wait_for(lambda: story.harbour.log_of(run_id))


def test_a_backfill_judges_the_span_and_counts_the_outcomes(story: Story) -> None:
    run = story.runs["backfill"]
    assert (run["name"], run["state_type"]) == (f"{MODEL} 2025-03-04 to 2025-03-08", "COMPLETED")
    assert run["state"]["message"] == "4 windows: 1 breached, 3 healthy"
    outcomes = [judged_windows(story, SERVED + number * DAY)[0][1] for number in range(4)]
    assert outcomes == ["healthy", "healthy", "healthy", "breached"]


def test_a_judged_window_has_its_verdict_its_findings_and_the_way_to_mlflow_as_artifacts(story: Story) -> None:
    found = story.harbour.artifacts(story.runs["backfill"]["id"], f"{MODEL} {CHANGED:%Y-%m-%d}")
    assert {key: each["type"] for key, each in found.items()} == {
        f"{MODEL}-verdict": "markdown",
        f"{MODEL}-findings": "table",
        f"{MODEL}-mlflow": "markdown",
    }
    assert "breached" in found[f"{MODEL}-verdict"]["data"].splitlines()[0]
    findings = json.loads(found[f"{MODEL}-findings"]["data"])
    assert {row["check"] for row in findings} >= {"performance.drop", "performance.realised"}
    assert HOSTILE.replace("<", "\\<") in {row["scope"] for row in findings}
    assert HOSTILE not in found[f"{MODEL}-verdict"]["data"]
    run = story.harbour.window_run(MODEL, CHANGED)
    assert f"/runs/{run['id']}" in found[f"{MODEL}-mlflow"]["data"]


def test_a_model_without_a_baseline_fails_its_run_and_says_what_to_do(story: Story) -> None:
    run = story.runs["no baseline"]
    assert (run["name"], run["state_type"]) == (f"{UNKNOWN} {SERVED:%Y-%m-%d}", "FAILED")
    assert f"{UNKNOWN} has no baseline to compare with: run `retrue baseline {UNKNOWN}`" in run["state"]["message"]


def test_the_baseline_flow_freezes_the_version_that_served_most(story: Story) -> None:
    run = story.runs["baseline"]
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", f"baseline of version 7: {ROWS} rows")
    frozen = story.harbour.folder / "baselines" / UNKNOWN / "7"
    assert {each.name for each in frozen.iterdir()} == {"baseline.json", "reference.parquet"}


def test_events_tell_what_happened_once(story: Story) -> None:
    """They were delivered twice, as by a process that died in between."""
    bad, good = f"{CHANGED:%Y-%m-%d}", f"{RETRAINED:%Y-%m-%d}"
    wanted = {
        **{("retrue.window.judged", f"{SERVED + number * DAY:%Y-%m-%d}"): 1 for number in range(4)},
        ("retrue.window.judged", good): 2,
        ("retrue.incident.opened", bad): 3,
        ("retrue.incident.resolved", good): 3,
        ("retrue.retrain.requested", bad): 1,
        ("retrue.model.promoted", ""): 2,
    }
    wait_for(lambda: events_of(story).total() >= sum(wanted.values()), within_seconds=10)
    assert {key: count for key, count in events_of(story).items() if key in wanted} == wanted


# ---------------------------------------------------------------- retraining


def test_the_monitor_starts_one_retraining_although_it_asks_twice(story: Story) -> None:
    ((result, attempts, state),) = story.harbour.ledger(
        "SELECT result, attempts, state FROM retrue_outbox WHERE kind = 'retrain'"
    )
    (run,) = story.harbour.runs_of("retrain")
    assert (attempts, state, json.loads(str(result))["flow_run_id"]) == (2, "done", run["id"])
    assert run["idempotency_key"] == f"retrain:{run['parameters']['cause']}"
    assert run["parameters"]["model"] == MODEL


def test_the_challenger_that_proved_itself_was_promoted(story: Story) -> None:
    run = story.runs["retrain"]
    assert run["state_type"] == "COMPLETED"
    assert run["state"]["message"].startswith("version 2 promoted: roc_auc 0.9")
    shown = story.harbour.artifacts(run["id"], "")[f"{MODEL}-retraining"]
    assert (shown["type"], "| all later rows | 300 |" in shown["data"]) == ("markdown", True)


def test_the_registry_serves_the_new_version_and_remembers_the_one_before(story: Story) -> None:
    registered = story.harbour.mlflow(f"registered-models/get?name={MODEL}")["registered_model"]
    aliases = {each["alias"]: each["version"] for each in registered["aliases"]}
    assert (aliases["champion"], aliases["previous"]) == ("2", "1")


def test_trainings_are_recorded_with_their_baselines_and_the_gate(story: Story) -> None:
    first, second = story.harbour.mlflow_runs(f"retrue/{MODEL}/training")
    assert [run["tags"]["retrue.model_version"] for run in (first, second)] == ["1", "2"]
    assert "baseline" in story.harbour.artifact_names(first["id"])
    assert {"baseline", "gate.json"} <= story.harbour.artifact_names(second["id"])
    assert (second["metrics"]["gate.passed"], second["metrics"]["gate.rows"]) == (1, 300)


# ---------------------------------------------------------------- MLflow


def test_every_window_is_a_run_under_the_models_history(story: Story) -> None:
    (history,) = story.harbour.mlflow_runs(f"retrue/{MODEL}", "tags.`retrue.kind` = 'history'")
    windows = story.harbour.mlflow_runs(f"retrue/{MODEL}", "tags.`retrue.kind` = 'window'")
    assert history["name"] == f"{MODEL} history"
    assert {run["tags"]["mlflow.parentRunId"] for run in windows} == {history["id"]}
    assert "summary.html" in story.harbour.artifact_names(history["id"])
    points = story.harbour.mlflow(f"metrics/get-history?run_id={history['id']}&metric_key=rows")["metrics"]
    days = {int(each["timestamp"]) // 1000 // 86400: int(each["step"]) for each in points}  # UTC days since 1970
    assert len(days) == len(set(days.values())) >= 5
    assert len({day - step for day, step in days.items()}) == 1


def test_a_windows_run_has_the_names_that_others_rely_on(story: Story) -> None:
    run = story.harbour.window_run(MODEL, CHANGED)
    assert (run["name"], run["status"]) == (f"{MODEL} {CHANGED:%Y-%m-%d} r1", "FINISHED")
    assert run["tags"].keys() >= TAGS
    assert run["metrics"].keys() >= METRICS
    assert story.harbour.artifact_names(run["id"]) == REPORTS
    tags = {name.removeprefix("retrue."): value for name, value in run["tags"].items()}
    assert (tags["verdict"], tags["model_version"], tags["revision"]) == ("breached", "1", "1")
    assert (tags["window_start"], tags["window_end"]) == (CHANGED.isoformat(), (CHANGED + DAY).isoformat())
    assert tags["flow_run_url"] == f"{story.urls['prefect']}/flow-runs/flow-run/{story.runs['backfill']['id']}"
    assert (run["metrics"]["rows"], run["metrics"]["verdict.breached"]) == (ROWS, 1)


def test_the_recorded_verdict_is_the_one_that_was_judged(story: Story) -> None:
    run = story.harbour.window_run(MODEL, CHANGED)
    document: Json = story.harbour.artifact(run["id"], "verdict.json")
    assert (document["outcome"], document["model"], document["revision"]) == ("breached", MODEL, 1)
    assert HOSTILE in {finding["scope"] for finding in document["findings"]}
    assert [judged[2] for judged in judged_windows(story, CHANGED)] == [run["id"]]


# ---------------------------------------------------------------- once


def test_the_webhook_got_every_message_once(story: Story) -> None:
    subjects = [message["subject"] for message in story.messages]
    assert [subject for subject in subjects if "2025-03-07" in subject] == [
        f"[critical] {MODEL} 2025-03-07: breached (3 opened)"
    ]
    assert subjects.count(f"{MODEL}: version 2 promoted") == 1
    assert subjects.count(f"{MODEL} 2025-03-08: healthy (3 resolved)") == 1
    assert not any(HOSTILE in message["body"] for message in story.messages)


def test_a_window_judged_twice_is_one_revision_and_one_mlflow_run(story: Story) -> None:
    assert story.runs["again"]["state"]["message"] == "healthy"
    first = judged_windows(story, RETRAINED)[0]
    assert first[3] == f"{story.urls['prefect']}/flow-runs/flow-run/{story.runs['first']['id']}"
    assert story.harbour.window_run(MODEL, RETRAINED)["id"] == first[2]


def test_late_rows_make_a_second_revision(story: Story) -> None:
    assert [judged[0] for judged in judged_windows(story, RETRAINED)] == [1, 2]
    assert story.harbour.window_run(MODEL, RETRAINED)["metrics"]["rows"] == ROWS
    assert story.harbour.window_run(MODEL, RETRAINED, revision=2)["metrics"]["rows"] == ROWS + 20


def test_a_flows_file_run_as_a_program_is_a_run_of_the_servers_that_are_up_here(story: Story) -> None:
    """Prefect would start a server of its own, with its database in the home directory."""
    assert story.printed["late"].splitlines()[-1] == "healthy"
    page = story.harbour.window_run(MODEL, RETRAINED, revision=2)["tags"]["retrue.flow_run_url"]
    start, _, run_id = page.rpartition("/")
    assert start == f"{story.urls['prefect']}/flow-runs/flow-run"
    run = story.harbour.prefect(f"flow_runs/{run_id}")
    assert (run["name"], run["state"]["message"]) == (f"{MODEL} {RETRAINED:%Y-%m-%d}", "healthy")
    assert not list(story.harbour.home.rglob("*.db"))
