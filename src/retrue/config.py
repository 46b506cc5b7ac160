"""The settings of retrue.yaml: frozen, checked once. Unknown keys, NaN and reversed thresholds are refused."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from retrue.errors import ConfigError
from retrue.metrics import METRICS, greater_is_better
from retrue.times import duration_text, parse_duration, parse_time
from retrue.windows import Grid, Window, check_name

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


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Base of every block: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LogSettings(Settings):
    """Where inference logs are: a folder of Parquet and JSON lines files."""

    uri: str
    format: Literal["retrue"] = "retrue"


class LabelSettings(Settings):
    """Where labels arrive and how long they may take; later ones no longer change a verdict."""

    uri: str
    horizon: Duration = timedelta(days=30)


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
    may be, in units of the metric. ``min_coverage`` is the share of rows that must have labels before it is judged.
    """

    metric: str | None = None
    min: Number | None = None
    max: Number | None = None
    max_drop: Positive | None = None
    min_labels: int = Field(default=100, ge=2)
    min_coverage: Share = 0.5
    positive_label: str | int = 1

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min {self.min} is not below max {self.max}")
        return self


class SystemSettings(Settings):
    """Bounds of failures and latency; null leaves one unjudged."""

    max_error_share: Share | None = 0.01
    latency_p50_ms: Positive | None = None
    latency_p95_ms: Positive | None = None
    latency_p99_ms: Positive | None = None


class GateSettings(Settings):
    """What a challenger must show on the same later rows.

    The two-sided paired bootstrap interval of its gain must lie above ``min_gain``. A slice refuses when its whole interval
    lies below 0 and its gain below ``-max_slice_loss``: worse beyond noise, and by more than is tolerated. Slices with fewer
    than ``min_slice_rows`` rows are left out; under ``min_rows`` rows in all it is refused.

    ``resample`` is what the bootstrap draws: blocks of time of this length, whole, or ``rows``, one by one. Rows of one day
    share its conditions; drawn one by one they pass for more evidence than they are, and a challenger that was lucky on some
    days is promoted. Blocks should be longer than what their rows share. A gate needs 10 of them; it is refused below that,
    and a slice that occurs in fewer is left out.
    """

    min_gain: Number = 0.0
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resample: Annotated[timedelta | Literal["rows"], BeforeValidator(_parse_resample)] = timedelta(days=1)
    resamples: int = Field(default=1000, ge=100)
    min_rows: int = Field(default=1000, ge=10)
    slices: tuple[str, ...] = ()
    max_slice_loss: Annotated[float, Field(ge=0)] = 0.02
    min_slice_rows: int = Field(default=500, ge=10)


class RetrainSettings(Settings):
    """When and how a challenger is trained.

    ``train`` names ``module:function`` taking features (a pandas frame) and labels (a series) and returning a fitted
    scikit-learn estimator; without it the champion's pipeline is cloned and refitted. ``history`` bounds how far back
    labelled windows are used, ``holdout`` how much of the latest is kept for the gate. ``trusted_types`` extends the list
    of types a skops file may hold.
    """

    train: str | None = None
    on: tuple[Literal["drift", "performance", "quality", "schema", "expectation"], ...] = ("performance",)
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
        if train is not None and not re.fullmatch(r"[\w.]+:\w+", train):
            raise ValueError(f"write it as module:function, not {train!r}")
        return train

    @model_validator(mode="after")
    def _holds_enough_blocks(self) -> Self:
        block = self.gate.resample
        if block != "rows" and self.holdout < GATE_BLOCKS_MIN * block:
            raise ValueError(
                f"holdout {duration_text(self.holdout)} holds fewer than the {GATE_BLOCKS_MIN} blocks of"
                f" {duration_text(block)} that the gate needs: lengthen it or set gate.resample"
            )
        return self


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


