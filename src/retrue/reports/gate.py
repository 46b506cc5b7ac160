"""What became of a retraining, as Markdown for the flow run's page. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.digits import decimal_all
from retrue.reports.escape import escape_markdown
from retrue.results import GateResult, Interval


def gate_markdown(reason: str, gate: GateResult | None) -> str:
    """Return the gate's comparison as a table, with the reason first."""
    lines = [escape_markdown(reason)]
    if gate is not None and gate.gain is not None:
        lines += ["", *_table(gate)]
    return "\n".join(lines) + "\n"


def _table(gate: GateResult) -> Iterator[str]:
    yield "| rows | of | gain of the challenger |"
    yield "|---|---:|---|"
    if gate.gain is not None:
        yield f"| all later rows | {gate.rows} | {_shown(gate.gain)} {gate.metric} |"
    for each in gate.slices:
        yield f"| {escape_markdown(each.name)} | {each.rows} | {_shown(each.gain)} |"
    if gate.checks:
        yield ""
        yield "| beside the metric | found | allowed |"
        yield "|---|---:|---:|"
        for check in gate.checks:
            found = "not measured" if check.value is None else f"{check.value:.4g}"
            yield f"| {escape_markdown(check.what)} | {found} | {check.limit:g} |"


def _shown(gain: Interval) -> str:
    value, low, high = decimal_all([gain.value, gain.low, gain.high], 4, sign="+")
    return f"{value} [{low}, {high}]"
