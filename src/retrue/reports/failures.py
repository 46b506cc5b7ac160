"""Failure groups as pages, artifacts and messages show them: state, counts, which inputs fail, why they are one group. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from markupsafe import Markup

from retrue.failures.stories import REPRODUCE, FailureStory, Sighting
from retrue.reports.escape import escape_markdown
from retrue.reports.figures import count, day, number, share
from retrue.reports.sparkline import bars, text_sparkline
from retrue.results import FailingInput, SystemHealth

ROWS_MAX = 10  # groups written out on a page; the ledger has all
WINDOWS_MAX = 24  # bars of a sparkline, as many as the histogram within a window has
INPUTS_MAX = 3
SAMPLES_MAX = 5
_PASTABLE = re.compile(r"\w[\w.:/+=-]{0,199}")  # as one word of a command line, whatever the shell


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow:
    """One group in a window, in words; ``over_windows`` and ``within`` are drawings, ``inputs`` sentences and how sure they are."""

    id: str
    title: str
    message: str
    state: str
    reason: str
    rows: str
    share: str
    since: str
    versions: str
    endpoints: str
    over_windows: Markup
    within: Markup
    inputs: tuple[tuple[str, str], ...]
    samples: tuple[str, ...]
    command: str
    traces: tuple[str, ...]
    frames: tuple[str, ...]
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureSection:
    """The groups of a window, most frequent first, and in one line those that are quiet, and those that are gone with it.

    ``inputs`` are what all failures together have in common, empty where there is one group only.
    """

    inputs: tuple[tuple[str, str], ...] = ()
    rows: tuple[FailureRow, ...] = ()
    more: int = 0
    quiet: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows or self.quiet or self.resolved)


def failure_section(stories: Sequence[FailureStory], health: SystemHealth | None = None) -> FailureSection:
    """Return what a page shows of the groups that matter for a window."""
    here = in_window(stories)
    return FailureSection(
        inputs=_inputs(health.inputs) if health and len(here) > 1 else (),
        rows=tuple(_row(story, seen) for story, seen in here[:ROWS_MAX]),
        more=max(0, len(here) - ROWS_MAX),
        quiet=tuple(_last_seen(each) for each in stories if each.now is None and not each.resolved),
        resolved=tuple(_last_seen(each) for each in stories if each.now is None and each.resolved),
    )


def failure_markdown(stories: Sequence[FailureStory], health: SystemHealth | None = None) -> Iterator[str]:
    """Yield the groups of a window as a Markdown table in which no name is markup, and what is known of each below."""
    section = failure_section(stories, health)
    if not section:
        return
    yield ""
    yield "## Failures"
    if section.rows:
        yield ""
        yield "| failure | state | rows | share | over windows | since |"
        yield "| --- | --- | ---: | ---: | --- | --- |"
        for story, seen in in_window(stories)[:ROWS_MAX]:
            cells = (story.text.title, story.status.value, count(seen.rows), share(seen.share))
            shape = text_sparkline([point.rows for point in story.points[-WINDOWS_MAX:]])
            yield f"| {' | '.join(escape_markdown(cell) for cell in cells)} | {shape} | {escape_markdown(since(story))} |"
        yield ""
        yield from (f"- All failures: {escape_markdown(f'{each} ({sure})')}" for each, sure in section.inputs)
        for row in section.rows:
            yield from _details(row)
    if section.more:
        yield f"- {section.more} more: `retrue incidents list --failures`"
    if section.quiet:
        yield f"- Quiet in this window: {escape_markdown(', '.join(section.quiet))}"
    if section.resolved:
        yield f"- **Resolved** with this window: {escape_markdown(', '.join(section.resolved))}"


def in_window(stories: Sequence[FailureStory]) -> list[tuple[FailureStory, Sighting]]:
    """Return the groups that the window has, with what it has of them, most frequent first."""
    here = [(story, seen) for story in stories if (seen := story.now) is not None]
    return sorted(here, key=lambda each: (-each[1].share, each[0].id))


def since(story: FailureStory) -> str:
    """Write when a group was first seen, and with which model versions.

    A version that failed in the first window is named: a release is the first suspect.
    """
    versions = story.first_versions
    which = f"with version{'s' if len(versions) > 1 else ''} {' and '.join(versions)}" if versions else ""
    return f"{story.first_seen_at:%Y-%m-%d} {which}".rstrip()


def failing_input(found: FailingInput) -> str:
    """Write which inputs fail, with how sure that is: ``fails 34x more when origin = EWR (95% interval …)``."""
    return f"{found} ({how_sure(found)})"


def how_sure(found: FailingInput) -> str:
    """Write the interval of a relative risk and the two shares it compares."""
    interval = f"{share(found.ratio.confidence)} interval {number(found.ratio.low)}x to {number(found.ratio.high)}x"
    there = f"{share(found.inside_share)} of {count(found.rows)} rows there, {share(found.outside_share)} elsewhere"
    return f"{interval}; {there}"


def reproduce_command(samples: Sequence[str]) -> str:
    """Return the command that runs a sample again, empty where no id can be pasted into a shell as it is.

    >>> reproduce_command(["$(reboot)", "0192f3-17"])
    'retrue reproduce 0192f3-17'
    """
    return next((f"{REPRODUCE}{each}" for each in samples if _PASTABLE.fullmatch(each)), "")


def _row(story: FailureStory, seen: Sighting) -> FailureRow:
    points = story.points[-WINDOWS_MAX:]
    labels = [f"{day(point.window)}: {count(point.rows)} rows, {share(point.share)}" for point in points]
    return FailureRow(
        id=story.id,
        title=story.text.title,
        message=story.text.message,
        state=story.status.value,
        reason=story.lifecycle.reason,
        rows=count(seen.rows),
        share=share(seen.share),
        since=since(story),
        versions=_counted(seen.versions),
        endpoints=_counted(seen.endpoints),
        over_windows=Markup(bars("rows by window", [point.rows for point in points], labels=labels)),  # noqa: S704 - bars escape
        within=Markup(bars("rows within the window", seen.histogram, labels=_bins(seen))),  # noqa: S704 - bars escape
        inputs=_inputs(seen.inputs),
        samples=seen.samples[:SAMPLES_MAX],
        command=reproduce_command(seen.samples),
        traces=seen.traces[:SAMPLES_MAX],
        frames=story.text.frames,
        why=story.text.reasons,
    )


def _inputs(inputs: Sequence[FailingInput]) -> tuple[tuple[str, str], ...]:
    return tuple((_sentence(each), how_sure(each)) for each in inputs[:INPUTS_MAX])


def _sentence(found: FailingInput) -> str:
    text = str(found)
    return f"{text[:1].upper()}{text[1:]}"


def _bins(seen: Sighting) -> list[str]:
    length: timedelta = (seen.window.end - seen.window.start) / max(1, len(seen.histogram))
    starts = (seen.window.start + number * length for number in range(len(seen.histogram)))
    return [f"from {start:%Y-%m-%d %H:%M}: {rows}" for start, rows in zip(starts, seen.histogram, strict=True)]


def _counted(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name or '?'} ({count(rows)})" for name, rows in ordered)


def _last_seen(story: FailureStory) -> str:
    return f"{story.text.title} (last seen {story.last_seen_at:%Y-%m-%d})"


def _details(row: FailureRow) -> Iterator[str]:
    told = [escape_markdown(f"{sentence} ({sure})") for sentence, sure in row.inputs]
    if row.command:
        told.append(f"`{row.command}`")
    if told:
        yield f"- {escape_markdown(row.title)}: {'; '.join(told)}"
