"""Every bad input end to end, as `retrue monitor` meets it: what is found, what is left, and that nothing passes in silence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from retrue.stages.freeze import freeze
from tests.cli.run import run, run_json
from tests.sources.logs import Row, line
from tests.stages.project import (
    DRIFTING,
    FEATURES,
    MODEL,
    REFERENCE,
    ROWS,
    SETTINGS,
    Shop,
    build,
    day,
    document,
    labelled_frame,
    labels,
    records,
)

HOSTILE = "</script><script>alert(1)</script>"
HEALTHY, BREACHED, CANNOT = 0, 1, 2

Found = set[tuple[str, str, str]]
Spoil = Callable[[Sequence[Row]], Sequence[Row]]


@pytest.fixture(scope="module")
def whole_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return build(tmp_path_factory.mktemp("whole") / "shop", drift={**SETTINGS["drift"], "multivariate": True})


@pytest.fixture
def shop(whole_shop: Shop, tmp_path: Path) -> Shop:
    """As users have it: all columns at once are looked at too."""
    return Shop(root=Path(shutil.copytree(whole_shop.root, tmp_path / "shop")))


def monitor(shop: Shop, number: int = 0) -> tuple[int, dict[str, Any]]:
    """Judge a day by the command; return the exit code and the window's verdict.json."""
    code, facts = run_json("monitor", MODEL, "--window-end", f"{day(number + 1):%Y-%m-%d}", "-C", shop.root)
    return code, document(Path(facts["reports"]))


def found(judged: dict[str, Any]) -> Found:
    return {(each["check"], each["scope"], each["severity"]) for each in judged["findings"]}


def measured(judged: dict[str, Any]) -> set[str]:
    return {each["column"] for each in judged["measurements"]["drift"]["columns"]}


def unmet(judged: dict[str, Any]) -> set[str]:
    """Columns with an expectation that is not met or could not be evaluated."""
    outcomes = judged["measurements"]["validation"]["outcomes"]
    return {each["column"] for each in outcomes if each["success"] is not True}


def changed(column: str, value: Callable[[int, Any], Any]) -> Spoil:
    return lambda rows: [
        {**row, f"features.{column}": value(number, row[f"features.{column}"])} for number, row in enumerate(rows)
    ]


def without(name: str) -> Spoil:
    return lambda rows: [{key: value for key, value in row.items() if key != name} for row in rows]


def extra(name: str) -> Spoil:
    return lambda rows: [{**row, f"features.{name}": 1.0} for row in rows]


def test_a_usual_day_is_healthy_and_wholly_measured(shop: Shop) -> None:
    rows = records(day(0))
    shop.log(rows)
    shop.label(labels(rows))
    code, judged = monitor(shop)
    assert (code, judged["outcome"], judged["findings"], judged["reasons"]) == (HEALTHY, "healthy", [], [])
    assert measured(judged) == set(DRIFTING)
    assert unmet(judged) == set()
    assert judged["measurements"]["performance"]["labelled_rows"] == ROWS


# ---------------------------------------------------------------- windows that cannot be judged


def test_an_empty_window_is_inconclusive(shop: Shop) -> None:
    code, judged = monitor(shop)
    assert (code, judged["outcome"]) == (CANNOT, "inconclusive")
    assert judged["reasons"] == ["no rows: the model was idle or its log does not arrive"]


def test_a_window_without_rows_of_its_own_is_empty_though_other_days_are_logged(shop: Shop) -> None:
    shop.log(records(day(1)))
    assert monitor(shop, 0)[0] == CANNOT


def test_one_row_is_inconclusive(shop: Shop) -> None:
    shop.log(records(day(0))[:1])
    code, judged = monitor(shop)
    assert (code, judged["outcome"]) == (CANNOT, "inconclusive")
    assert judged["reasons"] == ["1 rows, under min_rows 100"]


def test_one_row_is_never_healthy_even_where_min_rows_allows_it(shop: Shop) -> None:
    shop.configure(window={"every": "1d", "min_rows": 1})
    shop.log(records(day(0))[:1])
    code, judged = monitor(shop)
    assert (code, judged["outcome"]) == (BREACHED, "breached")
    assert ("expectation.expect_table_row_count_to_be_between", "", "critical") in found(judged)


# ---------------------------------------------------------------- one bad column, the others judged

