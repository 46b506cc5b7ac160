"""Model versions, endpoints and generators side by side. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from retrue.findings import compare_served
from retrue.reports.escape import escape_markdown
from retrue.reports.figures import count, dollars, number, share, tokens
from retrue.results import Served, SystemHealth

ROWS_MAX = 12  # combinations of version, endpoint and generator; verdict.json has all


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """A table whose first ``names`` columns are names and whose others are numbers; columns without a value are left out."""

    columns: tuple[str, ...] = ()
    names: int = 0
    rows: tuple[tuple[str, ...], ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    value: Callable[[Served], str]
    name: bool = False


def side_by_side(health: SystemHealth | None) -> SideBySide:
    """Return versions, endpoints and generators beside each other, those with most inferences first.

    It is empty where there is nothing to compare: a single one is what the key figures already say.
    """
    served = sorted(health.served if health else (), key=lambda each: (-each.weight, *_name(each)))
    if len(served) < 2:
        return SideBySide()
    columns = [column for column in _COLUMNS if _tells(column, served)]
    rows = tuple(tuple(column.value(each) for column in columns) for each in served[:ROWS_MAX])
    return SideBySide(
        columns=tuple(column.title for column in columns),
        names=sum(column.name for column in columns),
        rows=rows,
        more=max(0, len(served) - ROWS_MAX),
    )


def comparisons(health: SystemHealth | None) -> tuple[str, ...]:
    """Return the sentences that follow from what was served side by side, where it differs beyond noise."""
    return tuple(each.sentence for each in compare_served(health.served)) if health else ()


def served_markdown(health: SystemHealth | None) -> Iterator[str]:
    """Yield the comparison as a Markdown table in which no name is markup, with what follows from it."""
    table = side_by_side(health)
    if not table.rows:
        return
    yield ""
    yield "## Side by side"
    yield ""
    for sentence in comparisons(health):
        yield from (escape_markdown(sentence), "")
    yield f"| {' | '.join(escape_markdown(title) for title in table.columns)} |"
    yield f"| {' | '.join('---' if place < table.names else '---:' for place in range(len(table.columns)))} |"
    yield from (f"| {' | '.join(map(escape_markdown, row))} |" for row in table.rows)
    yield ""
    yield "Latency in ms."


def _name(each: Served) -> tuple[str, str, str]:
    return each.model_version, each.endpoint, each.generator


def _tells(column: _Column, served: Sequence[Served]) -> bool:
    """Tell whether a column says something: a name that differs, a number that is there."""
    values = {column.value(each) for each in served}
    return len(values) > 1 if column.name else values != {""}


def _share(value: float | None) -> str:
    return "" if value is None else share(value)


def _latency(name: str) -> Callable[[Served], str]:
    return lambda each: number(each.latency_ms[name]) if name in each.latency_ms else ""


def _cost(each: Served) -> str:
    return "" if each.cost_usd_per_1k is None else dollars(each.cost_usd_per_1k.value)


def _tokens(each: Served) -> str:
    parts = (each.input_tokens, each.output_tokens)
    return "" if parts == (None, None) else " / ".join(tokens(part or 0.0) for part in parts)


_COLUMNS = (
    _Column("Version", lambda each: each.model_version, name=True),
    _Column("Endpoint", lambda each: each.endpoint, name=True),
    _Column("Generator", lambda each: each.generator, name=True),
    _Column("Inferences", lambda each: count(each.weight)),
    _Column("Failed", lambda each: _share(each.error_share)),
    _Column("p50", _latency("p50")),
    _Column("p95", _latency("p95")),
    _Column("p99", _latency("p99")),
    _Column("$ per 1k", _cost),
    _Column("Tokens in / out", _tokens),
)
