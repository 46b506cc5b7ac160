"""What is recorded of a judged window: the metrics of its charts and its ``verdict.json``. Pure.

Metrics are finite numbers under names that MLflow takes; ``verdict.json`` holds everything measured, under the columns'
own names, except category values: but for those that at least five inferences share and that fail more often than others, and
those of slices, which have many more rows.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pydantic import TypeAdapter

from retrue.results import Attribution, Interval, Measurements, Outcome, Resources, Severity, SystemHealth, Verdict

SCHEMA = 1
FAILURE_GROUPS_MAX = 50  # groups with a metric of their own, the largest
NAME_MAX = 250  # characters of a metric's name in MLflow 3.17 (MAX_ENTITY_KEY_LENGTH)

MEAN = "mean."  # prefix of a column's mean over the whole window
_DRIFT = "drift."
_DIGEST_LENGTH = 32
_REFUSED = re.compile(r"[^\w.\- /]")  # MLflow's set less the colon, which marks an escape here
_ESCAPE = re.compile(r":([0-9a-f]+)_")
_OURS = frozenset({"share", "multivariate", "multivariate.threshold"})  # drift.share is of no column called share
_PARTS = (
    "pull",
    "profile",
    "schema",
    "validation",
    "drift",
    "domain",
    "performance",
    "estimate",
    "slices",
    "attribution",
    "system",
    "failures",
    "unmeasured",
)
_UNREPORTED = frozenset({"categories"})  # people's data: kept in baselines only

_MEASUREMENTS = TypeAdapter(Measurements)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def metrics_of(measurements: Measurements, verdict: Verdict) -> Mapping[str, float]:
    """Return a window's metrics, sorted by name. What was not measured, NaN and infinities are absent.

    ``verdict.breached`` is 1 or 0 of a window that could be judged; an inconclusive one has none, so that it never
    reads as healthy, and ``verdict.inconclusive`` is 1. Shares are in 0-1, latencies in ms.

    A performance metric has its value in ``performance.<metric>.realised`` and its confidence interval beside it in
    ``….realised.low`` and ``….realised.high``; what was estimated without labels, whether or not they have come since, in
    ``performance.<metric>.estimated`` likewise.
    """
    return {name: float(value) for name, value in sorted(_metrics(measurements, verdict)) if math.isfinite(value)}


def encode_name(column: str, *, prefix: str = _DRIFT) -> str:
    """Return the metric name of a column, ``prefix`` included; two columns never get the same.

    MLflow takes letters, digits, ``_ - . :``, spaces and slashes (where no part of a path is empty or dots). Every other
    character, and the colon, becomes ``:<code point in hex>_``. A name over 250 characters is cut and ends in ``::`` and
    32 digits of the column's SHA-256: only that cannot be decoded.

    >>> encode_name("dep_delay"), encode_name("<b>"), encode_name("share")
    ('drift.dep_delay', 'drift.:3c_b:3e_', 'drift.:73_hare')
    """
    escaped = _REFUSED.sub(_escape, column)
    if not _is_plain_path(prefix + escaped):
        escaped = escaped.replace("/", ":2f_")
    if escaped in _OURS:
        escaped = f":{ord(escaped[0]):x}_{escaped[1:]}"
    name = prefix + escaped
    if len(name) <= NAME_MAX:
        return name
    digest = hashlib.sha256(column.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: NAME_MAX - _DIGEST_LENGTH - 2].rstrip('/')}::{digest}"


def decode_name(name: str, *, prefix: str = _DRIFT) -> str | None:
    """Return the column of a metric name, None where the name was cut.

    >>> decode_name("drift.:3c_b:3e_")
    '<b>'
    """
    escaped = name.removeprefix(prefix)
    return None if "::" in escaped else _ESCAPE.sub(lambda match: chr(int(match[1], 16)), escaped)


def encoded_columns(measurements: Measurements) -> Mapping[str, str]:
    """Return the columns whose metric has another name than the column: metric name to column."""
    columns = measurements.drift.columns if measurements.drift else ()
    names = {encode_name(drift.column): drift.column for drift in columns}
    return {name: column for name, column in names.items() if name != _DRIFT + column}


def verdict_json(
    verdict: Verdict, measurements: Measurements, *, revision: int, measuring_digest: str = ""
) -> dict[str, Json]:
    """Return the content of ``verdict.json``: the verdict, all measurements, and the metrics as MLflow has them.

    It is strict JSON: an infinity becomes the text ``inf`` or ``-inf``, times ISO 8601. ``metric_names`` maps the
    metrics whose column is called otherwise. ``measuring_digest`` identifies the settings of measuring, so that the
    measurements can be judged again by other thresholds. The same arguments give the same content.
    """
    return {
        "schema": SCHEMA,
        "model": verdict.window.model,
        "window": {"start": plain(verdict.window.start), "end": plain(verdict.window.end)},
        "revision": revision,
        "key": verdict.key,
        "outcome": verdict.outcome.value,
        "line": verdict.line,
        "reasons": list(verdict.reasons),
        "findings": [plain(finding) for finding in verdict.findings],
        "model_version": verdict.model_version,
        "digests": {
            "input": verdict.input_digest,
            "config": verdict.config_digest,
            "baseline": verdict.baseline_digest,
            "measuring": measuring_digest,
        },
        "metrics": dict(metrics_of(measurements, verdict)),
        "metric_names": dict(encoded_columns(measurements)),
        "measurements": {name: plain(getattr(measurements, name)) for name in _PARTS},
    }


def measurements_of(document: Mapping[str, Any]) -> Measurements:
    """Return the measurements in a ``verdict.json``, as they were but for the categories of baselines, which are none of them."""
    parts = {name: part for name, part in document["measurements"].items() if part is not None}
    window = {"model": document["model"], **document["window"]}
    told = {"model_version": document["model_version"], "baseline_digest": document["digests"]["baseline"]}
    return _MEASUREMENTS.validate_python({"window": window, **told, **parts})


def plain(value: object) -> Json:
    """Return a value of ``results`` as strict JSON: dataclasses by field, times in ISO 8601, without category values.

    Raises:
        TypeError: It holds something that has no JSON form.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value) if each.name not in _UNREPORTED}
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def _metrics(measurements: Measurements, verdict: Verdict) -> Iterator[tuple[str, float]]:
    if verdict.outcome is not Outcome.INCONCLUSIVE:
        yield "verdict.breached", verdict.outcome is Outcome.BREACHED
    yield "verdict.inconclusive", verdict.outcome is Outcome.INCONCLUSIVE
    for severity in Severity:
        yield f"findings.{severity}", sum(finding.severity is severity for finding in verdict.findings)
    yield from _source_metrics(measurements)
    yield from _quality_metrics(measurements)
    yield from _mean_metrics(measurements)
    yield from _drift_metrics(measurements)
    yield from _performance_metrics(measurements)
    yield from _estimate_metrics(measurements)
    yield from _system_metrics(measurements)


