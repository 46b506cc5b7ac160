"""Failure groups read from, and written into, the ledger's rows, inside a transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Select, and_, case, func, insert, or_, select, update

from retrue.failures.lifecycle import FailureStatus
from retrue.failures.stories import (
    EVERYTHING_ELSE,
    POINTS_MAX,
    FailureStory,
    GroupText,
    MeasuredFailures,
    Sighting,
    sighting_of,
    story_of,
    text_of,
)
from retrue.ledger.newest import newest_revisions
from retrue.ledger.schema import failure_counts, failure_groups, failure_windows, revisions, windows
from retrue.ledger.values import to_json
from retrue.results import FailingInput, FailureGroup
from retrue.standing import FailureStanding
from retrue.windows import Window

HORIZON_WINDOWS = 1_000  # newest windows that say where a group stands, beside its first one
_DETAILS = ("endpoints", "histogram", "samples", "traces", "inputs")  # read of the windows that are shown only
_INPUTS = TypeAdapter(tuple[FailingInput, ...])


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger has of a model up to some window."""

    texts: Mapping[str, GroupText]
    sightings: Mapping[str, Sequence[Sighting]]
    traffic: Mapping[Window, float]

    def nothing(self) -> Known:
        """Return the same texts, with no window counted."""
        return Known(self.texts, {}, {})

    def plus(self, window: Window, measured: MeasuredFailures) -> Known:
        """Return this with a window's failures, in place of those that are known of it."""
        return _with(self, window, measured)

    def plus_from(self, other: Known, window: Window) -> Known:
        """Return this with what another has of a window; itself where that measured no failures."""
        if window not in other.traffic:
            return self
        found = {key: [each for each in seen if each.window == window] for key, seen in other.sightings.items()}
        sightings = {key: [*self.sightings.get(key, ()), *found.get(key, ())] for key in (*self.sightings, *found)}
        traffic = {**self.traffic, window: other.traffic[window]}
        return Known({**other.texts, **self.texts}, sightings, traffic)

    def standing(self, before: Known, window: Window) -> FailureStanding:
        """Return where groups stand with a window that ``before`` does not count, and that is newer than all it does."""
        return _standing(tell(self, until=window, before={each.id: each.status for each in tell(before)}))


def save_failures(connection: Connection, window: Window, revision: int, measured: MeasuredFailures | None) -> None:
    """Write what a revision counted; nothing where it could not measure failures."""
    if measured is None:
        return
    connection.execute(insert(failure_windows).values(revision_id=revision, inferences=measured.inferences))
    for group in measured.groups:
        seen = sighting_of(group, window, inferences=measured.inferences)
        connection.execute(insert(failure_counts).values(revision_id=revision, group_id=group.id, **_columns(seen)))
        _describe(connection, window, group)


def _describe(connection: Connection, window: Window, group: FailureGroup) -> None:
    """Keep the text of the newest window that has a group."""
    text = text_of(group)
    row = {
        "title": text.title,
        "error_type": text.error_type,
        "message": text.message,
        "frames": list(text.frames),
        "reasons": list(text.reasons),
        "kind": text.kind,
        "described_window": window.start,
    }
    mine = and_(failure_groups.c.model == window.model, failure_groups.c.id == group.id)
    described = connection.execute(select(failure_groups.c.described_window).where(mine)).scalar()
    if described is None:
        connection.execute(insert(failure_groups).values(model=window.model, id=group.id, **row))
    elif described <= window.start:
        connection.execute(update(failure_groups).where(mine).values(row))


def failure_standing(connection: Connection, window: Window, measured: MeasuredFailures | None) -> FailureStanding:
    """Return what the ledger knows about failure groups when a verdict comes in, before it is written."""
    if measured is None:
        return FailureStanding()
    newer = _traffic(window.model).where(windows.c.start_at > window.start).limit(1)
    standing = _standing(tell_until(connection, window, measured))
    return replace(standing, superseded=connection.execute(newer).first() is not None)


def _standing(stories: Sequence[FailureStory]) -> FailureStanding:
    escalating = FailureStatus.ESCALATING
    return FailureStanding(
        escalated=frozenset(each.id for each in stories if each.status is escalating and each.before is not escalating),
        resolved=frozenset(each.id for each in stories if each.resolved),
    )


def tell_until(connection: Connection, window: Window, measured: MeasuredFailures | None) -> tuple[FailureStory, ...]:
    """Return every group up to a window, as it stands once this is what the window counted."""
    known = read_known(connection, window.model, until=window)
    if measured is None:
        return tell(known, until=window)
    before = {each.id: each.status for each in tell(known)}
    return tell(_with(known, window, measured), until=window, before=before)


def tell(
    known: Known, *, until: Window | None = None, before: Mapping[str, FailureStatus] | None = None
) -> tuple[FailureStory, ...]:
    """Return the stories of groups, open ones first, then by their share of the newest window.

    A window so crowded that its rarer groups were counted as everything else says nothing of a group that it does not list.
    """
    crowded = {each.window for each in known.sightings.get(EVERYTHING_ELSE, ())}
    traffic = {window: inferences for window, inferences in known.traffic.items() if window not in crowded}
    stories = (
        story_of(known.texts[key], seen, traffic, until=until, before=(before or {}).get(key))
        for key, seen in known.sightings.items()
        if seen
    )
    return tuple(sorted(stories, key=_order))


