"""summary.html and quality.html: complete, self-contained, and harmless whatever columns are called."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from types import ModuleType

import pytest

from retrue.reports import render_quality, render_summary
from retrue.results import (
    ColumnDrift,
    ColumnProfile,
    DriftResult,
    EstimatedPerformance,
    Finding,
    Interval,
    Measurements,
    Outcome,
    Profile,
    SchemaDifference,
    SetAside,
    Unmeasured,
    ValidationResult,
)

HOSTILE = [
    "</script><script>document.body.dataset.pwned = 1</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "{{ 1234 * 5678 }}{% raw %}",
    "javascript:alert(1)",
    "</title></style></svg><b>",
    "a\u202egnp.exe\u200b\x1b[31m\x00\x9b\ud800\u2028",
    "x" * 10_000,
]


class Elements(HTMLParser):
    """Every element and attribute of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def pages(sample: ModuleType, measurements: Measurements, *findings: Finding) -> list[str]:
    judged = sample.verdict(*findings, reasons=("drift of pressure could not be measured",))
    name = measurements.model_version
    return [
        render_summary(
            judged, measurements, sample.history(), stories=sample.failures() if name == "1" else sample.called(name)
        ),
        render_quality(judged, measurements, baseline=sample.BASELINE),
    ]


def named(sample: ModuleType, name: str) -> Measurements:
    """The sample window with this name wherever a name can be."""
    usual: Measurements = sample.MEASUREMENTS
    column: ColumnProfile = replace(sample.PROFILE.columns["origin"], name=name, type=name)
    outcome = sample.outcome(name, name, None, expected=name, why=name, problem=name)
    return replace(
        usual,
        pull=replace(
            usual.pull, set_aside=(SetAside(place=name, reason=name),), model_versions={name: 3}, set_aside_share=0.0
        ),
        model_version=name,
        profile=Profile(rows=9, columns={name: column}),
        schema=SchemaDifference(missing=(name,), extra=(name + "2",)),
        validation=ValidationResult(suite=name, outcomes=(outcome,)),
        drift=DriftResult(
            columns=(ColumnDrift(column=name, method=name, score=1.0, threshold=0.1),),
            unmeasurable=((name, name),),
            reference_rows=9,
            current_rows=9,
        ),
        system=sample.serving(name),
        unmeasured=(Unmeasured(part=name, reason=name),),
    )


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_stays_text(sample: ModuleType, name: str) -> None:
    usual = pages(sample, sample.MEASUREMENTS, *sample.FINDINGS)
    finding = sample.hostile(sample.FINDINGS[0], name)
    for page, plain in zip(pages(sample, named(sample, name), finding), usual, strict=True):
        found = Elements(page)
        assert found.tags <= Elements(plain).tags
        assert not [each for each in found.attributes if each.startswith("on") or each in {"src", "href"}]
        assert "7006652" not in page
        page.encode()


def test_invisible_characters_are_shown(sample: ModuleType) -> None:
    for page in pages(sample, named(sample, HOSTILE[6]), sample.hostile(sample.FINDINGS[0], HOSTILE[6])):
        assert r"a\u202egnp.exe\u200b\x1b[31m\x00\x9b\ud800\u2028" in page
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u2028\x00\x1b\x80-\x9f\ud800-\udfff]", page)


def test_a_name_of_10_kb_does_not_fill_the_page(sample: ModuleType) -> None:
    for page in pages(sample, named(sample, "x" * 10_000), sample.FINDINGS[0]):
        assert "x" * 2001 not in page


def test_pages_fetch_nothing_and_run_nothing(sample: ModuleType) -> None:
    for page in pages(sample, sample.MEASUREMENTS, *sample.FINDINGS):
        assert "default-src 'none'; style-src 'unsafe-inline'" in page
        assert Elements(page).tags.isdisjoint({"script", "link", "img", "iframe", "a", "object", "form", "base"})
        assert not re.search(r"https?://|url\(|@import|//[a-z]", page)


def test_no_category_is_on_a_page(sample: ModuleType) -> None:
    assert sample.CATEGORY in sample.PROFILE.columns["origin"].categories
    for page in pages(sample, sample.MEASUREMENTS, *sample.FINDINGS):
        assert sample.CATEGORY not in page


def test_the_same_window_gives_the_same_bytes(sample: ModuleType) -> None:
    first, again = (pages(sample, sample.MEASUREMENTS, *sample.FINDINGS) for _ in range(2))
    assert first == again


def test_the_summary_says_verdict_findings_and_figures(sample: ModuleType) -> None:
    text = " ".join(Elements(pages(sample, sample.MEASUREMENTS, *sample.FINDINGS)[0]).text)
    for expected in (
        "breached:",
        "performance.realised(roc_auc)",
        "Realised roc_auc is 0.588, below 0.6.",
        "Check the source of this feature",
        "6,431",
        "12 duplicates removed, 8 set aside",
        "95% interval 0.569 to 0.607",
        "97.8%",
        "1 of 3",
        "2 of 4",
        "0.31%",
        "48.9 ms",
        "drift of pressure could not be measured",
        "part-4.parquet: truncated Parquet footer (7)",
    ):
        assert expected in text


