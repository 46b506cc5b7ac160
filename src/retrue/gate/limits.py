"""What a challenger is held to beside the metric: latency, size, calibration, and rows it has seen before. Pure.

A limit that is set and cannot be measured refuses: a slow model must not pass because the champion's file is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from retrue.config import GateSettings
from retrue.digits import decimal_all, percent
from retrue.labelled import LabelledRows, NotMeasurableError, as_array, find_nulls, read_labelled
from retrue.results import GateCheck
from retrue.scoring import interval_of, number_blocks, resamples_of, undefined
from retrue.statistics.calibration_error import expected_calibration_error, residuals_by_bin
from retrue.statistics.shared_rows import shared_rows

COPIES_BEYOND_NOISE = 3  # standard errors


def latency_check(champion: Sequence[float] | None, challenger: Sequence[float], settings: GateSettings) -> GateCheck:
    """Compare the medians of prediction times, in seconds, of the same rows in turns; None where the champion has no file.

    ``max_latency_ratio`` must be set.
    """
    limit = settings.max_latency_ratio
    if limit is None:
        raise ValueError("max_latency_ratio is not set")
    what = "prediction time, challenger / champion"
    took = float(np.median(challenger))
    if champion is None:
        refusal = "latency cannot be compared: the champion is not in the registry (gate.max_latency_ratio)"
        return GateCheck(name="latency", what=what, value=None, limit=limit, challenger=took, refusal=refusal)
    before = float(np.median(champion))
    ratio = took / max(before, 1e-9)
    refusal = (
        f"too slow: it predicts in {took * 1e3:.3g} ms what takes the champion {before * 1e3:.3g} ms,"
        f" {ratio:.2f} times as long, and {limit:g} times is allowed"
    )
    kept = ratio <= limit
    return GateCheck(
        name="latency",
        what=what,
        value=ratio,
        limit=limit,
        champion=before,
        challenger=took,
        refusal="" if kept else refusal,
    )


def size_checks(champion_bytes: int | None, challenger_bytes: int, settings: GateSettings) -> Iterator[GateCheck]:
    """Yield the checks of the model file's size that are configured; ``champion_bytes`` is None where it has no file."""
    size = challenger_bytes / 1e6
    if settings.max_size_mb is not None:
        kept = size <= settings.max_size_mb
        refusal = f"too large: its file has {size:.3g} MB, and {settings.max_size_mb:g} MB are allowed"
        yield GateCheck(
            name="size",
            what="model file in MB",
            value=size,
            limit=settings.max_size_mb,
            challenger=size,
            refusal="" if kept else refusal,
        )
    if settings.max_size_ratio is not None:
        yield _size_ratio(None if champion_bytes is None else champion_bytes / 1e6, size, settings.max_size_ratio)


def _size_ratio(champion: float | None, challenger: float, limit: float) -> GateCheck:
    what = "model file, challenger / champion"
    if champion is None:
        refusal = "size cannot be compared: the champion is not in the registry (gate.max_size_ratio)"
        return GateCheck(name="size_ratio", what=what, value=None, limit=limit, challenger=challenger, refusal=refusal)
    ratio = challenger / champion
    refusal = (
        f"too large: its file has {challenger:.3g} MB, {ratio:.2f} times the champion's, and {limit:g} times is allowed"
    )
    return GateCheck(
        name="size_ratio",
        what=what,
        value=ratio,
        limit=limit,
        champion=champion,
        challenger=challenger,
        refusal="" if ratio <= limit else refusal,
    )


