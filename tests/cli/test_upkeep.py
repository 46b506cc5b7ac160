"""retrue doctor and retrue purge, as a person types them."""

import os
from pathlib import Path

import pytest
import yaml

from tests.cli.run import run, run_json
from tests.stages.project import MODEL, Shop

OLD = 1_000_000_000.0  # 2001


def expired(shop: Shop) -> Path:
    """A report folder that no retention keeps."""
    folder = shop.root / ".retrue" / "reports" / MODEL / "old"
    folder.mkdir(parents=True)
    os.utime(folder, (OLD, OLD))
    return folder


def test_doctor_exits_1_with_its_complaints_and_says_them_to_programs_too(shop: Shop) -> None:
    shown = run("doctor", "-C", shop.root)
    assert shown.exit_code == 1
    assert "schedule.never" in shown.stdout
    code, facts = run_json("doctor", "-C", shop.root)
    assert code == 1
    assert {"model": MODEL, "check": "schedule.never", "severity": "warning"}.items() <= facts["complaints"][0].items()
    assert facts["opened"] == [], "told by the first"


@pytest.mark.parametrize("command", ["doctor", "purge"])
def test_a_broken_configuration_exits_2_and_says_where(shop: Shop, command: str) -> None:
    (shop.root / "retrue.yaml").write_text("version: 1\nmodels: {}\nretention: {report: 1d}\n")
    refused = run(command, "-C", shop.root)
    assert refused.exit_code == 2
    assert "retrue.yaml:3: retention.report: unknown key (did you mean 'reports'?)" in refused.stderr


def test_purge_removes_what_has_expired_and_a_dry_run_only_counts_it(shop: Shop) -> None:
    folder = expired(shop)
    code, (dry,) = run_json("purge", "--dry-run", "-C", shop.root)
    assert (code, dry["expired"]["reports"], folder.exists()) == (0, 1, True)
    assert "has expired" in run("purge", "--dry-run", "-C", shop.root).stdout
    done = run("purge", "-C", shop.root)
    assert (done.exit_code, folder.exists()) == (0, False)
    code, (again,) = run_json("purge", "-C", shop.root)
    assert (code, again["removed"]["reports"]) == (0, 0)


def test_purge_exits_2_if_something_could_not_be_looked_at(shop: Shop, tmp_path: Path) -> None:
    (shop.root / ".retrue" / "reports").mkdir(parents=True)
    (shop.root / ".retrue" / "reports" / MODEL).symlink_to(tmp_path)
    refused = run("purge", "-C", shop.root)
    assert refused.exit_code == 2
    assert "through a link" in refused.stderr


def test_retentions_below_a_day_are_refused(shop: Shop) -> None:
    document = yaml.safe_load((shop.root / "retrue.yaml").read_text())
    (shop.root / "retrue.yaml").write_text(yaml.safe_dump({**document, "retention": {"reports": "1h"}}))
    refused = run("purge", "-C", shop.root)
    assert refused.exit_code == 2
    assert "retention.reports: what retrue makes is kept for at least 1d" in refused.stderr
