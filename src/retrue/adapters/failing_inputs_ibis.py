"""Which inputs fail: records are summed by condition in the engine, ``retrue.failures`` judges the sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from retrue.adapters.exposures_ibis import EVERY_GROUP, Conditions, Exposures, Tally
from retrue.adapters.failures_ibis import Failures
from retrue.failures import Exposure, InputThresholds, Sums, pairs_to_measure, rank_conditions
from retrue.results import FailingInput
from retrue.sources.pulled import PulledWindow
from retrue.statistics.conditions import on_own_columns

GROUPS_MAX = 10  # groups examined, those with most failures
FAILURES_MIN = 10  # fewer failures say nothing of what they share
INPUTS_MAX = 3
CANDIDATES_MAX = 100  # ranked conditions of which those on columns of their own are told
SUSPECTS = 8  # conditions that are paired
SUSPECTS_OF_GROUP = 6

_NONE = Sums(rows=0, weight=0.0, squares=0.0)
_THRESHOLDS = InputThresholds(keep=CANDIDATES_MAX)


def measure_failing_inputs(pulled: PulledWindow, failures: Failures) -> tuple[Failures, tuple[FailingInput, ...]]:
    """Return the failures with what the inputs of each group have in common, and what those of all have.

    Categories of text, booleans and numbers of few values, missing values, and ranges of numbers are examined one by one,
    then pairs of the strongest; at most ``INPUTS_MAX`` stay, strongest first and each on columns of its own. The features count, and version, endpoint and
    generator. Columns of nested values, as a redacted value is, and of times do not. Of very many records the counts of each
    condition are estimates, see ``exposures_ibis``.

    Args:
        pulled: The window, inside its block.
        failures: What ``measure_failures`` made of it in the same block.
    """
    if sum(group.rows for group in failures.groups) < FAILURES_MIN:
        return failures, ()
    exposures = Exposures(pulled, groups=GROUPS_MAX)
    singles = exposures.singles()
    numbers = range(min(len(failures.groups), GROUPS_MAX))
    subjects = {
        number: _exposed(singles, number)
        for number in (*numbers, EVERY_GROUP)
        if exposures.whole.failed.get(number, _NONE).rows >= FAILURES_MIN
    }
    wanted = {number: _pairs(each, exposures.whole, number) for number, each in subjects.items()}
    pairs = exposures.pairs(sorted({pair for each in wanted.values() for pair in each}, key=str))
    found = {}
    for number, each in subjects.items():
        both = _exposed({pair: pairs[pair] for pair in wanted[number]}, number)
        found[number] = tuple(_ranked([*each, *both], exposures, number))
    groups = tuple(replace(group, inputs=found.get(number, ())) for number, group in enumerate(failures.groups))
    return replace(failures, groups=groups), found.get(EVERY_GROUP, ())


def _exposed(tallies: Mapping[Conditions, Tally], number: int) -> list[Exposure]:
    return [
        Exposure(conditions=conditions, failed=tally.failed.get(number, _NONE), total=tally.total)
        for conditions, tally in tallies.items()
    ]


def _pairs(exposures: list[Exposure], whole: Tally, number: int) -> tuple[Conditions, ...]:
    return pairs_to_measure(
        exposures,
        failed=whole.failed[number],
        total=whole.total,
        thresholds=_THRESHOLDS,
        singles=SUSPECTS if number == EVERY_GROUP else SUSPECTS_OF_GROUP,
    )


def _ranked(measured: list[Exposure], exposures: Exposures, number: int) -> Iterator[FailingInput]:
    whole = exposures.whole
    found = rank_conditions(measured, failed=whole.failed[number], total=whole.total, thresholds=_THRESHOLDS)
    for each in islice(on_own_columns(found), INPUTS_MAX):
        failures = round(each.failures * exposures.failed_factor)
        others = round((each.rows - each.failures) * exposures.success_factor)
        yield replace(each, failures=failures, rows=failures + others)