NOT_NULL = "expectation.expect_column_values_to_not_be_null"
BETWEEN = "expectation.expect_column_values_to_be_between"
OF_TYPE = "expectation.expect_column_values_to_be_in_type_list"
IN_SET = "expectation.expect_column_values_to_be_in_set"

COLUMNS: dict[str, tuple[Spoil, str, Found]] = {
    "a missing column": (
        without("features.income"), "income", {("schema.missing", "income", "critical")},
    ),
    "a number column that became text": (
        changed("income", lambda _, value: f"{value} EUR"), "income",
        {("schema.retyped", "income", "critical"), (OF_TYPE, "income", "critical")},
    ),
    "numbers written as text": (
        changed("income", lambda _, value: str(value)), "income",
        {("schema.retyped", "income", "critical"), (OF_TYPE, "income", "critical")},
    ),
    "an all-null number": (
        changed("income", lambda *_: None), "income",
        {("quality.nulls", "income", "critical"), (NOT_NULL, "income", "warning"), (OF_TYPE, "income", "critical")},
    ),
    "an all-null category": (
        changed("country", lambda *_: None), "country",
        {("quality.nulls", "country", "critical"), (NOT_NULL, "country", "warning")},
    ),
    "a window without predictions": (
        without("prediction"), "prediction", {("schema.missing", "prediction", "critical")},
    ),
}  # fmt: skip
"""Columns that cannot be compared with the baseline's any more."""

VALUES: dict[str, tuple[Spoil, str, Found]] = {
    "half of it null": (
        changed("income", lambda number, value: value if number % 2 else None), "income",
        {("quality.nulls", "income", "warning"), (NOT_NULL, "income", "warning")},
    ),
    "half of it NaN": (
        changed("income", lambda number, value: value if number % 2 else float("nan")), "income",
        {("quality.nulls", "income", "warning"), (BETWEEN, "income", "warning")},
    ),
    "2 % infinite": (
        changed("income", lambda number, value: value if number % 50 else float("-inf")), "income",
        {("quality.infinite", "income", "warning"), (BETWEEN, "income", "warning")},
    ),
    "a constant": (
        changed("income", lambda *_: 20_000.0), "income",
        {("quality.constant", "income", "warning"), ("drift.column", "income", "info")},
    ),
    "500 new categories": (
        lambda _: changed("country", lambda number, value: f"new-{number}" if number < 500 else value)(
            records(day(0), 600)
        ),
        "country",
        {
            ("quality.unseen", "country", "warning"),
            ("drift.column", "country", "warning"),
            (IN_SET, "country", "warning"),
        },
    ),
}  # fmt: skip
"""Columns whose values are odd, and which are compared all the same."""


IN_LINES = ("a missing column", "numbers written as text", "an all-null number")


@pytest.mark.parametrize(
    ("case", "write"),
    [*((case, Shop.log) for case in COLUMNS), *((case, Shop.log_lines) for case in IN_LINES)],
    ids=[*COLUMNS, *(f"{case}, in JSON lines" for case in IN_LINES)],
)
def test_a_broken_column_is_found_and_every_other_one_is_judged(
    shop: Shop, case: str, write: Callable[[Shop, Sequence[Row]], Path]
) -> None:
    spoil, column, expected = COLUMNS[case]
    write(shop, spoil(records(day(0))))
    shop.label(labels(records(day(0))))
    code, judged = monitor(shop)
    assert (code, judged["outcome"], judged["reasons"]) == (BREACHED, "breached", [])
    assert found(judged) == expected
    assert measured(judged) == set(DRIFTING) - {column}
    assert unmet(judged) == {column}
    assert judged["measurements"]["performance"]["metric"] == "roc_auc"


@pytest.mark.parametrize("case", VALUES)
def test_odd_values_are_found_and_their_column_is_still_compared(shop: Shop, case: str) -> None:
    spoil, column, expected = VALUES[case]
    shop.log(rows := spoil(records(day(0))))
    shop.label(labels(records(day(0), len(rows))))
    code, judged = monitor(shop)
    assert (code, judged["outcome"], judged["reasons"]) == (BREACHED, "breached", [])
    assert found(judged) == expected
    assert measured(judged) == set(DRIFTING)
    assert unmet(judged) <= {column}
    assert judged["measurements"]["performance"]["metric"] == "roc_auc"


