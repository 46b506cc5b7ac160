"""Findings about failures, latency, cost, tokens and the serving processes: of a window, of endpoints, of generators. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from retrue.config import ModelSettings, SystemSettings, TrafficSettings, nearest
from retrue.digits import percent
from retrue.results import Finding, Measurements, Resources, Severity, SystemHealth

FAILURES_UNKNOWN = "system.status"
"""The check of a window whose log does not say what failed."""
NO_TRAFFIC = "system.traffic"
"""The check of an endpoint or generator that has bounds and no inference in the window; its scope names it."""

_SHARES = {
    "max_error_share": ("system.errors", "failed"),
    "max_timeout_share": ("system.timeouts", "timed out"),
    "max_authentication_share": ("system.authentication", "failed to authenticate"),
    "max_rejected_share": ("system.rejected", "were rejected"),
}
_KINDS = {
    "max_timeout_share": "timeout",
    "max_authentication_share": "authentication",
    "max_rejected_share": "rejected",
}
_STEPS = {
    "system.errors": "Begin with the largest failure group.",
    "system.timeouts": "Look at latency and load, and at what the model server waits for.",
    "system.authentication": "Check whether a credential has expired or a caller changed; look for one caller in the log.",
    "system.rejected": "See which inputs are rejected: a client may have changed what it sends.",
    "system.latency": "Compare with the rows and the version served: load or a slower model.",
    "system.cost": "See which version, endpoint or generator it comes from, and how many tokens each uses.",
    "system.tokens": "Look for prompts that make the model talk, or a limit that was lifted.",
    "system.cpu": "Compare with the rows: load, or a model that needs more for each; more processes or a smaller batch help.",
    "system.memory": "Look at the charts: what grows from window to window is a leak, what jumps is a larger model or input.",
    "system.connections": "Look for clients or backends whose connections are opened anew and never closed.",
}


@dataclass(frozen=True, slots=True)
class _Bound:
    """One bound: the key in the settings, the check, what is measured, and how value and sentence read.

    A key that only the settings of the whole window have is of no endpoint or generator.
    """

    key: str
    check: str
    what: str
    value: Callable[[SystemHealth], float | None]
    shown: Callable[[float], str]
    says: Callable[[str, str], str]
    severity: Severity = Severity.WARNING


@dataclass(frozen=True, slots=True)
class _Part:
    """Inferences that have bounds of their own: ``scope`` is empty for the whole window."""

    scope: str
    health: SystemHealth
    bounds: TrafficSettings

    @property
    def at(self) -> str:
        return f" at {self.scope}" if self.scope else ""


def system_findings(measurements: Measurements, settings: ModelSettings) -> Iterator[Finding]:
    """Yield every bound of ``system`` that is broken, and what has bounds but was not seen."""
    health = measurements.system
    if health is None:
        return
    if health.error_share is None:
        yield _failures_unknown(settings.system)
    for part in _parts(health, settings.system):
        for bound in _BOUNDS:
            limit, value = getattr(part.bounds, bound.key, None), bound.value(part.health)
            if limit is not None and value is not None and value > limit:
                yield _broken(part, bound, value, limit)
    yield from _unseen("endpoint", health.endpoints, settings.system.endpoints)
    yield from _unseen("generator", health.generators, settings.system.generators)


def unjudged_bounds(measurements: Measurements, settings: ModelSettings) -> Iterator[str]:
    """Yield the bounds that a person chose and that nothing in the log can be held against, as reasons.

    The default bound of failures is none of them: that a log says nothing of failures is told by a finding.
    """
    health = measurements.system
    if health is None:
        return
    for part in _parts(health, settings.system):
        missing: dict[str, str] = {}
        for bound in _BOUNDS:
            if (
                getattr(part.bounds, bound.key, None) is not None
                and bound.value(part.health) is None
                and _is_chosen(part, bound)
            ):
                missing.setdefault(bound.what, _ABSENT[bound.check.split("_")[0]])
        yield from (f"{what}{part.at} could not be measured: {reason}" for what, reason in missing.items())
    if health.error_share is None and settings.system.failures.max_share is not None:
        yield f"failure groups could not be measured: {_ABSENT['system.errors']}"


def _parts(health: SystemHealth, settings: SystemSettings) -> Iterator[_Part]:
    yield _Part("", health, settings)
    for name, bounds in settings.endpoints.items():
        if name in health.endpoints:
            yield _Part(name, health.endpoints[name], bounds)
    for name, bounds in settings.generators.items():
        if name in health.generators:
            yield _Part(f"generator {name}", health.generators[name], bounds)


def _is_chosen(part: _Part, bound: _Bound) -> bool:
    """Tell whether a bound is not what it would be anyhow: a fresh retrue.yaml has the default written out."""
    return bool(getattr(part.bounds, bound.key) != type(part.bounds).model_fields[bound.key].default)


def _broken(part: _Part, bound: _Bound, value: float, limit: float) -> Finding:
    step = next(step for check, step in _STEPS.items() if bound.check.startswith(check))
    return Finding(
        check=bound.check,
        scope=part.scope,
        severity=bound.severity,
        value=bound.shown(value),
        threshold=bound.shown(limit),
        message=f"{bound.says(bound.shown(value), part.at)}, over {bound.shown(limit)}.",
        next_step=step,
    )


def _failures_unknown(settings: SystemSettings) -> Finding:
    return Finding(
        check=FAILURES_UNKNOWN,
        scope="",
        severity=Severity.INFO,
        value="no status",
        threshold="none" if settings.max_error_share is None else f"{settings.max_error_share:.2%}",
        message="The log has no status: whether inferences fail is not known.",
        next_step="Log a status with each record (ok, error, timeout, rejected), or set system.max_error_share: null.",
    )


def _unseen(what: str, seen: Mapping[str, SystemHealth], bounds: Mapping[str, TrafficSettings]) -> Iterator[Finding]:
    for name in bounds:
        if name not in seen:
            scope = name if what == "endpoint" else f"{what} {name}"
            yield Finding(
                check=NO_TRAFFIC,
                scope=scope,
                severity=Severity.INFO,
                value="0",
                threshold="1",
                message=f"The {what} {name} has bounds but no inference in this window{nearest(name, seen)}.",
                next_step=f"Expected where it was idle; else correct its name under system.{what}s.",
            )


def _share_of(kind: str) -> Callable[[SystemHealth], float | None]:
    return lambda health: health.error_shares.get(kind)


def _percentile(name: str) -> Callable[[SystemHealth], float | None]:
    return lambda health: health.latency_ms.get(name)


def _used(read: Callable[[Resources], float | None]) -> Callable[[SystemHealth], float | None]:
    return lambda health: read(health.resources) if health.resources else None


def _milliseconds(value: float) -> str:
    return f"{value:,.1f} ms".replace(".0 ms", " ms")


def _dollars(value: float) -> str:
    return f"${value:,.2f}" if value >= 1 else f"${value:.3g}"


def _tokens(value: float) -> str:
    return f"{value:,.0f} tokens"


def _cores(value: float) -> str:
    return f"{value:.3g} cores"


def _gigabytes(value: float) -> str:
    return f"{value:,.3g} GB"


def _connections(value: float) -> str:
    return f"{value:,.0f} connections"


def _share_bound(key: str) -> _Bound:
    check, did = _SHARES[key]
    kind = _KINDS.get(key)
    return _Bound(
        key=key,
        check=check,
        what="the share of failures",
        value=_share_of(kind) if kind else lambda health: health.error_share,
        shown=percent,
        says=lambda value, at: f"{value} of inferences{at} {did}",
        severity=Severity.CRITICAL if check == "system.errors" else Severity.WARNING,
    )


def _latency_bound(name: str) -> _Bound:
    return _Bound(
        key=f"latency_{name}_ms",
        check=f"system.latency_{name}",
        what=f"latency {name}",
        value=_percentile(name),
        shown=_milliseconds,
        says=lambda value, at: f"Latency {name}{at} is {value}",
    )


_BOUNDS = (
    *(_share_bound(key) for key in _SHARES),
    *(_latency_bound(name) for name in ("p50", "p95", "p99")),
    _Bound(
        "max_cost_usd", "system.cost", "cost", lambda health: health.cost_usd, _dollars,
        lambda value, at: f"The window's inferences{at} cost {value}",
    ),
    _Bound(
        "max_cost_usd_per_1k", "system.cost_per_1k", "cost", lambda health: health.cost_usd_per_1k, _dollars,
        lambda value, at: f"1,000 inferences{at} cost {value}",
    ),
    _Bound(
        "max_output_tokens_per_inference", "system.tokens", "the number of output tokens",
        lambda health: health.output_tokens_per_inference, _tokens,
        lambda value, at: f"An inference{at} has {value} of output on average",
    ),
    _Bound(
        "max_cpu_cores", "system.cpu", "processor use", _used(lambda used: used.cpu_cores.get("p95")), _cores,
        lambda value, at: f"A serving process uses {value} at p95",
    ),
    _Bound(
        "max_memory_gb", "system.memory", "memory",
        _used(lambda used: None if used.memory_bytes is None else used.memory_bytes / 1e9), _gigabytes,
        lambda value, at: f"A serving process held {value} of memory",
    ),
    _Bound(
        "max_connections", "system.connections", "the number of connections", _used(lambda used: used.connections),
        _connections, lambda value, at: f"A serving process had {value} open",
    ),
)  # fmt: skip
_UNSAMPLED = "no process sampled it"
_ABSENT = {
    "system.errors": "no row has a status",
    "system.timeouts": "no row has a status",
    "system.authentication": "no row has a status",
    "system.rejected": "no row has a status",
    "system.latency": "no row has a latency_ms",
    "system.cost": "no row has a cost_usd",
    "system.tokens": "no row has output_tokens",
    "system.cpu": _UNSAMPLED,
    "system.memory": _UNSAMPLED,
    "system.connections": _UNSAMPLED,
}