def read_known(
    connection: Connection, model: str, *, until: Window | None = None, groups: Collection[str] | None = None
) -> Known:
    """Return what the newest revisions counted, up to a window and of some groups, by default of all."""
    traffic = _traffic(model).order_by(windows.c.start_at.desc()).limit(HORIZON_WINDOWS)
    if until is not None:
        traffic = traffic.where(windows.c.start_at <= until.start)
    measured = {_window(model, row): row.inferences for row in connection.execute(traffic)}
    if not measured:
        return Known({}, {}, {})
    starts = sorted(each.start for each in measured)
    sightings: dict[str, list[Sighting]] = {}
    for row in connection.execute(_seen(model, starts, groups)):
        sightings.setdefault(row.group_id, []).append(_sighting(model, row))
    texts = select(failure_groups).where(failure_groups.c.model == model)
    return Known({row.id: _text(row) for row in connection.execute(texts)}, sightings, measured)


def _with(known: Known, window: Window, measured: MeasuredFailures) -> Known:
    """Return what is known with a window's failures in place of those of its earlier revision."""
    sightings = {key: [each for each in seen if each.window != window] for key, seen in known.sightings.items()}
    for group in measured.groups:
        sightings.setdefault(group.id, []).append(sighting_of(group, window, inferences=measured.inferences))
    texts = {**known.texts, **{group.id: text_of(group) for group in measured.groups}}
    return Known(texts, sightings, {**known.traffic, window: measured.inferences})


def _order(story: FailureStory) -> tuple[bool, int, float, str]:
    """Open ones first, those of the newest window before others, the frequent before the rare."""
    now = story.now
    return story.resolved, now is None, -(now or story.newest).share, story.id


def _traffic(model: str) -> Select[tuple[object, ...]]:
    columns = (windows.c.start_at, windows.c.end_at, failure_windows.c.inferences)
    return _of_newest(select(*columns).select_from(windows), model)


def _seen(model: str, starts: Sequence[datetime], groups: Collection[str] | None) -> Select[tuple[object, ...]]:
    """Select what windows, by their ordered starts, have of groups, and the first window of each group."""
    bounded = windows.c.start_at <= starts[-1]
    wanted = and_(bounded, *([] if groups is None else [failure_counts.c.group_id.in_([*groups, EVERYTHING_ELSE])]))
    firsts = select(failure_counts.c.group_id, func.min(windows.c.start_at).label("first")).select_from(windows)
    first = _counted(_of_newest(firsts, model)).where(wanted).group_by(failure_counts.c.group_id).subquery()
    shown = windows.c.start_at >= starts[-POINTS_MAX:][0]
    details = [case((shown, failure_counts.c[name])).label(name) for name in _DETAILS]
    counts = [column for column in failure_counts.c if column.name not in _DETAILS]
    columns = (windows.c.start_at, windows.c.end_at, failure_windows.c.inferences, *counts, *details)
    chosen = _counted(_of_newest(select(*columns).select_from(windows), model)).where(wanted)
    near = or_(windows.c.start_at >= starts[0], windows.c.start_at == first.c.first)
    return chosen.join(first, and_(first.c.group_id == failure_counts.c.group_id, near)).order_by(windows.c.start_at)


def _of_newest(chosen: Select[tuple[object, ...]], model: str) -> Select[tuple[object, ...]]:
    """Join the newest revisions of windows that measured failures."""
    joined = chosen.join(revisions, revisions.c.window_id == windows.c.id)
    return joined.join(failure_windows, failure_windows.c.revision_id == revisions.c.id).where(*newest_revisions(model))


def _counted(chosen: Select[tuple[object, ...]]) -> Select[tuple[object, ...]]:
    return chosen.join(failure_counts, failure_counts.c.revision_id == revisions.c.id)


def _window(model: str, row: Row[tuple[object, ...]]) -> Window:
    return Window(model=model, start=row.start_at, end=row.end_at)


def _columns(seen: Sighting) -> dict[str, object]:
    return {
        "rows": seen.rows,
        "failures": seen.failures,
        "share": seen.share,
        "first_at": seen.first_at,
        "last_at": seen.last_at,
        "versions": dict(seen.versions),
        "endpoints": dict(seen.endpoints),
        "histogram": list(seen.histogram),
        "samples": list(seen.samples),
        "traces": list(seen.traces),
        "inputs": to_json(_INPUTS, seen.inputs),
    }


def _sighting(model: str, row: Row[tuple[object, ...]]) -> Sighting:
    return Sighting(
        window=_window(model, row),
        inferences=row.inferences,
        rows=row.rows,
        failures=row.failures,
        share=row.share,
        first_at=row.first_at,
        last_at=row.last_at,
        versions=row.versions,
        endpoints=row.endpoints or {},
        histogram=tuple(row.histogram or ()),
        samples=tuple(row.samples or ()),
        traces=tuple(row.traces or ()),
        inputs=_INPUTS.validate_python(row.inputs) if row.inputs else (),
    )


def _text(row: Row[tuple[object, ...]]) -> GroupText:
    return GroupText(
        id=row.id,
        title=row.title,
        error_type=row.error_type,
        message=row.message,
        frames=tuple(row.frames),
        reasons=tuple(row.reasons),
        kind=row.kind,
    )
