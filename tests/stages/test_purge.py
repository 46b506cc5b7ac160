"""Purging a real project: what has expired goes, everywhere; everything else stays, and a receipt says so."""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from retrue.adapters.carriers_mlflow import record_carrier
from retrue.delivery import Carrier
from retrue.ledger import Revision
from retrue.reports.message import render_message
from retrue.results import Outcome, Verdict
from retrue.stages.monitor import carry_out
from retrue.stages.purge import find_expired, purge, purge_line
from retrue.workspace import Workspace
from tests.stages.project import MODEL, Shop, day, recorders, window

DAY = timedelta(days=1)
JUDGED = day(30)  # windows of the first days, judged late: age counts from here
KEPT = {"reports": "10d", "mlflow": "20d", "outbox": "40d"}


def judged(workspace: Workspace, number: int, carriers: Mapping[str, Carrier]) -> Revision:
    """A window's revision with a report, and its effects as far as there are carriers."""
    folder = f".retrue/reports/{MODEL}/window-{number}"
    (workspace.project.root / folder).mkdir(parents=True)
    (workspace.project.root / folder / "summary.html").write_text("canary")
    verdict = Verdict(
        window=window(number), outcome=Outcome.HEALTHY, findings=(), reasons=(), model_version="1", input_digest="i",
        config_digest="c", baseline_digest="b",
    )  # fmt: skip
    made = workspace.ledger.commit(
        verdict, token=workspace.ledger.claim(window(number)), metrics={"rows": 4.0}, report_dir=folder, step=number,
        flow_run_url="", settings=workspace.project.model(MODEL), render=render_message, now=workspace.now(),
    )  # fmt: skip
    carry_out(replace(workspace, carriers=carriers))
    return made


@pytest.fixture
def quiet(shop: Shop) -> Shop:
    """The project with an empty outbox."""
    with shop.open(carriers=recorders(), now=JUDGED) as workspace:
        carry_out(workspace)
        workspace.ledger.purges.drop_ended(MODEL, before=JUDGED + timedelta(microseconds=1))
    return shop


@pytest.fixture
def kept(quiet: Shop) -> Shop:
    """The project with windows 0 and 1, judged five days apart and mirrored, and short retentions."""
    document = yaml.safe_load((quiet.root / "retrue.yaml").read_text())
    (quiet.root / "retrue.yaml").write_text(yaml.safe_dump({**document, "retention": KEPT}))
    for number in (0, 1):
        with quiet.open(now=JUDGED + number * 5 * DAY) as workspace:
            judged(workspace, number, recorders())
    return quiet


def folders(shop: Shop) -> list[str]:
    return sorted(path.name for path in (shop.root / ".retrue" / "reports" / MODEL).iterdir())


def age(folder: Path, written_at: datetime) -> None:
    os.utime(folder, (written_at.timestamp(), written_at.timestamp()))


def test_nothing_goes_before_its_time(kept: Shop) -> None:
    with kept.open(now=JUDGED + 10 * DAY) as workspace:
        (purged,) = purge(workspace)
    assert dict(purged.counts) == {"reports": 0, "mlflow_runs": 0, "outbox": 0}
    assert purge_line((purged,)) == "nothing has expired"
    assert folders(kept) == ["window-0", "window-1"]


def test_a_report_goes_when_its_judgement_is_older_than_the_retention(kept: Shop) -> None:
    for number in (0, 1):
        age(kept.root / ".retrue" / "reports" / MODEL / f"window-{number}", day(500))  # restored from a backup
    with kept.open(now=JUDGED + 10 * DAY + timedelta(seconds=1)) as workspace:
        (purged,) = purge(workspace)
        (receipt,) = workspace.ledger.purges.list(MODEL)
    assert folders(kept) == ["window-1"]
    assert purge_line((purged,)) == "removed 1 reports of shop"
    assert receipt.planned == receipt.removed == {"reports": 1, "mlflow_runs": 0, "outbox": 0}
    assert receipt.oldest_kept["reports"] == (JUDGED + 5 * DAY).isoformat()
    assert receipt.finished_at == JUDGED + 10 * DAY + timedelta(seconds=1)


def test_effects_go_when_they_have_ended_but_never_within_the_horizon_of_the_labels(kept: Shop) -> None:
    with kept.open(now=JUDGED + 40 * DAY + timedelta(seconds=1)) as workspace:
        (purged,) = purge(workspace)
        left = workspace.ledger.outbox.rows(model=MODEL, state="done")
        verdicts = workspace.ledger.latest(MODEL, limit=9)
    assert (purged.counts["outbox"], len(left)) == (2, 2)
    assert [each.window for each in verdicts] == [window(1), window(0)], "verdicts stay"
    document = yaml.safe_load((kept.root / "retrue.yaml").read_text())
    document["retention"]["outbox"] = "1d"
    (kept.root / "retrue.yaml").write_text(yaml.safe_dump(document))
    with kept.open(now=JUDGED + 35 * DAY) as workspace:
        assert find_expired(workspace)[0].effects == 0, "labels have a horizon of 30d"
    with kept.open(now=JUDGED + 35 * DAY + timedelta(seconds=1)) as workspace:
        assert find_expired(workspace)[0].effects == 2


def test_what_still_waits_for_mlflow_keeps_its_report(quiet: Shop) -> None:
    with quiet.open(now=JUDGED) as workspace:
        judged(workspace, 0, recorders("event"))
    with quiet.open(now=JUDGED + 400 * DAY) as workspace:
        (purged,) = purge(workspace)
        waiting = workspace.ledger.outbox.rows(model=MODEL, state="pending", kind="record")
    assert folders(quiet) == ["window-0"]
    assert (purged.counts["outbox"], len(waiting)) == (1, 1)


