from dataclasses import replace

from tests import builders

from retrue.findings.slices import slice_findings
from retrue.judge import judge
from retrue.results import Condition, Interval, Measurements, Severity, Slice, Slices
from retrue.standing import unmeasured


def between(value: float, half: float = 0.01) -> Interval:
    return Interval(value=value, low=value - half, high=value + half)


DECLARED = Slice(
    conditions=(Condition(column="origin", relation="=", value="EWR"),), declared=True, rows=900, share=0.3,
    loss=between(0.7), outside_loss=0.5, metric=between(0.52), reference=between(0.66), drop=between(0.14, 0.02),
    drop_chance=0.001, over_bound=True,
)  # fmt: skip
FOUND = replace(
    DECLARED, declared=False, conditions=(Condition(column="temp", relation=">=", value="80"),), over_bound=False,
    drop_chance=None,
)  # fmt: skip
BOUND = {"performance": {"metric": "roc_auc", "slices": ["origin"], "max_slice_drop": 0.05}}


def measured(*slices: Slice) -> Measurements:
    return builders.measurements(slices=Slices(loss="log_loss", rows=3000, tested=20, slices=slices))


def test_a_declared_slice_over_its_bound_is_a_warning() -> None:
    (finding,) = slice_findings(measured(DECLARED), builders.settings(**BOUND))
    assert (finding.check, finding.scope, finding.severity) == ("performance.slice", "origin = EWR", Severity.WARNING)
    assert finding.message == (
        "Where origin = EWR, roc_auc is 0.520 [0.510, 0.530] on 900 labelled rows; the baseline had 0.660 there, "
        "a worsening of at most 0.05 is allowed."
    )


def test_a_declared_slice_without_a_bound_or_within_it_is_only_in_the_report() -> None:
    assert list(slice_findings(measured(DECLARED), builders.settings())) == []
    assert list(slice_findings(measured(replace(DECLARED, over_bound=False)), builders.settings(**BOUND))) == []


def test_a_found_slice_is_information_and_says_how_to_be_warned_of_it() -> None:
    (finding,) = slice_findings(measured(FOUND), builders.settings(**BOUND))
    assert finding.severity is Severity.INFO
    assert finding.message.startswith(
        "The model does worst where temp >= 80: log_loss 0.700 against 0.500 elsewhere, 900 labelled rows."
    )
    assert "add temp to performance.slices" in finding.next_step


def test_a_slice_that_was_as_weak_in_the_baseline_is_no_finding() -> None:
    always = replace(FOUND, drop=between(0.0, 0.02))
    assert list(slice_findings(measured(always), builders.settings())) == []
    assert len(list(slice_findings(measured(replace(FOUND, drop=None)), builders.settings()))) == 1


def test_a_declared_slice_that_could_not_be_judged_keeps_its_incident_open() -> None:
    slices = Slices(
        loss="log_loss", rows=3000, tested=0, unmeasurable=(("origin = HVN", "9 labelled rows, 100 are needed"),)
    )
    (finding,) = slice_findings(builders.measurements(slices=slices), builders.settings(**BOUND))
    assert (finding.check, finding.scope, finding.severity) == ("performance.skipped", "origin = HVN", Severity.INFO)
    assert list(slice_findings(builders.measurements(slices=slices), builders.settings())) == []
    judged = judge(
        builders.measurements(slices=slices), builders.baseline(), builders.settings(**BOUND), config_digest="config"
    )
    assert "performance:origin = HVN" in unmeasured(judged)


def test_without_slices_there_is_nothing_to_say() -> None:
    assert list(slice_findings(builders.measurements(), builders.settings(**BOUND))) == []
