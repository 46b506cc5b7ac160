"""What a challenger is held to beside the metric: kept, refused with its numbers, and refused where it cannot be measured."""

from typing import Any

import numpy as np
import pytest

from retrue.config import GateSettings
from retrue.gate import calibration_check, latency_check, leakage_check, size_checks
from retrue.results import GateCheck, GateResult, Interval

ROWS, DAYS = 4000, 20


def gate(**settings: Any) -> GateSettings:
    return GateSettings(resamples=200, **settings)


# ---------------------------------------------------------------- latency and size


def test_latency_is_compared_by_the_medians_so_that_one_slow_turn_does_not_count() -> None:
    kept = latency_check([0.010, 0.011, 0.012], [0.012, 0.013, 9.0], gate(max_latency_ratio=1.5))
    assert (kept.refusal, kept.value) == ("", pytest.approx(13 / 11))
    slow = latency_check([0.010, 0.011, 0.012], [0.022, 0.033, 0.044], gate(max_latency_ratio=1.5))
    assert slow.refusal == (
        "too slow: it predicts in 33 ms what takes the champion 11 ms, 3.00 times as long, and 1.5 times is allowed"
    )


def test_a_champion_that_cannot_be_timed_or_weighed_refuses_where_that_was_asked_for() -> None:
    assert "cannot be compared" in latency_check(None, [0.01], gate(max_latency_ratio=2)).refusal
    (ratio,) = size_checks(None, 10_000, gate(max_size_ratio=2))
    assert "cannot be compared" in ratio.refusal
    (size,) = size_checks(None, 10_000, gate(max_size_mb=1))
    assert size.refusal == ""


def test_a_file_that_is_too_large_refuses_by_megabytes_and_by_the_champions() -> None:
    size, ratio = size_checks(1_000_000, 3_000_000, gate(max_size_mb=2, max_size_ratio=2.5))
    assert size.refusal == "too large: its file has 3 MB, and 2 MB are allowed"
    assert ratio.refusal == "too large: its file has 3 MB, 3.00 times the champion's, and 2.5 times is allowed"
    assert list(size_checks(1, 3, gate())) == []


# ---------------------------------------------------------------- calibration


