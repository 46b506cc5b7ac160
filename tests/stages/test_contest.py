"""What a contest is held over: rows known when it was asked for, split in time, and nothing that came later."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from retrue.results import RetrainCause
from retrue.stages.contest import Contest, assemble
from tests.stages.learning import RETRAIN, log_days
from tests.stages.project import DAY, FEATURES, MODEL, REFERENCE, ROWS, Shop, day, labels, records

AS_OF = day(4) + timedelta(hours=2)


def contest(shop: Shop, as_of: datetime = AS_OF, **retrain: Any) -> Contest:
    shop.configure(retrain={**RETRAIN, **retrain})
    cause = RetrainCause(
        model=MODEL, fingerprint="f" * 32, check="manual", scope="", attempt=1, as_of=as_of, message="because"
    )
    with shop.open() as workspace:
        settings = workspace.project.model(MODEL)
        assert settings.retrain is not None
        return assemble(workspace, settings, settings.retrain, cause)


def digests(held: Contest) -> tuple[str, str]:
    return held.training.digest, held.later.digest


def test_the_challenger_learns_from_the_past_and_is_judged_by_what_came_after(shop: Shop) -> None:
    log_days(shop)
    held = contest(shop)
    assert (len(held.training), len(held.later)) == (3 * ROWS, ROWS)
    assert held.training.frame["time"].max() < held.later.frame["time"].min() == day(3)
    assert set(held.training.inputs.columns) == set(FEATURES)
    assert (held.champion, held.baseline.version) == ("1", "1")


def test_rows_and_labels_that_come_later_change_nothing(shop: Shop) -> None:
    log_days(shop)
    before = digests(contest(shop))
    shop.log(rows := records(day(4)))
    shop.label(labels(rows))
    changed = [{**row, "label": 1 - row["label"], "labelled_at": AS_OF + DAY} for row in labels(records(day(3)))]
    shop.label(changed, name="corrections")
    assert digests(contest(shop)) == before


def test_labels_known_by_then_do_change_it(shop: Shop) -> None:
    log_days(shop)
    before = digests(contest(shop))
    changed = [{**row, "label": 1 - row["label"], "labelled_at": AS_OF} for row in labels(records(day(3)), sign=-1)]
    shop.label(changed, name="corrections")
    training, later = digests(contest(shop))
    assert training == before[0]
    assert later != before[1]


def test_the_order_of_files_changes_nothing(shop: Shop) -> None:
    log_days(shop)
    before = digests(contest(shop))
    for number, path in enumerate(sorted(shop.root.glob("logs/*"), reverse=True)):
        path.rename(path.with_name(f"{number}.parquet"))
    assert digests(contest(shop)) == before


def test_only_rows_of_settled_windows_count(shop: Shop) -> None:
    log_days(shop)
    assert len(contest(shop, AS_OF - timedelta(hours=1)).later) == ROWS
    assert contest(shop, AS_OF - timedelta(hours=1)).later.frame["time"].max() < day(3)


def test_the_champions_own_rows_come_before_those_of_the_windows(shop: Shop) -> None:
    log_days(shop)
    held = contest(shop, include_reference=True)
    assert len(held.training) == (5 + 3) * ROWS
    assert held.training.frame["time"].is_monotonic_increasing
    assert held.training.frame["time"].iloc[0] == REFERENCE
    assert held.training.frame["inference_id"].is_unique


def test_history_bounds_how_far_back_it_learns(shop: Shop) -> None:
    log_days(shop)
    held = contest(shop, include_reference=True, history="2d")
    assert held.training.frame["time"].min() == day(2)
    assert len(held.training) == ROWS
