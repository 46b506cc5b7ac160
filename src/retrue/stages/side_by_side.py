"""Two models on the same rows: their answers, how long they take in turns, and how large their files are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrue.adapters import models_skops
from retrue.config import GateSettings, ModelSettings, RetrainSettings
from retrue.gate import calibration_check, latency_check, leakage_check, size_checks
from retrue.results import GateCheck
from retrue.stages.training import LabelledRows, Predicted, predict

if TYPE_CHECKING:
    import pandas as pd

TIMED_ROWS = 1000
TIMED_TURNS = 9  # odd, so that the median is a time that was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The rows that two models are compared on, and what each says of them.

    ``champion_model`` is None where it is only known by its log; ``champion`` then holds what it logged.
    """

    later: LabelledRows
    champion_model: Any | None
    challenger_model: Any
    champion: Predicted
    challenger: Predicted


def checks(
    sides: Sides, training: LabelledRows, settings: ModelSettings, retrain: RetrainSettings, times: pd.Series[Any]
) -> Iterator[GateCheck]:
    """Yield what a challenger is held to beside the metric: always leakage, and what retrue.yaml limits."""
    gate, later = retrain.gate, sides.later
    yield leakage_check(
        training_ids=training.frame["inference_id"],
        later_ids=later.frame["inference_id"],
        training_contents=training.contents,
        later_contents=later.contents,
        settings=gate,
    )
    if gate.max_latency_ratio is not None:
        yield _latency(sides, settings, gate)
    if gate.max_size_mb is not None or gate.max_size_ratio is not None:
        before = None if sides.champion_model is None else _file_bytes(sides.champion_model, retrain)
        yield from size_checks(before, _file_bytes(sides.challenger_model, retrain), gate)
    if gate.max_calibration_error is not None:
        yield calibration_check(
            labels=later.labels,
            champion=sides.champion.score,
            challenger=sides.challenger.score,
            settings=gate,
            times=times,
            weights=later.frame.get("sample_weight"),
            positive_label=settings.performance.positive_label,
            seed=settings.drift.seed,
        )


def _latency(sides: Sides, settings: ModelSettings, gate: GateSettings) -> GateCheck:
    """Time both on the same rows in turns, so that whatever else the machine does meets both."""
    rows = sides.later.inputs.head(TIMED_ROWS)
    models = [each for each in (sides.champion_model, sides.challenger_model) if each is not None]
    took: list[list[float]] = [[] for _ in models]
    for turn in range(TIMED_TURNS + 1):
        for number, model in enumerate(models):
            start = time.perf_counter()
            predict(model, rows, settings)
            if turn:  # the first warms up
                took[number].append(time.perf_counter() - start)
    return latency_check(took[0] if len(took) == 2 else None, took[-1], gate)


def _file_bytes(model: Any, retrain: RetrainSettings) -> int:
    return len(models_skops.dump(model, trusted=retrain.trusted_types))
