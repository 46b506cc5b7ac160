"""A window's key figures in words, as pages and messages show them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from retrue.results import Interval, Measurements, SystemHealth
from retrue.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number with its name and a note that puts it into proportion."""

    label: str
    value: str
    note: str = ""


def key_figures(measurements: Measurements) -> tuple[Figure, ...]:
    """Return what can be said of a window; what was not measured is left out."""
    return (
        _rows(measurements),
        *_performance(measurements),
        *_estimate(measurements),
        *_drift(measurements),
        *_expectations(measurements),
        *_system(measurements),
    )


def share(value: float) -> str:
    """Write a share of 0-1 as a percentage with three digits.

    >>> share(0.1234), share(1.0), share(0.0), share(0.00012)
    ('12.3%', '100%', '0%', '0.012%')
    """
    return f"{100 * value:.3g}%"


def count(value: float) -> str:
    """Write a number of rows.

    >>> count(1234567.0)
    '1,234,567'
    """
    return f"{value:,.0f}"


def metric(value: float) -> str:
    """Write a score with enough digits to compare it.

    >>> metric(0.65512), metric(1234.5), metric(0.00012)
    ('0.655', '1,234', '0.00012')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 0.1 else f"{value:.3f}"


def number(value: float) -> str:
    """Write a measured value with four digits.

    >>> number(80.0), number(1039.9), number(48.9123), number(0.00012345), number(2.5e15)
    ('80', '1,040', '48.91', '0.0001234', '2.5e+15')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def dollars(value: float) -> str:
    """Write an amount of US dollars.

    >>> dollars(1234.5), dollars(0.4567), dollars(0.00012)
    ('$1,234.50', '$0.457', '$0.00012')
    """
    return f"${value:,.2f}" if value >= 1 or not value else f"${value:.3g}"


def tokens(value: float) -> str:
    """Write a number of tokens, a large one in thousands, millions or billions.

    >>> tokens(950), tokens(12_345), tokens(2_345_678)
    ('950', '12.3 k', '2.35 M')
    """
    for size, unit in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def size(value: float) -> str:
    """Write a number of bytes, a large one in thousands or more.

    >>> size(950), size(12_345), size(2_345_678)
    ('950 B', '12.3 kB', '2.35 MB')
    """
    for unit_bytes, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= unit_bytes:
            return f"{value / unit_bytes:.3g} {unit}"
    return f"{value:.0f} B"


def interval(found: Interval) -> str:
    """Write a value's confidence interval.

    >>> interval(Interval(value=0.65, low=0.6, high=0.7))
    '95% interval 0.600 to 0.700'
    """
    return f"{share(found.confidence)} interval {metric(found.low)} to {metric(found.high)}"


def plus_minus(found: Interval) -> str:
    """Write a value with the half width of its interval.

    >>> plus_minus(Interval(value=0.66, low=0.64, high=0.68))
    '0.660 ± 0.02'
    """
    return f"{metric(found.value)} ± {metric((found.high - found.low) / 2)}"


def estimate_sentences(measurements: Measurements) -> tuple[str, ...]:
    """Say how estimate and labels met, and when an estimate is not to be trusted; nothing where none was made or asked for."""
    estimate, realised = measurements.estimate, measurements.performance
    if estimate is None:
        withheld = [part.reason for part in measurements.unmeasured if part.part == "estimate"]
        return tuple(f"No performance was estimated: {reason}." for reason in withheld)
    met = realised.metrics.get(estimate.metric) if realised else None
    said = f"{estimate.metric}: estimated {plus_minus(estimate.judged)}"
    told = (
        f"{said}, realised {metric(met.value)}." if met else f"{said}, from {count(estimate.rows)} rows without labels."
    )
    trust = (
        "An estimate takes the relation of features to labels to be that of the baseline's reference: concept drift is"
        f" invisible to it. {share(estimate.unsupported_share)} of its rows lie outside what the reference has seen."
    )
    return told, trust


def day(window: Window) -> str:
    """Write a window's start; the hour only where windows are not whole days."""
    return window.name.removeprefix(f"{window.model} ")


def span(window: Window) -> str:
    """Write a window's bounds in UTC."""
    pattern = "%Y-%m-%d" if len(day(window)) == len("2013-04-04") else "%Y-%m-%d %H:%M"
    return f"{window.start:{pattern}} to {window.end:{pattern}} UTC"


