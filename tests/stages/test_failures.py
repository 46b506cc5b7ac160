"""A judged window with planted failures: grouped, explained, and kept apart from what the model says."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from retrue.errors import ConfigError
from retrue.results import Outcome
from retrue.stages.freeze import freeze_from_log
from tests.sources.logs import Row
from tests.sources.spooled import spool_rows
from tests.stages.project import FIRST, MODEL, NOW, REFERENCE, ROWS, Shop, day, document, records

STACK = """Traceback (most recent call last):
  File "/srv/shop/serve.py", line 10, in predict
    return look(x)
  File "/srv/shop/features.py", line 7, in look
    raise KeyError(x)
"""


def failed(row: Row, error_type: str = "KeyError", message: str = "no rate for 'FR'", status: str = "error") -> Row:
    """The record of an inference that raised: it has an input but no answer."""
    return {
        **row, "status": status, "prediction": None, "score": None, "error_type": error_type, "error_message": message,
        "error_stack": STACK, "trace_id": f"trace-{row['inference_id']}",
    }  # fmt: skip


def with_failures(rows: list[Row], fails: Callable[[int, Row], bool], **error: str) -> list[Row]:
    plain: dict[str, Any] = {"error_type": None, "error_message": None, "error_stack": None, "trace_id": None}
    return [failed(row, **error) if fails(number, row) else {**row, **plain} for number, row in enumerate(rows)]


def findings(judged: Any) -> dict[str, tuple[str, str]]:
    return {each.check: (each.severity.value, each.scope) for each in judged.verdict.findings}


def test_a_bug_of_some_inputs_is_grouped_named_and_judged(shop: Shop) -> None:
    bug = with_failures(
        records(day(0)), lambda number, row: row["features.country"] == "FR" and row["features.device"] == "app"
    )
    shop.log(bug)
    judged = shop.judge(0)
    rows = sum(row["status"] == "error" for row in bug)
    group = next(each for each in judged.verdict.findings if each.check == "failure.group")
    assert judged.verdict.outcome is Outcome.BREACHED
    assert group.message.startswith("KeyError in ") or group.message.startswith("KeyError 'no rate for <*>' in ")
    assert f"{rows} of {ROWS} inferences" in group.message
    assert "country = FR" in group.message
    assert "device = app" in group.message
    assert group.next_step.startswith("Run `retrue reproduce 2025")
    recorded = document(judged.report_dir)
    (measured,) = recorded["measurements"]["failures"]
    assert (measured["id"], measured["rows"], sum(measured["histogram"])) == (group.scope, rows, rows)
    assert recorded["metrics"][f"failures.{group.scope}"] == rows
    assert recorded["metrics"]["system.error_share.crash"] == pytest.approx(rows / ROWS)
    assert recorded["measurements"]["system"]["inputs"][0]["conditions"]


def test_failures_are_no_drift_and_no_nulls_of_what_the_model_says(shop: Shop) -> None:
    shop.configure(system={"max_error_share": None, "failures": {"min_rows": 1000}})
    shop.log(with_failures(records(day(0)), lambda number, _: number % 4 == 0))
    judged = shop.judge(0)
    assert judged.verdict.line == "healthy (2 info)"
    assert set(findings(judged)) == {"failure.group", "labels.coverage"}


def test_a_default_answer_of_a_failed_inference_is_none_of_the_models(shop: Shop) -> None:
    shop.configure(system={"max_error_share": None, "failures": {"min_rows": 1000}})
    rows = with_failures(records(day(0)), lambda number, _: number % 3 == 0)
    shop.log([{**row, "prediction": 1, "score": 0.99} if row["status"] == "error" else row for row in rows])
    drift = document(shop.judge(0).report_dir)["metrics"]
    shop.log(records(day(1)))
    usual = document(shop.judge(1).report_dir)["metrics"]
    assert drift["drift.score"] < usual["drift.score"] + 0.1


def test_a_window_in_which_everything_failed_is_breached(shop: Shop) -> None:
    shop.log(with_failures(records(day(0)), lambda *_: True))
    judged = shop.judge(0)
    assert judged.verdict.outcome is Outcome.BREACHED
    assert findings(judged)["system.errors"][0] == "critical"
    assert not {"quality.nulls", "drift.prediction", "schema.retyped"} & findings(judged).keys()


def test_weights_count_everywhere(shop: Shop) -> None:
    rows = with_failures(records(day(0)), lambda number, _: number % 10 == 0)
    weighted = [{**row, "sample_weight": 1.0 if row["status"] == "error" else 10.0} for row in rows]
    shop.log(weighted)
    recorded = document(shop.judge(0).report_dir)
    share = 40 / (40 + 3600)
    assert recorded["metrics"]["system.error_share"] == pytest.approx(share)
    assert recorded["measurements"]["failures"][0]["share"] == pytest.approx(share)
    (message,) = (each["message"] for each in recorded["findings"] if each["check"] == "failure.group")
    assert "40 of 3,640 inferences (1.1 %)" in message


def test_a_log_without_status_says_so_and_is_no_pass_where_a_bound_was_asked_for(shop: Shop) -> None:
    silent = [{name: value for name, value in row.items() if name != "status"} for row in records(day(0))]
    shop.log(silent)
    assert findings(shop.judge(0))["system.status"] == ("info", "")
    shop.configure(system={"max_error_share": 0.02})
    verdict = shop.judge(0).verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "the share of failures could not be measured: no row has a status" in verdict.reasons


def test_failures_of_a_version_without_a_baseline_are_seen(shop: Shop) -> None:
    shop.log(with_failures(records(day(0), version="2"), lambda number, _: number % 2 == 0))
    judged = shop.judge(0)
    assert judged.verdict.outcome is Outcome.INCONCLUSIVE
    assert findings(judged)["system.errors"][0] == "critical"
    assert findings(judged)["failure.group"][0] == "warning"


def gauges(connections: int = 12, at: Any = FIRST) -> list[Row]:
    return [
        {"time": at + number * timedelta(seconds=10), "cpu_cores": 0.5, "rss_bytes": 2**30, "connections": connections}
        for number in range(100)
    ]


def test_what_the_serving_processes_used_is_measured_judged_and_shown(shop: Shop) -> None:
    shop.configure(system={"max_connections": 10, "max_memory_gb": 2})
    spool_rows(shop.root / "logs", records(day(0)), model=MODEL)
    spool_rows(shop.root / "logs/resources", gauges(), kind="resources", model=MODEL)
    spool_rows(shop.root / "logs/resources", gauges(99, day(1)), kind="resources", model=MODEL)
    judged = shop.judge(0)
    (found,) = (each for each in judged.verdict.findings if each.check == "system.connections")
    assert found.message == "A serving process had 12 connections open, over 10 connections."
    recorded = document(judged.report_dir)
    assert recorded["metrics"]["system.memory_bytes.max"] == 2**30
    assert recorded["measurements"]["system"]["resources"]["samples"] == 100
    for name in ("summary.html", "verdict.md"):
        assert "The serving processes" in (judged.report_dir / name).read_text()


def test_samples_of_processes_are_no_part_of_what_a_window_was_judged_on(shop: Shop) -> None:
    """They arrive late, or not at all, without another revision."""
    spool_rows(shop.root / "logs", records(day(0)), model=MODEL)
    before = shop.judge(0)
    assert "system.processes" not in document(before.report_dir)["metrics"]
    spool_rows(shop.root / "logs/resources", gauges(), kind="resources", model=MODEL)
    assert shop.judge(0).verdict.key == before.verdict.key


def test_versions_side_by_side_are_compared_in_a_sentence(shop: Shop) -> None:
    old = [{**row, "latency_ms": 10.0 + number % 7} for number, row in enumerate(records(day(0)))]
    new = [
        {**row, "inference_id": f"new-{number}", "latency_ms": 30.0 + number % 7, "model_version": "2"}
        for number, row in enumerate(records(day(0))[:150])
    ]
    shop.log([*old, *new])
    judged = shop.judge(0)
    (compared,) = (each for each in judged.verdict.findings if each.check == "served.compare")
    assert compared.message == "Version 2 is 2.2x slower at p95 than version 1 (36 against 16 ms), and fails as often."


def test_a_baseline_is_frozen_of_what_the_model_answered(shop: Shop) -> None:
    shop.log(with_failures(records(day(0), version="2"), lambda number, _: number % 2 == 0))
    with shop.open(now=NOW) as workspace:
        baseline = freeze_from_log(workspace, MODEL, start=day(0), end=day(1), version="2")
    assert baseline.provenance.rows == ROWS // 2
    assert baseline.profile.columns["prediction"].null_share == 0


def spoken(number: int, start: Any = FIRST) -> list[Row]:
    """Records of a model that writes texts."""
    return [
        {
            **row, "prediction": f"secret text {row['inference_id']}", "score": None, "endpoint": "/chat",
            "gen_ai.request.model": "large", "input_tokens": 100, "output_tokens": 50 * number, "cost_usd": 0.002,
        }
        for row in records(start)
    ]  # fmt: skip


def test_a_generation_model_is_frozen_measured_and_judged_without_its_texts(shop: Shop) -> None:
    system = {
        "max_cost_usd_per_1k": 1.5,
        "generators": {"large": {"max_output_tokens_per_inference": 120}},
        "endpoints": {"/draw": {"latency_p95_ms": 9000}},
    }
    blocks = {"task": "generation", "performance": {}, "expectations": None, "labels": None, "system": system}
    shop.configure(**blocks)
    shop.log([{**row, "model_version": "7"} for row in spoken(1, REFERENCE)], name="seven")
    with shop.open(now=NOW) as workspace:
        frozen = freeze_from_log(workspace, MODEL, start=REFERENCE, end=FIRST, version="7")
    assert "prediction" not in frozen.profile.columns
    folder = shop.root / "baselines" / MODEL / "7"
    assert b"secret text" not in (folder / "reference.parquet").read_bytes() + (folder / "baseline.json").read_bytes()
    shop.log([{**row, "model_version": "7"} for row in spoken(3)])
    judged = shop.judge(0)
    assert findings(judged) == {
        "system.cost_per_1k": ("warning", ""),
        "system.tokens": ("warning", "generator large"),
        "system.traffic": ("info", "/draw"),
    }
    recorded = document(judged.report_dir)
    assert recorded["metrics"]["system.cost_usd"] == pytest.approx(0.8)
    assert not any(name.startswith("performance") or name == "drift.prediction" for name in recorded["metrics"])
    assert "secret text" not in json.dumps(recorded)


def test_a_generation_model_is_not_retrained(shop: Shop) -> None:
    shop.configure(task="generation", performance={}, retrain={})
    with pytest.raises(ConfigError, match="retrain is not for generation models"), shop.open():
        pass
