"""The benchmark of logging runs at a small size, and the docs quote its last results; how long anything takes is not looked at."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.logger import DOCS, RESULT, ROOT
from benchmarks.logger_budgets import BUDGETS
from benchmarks.logger_load import measure
from benchmarks.logger_report import BEGIN, END, markdown, write_docs
from benchmarks.logger_subjects import FEATURES, PACKAGES, SUBJECTS, Features, Floor, is_installed

KEYS = {
    *("subject", "accept_ns_p50", "accept_ns_p99", "accept_ns_p999", "accept_calls", "drain_records_per_second"),
    *("alone_ns_p50", "alone_ns_p99"),
    *("lost_records", "spread", "rounds", "pace_ns", "versions"),
}
OWN_KEYS = {"budgets", "observe_ns_p50", "observe_ns_p99", "loopback", "simulated_records"}
BUDGET_KEYS = {*("name", "unit", "limit", "at_least", "figure", "spread", "at_pace", "met", "met_at_pace")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, dict[str, Any]]]:
    """What one short round prints, and its results by subject."""
    output = tmp_path_factory.mktemp("bench") / "made" / "logger.json"
    command = [sys.executable, "-m", "benchmarks.logger", "--rounds", "1", "--seconds", "0.02", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    entries = json.loads(output.read_bytes())
    assert isinstance(entries, list)
    return done.stdout, {entry["subject"]: entry for entry in entries}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_is_measured(subject: str, run: tuple[str, dict[str, dict[str, Any]]]) -> None:
    printed, entries = run
    if not is_installed(subject):
        assert f"without {subject}" in printed
        pytest.skip(f"{PACKAGES[subject]} is not installed")
    entry = entries[subject]
    assert set(entry) == KEYS | (OWN_KEYS if subject == "retrue" else set())
    assert 0 < entry["accept_ns_p50"] <= entry["accept_ns_p99"]
    assert 0 < entry["alone_ns_p50"] <= entry["alone_ns_p99"]
    assert entry["drain_records_per_second"] > 0
    assert entry["accept_calls"] > 0


def test_retrue_loses_no_record_while_it_is_measured(run: tuple[str, dict[str, dict[str, Any]]]) -> None:
    assert run[1]["retrue"]["lost_records"] == 0


def test_every_budget_is_measured_and_judged(run: tuple[str, dict[str, dict[str, Any]]]) -> None:
    found = run[1]["retrue"]["budgets"]
    assert [each["name"] for each in found] == [budget.name for budget in BUDGETS]
    for each, budget in zip(found, BUDGETS, strict=True):
        assert set(each) == BUDGET_KEYS
        assert each["met"] == budget.is_met(each["figure"])
        assert each["met_at_pace"] == budget.is_met(each["at_pace"])


def test_a_record_that_does_not_arrive_is_reported_as_lost(tmp_path: Path) -> None:
    class Forgetful(Floor):
        given = 0

        def accept(self, features: Features) -> None:
            self.given += 1
            if self.given > 3:
                super().accept(features)

    assert measure(Forgetful(tmp_path), 0.0)["lost_records"] == 3


def test_the_record_has_twenty_features() -> None:
    assert len(FEATURES) == 20


def test_only_what_lies_between_the_marks_of_a_page_is_replaced(tmp_path: Path) -> None:
    page, entries = tmp_path / "page.md", json.loads(RESULT.read_bytes())
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    assert write_docs(entries, page)
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\n{markdown(entries)}\n\n{END}\nafter\n"
    page.write_text("no marks\n", encoding="utf-8")
    assert not write_docs(entries, page)
    assert page.read_text(encoding="utf-8") == "no marks\n"


def test_the_kept_results_are_of_all_subjects() -> None:
    entries = json.loads(RESULT.read_bytes())
    assert [entry["subject"] for entry in entries] == list(SUBJECTS)
    for entry in entries:
        assert set(entry) == KEYS | (OWN_KEYS if entry["subject"] == "retrue" else set())


def test_the_docs_figures_are_those_of_the_last_benchmark() -> None:
    assert markdown(json.loads(RESULT.read_bytes())) in DOCS.read_text(encoding="utf-8")
