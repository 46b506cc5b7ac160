"""Performance is judged by labels where there are enough, else by its estimate."""

from __future__ import annotations

import pytest

from retrue.judge import judge
from retrue.results import (
    Measurements,
    Outcome,
    Severity,
    Unmeasured,
)
from tests.builders import (
    baseline,
    estimate,
    measurements,
    performance,
    settings,
)
from tests.judging import checks, judged


@pytest.mark.parametrize(
    ("value", "half", "severity"), [(0.59, 0.02, Severity.WARNING), (0.55, 0.02, Severity.CRITICAL)]
)
def test_a_metric_below_its_bound_is_critical_only_when_its_interval_is(
    value: float, half: float, severity: Severity
) -> None:
    verdict = judged(measurements(performance=performance(value, half)), settings(performance={"min": 0.6}))
    assert checks(verdict) == [("performance.realised", "roc_auc", severity)]


def test_a_drop_from_the_baseline_is_found_and_an_improvement_is_not() -> None:
    only_drop = settings(performance={"max_drop": 0.05})
    assert checks(judged(measurements(performance=performance(0.60, 0.02)), only_drop)) == [
        ("performance.drop", "roc_auc", Severity.WARNING)
    ]
    assert judged(measurements(performance=performance(0.80)), only_drop).outcome is Outcome.HEALTHY


def test_a_loss_is_bounded_from_above() -> None:
    of = settings(task="regression", performance={"metric": "rmse", "max": 2.0})
    assert "performance.realised" in judged(measurements(performance=performance(2.1, 0.01, "rmse")), of).line
    assert judged(measurements(performance=performance(1.9, 0.01, "rmse")), of).outcome is Outcome.HEALTHY


def test_waiting_for_labels_is_told_but_does_not_make_a_window_inconclusive() -> None:
    waiting = (Unmeasured(part="labels", reason="3% of labels have arrived"),)
    verdict = judged(measurements(performance=None, unmeasured=waiting))
    assert (verdict.outcome, checks(verdict)) == (Outcome.HEALTHY, [("labels.coverage", "", Severity.INFO)])


WAITING = (Unmeasured(part="labels", reason="3% of labels have arrived"),)


def unlabelled(**changes: object) -> Measurements:
    return measurements(performance=None, unmeasured=WAITING, **changes)


@pytest.mark.parametrize(
    ("value", "half", "severity"),
    [(0.57, 0.02, Severity.WARNING), (0.59, 0.02, Severity.INFO), (0.62, 0.02, None)],
)
def test_an_estimate_breaches_only_when_its_whole_interval_is_beyond_the_bound(
    value: float, half: float, severity: Severity | None
) -> None:
    verdict = judged(unlabelled(estimate=estimate(value, half)), settings(performance={"min": 0.6}))
    waiting = ("labels.coverage", "", Severity.INFO)
    found = [("performance.estimated", "roc_auc", severity)] if severity else []
    assert sorted(checks(verdict)) == sorted([waiting, *found])
    assert verdict.outcome is (Outcome.BREACHED if severity is Severity.WARNING else Outcome.HEALTHY)


def test_an_estimate_is_held_against_the_stricter_of_bound_and_drop() -> None:
    reference = baseline(performance=performance(0.70))
    bounds = settings(performance={"min": 0.6, "max_drop": 0.05})
    verdict = judge(unlabelled(estimate=estimate(0.62, 0.01)), reference, bounds, config_digest="config")
    (found,) = [each for each in verdict.findings if each.check == "performance.estimated"]
    assert (found.threshold, found.severity) == ("0.65", Severity.WARNING)
    assert "Labels are missing; estimated roc_auc is 0.620 [0.610, 0.630], below 0.65." in found.message


def test_an_estimated_loss_is_bounded_from_above() -> None:
    of = settings(task="regression", performance={"metric": "rmse", "max": 2.0})
    assert "performance.estimated" in judged(unlabelled(estimate=estimate(2.2, 0.1, "rmse")), of).line
    assert judged(unlabelled(estimate=estimate(1.9, 0.3, "rmse")), of).outcome is Outcome.HEALTHY


def test_labels_outweigh_an_estimate() -> None:
    verdict = judged(measurements(performance=performance(0.70), estimate=estimate(0.3)))
    assert (verdict.outcome, checks(verdict)) == (Outcome.HEALTHY, [])


def test_a_withheld_estimate_is_told_where_a_bound_waits_for_it_and_makes_nothing_inconclusive() -> None:
    withheld = (*WAITING, Unmeasured(part="estimate", reason="50 rows, at least 100 are needed"))
    measured = measurements(performance=None, unmeasured=withheld)
    verdict = judged(measured)
    assert verdict.outcome is Outcome.HEALTHY
    assert checks(verdict) == [("labels.coverage", "", Severity.INFO), ("performance.withheld", "", Severity.INFO)]
    assert "50 rows, at least 100 are needed" in verdict.findings[1].message
    unbounded = settings(performance={"metric": "roc_auc"})
    assert checks(judged(measured, unbounded)) == [("labels.coverage", "", Severity.INFO)]


def test_a_drop_that_has_nothing_to_be_compared_with_is_told() -> None:
    verdict = judge(measurements(), baseline(performance=None), settings(), config_digest="config")
    assert (verdict.outcome, checks(verdict)) == (
        Outcome.HEALTHY,
        [("performance.reference", "roc_auc", Severity.INFO)],
    )
