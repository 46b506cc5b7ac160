from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from retrue.config import WindowSettings
from retrue.logger.lines import Lines
from retrue.logger.spool import Spool
from retrue.results import Severity
from retrue.stages.compact import compact, window_cut
from tests.sources.spooled import payload, spool_rows
from tests.stages.project import Shop, day, labels, recorders, records

SECOND = 10**9


@pytest.fixture
def logged(shop: Shop) -> Shop:
    """Two days of records and their labels, written through the logger's spool."""
    rows = [*records(day(0)), *records(day(1))]
    spool_rows(shop.root / "logs", *(rows[start : start + 100] for start in range(0, 800, 100)), model="shop")
    spool_rows(shop.root / "labels", labels(rows), kind="labels", model="shop")
    return shop


def test_judging_a_window_compacts_first_and_comes_to_the_same_verdict(logged: Shop) -> None:
    first = logged.judge(0, carriers=recorders())
    assert not list(logged.root.rglob("*.seg"))
    assert len(list((logged.root / "logs").glob("*.parquet"))) == 2
    again = logged.judge(0, carriers=recorders())
    assert first.revision.new
    assert not again.revision.new
    assert first.verdict.key == again.verdict.key


def test_verdict_on_parquet_is_that_on_segments(logged: Shop) -> None:
    (logged.root / "logs/.compaction.lock").mkdir()
    (logged.root / "labels/.compaction.lock").mkdir()
    on_segments = logged.judge(0, carriers=recorders())
    assert list(logged.root.rglob("*.seg"))
    for name in ("logs", "labels"):
        (logged.root / name / ".compaction.lock").rmdir()
    on_parquet = logged.judge(0, carriers=recorders())
    assert not list(logged.root.rglob("*.seg"))
    assert on_parquet.revision.id == on_segments.revision.id


def test_folder_that_cannot_be_written_to_is_judged_as_it_lies(logged: Shop, caplog: pytest.LogCaptureFixture) -> None:
    (logged.root / "logs/.compaction.lock").mkdir()
    with caplog.at_level(logging.WARNING, logger="retrue"):
        judged = logged.judge(0, carriers=recorders())
    assert judged.verdict.model_version == "1"
    assert "a log of shop could not be compacted (IsADirectoryError)" in caplog.text


def test_lost_records_become_a_finding_of_their_window(shop: Shop) -> None:
    spool_rows(shop.root / "logs", records(day(0)), model="shop", accepted=403)
    findings = {each.check: each for each in shop.judge(0, carriers=recorders()).verdict.findings}
    assert findings["source.lost"].severity is Severity.INFO
    assert findings["source.lost"].message.startswith("3 records that the logger accepted are missing")


def test_loss_of_more_than_may_be_set_aside_breaches(shop: Shop) -> None:
    spool_rows(shop.root / "logs", records(day(0)), model="shop", accepted=450)
    findings = {each.check: each for each in shop.judge(0, carriers=recorders()).verdict.findings}
    assert (findings["source.lost"].severity, findings["source.lost"].value) == (Severity.WARNING, "11.11%")


def test_records_that_the_logger_let_go_of_are_told_with_the_reasons(shop: Shop) -> None:
    spool = Spool(shop.root / "logs", kind="inferences", model="shop", model_version="1")
    spool.append(Lines.of(payload(number, row) for number, row in enumerate(records(day(0)), start=1)))
    spool.tally.put("accepted", 410)
    spool.tally.put("dropped.spool_full", 10)
    spool.tally.put("shed.pressure", 7)
    spool.close()
    findings = {each.check: each for each in shop.judge(0, carriers=recorders()).verdict.findings}
    assert "source.lost" not in findings
    assert (
        findings["source.dropped"].message == "The logger let go of 10 records: 10 spool full."
    )  # weights make up for the others


def test_other_folders_and_formats_are_left_alone(shop: Shop) -> None:
    shop.log(records(day(0)))
    before = sorted(path for path in shop.root.rglob("*"))
    with shop.open() as workspace:
        compact(workspace.project, "shop")
    assert sorted(path for path in shop.root.rglob("*")) == before


def nanoseconds(at: datetime) -> int:
    return int(at.timestamp()) * SECOND


@pytest.mark.parametrize(
    ("settings", "at", "starts"),
    [
        ({"every": "7d"}, datetime(2025, 3, 10, 15, tzinfo=UTC), datetime(2025, 3, 10, tzinfo=UTC)),
        ({"every": "6h"}, datetime(2025, 3, 10, 15, tzinfo=UTC), datetime(2025, 3, 10, 12, tzinfo=UTC)),
        (
            {"every": "1d", "timezone": "Europe/Paris"},
            datetime(2025, 7, 1, 15, tzinfo=UTC),
            datetime(2025, 7, 1, tzinfo=UTC),
        ),
        (
            {"every": "1d", "timezone": "Europe/Paris"},
            datetime(2025, 7, 1, 23, tzinfo=UTC),
            datetime(2025, 7, 1, 22, tzinfo=UTC),
        ),
    ],
)
def test_files_are_cut_at_days_and_at_windows(settings: dict[str, str], at: datetime, starts: datetime) -> None:
    cut = window_cut(WindowSettings.model_validate(settings))
    assert cut(nanoseconds(at) + 5) == nanoseconds(starts)


def test_windows_of_hours_have_files_of_their_own(shop: Shop) -> None:
    shop.configure(window={"every": "6h", "settle": "2h", "min_rows": 50})
    rows = records(day(0))
    rows[10]["features.new"] = 1.0
    spool_rows(shop.root / "logs", rows, model="shop")
    with shop.open() as workspace:
        compact(workspace.project, "shop")
    assert len(list((shop.root / "logs").glob("*.parquet"))) == 4