class ModelSettings(Settings):
    """One watched model."""

    task: Literal["binary", "multiclass", "regression"]
    logs: LogSettings
    labels: LabelSettings | None = None
    columns: ColumnSettings = ColumnSettings()
    window: WindowSettings = WindowSettings()
    expectations: str | None = None
    quality: QualitySettings = QualitySettings()
    drift: DriftSettings = DriftSettings()
    performance: PerformanceSettings = PerformanceSettings()
    system: SystemSettings = SystemSettings()
    retrain: RetrainSettings | None = None
    notify: NotifySettings = NotifySettings()

    @model_validator(mode="after")
    def _metric_fits_task(self) -> Self:
        known = METRICS[self.task]
        chosen = self.performance.metric
        if chosen is not None and chosen not in known:
            raise ValueError(
                f"performance.metric {chosen!r} is not for {self.task} models{nearest(chosen, known)}: one of {', '.join(known)}"
            )
        wrong = "max" if greater_is_better(self.metric) else "min"
        if getattr(self.performance, wrong) is not None:
            raise ValueError(
                f"performance.{wrong} would flag good values of {self.metric}: use {'min' if wrong == 'max' else 'max'}"
            )
        return self

    @property
    def metric(self) -> str:
        """The judged metric: the configured one, else the task's first."""
        return self.performance.metric or METRICS[self.task][0]

    def judging_digest(self, suite: bytes) -> str:
        """Return the SHA-256 of everything that can change a verdict: these settings and the suite's bytes."""
        judging = self.model_dump_json(exclude={"notify", "retrain", "logs", "labels", "expectations"})
        return hashlib.sha256(judging.encode() + b"\0" + suite).hexdigest()


def _at_least_a_day(kept: timedelta | None) -> timedelta | None:
    if kept is not None and kept < timedelta(days=1):
        raise ValueError(f"what retrue makes is kept for at least 1d, not {kept}; null keeps it for ever")
    return kept


Kept = Annotated[Duration | None, AfterValidator(_at_least_a_day)]


class RetentionSettings(Settings):
    """How long `retrue purge` keeps what retrue itself made, at least ``1d``; null keeps it for ever.

    It counts from when a window was judged, not from the window's time, so that a backfill of old windows can be looked at.

    - ``reports``: the folders ``.retrue/reports/<model>/<window>``.
    - ``mlflow``: the MLflow run of each window revision, with its artifacts; the history run keeps every window's metrics.
    - ``outbox``: messages, events and other effects that were carried out or given up, from then on; never shorter than the
      horizon of the labels, within which a later revision must not tell the same again.

    Verdicts, incidents, promotions and receipts of purges stay in the ledger. Logs and labels are yours and never deleted.
    """

    reports: Kept = timedelta(days=90)
    mlflow: Kept = timedelta(days=365)
    outbox: Kept = timedelta(days=90)


class Project(Settings):
    """retrue.yaml: the models of one folder. Relative paths in it start at ``root``."""

    version: Literal[1]
    ledger: str = Field(default="sqlite:///.retrue/ledger.db", repr=False)
    mlflow: str | None = Field(default=None, repr=False)
    retention: RetentionSettings = RetentionSettings()
    models: Mapping[str, ModelSettings]
    root: Path = Path()

    @field_validator("models")
    @classmethod
    def _names(cls, models: Mapping[str, ModelSettings]) -> Mapping[str, ModelSettings]:
        if not models:
            raise ValueError("no model is watched: add a block")
        for name in models:
            check_name(name)
        return models

    def model(self, name: str) -> ModelSettings:
        """Return one model's settings.

        Raises:
            NameRefusedError: The name could leave its folder.
            ConfigError: No such model.
        """
        check_name(name)
        if name not in self.models:
            hint = nearest(name, self.models)
            raise ConfigError(
                f"no model {name!r}{hint}: it watches {', '.join(self.models)}",
                file=self.root / "retrue.yaml",
                key="models",
            )
        return self.models[name]

    def path(self, relative: str) -> Path:
        """Return a path of the configuration, from the project's root."""
        return self.root / relative

    @property
    def baselines(self) -> Path:
        """The folder of frozen baselines, ``<model>/<version>`` below it."""
        return self.root / "baselines"

    @property
    def state(self) -> Path:
        """The folder of everything made at run time."""
        return self.root / ".retrue"

    @property
    def reports(self) -> Path:
        """The folder of reports, ``<model>/<window>`` below it."""
        return self.state / "reports"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint naming the known word closest to this one, or nothing if none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
