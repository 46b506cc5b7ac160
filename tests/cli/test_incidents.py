"""Incidents and failure groups on the command line: listed, shown, acknowledged, muted; failures logged by a server that breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import run, run_json
from tests.sources.logs import Row
from tests.stages.project import MODEL, Shop, day, records

STACK = """Traceback (most recent call last):
  File "/srv/shop/serve.py", line 41, in answer
    row = encode(features)
  File "/srv/shop/features.py", line 17, in encode
    return float(features["basket"])
ValueError: could not convert string to float: '12,50'
"""


def broken(number: int, *, version: str = "2") -> list[Row]:
    """A day on which baskets of one country cannot be read."""
    rows = records(day(number))
    for row in rows:
        if row["features.country"] == "ES" and row["features.device"] == "app":
            row |= {
                "status": "error", "prediction": None, "score": None, "model_version": version, "trace_id": "ab" * 16,
                "error_type": "ValueError", "error_message": "could not convert string to float: '12,50'", "error_stack": STACK,
            }  # fmt: skip
    return rows


def judge(shop: Shop, number: int) -> dict[str, Any]:
    facts: dict[str, Any] = run_json("monitor", MODEL, "--window-end", f"{day(number + 1):%Y-%m-%d}", "-C", shop.root)[
        1
    ]
    return facts


@pytest.fixture
def failing(shop: Shop) -> Shop:
    """A shop whose second day breaks."""
    shop.configure(system={"max_error_share": 0.05})
    shop.log(records(day(0)))
    shop.log(broken(1))
    judge(shop, 0)
    judge(shop, 1)
    return shop


def failure_incident(shop: Shop) -> dict[str, Any]:
    (found,) = (each for each in run_json("incidents", "list", "-C", shop.root)[1] if each["check"] == "failure.group")
    return dict(found)


def test_a_failure_is_listed_by_its_title(failing: Shop) -> None:
    found = failure_incident(failing)
    assert "could not convert string to float" in found["title"]
    shown = " ".join(run("incidents", "list", "-C", failing.root).stdout.split())
    assert "ValueError" in shown


def test_failure_groups_are_listed_with_their_windows(failing: Shop) -> None:
    code, (group,) = run_json("incidents", "list", "--failures", "-C", failing.root)
    assert (code, group["model"], group["state"], group["first_versions"]) == (0, MODEL, "new", ["2"])
    assert [point["rows"] for point in group["windows"]] == [0, group["rows"]]
    shown = run("incidents", "list", "--failures", "--model", MODEL, "-C", failing.root).stdout
    assert "·█" in shown
    assert "2025-03-11 with version 2" in shown


def test_without_failures_there_is_no_group(shop: Shop) -> None:
    assert run("incidents", "list", "--failures", "-C", shop.root).stdout == "no open failure group\n"
    assert run_json("incidents", "list", "--failures", "-C", shop.root) == (0, [])


def test_an_incident_is_shown_with_its_group_its_windows_and_what_was_said(failing: Shop) -> None:
    found = failure_incident(failing)
    run("incidents", "ack", found["fingerprint"], "-C", failing.root)
    run("incidents", "mute", found["fingerprint"], "--reason", "known bug", "--until-escalates", "-C", failing.root)
    text = run("incidents", "show", found["id"], "-C", failing.root).stdout
    for expected in (
        f"incident {found['id']}: shop, failure.group ValueError",
        "  state       acknowledged, warning, since 2025-03-11",
        "  muted       until it escalates by",
        "    2025-03-11 r1  opened",
        f"failure {found['scope']}: shop, ValueError",
        "  state       new: never seen before",
        "  versions    2 (",
        "country = ES",
        "features.encode",
        "  again       retrue reproduce 20250311-",
        "  traces      abababab",
        "last message, ",
        "  Again: retrue reproduce 20250311-",
    ):
        assert expected in text
    code, facts = run_json("incidents", "show", found["id"], "-C", failing.root)
    assert code == 0
    assert facts["incident"]["mutes"][0] | {"by": "", "at": ""} == {
        "until": None, "reason": "known bug", "by": "", "at": "", "in_force": True,
    }  # fmt: skip
    assert (facts["incident"]["windows"][0]["change"], facts["failure"]["id"]) == ("opened", found["scope"])
    assert "New failure" in facts["incident"]["last_message"]["body"]


def test_a_failure_group_is_shown_by_its_own_id_with_its_incident(failing: Shop) -> None:
    found = failure_incident(failing)
    facts = run_json("incidents", "show", found["scope"], "-C", failing.root)[1]
    assert (facts["incident"]["fingerprint"], facts["failure"]["id"]) == (found["fingerprint"], found["scope"])


def test_an_incident_of_another_kind_has_no_group(failing: Shop) -> None:
    other = next(
        each for each in run_json("incidents", "list", "-C", failing.root)[1] if each["check"] != "failure.group"
    )
    facts = run_json("incidents", "show", other["id"], "-C", failing.root)[1]
    assert (facts["incident"]["check"], facts["failure"]) == (other["check"], None)


@pytest.mark.parametrize(
    ("options", "until"),
    [
        ([], "2"),
        (["--for", "12h"], "2"),
        (["--until", "2099-12-01"], "2099-12-01T00:00:00+00:00"),
        (["--until-escalates"], None),
    ],
    ids=str,
)
def test_a_mute_ends_after_a_time_at_a_date_or_with_an_escalation(
    failing: Shop, options: list[str], until: str | None
) -> None:
    fingerprint = failure_incident(failing)["fingerprint"]
    code, muted = run_json("incidents", "mute", fingerprint, "--reason", "known", *options, "-C", failing.root)
    assert code == 0
    assert muted["until"] is None if until is None else muted["until"].startswith(until)
    told = run("incidents", "unmute", fingerprint[:9], "-C", failing.root)
    assert (told.exit_code, told.stdout.startswith("not muted any more: ")) == (0, True)
    facts = run_json("incidents", "show", fingerprint, "-C", failing.root)[1]
    assert facts["incident"]["mutes"] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--for", "1d", "--until", "2099-01-01"], "give one of"),
        (["--until", "2099-01-01", "--until-escalates"], "give one of"),
        (["--until", "soon"], "a time is written"),
        (["--until", "2001-01-01"], "a mute ends in the future"),
    ],
)
def test_a_mute_that_makes_no_sense_is_refused(failing: Shop, options: list[str], said: str) -> None:
    fingerprint = failure_incident(failing)["fingerprint"]
    refused = run("incidents", "mute", fingerprint, "--reason", "known", *options, "-C", failing.root)
    assert (refused.exit_code, said in " ".join(refused.stderr.replace("│", " ").split())) == (2, True)


def test_what_nobody_knows_is_refused(failing: Shop) -> None:
    for name in ("nothing", "%", "f\x1b[31m"):
        refused = run("incidents", "show", name, "-C", failing.root)
        assert (refused.exit_code, "no failure group begins with" in refused.stderr, "\x1b[31m" in refused.stderr) == (
            2,
            True,
            False,
        )


def test_status_counts_failure_groups(failing: Shop) -> None:
    assert ", 1 failure group (1 new)" in run("status", MODEL, "-C", failing.root).stdout
    (facts,) = run_json("status", MODEL, "-C", failing.root)[1]
    assert [(each["state"], each["title"][:10]) for each in facts["failure_groups"]] == [("new", "ValueError")]


def test_the_reports_of_a_window_tell_of_its_failures(failing: Shop) -> None:
    (folder,) = (failing.root / ".retrue" / "reports" / MODEL).glob("2025-03-11*")
    page = (folder / "summary.html").read_text()
    assert "Fails " in page
    assert "country = ES" in page
    assert "## Failures" in (folder / "verdict.md").read_text()


def test_a_window_judged_again_after_later_ones_gets_the_same_failure_section(failing: Shop, tmp_path: Path) -> None:
    """Here by a change of the settings; the page shows the windows before it, whatever came after."""
    reports = failing.root / ".retrue" / "reports" / MODEL
    (first,) = reports.glob("2025-03-11*")
    failing.log(broken(2))
    judge(failing, 2)
    failing.configure(system={"max_error_share": 0.06})
    judge(failing, 1)
    (again,) = (folder for folder in reports.glob("2025-03-11*") if folder != first)
    sections = [(folder / "verdict.md").read_text().split("## Failures")[1].split("##")[0] for folder in (first, again)]
    assert sections[0] == sections[1]
    assert "| new |" in sections[0]
