"""Line charts as inline SVG: no script, no font, nothing fetched. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from retrue.reports.escape import visible

WIDTH, HEIGHT = 600, 132  # units of the view box; the page scales it
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 16, 20
_LABEL_HEIGHT = 12
_DOTS_MAX = 60  # more would touch each other


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPoint:
    """One value over time.

    ``at`` places it (any unit, ascending). ``value`` is None where nothing was measured: the line has a gap.
    ``joined`` tells whether it directly follows the point before. ``mark`` labels a change at this point. ``tone`` is a
    CSS class of its dot.
    """

    at: float
    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    joined: bool = True
    mark: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of several in a chart, all at the same times; ``limit`` is its own threshold."""

    name: str
    points: Sequence[ChartPoint]
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class _Scale:
    first: float
    last: float
    least: float
    most: float

    def x(self, at: float) -> float:
        share = (at - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.least) / (self.most - self.least)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)


def line_chart(
    title: str,
    points: Sequence[ChartPoint],
    *,
    shown: Callable[[float], str],
    limit: float | None = None,
    from_zero: bool = False,
    beside: Sequence[ChartPoint] = (),
) -> str:
    """Return an ``<svg>`` element of the values over time, '' where there is none.

    Args:
        title: What is drawn; read out by screen readers.
        points: In order of time. Infinite values are left out as gaps.
        shown: How a value is written on the axis.
        limit: A threshold, drawn as a dashed line.
        from_zero: Whether the axis starts at zero, as counts and shares should.
        beside: The same at the same times by another measure, as a line of its own without dots or intervals.

    >>> line_chart("rows", [], shown=str)
    ''
    """
    values = [value for point in points for value in (point.value, point.low, point.high) if _there(value)]
    if not any(_there(point.value) for point in points):
        return ""
    values += [point.value for point in beside if _there(point.value)]
    least, most = _domain([*values, *([limit] if _there(limit) else [])], from_zero=from_zero)
    scale = _Scale(points[0].at, points[-1].at, least, most)
    parts = [
        *_axis(scale, points, shown),
        *_marks(scale, points),
        *_limit(scale, limit, shown),
        *(_band(scale, run) for run in _runs(points, with_band=True)),
        *(_line(scale, run, "beside") for run in _runs(beside, with_band=False)),
        *(_line(scale, run) for run in _runs(points, with_band=False)),
        *_dots(scale, points, shown),
    ]
    return _svg(title, parts)


def lines_chart(title: str, series: Sequence[Series], *, shown: Callable[[float], str]) -> str:
    """Return an ``<svg>`` element of several lines from zero on, '' where none has a value.

    The n-th line has the CSS class ``s<n>``, from 1. Series without any value have none, but keep their number.
    """
    drawn = [(number, each) for number, each in enumerate(series, 1) if any(_there(p.value) for p in each.points)]
    if not drawn:
        return ""
    limits = [each.limit for _, each in drawn if _there(each.limit)]
    values = [point.value for _, each in drawn for point in each.points if _there(point.value)]
    everything = [point for _, each in drawn for point in each.points if _there(point.value)]
    first = drawn[0][1].points
    scale = _Scale(first[0].at, first[-1].at, *_domain([*values, *limits], from_zero=True))
    parts = [
        *_ticks(scale, first, sorted(point.value or 0.0 for point in everything), shown),
        *_marks(scale, first),
        *(
            part
            for number, each in drawn
            for part in _limit(scale, each.limit, shown, name=each.name, kind=f"s{number}")
        ),
        *(part for number, each in drawn for part in _series(scale, each, f"s{number}", shown)),
    ]
    return _svg(title, parts)


def _svg(title: str, parts: Sequence[str]) -> str:
    name = escape(visible(title))
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{"".join(parts)}</svg>'


def _series(scale: _Scale, series: Series, kind: str, shown: Callable[[float], str]) -> Iterator[str]:
    yield from (_line(scale, run, kind) for run in _runs(series.points, with_band=False))
    yield from _dots(scale, series.points, shown, kind=kind, name=f"{series.name}, ")


