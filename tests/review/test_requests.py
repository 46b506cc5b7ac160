"""Retrainings asked for by people, more often than a page of the list holds."""

from __future__ import annotations

from retrue.stages.retrain import request_for
from tests.stages.project import MODEL, NOW, Shop


def test_the_same_reason_opens_a_new_request_after_any_number_of_closed_ones(shop: Shop) -> None:
    with shop.open() as workspace:
        opened = []
        for _ in range(23):
            request = request_for(workspace, MODEL, "asked for by a person")
            claimed = workspace.ledger.requests.claim(request, NOW)
            workspace.ledger.requests.close(request, token=claimed.token, state="refused", reason="no", now=NOW)
            opened.append(request)
        assert len(set(opened)) == 23
        assert request_for(workspace, MODEL, opened[0]) == opened[0], "an old request is still found by its id"