def test_infinities_as_json_literals_are_found(shop: Shop) -> None:
    spoil, _, expected = VALUES["2 % infinite"]
    shop.log_lines(spoil(records(day(0))))
    code, judged = monitor(shop)
    assert (code, found(judged)) == (BREACHED, {*expected, ("labels.coverage", "", "info")})


def test_an_extra_column_is_information_and_breaches_nothing(shop: Shop) -> None:
    shop.log(extra("coupon")(rows := records(day(0))))
    shop.label(labels(rows))
    code, judged = monitor(shop)
    assert (code, found(judged)) == (HEALTHY, {("schema.extra", "coupon", "info")})
    assert measured(judged) == set(DRIFTING)


def test_scores_that_are_all_null_are_no_performance_of_zero(shop: Shop) -> None:
    rows = records(day(0))
    shop.log([{**row, "score": None} for row in rows])
    shop.label(labels(rows))
    code, judged = monitor(shop)
    assert (code, judged["outcome"]) == (BREACHED, "breached")
    assert ("quality.nulls", "score", "critical") in found(judged)
    assert judged["measurements"]["performance"] is None
    assert "400 of 400 scores are missing" in judged["reasons"][0]


def test_everything_at_once_is_told_apart(shop: Shop) -> None:
    rows = changed("age", lambda *_: None)(records(day(0)))
    rows = changed("country", lambda *_: "ZZ")(rows)
    rows = changed("basket", lambda number, value: value if number % 50 else float("inf"))(rows)
    rows = extra(HOSTILE)(changed("device", lambda *_: 3)(without("features.income")(rows)))
    shop.log(rows)
    code, judged = monitor(shop)
    assert code == BREACHED
    assert {each for each in found(judged) if not each[0].startswith("expectation.")} == {
        ("schema.missing", "income", "critical"),
        ("schema.retyped", "device", "critical"),
        ("schema.extra", HOSTILE, "info"),
        ("quality.nulls", "age", "critical"),
        ("quality.infinite", "basket", "warning"),
        ("quality.unseen", "country", "warning"),
        ("quality.constant", "country", "warning"),
        ("drift.column", "country", "warning"),
        ("labels.coverage", "", "info"),
        ("performance.withheld", "", "info"),
    }
    assert measured(judged) == {"basket", "country", "prediction", "score"}


# ---------------------------------------------------------------- files and lines that cannot be read

TORN_LINE = b'{"inference_id": "torn", "time": "2025-03-10T'


def test_a_truncated_file_is_set_aside_and_the_window_goes_on(shop: Shop) -> None:
    shop.log(rows := records(day(0)))
    shop.label(labels(rows))
    torn = shop.log(records(day(0), seed=1), name="torn")
    torn.write_bytes(torn.read_bytes()[:100])
    code, judged = monitor(shop)
    assert (code, found(judged)) == (HEALTHY, {("source.set_aside", "", "info")})
    assert "torn.parquet" in judged["findings"][0]["message"]
    assert judged["measurements"]["pull"]["rows"] == ROWS
    assert measured(judged) == set(DRIFTING)


def test_a_truncated_file_that_may_have_held_much_of_the_window_is_inconclusive(shop: Shop) -> None:
    shop.log(records(day(0)))
    torn = shop.log(records(day(0), seed=1), name="torn")
    torn.write_bytes(torn.read_bytes()[:-1])
    code, judged = monitor(shop)
    assert (code, judged["outcome"]) == (CANNOT, "inconclusive")
    assert "of the input was set aside, over 1.0%" in judged["reasons"][0]
    assert found(judged) == {("source.set_aside", "", "info")}
    assert judged["measurements"]["drift"] is None


@pytest.mark.parametrize(("broken", "outcome", "expected"), [(3, "healthy", HEALTHY), (5, "inconclusive", CANNOT)])
def test_broken_lines_are_set_aside_up_to_a_hundredth(shop: Shop, broken: int, outcome: str, expected: int) -> None:
    rows = records(day(0))
    lines = [line(row) for row in rows]
    for number in range(broken):
        lines[number * 50] = TORN_LINE
    shop.log_lines(lines)
    shop.label(labels(rows))
    code, judged = monitor(shop)
    assert (code, judged["outcome"], found(judged)) == (expected, outcome, {("source.set_aside", "", "info")})
    assert judged["findings"][0]["message"].startswith(f"{broken} lines or files could not be read: lines.jsonl:1 (")
    assert judged["measurements"]["pull"]["rows"] == ROWS - broken


