"""Why a window is as it is, end to end: frozen reliance, slices, and a drop split by what it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from retrue.baselines import read_baseline
from retrue.errors import ConfigError
from retrue.metrics import METRICS
from retrue.recorded import measurements_of
from retrue.results import Attribution
from retrue.stages.freeze import freeze
from tests.sources.logs import Row
from tests.stages.project import (
    FEATURES,
    MODEL,
    REFERENCE,
    SETTINGS,
    Shop,
    day,
    document,
    labelled_frame,
    labels,
    records,
)

PERFORMANCE = {**SETTINGS["performance"], "slices": ["country"], "max_slice_drop": 0.1}


def judged(shop: Shop, rows: list[Row], answers: list[Row]) -> tuple[Mapping[str, Any], str]:
    shop.log(rows)
    shop.label(answers)
    found = shop.judge()
    return document(found.report_dir), (found.report_dir / "summary.html").read_text()


def where(rows: list[Row], **same: str) -> list[Row]:
    return [row for row in rows if all(row[f"features.{name}"] == value for name, value in same.items())]


def test_a_baseline_is_frozen_with_what_the_model_leans_on(shop: Shop) -> None:
    with shop.open() as workspace:
        reliance = read_baseline(workspace.project.baselines, MODEL, "1").reliance
    assert reliance is not None
    assert reliance.fidelity > 0.9
    assert reliance.shares["income"] < 0.01
    assert min(reliance.shares["age"], reliance.shares["basket"]) > 0.25


def test_drift_of_a_feature_that_the_model_does_not_use_breaches_nothing(shop: Shop) -> None:
    rows = [{**row, "features.income": row["features.income"] / 4} for row in records(day(0))]
    shop.configure(expectations=None)
    found, page = judged(shop, rows, labels(rows))
    (drift,) = (each for each in found["findings"] if each["scope"] == "income" and each["check"] == "drift.column")
    assert drift["severity"] == "info"
    assert drift["message"].endswith("the model does not use it.")
    assert found["outcome"] == "healthy"
    assert "Nothing is wrong" in page


def test_drift_of_what_the_model_leans_on_heavily_is_critical(shop: Shop) -> None:
    rows = [{**row, "features.age": row["features.age"] / 2 + 10} for row in records(day(0))]
    shop.configure(expectations=None)
    found, page = judged(shop, rows, labels(rows))
    (drift,) = (each for each in found["findings"] if each["scope"] == "age" and each["check"] == "drift.column")
    assert drift["severity"] == "critical"
    assert "the model leans on it for" in drift["message"]
    moved = found["measurements"]["slices"]["moved"]
    assert {part["column"] for each in moved for part in each["conditions"]} == {"age"}
    assert "Commoner than in the baseline" in page


def test_a_world_turned_round_is_put_down_to_the_relation(shop: Shop) -> None:
    rows = records(day(0), 1200)
    found, page = judged(shop, rows, labels(rows, sign=-1.0))
    split = found["measurements"]["attribution"]
    parts = split["inputs"]["value"] + split["relation"]["value"]
    assert parts == pytest.approx(split["total"]["value"])
    assert split["relation"]["value"] < 5 * -abs(split["inputs"]["value"])
    assert found["metrics"]["attribution.relation"] == split["relation"]["value"]
    assert isinstance(measurements_of(found).attribution, Attribution), "a replay reads it back"
    assert "comes from a changed relation between inputs and outcome" in page
    assert "Retrain on recent rows" in page


@pytest.mark.parametrize("metric", METRICS["binary"])
def test_a_window_that_is_surely_worse_is_breached_by_any_metric(shop: Shop, metric: str) -> None:
    shop.configure(performance={"metric": metric, "max_drop": 0.05})
    with shop.open() as workspace:
        freeze(workspace, MODEL, "2", labelled_frame(REFERENCE, 5), FEATURES, source="judged by this metric")
    rows = records(day(0), 1200, version="2")
    found, page = judged(shop, rows, labels(rows, sign=-1.0))
    assert found["outcome"] == "breached"
    assert "performance.drop" in {each["check"] for each in found["findings"]}
    assert found["measurements"]["attribution"]["measure"] == metric
    assert "comes from a changed relation" in page


def test_a_declared_slice_that_got_worse_is_a_finding_and_the_window_is_breached(shop: Shop) -> None:
    shop.configure(performance=PERFORMANCE)
    rows = records(day(0), 1600)
    turned = {row["inference_id"] for row in where(rows, country="FR")}
    usual, other = labels(rows), labels(rows, sign=-1.0)
    answers = [one if one["inference_id"] not in turned else two for one, two in zip(usual, other, strict=True)]
    found, page = judged(shop, rows, answers)
    slices = [each for each in found["findings"] if each["check"] == "performance.slice"]
    assert ("country = FR", "warning") in {(each["scope"], each["severity"]) for each in slices}
    assert not {"country = DE", "country = ES"} & {each["scope"] for each in slices}
    assert "country = FR" in page


def test_a_usual_window_has_slices_and_no_finding_of_them(shop: Shop) -> None:
    shop.configure(performance=PERFORMANCE)
    rows = records(day(0), 1600)
    found, _ = judged(shop, rows, labels(rows))
    declared = [each for each in found["measurements"]["slices"]["slices"] if each["declared"]]
    assert len(declared) == 3
    assert all(each["failure_share"]["value"] == 0 for each in declared)
    assert not [
        each for each in found["findings"] if each["check"] == "performance.slice" and each["severity"] != "info"
    ]
    assert found["measurements"]["attribution"] is None


def test_a_bound_that_no_slice_can_be_held_against_is_inconclusive(shop: Shop) -> None:
    shop.configure(performance={**PERFORMANCE, "min_slice_rows": 5000})
    rows = records(day(0))
    found, _ = judged(shop, rows, labels(rows))
    assert found["outcome"] == "inconclusive"
    assert "slices could not be measured: roc_auc has no value on both sides of any declared slice" in found["reasons"]


def test_a_slice_of_a_column_that_is_not_there_is_refused_with_the_nearest(shop: Shop) -> None:
    shop.configure(performance={**PERFORMANCE, "slices": ["contry"]})
    shop.log(records(day(0)))
    with pytest.raises(ConfigError, match=r"no column 'contry'.*country"):
        shop.judge()
