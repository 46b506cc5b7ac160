"""The bounds that measurements are judged by: quality, drift, performance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from retrue.config.base import Number, Positive, Settings, Share, nearest


class QualitySettings(Settings):
    """Bounds of what the profile may differ from the baseline; shares of rows."""

    max_null_rise: Share = 0.05
    max_infinite_share: Share = 0.0
    max_unseen_share: Share = 0.01
    max_set_aside_share: Share = 0.01
    max_duplicate_share: Share = 0.01


CATEGORICAL_METHODS = ("jensenshannon", "psi", "hellinger", "kl_div")
NUMERIC_METHODS = ("wasserstein", *CATEGORICAL_METHODS)


class MethodSettings(Settings):
    """A drift method of Evidently and the score at which a column has drifted."""

    method: str | None = None
    threshold: Positive | None = None

    @field_validator("method")
    @classmethod
    def _known(cls, method: str | None) -> str | None:
        if method is not None and method not in NUMERIC_METHODS:
            hint = nearest(method, NUMERIC_METHODS)
            raise ValueError(f"unknown distance {method!r}{hint}: one of {', '.join(NUMERIC_METHODS)}")
        return method


class DriftSettings(Settings):
    """How drift is measured: rows sampled a side, and the method and threshold of each kind of column.

    Only distances are allowed, where a larger score is more drift: p-values shrink with the number of rows.
    ``columns`` overrides single columns; ``prediction`` and ``score`` can be named there too.
    """

    sample_rows: int = Field(default=20_000, ge=100)
    seed: int = 0
    numeric: MethodSettings = MethodSettings(method="wasserstein", threshold=0.1)
    categorical: MethodSettings = MethodSettings(method="jensenshannon", threshold=0.1)
    columns: Mapping[str, MethodSettings] = {}
    max_share: Share | None = None

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
