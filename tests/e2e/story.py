"""What happens to the ferries, driven through the deployed flows: played once a session, looked at by many tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from examples.flights.receiver import receiver

from retrue.adapters import servers
from tests.e2e.harbour import Harbour, Json, wait_for
from tests.e2e.project import CHANGED_BACK, DAY, MODEL, RETRAINED, SERVED, UNKNOWN, add_late_rows, furnish


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The project after it all, the flow runs by what they are for, and the messages that arrived, in order."""

    harbour: Harbour
    urls: dict[str, str]
    messages: list[dict[str, str]]
    runs: dict[str, Json] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)


_KEY = pytest.StashKey[Story | None]()


def told(config: pytest.Config, folders: pytest.TempPathFactory) -> Story:
    """Return the session's story, which is played for whoever asks first; its servers are up."""
    if _KEY not in config.stash:
        config.stash[_KEY] = None
        played = ExitStack()
        config.add_cleanup(played.close)
        config.stash[_KEY] = played.enter_context(play(folders.mktemp("e2e")))
    story = config.stash[_KEY]
    if story is None:
        pytest.fail("the story could not be played: the first test that asked for it says why")
    if len(servers.running(story.harbour.state)) < 3:
        story.harbour.command("retrue", "up")
    return story


@contextmanager
def play(folder: Path) -> Iterator[Story]:
    """Play it in a new folder, and stop every server at the end."""
    harbour = Harbour(folder=folder / "ferry line")  # the blank is on purpose
    for each in (harbour.folder, harbour.home):
        each.mkdir()
    try:
        with receiver() as listening:
            harbour.command("retrue", "init", ".", "--model", MODEL)
            furnish(harbour.folder)
            urls = json.loads(harbour.command("retrue", "up", "--json"))
            story = Story(harbour=harbour, urls=urls, messages=listening.messages)
            harbour.act("introduce", listening.url)
            _decline(story)
            _recover(story)
            yield story
    finally:
        servers.stop_all(harbour.state)


def _decline(story: Story) -> None:
    """Three good days, one bad: the monitor asks for a retraining. Beside it, a model without a baseline."""
    harbour, runs = story.harbour, story.runs
    harbour.act("serve", *(f"{SERVED + number * DAY:%Y-%m-%dT00:00:00+00:00}" for number in range(4)))
    span = {"start": SERVED.isoformat(), "end": RETRAINED.isoformat()}
    backfill = harbour.start_by_command("backfill", model=MODEL, **span)
    unknown = harbour.start("monitor", model=UNKNOWN, window_end=(SERVED + DAY).isoformat())
    runs["backfill"] = harbour.finish(backfill)
    runs["no baseline"] = harbour.finish(unknown)
    retrain = wait_for(lambda: harbour.runs_of("retrain"), within_seconds=5)
    baseline = harbour.start("baseline", model=UNKNOWN)
    runs["retrain"] = harbour.finish(retrain[0]["id"])
    runs["baseline"] = harbour.finish(baseline)


def _recover(story: Story) -> None:
    """The new version serves a good day, which is judged three times: as ever, after a crash, and after late rows."""
    harbour, runs = story.harbour, story.runs
    harbour.act("serve", RETRAINED.isoformat(), CHANGED_BACK.isoformat())
    end = RETRAINED + DAY
    runs["first"] = harbour.run("monitor", model=MODEL, window_end=end.isoformat())
    harbour.forget_deliveries("retrain", "event", "record", "alias")
    runs["again"] = harbour.run("monitor", model=MODEL, window_end=end.isoformat())
    add_late_rows(harbour.folder, RETRAINED)
    story.printed["late"] = harbour.script("monitor", MODEL, window_end=end)