def test_broken_labels_are_set_aside_too(shop: Shop) -> None:
    shop.log(rows := records(day(0)))
    shop.label([*labels(rows), *[TORN_LINE] * 10], name="labels")  # type: ignore[list-item]
    assert monitor(shop)[0] == CANNOT


# ---------------------------------------------------------------- hostile names


class _Scripts(HTMLParser):
    """Gathers what a browser would run: scripts, and attributes that hold code."""

    def __init__(self) -> None:
        super().__init__()
        self.running = False
        self.code: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.running = tag == "script" and dict(attrs).get("type") is None
        self.code += [value or "" for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]

    def handle_endtag(self, _: str) -> None:
        self.running = False

    def handle_data(self, data: str) -> None:
        if self.running:
            self.code.append(data)


def scripts(page: str) -> list[str]:
    parser = _Scripts()
    parser.feed(page)
    return parser.code


@pytest.fixture
def hostile(shop: Shop) -> Shop:
    """A project whose model version 2 has a feature of a hostile name, with hostile categories."""
    frame = labelled_frame(REFERENCE, 5)
    frame[HOSTILE] = frame["age"]
    frame["country"] = frame["country"].replace("DE", "<img src=x onerror=alert(2)>")
    (shop.root / "expectations" / "shop.json").unlink()
    with shop.open() as workspace:
        freeze(workspace, MODEL, "2", frame, (*FEATURES, HOSTILE), source=HOSTILE)
    return shop


def test_a_hostile_column_is_judged_by_name_and_runs_in_no_report(hostile: Shop) -> None:
    rows = [
        {**row, f"features.{HOSTILE}": 1000.0 + number, "features.country": f"<svg onload=alert({number})>"}
        for number, row in enumerate(records(day(0), version="2"))
    ]
    hostile.log(extra("<b>new</b>")(rows))
    hostile.label(labels(records(day(0))))
    code, judged = monitor(hostile)
    assert code == BREACHED
    assert {("drift.column", HOSTILE, "critical"), (BETWEEN, HOSTILE, "warning")} <= found(judged)
    assert ("schema.extra", "<b>new</b>", "info") in found(judged)
    pages = {path: path.read_text() for path in hostile.root.glob(".retrue/reports/**/*.*") if path.suffix != ".json"}
    assert {path.name for path in pages} == {"summary.html", "quality.html", "drift.html", "verdict.md"}
    for path, page in pages.items():
        assert "alert" in page, f"{path.name} does not name the column"
        assert not [raw for raw in ("<script>alert", "<b>new", "<svg", "<img src") if raw in page], path.name
        assert path.name == "drift.html" or "<script" not in page, path.name
        assert not [code for code in scripts(page) if "alert(" in code], path.name


def test_a_hostile_column_is_printed_as_text(hostile: Shop) -> None:
    rows = [{**row, "features.\x1b[2J\u202e": 1.0} for row in without("features.age")(records(day(0), version="2"))]
    hostile.log(rows)
    shown = run("monitor", MODEL, "--window-end", "2025-03-11", "-C", hostile.root)
    assert shown.exit_code == BREACHED
    assert "\x1b[2J" not in shown.output
    assert "\u202e" not in shown.output


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "A", "", "x\n", "a" * 65])
def test_a_model_name_that_could_leave_its_folder_is_refused(shop: Shop, name: str) -> None:
    result = run("monitor", name, "-C", shop.root)
    assert result.exit_code == CANNOT
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "refused: use 1-64 of a-z 0-9 . _ -" in result.stderr


def test_a_model_name_in_the_settings_that_could_leave_its_folder_is_refused(shop: Shop) -> None:
    path = shop.root / "retrue.yaml"
    path.write_text(path.read_text().replace("shop:", "../x:"))
    result = run("status", "-C", shop.root)
    assert (result.exit_code, result.stdout) == (CANNOT, "")
    assert "retrue.yaml: models: name '../x' refused" in result.stderr
    assert not (shop.root.parent / "x").exists()