def _there(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _domain(values: Sequence[float | None], *, from_zero: bool) -> tuple[float, float]:
    numbers = [value for value in values if value is not None]
    least, most = min(numbers), max(numbers)
    if from_zero:
        least = min(0.0, least)
    if least == most:
        room = abs(most) * 0.1 or 1.0
        return (least, most + room) if from_zero and least == 0 else (least - room, most + room)
    room = (most - least) * 0.08
    return (least if from_zero and least == 0 else least - room), most + room


def _axis(scale: _Scale, points: Sequence[ChartPoint], shown: Callable[[float], str]) -> Iterator[str]:
    values = sorted(point.value for point in points if point.value is not None and math.isfinite(point.value))
    yield from _ticks(scale, points, values, shown)


def _ticks(
    scale: _Scale, points: Sequence[ChartPoint], values: Sequence[float], shown: Callable[[float], str]
) -> Iterator[str]:
    """Draw the frame with the least and the largest of the ordered values beside it, and the first and last time below."""
    for y in (scale.y(scale.least), scale.y(scale.most)):
        yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
    low = scale.least if scale.least == 0 else values[0]
    yield _text(_LEFT - 6, scale.y(low) + 3.5, shown(low), "end")
    if scale.y(low) - scale.y(values[-1]) >= _LABEL_HEIGHT:
        yield _text(_LEFT - 6, scale.y(values[-1]) + 3.5, shown(values[-1]), "end")
    yield _text(_LEFT, HEIGHT - 5, points[0].label, "start")
    if len(points) > 1:
        yield _text(WIDTH - _RIGHT, HEIGHT - 5, points[-1].label, "end")


def _marks(scale: _Scale, points: Sequence[ChartPoint]) -> Iterator[str]:
    for point in points:
        if point.mark:
            x = scale.x(point.at)
            yield f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP - 4}" y2="{HEIGHT - _BOTTOM}"/>'
            near_end = x > WIDTH - 80
            yield _text(
                x + (-4 if near_end else 4), _TOP - 5, visible(point.mark, limit=16), "end" if near_end else "start"
            )


def _limit(
    scale: _Scale, limit: float | None, shown: Callable[[float], str], *, name: str = "", kind: str = ""
) -> Iterator[str]:
    if limit is not None and math.isfinite(limit):
        y = scale.y(limit)
        yield f'<line class="{f"limit {kind}".strip()}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        yield _text(_LEFT + 4, y - 4, f"{name} limit {shown(limit)}".strip(), "start", "limit-text")


def _runs(points: Sequence[ChartPoint], *, with_band: bool) -> list[list[ChartPoint]]:
    """Split into stretches without a gap; with ``with_band`` only points that have an interval."""
    runs: list[list[ChartPoint]] = [[]]
    for point in points:
        there = _there(point.value) and (not with_band or (_there(point.low) and _there(point.high)))
        if not there or not point.joined:
            runs.append([])
        if there:
            runs[-1].append(point)
    return [run for run in runs if len(run) > 1]


def _line(scale: _Scale, run: Sequence[ChartPoint], kind: str = "") -> str:
    path = " ".join(f"{scale.x(point.at)},{scale.y(point.value or 0.0)}" for point in run)
    return f'<polyline class="{f"line {kind}".strip()}" points="{path}"/>'


def _band(scale: _Scale, run: Sequence[ChartPoint]) -> str:
    upper = [f"{scale.x(point.at)},{scale.y(point.high or 0.0)}" for point in run]
    lower = [f"{scale.x(point.at)},{scale.y(point.low or 0.0)}" for point in reversed(run)]
    return f'<polygon class="band" points="{" ".join([*upper, *lower])}"/>'


def _dots(
    scale: _Scale, points: Sequence[ChartPoint], shown: Callable[[float], str], *, kind: str = "", name: str = ""
) -> Iterator[str]:
    alone = {id(run[0]) for run in [points[-1:]] if run}
    lonely = _lonely(points)
    for point in points:
        if point.value is None or not math.isfinite(point.value):
            continue
        last = id(point) in alone
        if len(points) <= _DOTS_MAX or last or id(point) in lonely or point.tone:
            title = f"<title>{escape(visible(name + point.label))}: {escape(shown(point.value))}</title>"
            radius = 4 if last else 2.6
            place = f'cx="{scale.x(point.at)}" cy="{scale.y(point.value)}" r="{radius}"'
            yield f'<circle class="dot {escape(kind or point.tone)}" {place}>{title}</circle>'


def _lonely(points: Sequence[ChartPoint]) -> frozenset[int]:
    """Return points that no line reaches."""
    reached = {
        id(each)
        for before, after in pairwise(points)
        if after.joined and _there(before.value) and _there(after.value)
        for each in (before, after)
    }
    return frozenset(id(point) for point in points) - reached


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    classes = f' class="{kind}"' if kind else ""
    return f'<text{classes} x="{x}" y="{round(y, 1)}" text-anchor="{anchor}">{escape(visible(text))}</text>'
