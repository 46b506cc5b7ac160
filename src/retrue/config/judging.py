"""The bounds that measurements are judged by: quality, drift, performance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from retrue.config.base import Number, Positive, Settings, Share, function_name, nearest
from retrue.times import duration_text, parse_duration


class QualitySettings(Settings):
    """Bounds of what the profile may differ from the baseline; shares of rows."""

    max_null_rise: Share = 0.05
    max_infinite_share: Share = 0.0
    max_unseen_share: Share = 0.01
    max_set_aside_share: Share = 0.01
    max_duplicate_share: Share = 0.01


CATEGORICAL_METHODS = ("jensenshannon", "psi", "hellinger", "kl_div")
NUMERIC_METHODS = ("wasserstein", *CATEGORICAL_METHODS)


CHANCE_MAX = 0.2  # of a false alarm per window: windows longer than a fifth of the stated time do not get more


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """How often a model may cry wolf: in ``count`` windows without drift within ``per``."""

    count: float
    per: timedelta

    def chance(self, every: timedelta) -> float:
        """Return the chance, in 0-1, that a window of this length without drift has a finding of drift.

        >>> round(FalseAlarms(count=1, per=timedelta(days=90)).chance(timedelta(days=7)), 4)
        0.0778
        """
        return min(self.count * every / self.per, CHANCE_MAX)

    def __str__(self) -> str:
        return f"{self.count:g} per {duration_text(self.per)}"


def parse_false_alarms(text: object) -> FalseAlarms:
    """Return the rate written ``1 per 90d`` or ``0.5 per 4w``.

    >>> str(parse_false_alarms("2 per 30d"))
    '2 per 30d'
    """
    if isinstance(text, FalseAlarms):
        return text
    match = re.fullmatch(r"(\d+(?:\.\d+)?) +per +(\d+[smhdw])", str(text).strip())
    if not match or not float(match[1]) or not parse_duration(match[2]):
        raise ValueError(f"write how often a window may be flagged without drift as 1 per 90d, not {text!r}")
    return FalseAlarms(count=float(match[1]), per=parse_duration(match[2]))


class MethodSettings(Settings):
    """A drift method of Evidently, and the score at which a column has drifted: calibrated where ``threshold`` is None.

    A calibrated threshold is never under ``floor``, the least change that matters; None is the method's own.
    """

    method: str | None = None
    threshold: Positive | None = None
    floor: Positive | None = None

    @field_validator("method")
    @classmethod
    def _known(cls, method: str | None) -> str | None:
        if method is not None and method not in NUMERIC_METHODS:
            hint = nearest(method, NUMERIC_METHODS)
            raise ValueError(f"unknown distance {method!r}{hint}: one of {', '.join(NUMERIC_METHODS)}")
        return method


class TextSettings(Settings):
    """Which columns are free text, and what makes embeddings of them.

    ``embed`` names ``module:function``, which takes a list of texts and returns a table of numbers, one row a text; ``model`` is
    the folder of a Model2Vec model, read by the extra ``text``. Nothing is ever fetched.
    """

    columns: Literal["auto"] | tuple[str, ...] = "auto"
    embed: str | None = None
    model: str | None = None

    @field_validator("embed")
    @classmethod
    def _importable(cls, embed: str | None) -> str | None:
        return None if embed is None else function_name(embed)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.embed and self.model:
            raise ValueError("embed and model both make embeddings: leave one out")
        return self

    @property
    def embeds(self) -> bool:
        """Whether embeddings are wanted."""
        return bool(self.embed or self.model)


class DriftSettings(Settings):
    """How drift is measured: how often it may be wrong, rows sampled a side, and the method of each kind of column.

    A threshold that is written down wins over the calibrated one, and its column has no part in ``false_alarms``.
    Only distances are allowed, where a larger score is more drift: p-values shrink with the number of rows.
    ``columns`` overrides single columns; ``prediction`` and ``score`` can be named there too.
    """

    false_alarms: Annotated[FalseAlarms, BeforeValidator(parse_false_alarms)] = parse_false_alarms("1 per 90d")
    sample_rows: int = Field(default=20_000, ge=100)
    seed: int = 0
    numeric: MethodSettings = MethodSettings(method="wasserstein")
    categorical: MethodSettings = MethodSettings(method="jensenshannon")
    columns: Mapping[str, MethodSettings] = {}
    max_share: Share | None = None
    multivariate: bool = True
    text: TextSettings = TextSettings()

    @field_validator("categorical")
    @classmethod
    def _for_categories(cls, categorical: MethodSettings) -> MethodSettings:
        if categorical.method is not None and categorical.method not in CATEGORICAL_METHODS:
            raise ValueError(f"{categorical.method} needs numbers: one of {', '.join(CATEGORICAL_METHODS)}")
        return categorical


class PerformanceSettings(Settings):
    """What the model is judged by once labels have arrived.

    ``min`` and ``max`` bound the metric itself; ``max_drop`` bounds how much worse than on the baseline's reference it
    may be, in units of the metric. ``min_coverage`` is the share of rows that must have labels before it is judged
    by them; until then by an ``estimate``, unless more than ``max_unsupported_share`` of the rows lie outside what the
    baseline's reference has seen. None: as much as the reference's own stretches do.
    The values or quarters of the columns in ``slices`` are looked at by themselves; ``max_slice_drop`` bounds how much worse
    than on the reference's rows of the same slice the metric may be there.
    """

    metric: str | None = None
    min: Number | None = None
    max: Number | None = None
    max_drop: Positive | None = None
    min_labels: int = Field(default=100, ge=2)
    min_coverage: Share = 0.5
    positive_label: str | int = 1
    estimate: bool = True
    max_unsupported_share: Share | None = None
    slices: tuple[str, ...] = ()
    max_slice_drop: Positive | None = None
    min_slice_rows: int = Field(default=100, ge=10)

    @field_validator("slices")
    @classmethod
    def _once(cls, slices: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in slices if slices.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice")
        return slices

    @model_validator(mode="after")
    def _bound_has_slices(self) -> Self:
        if self.max_slice_drop is not None and not self.slices:
            raise ValueError("max_slice_drop bounds declared slices: name their columns under performance.slices")
        return self

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min {self.min} is not below max {self.max}")
        return self
