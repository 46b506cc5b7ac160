"""Model versions and generators side by side, and the sentence that follows where they differ beyond noise. Pure.

Two percentiles differ when their 95 % intervals do not overlap, so do two costs; two shares of failures when the interval of
their difference leaves out 0 (Newcombe 1998, Stat. Med. 17(8), of Wilson intervals). Nothing is compared of fewer than
``ROWS_MIN`` rows. Intervals take rows as independent: a burst of load may still pass for a difference.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retrue.results import Finding, Measurements, Served, Severity

ROWS_MIN = 100
COMPARISONS_MAX = 5
PERCENTILE = "p95"
SLOWER_MIN = 1.1  # a smaller difference is told to nobody, however sure it is
Z_95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions at one endpoint, two generators of one version, or two endpoints of one version, and how they differ."""

    between: str
    scope: str
    sentence: str


def served_findings(measurements: Measurements) -> Iterator[Finding]:
    """Yield what differs between versions and between generators; endpoints are meant to differ."""
    served = measurements.system.served if measurements.system else ()
    for comparison in compare_served(served):
        if comparison.between != "endpoints":
            yield Finding(
                check="served.compare",
                scope=comparison.scope,
                severity=Severity.INFO,
                value=comparison.between,
                threshold="alike",
                message=comparison.sentence,
                next_step="See the table of what was served, side by side.",
            )


def compare_served(served: Sequence[Served]) -> tuple[Comparison, ...]:
    """Return how versions, generators and endpoints differ that are alike in the other two, those with most rows first.

    Of several at one place the one with most inferences is compared with each other. None is returned that differs in
    nothing.
    """
    found = []
    for between, name, others in _AXES:
        places: dict[tuple[str, ...], list[Served]] = defaultdict(list)
        for each in served:
            if each.rows >= ROWS_MIN:
                places[tuple(getattr(each, other) for other in others)].append(each)
        for _, here in sorted(places.items(), key=lambda item: -sum(each.weight for each in item[1])):
            first, *rest = sorted(here, key=lambda each: (-each.weight, getattr(each, name)))
            found += [made for other in rest if (made := _compare(between, name, first, other))]
    return tuple(found[:COMPARISONS_MAX])


_AXES = (
    ("versions", "model_version", ("endpoint", "generator")),
    ("generators", "generator", ("model_version", "endpoint")),
    ("endpoints", "endpoint", ("model_version", "generator")),
)


@dataclass(frozen=True, slots=True)
class _Part:
    """How two are in one respect: ``phrase``, ``link`` to the other, ``detail``."""

    differs: bool
    phrase: str
    link: str
    detail: str = ""


def _compare(between: str, name: str, one: Served, other: Served) -> Comparison | None:
    before, now = sorted((one, other), key=lambda each: _natural(getattr(each, name)))
    parts = [part for part in (_latency(before, now), _failures(before, now), _cost(before, now)) if part]
    if not any(part.differs for part in parts):
        return None
    place = f" at {now.endpoint}" if now.endpoint and between != "endpoints" else ""
    against = f" {parts[0].link} {_named(between, before)}{place}"
    words = [f"{part.phrase}{against if part is parts[0] else ''}{part.detail}" for part in parts]
    listed = ", and ".join(words) if len(words) < 3 else f"{words[0]}, {words[1]}, and {words[2]}"
    subject = _named(between, now)
    return Comparison(
        between=between,
        scope=f"{subject} and {_named(between, before)}{place}",
        sentence=f"{subject[0].upper()}{subject[1:]} {listed}.",
    )


def _named(between: str, served: Served) -> str:
    name = {"versions": served.model_version, "generators": served.generator, "endpoints": served.endpoint}[between]
    return f"{between[:-1]} {name}" if name else f"no {between[:-1]}"


def _latency(before: Served, now: Served) -> _Part | None:
    values = [each.latency_ms.get(PERCENTILE) for each in (now, before)]
    bounds = [each.latency_bounds_ms.get(PERCENTILE) for each in (now, before)]
    if not values[0] or not values[1] or bounds[0] is None or bounds[1] is None:
        return None
    ratio = max(values[0], values[1]) / min(values[0], values[1])
    if ratio < SLOWER_MIN or _overlap(bounds[0], bounds[1]):
        return _Part(False, f"is as fast at {PERCENTILE}", "as")
    how = "slower" if values[0] > values[1] else "faster"
    shown = f" ({_number(values[0])} against {_number(values[1])} ms)"
    return _Part(True, f"is {_times(ratio)} {how} at {PERCENTILE}", "than", shown)


def _failures(before: Served, now: Served) -> _Part | None:
    if now.error_share is None or before.error_share is None:
        return None
    low, high = _difference(now.error_share, now.effective_rows, before.error_share, before.effective_rows)
    if low <= 0 <= high:
        return _Part(False, "fails as often", "as")
    shares = now.error_share, before.error_share
    how = "more" if shares[0] > shares[1] else "less"
    ratio = f"{_times(max(shares) / min(shares))} " if min(shares) else ""
    return _Part(True, f"fails {ratio}{how} often", "than", f" ({shares[0]:.2%} against {shares[1]:.2%})")


def _cost(before: Served, now: Served) -> _Part | None:
    if now.cost_usd_per_1k is None or before.cost_usd_per_1k is None:
        return None
    one, other = now.cost_usd_per_1k, before.cost_usd_per_1k
    if _overlap((one.low, one.high), (other.low, other.high)):
        return _Part(False, "costs as much", "as")
    if not other.value or one.value / other.value >= 2:
        return _Part(True, f"costs {_times(one.value / other.value)} as much" if other.value else "costs more", "as")
    change = one.value / other.value - 1
    return _Part(True, f"costs {abs(change) * 100:.2g} % {'more' if change > 0 else 'less'}", "than")


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _difference(one: float, one_rows: float, other: float, other_rows: float) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two shares: Newcombe's method 10."""
    (low, high), (other_low, other_high) = _wilson(one, one_rows), _wilson(other, other_rows)
    below = math.hypot(one - low, other_high - other)
    above = math.hypot(high - one, other - other_low)
    return one - other - below, one - other + above


def _wilson(share: float, rows: float) -> tuple[float, float]:
    if rows <= 0:
        return 0.0, 1.0
    z = Z_95**2 / rows
    middle = (share + z / 2) / (1 + z)
    half = math.sqrt(share * (1 - share) * z + z * z / 4) / (1 + z)
    return max(0.0, middle - half), min(1.0, middle + half)


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 10 else f"{ratio:,.0f}x"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _natural(name: str) -> tuple[int, float, str]:
    """Order versions as people count them: 9 before 10, then other names."""
    return (0, float(name), name) if name.isdecimal() else (1, 0.0, name)
