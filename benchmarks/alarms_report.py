"""The figures of ``benchmarks.alarms`` as they stand in docs/statistics.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.pages import write_between

Row = Mapping[str, object]
BEGIN, END = "<!-- figures by `make bench-alarms` -->", "<!-- end of figures -->"
TITLES = {
    "no_drift": "Windows without drift in which anything alarms",
    "shifts": "Shifted windows that alarm, everyone set to alarm in one of twenty windows without drift",
    "streams": "Recorded streams",
    "estimation": "Estimated against realised performance",
    "gate": "The gate, where the truth is known",
}
PIVOTED = frozenset({"no_drift", "shifts"})


def markdown(results: Mapping[str, Sequence[Row]]) -> str:
    """Return a table for each section; those of many subjects have one column a subject.

    >>> rows = [{"subject": each, "case": "iid", "size": 200, "trials": 400, "count": 4} for each in ("ours", "theirs")]
    >>> print(markdown({"no_drift": rows}))
    **Windows without drift in which anything alarms**
    <BLANKLINE>
    | case | rows | windows | ours | theirs |
    | --- | ---: | ---: | ---: | ---: |
    | iid | 200 | 400 | 1.0 % | 1.0 % |
    """
    return "\n\n".join(f"**{TITLES[name]}**\n\n{_section(name, rows)}" for name, rows in results.items() if rows)


def _section(name: str, rows: Sequence[Row]) -> str:
    return _pivoted(rows) if name in PIVOTED else _plain(rows)


def _pivoted(rows: Sequence[Row]) -> str:
    subjects = list(dict.fromkeys(str(row["subject"]) for row in rows))
    cells: dict[tuple[str, object, object], dict[str, str]] = {}
    for row in rows:
        key = (str(row["case"]), row["size"], row["trials"])
        cells.setdefault(key, {})[str(row["subject"])] = f"{_share(row):.1%}".replace("%", " %")
    lines = [_line(["case", "rows", "windows", *subjects]), _line(["---", *["---:"] * (2 + len(subjects))])]
    for (case, size, trials), shares in cells.items():
        lines.append(_line([case, _count(size), _count(trials), *(shares.get(each, "") for each in subjects)]))
    return "\n".join(lines)


def _plain(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(key for row in rows for key in row))
    numeric = ["---:" if isinstance(rows[0].get(name), int | float) else "---" for name in names]
    body = [_line([_count(row.get(name)) for name in names]) for row in rows]
    return "\n".join([_line([name.replace("_", " ") for name in names]), _line(numeric), *body])


def _share(row: Row) -> float:
    count, trials = row["count"], row["trials"]
    assert isinstance(count, int)
    assert isinstance(trials, int)
    return count / trials


def _count(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_docs(results: Mapping[str, Sequence[Row]], page: Path) -> bool:
    """Replace the figures of a page; false where it has no place for them."""
    return write_between(page, BEGIN, END, markdown(results))
