"""A model server with a bug, from its first request to the day the bug is back: what its owner sees by retrue's commands alone.

A real server answers real requests through the middleware; it is killed in the midst of them. Days are played by its clock.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from retrue.logger.tally import read_tally
from tests.cli.run import run
from tests.e2e.flights import KEY, MODEL, PASSENGER, Json, Project, Reply, Server, day, draw, serving, strikes

BUGGY, BACK = 1, 5
TENANT = "jane-and-sons"
SLOW, STRANGERS, OF_TENANT = 12, 15, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What clients saw on the day of the bug, and what commands said, by day and by command."""

    project: Project
    replies: list[Reply] = field(default_factory=list)
    accepted: int
    judged: dict[int, Json] = field(default_factory=dict)
    verdicts: dict[int, Json] = field(default_factory=dict)
    groups: dict[int, dict[str, Json]] = field(default_factory=dict)
    """Of each day: failure groups by type of the exception, as `retrue incidents list --failures --all` tells them."""
    said: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def judge(self, number: int) -> None:
        """Judge a day and look at the failure groups then."""
        self.judged[number], self.verdicts[number] = self.project.monitor(number)
        _, listed = self.project.command("incidents", "list", "--failures", "--all")
        self.groups[number] = {each["error_type"]: each for each in listed}

    def say(self, name: str, *arguments: str) -> Any:
        """Run a command and keep what it said."""
        self.said[name] = self.project.command(*arguments)
        return self.said[name][1]

    def group(self, number: int, error_type: str) -> Json:
        """A failure group of a day's ``verdict.json``."""
        (found,) = (
            each for each in self.verdicts[number]["measurements"]["failures"] if each["error_type"] == error_type
        )
        return dict(found)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The whole story, played once."""
    before = os.environ.get("RETRUE_HASH_KEY")
    os.environ["RETRUE_HASH_KEY"] = KEY
    try:
        yield play(founded(tmp_path_factory.mktemp("flights") / "watch"))
    finally:
        os.environ.pop("RETRUE_HASH_KEY")
        if before is not None:
            os.environ["RETRUE_HASH_KEY"] = before


def founded(root: Path) -> Project:
    """A new project, with the logger's folders as its logs and labels."""
    assert run("init", root, "--model", MODEL).exit_code == 0
    settings = (root / "retrue.yaml").read_text().replace(f"labels/{MODEL}", f"logs/{MODEL}/labels")
    settings = settings.replace("min_rows: 500", "min_rows: 100").replace(", max_drop: 0.05", "")
    fixed = "drift: {numeric: {threshold: 1}, categorical: {threshold: 1}}"
    (root / "retrue.yaml").write_text(settings.replace("drift: {false_alarms: 1 per 90d}", fixed))
    return Project(root=root)


def play(project: Project) -> Story:
    """A good day, a day with a bug on which the server is killed, three days without the bug, a day on which it is back."""
    with serving(project.logs) as server:
        server.play(0, "good")
        for number, reply in enumerate(server.ask(draw(300, seed=1))[:120]):
            server.put("/label", inference_id=reply.inference_id, late=number % 3 == 0)
        assert server.put("/flush")
        baseline = project.command("baseline", MODEL)
        server.play(BUGGY, "buggy")
        replies = _busy_day(server)
    (tally,) = (project.logs / "segments").glob("*/tally")
    story = Story(project=project, replies=replies, accepted=read_tally(tally)["accepted"] - 300)
    story.said["baseline"] = baseline
    story.judge(BUGGY)
    _look_into(story)
    with serving(project.logs) as server:
        for number in range(BUGGY + 1, BACK):
            server.play(number, "good")
            server.ask(draw(120, seed=10 + number))
        server.play(BACK, "buggy")
        server.ask(draw(300, seed=3))
    for number in range(BUGGY + 1, BACK + 1):
        story.judge(number)
    _tidy_up(story)
    return story


def _busy_day(server: Server) -> list[Reply]:
    replies = server.ask(draw(300, seed=2))
    replies += server.ask([{**flight, "slow": True} for flight in draw(SLOW, seed=3)])
    replies += server.ask(draw(STRANGERS, seed=4), token="not the token")
    replies += server.ask(draw(OF_TENANT, seed=5), tenant=TENANT)
    killer = threading.Timer(0.2, server.kill)
    killer.start()
    while killer.is_alive():
        replies += server.ask(draw(40, seed=6))
    killer.join()
    return replies


def _look_into(story: Story) -> None:
    bug = story.group(BUGGY, "KeyError")
    story.say("list", "incidents", "list")
    story.say("show", "incidents", "show", bug["id"])
    story.say("reproduce", "reproduce", bug["samples"][0])
    incident = story.said["show"][1]["incident"]["fingerprint"]
    story.say("mute", "incidents", "mute", incident, "--until-escalates", "--reason", "known; fixed tomorrow")


def _tidy_up(story: Story) -> None:
    story.say("import", "import", MODEL, "--check")
    story.say("privacy", "privacy", MODEL)
    story.say("erase", "erase", "--subject", TENANT, "--yes")
    story.say("purge", "purge")
    story.say("again", "monitor", MODEL, "--window-end", f"{day(BUGGY + 1):%Y-%m-%d}")


# ---------------------------------------------------------------- the day of the bug


