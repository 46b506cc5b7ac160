"""Line charts: gaps, limits, and nothing that is not a number."""

import math
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from retrue.reports.charts import HEIGHT, WIDTH, ChartPoint, line_chart


def chart(*values: float | None, limit: float | None = None, from_zero: bool = False) -> str:
    points = [ChartPoint(at=float(at), label=f"day {at}", value=value) for at, value in enumerate(values)]
    return line_chart("score", points, shown="{:g}".format, limit=limit, from_zero=from_zero)


def labels(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_nothing_measured_draws_nothing() -> None:
    assert chart() == chart(None, None) == chart(math.inf, math.nan) == ""


def test_axes_name_the_least_and_the_most_and_the_ends() -> None:
    assert labels(chart(3, 1, 2)) == ["1", "3", "day 0", "day 2"]
    assert labels(chart(3, 1, 2, from_zero=True))[:2] == ["0", "3"]


def test_a_gap_splits_the_line_and_leaves_a_lonely_dot() -> None:
    svg = chart(1, 2, None, 3, None, 4, 5)
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 5


def test_a_window_that_does_not_follow_the_one_before_starts_a_new_line() -> None:
    points = [ChartPoint(at=float(at), label="", value=1.0, joined=at != 2) for at in range(4)]
    assert line_chart("rows", points, shown=str).count("<polyline") == 2


def test_an_interval_is_a_band_only_where_it_was_measured() -> None:
    points = [ChartPoint(at=0, label="", value=1, low=0.5, high=2), ChartPoint(at=1, label="", value=1, low=0.5, high=2),
              ChartPoint(at=2, label="", value=1)]  # fmt: skip
    svg = line_chart("score", points, shown=str)
    assert svg.count("<polygon") == 1
    assert svg.count("<polyline") == 1


def test_a_limit_outside_the_values_is_still_drawn_inside() -> None:
    svg = chart(1, 2, limit=10)
    y = re.search(r'class="limit"[^>]*y1="([\d.]+)"', svg)
    assert y is not None
    assert 0 < float(y[1]) < HEIGHT
    assert "limit 10" in svg


def test_text_is_escaped() -> None:
    points = [ChartPoint(at=0, label="<b>", value=1, mark="<script>\u202e", tone='"><b>')]
    svg = line_chart('"><script>', points, shown=lambda value: f"<i>{value}")
    assert {element.tag for element in ElementTree.fromstring(svg).iter()} <= {"svg", "line", "text", "circle", "title"}


@given(st.lists(st.none() | st.floats(-1e300, 1e300), min_size=1, max_size=80), st.booleans())
def test_every_coordinate_lies_inside(values: list[float | None], from_zero: bool) -> None:
    svg = chart(*values, from_zero=from_zero)
    for x, y in re.findall(r'cx="([^"]+)" cy="([^"]+)"', svg):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT
