"""Where logs and labels are and how they are written, which columns count, and how time is cut into windows."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator, model_validator

from retrue.config.base import Duration, Settings, nearest
from retrue.times import parse_time
from retrue.windows import Grid, Window

_PAYLOADS = ("names", "outputs", "columns", "model_version")
_TABLES = ("columns", "timezone", "time_unit", "model_version")
FORMAT_KEYS: Mapping[str, tuple[str, ...]] = {
    "retrue": (),
    "sagemaker": _PAYLOADS,
    "kserve": (*_PAYLOADS, "sides"),
    "bentoml": ("roles", "timezone", "model_version"),
    "databricks": _PAYLOADS,
    "vertex": _PAYLOADS,
    "seldon": (*_PAYLOADS, "sides"),
    "mlflow": ("outputs", "columns", "model_version", "experiment"),
    "jsonl": _TABLES,
    "parquet": _TABLES,
    "csv": (*_TABLES, "names", "delimiter", "encoding"),
}
"""Which settings each format reads; others beside it are refused."""
LABEL_FORMATS = ("retrue", "sagemaker", "bentoml", "vertex", "seldon", "mlflow", "jsonl", "parquet", "csv")
MAPPED_FORMATS = ("jsonl", "parquet", "csv")
_IN_PAYLOADS = ("inference_id", "prediction", "score", "label")


def _known_format(value: object) -> object:
    if isinstance(value, str) and value not in FORMAT_KEYS:
        raise ValueError(f"unknown format {value!r}{nearest(value, FORMAT_KEYS)}: one of {', '.join(FORMAT_KEYS)}")
    return value


FormatName = Annotated[
    Literal[
        "retrue",
        "sagemaker",
        "kserve",
        "bentoml",
        "databricks",
        "vertex",
        "seldon",
        "mlflow",
        "jsonl",
        "parquet",
        "csv",
    ],
    BeforeValidator(_known_format),
]


class FieldNames(Settings):
    """What a log calls the fields of a record: a column, or a path such as ``response.score``.

    ``features`` is a path to an object of features, ``*`` for every column that is no field, a list of columns, or a
    mapping of a feature's name to its column. A field without a name here has its own.
    """

    inference_id: str | None = None
    caller_id: str | None = None
    time: str | None = None
    received_at: str | None = None
    model: str | None = None
    model_version: str | None = None
    endpoint: str | None = None
    status: str | None = None
    latency_ms: str | None = None
    prediction: str | None = None
    score: str | None = None
    sample_weight: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_stack: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    request_bytes: str | None = None
    input_tokens: str | None = None
    output_tokens: str | None = None
    cost_usd: str | None = None
    label: str | None = None
    labelled_at: str | None = None
    source: str | None = None
    features: str | tuple[str, ...] | Mapping[str, str] | None = None

    @property
    def chosen(self) -> Mapping[str, str]:
        """The fields that are called something else, with what they are called; without ``features``."""
        return {name: value for name, value in self if name != "features" and value is not None}


class SourceSettings(Settings):
    """A folder or address of files in one format, with what that format does not say itself.

    ``names`` are the columns of rows without names, such as headerless CSV, and ``outputs`` those of responses without
    names. ``roles`` turns what BentoML calls a column's role, or a column itself, into its part in a record. A time without a zone is in ``timezone``, one that
    is a number in ``time_unit`` since 1970. ``sides`` tells a log of requests or of responses alone from one that has both.
    """

    uri: str
    columns: FieldNames = FieldNames()
    names: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    roles: Mapping[str, Literal["feature", "prediction", "score", "label", "ignore"]] = {}
    timezone: str | None = None
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    sides: Literal["both", "request", "response"] = "both"
    model_version: str | None = None
    experiment: str | None = None
    format: FormatName = "retrue"

    @field_validator("names", "outputs")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} stands twice")
        return names

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str | None) -> str | None:
        try:
            ZoneInfo(name or "UTC")
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"unknown timezone {name!r}: write one such as Europe/Paris") from error
        return name

    @field_validator("encoding")
    @classmethod
    def _encoding(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name
        except LookupError as error:
            raise ValueError(f"unknown encoding {name!r}: write one such as utf-8 or latin-1") from error

    @model_validator(mode="after")
    def _read_by_the_format(self) -> Self:
        always = {"uri", "format", "horizon"}
        for key in sorted(self.model_fields_set - always - set(FORMAT_KEYS[self.format])):
            readers = ", ".join(name for name, keys in FORMAT_KEYS.items() if key in keys)
            raise ValueError(f"{key} is not read in format {self.format}: only in {readers}")
        if self.format not in MAPPED_FORMATS:
            named = {*self.columns.chosen, *(["features"] if self.columns.features is not None else [])}
            for field in sorted(named - set(_IN_PAYLOADS)):
                raise ValueError(
                    f"columns.{field} is not read in format {self.format}, which names it itself: only {', '.join(_IN_PAYLOADS)}"
                )
        return self


class LogSettings(SourceSettings):
    """Where inference logs are, and in which format."""


class LabelSettings(SourceSettings):
    """Where labels arrive and how long they may take; later ones no longer change a verdict."""

    horizon: Duration = timedelta(days=30)

    @field_validator("format")
    @classmethod
    def _has_labels(cls, name: FormatName) -> FormatName:
        if name not in LABEL_FORMATS:
            raise ValueError(f"{name} writes no labels: one of {', '.join(LABEL_FORMATS)}")
        return name


class ColumnSettings(Settings):
    """Which columns are features, and what prediction and score are called in the log."""

    features: Literal["auto"] | tuple[str, ...] = "auto"
    prediction: str = "prediction"
    score: str | None = "score"
    ignore: tuple[str, ...] = ()


class WindowSettings(Settings):
    """How the time line is cut, and how many rows a window needs to be judged."""

    every: Duration = timedelta(days=1)
    settle: Duration = timedelta(hours=2)
    min_rows: int = Field(default=500, ge=1)
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _on_a_grid(self) -> Self:
        self.grid  # noqa: B018 - builds the grid, which checks length and zone
        return self

    @property
    def grid(self) -> Grid:
        try:
            return Grid(every=self.every, zone=self.timezone)
        except KeyError as error:
            raise ValueError(f"unknown timezone {self.timezone!r}") from error

    def window_ending(self, model: str, end: datetime | str | None, *, now: datetime) -> Window:
        """Return the window that ends at a time, the newest one that has settled by default.

        Raises:
            ValueError: No window ends there, or the text is no time.
        """
        if end is None:
            return self.grid.latest(model, now=now, settle=self.settle)
        at = parse_time(end) if isinstance(end, str) else end
        return self.grid.window_ending(model, at if at.tzinfo else at.replace(tzinfo=UTC))
