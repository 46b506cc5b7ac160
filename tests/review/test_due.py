"""Which window a run without `--window-end` judges, and which one nobody may judge."""

from __future__ import annotations

from datetime import timedelta

import pytest

from retrue.errors import ConfigError
from retrue.stages.backfill import judge_due
from retrue.stages.monitor import window_to_judge
from retrue.workspace import name_window
from tests.stages.project import MODEL, NOW, Shop, day, records


def test_a_run_that_comes_late_judges_the_window_it_was_scheduled_for(shop: Shop) -> None:
    shop.log(records(day(0)))
    scheduled = day(1) + timedelta(hours=2, minutes=15)
    with shop.open(carriers={}, now=scheduled + timedelta(days=3)) as workspace:
        *_, judged = judge_due(workspace, MODEL, None, at=scheduled)
    assert judged.verdict.window.start == day(0)


def test_a_window_that_has_not_ended_is_refused_since_it_would_outdate_all_that_come(shop: Shop) -> None:
    with shop.open() as workspace:
        with pytest.raises(ConfigError, match="has not ended"):
            window_to_judge(workspace, MODEL, f"{NOW + timedelta(days=1):%Y-%m-%d}")
        assert window_to_judge(workspace, MODEL, f"{NOW:%Y-%m-%d}").end < NOW


def test_a_late_run_is_named_after_the_window_it_was_scheduled_for(shop: Shop) -> None:
    assert name_window(shop.root, MODEL, None, now=lambda: day(1) + timedelta(hours=3)) == f"{MODEL} {day(0):%Y-%m-%d}"
