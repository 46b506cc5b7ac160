"""What retention has taken from a log is not judged as if it had never been there."""

from __future__ import annotations

from datetime import timedelta

from retrue.stages.backfill import judge_due
from retrue.stages.purge import purge
from tests.stages.project import MODEL, Shop, day, labels, recorders, records


def test_a_window_that_waits_for_labels_is_not_judged_again_once_its_features_have_expired(shop: Shop) -> None:
    settings = shop.root / "retrue.yaml"
    settings.write_text(settings.read_text() + "retention: {features: 2d}\n")
    for number in range(4):
        shop.log(records(day(number)))
        shop.judge(number, now=day(number + 1) + timedelta(hours=3), carriers=recorders())
    now = day(5) + timedelta(hours=3)
    shop.log(records(day(4)))
    for number in (0, 3):
        shop.label(labels(records(day(number))), name=f"late-{number}")
    with shop.open(now=now, carriers=recorders()) as workspace:
        (purged,) = purge(workspace)
        judged = [each.verdict for each in judge_due(workspace, MODEL, None)]
    assert purged.counts["features"] > 0
    assert [each.window.start for each in judged] == [day(4)]
    assert not [finding.check for each in judged for finding in each.findings if finding.check == "quality.nulls"]
