"""Since when something has been so, and what moved suddenly, in sentences. Pure; nothing is escaped here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from retrue.reports.figures import day, number
from retrue.results import Verdict
from retrue.since import Dated, Move
from retrue.standing import Pending
from retrue.statistics.change_point import Shape

MOVES_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """A window in the light of others: ``notes`` about its findings, by fingerprint, and what moved suddenly.

    ``since`` is when a finding's metric changed, as a clause, where that is told from chance.
    """

    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    since: Mapping[str, str] = field(default_factory=dict)
    moves: Sequence[str] = ()
    more_moves: int = 0


NO_HINDSIGHT = Hindsight()


def since_line(dated: Dated) -> str:
    """Return when and how a metric changed, in one sentence without a full stop."""
    change = dated.change
    sudden = change.shape is Shape.SUDDEN
    told = f"sudden, since the window of {day(dated.since)}" if sudden else f"slowly, since {day(dated.since)}"
    between = f" (between {day(dated.earliest)} and {day(dated.latest)})" if dated.earliest != dated.latest else ""
    return f"{told}{between}: {number(change.before)} before, {number(change.after)} {'since' if sudden else 'now'}"


def move_line(move: Move) -> str:
    """Return what moved from one window to the next, in one sentence."""
    what = "mean" if move.is_mean else "distance from the baseline"
    jump = f"{number(move.before)} in the window before, {number(move.now)} now"
    return f"{move.column}: its {what} has jumped, {jump}; no jump before was like it (p {move.p_value:.2g})"


def hindsight_of(
    verdict: Verdict, dated: Mapping[str, Dated], waiting: Sequence[Pending], moves: Sequence[Move]
) -> Hindsight:
    """Return what other windows have to say about a window."""
    pending = {each.fingerprint: each for each in waiting}
    told = dict.fromkeys(each.fingerprint(verdict.window.model) for each in verdict.findings)
    notes = {each: tuple(_notes(each, dated, pending)) for each in told}
    return Hindsight(
        notes={each: lines for each, lines in notes.items() if lines},
        since={each: since_line(found) for each, found in dated.items()},
        moves=tuple(move_line(each) for each in moves[:MOVES_MAX]),
        more_moves=max(0, len(moves) - MOVES_MAX),
    )


def _notes(fingerprint: str, dated: Mapping[str, Dated], pending: Mapping[str, Pending]) -> Iterator[str]:
    if fingerprint in dated:
        line = since_line(dated[fingerprint])
        yield f"{line[0].upper()}{line[1:]}."
    if fingerprint in pending:
        yield f"Pending: {pending[fingerprint].line}."
