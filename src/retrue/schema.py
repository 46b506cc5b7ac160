"""How a window's columns differ from the baseline's. Pure."""

from __future__ import annotations

from retrue.results import ColumnProfile, Profile, SchemaDifference


def compare_schema(baseline: Profile, current: Profile) -> SchemaDifference:
    """Return the columns that are missing, extra or of another kind than in the baseline, in order of name.

    A column without a single value on either side has no kind to compare: its nulls are what is wrong with it. Whole
    and fractional numbers are of one kind.
    """
    before, now = baseline.columns, current.columns
    both = sorted(before.keys() & now.keys())
    return SchemaDifference(
        missing=tuple(sorted(before.keys() - now.keys())),
        extra=tuple(sorted(now.keys() - before.keys())),
        retyped=tuple((name, before[name].kind, now[name].kind) for name in both if _retyped(before[name], now[name])),
    )


def _retyped(before: ColumnProfile, now: ColumnProfile) -> bool:
    return before.kind is not now.kind and before.rows > before.nulls and now.rows > now.nulls
