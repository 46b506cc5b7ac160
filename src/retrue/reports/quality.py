"""``quality.html``: schema, every expectation and every column of a window. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from retrue.reports.figures import count, number, share, span
from retrue.reports.page import render, verdict_line
from retrue.results import (
    ColumnKind,
    ColumnProfile,
    ExpectationOutcome,
    Measurements,
    Profile,
    SchemaDifference,
    ValidationResult,
    Verdict,
)

SET_ASIDE_MAX = 50

_WORDS = {True: ("met", "met"), False: ("not met", "unmet"), None: ("not evaluated", "raised")}
_ORDER = {False: 0, None: 1, True: 2}

_Note = Mapping[str, str]


def render_quality(verdict: Verdict, measurements: Measurements, *, baseline: Profile | None = None) -> str:
    """Return the page of a window's data quality.

    Args:
        verdict: The window's judgement.
        measurements: Its profile, schema difference, validation result and what was set aside.
        baseline: The profile to compare the columns with, None to show the window alone.

    Returns:
        A self-contained HTML document without any cell or category. The same arguments give the same bytes.
    """
    pull, profile = measurements.pull, measurements.profile
    return render(
        "quality.html.j2",
        verdict=verdict,
        line=verdict_line(verdict),
        span=span(verdict.window),
        differences=None if measurements.schema is None else list(_differences(measurements.schema)),
        outcomes=None if measurements.validation is None else _outcomes(measurements.validation),
        counts=_counts(measurements.validation),
        rows=count(profile.rows) if profile else "",
        columns=None if profile is None else list(_columns(profile, baseline)),
        set_aside=pull.set_aside[:SET_ASIDE_MAX],
        more_set_aside=max(0, len(pull.set_aside) - SET_ASIDE_MAX),
    )


def _differences(schema: SchemaDifference) -> Iterator[tuple[str, str, str]]:
    yield from ((name, "missing", "unmet") for name in schema.missing)
    yield from ((name, f"{before.value} before, {now.value} now", "unmet") for name, before, now in schema.retyped)
    yield from ((name, "new", "soft") for name in schema.extra)


def _counts(validation: ValidationResult | None) -> str:
    if validation is None:
        return ""
    met = sum(outcome.success is True for outcome in validation.outcomes)
    return f"{met} of {len(validation.outcomes)} met"


def _outcomes(validation: ValidationResult) -> Sequence[Mapping[str, str]]:
    """Return rows for the table: what is not met first, gravest first, else in the suite's order."""
    ordered = sorted(validation.outcomes, key=lambda each: (_ORDER[each.success], each.severity.rank))
    return [_outcome(each) for each in ordered]


def _outcome(each: ExpectationOutcome) -> Mapping[str, str]:
    word, tone = _WORDS[each.success]
    return {
        "word": word,
        "tone": tone,
        "severity": each.severity.value,
        "column": each.column or "",
        "kind": each.kind.removeprefix("expect_").replace("_", " "),
        "expected": each.expected,
        "observed": each.observed,
        "why": each.why,
        "problem": _spaced(each.problem) if each.success is None else "",
    }


def _spaced(problem: str) -> str:
    code, colon, rest = problem.partition(":")
    return code.replace("_", " ") + colon + rest


def _columns(profile: Profile, baseline: Profile | None) -> Iterator[Mapping[str, object]]:
    for name, now in profile.columns.items():
        before = baseline.columns.get(name) if baseline else None
        yield {
            "name": name,
            "type": now.type,
            "notes": list(_notes(now, known=before is not None or baseline is None)),
            "nulls": share(now.null_share),
            "nulls_before": _changed(share(now.null_share), share(before.null_share) if before else ""),
            "range": _range(now),
            "range_before": _changed(_range(now), _range(before) if before else ""),
            "mean": _mean(now),
            "mean_before": _changed(_mean(now), _mean(before) if before else ""),
            "distinct": count(now.distinct),
            "distinct_before": _changed(count(now.distinct), count(before.distinct) if before else ""),
        }


def _changed(now: str, before: str) -> str:
    return before if before != now else ""


def _range(column: ColumnProfile) -> str:
    if column.kind is not ColumnKind.NUMBER or column.minimum is None or column.maximum is None:
        return ""
    return f"{number(column.minimum)} to {number(column.maximum)}"


def _mean(column: ColumnProfile) -> str:
    if column.kind is not ColumnKind.NUMBER or column.mean is None:
        return ""
    return number(column.mean) + (f" ± {number(column.sd)}" if column.sd is not None else "")


def _notes(column: ColumnProfile, *, known: bool) -> Iterator[_Note]:
    if not known:
        yield {"text": "new, not monitored", "tone": "soft"}
    if column.rows and column.nulls == column.rows:
        yield {"text": "nothing but nulls", "tone": "unmet"}
    if column.infinities:
        yield {"text": f"{count(column.infinities)} infinite ({share(column.infinite_share)})", "tone": "unmet"}
    if column.nans:
        yield {"text": f"{count(column.nans)} not a number", "tone": "raised"}
    if column.unseen and column.unseen_share is not None:
        yield {"text": f"{count(column.unseen)} of unseen categories ({share(column.unseen_share)})", "tone": "unmet"}