def _rows(measurements: Measurements) -> Figure:
    pull = measurements.pull
    notes = (
        f"{count(pull.duplicates)} duplicates removed" if pull.duplicates else "",
        f"{count(sum(item.count for item in pull.set_aside))} set aside" if pull.set_aside else "",
    )
    return Figure(label="Rows", value=count(pull.rows), note=", ".join(filter(None, notes)))


def _performance(measurements: Measurements) -> Iterator[Figure]:
    realised = measurements.performance
    if realised is not None:
        yield Figure(label=realised.metric, value=metric(realised.judged.value), note=interval(realised.judged))
        note = f"{count(realised.labelled_rows)} rows have one"
        yield Figure(label="Labels arrived", value=share(realised.coverage_share), note=note)
    elif measurements.pull.rows:
        arrived = measurements.pull.labelled_rows / measurements.pull.rows
        yield Figure(label="Labels arrived", value=share(min(1.0, arrived)), note="too few to judge performance")


def _estimate(measurements: Measurements) -> Iterator[Figure]:
    if (estimate := measurements.estimate) is not None:
        realised = measurements.performance
        met = realised.metrics.get(estimate.metric) if realised else None
        note = f"realised {metric(met.value)}" if met else "no labels needed, blind to concept drift"
        yield Figure(label=f"{estimate.metric}, estimated", value=plus_minus(estimate.judged), note=note)


def _drift(measurements: Measurements) -> Iterator[Figure]:
    drift = measurements.drift
    if drift is not None and drift.share is not None:
        drifted = sum(column.drifted for column in drift.columns)
        note = f"{count(drift.current_rows)} rows compared with {count(drift.reference_rows)}"
        yield Figure(label="Drifted columns", value=f"{drifted} of {len(drift.columns)}", note=note)
    domain = measurements.domain
    if domain is not None:
        note = f"0.5 is no difference; threshold {metric(domain.threshold)}"
        if domain.left_out:
            note += f"; without {', '.join(domain.left_out[:5])}{' …' if len(domain.left_out) > 5 else ''}"
        yield Figure(label="All columns at once, AUC", value=metric(domain.auc), note=note)


def _expectations(measurements: Measurements) -> Iterator[Figure]:
    if measurements.validation is not None and measurements.validation.outcomes:
        outcomes = measurements.validation.outcomes
        met = sum(outcome.success is True for outcome in outcomes)
        raised = sum(outcome.success is None for outcome in outcomes)
        note = f"{raised} could not be evaluated" if raised else ""
        yield Figure(label="Expectations met", value=f"{met} of {len(outcomes)}", note=note)


def _system(measurements: Measurements) -> Iterator[Figure]:
    system = measurements.system
    if system is not None:
        if system.error_share is not None:
            kinds = sorted(system.error_shares.items(), key=lambda item: -item[1])
            note = ", ".join(f"{name} {share(value)}" for name, value in kinds if value)
            yield Figure(label="Failed inferences", value=share(system.error_share), note=note)
        if "p95" in system.latency_ms:
            others = (
                f"{name} {number(system.latency_ms[name])}" for name in ("p50", "p99") if name in system.latency_ms
            )
            value = f"{number(system.latency_ms['p95'])} ms"
            yield Figure(label="Latency p95", value=value, note=", ".join(others))
        if "p95" in system.request_bytes:
            note = f"p50 {size(system.request_bytes['p50'])}" if "p50" in system.request_bytes else ""
            yield Figure(label="Request size p95", value=size(system.request_bytes["p95"]), note=note)
        yield from _spent(system)


def _spent(system: SystemHealth) -> Iterator[Figure]:
    if system.cost_usd is not None:
        each = system.cost_usd_per_1k
        note = "" if each is None else f"{dollars(each)} per 1,000 inferences"
        yield Figure(label="Cost", value=dollars(system.cost_usd), note=note)
    ways = {"in": system.input_tokens, "out": system.output_tokens}
    known = {way: value for way, value in ways.items() if value is not None}
    if known:
        mean = system.output_tokens_per_inference
        note = "" if mean is None else f"{number(mean)} out per inference"
        value = ", ".join(f"{tokens(value)} {way}" for way, value in known.items())
        yield Figure(label="Tokens", value=value, note=note)