def test_the_summary_draws_every_series_and_marks_the_new_version(sample: ModuleType) -> None:
    limits = {"performance.roc_auc.realised": 0.6}
    page = render_summary(sample.verdict(), sample.MEASUREMENTS, sample.history(), limits=limits)
    titles = re.findall(r'aria-label="([^"]+)"', page)
    assert titles == ["roc_auc (realised)", "Share of drifted columns", "Rows", "Failed inferences", "Expectations met",
                      "Latency, ms"]  # fmt: skip
    assert page.count(">version 1<") == 6
    assert page.count("limit 0.600") == 1


def test_a_missing_window_and_a_missing_value_leave_gaps(sample: ModuleType) -> None:
    page = render_summary(sample.verdict(), sample.MEASUREMENTS, sample.history())
    lines = [chart.count("<polyline") for chart in re.findall(r"<svg.*?</svg>", page)]
    assert lines == [3, 2, 2, 2, 2, 9]


def test_this_windows_own_earlier_revision_is_replaced(sample: ModuleType) -> None:
    earlier = replace(sample.history()[-1], window=sample.WINDOW, metrics={"rows": 77_777.0})
    page = render_summary(sample.verdict(), sample.MEASUREMENTS, [*sample.history(), earlier])
    assert "77,777" not in page
    assert page.count('<td style="white-space:nowrap">2013-09-05</td>') == 1


def test_a_first_window_has_no_charts(sample: ModuleType) -> None:
    page = render_summary(sample.verdict(), sample.MEASUREMENTS, [])
    assert "<svg" not in page
    assert "Over time" not in page
    assert "No findings" in page


def test_without_labels_the_charted_metric_comes_from_history(sample: ModuleType) -> None:
    page = render_summary(sample.verdict(), replace(sample.MEASUREMENTS, performance=None), sample.history())
    assert "roc_auc (realised)" in page
    assert "not measured" in page
    assert "too few to judge performance" in page


def with_estimate(sample: ModuleType, **changed: object) -> Measurements:
    found = EstimatedPerformance(
        metric="roc_auc",
        metrics={"roc_auc": Interval(value=0.66, low=0.64, high=0.68)},
        method="cbpe",
        rows=6431,
        unsupported_share=0.012,
    )
    return replace(sample.MEASUREMENTS, **{"estimate": found, **changed})


def test_the_summary_shows_how_estimate_and_labels_met_and_what_an_estimate_cannot_see(sample: ModuleType) -> None:
    past = [replace(each, metrics={**each.metrics, "performance.roc_auc.estimated": 0.66}) for each in sample.history()]
    page = render_summary(sample.verdict(), with_estimate(sample), past)
    text = " ".join(" ".join(Elements(page).text).split())
    assert "roc_auc: estimated 0.660 ± 0.02, realised 0.588." in text
    assert "concept drift is invisible to it. 1.2% of its rows lie outside what the reference has seen." in text
    assert 'aria-label="roc_auc (realised, dashed: estimated)"' in page
    assert page.count('class="line beside"') == 2  # the line has a gap where a window is missing


def test_an_estimate_stands_in_where_no_labels_ever_came(sample: ModuleType) -> None:
    past = [replace(each, metrics={"rows": 10.0, "performance.roc_auc.estimated": 0.66}) for each in sample.history()]
    page = render_summary(sample.verdict(), with_estimate(sample, performance=None), past)
    assert 'aria-label="roc_auc (estimated)"' in page
    assert "estimated 0.660 ± 0.02, from 6,431 rows without labels." in page


def test_a_withheld_estimate_says_why(sample: ModuleType) -> None:
    reason = Unmeasured(part="estimate", reason="62% of the rows lie outside what the reference has seen")
    page = render_summary(sample.verdict(), replace(sample.MEASUREMENTS, unmeasured=(reason,)), [])
    assert "No performance was estimated: 62% of the rows lie outside what the reference has seen." in page


def test_an_empty_window_renders(sample: ModuleType) -> None:
    empty = Measurements(
        window=sample.WINDOW,
        pull=replace(sample.MEASUREMENTS.pull, rows=0, labelled_rows=0, set_aside=(), model_versions={}),
        model_version="1",
        baseline_digest="",
        unmeasured=(Unmeasured(part="profile", reason="no rows"),),
    )
    judged = sample.verdict(reasons=("no rows in this window", "nothing else either"))
    assert judged.outcome is Outcome.INCONCLUSIVE
    summary, quality = render_summary(judged, empty, []), render_quality(judged, empty)
    assert "no rows in this window (and 1 more)" in summary
    assert "No suite was run" in quality
    assert "was not profiled" in quality


def test_quality_shows_every_expectation_worst_first(sample: ModuleType) -> None:
    page = pages(sample, sample.MEASUREMENTS)[1]
    assert re.findall(r'class="word (\w+)"', page) == ["unmet", "raised", "met", "met"]
    text = " ".join(" ".join(Elements(page).text).split())
    assert "2 of 4 met" in text
    assert "4,592 of 6,431 rows null (71.4%)" in text
    assert "A quarter of a usual week must be there." in text
    assert "nothing to measure: no value but nulls" in text


def test_quality_shows_columns_with_their_change(sample: ModuleType) -> None:
    text = " ".join(" ".join(Elements(pages(sample, sample.MEASUREMENTS)[1]).text).split())
    for expected in (
        "number before, text now",
        "71.4% was 0%",
        "18.4 to 57.5 was 18.4 to 66.7",
        "129 of unseen categories (2%)",
        "3 infinite (0.05%)",
        "nothing but nulls",
        "6,431 rows",
    ):
        assert expected in text
