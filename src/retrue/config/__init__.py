"""The settings of retrue.yaml: frozen, checked once. Unknown keys, NaN and reversed thresholds are refused."""

from retrue.config.acting import GATE_BLOCKS_MIN, GateSettings, NotifySettings, RetrainSettings
from retrue.config.alarms import AlarmSettings, KindRule, OpenRule, ResolveRule
from retrue.config.base import Settings, nearest
from retrue.config.judging import (
    CATEGORICAL_METHODS,
    NUMERIC_METHODS,
    DriftSettings,
    FalseAlarms,
    MethodSettings,
    PerformanceSettings,
    QualitySettings,
)
from retrue.config.project import ModelSettings, Project
from retrue.config.retention import PrivacySettings, RetentionSettings
from retrue.config.sources import ColumnSettings, LabelSettings, LogSettings, WindowSettings
from retrue.config.system import FailureSettings, SystemSettings, TrafficSettings

__all__ = [
    "CATEGORICAL_METHODS",
    "GATE_BLOCKS_MIN",
    "NUMERIC_METHODS",
    "AlarmSettings",
    "ColumnSettings",
    "DriftSettings",
    "FailureSettings",
    "FalseAlarms",
    "GateSettings",
    "KindRule",
    "LabelSettings",
    "LogSettings",
    "MethodSettings",
    "ModelSettings",
    "NotifySettings",
    "OpenRule",
    "PerformanceSettings",
    "PrivacySettings",
    "Project",
    "QualitySettings",
    "ResolveRule",
    "RetentionSettings",
    "RetrainSettings",
    "Settings",
    "SystemSettings",
    "TrafficSettings",
    "WindowSettings",
    "nearest",
]
