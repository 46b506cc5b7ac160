"""What is recorded of a challenger's gate: metrics, ``gate.json`` and a one-page ``gate.html``. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape

from retrue.digits import decimal_all
from retrue.recorded import Json, encode_name, plain
from retrue.results import GateResult, Interval, RetrainCause

SCHEMA = 1
_SLICE = "gate.slice."


def gate_metrics(gate: GateResult) -> Mapping[str, float]:
    """Return a gate's metrics, sorted by name; gains are the challenger's improvement, greater is better."""
    return {name: float(value) for name, value in sorted(_metrics(gate)) if math.isfinite(value)}


def gate_json(gate: GateResult, cause: RetrainCause | None) -> dict[str, Json]:
    """Return the content of ``gate.json``: strict JSON, with the names of slices as they are."""
    return {"schema": SCHEMA, "passed": gate.passed, "cause": plain(cause), "gate": plain(gate)}


def gate_html(gate: GateResult) -> str:
    """Return a page that says whether the challenger passed, and why not; it loads nothing and runs nothing."""
    refusals = "".join(f"<li>{escape(reason)}" for reason in gate.refusals)
    return _PAGE.format(
        outcome="passed" if gate.passed else "refused",
        reasons=f"<ul>{refusals}</ul>" if refusals else "<p>It improves, and harms no slice more than allowed.</p>",
        comparison=_comparison(gate) + _checks(gate),
    )


def _metrics(gate: GateResult) -> Iterator[tuple[str, float]]:
    yield "gate.passed", gate.passed
    yield "gate.rows", gate.rows
    if gate.blocks is not None:
        yield "gate.blocks", gate.blocks
    if gate.champion is not None:
        yield "gate.champion", gate.champion
    if gate.challenger is not None:
        yield "gate.challenger", gate.challenger
    if gate.gain is not None:
        yield from _interval("gate.gain", gate.gain)
    for check in gate.checks:
        if check.value is not None:
            yield f"gate.{check.name}", check.value
    for part in gate.slices:
        yield from _interval(encode_name(part.name, prefix=_SLICE), part.gain)


def _checks(gate: GateResult) -> str:
    if not gate.checks:
        return ""
    rows = "".join(
        f"<tr><td>{escape(each.what)}<td>{'not measured' if each.value is None else format(each.value, '.4g')}"
        f"<td>{each.limit:g}<td>{'refuses' if each.refusal else 'kept'}"
        for each in gate.checks
    )
    return f"<table><tr><th>beside the metric<th>found<th>allowed<th>{rows}</table>"


def _interval(name: str, interval: Interval) -> Iterator[tuple[str, float]]:
    yield name, interval.value
    yield f"{name}.low", interval.low
    yield f"{name}.high", interval.high


def _comparison(gate: GateResult) -> str:
    if gate.gain is None or gate.champion is None or gate.challenger is None:
        return f"<p>The two could not be compared by {escape(gate.metric)} on {gate.rows:,} rows.</p>"
    parts = [("all rows", gate.rows, gate.gain), *((part.name, part.rows, part.gain) for part in gate.slices)]
    rows = "".join(f"<tr><td>{escape(name)}<td>{rows:,}{_gain(gain)}" for name, rows, gain in parts)
    champion, challenger = decimal_all([gate.champion, gate.challenger], 4)
    return (
        f"<p>{escape(gate.metric)} on the same rows: champion {champion}, challenger {challenger}.</p>"
        f"<table><tr><th>slice<th>rows<th>gain<th>{gate.gain.confidence:.0%} interval{rows}</table>"
        f"<p>{_tested(gate)}</p>"
    )


def _gain(gain: Interval) -> str:
    value, low, high = decimal_all([gain.value, gain.low, gain.high], 4, sign="+")
    return f"<td>{value}<td>{low} … {high}"


def _tested(gate: GateResult) -> str:
    if gate.test == "mcnemar":
        return "Intervals: McNemar's exact test, every row independent of the others."
    bootstrap = f"bootstrap of {_drawn(gate)}, the same draws for both"
    if gate.test == "sequence":
        return f"Interval of all rows: a confidence sequence of the blocks' gains, valid at every look. Slices: {bootstrap}."
    return f"Intervals: {bootstrap}."


def _drawn(gate: GateResult) -> str:
    if gate.blocks is None:
        return "rows, as if each were independent of the others"
    return f"{gate.blocks:,} blocks of {escape(gate.resample)}, each with all its rows"


_PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>gate: {outcome}</title>
<style>
body{{font:15px/1.5 system-ui,sans-serif;max-width:640px;margin:24px auto;padding:0 16px;color:#1b1f24;background:#fff}}
table{{border-collapse:collapse;width:100%}}
th,td{{text-align:left;padding:4px 8px;border-bottom:1px solid #d8dee4;overflow-wrap:anywhere}}
</style>
<h1>The challenger was {outcome}</h1>
{reasons}
{comparison}
</html>
"""
