"""What other windows of a model found, by their newest revisions: the past that opens and resolves incidents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, Row, and_, or_, select

from retrue.incidents import inconclusive
from retrue.ledger.newest import newest_revisions
from retrue.ledger.schema import findings, revisions, windows
from retrue.results import Outcome, Severity
from retrue.standing import Glimpse, PastWindow
from retrue.windows import Window

HORIZON_WINDOWS = 1_000  # newest windows that say where an incident stands
_NAMED_MAX = 500  # fingerprints that are worth naming in a query; with more, all findings are read

_Rows = Sequence[Row[tuple[object, ...]]]


def load_past(
    connection: Connection, window: Window, about: Collection[str], *, reach: int = 1
) -> tuple[PastWindow, ...]:
    """Return the other windows of a window's model, oldest first.

    Args:
        connection: To the ledger.
        window: It is left out.
        about: Fingerprints of which all windows tell what they found.
        reach: Where over 1, everything found by newer windows, and by as many before it less one, is told too.
    """
    others = or_(windows.c.start_at != window.start, windows.c.end_at != window.end)
    columns = (revisions.c.id, revisions.c.outcome, revisions.c.unmeasured, windows.c.start_at, windows.c.end_at)
    judged = select(*columns).join_from(windows, revisions).where(*newest_revisions(window.model), others)
    newest = connection.execute(judged.order_by(windows.c.start_at.desc()).limit(HORIZON_WINDOWS)).all()
    rows = list(reversed(newest))
    found = _found(connection, rows, about, _within_reach(rows, window, reach))
    return tuple(_past(window.model, row, found.get(row.id, {})) for row in rows)


def _within_reach(rows: _Rows, window: Window, reach: int) -> list[int]:
    if reach == 1:
        return []
    before = [row.id for row in rows if row.start_at < window.start]
    return [*before[1 - reach :], *(row.id for row in rows if row.start_at >= window.start)]


def _found(
    connection: Connection, rows: _Rows, about: Collection[str], whole: Collection[int]
) -> Mapping[int, Mapping[str, Glimpse]]:
    """Return by revision what it found of these fingerprints, and of some revisions everything."""
    mine = findings.c.revision_id.in_([row.id for row in rows])
    named = mine if len(about) > _NAMED_MAX else and_(mine, findings.c.fingerprint.in_(list(about)))
    breaches = findings.c.severity.in_([each.value for each in Severity if each.breaches])
    wanted = select(findings).where(breaches, or_(named, findings.c.revision_id.in_(list(whole))))
    found: dict[int, dict[str, Glimpse]] = {}
    for row in connection.execute(wanted.order_by(findings.c.revision_id, findings.c.position)):  # the gravest first
        found.setdefault(row.revision_id, {}).setdefault(row.fingerprint, _glimpse(row))
    return found


def _past(model: str, row: Row[tuple[object, ...]], found: Mapping[str, Glimpse]) -> PastWindow:
    window = Window(model=model, start=row.start_at, end=row.end_at)
    if row.outcome == Outcome.INCONCLUSIVE:
        finding = inconclusive()
        glimpse = Glimpse.of(finding)
        found = {**found, finding.fingerprint(model): glimpse}
    return PastWindow(window=window, unmeasured=frozenset(row.unmeasured), found=found)


def _glimpse(row: Row[tuple[object, ...]]) -> Glimpse:
    return Glimpse(
        check=row.check_name,
        scope=row.scope,
        severity=Severity(row.severity),
        message=row.message,
        excess=row.excess,
    )
