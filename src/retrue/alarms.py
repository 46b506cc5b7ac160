"""When a finding is an alarm: K of M windows open an incident, L windows without it resolve it. Pure.

Where an incident stands follows from what each window saw, oldest first, and not from the order in which windows were judged:
a backfill, and windows that are judged again, end where judging them in order would have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from retrue.config import OpenRule, ResolveRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One window that measured a check, by its start, whether it had the finding, and how many times its threshold that was."""

    start: datetime
    found: bool
    excess: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmStanding:
    """Where an incident stands after its newest look.

    ``seen`` is how many of the last windows that the opening rule looks at have the finding. ``opened`` is the window that
    opened the present episode, ``last`` the latest with the finding; both None where it is not open. ``flapping`` marks one
    that opened soon after it was over: it is over only after as long without the finding.
    """

    open: bool
    seen: int
    opened: datetime | None = None
    last: datetime | None = None
    flapping: bool = False


@dataclass(slots=True)
class _Episode:
    opened: datetime
    last: datetime
    flapping: bool
    quiet: int = 0


def alarm_standing(
    looks: Sequence[Look], opening: OpenRule, resolving: ResolveRule, *, repeat_every: timedelta
) -> AlarmStanding:
    """Return where an incident stands.

    It opens with a window that has the finding where ``opening.after`` of the last ``opening.last`` looks have it, this one
    included, or where it is ``opening.at_once`` times its threshold, and is over after ``resolving.after`` looks in a row
    without. One that opened less than ``repeat_every`` after its last finding before flaps, and is over only when it was gone
    for that long.

    Args:
        looks: Windows that measured the check, oldest first; those that could not are left out.
        opening: When it opens.
        resolving: When it is over.
        repeat_every: How soon is soon, in the time of the data.

    >>> at = [Look(start=datetime(2013, 4, day), found=day in (2, 4)) for day in range(1, 7)]
    >>> two_of_three, after_two = OpenRule(after=2, of=3), ResolveRule(after=2)
    >>> [alarm_standing(at[:n], two_of_three, after_two, repeat_every=timedelta(0)).open for n in (2, 4, 5, 6)]
    [False, True, True, False]
    """
    current: _Episode | None = None
    over: _Episode | None = None
    for place, look in enumerate(looks):
        if not look.found:
            if current is not None and _is_over(current, look, resolving, repeat_every):
                current, over = None, current
        elif current is not None:
            current.last, current.quiet = look.start, 0
        elif _opens(looks[max(0, place + 1 - opening.last) : place + 1], opening):
            flapping = over is not None and look.start - over.last < repeat_every
            current = _Episode(opened=look.start, last=look.start, flapping=flapping)
    seen = _seen(looks[-opening.last :])
    if current is None:
        return AlarmStanding(open=False, seen=seen)
    return AlarmStanding(open=True, seen=seen, opened=current.opened, last=current.last, flapping=current.flapping)


def _opens(last: Sequence[Look], opening: OpenRule) -> bool:
    """Tell whether the newest of the looks that the rule looks at, which has the finding, opens an incident."""
    excess = last[-1].excess
    at_once = opening.at_once is not None and excess is not None and excess >= opening.at_once
    return at_once or _seen(last) >= opening.after


def _is_over(episode: _Episode, look: Look, resolving: ResolveRule, repeat_every: timedelta) -> bool:
    episode.quiet += 1
    gone = not episode.flapping or look.start - episode.last >= repeat_every
    return episode.quiet >= resolving.after and gone


def _seen(looks: Sequence[Look]) -> int:
    return sum(look.found for look in looks)