def test_the_bug_is_a_group_that_names_its_inputs(story: Story) -> None:
    bug = story.group(BUGGY, "KeyError")
    assert bug["frames"][-1].endswith("flight_server._sight")
    assert bug["endpoints"] == {"POST /predict": bug["rows"]}
    (found,) = bug["inputs"]
    conditions = {(each["column"], each["relation"], each["value"]) for each in found["conditions"]}
    assert conditions == {("origin", "=", "EWR"), ("visib", "is missing", "")}
    assert found["inside_share"] > 0.9  # a slow one of them timed out before
    (message,) = (each["message"] for each in story.verdicts[BUGGY]["findings"] if each["scope"] == bug["id"])
    assert "fails only when visib is missing and origin = EWR" in message


def test_every_answered_request_is_in_the_verdict_or_counted_as_lost(story: Story) -> None:
    pull = story.verdicts[BUGGY]["measurements"]["pull"]
    answered = [reply for reply in story.replies if reply.status]
    assert pull["rows"] + pull["lost"] == story.accepted
    assert story.accepted >= len(answered)
    assert ("source.lost" in checks(story, BUGGY)) == (pull["lost"] > 0)


def test_failures_are_told_apart_as_crash_timeout_and_authentication(story: Story) -> None:
    answered = Counter(reply.status for reply in story.replies)
    assert answered[401] == STRANGERS
    measured = story.verdicts[BUGGY]["measurements"]
    shares = {kind: share * measured["pull"]["rows"] for kind, share in measured["system"]["error_shares"].items()}
    assert shares["authentication"] == pytest.approx(STRANGERS)
    slow = [reply for reply in story.replies if reply.flight.get("slow") and reply.status]
    assert len(slow) > SLOW / 2  # a busy machine may not take up all connections
    assert shares["timeout"] == pytest.approx(len(slow))
    assert shares["crash"] == pytest.approx(story.group(BUGGY, "KeyError")["rows"])
    assert measured["system"]["error_share"] * measured["pull"]["rows"] == pytest.approx(sum(shares.values()))


def test_nothing_of_a_passenger_is_in_any_file_of_the_project(story: Story) -> None:
    assert not [path for path, content in every_file(story.project.root) if PASSENGER.encode() in content]
    assert any(b"of-the-tests" not in content and b"EWR" in content for _, content in every_file(story.project.root))


def test_the_incident_is_listed_and_shown_with_samples(story: Story) -> None:
    bug = story.group(BUGGY, "KeyError")
    code, listed = story.said["list"]
    assert code == 0
    assert bug["id"] in {each["scope"] for each in listed if each["check"] == "failure.group"}
    code, shown = story.said["show"]
    assert (code, shown["failure"]["state"], shown["failure"]["samples"]) == (0, "new", bug["samples"])
    failed = {reply.inference_id for reply in story.replies if strikes(reply.flight)} - {""}
    assert not failed & set(bug["samples"])  # an unhandled exception's answer is the server's own, without the header


def test_a_sample_of_a_model_that_only_its_log_is_known_of_says_why_it_cannot_run(story: Story) -> None:
    code, found = story.said["reproduce"]
    assert (code, found["likeness"], found["logged"]["error_type"]) == (2, "cannot", "KeyError")
    assert "name a function under `serve`" in found["reason"]
    assert (found["inputs"]["origin"], found["inputs"]["visib"]) == ("EWR", None)
    assert "flight_server.py" in found["stack"]


# ---------------------------------------------------------------- the days after


def test_the_group_is_resolved_after_three_days_and_regresses_when_the_bug_is_back(story: Story) -> None:
    states = [story.groups[number]["KeyError"]["state"] for number in range(BUGGY, BACK + 1)]
    assert states == ["new", "ongoing", "ongoing", "resolved", "regressed"]
    assert len({story.groups[number]["KeyError"]["id"] for number in (BUGGY, BACK)}) == 1


def test_the_mute_holds_and_is_recorded(story: Story) -> None:
    code, muted = story.said["mute"]
    assert (code, muted["until"], muted["reason"]) == (0, None, "known; fixed tomorrow")


def test_import_understands_every_record_and_label(story: Story) -> None:
    code, (logs, labels) = story.said["import"]
    assert (code, logs["set_aside"], labels["set_aside"], labels["labels_joined"]) == (0, [], [], 120)
    assert logs["values"]["status"]["rejected"] == STRANGERS


def test_privacy_lists_what_is_kept_and_in_which_form(story: Story) -> None:
    code, report = story.said["privacy"]
    forms = {each["form"]: each["fields"] for each in report["collected"] if each["what"] in ("features", "people")}
    assert code == 0
    assert forms["as logged"] == "carrier, distance, origin, visib"
    assert "passenger" in forms["type and length"]
    assert forms["keyed hash"] == "caller_id"


def test_an_erased_tenant_is_gone_and_the_windows_say_so(story: Story) -> None:
    code, (erased,) = story.said["erase"]
    assert (code, erased["removed"]["records"]) == (0, OF_TENANT)
    code, (purged,) = story.said["purge"]
    assert (code, purged["problems"], purged["removed"]["erased"]) == (0, [], 0)
    rows = story.verdicts[BUGGY]["measurements"]["pull"]["rows"]
    _, again = story.said["again"]
    assert again["new"]
    recorded = next(Path(again["reports"]).glob("verdict.json")).read_text()
    assert f'"rows": {rows - OF_TENANT}' in recorded


def checks(story: Story, number: int) -> set[str]:
    return {each["check"] for each in story.verdicts[number]["findings"]}


def every_file(root: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            table = pq.read_table(path).to_pylist() if path.suffix == ".parquet" else ""
            yield path, path.read_bytes() + repr(table).encode()
