"""One model's block, and the whole of retrue.yaml."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from retrue.config.acting import GATE_BLOCKS_MIN, NotifySettings, RetrainSettings
from retrue.config.alarms import AlarmSettings
from retrue.config.base import Settings, function_name, nearest
from retrue.config.judging import DriftSettings, PerformanceSettings, QualitySettings
from retrue.config.retention import PrivacySettings, RetentionSettings
from retrue.config.sources import ColumnSettings, LabelSettings, LogSettings, WindowSettings
from retrue.config.system import SystemSettings, TrafficSettings
from retrue.errors import ConfigError
from retrue.metrics import METRICS, greater_is_better
from retrue.times import duration_text
from retrue.windows import check_name

_NOT_JUDGING = {"alarms", "notify", "retrain", "logs", "labels", "expectations", "serve", "privacy"}
_ONLY_JUDGED = {
    "performance": {"min", "max", "max_drop"},
    "drift": {"max_share"},
    "window": {"settle", "min_rows"},
    "system": {*TrafficSettings.model_fields, "max_cpu_cores", "max_memory_gb", "max_connections"},
}


class ModelSettings(Settings):
    """One watched model.

    ``serve`` names ``module:function``, which answers one request as the model server does, so that `retrue reproduce` meets
    the server's failures too: it takes the model and a dictionary of features and returns a prediction, or a prediction and
    a score.
    """

    task: Literal["binary", "multiclass", "regression", "generation"]
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
    serve: str | None = None
    alarms: AlarmSettings = AlarmSettings()
    notify: NotifySettings = NotifySettings()
    privacy: PrivacySettings = PrivacySettings()

    @model_validator(mode="after")
    def _generation_is_not_scored(self) -> Self:
        judged = {"metric", "min", "max", "max_drop"} & self.performance.model_fields_set
        if self.generates and judged:
            raise ValueError(
                f"performance.{min(judged)} is not for generation models: no metric compares texts or images"
            )
        if self.generates and self.retrain is not None:
            raise ValueError("retrain is not for generation models: a challenger could not be compared")
        return self

    @model_validator(mode="after")
    def _metric_fits_task(self) -> Self:
        if self.generates:
            return self
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

    @model_validator(mode="after")
    def _gate_fits(self) -> Self:
        if self.retrain is None:
            return self
        gate, every = self.retrain.gate, self.window.every
        if gate.test == "mcnemar" and self.metric != "accuracy":
            raise ValueError(f"retrain.gate.test mcnemar compares accuracy, not {self.metric}: keep bootstrap")
        if gate.max_calibration_error is not None and self.task != "binary":
            raise ValueError("retrain.gate.max_calibration_error is for binary models, whose score is a probability")
        if gate.shadow and gate.resample != "rows" and gate.shadow_windows * every < GATE_BLOCKS_MIN * gate.resample:
            raise ValueError(
                f"retrain.gate.shadow_windows {gate.shadow_windows} of {duration_text(every)} hold fewer than the"
                f" {GATE_BLOCKS_MIN} blocks of {duration_text(gate.resample)} that the gate needs"
            )
        return self

    @field_validator("serve")
    @classmethod
    def _importable(cls, serve: str | None) -> str | None:
        return None if serve is None else function_name(serve)

    @property
    def generates(self) -> bool:
        """Whether the model makes texts or images: its performance is not judged, nor the drift of what it makes."""
        return self.task == "generation"

    @property
    def metric(self) -> str:
        """The judged metric: the configured one, else the task's first; empty where performance is not judged."""
        return self.performance.metric or next(iter(METRICS[self.task]), "")

    def judging_digest(self, suite: bytes) -> str:
        """Return the SHA-256 of everything that can change a verdict: these settings and the suite's bytes."""
        judging = self.model_dump_json(exclude=_NOT_JUDGING)
        return hashlib.sha256(judging.encode() + b"\0" + suite).hexdigest()

    def measuring_digest(self, suite: bytes) -> str:
        """Return the SHA-256 of everything that can change what is measured of a window, and the suite's bytes.

        Thresholds alone do not: what is left out here is known to be read only when measurements are judged.
        """
        measuring = self.model_dump(mode="json", exclude={*_NOT_JUDGING, "quality"})
        for part, keys in _ONLY_JUDGED.items():
            measuring[part] = {key: value for key, value in measuring[part].items() if key not in keys}
        drift, system = measuring["drift"], measuring["system"]
        drift.pop("false_alarms")
        for kind in ("numeric", "categorical"):
            drift[kind] = {"method": drift[kind]["method"]}
        drift["columns"] = {name: own["method"] for name, own in sorted(drift["columns"].items()) if own["method"]}
        system |= {part: sorted(system[part]) for part in ("endpoints", "generators")}
        system["failures"] = {"in_app": system["failures"]["in_app"]}
        return hashlib.sha256(json.dumps(measuring, sort_keys=True).encode() + b"\0" + suite).hexdigest()


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
