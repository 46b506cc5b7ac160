"""The results of ``benchmarks.logger``: as JSON, as tables in the terminal, and as tables in the docs. Pure, but for one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from rich.console import Console
from rich.table import Table

from benchmarks.pages import write_between

BEGIN, END = "<!-- figures by `make bench-logger` -->", "<!-- end of figures -->"

Spread = Sequence[float]
"""The least and the greatest of the rounds."""


class BudgetEntry(TypedDict):
    """One promise and what was measured: the median of rounds; `at_pace` is what it would be on the budgets' machine."""

    name: str
    unit: str
    limit: float
    at_least: bool
    figure: float
    spread: Spread
    at_pace: float
    met: bool
    met_at_pace: bool


class Entry(TypedDict):
    """One subject: medians of rounds."""

    subject: str
    accept_ns_p50: int
    accept_ns_p99: int
    accept_ns_p999: int | None
    accept_calls: int
    alone_ns_p50: int
    alone_ns_p99: int
    drain_records_per_second: int
    lost_records: int
    spread: Mapping[str, Spread]
    rounds: int
    pace_ns: float
    versions: Mapping[str, str]
    budgets: NotRequired[Sequence[BudgetEntry]]
    observe_ns_p50: NotRequired[int]
    observe_ns_p99: NotRequired[int]
    loopback: NotRequired[Mapping[str, float]]
    simulated_records: NotRequired[int]


SUBJECT_HEADINGS = (
    *("subject", "accept p50", "accept p99", "accept p99.9", "alone p50", "alone p99", "drain, records/s", "lost"),
)
BUDGET_HEADINGS = ("promise", "budget", "measured", "at the budgets' pace", "")


def subject_rows(entries: Sequence[Entry]) -> Iterator[tuple[str, ...]]:
    """Yield what is shown of each subject."""
    for entry in entries:
        spread, rare = entry["spread"], entry["accept_ns_p999"]
        yield (
            entry["subject"],
            _spread_out(entry["accept_ns_p50"], spread["accept_ns_p50"], "ns"),
            _spread_out(entry["accept_ns_p99"], spread["accept_ns_p99"], "ns"),
            "too few calls" if rare is None else _spread_out(rare, spread["accept_ns_p999"], "ns"),
            _spread_out(entry["alone_ns_p50"], spread["alone_ns_p50"], "ns"),
            _spread_out(entry["alone_ns_p99"], spread["alone_ns_p99"], "ns"),
            _spread_out(entry["drain_records_per_second"], spread["drain_records_per_second"], ""),
            f"{entry['lost_records']:,}",
        )


def budget_rows(budgets: Sequence[BudgetEntry]) -> Iterator[tuple[str, ...]]:
    """Yield what is shown of each promise."""
    for each in budgets:
        unit = each["unit"]
        verdict = "met" if each["met"] else "missed"
        if each["met_at_pace"] != each["met"]:
            verdict += f", {'met' if each['met_at_pace'] else 'missed'} at pace"
        yield (
            each["name"],
            f"{'≥' if each['at_least'] else '≤'} {quantity(each['limit'], unit)}",
            _spread_out(each["figure"], each["spread"], unit),
            quantity(each["at_pace"], unit),
            verdict,
        )


def notes(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield sentences that the tables have no column for."""
    own = next((entry for entry in entries if "budgets" in entry), None)
    if own is None:
        return
    yield (
        f"Medians of {own['rounds']} rounds, ± half of what lies between the least and the greatest, on {own['versions']['machine']}, "
        f"Python {own['versions']['python']}; pace {own['pace_ns']:.0f} ns."
    )
    if "observe_ns_p50" in own:
        yield (
            f"`observe` around a call that does nothing: p50 {nanoseconds(own['observe_ns_p50'])}, "
            f"p99 {nanoseconds(own['observe_ns_p99'])}."
        )
    if loopback := own.get("loopback"):
        yield (
            f"A request of 1 ms: p50 {loopback['bare_p50_ms']:.2f} ms without the logger and {loopback['logged_p50_ms']:.2f} ms "
            f"with it, p99 {loopback['bare_p99_ms']:.2f} and {loopback['logged_p99_ms']:.2f} ms; the p99 of two servers without "
            f"it differs by {100 * loopback['noise_p99_share']:.1f} %."
        )
    if "simulated_records" in own:
        yield f"The hour without a disk was simulated by {own['simulated_records']:,} records."


def show(entries: Sequence[Entry], console: Console) -> None:
    """Print both tables."""
    table = Table(title="Logging one inference of 20 features: what the host waits for, and what is sustained")
    _fill(table, SUBJECT_HEADINGS, subject_rows(entries), console)
    for entry in entries:
        if "budgets" in entry:
            _fill(Table(title="Budgets of retrue.logger"), BUDGET_HEADINGS, budget_rows(entry["budgets"]), console)
    for line in notes(entries):
        console.print(line, soft_wrap=True, highlight=False)


def _fill(table: Table, headings: Sequence[str], rows: Iterator[tuple[str, ...]], console: Console) -> None:
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def markdown(entries: Sequence[Entry]) -> str:
    """Return the tables and notes as they stand in the docs."""
    parts = [_markdown_table(SUBJECT_HEADINGS, subject_rows(entries))]
    parts += [
        _markdown_table(BUDGET_HEADINGS, budget_rows(entry["budgets"])) for entry in entries if "budgets" in entry
    ]
    return "\n\n".join([*parts, "\n".join(notes(entries))])


def _markdown_table(headings: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    aligned = ["---", *("---:" for _ in headings[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, aligned, *rows))


def write_docs(entries: Sequence[Entry], page: Path) -> bool:
    """Replace the figures between the two marks of a page; false where it has none."""
    return write_between(page, BEGIN, END, markdown(entries))


def nanoseconds(value: float) -> str:
    """Return a time with its unit, in three digits.

    >>> nanoseconds(97), nanoseconds(1_520), nanoseconds(48_100), nanoseconds(2_345_000)
    ('97 ns', '1.52 µs', '48.1 µs', '2.35 ms')
    """
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if value >= size:
            return f"{_digits(value / size)} {unit}"
    return f"{value:.0f} ns"


def count(value: float) -> str:
    """Return a number, in three digits where it is small.

    >>> count(52_310.4), count(2.931), count(-0.42)
    ('52,310', '2.93', '-0.42')
    """
    return f"{value:,.0f}" if abs(value) >= 1_000 else _digits(value)


def _digits(value: float) -> str:
    places = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    shown = f"{value:.{places}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def quantity(figure: float, unit: str) -> str:
    """Return a figure with its unit; a time in ns in the unit that suits it."""
    return nanoseconds(figure) if unit == "ns" else f"{count(figure)} {unit}".rstrip()


def _spread_out(figure: float, spread: Spread, unit: str) -> str:
    """Return a figure, with half the distance between the least and the greatest round, in percent of it unless it is one."""
    low, high = spread
    if high == low:
        return quantity(figure, unit)
    half = (high - low) / 2
    if unit == "%":
        return f"{count(figure)} ± {_digits(half)} %"
    return f"{quantity(figure, unit)} ± {100 * half / figure:.0f} %" if figure else quantity(figure, unit)
