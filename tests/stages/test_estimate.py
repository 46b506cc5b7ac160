"""A window without labels is judged by an estimate; labels that come make a revision in which both can be seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrue.baselines import read_baseline
from retrue.results import Marginals, Outcome, Unmeasured
from retrue.stages.estimate import estimate_frame
from retrue.stages.freeze import freeze, freeze_from_log
from retrue.stages.status import describe
from tests.cli.run import run
from tests.sources.logs import Row
from tests.stages.project import (
    DAY,
    FEATURES,
    MODEL,
    REFERENCE,
    Shop,
    chance,
    day,
    document,
    labelled_frame,
    labels,
    recorders,
    records,
)

QUIET = {
    "drift": {"numeric": {"threshold": 9.0}, "categorical": {"threshold": 1.0}, "multivariate": False},
    "expectations": None,
}


def configure(shop: Shop, **performance: Any) -> None:
    """Judge performance alone."""
    shop.configure(**QUIET, performance={"metric": "roc_auc", **performance})


def undecided(number: int, count: int = 400) -> list[Row]:
    """A day on which only people came whom the model can say little of, all of a kind it knows."""
    rows = [row for more in range(30) for row in records(day(number), 400, seed=number * 100 + more)]
    kept = sorted(rows, key=lambda row: abs(row["score"] - 0.5))[:count]
    return [{**row, "inference_id": f"{number}-{place}"} for place, row in enumerate(kept)]


def test_what_an_estimate_needs_is_frozen_as_numbers(shop: Shop) -> None:
    with shop.open() as workspace:
        baseline = read_baseline(workspace.project.baselines, MODEL, "1")
    estimation = baseline.estimation
    assert estimation is not None
    assert (estimation.withheld, estimation.labelled_rows, list(estimation.calibrations)) == ("", 2_000, ["1"])
    written = json.loads((shop.root / "baselines" / MODEL / "1" / "baseline.json").read_text())
    assert len(written["estimation"]["calibrations"]["1"]["folds"]) == 10


def test_a_window_that_waits_for_labels_is_judged_by_its_estimate(shop: Shop) -> None:
    configure(shop, min=0.7)
    shop.log(records(day(0)))
    judged = shop.judge()
    assert judged.verdict.outcome is Outcome.HEALTHY
    (waiting,) = judged.verdict.findings
    assert waiting.check == "labels.coverage"
    assert "The estimate stands in: roc_auc 0." in waiting.message
    assert "Concept drift is invisible" in waiting.message
    assert judged.revision.awaits_labels
    assert 0.7 < judged.revision.metrics["performance.roc_auc.estimated"] < 1
    assert document(judged.report_dir)["measurements"]["estimate"]["method"] == "cbpe"


@pytest.mark.parametrize("flags", [(True, False, None), (True, False)], ids=str)
def test_booleans_are_supported_with_nulls_and_without(shop: Shop, flags: tuple[bool | None, ...]) -> None:
    """pandas holds those with nulls as objects, and the baseline knows ``true`` and ``false``."""
    configure(shop, min=0.7)
    reference = labelled_frame(REFERENCE, 5)
    member = pd.Series([(True, False, None)[place % 3] for place in range(len(reference))], dtype="boolean")
    with shop.open() as workspace:
        freeze(workspace, MODEL, "2", reference.assign(member=member), (*FEATURES, "member"), source="five good days")
    rows = [{**row, "model_version": "2"} for row in records(day(0))]
    shop.log([{**row, "features.member": flags[place % len(flags)]} for place, row in enumerate(rows)])
    judged = shop.judge()
    assert [each.check for each in judged.verdict.findings] == ["labels.coverage"]
    assert document(judged.report_dir)["measurements"]["estimate"]["unsupported_share"] < 0.05


def test_an_estimate_surely_below_its_bound_breaches_and_does_not_retrain(shop: Shop) -> None:
    shop.configure(**QUIET, performance={"metric": "roc_auc", "min": 0.7}, retrain={"train": "training:train"})
    shop.log(undecided(0))
    judged = shop.judge(carriers=recorders())
    assert judged.verdict.line == "breached: performance.estimated(roc_auc)"
    assert judged.verdict.findings[0].severity == "warning"
    assert "Labels are missing; estimated roc_auc is 0." in judged.verdict.findings[0].message
    assert judged.revision.decision.retrain is None
    assert "no finding is of a kind that asks for it (performance)" in judged.revision.decision.retrain_reason


def test_an_estimate_retrains_where_that_is_asked_for(shop: Shop) -> None:
    retrain = {"train": "training:train", "on": ["performance", "estimated"]}
    shop.configure(**QUIET, performance={"metric": "roc_auc", "min": 0.7}, retrain=retrain)
    shop.log(undecided(0))
    cause = shop.judge(carriers=recorders()).revision.decision.retrain
    assert cause is not None
    assert cause.check == "performance.estimated"


def test_labels_that_come_make_a_revision_that_shows_how_the_two_met(shop: Shop) -> None:
    configure(shop, min=0.7)
    rows = undecided(0)
    shop.log(rows)
    first = shop.judge(carriers=recorders())
    shop.label(labels(rows))
    second = shop.judge(carriers=recorders())
    assert second.revision.number == 2
    assert second.verdict.line == "breached: performance.realised(roc_auc)"
    metrics = second.revision.metrics
    estimate = first.revision.metrics["performance.roc_auc.estimated"]
    assert metrics["performance.roc_auc.estimated"] == estimate
    assert metrics["performance.roc_auc.estimated.low"] < metrics["performance.roc_auc.realised"]
    changes = {(each.incident.check, each.change.value) for each in second.revision.decision.changes}
    assert changes == {("performance.estimated", "resolved"), ("performance.realised", "opened")}
    page = (second.report_dir / "summary.html").read_text()
    assert f"roc_auc: estimated {estimate:.3f} ±" in page
    assert f"realised {metrics['performance.roc_auc.realised']:.3f}" in page
    with shop.open() as workspace:
        line = describe(workspace, MODEL, windows=5).performance
    assert f"estimated {estimate:.3f}, realised {metrics['performance.roc_auc.realised']:.3f}" in line
    assert line in run("status", MODEL, "-C", str(shop.root)).output


def test_an_open_incident_of_an_estimate_outlives_a_window_without_one_and_ends_with_a_good_one(shop: Shop) -> None:
    configure(shop, min=0.7)
    shop.log(undecided(0))
    shop.judge(0, carriers=recorders())
    shop.log([{**row, "features.age": 500.0} for row in records(day(1))])
    withheld = shop.judge(1, carriers=recorders())
    assert [each.check for each in withheld.verdict.findings][-1] == "performance.withheld"
    assert "lie outside what the reference has seen, over 5% (age 100%)" in withheld.verdict.findings[-1].message
    assert not withheld.revision.decision.changes or all(
        each.incident.check != "performance.estimated" for each in withheld.revision.decision.changes
    )
    shop.log(records(day(2)))
    changes = shop.judge(2, carriers=recorders()).revision.decision.changes
    assert ("performance.estimated", "resolved") in {(each.incident.check, each.change.value) for each in changes}


def test_a_change_of_what_people_do_is_invisible_until_labels_tell(shop: Shop) -> None:
    configure(shop, min=0.7)
    shop.log(rows := records(day(0)))
    assert shop.judge().verdict.outcome is Outcome.HEALTHY
    shop.label(labels(rows, sign=-1))
    assert "performance.realised" in shop.judge().verdict.line


def test_a_model_without_a_feed_of_labels_is_judged_by_its_estimate(shop: Shop) -> None:
    shop.configure(**QUIET, labels=None, performance={"metric": "roc_auc", "min": 0.7})
    shop.log(records(day(0)))
    shop.log(undecided(1))
    assert shop.judge(0).verdict.line == "healthy"
    assert shop.judge(1).verdict.line == "breached: performance.estimated(roc_auc)"


def test_an_estimate_can_be_switched_off(shop: Shop) -> None:
    configure(shop, min=0.7, estimate=False)
    shop.log(undecided(0))
    judged = shop.judge()
    assert [each.check for each in judged.verdict.findings] == ["labels.coverage"]
    assert "performance.roc_auc.estimated" not in judged.revision.metrics


def test_a_baseline_frozen_before_estimates_is_read_and_says_what_it_lacks(shop: Shop) -> None:
    import hashlib

    path = shop.root / "baselines" / MODEL / "1" / "baseline.json"
    values = json.loads(path.read_text())
    schema = {"schema": values.pop("schema")}
    del values["estimation"]
    content = json.dumps({**values, "digest": ""}, allow_nan=False, ensure_ascii=False, indent=1).encode()
    values["digest"] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps({**schema, **values}, ensure_ascii=False, indent=1) + "\n")
    configure(shop, min=0.7)
    shop.log(records(day(0)))
    findings = shop.judge().verdict.findings
    assert [each.check for each in findings] == ["labels.coverage", "performance.withheld"]
    assert "the baseline of version 1 was frozen without what an estimate needs" in findings[1].message


# ---------------------------------------------------------------- the other tasks


@pytest.fixture
def fresh(tmp_path: Path) -> Shop:
    shop = Shop(root=tmp_path / "fresh")
    shop.root.mkdir()
    return shop


def classed(rows: list[Row]) -> list[Row]:
    """The same people, who buy nothing, little or much."""
    high = chance({name: [row[f"features.{name}"] for row in rows] for name in FEATURES})
    parts = [{"much": each**2, "little": each * (1 - each), "nothing": 1 - each} for each in high.tolist()]
    return [
        {**row, "scores": json.dumps(part), "prediction": max(part, key=lambda name: part[name]), "score": None}
        for row, part in zip(rows, parts, strict=True)
    ]


def bought(rows: list[Row]) -> list[Row]:
    draw = np.random.default_rng(len(rows))
    chosen = [draw.choice(list(part), p=list(part.values())) for part in (json.loads(row["scores"]) for row in rows)]
    return [
        {"inference_id": row["inference_id"], "label": str(label), "labelled_at": row["time"]}
        for row, label in zip(rows, chosen, strict=True)
    ]


@pytest.mark.parametrize("form", ["text", "mapping", "lines"])
def test_several_classes_are_estimated_from_the_scores_in_the_log(fresh: Shop, form: str) -> None:
    def log(rows: list[Row]) -> None:
        kept = rows if form == "text" else [{**row, "scores": json.loads(row["scores"])} for row in rows]
        fresh.log_lines(kept, name=f"{rows[0]['time']:%d}") if form == "lines" else fresh.log(kept)

    fresh.configure(**QUIET, task="multiclass", performance={"metric": "accuracy", "min": 0.3})
    for number in range(4):
        log(rows := classed(records(day(number))))
        fresh.label(bought(rows))
    with fresh.open() as workspace:
        frozen = freeze_from_log(workspace, MODEL, start=None, end=None)
    assert frozen.estimation is not None
    assert sorted(frozen.estimation.calibrations) == ["little", "much", "nothing"]
    log(classed(records(day(5))))
    metrics = fresh.judge(5, carriers=recorders()).revision.metrics
    assert metrics["performance.accuracy.estimated.low"] < frozen.performance.judged.value  # type: ignore[union-attr]
    assert frozen.performance.judged.value < metrics["performance.accuracy.estimated.high"]  # type: ignore[union-attr]


def test_a_regressions_error_is_estimated_from_the_reference_rows(fresh: Shop) -> None:
    fresh.configure(**QUIET, task="regression", performance={"metric": "mae", "max": 30.0})
    frame = labelled_frame(REFERENCE, 5)
    draw = np.random.default_rng(0)
    said = frame["basket"] * 2
    frame = frame.assign(prediction=said, label=said + draw.normal(0, 1, len(frame)) * frame["age"])
    with fresh.open(now=day(0)) as workspace:
        freeze(workspace, MODEL, "1", frame.drop(columns="score"), FEATURES, source="five days")
    rows = [{**row, "prediction": 2 * row["features.basket"], "score": None} for row in records(day(0))]
    old = [row for row in rows if row["features.age"] > 45]
    fresh.log([{**row, "time": day(0) + DAY * place / len(old)} for place, row in enumerate(old)])
    judged = fresh.judge(carriers=recorders())
    aged = Marginals(columns=("age",), empty=(), made_at=day(0), reason="retention.features is 30d")
    with fresh.open() as workspace:
        project = workspace.project
        baseline = replace(read_baseline(project.baselines, MODEL, "1"), marginals=aged)
        withheld = estimate_frame(project, project.model(MODEL), baseline, frame, weights=None)
    assert isinstance(withheld, Unmeasured)
    assert "whole rows, and the baseline holds none any more (retention.features is 30d)" in withheld.reason
    assert judged.verdict.line == "breached: performance.estimated(mae)"
    assert judged.revision.metrics["performance.mae.estimated"] == pytest.approx(52 * (2 / np.pi) ** 0.5, rel=0.1)
