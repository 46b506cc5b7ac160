"""The first sentences of every report: what changed, since when, how much it matters, what to do. Pure; plain text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from retrue.digits import decimal
from retrue.metrics import greater_is_better
from retrue.reports.figures import day, metric, share
from retrue.reports.since import NO_HINDSIGHT, Hindsight
from retrue.results import (
    Attribution,
    EstimatedPerformance,
    Finding,
    HistoryPoint,
    Interval,
    Measurements,
    Outcome,
    Part,
    Verdict,
)
from retrue.standing import covers, unmeasured

LEADS = ("performance", "failure", "system", "served", "schema", "quality", "expectation", "drift")
"""Families of findings, of equal gravity the first is told first: what is lost, then what is broken, then what moved."""
FEATURES_MAX = 3
LITTLE = 0.1
MOSTLY = 0.5
"""Share of a change from which a part is called its cause."""


def opening_sentences(
    verdict: Verdict,
    measurements: Measurements,
    history: Sequence[HistoryPoint] = (),
    *,
    hindsight: Hindsight = NO_HINDSIGHT,
) -> tuple[str, ...]:
    """Return two to four sentences for a person who reads nothing else.

    Args:
        verdict: The window's judgement.
        measurements: What it was judged on, with its attribution where there is one.
        history: Other windows of the model, in any order; only those before this one count.
        hindsight: What the history says of a finding's metric; it dates the finding where it can.
    """
    before = sorted(
        (point for point in history if point.window.start < verdict.window.start), key=lambda point: point.window.start
    )
    if verdict.outcome is Outcome.INCONCLUSIVE:
        return tuple(_inconclusive(verdict, before))
    if verdict.outcome is Outcome.HEALTHY:
        return tuple(_healthy(verdict, measurements, before))
    return tuple(_breached(verdict, measurements, before, hindsight))


def _inconclusive(verdict: Verdict, before: Sequence[HistoryPoint]) -> Iterator[str]:
    more = f", and {len(verdict.reasons) - 1} more" if len(verdict.reasons) > 1 else ""
    yield f"Whether the model does well cannot be told of this window: {verdict.reasons[0]}{more}."
    run = _run(verdict, before, lambda point: point.outcome is Outcome.INCONCLUSIVE)
    if run:
        yield f"That is so since {day(run[0].window)}, for {len(run) + 1} windows."
    yield "Mend this first: until then other trouble may go unseen."


def _healthy(verdict: Verdict, measurements: Measurements, before: Sequence[HistoryPoint]) -> Iterator[str]:
    facts = list(_facts(measurements))
    yield f"Nothing is wrong: {_listed(facts)}." if facts else "Nothing is wrong."
    told = len(verdict.findings)
    if told:
        yield f"{'One finding is' if told == 1 else f'{told} findings are'} for information only."
    if before and before[-1].outcome is Outcome.BREACHED and before[-1].window.end == verdict.window.start:
        gaps = unmeasured(verdict)
        unseen = sorted(" of ".join(filter(None, each)) for each in before[-1].breaches if covers(gaps, *each))
        if unseen:
            yield f"The window before was breached; whether that is over cannot be told, since this one could not measure {_listed(unseen)}."
            return
        yield "The window before was breached; nothing of that is found in this one."
    yield "There is nothing to do."


def _facts(measurements: Measurements) -> Iterator[str]:
    realised = measurements.performance
    if realised is not None:
        yield f"{realised.metric} is {_between(realised.judged)}"
    drift = measurements.drift
    if drift is not None and drift.columns:
        drifted = sum(each.drifted for each in drift.columns)
        yield f"{drifted or 'none'} of {len(drift.columns)} columns drifted"
    if measurements.system is not None and measurements.system.error_share is not None:
        yield f"{share(measurements.system.error_share)} of inferences failed"
    if realised is None and measurements.estimate is not None:
        yield f"{_estimated(measurements.estimate)} until labels arrive"
    elif realised is None and measurements.pull.rows:
        yield "labels have not arrived, so performance is not known"


def _breached(
    verdict: Verdict, measurements: Measurements, before: Sequence[HistoryPoint], hindsight: Hindsight
) -> Iterator[str]:
    grave = sorted((each for each in verdict.findings if each.severity.breaches), key=_order)
    lead = grave[0]
    run = _run(verdict, before, lambda point: (lead.check, lead.scope) in point.breaches)
    since = hindsight.since.get(lead.fingerprint(verdict.window.model)) or _since(run, before)
    yield f"{lead.message.rstrip('.')}; {since}."
    matters = " ".join(_matters(lead, grave, measurements))
    if matters:
        yield matters
    yield _step(lead, measurements)


def _order(finding: Finding) -> tuple[int, int, str, str]:
    family = LEADS.index(finding.kind) if finding.kind in LEADS else len(LEADS)
    return finding.severity.rank, family, finding.check, finding.scope


def _run(verdict: Verdict, before: Sequence[HistoryPoint], shows: Callable[[HistoryPoint], bool]) -> list[HistoryPoint]:
    """Return the unbroken run of windows up to this one that show the same, oldest first."""
    run: list[HistoryPoint] = []
    start = verdict.window.start
    for point in reversed(before):
        if point.window.end != start or not shows(point):
            break
        run.append(point)
        start = point.window.start
    return run[::-1]


def _since(run: Sequence[HistoryPoint], before: Sequence[HistoryPoint]) -> str:
    if run:
        return f"so it has been since {day(run[0].window)}, for {len(run) + 1} windows"
    return "it is new in this window" if before else "it is the first window that was judged"


def _matters(lead: Finding, grave: Sequence[Finding], measurements: Measurements) -> Iterator[str]:
    split, realised = measurements.attribution, measurements.performance
    if isinstance(split, Attribution):
        yield attribution_sentence(split)
    elif split is not None and lead.kind == "performance":
        yield f"What it comes from cannot be told: {split.reason}."
    elif realised is not None and lead.kind != "performance":
        own = any(each.kind == "performance" for each in grave)
        yield f"{'Performance suffers too' if own else 'Performance has held'}: {realised.metric} is {_between(realised.judged)}."
    elif realised is None and measurements.estimate is not None and lead.kind != "performance":
        yield f"What it costs is not known yet: {_estimated(measurements.estimate)} until labels arrive."
    elif realised is None and lead.kind not in ("failure", "system", "served"):
        yield "What it costs is not known yet: too few labels have arrived."
    worst = next(iter(measurements.slices.found), None) if measurements.slices else None
    if worst is not None and measurements.slices is not None and lead.kind == "performance":
        yield (
            f"The model does worst where {worst}: {measurements.slices.loss} {metric(worst.loss.value)} against "
            f"{metric(worst.outside_loss)} elsewhere, on {worst.rows:,} labelled rows."
        )
    others = len(grave) - 1
    if others and split is None and worst is None:
        yield f"{'One other finding' if others == 1 else f'{others} other findings'} came with it."


def attribution_sentence(split: Attribution) -> str:
    """Return a change in one sentence: how much of it comes from inputs, how much from the relation."""
    worse = "drop" if greater_is_better(split.measure) else "rise"
    names = [each.name for each in _causes(split)]
    mostly = f" (mostly {_listed(names)})" if names else ""
    parts = [
        (split.inputs, f"changed inputs{mostly}"),
        (split.relation, "a changed relation between inputs and outcome"),
    ]
    if split.unsupported is not None and split.unsupported_share >= 0.01:
        parts.append((split.unsupported, "inputs that the baseline hardly has"))
    along = [(part, name) for part, name in parts if part.value * split.total.value > 0]
    against = [(part, name) for part, name in parts if part.value * split.total.value <= 0 and _counts(part, split)]
    told = _listed([f"{_size(part)}{_doubt(part)} comes from {name}" for part, name in along])
    rest = "".join(f"; {name} made up for {_size(part)}{_doubt(part)}" for part, name in against)
    return f"Of the {worse} of {split.measure} by {_size(split.total)} against the baseline, {told}{rest}."


def _counts(part: Interval, split: Attribution) -> bool:
    """Tell whether a part that went the other way is worth a word: the others are more than the whole by it."""
    return abs(part.value) >= LITTLE * abs(split.total.value)


def _causes(split: Attribution) -> list[Part]:
    """Return the features that make most of what the inputs add, if they add anything."""
    if _by_chance(split.inputs):
        return []
    along = [each for each in split.features if not _by_chance(each.change)]
    whole = sum(abs(each.change.value) for each in along)
    large = [each for each in along if abs(each.change.value) >= 0.15 * whole]
    return list(large[:FEATURES_MAX])


def _step(lead: Finding, measurements: Measurements) -> str:
    split = measurements.attribution
    if not isinstance(split, Attribution) or lead.kind != "performance" or not split.total.value:
        return lead.next_step
    of_relation = split.relation.value / split.total.value
    if of_relation >= MOSTLY and not _by_chance(split.relation):
        return "Retrain on recent rows: the same inputs have other outcomes now, which no repair of features will mend."
    names = _listed([each.name for each in _causes(split)])
    if names and split.inputs.value / split.total.value >= MOSTLY:
        return (
            f"Check where {names} come{'s' if len(_causes(split)) == 1 else ''} from: mend it if it is wrong; "
            "if the world has changed, retrain on recent rows."
        )
    return lead.next_step


def _listed(items: Sequence[str]) -> str:
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def _by_chance(part: Interval) -> bool:
    return part.low <= 0 <= part.high


def _doubt(part: Interval) -> str:
    return " (perhaps by chance)" if _by_chance(part) else ""


def _size(part: Interval) -> str:
    return decimal(abs(part.value))


def _between(found: Interval) -> str:
    return f"{metric(found.value)} ({metric(found.low)} to {metric(found.high)})"


def _estimated(estimate: EstimatedPerformance) -> str:
    return f"{estimate.metric} is estimated at {_between(estimate.judged)}"


def _number(text: str) -> float | None:
    match = re.match(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", text)
    return float(match[0]) if match else None
