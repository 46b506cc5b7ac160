"""Line charts: gaps, limits, and nothing that is not a number."""

import math
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from retrue.reports.charts import HEIGHT, WIDTH, ChartPoint, Series, line_chart, lines_chart
from retrue.reports.sparkline import bars, text_sparkline


def chart(*values: float | None, limit: float | None = None, from_zero: bool = False) -> str:
    points = [ChartPoint(at=float(at), label=f"day {at}", value=value) for at, value in enumerate(values)]
    return line_chart("score", points, shown="{:g}".format, limit=limit, from_zero=from_zero)


def point(at: int, value: float | None) -> ChartPoint:
    return ChartPoint(at=float(at), label=f"day {at}", value=value)


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


def test_lines_of_one_chart_share_their_scale_and_keep_their_class() -> None:
    drawn = lines_chart(
        "latency",
        [
            Series(name="p50", points=[point(0, None), point(1, None)]),
            Series(name="p95", points=[point(0, 10.0), point(1, 20.0)], limit=40.0),
            Series(name="p99", points=[point(0, 80.0), point(1, 40.0)]),
        ],
        shown=str,
    )
    lines = dict(re.findall(r'class="line (s\d)" points="([^"]+)"', drawn))
    assert list(lines) == ["s2", "s3"]
    at = {name: [float(pair.split(",")[1]) for pair in line.split()] for name, line in lines.items()}
    assert at["s3"][0] < at["s3"][1] < at["s2"][1] < at["s2"][0]
    assert float(re.search(r'class="limit s2"[^>]*y1="([\d.]+)"', drawn)[1]) == at["s3"][1]  # type: ignore[index]
    assert "p95 limit 40.0" in drawn


def test_a_chart_of_lines_without_any_value_is_not_drawn() -> None:
    assert lines_chart("nothing", [Series(name="a", points=[point(0, None)])], shown=str) == ""


@given(st.lists(st.floats(0, 1e9) | st.none(), max_size=40))
def test_a_line_of_blocks_has_one_a_value_and_its_largest_is_full(values: list[float | None]) -> None:
    drawn = text_sparkline(values)
    assert len(drawn) == len(values)
    there = [value for value in values if value]
    assert ("█" in drawn) is bool(there)
    assert drawn.count("·") == len(values) - len(there)


def test_bars_show_what_is_small_and_escape_labels() -> None:
    drawn = bars("<b>", [1, 0, 1e9], labels=["<i>", "", "x"])
    heights = [float(each) for each in re.findall(r'<rect[^>]*height="([\d.]+)"', drawn)]
    assert len(heights) == 2
    assert min(heights) >= 1
    assert "<b>" not in drawn
    assert "<i>" not in drawn
