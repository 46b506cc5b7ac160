"""Data ends when promised: each class of values after its own time, by a purge that may die on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from retrue.stages.purge import Purged, find_expired, purge
from tests.stages.project import DAY, Shop, build, day, labels, records
from tests.stages.test_erase import places_of

CANARY = "canary-of-a-feature"
NOTE, TRACE = "canary-of-a-note", "canary-of-an-error"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two days of records, the first with a canary of every class."""
    shop = build(tmp_path / "shop")
    for number in (0, 1):
        rows = records(day(number))
        if number == 0:
            rows[3] = {**rows[3], "features.country": CANARY, "features.note": NOTE, "error_message": TRACE}
        shop.log(rows)
        shop.label(labels(rows))
    return shop


def keep(shop: Shop, **lengths: str) -> None:
    path = shop.root / "retrue.yaml"
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    document["retention"] = lengths
    document["models"][shop.model]["privacy"] = {"free_text": ["features.note"]}
    path.write_text(yaml.safe_dump(document))


def purged(shop: Shop, *, days: int) -> Purged:
    """Purge so many days after the first day of the log has ended."""
    with shop.open(now=day(1) + days * DAY) as workspace:
        (done,) = purge(workspace)
    return done


def test_without_a_time_nothing_of_a_log_is_touched(shop: Shop) -> None:
    before = (shop.root / "logs" / "2025-03-10.parquet").read_bytes()
    purged(shop, days=3000)
    assert (shop.root / "logs" / "2025-03-10.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "gone", "stays"),
    [("features", CANARY, TRACE), ("free_text", NOTE, CANARY), ("errors", TRACE, CANARY)],
)
def test_a_class_ends_after_its_time_and_no_other_with_it(shop: Shop, kind: str, gone: str, stays: str) -> None:
    keep(shop, **{kind: "30d"})
    assert purged(shop, days=29).counts[kind] == 0
    assert places_of(shop.root / "logs", gone)
    done = purged(shop, days=30)
    assert 0 < done.counts[kind] <= 400
    assert places_of(shop.root / "logs", gone) == []
    assert places_of(shop.root / "logs", stays)
    assert done.problems == ()


def test_labels_end_as_whole_records(shop: Shop) -> None:
    keep(shop, labels="30d")
    assert purged(shop, days=31).counts["labels"] > 0
    assert b'20250310-3"' not in b"".join(path.read_bytes() for path in (shop.root / "labels").iterdir())


def test_a_purge_counts_first_and_does_nothing_twice(shop: Shop) -> None:
    keep(shop, features="30d")
    with shop.open(now=day(40)) as workspace:
        (expired,) = find_expired(workspace)
    assert expired.counts["features"] == 800
    assert places_of(shop.root / "logs", CANARY)
    assert purged(shop, days=39).counts["features"] == 800
    assert purged(shop, days=39).counts["features"] == 0


def test_a_receipt_of_every_purge_is_in_the_ledger(shop: Shop) -> None:
    keep(shop, features="30d")
    purged(shop, days=39)
    with shop.open() as workspace:
        receipt = workspace.ledger.purges.list(shop.model)[0]
    assert (receipt.planned["features"], receipt.removed["features"]) == (800, 800)


def test_what_could_not_be_read_goes_with_the_shortest_time(shop: Shop) -> None:
    import os

    keep(shop, features="30d", errors="60d")
    bad = shop.root / "logs" / "quarantine" / "torn.seg"
    bad.parent.mkdir()
    bad.write_bytes(b"who knows")
    os.utime(bad, (0, day(0).timestamp()))
    assert purged(shop, days=31).counts["quarantine"] == 1
    assert not bad.exists()


def test_a_place_that_is_not_a_folder_here_is_a_problem(shop: Shop) -> None:
    keep(shop, labels="30d")
    path = shop.root / "retrue.yaml"
    path.write_text(path.read_text().replace("uri: labels", "uri: s3://bucket/labels"))
    assert "s3:// is not edited" in " ".join(purged(shop, days=31).problems)
