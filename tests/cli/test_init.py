"""A new project by `retrue init`: what is missing is said, and with logs in place it works without a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrue.config_file import load_project
from tests.cli.run import run, run_json
from tests.sources.logs import write_lines, write_parquet
from tests.stages.project import day, labels, records

RECORDS = 2000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "watch", "--model", "churn").exit_code == 0
    return tmp_path / "watch"


def log(folder: Path, number: int, **changes: object) -> None:
    """Log a day of records: enough that its drift is below the default thresholds."""
    rows = [{**row, "model": "churn", **changes} for row in records(day(number), RECORDS)]
    write_parquet(folder / "logs" / "churn" / f"{number}.parquet", rows)
    write_lines(folder / "labels" / "churn" / f"{number}.jsonl", labels(records(day(number), RECORDS)))


def test_a_new_project_has_settings_flows_and_deployments_and_no_absolute_path(folder: Path, tmp_path: Path) -> None:
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {
        "retrue.yaml",
        "prefect.yaml",
        ".gitignore",
        "flows/monitor.py",
        "flows/retrain.py",
        "observability/grafana.json",
    } <= files
    assert load_project(folder).model("churn").expectations == "expectations/churn.json"
    assert not [name for name in files if str(tmp_path) in (folder / name).read_text()]
    assert not [name for name in files if "my-model" in (folder / name).read_text()]


def test_it_is_said_what_is_next(tmp_path: Path) -> None:
    shown = run("init", tmp_path / "watch").stdout
    assert "`retrue baseline my-model -C" in shown
    code, facts = run_json("init", tmp_path / "other")
    assert (code, facts["folder"]) == (0, str(tmp_path / "other"))
    assert "retrue.yaml" in facts["files"]


def test_a_project_that_is_there_is_not_overwritten(folder: Path) -> None:
    (folder / "retrue.yaml").write_text("mine")
    result = run("init", folder)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert (folder / "retrue.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", ["prefect.yaml", ".gitignore", "flows/monitor.py"])
def test_no_file_of_a_folder_in_use_is_overwritten(tmp_path: Path, name: str) -> None:
    """People run it beside their own code."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    result = run("init", tmp_path)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert name in result.stderr
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "retrue.yaml").exists()


def test_a_name_that_is_none_makes_nothing(tmp_path: Path) -> None:
    assert run("init", tmp_path / "watch", "--model", "../x").exit_code == 2
    assert not (tmp_path / "watch").exists()


def test_before_any_log_it_is_said_what_is_missing(folder: Path) -> None:
    monitored = run("monitor", "churn", "--window-end", "2025-03-11", "-C", folder)
    assert monitored.exit_code == 2
    assert "churn has no baseline to compare with: run `retrue baseline churn`" in monitored.stderr
    frozen = run("baseline", "churn", "-C", folder)
    assert frozen.exit_code == 2
    assert "no records of churn between 1970-01-01 and " in frozen.stderr
    assert frozen.stderr.endswith("look at logs/churn\n")


def test_with_logs_it_works_without_a_change(folder: Path) -> None:
    for number in range(3):
        log(folder, number)
    span = ("--start", f"{day(0):%Y-%m-%d}", "--end", f"{day(2):%Y-%m-%d}")
    code, facts = run_json("baseline", "churn", *span, "-C", folder)
    assert code == 0
    assert (facts["version"], facts["rows"], facts["columns"]) == ("1", 2 * RECORDS, 7)
    assert (folder / "expectations" / "churn.json").is_file()
    judged = run("monitor", "churn", "--window-end", f"{day(3):%Y-%m-%d}", "-C", folder)
    assert (judged.exit_code, judged.stderr) == (0, "")
    assert judged.stdout.startswith("churn 2025-03-12 r1: healthy\n")
    log(folder, 3, **{"features.country": "ZZ"})
    assert run("backfill", "churn", "--start", "2025-03-12", "--end", "2025-03-14", "-C", folder).exit_code == 1
    assert run("status", "-C", folder).exit_code == 1