def test_a_dry_look_changes_nothing(kept: Shop) -> None:
    with kept.open(now=JUDGED + 400 * DAY) as workspace:
        (found,) = find_expired(workspace)
        assert workspace.ledger.purges.list(MODEL) == ()
    assert dict(found.counts) == {"reports": 2, "mlflow_runs": 0, "outbox": 4}
    assert folders(kept) == ["window-0", "window-1"]


def test_a_folder_that_the_ledger_does_not_know_goes_by_its_own_age(kept: Shop) -> None:
    for name, written_at in (("orphan", JUDGED), ("fresh", JUDGED + 11 * DAY)):
        folder = kept.root / ".retrue" / "reports" / MODEL / name
        folder.mkdir()
        age(folder, written_at)
    with kept.open(now=JUDGED + 12 * DAY) as workspace:
        purge(workspace)
    assert folders(kept) == ["fresh", "window-1"]


def test_a_purge_that_was_killed_on_the_way_is_completed_by_the_next(kept: Shop) -> None:
    reports = kept.root / ".retrue" / "reports" / MODEL
    with kept.open(now=JUDGED + 12 * DAY) as workspace:
        workspace.ledger.purges.begin(MODEL, {"reports": 1}, workspace.now())
    (reports / "window-0").rename(reports / ".purging-window-0")
    (reports / ".purging-window-0" / "quality.html").write_text("canary")
    with kept.open(now=JUDGED + 12 * DAY) as workspace:
        for _ in range(2):
            purge(workspace)
        again, completed, died = workspace.ledger.purges.list(MODEL)
    assert folders(kept) == ["window-1"]
    assert (died.finished_at, completed.removed["reports"], again.removed["reports"]) == (None, 1, 0)


def test_links_are_neither_followed_nor_removed(kept: Shop, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious.txt").write_text("keep")
    reports = kept.root / ".retrue" / "reports" / MODEL
    (reports / "link").symlink_to(mine)
    (reports / "window-0" / "link").symlink_to(mine)
    with kept.open(now=JUDGED + 400 * DAY) as workspace:
        purge(workspace)
    assert folders(kept) == ["link"]
    assert (mine / "precious.txt").read_text() == "keep"


def test_a_models_folder_that_is_a_link_is_refused_and_the_rest_goes_on(kept: Shop, tmp_path: Path) -> None:
    reports = kept.root / ".retrue" / "reports" / MODEL
    reports.rename(tmp_path / "elsewhere")
    reports.symlink_to(tmp_path / "elsewhere")
    with kept.open(now=JUDGED + 400 * DAY) as workspace:
        (purged,) = purge(workspace)
    assert folders(kept) == ["window-0", "window-1"]
    assert "leads out of the project through a link" in purged.problems[0]
    assert purged.counts["outbox"] == 4


def test_a_model_that_is_not_watched_any_more_is_purged_too(kept: Shop) -> None:
    text = (kept.root / "retrue.yaml").read_text()
    (kept.root / "retrue.yaml").write_text(text.replace(f"  {MODEL}:", "  successor:"))
    with kept.open(now=JUDGED + 400 * DAY) as workspace:
        counts = {each.model: each.counts["reports"] for each in purge(workspace)}
    assert counts == {"successor": 0, MODEL: 2}
    assert folders(kept) == []


def test_null_keeps_for_ever(kept: Shop) -> None:
    document = yaml.safe_load((kept.root / "retrue.yaml").read_text())
    document["retention"] = dict.fromkeys(KEPT)
    (kept.root / "retrue.yaml").write_text(yaml.safe_dump(document))
    with kept.open(now=JUDGED + 4000 * DAY) as workspace:
        (purged,) = purge(workspace)
    assert not any(purged.counts.values())


def test_runs_on_mlflow_go_with_their_artifacts_and_the_ledger_forgets_them(kept: Shop, mlflow_uri: str) -> None:
    document = yaml.safe_load((kept.root / "retrue.yaml").read_text())
    (kept.root / "retrue.yaml").write_text(yaml.safe_dump({**document, "mlflow": mlflow_uri}))
    client = MlflowClient(mlflow_uri)
    for number in (2, 3):
        with kept.open(now=JUDGED + number * 5 * DAY) as workspace:
            record = record_carrier(workspace.ledger, workspace.project.root, mlflow_uri)
            judged(workspace, number, {"record": record})
    with kept.open(now=JUDGED + 30 * DAY + timedelta(seconds=1)) as workspace:
        newest, older = workspace.ledger.latest(MODEL, limit=2)
        assert older.mlflow_run_id
        (purged,) = purge(workspace)
        newest_after, older_after = workspace.ledger.latest(MODEL, limit=2)
    assert (purged.counts["mlflow_runs"], purged.problems) == (1, ())
    assert (newest_after.mlflow_run_id, older_after.mlflow_run_id) == (newest.mlflow_run_id, None)
    assert client.list_artifacts(older.mlflow_run_id) == []
    runs = client.search_runs([client.get_experiment_by_name(f"retrue/{MODEL}").experiment_id])
    assert sorted(str(run.info.run_name) for run in runs) == ["shop 2025-03-13 r1", "shop history"]


def test_expired_runs_that_no_server_can_remove_are_a_problem(shop: Shop) -> None:
    carriers = recorders()
    carriers["record"].result = {"mlflow_run_id": "abc"}
    with shop.open(now=JUDGED) as workspace:
        judged(workspace, 0, carriers)
    with shop.open(now=JUDGED + 400 * DAY) as workspace:
        (purged,) = purge(workspace)
    assert purged.problems == ("1 MLflow runs of shop have expired, and no MLflow server is configured",)
    assert purged.counts["reports"] == 1
