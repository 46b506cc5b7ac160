"""Weights count wherever rows are compared, and failed inferences nowhere: a world that does not change stays healthy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrue.stages.alike import drawn_alike
from retrue.stages.freeze import freeze_from_log
from retrue.stages.monitor import Judged
from tests.sources.logs import Row
from tests.stages.project import DAY, FIRST, MODEL, REFERENCE, Shop, day, document, labels, recorders, records

DRIFT = {"false_alarms": "1 per 90d"}
LABELS = {"uri": "labels", "horizon": "30d"}


def thinned(rows: list[Row], *, seed: int) -> list[Row]:
    """What a logger keeps with ``sample=0.1``: every failure, a tenth of the others. A third of the older fail."""
    draw = np.random.default_rng(seed)
    kept = []
    for row in rows:
        fails = row["features.age"] > 50 and draw.random() < 1 / 3
        if fails:
            kept.append({**row, "status": "error", "prediction": 0, "score": None, "sample_weight": 1.0})
        elif draw.random() < 0.1:
            kept.append({**row, "sample_weight": 10.0})
    return kept


def shop_of(tmp_path: Path, reference: list[Row], **blocks: object) -> Shop:
    """A project whose baseline is what it logged in nine days."""
    shop = Shop(root=tmp_path / "shop")
    shop.root.mkdir()
    shop.configure(drift=DRIFT, expectations=None, system={"max_error_share": 0.5}, **blocks)
    shop.log(reference, name="reference")
    shop.label(labels(reference), name="reference")
    with shop.open(now=FIRST, carriers=recorders()) as workspace:
        freeze_from_log(workspace, MODEL, start=REFERENCE, end=FIRST)
    return shop


def judged(shop: Shop, rows: list[Row], answers: list[Row]) -> Judged:
    shop.log(rows)
    shop.label(answers)
    return shop.judge()


@pytest.mark.parametrize("sample_rows", [20_000, 700])
def test_a_thinned_log_of_an_unchanged_world_has_not_drifted(tmp_path: Path, sample_rows: int) -> None:
    reference = [row for number in range(9) for row in thinned(records(REFERENCE + number * DAY, 4000), seed=number)]
    shop = shop_of(tmp_path, reference)
    shop.configure(drift={**DRIFT, "sample_rows": sample_rows}, expectations=None, system={"max_error_share": 0.5})
    window = thinned(records(day(0), 8000), seed=99)
    verdict = judged(shop, window, labels(window)).verdict
    assert [each.scope for each in verdict.findings if each.check == "drift.column"] == []


def test_labels_of_failed_inferences_are_no_performance(tmp_path: Path) -> None:
    """A default answer is none of the model's: a window with many is as good as the others."""
    reference = [row for number in range(9) for row in records(REFERENCE + number * DAY, 400)]
    shop = shop_of(tmp_path, reference, performance={"metric": "accuracy", "max_drop": 0.05})
    rows = [
        {**row, "status": "error", "prediction": 1 - row["prediction"]} if number % 4 == 0 else row
        for number, row in enumerate(records(day(0), 2000))
    ]
    verdict = judged(shop, rows, labels(rows)).verdict
    assert [each.check for each in verdict.findings if each.check.startswith("performance")] == []
    assert {each.check for each in verdict.findings if each.severity.breaches} == {"failure.group"}


def test_labels_are_waited_for_by_weight_of_what_was_answered(tmp_path: Path) -> None:
    """Every answered row has its label; the failures, of which there are more rows, never get one."""
    reference = [row for number in range(9) for row in records(REFERENCE + number * DAY, 400)]
    shop = shop_of(tmp_path, reference)
    rows = [
        {**row, "status": "error", "prediction": None, "score": None, "sample_weight": 1.0}
        if number % 4
        else {**row, "sample_weight": 10.0}
        for number, row in enumerate(records(day(0), 2000))
    ]
    answered = [row for row in rows if row["status"] == "ok"]
    found = document(judged(shop, rows, labels(answered, after=timedelta(minutes=1))).report_dir)
    assert found["measurements"]["performance"]["coverage_share"] == 1.0


def test_rows_drawn_alike_stand_for_their_weights() -> None:
    weights = np.tile([1.0, 10.0, 10.0], 2000)
    frame = pd.DataFrame({"is_heavy": weights > 1, "at": np.arange(6000), "sample_weight": weights})
    drawn = drawn_alike(frame, 6000, seed=0)
    assert len(drawn) == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), abs=1)
    assert drawn["is_heavy"].mean() == pytest.approx(20 / 21, abs=0.01)
    assert drawn["at"].is_monotonic_increasing
    assert list(drawn.columns) == ["is_heavy", "at"]
    assert drawn_alike(frame, 6000, seed=0).equals(drawn)
    assert len(drawn_alike(frame, 100, seed=0)) == 100
    assert drawn_alike(frame, 100, seed=0)["at"].is_unique


def test_rows_of_one_weight_are_all_there_or_a_part_without_repeats() -> None:
    frame = pd.DataFrame({"at": np.arange(500), "sample_weight": np.full(500, 7.0)})
    assert drawn_alike(frame, 500, seed=0)["at"].tolist() == list(range(500))
    part = drawn_alike(frame, 90, seed=0)["at"]
    assert (len(part), part.is_unique, part.is_monotonic_increasing) == (90, True, True)
    assert drawn_alike(frame.head(0), 90, seed=0).empty