def calibration_check(
    *,
    labels: ArrayLike,
    champion: ArrayLike | None,
    challenger: ArrayLike | None,
    settings: GateSettings,
    times: ArrayLike,
    weights: ArrayLike | None = None,
    positive_label: str | int = 1,
    seed: int = 0,
) -> GateCheck:
    """Compare the expected calibration errors of two models' scores on the same labelled rows of a binary task.

    It refuses as a slice does: when the rise of the error is above 0 in its whole interval, and above
    ``max_calibration_error``, which must be set.

    Args:
        labels: What happened; rows without a label are left out.
        champion: Scores of the positive class, None where the model gives none.
        challenger: Likewise.
        settings: Of the gate; the interval is drawn as that of the gain is.
        times: When each row happened, on the clock whose days are meant.
        weights: 1 / inclusion probability of each row; None for equal ones.
        positive_label: The class whose probability is meant.
        seed: Of the draws.
    """
    limit = settings.max_calibration_error
    if limit is None:
        raise ValueError("max_calibration_error is not set")
    what = "rise of the expected calibration error"
    try:
        models = [
            _probabilities(who, labels, scores, weights, positive_label)
            for who, scores in (("champion", champion), ("challenger", challenger))
        ]
        arrived = as_array(times)[~find_nulls(as_array(labels))]
        blocks = None if settings.resample == "rows" else number_blocks(arrived, settings.resample)
    except NotMeasurableError as reason:
        refusal = f"calibration cannot be compared: {reason}"
        return GateCheck(name="calibration", what=what, value=None, limit=limit, refusal=refusal)
    errors = [expected_calibration_error(each.truth, each.score, weights=each.weight) for each in models]
    bounds = _rise_bounds(models, settings, blocks, seed)
    rise = errors[1] - errors[0]
    kept = bounds is not None and not (bounds[0] > 0 and rise > limit)
    low, high = decimal_all(bounds, 4, sign="+") if bounds else ("", "")
    before, after = decimal_all(errors, 4)
    shown = f"{settings.confidence:.0%} interval {low} to {high}" if bounds else "no interval"
    refusal = (
        f"worse calibrated: expected calibration error {after} against {before} ({shown}), and it may rise by {limit:g}"
    )
    return GateCheck(
        name="calibration",
        what=what,
        value=rise,
        limit=limit,
        champion=errors[0],
        challenger=errors[1],
        refusal="" if kept else refusal,
    )


def _probabilities(
    who: str, labels: ArrayLike, scores: ArrayLike | None, weights: ArrayLike | None, positive_label: str | int
) -> LabelledRows:
    if scores is None:
        raise NotMeasurableError(f"the {who} gives no probabilities")
    rows = read_labelled(
        "binary", labels=labels, predictions=None, scores=scores, weights=weights, positive_label=positive_label
    )
    arrived = int((~find_nulls(as_array(labels))).sum())
    if len(rows.truth) < arrived:
        raise NotMeasurableError(f"the {who} has no score on {arrived - len(rows.truth):,} rows")
    if why := undefined("brier_score", rows):
        raise NotMeasurableError(f"of the {who}, {why}")
    return rows


def _rise_bounds(
    models: Sequence[LabelledRows], settings: GateSettings, blocks: Any, seed: int
) -> tuple[float, float] | None:
    weight = models[0].weight
    residuals = [residuals_by_bin(each.truth, each.score, weights=weight) * weight[:, None] for each in models]
    drawn = []
    for counts in resamples_of(len(weight), count=settings.resamples, seed=seed, blocks=blocks):
        before, after = (np.abs(counts @ each).sum(axis=1) / (counts @ weight) for each in residuals)
        drawn.append(after - before)
    number = None if blocks is None else len(np.unique(blocks))
    if number == 1:
        return None
    return interval_of(np.concatenate(drawn), settings.confidence, blocks=number)


def leakage_check(
    *,
    training_ids: ArrayLike,
    later_ids: ArrayLike,
    training_contents: ArrayLike,
    later_contents: ArrayLike,
    settings: GateSettings,
) -> GateCheck:
    """Compare the rows trained on with those judged by: no inference may be in both, nor copies beyond a small share.

    Args:
        training_ids: Inference ids of the rows trained on.
        later_ids: Of the rows judged by.
        training_contents: A hash of features and label of each row trained on.
        later_contents: Likewise; copies are those beyond what coincides by chance (``shared_rows``), beyond noise.
        settings: ``max_equal_share``, of the rows judged by; 1 allows any.
    """
    twice = len(np.intersect1d(as_array(training_ids).astype(str), as_array(later_ids).astype(str)))
    copies, error = shared_rows(training_contents, later_contents)
    rows, limit = max(1, len(as_array(later_contents))), settings.max_equal_share
    refusal = ""
    if twice:
        refusal = f"leakage: {twice:,} of the {rows:,} rows it is judged by are among those it was trained on, by inference_id"
    elif copies / rows > limit and copies > COPIES_BEYOND_NOISE * error:
        refusal = (
            f"leakage: {copies:,.0f} of the {rows:,} rows it is judged by equal one it was trained on in all features and the"
            f" label, beyond those equal by chance, and {percent(limit)} are allowed (gate.max_equal_share)"
        )
    what = "copies of training rows, as a share of the rows judged by"
    return GateCheck(name="leakage", what=what, value=copies / rows, limit=limit, refusal=refusal)
