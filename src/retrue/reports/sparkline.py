"""Series small enough for a line of text or a cell of a table. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from retrue.reports.escape import visible

_BLOCKS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"
_BAR_WIDTH, _HEIGHT = 5, 24  # units of the view box
_LEAST_HEIGHT = 1.5  # a bar that is there can be seen


def text_sparkline(values: Sequence[float | None]) -> str:
    """Return one character a value, from zero to the largest; a dot where there is none or zero.

    >>> text_sparkline([0, 1, 4, None, 8])
    '·▁▄·█'
    """
    most = max((value for value in values if value is not None and _there(value)), default=0.0)
    return "".join(_block(value, most) for value in values)


def bars(title: str, values: Sequence[float], *, labels: Sequence[str] = ()) -> str:
    """Return an ``<svg>`` element with an upright bar a value, from zero; '' where none is positive.

    Args:
        title: What is drawn; read out by screen readers.
        values: Finite and not negative.
        labels: Shown where the pointer rests, one a value.

    >>> bars("failures", [0, 0])
    ''
    """
    if not any(value > 0 for value in values):
        return ""
    width = _BAR_WIDTH * len(values)
    drawn = "".join(_bars(values, labels))
    base = f'<line class="base" x1="0" x2="{width}" y1="{_HEIGHT - 0.5}" y2="{_HEIGHT - 0.5}"/>'
    box = f'viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}"'
    return f'<svg class="bars" {box} role="img" aria-label="{escape(visible(title))}">{base}{drawn}</svg>'


def _there(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _block(value: float | None, most: float) -> str:
    if value is None or not _there(value):
        return _NOTHING
    return _BLOCKS[max(0, math.ceil(value / most * len(_BLOCKS)) - 1)]


def _bars(values: Sequence[float], labels: Sequence[str]) -> Iterator[str]:
    most = max(values)
    for number, value in enumerate(values):
        height = round(max(_LEAST_HEIGHT, value / most * (_HEIGHT - 2)), 1) if value > 0 else 0.0
        name = f"<title>{escape(visible(labels[number]))}</title>" if labels else ""
        place = f'x="{number * _BAR_WIDTH}" y="{round(_HEIGHT - height, 1)}" width="{_BAR_WIDTH - 1}" height="{height}"'
        if height:
            yield f'<rect class="bar{" newest" if number == len(values) - 1 else ""}" {place}>{name}</rect>'
