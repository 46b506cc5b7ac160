"""Commands on a project with judged windows: what people and programs read, and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.run import run, run_json
from tests.stages.project import MODEL, Shop, day, labels, records

SPAN = ("--start", "2025-03-10", "--end", "2025-03-13")


@pytest.fixture
def mixed(shop: Shop) -> Shop:
    """A project with a healthy day, a breached one, and one without rows."""
    for number in (0, 1):
        rows = records(day(number))
        shop.log([{**row, "features.country": "ZZ"} for row in rows] if number else rows)
        shop.label(labels(rows))
    return shop


def test_a_span_exits_by_its_gravest_window(mixed: Shop) -> None:
    code, facts = run_json("backfill", MODEL, *SPAN, "-C", mixed.root)
    assert (code, [each["verdict"] for each in facts]) == (1, ["healthy", "breached", "inconclusive"])
    lines = run("backfill", MODEL, *SPAN, "-C", mixed.root).stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["shop 2025-03-10", "shop 2025-03-11", "shop 2025-03-12"]
    assert run("backfill", MODEL, "--start", "2025-03-12", "--end", "2025-03-13", "-C", mixed.root).exit_code == 2
    assert run("backfill", MODEL, "--start", "2025-03-10", "--end", "2025-03-11", "-C", mixed.root).exit_code == 0


@pytest.mark.parametrize("end", ["2025-03-10T12:00Z", "2025-03-01", "2025-03-10"])
def test_a_span_without_a_window_is_not_healthy(mixed: Shop, end: str) -> None:
    result = run("backfill", MODEL, "--start", "2025-03-10", "--end", end, "-C", mixed.root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "retrue: no settled window lies wholly in the span\n"
    assert run_json("backfill", MODEL, "--start", "2025-03-10", "--end", end, "-C", mixed.root) == (2, [])


def test_status_shows_every_window_newest_first_and_exits_by_the_newest(mixed: Shop) -> None:
    assert (
        run("status", "-C", mixed.root).stdout
        == "shop: champion 1, 0 open incidents: no window judged yet\noutbox: empty\n"
    )
    run("backfill", MODEL, "--start", "2025-03-10", "--end", "2025-03-12", "-C", mixed.root)
    code, (facts,) = run_json("status", "-C", mixed.root)
    assert code == 1
    assert [each["verdict"] for each in facts["windows"]] == ["breached", "healthy"]
    assert (facts["champion"], facts["open_incidents"], facts["undelivered"]) == ("1", 4, {})
    assert facts["waiting"]["record"] == 2
    shown = run("status", MODEL, "--windows", "1", "-C", mixed.root).stdout
    assert "shop: champion 1, 4 open incidents" in shown
    assert "2025-03-11 00:00" in shown
    assert "2025-03-10 00:00" not in shown


def test_status_shows_what_may_become_an_incident(mixed: Shop) -> None:
    rule = {"open": {"after": 2, "of": 3}}
    mixed.configure(alarms={"kinds": {"drift": rule, "quality": rule, "expectation": rule}})
    run("monitor", MODEL, "--window-end", "2025-03-12", "-C", mixed.root)
    shown = run("status", "-C", mixed.root).stdout
    assert "shop: champion 1, 0 open incidents, 4 pending" in shown
    assert "pending: drift.column(country) in 1 of the last 3 windows, an incident opens with 2" in shown
    code, (facts,) = run_json("status", "-C", mixed.root)
    assert (code, facts["open_incidents"]) == (1, 0)
    drift = next(each for each in facts["pending"] if each["check"] == "drift.column")
    assert (drift["scope"], drift["seen"], drift["after"], drift["of"]) == ("country", 1, 2, 3)


def test_a_judged_window_is_shown_with_its_findings_reports_and_what_is_next(mixed: Shop) -> None:
    shown = run("monitor", MODEL, "--window-end", "2025-03-12", "-C", mixed.root)
    assert shown.exit_code == 1
    text = " ".join(shown.stdout.split())
    assert text.startswith("shop 2025-03-11 r1: breached: ")
    assert "quality.unseen" in text
    assert "Check for renamed or re-encoded" in text
    assert "No retraining: it is not configured (retrain)." in text
    reports = Path(shown.stdout.split("reports: ")[1].splitlines()[0])
    assert (reports / "summary.html").is_file()


def incident(shop: Shop) -> str:
    return str(run_json("incidents", "list", "-C", shop.root)[1][0]["fingerprint"])


def test_incidents_are_listed_acknowledged_and_muted(mixed: Shop) -> None:
    assert run("incidents", "list", "-C", mixed.root).stdout == "no open incident\n"
    run("monitor", MODEL, "--window-end", "2025-03-12", "-C", mixed.root)
    code, listed = run_json("incidents", "list", "--model", MODEL, "-C", mixed.root)
    assert code == 0
    assert {(each["check"], each["scope"]) for each in listed} == {
        ("quality.unseen", "country"),
        ("quality.constant", "country"),
        ("drift.column", "country"),
        ("expectation.expect_column_values_to_be_in_set", "country"),
    }
    fingerprint = incident(mixed)
    assert run("incidents", "ack", fingerprint[:8], "-C", mixed.root).stdout.startswith("acknowledged: ")
    assert run_json("incidents", "list", "-C", mixed.root)[1][0]["state"] == "acknowledged"
    code, muted = run_json("incidents", "mute", fingerprint, "--reason", "known", "--for", "12h", "-C", mixed.root)
    assert (code, muted["fingerprint"], muted["reason"]) == (0, fingerprint, "known")
    assert run("incidents", "mute", fingerprint, "--reason", " ", "-C", mixed.root).exit_code == 2
    refused = run("incidents", "mute", fingerprint, "--reason", "x", "--for", "soon", "-C", mixed.root)
    assert (refused.exit_code, "a duration is a whole number" in refused.stderr) == (2, True)


def test_resolved_incidents_are_shown_on_request(mixed: Shop) -> None:
    run("monitor", MODEL, "--window-end", "2025-03-12", "-C", mixed.root)
    for number in (2, 3):
        mixed.log(rows := records(day(number)))
        mixed.label(labels(rows))
    run("monitor", MODEL, "--window-end", "2025-03-13", "-C", mixed.root)
    still_open = run_json("incidents", "list", "-C", mixed.root)[1]
    assert [each["check"] for each in still_open] == ["drift.column"], "drift waits for a second window"
    run("monitor", MODEL, "--window-end", "2025-03-14", "-C", mixed.root)
    assert run_json("incidents", "list", "-C", mixed.root)[1] == []
    assert {each["state"] for each in run_json("incidents", "list", "--all", "-C", mixed.root)[1]} == {"resolved"}
    shown = run("incidents", "list", "--all", "-C", mixed.root).stdout
    assert "quality.unseen" in shown
