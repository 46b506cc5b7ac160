"""Markdown, table rows and notifications: each channel's marks stay harmless."""

import re
from types import ModuleType

import pytest
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml

from retrue.reports import finding_rows, render_markdown, render_message
from retrue.reports.escape import escape_cell, escape_markdown, escape_plain, visible
from retrue.reports.since import Hindsight
from retrue.reports.summary import render_summary
from retrue.results import Change

HOSTILE = [
    "[x](javascript:alert(1))",
    "![x](https://e.vil/p.png)",
    "<!channel> <@U123> <https://e.vil|ok>",
    "@everyone @here",
    "a | b || c",
    "**bold** _it_ ~~no~~ `code` $x$",
    "# heading",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "https://e.vil/",
    "a\r\nBcc: victim@example.org",
    "\u202egnp.exe\x1b[31m",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_shows_a_name_as_it_is(sample: ModuleType, name: str) -> None:
    finding = sample.hostile(sample.FINDINGS[0], name)
    text = render_markdown(sample.verdict(finding), sample.MEASUREMENTS)
    rows = [line for line in text.splitlines() if line.startswith("- **critical** ")]
    assert len(rows) == 1
    named, _, step = rows[0].removeprefix("- **critical** ").partition(" *")
    for part in (named, step.removesuffix("*")):
        assert not re.search(r"(?<!\\)[\[\]`*_|]|<|(?<!\\)://|(?<!\\)@", part)


def test_markdown_says_verdict_findings_and_figures(sample: ModuleType) -> None:
    text = render_markdown(sample.verdict(*sample.FINDINGS), sample.MEASUREMENTS)
    assert text.startswith("# flight\\-delay 2013\\-09\\-05: breached\n")
    assert "- **warning** quality\\.nulls wind\\_gust: " in text
    assert "| Drifted columns | 1 of 3 |" in text


def test_markdown_of_an_inconclusive_window_lists_its_reasons(sample: ModuleType) -> None:
    text = render_markdown(sample.verdict(reasons=("no rows", "late <labels>")), sample.MEASUREMENTS)
    assert "- no rows\n- late &lt;labels&gt;\n" in text
    assert "No findings." in text


def test_table_rows_have_text_only_and_every_field(sample: ModuleType) -> None:
    rows = finding_rows(sample.verdict(sample.hostile(sample.FINDINGS[0], HOSTILE[-1])))
    assert list(rows[0]) == ["severity", "message", "next step", "check", "scope", "value", "threshold"]
    assert rows[0]["scope"] == r"\u202egnp.exe\x1b[31m"


@pytest.mark.parametrize("name", [*HOSTILE, "_it_ snake_case \\* a_", "&lt; <!-- -->", "- item", "1 < 2 & [0.1, 0.2]"])
def test_a_table_cell_is_shown_as_it_is_although_prefect_reads_markdown_and_html_in_it(name: str) -> None:
    paragraph = MarkdownIt("commonmark").render(escape_cell(name))
    assert paragraph == f"<p>{escapeHtml(visible(name))}</p>\n"


def test_a_table_cell_leaves_ordinary_names_and_values_alone() -> None:
    for text in ("roc_auc", "performance.drop", "0.061 [0.044, 0.077]", "-0.5", "0.956 ± 0.2"):
        assert escape_cell(text) == text


def test_a_message_groups_what_opened_what_goes_on_and_what_is_over(sample: ModuleType) -> None:
    performance, nulls, aside = sample.FINDINGS
    changes = [
        sample.change(nulls, Change.REPEATED),
        sample.change(aside, Change.RESOLVED),
        sample.change(performance, Change.OPENED),
        sample.change(sample.hostile(aside, "other"), Change.CONTINUED),
    ]
    subject, body = render_message(sample.verdict(performance, nulls), changes)
    assert subject == "[critical] flight-delay 2013-09-05: breached (1 opened, 1 still open, 1 resolved)"
    assert body.splitlines() == [
        "flight-delay, 2013-09-05 to 2013-09-12 UTC, model version 1",
        "breached: performance.realised(roc_auc), quality.nulls(wind_gust)",
        "",
        "Opened:",
        "- [critical] performance.realised roc_auc: Realised roc_auc is 0.588, below 0.6.",
        f"  Next: {performance.next_step}",
        "",
        "Still open:",
        "- [warning] quality.nulls wind_gust (since 2013-08-29): 71.4% of wind_gust is null, 0.0% in the baseline.",
        f"  Next: {nulls.next_step}",
        "",
        "Resolved:",
        "- source.set_aside (since 2013-08-29)",
        "",
        "1 other incident goes on.",
    ]


def test_a_message_about_one_thing_says_it_in_the_subject(sample: ModuleType) -> None:
    nulls = sample.FINDINGS[1]
    subject, _ = render_message(sample.verdict(nulls), [sample.change(nulls, Change.OPENED)])
    assert subject.startswith("[warning] flight-delay 2013-09-05: breached (1 opened) - 71.4% of wind_gust is null")


def test_a_resolution_has_no_severity_in_its_subject(sample: ModuleType) -> None:
    subject, body = render_message(sample.verdict(), [sample.change(sample.FINDINGS[0], Change.RESOLVED)])
    assert subject.startswith("flight-delay 2013-09-05: healthy (1 resolved)")
    assert "Resolved:\n- performance.realised roc_auc" in body


def test_an_inconclusive_window_gives_its_reasons(sample: ModuleType) -> None:
    _, body = render_message(sample.verdict(reasons=("no rows",)), [])
    assert "The window could not be judged:\n- no rows\n" in body


@pytest.mark.parametrize("name", HOSTILE)
def test_a_message_mentions_nobody_and_links_nowhere(sample: ModuleType, name: str) -> None:
    finding = sample.hostile(sample.FINDINGS[0], name)
    subject, body = render_message(sample.verdict(finding), [sample.change(finding, Change.OPENED)])
    assert "\n" not in subject
    assert "\r" not in subject + body
    assert not re.search(r"[<>@`\x1b\u202e]|://", subject + body)
    assert len(subject) <= 160
    assert len(body.splitlines()) == 6


def test_a_thousand_incidents_do_not_make_an_endless_message(sample: ModuleType) -> None:
    findings = [sample.hostile(sample.FINDINGS[1], f"column{number}") for number in range(1000)]
    _, body = render_message(sample.verdict(*findings), [sample.change(each, Change.OPENED) for each in findings])
    assert "- and 980 more" in body
    assert len(body.splitlines()) < 50


def test_long_text_is_cut_before_it_is_escaped() -> None:
    assert visible("x" * 10, limit=4) == "xxxx…"
    assert visible("\x00" * 10, limit=1) == "\\x00…"


def test_ordinary_text_is_left_alone() -> None:
    text = "71.4% of dep_delay ≥ 0.1 – Köln, 東京 (été)"
    assert visible(text) == text
    assert escape_plain(text) == text
    assert "dep\\_delay" in escape_markdown(text)


def test_what_other_windows_say_stands_with_the_finding_and_is_no_markup(sample: ModuleType) -> None:
    finding = sample.FINDINGS[0]
    print_ = finding.fingerprint(sample.verdict().window.model)
    told = Hindsight(
        notes={print_: ("Sudden, since <b>June</b>.",)}, moves=("<i>temp</i>: its mean has jumped",), more_moves=2
    )
    judged = sample.verdict(finding)
    _, body = render_message(judged, [sample.change(finding, Change.OPENED)], hindsight=told)
    markdown = render_markdown(judged, sample.MEASUREMENTS, hindsight=told)
    page = render_summary(judged, sample.MEASUREMENTS, (), hindsight=told)
    assert "Sudden, since" in body
    for text in (markdown, page):
        assert "Sudden, since" in text
        assert "its mean has jumped" in text
        assert "<b>" not in text.replace("<b>Over", "")
        assert "<i>" not in text
    assert "2 more moved." in page
