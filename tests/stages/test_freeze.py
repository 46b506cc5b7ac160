"""Freezing a baseline out of a log: whose rows, who serves from then on, and the suite that is proposed once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from retrue.adapters.suite_gx import load_suite
from retrue.baselines import read_baseline, read_reference
from retrue.errors import BaselineError
from retrue.results import Baseline
from retrue.stages.freeze import freeze, freeze_from_log
from tests.sources.logs import Row
from tests.stages.project import (
    DRIFTING,
    FEATURES,
    MODEL,
    REFERENCE,
    ROWS,
    Shop,
    day,
    labelled_frame,
    labels,
    recorders,
    records,
)


@pytest.fixture
def fresh(tmp_path: object) -> Shop:
    """A project that has nothing yet but its settings."""
    shop = Shop(root=tmp_path / "fresh")  # type: ignore[operator]
    shop.root.mkdir()
    shop.configure()
    return shop


def frozen(shop: Shop, **options: object) -> Baseline:
    arguments: dict[str, object] = {"start": None, "end": None, **options}
    with shop.open() as workspace:
        return freeze_from_log(workspace, MODEL, **arguments)  # type: ignore[arg-type]


def log_days(shop: Shop, *, version: str = "1") -> None:
    for number in (0, 1):
        shop.log(rows := records(day(number), version=version))
        shop.label(labels(rows))


def test_the_version_that_served_most_gets_a_baseline_and_becomes_the_champion(fresh: Shop) -> None:
    log_days(fresh, version="7")
    fresh.log(records(day(2), 20, version="8"))
    baseline = frozen(fresh)
    assert (baseline.version, baseline.provenance.rows) == ("7", 2 * ROWS)
    assert set(baseline.profile.columns) == set(DRIFTING)
    assert baseline.performance is not None
    assert baseline.performance.metric == "roc_auc"
    with fresh.open() as workspace:
        models = workspace.ledger.models
        assert (models.champion(MODEL), models.version(MODEL, "7").kind) == ("7", "external")
        assert models.baseline_digest(MODEL, "7") == baseline.digest
        assert read_baseline(workspace.project.baselines, MODEL, "7") == baseline
        reference = read_reference(workspace.project.baselines, MODEL, "7")
    assert reference["time"].is_monotonic_increasing
    assert reference["label"].notna().all()


def test_a_champion_stays_when_another_version_gets_its_baseline(fresh: Shop) -> None:
    log_days(fresh)
    fresh.log(records(day(2), 20, version="8"))
    frozen(fresh)
    assert frozen(fresh, version="8").provenance.rows == 20
    with fresh.open() as workspace:
        assert workspace.ledger.models.champion(MODEL) == "1"


def test_a_first_champion_wakes_nobody(fresh: Shop) -> None:
    log_days(fresh)
    frozen(fresh)
    with fresh.open() as workspace:
        assert {row.kind for row in workspace.ledger.outbox.rows()} == {"alias", "event"}


def test_only_the_records_of_the_span_are_frozen(fresh: Shop) -> None:
    log_days(fresh)
    baseline = frozen(fresh, start=day(0) + timedelta(hours=12), end=day(1))
    assert baseline.provenance.rows == ROWS // 2
    assert day(0) + timedelta(hours=12) <= baseline.provenance.start < baseline.provenance.end < day(1)


def test_freezing_the_same_again_changes_nothing(fresh: Shop) -> None:
    log_days(fresh)
    assert frozen(fresh) == frozen(fresh)


def test_a_baseline_never_changes(fresh: Shop) -> None:
    log_days(fresh)
    frozen(fresh)
    with pytest.raises(BaselineError, match="version 1 of shop has another baseline already; a baseline never changes"):
        frozen(fresh, end=day(1))


def test_the_suite_is_proposed_once_and_is_the_persons_from_then_on(fresh: Shop) -> None:
    log_days(fresh)
    frozen(fresh)
    path = fresh.root / "expectations" / "shop.json"
    suite = json.loads(path.read_text())
    assert {entry["meta"]["why"] != "" for entry in suite["expectations"]} == {True}
    assert suite["expectations"][0]["kwargs"] == {"min_value": 100}, "a quarter of a usual day"
    assert len(load_suite(path).entries) == len(suite["expectations"])
    edited = json.dumps({**suite, "expectations": suite["expectations"][:1]})
    path.write_text(edited)
    fresh.log(records(day(2), 20, version="8"))
    frozen(fresh, version="8")
    assert path.read_text() == edited


def test_a_proposed_suite_holds_on_the_next_usual_day(fresh: Shop) -> None:
    log_days(fresh)
    frozen(fresh)
    fresh.log(rows := records(day(2)))
    fresh.label(labels(rows))
    assert fresh.judge(2, carriers=recorders()).verdict.line == "healthy"


def test_without_labels_a_baseline_has_no_performance(fresh: Shop) -> None:
    fresh.log(records(day(0)))
    baseline = frozen(fresh)
    assert baseline.performance is None
    assert baseline.estimation is not None
    assert baseline.estimation.withheld == "the reference of the baseline has no labels"


def test_without_records_there_is_no_baseline(fresh: Shop) -> None:
    with pytest.raises(BaselineError, match="no records of shop between 1970-01-01 and 2025-04-20: look at logs"):
        frozen(fresh)


def test_a_version_without_records_gets_no_baseline(fresh: Shop) -> None:
    log_days(fresh)
    with pytest.raises(BaselineError, match="no records of shop"):
        frozen(fresh, version="9")


def without_version(rows: list[Row]) -> list[Row]:
    return [{key: value for key, value in row.items() if key != "model_version"} for row in rows]


@pytest.mark.parametrize("absent", ["column", "value"])
def test_a_log_that_names_no_version_has_a_baseline_of_the_version_unknown(fresh: Shop, absent: str) -> None:
    rows = without_version(records(day(0)))
    fresh.log(rows if absent == "column" else [{**row, "model_version": None} for row in rows])
    assert frozen(fresh).version == "unknown"
    fresh.log(without_version(records(day(1))))
    verdict = fresh.judge(1).verdict
    assert verdict.line == "healthy (2 info)"
    assert "the reference of the baseline has no labels" in verdict.findings[1].message


def test_no_rows_are_no_baseline(fresh: Shop) -> None:
    with fresh.open() as workspace, pytest.raises(BaselineError, match="needs rows: nothing has none"):
        freeze(workspace, MODEL, "1", labelled_frame(REFERENCE, 1).head(0), FEATURES, source="nothing")
