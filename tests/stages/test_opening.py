"""Drift of real windows by the rule that holds where none is written: a little is told with its second window, a lot at once."""

from __future__ import annotations

from retrue.results import Outcome
from retrue.stages.monitor import Judged
from tests.stages.project import MODEL, Shop, day, records

DRIFT = ("drift.column", "age")
A_LITTLE, A_LOT = 5.0, 20.0  # years; the threshold is 0.3 standard deviations, 3.5 years


def judge_older(shop: Shop, number: int, years: float) -> Judged:
    """Judge a window whose customers are so many years older."""
    shop.log([{**row, "features.age": row["features.age"] + years} for row in records(day(number))])
    return shop.judge(number)


def opened(shop: Shop) -> list[tuple[str, str]]:
    with shop.open() as workspace:
        return [(each.check, each.scope) for each in workspace.ledger.incidents.list(MODEL)]


def test_a_little_drift_breaches_its_window_and_is_told_with_the_next_that_has_it(shop: Shop) -> None:
    first = judge_older(shop, 0, A_LITTLE)
    assert first.verdict.outcome is Outcome.BREACHED
    assert DRIFT not in opened(shop)
    assert "Pending: 1 of the last 3 windows" in (first.report_dir / "summary.html").read_text()
    judge_older(shop, 1, 0)
    judge_older(shop, 2, A_LITTLE)
    assert DRIFT in opened(shop)


def test_a_lot_of_drift_is_told_at_once(shop: Shop) -> None:
    judge_older(shop, 0, A_LOT)
    assert DRIFT in opened(shop)


def test_drift_beyond_all_measure_is_told_at_once(shop: Shop) -> None:
    shop.log([{**row, "features.age": 1e300 * (number % 7)} for number, row in enumerate(records(day(0)))])
    assert shop.judge().verdict.outcome is Outcome.BREACHED
    assert DRIFT in opened(shop)
