"""What a person reads first: what changed, since when, how much it matters, what to do."""

from dataclasses import replace
from types import ModuleType

import pytest

from retrue.reports import render_markdown, render_message, render_summary
from retrue.reports.opening import attribution_sentence, opening_sentences
from retrue.reports.since import Hindsight
from retrue.results import (
    Change,
    EstimatedPerformance,
    Finding,
    HistoryPoint,
    Outcome,
    Severity,
    Unmeasured,
)


def drifted(**changes: object) -> Finding:
    plain = Finding(
        check="drift.column", scope="temp", severity=Severity.WARNING, value="1.420", threshold="0.100",
        message="temp has drifted: wasserstein 1.420, threshold 0.1; the model leans on it for 31 %.",
        next_step="See its plot in drift.html.",
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def week(sample: ModuleType, back: int, *findings: Finding, outcome: Outcome = Outcome.HEALTHY) -> HistoryPoint:
    start = sample.START - back * sample.WEEK
    return HistoryPoint(
        window=replace(sample.WINDOW, start=start, end=start + sample.WEEK),
        revision=1,
        outcome=Outcome.BREACHED if findings else outcome,
        line="",
        model_version="1",
        metrics={},
        breaches=frozenset((each.check, each.scope) for each in findings),
    )


def test_a_drop_is_told_with_what_it_comes_from_and_what_to_do(sample: ModuleType) -> None:
    measured = replace(sample.MEASUREMENTS, attribution=sample.SPLIT, slices=sample.SLICES)
    lead = sample.FINDINGS[0]
    before = [week(sample, 3), week(sample, 2, lead), week(sample, 1, lead)]
    assert opening_sentences(sample.verdict(*sample.FINDINGS), measured, before) == (
        "Realised roc_auc is 0.588, below 0.6; so it has been since 2013-08-22, for 3 windows.",
        "Of the drop of roc_auc by 0.073 against the baseline, 0.052 comes from changed inputs (mostly temp and dest) and "
        "0.021 comes from a changed relation between inputs and outcome. The model does worst where temp >= 31 and "
        "carrier = EV: log_loss 0.880 against 0.500 elsewhere, on 412 labelled rows.",
        "Check where temp and dest come from: mend it if it is wrong; if the world has changed, retrain on recent rows.",
    )


def test_a_changed_relation_asks_for_retraining(sample: ModuleType) -> None:
    split = replace(sample.SPLIT, inputs=sample.between(0.004, 0.01), relation=sample.between(-0.077, 0.01))
    measured = replace(sample.MEASUREMENTS, attribution=split)
    *_, matters, step = opening_sentences(sample.verdict(sample.FINDINGS[0]), measured)
    assert matters == (
        "Of the drop of roc_auc by 0.073 against the baseline, 0.077 comes from a changed relation between inputs and outcome."
    )
    assert step.startswith("Retrain on recent rows")


def test_a_part_that_went_the_other_way_and_one_that_may_be_chance_are_told_as_such(sample: ModuleType) -> None:
    split = replace(sample.SPLIT, inputs=sample.between(0.03, 0.01), relation=sample.between(-0.103, 0.01))
    assert attribution_sentence(split).endswith("outcome; changed inputs (mostly temp and dest) made up for 0.030.")
    beside = replace(sample.SPLIT, inputs=sample.between(0.05, 0.06), relation=sample.between(-0.123, 0.01))
    assert attribution_sentence(beside).endswith("outcome; changed inputs made up for 0.050 (perhaps by chance).")
    unsure = replace(sample.SPLIT, relation=sample.between(-0.021, 0.03))
    assert "and 0.021 (perhaps by chance) comes from a changed relation" in attribution_sentence(unsure)


def test_an_error_rises_where_a_score_drops(sample: ModuleType) -> None:
    split = replace(
        sample.SPLIT, measure="mae", total=sample.between(0.3, 0.1), inputs=sample.between(0.1, 0.05),
        relation=sample.between(0.1, 0.05), unsupported=sample.between(0.1, 0.05), unsupported_share=0.2,
    )  # fmt: skip
    assert attribution_sentence(split).startswith("Of the rise of mae by 0.300")
    assert attribution_sentence(split).endswith("and 0.100 comes from inputs that the baseline hardly has.")


def test_drift_is_dated_by_its_own_column_and_says_that_performance_held(sample: ModuleType) -> None:
    before = [
        week(sample, 3),
        week(sample, 2, sample.FINDINGS[0]),
        week(sample, 1, drifted()),
    ]
    assert opening_sentences(sample.verdict(drifted()), sample.MEASUREMENTS, before) == (
        "temp has drifted: wasserstein 1.420, threshold 0.1; the model leans on it for 31 %; so it has been since "
        "2013-08-29, for 2 windows.",
        "Performance has held: roc_auc is 0.588 (0.569 to 0.607).",
        "See its plot in drift.html.",
    )


def test_without_labels_what_it_costs_is_not_known(sample: ModuleType) -> None:
    unlabelled = replace(sample.MEASUREMENTS, performance=None)
    told = opening_sentences(sample.verdict(drifted()), unlabelled, [week(sample, 1)])
    assert told[0].endswith("; it is new in this window.")
    assert told[1] == "What it costs is not known yet: too few labels have arrived."


def test_of_equal_gravity_a_loss_of_performance_is_told_before_a_drift(sample: ModuleType) -> None:
    lost = replace(sample.FINDINGS[0], severity=Severity.WARNING)
    first, *_ = opening_sentences(sample.verdict(drifted(), lost), sample.MEASUREMENTS)
    assert first == "Realised roc_auc is 0.588, below 0.6; it is the first window that was judged."


def test_a_gap_in_the_history_ends_a_run(sample: ModuleType) -> None:
    before = [week(sample, 3, sample.FINDINGS[0]), week(sample, 1, sample.FINDINGS[0])]
    first, *_ = opening_sentences(sample.verdict(sample.FINDINGS[0]), sample.MEASUREMENTS, before)
    assert first.endswith("so it has been since 2013-08-29, for 2 windows.")


def test_a_healthy_window_says_what_it_rests_on(sample: ModuleType) -> None:
    told = opening_sentences(sample.verdict(), sample.MEASUREMENTS, [week(sample, 1, sample.FINDINGS[0])])
    assert told == (
        "Nothing is wrong: roc_auc is 0.588 (0.569 to 0.607), 1 of 3 columns drifted and 0.31% of inferences failed.",
        "The window before was breached; nothing of that is found in this one.",
        "There is nothing to do.",
    )


def test_what_a_healthy_window_could_not_measure_is_not_called_over(sample: ModuleType) -> None:
    waiting = replace(sample.FINDINGS[0], check="labels.coverage", scope="", severity=Severity.INFO)
    lost = replace(sample.FINDINGS[0], check="performance.drop", scope="")
    told = opening_sentences(sample.verdict(waiting), sample.MEASUREMENTS, [week(sample, 1, lost)])
    assert told[-1] == (
        "The window before was breached; whether that is over cannot be told, since this one could not measure performance.drop."
    )


def test_an_inconclusive_window_claims_no_health(sample: ModuleType) -> None:
    told = opening_sentences(
        sample.verdict(reasons=("no rows", "no labels")),
        sample.MEASUREMENTS,
        [week(sample, 1, outcome=Outcome.INCONCLUSIVE)],
    )
    assert told == (
        "Whether the model does well cannot be told of this window: no rows, and 1 more.",
        "That is so since 2013-08-29, for 2 windows.",
        "Mend this first: until then other trouble may go unseen.",
    )


@pytest.mark.parametrize("labelled", [True, False])
def test_every_verdict_has_two_to_four_sentences(sample: ModuleType, labelled: bool) -> None:
    measured = sample.MEASUREMENTS if labelled else replace(sample.MEASUREMENTS, performance=None)
    for verdict in (sample.verdict(), sample.verdict(*sample.FINDINGS), sample.verdict(reasons=("no rows",))):
        assert 2 <= len(opening_sentences(verdict, measured, sample.history())) <= 4


def test_page_artifact_and_message_open_with_the_same_sentences(sample: ModuleType) -> None:
    judged, measured = sample.verdict(*sample.FINDINGS), replace(sample.MEASUREMENTS, attribution=sample.SPLIT)
    told = opening_sentences(judged, measured, sample.history())
    page = render_summary(judged, measured, sample.history())
    assert all(each in page for each in told)
    assert page.index(told[0]) < page.index("3 findings")
    assert "changed relation between inputs and outcome" in render_markdown(judged, measured, sample.history())
    _, body = render_message(judged, [sample.change(sample.FINDINGS[0], Change.OPENED)], opening=told)
    assert body.splitlines()[2 : 2 + len(told)] == list(told)


def test_the_page_shows_slices_and_parts_and_marks_what_is_over_its_bound(sample: ModuleType) -> None:
    measured = replace(sample.MEASUREMENTS, attribution=sample.SPLIT, slices=sample.SLICES)
    page = render_summary(sample.verdict(*sample.FINDINGS), measured, ())
    for shown in ("Why roc_auc changed", "0.661 to 0.588", "-0.052", "origin = EWR", "temp &gt;= 31 and carrier = EV",
                  "Commoner than in the baseline", "origin = HVN: 41 labelled rows, 100 are needed"):  # fmt: skip
        assert shown in page, shown
    assert '<td class="n unmet">0.541' in page


def test_the_history_dates_a_finding_where_it_can(sample: ModuleType) -> None:
    fingerprint = sample.FINDINGS[0].fingerprint("flight-delay")
    hindsight = Hindsight(since={fingerprint: "sudden, since the window of 2013-08-22: 0.66 before, 0.588 since"})
    before = [week(sample, 1, sample.FINDINGS[0])]
    first, *_ = opening_sentences(sample.verdict(sample.FINDINGS[0]), sample.MEASUREMENTS, before, hindsight=hindsight)
    assert first.endswith("below 0.6; sudden, since the window of 2013-08-22: 0.66 before, 0.588 since.")


def test_a_change_that_cannot_be_split_is_told_as_such(sample: ModuleType) -> None:
    reason = "98% of the window's inputs hardly occur in the baseline"
    measured = replace(sample.MEASUREMENTS, attribution=Unmeasured(part="attribution", reason=reason))
    told = opening_sentences(sample.verdict(sample.FINDINGS[0]), measured)
    assert told[1] == f"What it comes from cannot be told: {reason}."
    page = render_summary(sample.verdict(sample.FINDINGS[0]), measured, ())
    assert "What the change comes from cannot be told: 98% of the window" in page


def test_an_estimate_stands_in_until_labels_arrive(sample: ModuleType) -> None:
    estimate = EstimatedPerformance(
        metric="roc_auc", metrics={"roc_auc": sample.between(0.64, 0.02)}, method="cbpe", rows=900,
        unsupported_share=0.01,
    )  # fmt: skip
    measured = replace(sample.MEASUREMENTS, performance=None, estimate=estimate)
    assert opening_sentences(sample.verdict(drifted()), measured)[1] == (
        "What it costs is not known yet: roc_auc is estimated at 0.640 (0.620 to 0.660) until labels arrive."
    )
    assert "roc_auc is estimated at 0.640" in opening_sentences(sample.verdict(), measured)[0]
