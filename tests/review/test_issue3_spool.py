"""The spool between a hostile logger and the reader: names, copies, compaction."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from retrue.logger import Fields, InferenceLogger
from tests.sources.logs import Row
from tests.stages.project import FEATURES, Shop, day, document, records


def nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1e6) * 1000


def logged(shop: Shop, rows: list[Row], *, error: Callable[[int], BaseException | None] = lambda _: None, **extra: Any) -> InferenceLogger:  # fmt: skip
    """Let a model server of the shop's log rows; some with an exception, all with more features."""
    log = InferenceLogger(
        shop.model, version="1", to=shop.root / "logs", fields=Fields(keep=[*FEATURES, *extra]), sample=0.5, seed=3, resources_every=None,
    )  # fmt: skip
    for number, row in enumerate(rows):
        log.record(
            {**{name: row[f"features.{name}"] for name in FEATURES}, **extra},
            inference_id=row["inference_id"],
            time=nanoseconds(row["time"]),
            prediction=row["prediction"],
            score=row["score"],
            error=error(number),
        )
    assert log.flush()
    return log


def pulled(shop: Shop) -> dict[str, Any]:
    content: dict[str, Any] = document(shop.judge(0).report_dir)["measurements"]["pull"]
    return content


@pytest.mark.parametrize("name", ["a\0b", "features.x", "inference_id", "time", "é\u0301", "x" * 300])
def test_no_name_of_a_feature_stops_the_monitoring(shop: Shop, name: str) -> None:
    logged(shop, records(day(0)), **{name: 1.5}).close()
    assert pulled(shop)["rows"] > 0
    assert list((shop.root / "logs").glob("*.parquet")), "it was compacted"


def test_compaction_changes_neither_verdict_nor_digest(shop: Shop) -> None:
    log = logged(shop, records(day(0), 1000), error=lambda number: None if number % 25 else KeyError("x"))
    before = shop.judge(0)
    assert not list((shop.root / "logs").glob("*.parquet"))
    log.close()
    after = shop.judge(0)
    assert list((shop.root / "logs").glob("*.parquet"))
    assert (after.revision.new, after.revision.number) == (False, 1)
    assert after.verdict.input_digest == before.verdict.input_digest


def test_a_copied_segment_counts_once(shop: Shop) -> None:
    logged(shop, records(day(0), 600)).close()
    (segment,) = (shop.root / "logs").glob("segments/*/*.seg")
    shutil.copy(segment, segment.with_name("00000002.seg"))
    report = pulled(shop)
    assert (report["duplicates"], report["lost"], report["set_aside"]) == (0, 0, [])


def test_two_loggers_of_one_folder_are_told_apart(shop: Shop) -> None:
    rows = records(day(0), 800)
    logs = [logged(shop, part) for part in (rows[:400], rows[400:])]
    kept = sum(log.stats().counts.on_disk for log in logs)
    assert pulled(shop)["rows"] == kept
    for log in logs:
        log.close()
    assert (pulled(shop)["rows"], pulled(shop)["lost"]) == (kept, 0)


def test_a_symbolic_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "logs").symlink_to(tmp_path / "real")
    with pytest.raises(ValueError, match="symbolic link"):
        InferenceLogger("m", version="1", to=tmp_path / "logs")