def calibrated(seed: int, *, sharper: float = 1.0) -> dict[str, Any]:
    """Rows of a calibrated champion, and a challenger whose log odds are that many times as large."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1, ROWS)
    champion, challenger = (1 / (1 + np.exp(-each)) for each in (odds, sharper * odds))
    return {
        "labels": (rng.random(ROWS) < champion).astype(int),
        "champion": champion,
        "challenger": challenger,
        "times": np.datetime64("2013-04-04") + np.arange(ROWS) % DAYS * np.timedelta64(1, "D"),
    }


def test_a_challenger_that_is_too_sure_is_refused_with_both_errors() -> None:
    check = calibration_check(**calibrated(0, sharper=2.0), settings=gate(max_calibration_error=0.02))
    assert check.refusal.startswith(
        "worse calibrated: expected calibration error 0.1053 against 0.0124 (95% interval +0.0"
    )
    assert check.refusal.endswith("and it may rise by 0.02")
    assert check.value is not None
    assert check.value > 0.05
    tolerant = calibration_check(**calibrated(0, sharper=2.0), settings=gate(max_calibration_error=0.3))
    assert tolerant.refusal == ""


def test_one_as_well_calibrated_is_seldom_refused_even_without_tolerance() -> None:
    refused = 0
    for seed in range(30):
        rows = calibrated(seed)
        noise = np.random.default_rng([seed, 1]).permutation(ROWS)
        half = noise < ROWS // 2
        rows["challenger"] = np.where(half, rows["champion"], np.clip(rows["champion"] + 0.001, 0, 1))
        refused += bool(calibration_check(**rows, settings=gate(max_calibration_error=0.0)).refusal)
    assert refused <= 4


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"challenger": None}, "the challenger gives no probabilities"),
        ({"champion": None}, "the champion gives no probabilities"),
        ({"challenger": np.full(ROWS, np.nan)}, "4,000 of 4,000 labelled rows have no prediction"),
        ({"challenger": np.full(ROWS, 1.5)}, "scores lie outside 0-1"),
    ],
)
def test_calibration_that_cannot_be_measured_refuses(spoil: dict[str, Any], reason: str) -> None:
    check = calibration_check(**{**calibrated(0), **spoil}, settings=gate(max_calibration_error=0.02))
    assert check.value is None
    assert reason in check.refusal


def test_rows_without_a_label_are_left_out() -> None:
    rows = calibrated(0, sharper=2.0)
    labels = rows["labels"].astype(float)
    labels[:1000] = np.nan
    check = calibration_check(**{**rows, "labels": labels}, settings=gate(max_calibration_error=0.02))
    kept = {name: values[1000:] for name, values in rows.items()}
    assert check == calibration_check(**kept, settings=gate(max_calibration_error=0.02))


# ---------------------------------------------------------------- leakage


def leakage(training: Any, later: Any, contents: tuple[Any, Any], **settings: Any) -> GateCheck:
    return leakage_check(
        training_ids=training,
        later_ids=later,
        training_contents=contents[0],
        later_contents=contents[1],
        settings=gate(**settings),
    )


CONTENTS = (np.arange(1000), np.arange(1000, 2000))


def test_one_inference_in_both_refuses_whatever_its_content() -> None:
    ids = [f"i{number}" for number in range(2000)]
    assert leakage(ids[:1000], ids[1000:], CONTENTS).refusal == ""
    leaked = leakage(ids[:1000], [*ids[1001:], "i7"], CONTENTS, max_equal_share=1)
    assert leaked.refusal == (
        "leakage: 1 of the 1,000 rows it is judged by are among those it was trained on, by inference_id"
    )


def test_copies_under_other_ids_refuse_beyond_the_share_that_is_allowed() -> None:
    ids = ([f"a{number}" for number in range(1000)], [f"b{number}" for number in range(1000)])
    copied = (CONTENTS[0], np.concatenate([CONTENTS[1][:-20], CONTENTS[0][:20]]))
    refused = leakage(*ids, copied)
    assert refused.refusal.startswith("leakage: 20 of the 1,000 rows it is judged by equal one it was trained on")
    assert refused.value == 0.02
    assert leakage(*ids, copied, max_equal_share=0.05).refusal == ""
    few = (CONTENTS[0], np.concatenate([CONTENTS[1][:-4], CONTENTS[0][:4]]))
    assert leakage(*ids, few).refusal == ""


def test_coarse_rows_that_are_equal_by_chance_do_not_refuse() -> None:
    rng = np.random.default_rng(0)
    ids = ([f"a{number}" for number in range(1000)], [f"b{number}" for number in range(1000)])
    assert leakage(*ids, (rng.integers(0, 8, 1000), rng.integers(0, 8, 1000))).refusal == ""


# ---------------------------------------------------------------- held to


def test_a_check_that_is_not_kept_refuses_and_ends_a_watch() -> None:
    result = GateResult(
        metric="accuracy", rows=10, champion=0.5, challenger=0.6, gain=Interval(value=0.1, low=-0.1, high=0.3), slices=(),
        refusals=("not shown to be better",), undecided=True,
    )  # fmt: skip
    kept = GateCheck(name="size", what="model file in MB", value=1.0, limit=2.0)
    broken = GateCheck(name="latency", what="ratio", value=3.0, limit=2.0, refusal="too slow")
    assert result.held_to([kept]).undecided
    held = result.held_to([kept, broken])
    assert (held.refusals, held.undecided, held.checks) == (
        ("not shown to be better", "too slow"),
        False,
        (kept, broken),
    )
    with pytest.raises(ValueError, match="could not be made"):
        GateCheck(name="size", what="", value=None, limit=1.0)
