"""Failure groups and what was served side by side, on the page, in Markdown and in messages."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from types import ModuleType

import pytest
from tests.ledger.verdicts import finding

from retrue.reports import render_markdown, render_message, render_summary
from retrue.reports.failures import failure_section, reproduce_command, since
from retrue.reports.served import side_by_side
from retrue.results import Change, Finding, Resources, SystemHealth


def page(sample: ModuleType, system: SystemHealth | None = None, **about: object) -> str:
    measurements = replace(sample.MEASUREMENTS, system=system or sample.MEASUREMENTS.system)
    past = about.pop("past", None) or sample.history(spent=True)
    return str(render_summary(sample.verdict(), measurements, past, **about))


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)).split())


def about(sample: ModuleType, number: int = 0) -> Finding:
    return finding("failure.group", sample.failures()[number].id)


# ---------------------------------------------------------------- on the page


def test_the_page_tells_of_each_group_what_a_person_asks_first(sample: ModuleType) -> None:
    text = text_of(page(sample, stories=sample.failures()))
    for expected in (
        "Failures 4 groups in this window",
        "new never seen before ValueError: could not convert string to float: <str> 41 rows, 0.638%",
        "since 2013-09-05 with version 2 here: version 2 (41)",
        "Fails 34x more when origin = EWR and visib is missing 95% interval 20.1x to 58x; 12.4% of 330 rows there, 0.36% elsewhere",
        "Grouped by the same three frames of yours; the same exception type",
        "Frames serve.answer features.encode features.to_number",
        "Samples 0192f3-0, 0192f3-1",
        "Again retrue reproduce 0192f3-0",
        "Traces 0af7651916cd43dd8448eb211c80319c",
        "escalating 7x the share of the 7 windows before",
        "regressed back after 5 windows without it",
        "Resolved with this window: MemoryError (last seen 2013-08-21)",
        "Quiet in this window: ConnectionError: <host> refused (last seen 2013-09-04)",
    ):
        assert expected in text


def test_a_group_is_drawn_over_the_windows_and_within_the_window(sample: ModuleType) -> None:
    drawn = page(sample, stories=sample.failures()[1:2])
    over, within = re.findall(r'<svg class="bars".*?</svg>', drawn)
    assert re.findall(r"<title>(.*?)</title>", over)[-2:] == [
        "2013-08-29: 4 rows, 0.0622%",
        "2013-09-05: 31 rows, 0.482%",
    ]
    assert over.count("<rect") == 8
    assert "from 2013-09-07 22:00: 4" in within


def test_what_all_failures_have_in_common_is_said_where_there_are_several_groups(sample: ModuleType) -> None:
    said = "All failures together: Fails 34x more when origin = EWR and visib is missing"
    assert said in text_of(page(sample, sample.SERVING, stories=sample.failures()))
    assert said not in text_of(page(sample, sample.SERVING, stories=sample.failures()[:1]))
    assert "Request size p95 14.8 kB p50 1.2 kB" in text_of(page(sample, sample.SERVING))


def test_a_page_without_failures_has_no_section_for_them(sample: ModuleType) -> None:
    assert "Failures" not in page(sample)
    assert not failure_section(())


def test_groups_beyond_the_first_ten_are_counted(sample: ModuleType) -> None:
    many = [sample.failure(number, (number + 1,)) for number in range(14)]
    text = text_of(page(sample, stories=many))
    assert "Failures 14 groups in this window" in text
    assert "4 more groups: retrue incidents list --failures" in text
    assert failure_section(many).rows[0].rows == "14"


def test_a_finding_about_a_group_is_headed_by_its_title(sample: ModuleType) -> None:
    judged = sample.verdict(about(sample))
    html = render_summary(judged, sample.MEASUREMENTS, (), stories=sample.failures())
    assert '<span class="scope mono">ValueError: could not convert string to float: &lt;str&gt;</span>' in html


def test_since_names_every_version_of_the_first_window(sample: ModuleType) -> None:
    story = sample.failure()
    mixed = replace(story, sightings=(replace(story.newest, versions={"3": 2, "2": 1}),))
    assert since(story) == "2013-09-05 with version 2"
    assert since(mixed) == "2013-09-05 with versions 2 and 3"


@pytest.mark.parametrize("sample_id", ["$(reboot)", "a b", "--help", "`x`", "a;b", "a'b", "", "x" * 300, "a\nb", "é;"])
def test_no_command_is_offered_that_a_shell_would_take_apart(sample_id: str) -> None:
    assert reproduce_command([sample_id]) == ""


# ---------------------------------------------------------------- side by side, cost


def test_versions_and_endpoints_stand_side_by_side_with_what_follows(sample: ModuleType) -> None:
    text = text_of(page(sample, sample.SERVING))
    assert "Version, endpoint, generator Inferences Failed p50 p95 p99 $ per 1k Tokens in / out" in text
    assert "1 /explain small-chat-1 900 1.2% 77.5 310 837 $4.86 2.35 M / 412 k" in text
    assert (
        "Version 2 is as fast at p95 as version 1 at /predict, and fails 33x more often (13.10% against 0.40%)." in text
    )


def test_columns_that_say_nothing_are_left_out(sample: ModuleType) -> None:
    plain = [sample.served(version, "/predict", 100.0, 0.0, 10.0) for version in ("1", "2")]
    table = side_by_side(replace(sample.SERVING, served=(*plain,)))
    assert table.columns == ("Version", "Inferences", "Failed", "p50", "p95", "p99")
    assert side_by_side(replace(sample.SERVING, served=(plain[0],))).rows == ()
    assert side_by_side(None).rows == ()


def test_cost_and_tokens_are_figures_and_charts_where_the_log_has_them(sample: ModuleType) -> None:
    text = text_of(page(sample, sample.SERVING))
    assert "Cost $4.37 $0.68 per 1,000 inferences" in text
    assert "Tokens 2.35 M in, 412 k out 64.1 out per inference" in text
    assert "Failed inferences 1.52% crash 1.01%, timeout 0.31%, rejected 0.2%" in text
    titles = re.findall(r'class="chart"[^>]*aria-label="([^"]+)"', page(sample, sample.SERVING))
    assert titles[-3:] == ["Latency, ms", "Cost per 1,000 inferences", "Tokens"]
    assert "Cost" not in text_of(str(render_summary(sample.verdict(), sample.MEASUREMENTS, sample.history())))


def test_a_line_of_latency_has_its_own_limit(sample: ModuleType) -> None:
    drawn = page(sample, sample.SERVING, limits={"system.latency_ms.p95": 80.0})
    assert "p95 limit 80" in drawn
    assert 'class="limit s2"' in drawn


def test_what_the_serving_processes_used_is_a_block_and_charts_where_it_was_sampled(sample: ModuleType) -> None:
    used = replace(sample.SERVING, resources=sample.RESOURCES)
    past = sample.history(used=True)
    drawn = page(sample, used, past=past, limits={"system.memory_bytes.max": 2e9})
    text = text_of(drawn)
    assert "The serving processes Processor p95 0.94 cores p50 0.21, peak 1.62 Peak memory 1.87 GB" in text
    assert "Peak connections 64 118 open files Peak threads 23 Peak GPU 97% 11.2 GB on all GPUs" in text
    assert "5 processes, 241,920 samples; each figure is of one process." in text
    titles = re.findall(r'class="chart"[^>]*aria-label="([^"]+)"', drawn)
    assert titles[-3:] == ["Processor, cores of a process", "Memory of a process", "Connections of a process"]
    assert "memory limit 2 GB" in drawn
    markdown = render_markdown(sample.verdict(), replace(sample.MEASUREMENTS, system=used), past)
    assert "## The serving processes" in markdown
    assert "| Peak memory | 1.87 GB |  |" in markdown
    assert re.search(r"\| Peak memory \| [▁-█·]{20} \| 1\\.87 GB \|", markdown)


def test_processes_that_nobody_sampled_have_no_block(sample: ModuleType) -> None:
    assert "serving processes" not in page(sample, sample.SERVING)
    assert "serving processes" not in render_markdown(sample.verdict(), sample.MEASUREMENTS)
    idle = Resources(samples=1, processes=1)
    text = text_of(page(sample, replace(sample.SERVING, resources=replace(idle, threads=3.0))))
    assert "The serving processes Peak threads 3 1 process, 1 sample; each figure is of one process." in text


# ---------------------------------------------------------------- Markdown


def test_markdown_tells_the_same_with_blocks_for_bars(sample: ModuleType) -> None:
    serving = replace(sample.MEASUREMENTS, system=sample.SERVING)
    text = render_markdown(sample.verdict(), serving, sample.history(spent=True), stories=sample.failures())
    assert (
        r"| TimeoutError\: features took longer than &lt;num&gt; s | escalating | 31 | 0\.482% | ▂▂▁▂▂▂▂█ | 2013\-07\-18 with version 2 |"
        in text
    )
    assert r"fails 34x more" not in text
    assert r"Fails 34x more when origin \= EWR and visib is missing \(95% interval" in text
    assert "`retrue reproduce 0192f3-0`" in text
    assert r"- **Resolved** with this window: MemoryError" in text
    assert r"| 2 | \/predict |  | 331 | 13\.1% | 11 | 44 | 118\.8 |  |  |" in text
    assert re.search(r"\| Latency p95, ms \| [▁-█·]{20} \| 48\\\.9 \|", text)


HOSTILE = [
    "[x](javascript:alert(1))",
    "a | b || c",
    "<img src=x onerror=alert(1)>",
    "@everyone <!channel>",
    "a\r\n# b",
    "`x`",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_of_a_failure_is_markup_in_markdown(sample: ModuleType, name: str) -> None:
    serving = replace(sample.MEASUREMENTS, system=sample.serving(name))
    text = render_markdown(sample.verdict(), serving, stories=sample.called(name))
    plain = render_markdown(
        sample.verdict(), replace(serving, system=sample.serving("name")), stories=sample.called("name")
    )
    assert len(text.splitlines()) == len(plain.splitlines())
    for line, usual in zip(text.splitlines(), plain.splitlines(), strict=True):
        assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", usual))
        assert not re.search(r"(?<!\\)[\[\]]|<|(?<!\\)@|(?<!\\)`x", line)


# ---------------------------------------------------------------- messages


def test_a_message_about_a_new_failure_says_what_to_do_first(sample: ModuleType) -> None:
    found = about(sample)
    subject, body = render_message(
        sample.verdict(found), [sample.change(found, Change.OPENED)], stories=sample.failures()
    )
    assert subject == (
        "[critical] flight-delay 2013-09-05: breached (1 opened)"
        " - New failure: ValueError: could not convert string to float: ‹str›"
    )
    assert body.splitlines()[3:] == [
        "Opened:",
        "- [critical] New failure: ValueError: could not convert string to float: ‹str›",
        "  41 rows, 0.638% of inferences; first seen 2013-09-05 with version 2",
        "  fails 34x more when origin = EWR and visib is missing (95% interval 20.1x to 58x; 12.4% of 330 rows there, 0.36% elsewhere)",
        "  Again: retrue reproduce 0192f3-0",
    ]


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (1, Change.REPEATED, "Failure escalates: TimeoutError: features took longer than ‹num› s"),
        (2, Change.OPENED, "Failure is back: KeyError: ‹str›"),
        (3, Change.REPEATED, "Failure: RejectedError: payload of ‹num› bytes is over the limit"),
        (5, Change.RESOLVED, "- MemoryError (since 2013-08-01, last seen 2013-08-21)"),
    ],
)
def test_a_message_says_where_a_failure_stands(sample: ModuleType, number: int, change: Change, said: str) -> None:
    found = about(sample, number)
    findings = [] if change is Change.RESOLVED else [found]
    _, body = render_message(sample.verdict(*findings), [sample.change(found, change)], stories=sample.failures())
    assert said in body
    reason = sample.failures()[number].lifecycle.reason
    assert (reason in body) is (number in (1, 2))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_message_about_a_hostile_failure_mentions_nobody_and_links_nowhere(sample: ModuleType, name: str) -> None:
    stories = sample.called(name)
    found = finding("failure.group", stories[0].id)
    subject, body = render_message(sample.verdict(found), [sample.change(found, Change.OPENED)], stories=stories)
    assert "\n" not in subject
    assert not re.search(r"[<>@`\x1b\u202e]|://", subject + body)
    assert len(body.splitlines()) == 8


def test_a_failure_that_no_story_tells_of_is_still_told(sample: ModuleType) -> None:
    found = about(sample)
    _, body = render_message(sample.verdict(found), [sample.change(found, Change.OPENED)])
    assert f"failure.group {found.scope}: {found.message}" in body
