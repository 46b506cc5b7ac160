from dataclasses import replace

from tests.builders import drift, measurements
from tests.judging import judged

from retrue.reports.seen import seen_sentences
from retrue.reports.summary import render_summary
from retrue.results import ColumnDrift, DriftResult


def column(name: str, detectable: float | None, *, numeric: bool = True) -> ColumnDrift:
    return ColumnDrift(
        column=name, method="wasserstein", score=0.01, threshold=0.1, chance=0.9, detectable=detectable, numeric=numeric
    )


MEASURED = DriftResult(
    columns=(column("a", 0.12), column("b", None), column("c", 0.2, numeric=False), column("d", 0.9)),
    unmeasurable=(), reference_rows=1000, current_rows=1000, false_alarms="1 per 90d", alpha=7 / 90,
)  # fmt: skip


def test_the_stated_rate_and_the_three_weakest_columns_are_told() -> None:
    rate, weakest = seen_sentences(MEASURED)
    assert rate == (
        "Stated rate: 1 per 90d without drift, all 4 calibrated columns together; 0.078 of windows like this one."
    )
    assert weakest == (
        "A change could hide longest in b (none would be seen), d (seen from 0.90 sd on), c (seen from 20% of rows on)."
    )


def test_fixed_thresholds_state_no_rate() -> None:
    fixed = replace(drift({"temp": 0.01}), uncalibrated="drift is judged by the fixed threshold 0.1")
    assert list(seen_sentences(fixed)) == ["Drift is judged by the fixed threshold 0.1."]
    assert list(seen_sentences(drift({"temp": 0.01}))) == []
    assert list(seen_sentences(None)) == []


def test_a_healthy_page_says_beside_it_what_would_have_been_seen() -> None:
    measured = measurements(drift=MEASURED)
    page = render_summary(judged(measured), measured, [])
    assert page.index("healthy") < page.index("A change could hide longest in") < page.index("Key figures")
