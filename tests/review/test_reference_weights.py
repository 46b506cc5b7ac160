"""A sample that was drawn by weight is not weighted a second time."""

from __future__ import annotations

import pytest

from retrue.stages import freeze
from tests.stages.project import MODEL, NOW, Shop, day, records


def test_a_baseline_out_of_a_weighted_log_counts_each_weight_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = records(day(0), 4000, version="7")
    heavy = {"features.country": "FR", "sample_weight": 9.0}
    shop.log(
        [
            {**row, **(heavy if n % 2 else {"features.country": "DE", "sample_weight": 1.0})}
            for n, row in enumerate(rows)
        ]
    )
    monkeypatch.setattr(freeze, "REFERENCE_ROWS_MAX", 400)
    with shop.open(carriers={}, now=NOW) as workspace:
        frozen = freeze.freeze_from_log(workspace, MODEL, start=day(0), end=day(1), version="7")
    shares = frozen.profile.columns["country"].categories
    assert shares is not None
    assert shares["FR"] == pytest.approx(0.9, abs=0.05)
