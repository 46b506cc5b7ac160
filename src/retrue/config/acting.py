"""What follows from a verdict: retraining with its gate, and who is told."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from retrue.config.base import Duration, Number, Positive, Settings, Share, function_name
from retrue.times import duration_text, parse_duration

GATE_BLOCKS_MIN = 10  # fewer say too little of how much blocks differ


def _parse_resample(text: object) -> object:
    if text == "rows":
        return text
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise ValueError(f"write rows, or how long a block lasts, such as 1d, not {text!r}") from error
    if not length:
        raise ValueError("a block lasts longer than nothing: write rows to draw them one by one")
    return length


class GateSettings(Settings):
    """What a challenger must show on the same later rows.

    The two-sided paired bootstrap interval of its gain must lie above ``min_gain``. A slice refuses when its whole interval
    lies below 0 and its gain below ``-max_slice_loss``: worse beyond noise, and by more than is tolerated. ``slices`` are columns:
    of numbers the quarters of these rows, of anything else the values. Slices with fewer than ``min_slice_rows`` rows are left out;
    a column of which none is left refuses, as do fewer than ``min_rows`` rows in all.

    ``resample`` is what the bootstrap draws: blocks of time of this length, whole, or ``rows``, one by one. Rows of one day
    share its conditions; drawn one by one they pass for more evidence than they are, and a challenger that was lucky on some
    days is promoted. Blocks should be longer than what their rows share. A gate needs 10 of them; it is refused below that,
    and a slice that occurs in fewer is left out.

    ``test: mcnemar`` counts rows one by one, for accuracy where rows are independent of each other. ``watch`` looks again as
    windows come in, for ``watch_for`` after the first look, with an interval that is valid at every look. ``shadow`` judges
    once, by the ``shadow_windows`` windows after the training. ``probation`` is how many windows a promoted version is
    compared with the one before it; 0 for none. Limits that are None are not judged.
    """

    min_gain: Number = 0.0
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resample: Annotated[timedelta | Literal["rows"], BeforeValidator(_parse_resample)] = timedelta(days=1)
    resamples: int = Field(default=1000, ge=100)
    min_rows: int = Field(default=1000, ge=10)
    slices: tuple[str, ...] = ()
    max_slice_loss: Annotated[float, Field(ge=0)] = 0.02
    min_slice_rows: int = Field(default=500, ge=10)
    test: Literal["bootstrap", "mcnemar"] = "bootstrap"
    max_latency_ratio: Positive | None = None
    max_size_ratio: Positive | None = None
    max_size_mb: Positive | None = None
    max_calibration_error: Annotated[float, Field(ge=0, le=1)] | None = None
    max_equal_share: Share = 0.005
    watch: bool = False
    watch_for: Duration = timedelta(days=60)
    shadow: bool = False
    shadow_windows: int = Field(default=2, ge=1)
    probation: int = Field(default=4, ge=0)

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if self.test == "mcnemar":
            if self.resample != "rows":
                raise ValueError(
                    "test mcnemar counts rows one by one: write resample: rows too, or keep test: bootstrap"
                )
            if self.min_gain != 0:
                raise ValueError(
                    "test mcnemar asks whether there is any gain: min_gain must be 0, or keep test: bootstrap"
                )
        if self.watch and self.resample == "rows":
            raise ValueError("watch compares blocks of time: write resample as a time such as 1d")
        if self.watch and self.shadow:
            raise ValueError("watch and shadow are two ways to use later windows: choose one")
        if self.watch and not self.watch_for:
            raise ValueError("watch_for must be longer than nothing")
        return self


class RetrainSettings(Settings):
    """When and how a challenger is trained.

    ``train`` names ``module:function`` taking features (a pandas frame) and labels (a series) and returning a fitted
    scikit-learn estimator; without it the champion's pipeline is cloned and refitted. ``history`` bounds how far back
    labelled windows are used, ``holdout`` how much of the latest is kept for the gate. ``trusted_types`` extends the list
    of types a skops file may hold. ``on`` are kinds of finding; ``performance`` asks for labels, an estimate that fell asks only
    where ``estimated`` is named.
    """

    train: str | None = None
    on: tuple[Literal["drift", "performance", "estimated", "quality", "schema", "expectation"], ...] = ("performance",)
    cooldown: Duration = timedelta(days=14)
    max_attempts: int = Field(default=3, ge=1)
    history: Duration | None = None
    holdout: Duration = timedelta(days=14)
    include_reference: bool = True
    approval: Literal["never"] = "never"
    gate: GateSettings = GateSettings()
    trusted_types: tuple[str, ...] = ()

    @field_validator("train")
    @classmethod
    def _importable(cls, train: str | None) -> str | None:
        return None if train is None else function_name(train)

    @model_validator(mode="after")
    def _holds_enough_blocks(self) -> Self:
        block = self.gate.resample
        if self.gate.shadow:
            return self
        if block != "rows" and self.holdout < GATE_BLOCKS_MIN * block:
            raise ValueError(
                f"holdout {duration_text(self.holdout)} holds fewer than the {GATE_BLOCKS_MIN} blocks of"
                f" {duration_text(block)} that the gate needs: lengthen it or set gate.resample"
            )
        return self

    @property
    def watched_blocks(self) -> int:
        """How many blocks the interval of ``watch`` is narrowest for: those of the first look and of half the time after it."""
        block = self.gate.resample
        return (
            GATE_BLOCKS_MIN
            if block == "rows"
            else max(GATE_BLOCKS_MIN, (self.holdout + self.gate.watch_for / 2) // block)
        )


class NotifySettings(Settings):
    """Prefect notification blocks, as ``type-slug/name``, by severity; info goes to the digest flow."""

    critical: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
    info: Literal["digest", "never"] = "digest"
    digest: tuple[str, ...] = ()
    repeat_every: Duration = timedelta(days=7)

    @field_validator("critical", "warning", "digest")
    @classmethod
    def _blocks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", name):
                raise ValueError(f"a block is written type-slug/name, such as slack-webhook/oncall, not {name!r}")
        return names
