"""One window that cannot be judged again costs neither the newest window nor the others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from retrue.errors import RetrueError
from retrue.stages import backfill
from retrue.stages.backfill import judge_matured
from retrue.windows import Window
from retrue.workspace import Workspace
from tests.stages.project import MODEL, Shop, day, labels, records


def test_a_window_that_fails_holds_no_other_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        shop.log(records(day(number)))
        shop.judge(number, now=day(number + 1) + timedelta(hours=3))
    for number in range(2):
        shop.label(labels(records(day(number))), name=f"{number}")
    real = backfill.monitor_window

    def fail_on_the_first(workspace: Workspace, window: Window, **options: object) -> object:
        if window.start == day(0):
            raise RetrueError("its baseline is damaged")
        return real(workspace, window, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(backfill, "monitor_window", fail_on_the_first)
    seen = []
    with shop.open(carriers={}, now=day(3)) as workspace, pytest.raises(RetrueError, match="damaged"):
        seen.extend(each.verdict.window.start for each in judge_matured(workspace, MODEL))
    assert seen == [day(1)]