def _source_metrics(measurements: Measurements) -> Iterator[tuple[str, float]]:
    pull = measurements.pull
    yield "rows", pull.rows
    yield "labels.rows", pull.labelled_rows
    yield "source.duplicates", pull.duplicates
    yield "source.set_aside", sum(item.count for item in pull.set_aside)
    yield "source.set_aside_share", pull.set_aside_share
    yield "source.lost", pull.lost
    yield "source.dropped", sum(pull.dropped.values())


def _quality_metrics(measurements: Measurements) -> Iterator[tuple[str, float]]:
    if validation := measurements.validation:
        yield "quality.success_share", validation.success_share
        yield "quality.unmet", sum(outcome.success is not True for outcome in validation.outcomes)
    if schema := measurements.schema:
        yield "schema.differences", len(schema.missing) + len(schema.extra) + len(schema.retyped)


def _mean_metrics(measurements: Measurements) -> Iterator[tuple[str, float]]:
    """Yield what windows are held against those before by: a distance from the baseline has no direction."""
    for name, column in measurements.profile.columns.items() if measurements.profile else ():
        if column.mean is not None:
            yield encode_name(name, prefix=MEAN), column.mean


def _drift_metrics(measurements: Measurements) -> Iterator[tuple[str, float]]:
    if measurements.domain is not None:
        yield "drift.multivariate", measurements.domain.auc
        yield "drift.multivariate.threshold", measurements.domain.threshold
    if (drift := measurements.drift) is None:
        return
    if drift.share is not None:
        yield "drift.share", drift.share
    yield from ((encode_name(column.column), column.score) for column in drift.columns)


