"""The page of a drift report: Evidently's table and plots in one file that is safe to open.

Names and categories of the data stand only in JSON whose ``<``, ``>`` and ``&`` are escaped, shortened and with look-alikes
for markup. The page embeds Evidently's own script, compressed: 1.6 MB instead of 4.4. Its policy runs that script and the one
that unpacks it, known by their SHA-256, and nothing else, and lets the page ask no host for anything.

Imported inside a function by ``drift_evidently``: Evidently takes 4-7 s to import.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import evidently
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.legacy.renderers.html_widgets import (
    ColumnDefinition,
    ColumnType,
    CounterData,
    RichTableDataRow,
    RowDetails,
    counter,
    header_text,
    plotly_data,
    rich_table_data,
    table_data,
)
from evidently.legacy.utils import NumpyEncoder

from retrue.adapters.drift_evidently_report import OTHER, Histogram, show_apart
from retrue.results import ColumnDrift, DriftResult

REFERENCE_COLOR, CURRENT_COLOR = "#4d4d4d", "#ed0400"  # Evidently's own
ROWS_PER_PAGE = 50
NAME_CHARACTERS_MAX = 80


def render_page(result: DriftResult, histograms: Mapping[str, Histogram], *, title: str) -> str:
    """Return one self-contained page: counters, Evidently's table of columns with their distributions, what is missing."""
    heading = show_apart([title], limit=200)[0]
    widgets = [header_text(label=heading), _counters(result)]
    if result.columns:
        widgets.append(_table(result, histograms))
    if result.unmeasurable:
        names = show_apart([name for name, _ in result.unmeasurable], limit=NAME_CHARACTERS_MAX)
        reasons = [reason for _, reason in result.unmeasurable]
        rows = zip(names, reasons, strict=True)
        widgets.append(table_data(title="Not measured", column_names=["Column", "Reason"], data=rows))
    return _page(heading, widgets)


def _counters(result: DriftResult) -> BaseWidgetInfo:
    drifted = sum(column.drifted for column in result.columns)
    counted = {
        "columns drifted": f"{drifted} of {len(result.columns)}",
        "not measured": str(len(result.unmeasurable)),
        "reference rows": f"{result.reference_rows:,}",
        "current rows": f"{result.current_rows:,}",
    }
    return counter(counters=[CounterData(label, value) for label, value in counted.items()])


def _table(result: DriftResult, histograms: Mapping[str, Histogram]) -> BaseWidgetInfo:
    shown = show_apart([column.column for column in result.columns], limit=NAME_CHARACTERS_MAX)
    worst = sorted(zip(shown, result.columns, strict=True), key=lambda pair: -pair[1].score / pair[1].threshold)
    bars = {"xField": "x", "yField": "y"}
    return rich_table_data(
        title="Drift by column",
        rows_per_page=ROWS_PER_PAGE,
        columns=[
            ColumnDefinition("Column", "column_name"),
            ColumnDefinition("Reference", "reference", ColumnType.HISTOGRAM, options=bars | {"color": REFERENCE_COLOR}),
            ColumnDefinition("Current", "current", ColumnType.HISTOGRAM, options=bars | {"color": CURRENT_COLOR}),
            ColumnDefinition("Drift", "drift"),
            ColumnDefinition("Score", "score"),
            ColumnDefinition("From", "threshold"),
            ColumnDefinition("Method", "method"),
        ],
        data=[_row(name, column, histograms[column.column]) for name, column in worst],
    )


def _row(name: str, column: ColumnDrift, histogram: Histogram) -> RichTableDataRow:
    own = -1 if len(histogram.x) > 1 and histogram.x[-1] == OTHER else None
    fields = {
        "column_name": name,
        "drift": "drifted" if column.drifted else "no",
        "score": f"{column.score:.3g}",
        "threshold": f"{column.threshold:g}",
        "method": column.method,
        "reference": {"x": histogram.x[:own], "y": histogram.reference[:own]},
        "current": {"x": histogram.x[:own], "y": histogram.current[:own]},
    }
    return RichTableDataRow(
        fields=fields, details=RowDetails().with_part("Distribution", info=_figure(name, histogram))
    )


def _figure(name: str, histogram: Histogram) -> BaseWidgetInfo:
    sides = (("reference", histogram.reference, REFERENCE_COLOR), ("current", histogram.current, CURRENT_COLOR))
    traces = [
        {"type": "bar", "name": side, "x": histogram.x, "y": shares, "marker": {"color": color}, "opacity": 0.8}
        for side, shares, color in sides
    ]
    axis = {"type": "category" if isinstance(histogram.x[0], str) else "linear", "title": {"text": name}}
    layout = {"xaxis": axis, "yaxis": {"title": {"text": "share of rows"}, "tickformat": ".0%"}, "bargap": 0.05}
    return plotly_data(title="", data=traces, layout=layout)


def _page(heading: str, widgets: Sequence[BaseWidgetInfo]) -> str:
    graphs = {
        graph.id: graph.dict() if isinstance(graph, BaseWidgetInfo) else graph.params
        for widget in widgets
        for graph in widget.get_additional_graphs()
    }
    drawn = [{**widget.dict(), "additionalGraphs": []} for widget in widgets]
    data = {"dashboard": {"name": heading, "widgets": drawn}, "graphs": graphs}
    asset = _assets()
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{asset.policy}">
<meta name="generator" content="Evidently {evidently.__version__}">
<title>{html.escape(heading)}</title>
<style>{asset.style}</style>
</head>
<body>
<div id="root">This report needs a browser of 2023 or later, with scripts allowed.</div>
<script type="application/json" id="data">{_json_in_html(data)}</script>
<script type="application/octet-stream" id="library">{asset.library}</script>
<script>{_BOOT}</script>
</body>
</html>
"""


def _json_in_html(data: object) -> str:
    """Return JSON without a character that HTML reads: nothing in it can end the script element."""
    finite = json.loads(json.dumps(data, cls=NumpyEncoder), parse_constant=lambda _: None)
    return json.dumps(finite).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


_BOOT = """
var global = globalThis;
(async () => {
  const packed = Uint8Array.from(atob(document.getElementById("library").textContent), c => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(stream).text();
  document.body.append(library);
  const data = JSON.parse(document.getElementById("data").textContent);
  window.drawDashboard(data.dashboard, new Map(Object.entries(data.graphs)), "root");
})();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assets:
    library: str
    style: str
    policy: str


@cache
def _assets() -> _Assets:
    """Pack what Evidently ships, once in a process: 3.5 MB of script, and its icons."""
    static = Path(evidently.__file__).parent / "nbextension" / "static"
    script = (static / "index.js").read_bytes()
    font = base64.b64encode((static / "material-ui-icons.woff2").read_bytes()).decode()
    allowed = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in (script, _BOOT.encode())
    )
    return _Assets(
        library=base64.b64encode(gzip.compress(script, mtime=0)).decode(),
        style=_STYLE.replace("FONT", font),
        policy=f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; font-src data:; img-src data: blob:",
    )


_STYLE = """
@font-face {font-family: 'Material Icons'; src: url(data:font/woff2;base64,FONT) format('woff2')}
.material-icons {font: 24px/1 'Material Icons'; text-transform: none; display: inline-block; white-space: nowrap}
.MuiTableCell-root {padding: 8px !important}
.MuiTableBody-root .MuiTableCell-root {overflow-wrap: anywhere}
.MuiPaper-root {overflow-x: auto}
"""