def _performance_metrics(measurements: Measurements) -> Iterator[tuple[str, float]]:
    performance, pull = measurements.performance, measurements.pull
    if performance is None:
        if pull.rows:
            yield "labels.coverage_share", pull.labelled_rows / pull.rows
        return
    yield "labels.coverage_share", performance.coverage_share
    for metric, interval in performance.metrics.items():
        yield from _interval_metrics(f"performance.{metric}.realised", interval)
    if isinstance(split := measurements.attribution, Attribution):
        yield "attribution.total", split.total.value
        yield "attribution.inputs", split.inputs.value
        yield "attribution.relation", split.relation.value


def _estimate_metrics(measurements: Measurements) -> Iterator[tuple[str, float]]:
    if (estimate := measurements.estimate) is not None:
        for metric, interval in estimate.metrics.items():
            yield from _interval_metrics(f"performance.{metric}.estimated", interval)
        yield "estimate.unsupported_share", estimate.unsupported_share


def _interval_metrics(name: str, interval: Interval) -> Iterator[tuple[str, float]]:
    yield name, interval.value
    yield f"{name}.low", interval.low
    yield f"{name}.high", interval.high


def _system_metrics(measurements: Measurements) -> Iterator[tuple[str, float]]:
    if (system := measurements.system) is None:
        return
    yield from _traffic_metrics(system)
    if system.resources is not None:
        yield from _resource_metrics(system.resources)
    parts = {"/": system.endpoints, ".by_version/": system.versions, ".by_generator/": system.generators}
    for between, healths in parts.items():
        for part, health in healths.items():
            yield from ((encode_name(part, prefix=f"{name}{between}"), value) for name, value in _series(health))
    if system.error_share is not None:
        yield "failures.groups", len(measurements.failures)
        yield from ((f"failures.{group.id}", group.rows) for group in measurements.failures[:FAILURE_GROUPS_MAX])


def _traffic_metrics(system: SystemHealth) -> Iterator[tuple[str, float]]:
    yield from _series(system)
    yield from ((f"system.error_share.{kind}", share) for kind, share in system.error_shares.items())
    yield from ((f"system.request_bytes.{quantile}", value) for quantile, value in system.request_bytes.items())
    sums = ("cost_usd", "input_tokens", "output_tokens", "output_tokens_per_inference")
    yield from ((f"system.{name}", value) for name in sums if (value := getattr(system, name)) is not None)


def _resource_metrics(resources: Resources) -> Iterator[tuple[str, float]]:
    yield "system.processes", resources.processes
    yield from ((f"system.cpu_cores.{name}", value) for name, value in resources.cpu_cores.items())
    yield from ((f"system.{name}.max", value) for name, value in resources.peaks.items())


def _series(system: SystemHealth) -> Iterator[tuple[str, float]]:
    """Yield what is also recorded of each endpoint, version and generator."""
    if system.error_share is not None:
        yield "system.error_share", system.error_share
    yield from ((f"system.latency_ms.{quantile}", value) for quantile, value in system.latency_ms.items())
    if system.cost_usd_per_1k is not None:
        yield "system.cost_usd_per_1k", system.cost_usd_per_1k


def _escape(match: re.Match[str]) -> str:
    return f":{ord(match[0]):x}_"


def _is_plain_path(name: str) -> bool:
    """Whether a path library leaves the name as it is: MLflow refuses names that would resolve to another one."""
    return not name.startswith("/") and ".." not in name.split("/") and str(PurePosixPath(name)) == name
