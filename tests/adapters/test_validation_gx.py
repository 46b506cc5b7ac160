"""Great Expectations on DuckDB: what is refused, what is measured, and what never leaves the engine."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import great_expectations as gx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import registry

from retrue.adapters import duckdb_dialect
from retrue.adapters.validation_gx import load_suite, validate
from retrue.errors import SuiteError
from retrue.results import ExpectationOutcome, Severity, ValidationResult

DATABASE = ":memory:retrue_test_validation"
CANARY = "canary-7f3a@example.org"
HOSTILE = [
    'a"b',
    "</script><script>alert(1)</script>",
    "two words",
    '"; DROP TABLE current; --',
    "100%",
    ":x",
    "{batch}",
    "ü",
]


@pytest.fixture
def window() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(DATABASE) as connection:
        connection.execute(
            f"""create table current as select range as delay, range::double / 7 as ratio, null::double as nothing,
            case when range % 3 = 0 then '{CANARY}' when range % 3 = 1 then 'EWR' else 'JFK' end as origin,
            case when range % 10 = 0 then null else range end as gaps,
            case when range = 5 then 'inf'::double else range end as endless,
            timestamp '2013-04-01' + interval (range) hour as at, range % 2 = 0 as late from range(300)"""
        )
        yield connection


def entry(kind: str, *, severity: str = "warning", why: str = "", **kwargs: object) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"why": why}}


def write(folder: Path, *entries: object) -> Path:
    path = folder / "suite.json"
    path.write_text(json.dumps({"name": "flight-delay", "expectations": entries}))
    return path


def run(folder: Path, *entries: object) -> ValidationResult:
    return validate(DATABASE, "current", load_suite(write(folder, *entries)))


def run_one(folder: Path, kind: str, **kwargs: object) -> ExpectationOutcome:
    return run(folder, entry(kind, **kwargs)).outcomes[0]


# ---------------------------------------------------------------- the dialect


class PlainDialect(duckdb_dialect.Dialect):  # type: ignore[misc]
    """duckdb-sqlalchemy's own results, on the shared database."""

    supports_statement_cache = True

    def connect(self, *_arguments: Any, **parameters: Any) -> Any:
        return duckdb_dialect.ConnectionWrapper(duckdb.connect(parameters["database"]))


@pytest.mark.parametrize(("driver", "rows"), [("duckdb.plain", 0), ("duckdb.retrue", 3)])
def test_only_buffered_results_outlive_their_connection(
    window: duckdb.DuckDBPyConnection, driver: str, rows: int
) -> None:
    registry.register("duckdb.plain", __name__, "PlainDialect")
    registry.impls["duckdb.plain"] = lambda: PlainDialect
    duckdb_dialect.register()
    engine = create_engine(f"{driver.replace('.', '+')}:///{DATABASE}")
    with engine.connect() as connection:
        result = connection.execute(text("select delay from current limit 3"))
    try:
        fetched = len(result.fetchall())
    except Exception:  # noqa: BLE001 - whatever an upgrade makes of it
        fetched = 0
    finally:
        engine.dispose()
    assert fetched == rows


def test_duckdb_sqlalchemy_alone_cannot_join_an_open_database(window: duckdb.DuckDBPyConnection) -> None:
    engine = create_engine(f"duckdb:///{DATABASE}")
    with pytest.raises(Exception, match="different configuration"), engine.connect():
        pass


def test_validation_sees_the_tables_of_the_process_and_closes_its_connections(tmp_path: Path) -> None:
    with duckdb.connect(DATABASE) as connection:
        connection.execute("create view current as select 1 as delay")
        assert run_one(tmp_path, "expect_table_row_count_to_equal", value=1).success
    with duckdb.connect(DATABASE) as connection:
        assert connection.execute("show tables").fetchall() == []


# ---------------------------------------------------------------- loading


def test_a_suite_keeps_order_severity_and_reason_and_plain_gx_loads_the_same_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        entry(
            "expect_table_row_count_to_be_between", severity="critical", why="half of the smallest week", min_value=9
        ),
        entry("expect_column_pair_values_to_be_equal", severity="info", column_A="a", column_B="b"),
    )
    suite = load_suite(path)
    assert [(each.column, each.severity, each.expected, each.why) for each in suite.entries] == [
        (None, Severity.CRITICAL, "at least 9", "half of the smallest week"),
        ("a, b", Severity.INFO, "", ""),
    ]
    assert suite.content == path.read_bytes()
    plain = gx.ExpectationSuite(**json.loads(path.read_text()))
    assert [each.configuration.type for each in plain.expectations] == [each.kind for each in suite.entries]


def test_severity_is_critical_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    path = write(tmp_path, {"type": "expect_column_to_exist", "kwargs": {"column": "delay"}})
    assert load_suite(path).entries[0].severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "empty, so every window would pass"),
        ([entry("expect_column_to_exist", column="a"), entry("expect_column_too_exist", column="a")],
         r"expectation 2: unknown kind .* \(did you mean 'expect_column_to_exist'\?\)"),
        ([entry("expect_column_to_exist", column="a", severity="warn")], r"expectation 1: severity 'warn' \(did you mean 'warning'\?\)"),
        ([{"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "severity": None}], "severity None"),
        ([entry("expect_column_to_exist", colum="a")], r"expectation 1 \(expect_column_to_exist\)"),
        ([entry("expect_column_values_to_be_between", column="a", mostly=1.5, min_value=0)], "mostly"),
        ([entry("expect_column_max_to_be_between", column="a", max_value={"$PARAMETER": "top"})], "PARAMETER"),
        ([entry("unexpected_rows_expectation", unexpected_rows_query="select * from other")], "batch"),
        (["expect_column_to_exist"], "expectation 1: an object with type and kwargs"),
        ([{"expectation_type": "expect_column_to_exist", "kwargs": {}}], "an object with type and kwargs"),
    ],
)  # fmt: skip
def test_a_suite_that_gx_would_shrink_or_misread_is_refused(
    tmp_path: Path, entries: list[object], message: str
) -> None:
    with pytest.raises(SuiteError, match=message):
        load_suite(write(tmp_path, *entries))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not readable as JSON"),
        (b'{"name": "x", "expectations": [{"type": "a", "kwargs": {"value": NaN}}]}', "NaN is no JSON number"),
        (b"[]", "an object with name and expectations"),
        (b"[" * 100_000, "not readable as JSON"),
        (b"\xff\xfe", "not readable as JSON"),
        (b'{"name": "x", "expectation": []}', "empty"),
    ],
)
def test_a_file_that_is_no_suite_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "suite.json"
    path.write_bytes(content)
    with pytest.raises(SuiteError, match=message):
        load_suite(path)


def test_an_absent_suite_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="retrue baseline"):
        load_suite(tmp_path / "none.json")


# ---------------------------------------------------------------- measuring


@pytest.mark.parametrize(
    ("kind", "kwargs", "success", "observed"),
    [
        ("expect_table_row_count_to_be_between", {"min_value": 301}, False, "300"),
        ("expect_column_values_to_not_be_null", {"column": "gaps", "mostly": 0.95}, False, "30 of 300 rows null (10%)"),
        ("expect_column_values_to_not_be_null", {"column": "nothing"}, False, "300 of 300 rows null (100%)"),
        ("expect_column_values_to_be_null", {"column": "nothing"}, True, "0 of 300 values unexpected (0%)"),
        ("expect_column_values_to_be_between", {"column": "gaps", "max_value": 149}, False, "135 of 270 values unexpected (50%)"),
        ("expect_column_values_to_be_between", {"column": "at", "min_value": "2013-04-01"}, True, "0 of 300 values unexpected (0%)"),
        ("expect_column_mean_to_be_between", {"column": "delay", "max_value": 100}, False, "149.5"),
        ("expect_column_max_to_be_between", {"column": "endless", "max_value": 100}, False, "inf"),
        ("expect_column_min_to_be_between", {"column": "at", "min_value": "2013-01-01"}, True, ""),
        ("expect_column_quantile_values_to_be_between", {"column": "delay", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[100, 200]]}}, True, "149"),
        ("expect_column_unique_value_count_to_be_between", {"column": "origin", "max_value": 2}, False, "3"),
        ("expect_column_values_to_be_in_set", {"column": "origin", "value_set": ["EWR", "JFK"]}, False, "100 of 300 values unexpected (33.3%)"),
        ("expect_column_distinct_values_to_be_in_set", {"column": "origin", "value_set": ["EWR"]}, False, "2 unknown values"),
        ("expect_column_most_common_value_to_be_in_set", {"column": "late", "value_set": [True]}, False, ""),
        ("expect_column_values_to_be_in_type_list", {"column": "ratio", "type_list": ["Integer", "Float", "Numeric"]}, True, ""),
        ("expect_column_values_to_be_in_type_list", {"column": "origin", "type_list": ["Integer", "Float", "Numeric"]}, False, ""),
        ("expect_column_values_to_be_of_type", {"column": "origin", "type_": "VARCHAR"}, True, ""),
        ("expect_column_values_to_be_of_type", {"column": "late", "type_": "Boolean"}, True, ""),
        ("expect_column_to_exist", {"column": "nowhere"}, False, ""),
        ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "ratio", "column_B": "delay"}, False, "300 of 300 values unexpected (100%)"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "select * from {batch} where delay > 295"}, False, "4 unexpected rows"),
    ],
)  # fmt: skip
def test_observed_is_a_count_or_an_aggregate(
    tmp_path: Path, window: duckdb.DuckDBPyConnection, kind: str, kwargs: dict[str, Any], success: bool, observed: str
) -> None:
    outcome = run_one(tmp_path, kind, **kwargs)
    assert (outcome.success, outcome.observed, outcome.problem) == (success, observed, "")


@pytest.mark.parametrize(
    ("kind", "kwargs", "unexpected"),
    [
        ("expect_column_values_to_match_regex", {"regex": "^[A-Z]{3}$"}, 100),
        ("expect_column_values_to_not_match_regex", {"regex": "E.R"}, 100),
        ("expect_column_values_to_match_regex_list", {"regex_list": ["^JFK$", "^EWR$"]}, 100),
        ("expect_column_values_to_not_match_regex_list", {"regex_list": ["^JFK$", "^EWR$"]}, 200),
        ("expect_column_values_to_match_like_pattern", {"like_pattern": "E__"}, 200),
        ("expect_column_values_to_not_match_like_pattern", {"like_pattern": "E__"}, 100),
        ("expect_column_values_to_match_like_pattern_list", {"like_pattern_list": ["E%", "J%"]}, 100),
        ("expect_column_values_to_not_match_like_pattern_list", {"like_pattern_list": ["E%", "J%"]}, 200),
    ],
)
def test_patterns_work_on_duckdb(
    tmp_path: Path, window: duckdb.DuckDBPyConnection, kind: str, kwargs: dict[str, Any], unexpected: int
) -> None:
    outcome = run_one(tmp_path, kind, column="origin", **kwargs)
    assert outcome.success is False
    assert outcome.observed.startswith(f"{unexpected} of 300 values unexpected")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_column_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    with duckdb.connect(DATABASE) as connection:
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f"create table current as select range as {quoted}, 'x' || range as t from range(10)")
        result = run(
            tmp_path,
            entry("expect_column_values_to_not_be_null", column=name),
            entry("expect_column_values_to_be_between", column=name, min_value=0, max_value=4),
            entry("expect_column_max_to_be_between", column=name, max_value=9),
            entry("expect_column_pair_values_to_be_equal", column_A=name, column_B=name),
            entry("expect_column_values_to_be_in_type_list", column=name, type_list=["Integer"]),
        )
        assert [outcome.success for outcome in result.outcomes] == [True, False, True, True, True]
        assert connection.execute("select count(*) from current").fetchone() == (10,)


# ---------------------------------------------------------------- what cannot be measured


def test_one_expectation_that_raises_does_not_stop_the_others(
    tmp_path: Path, window: duckdb.DuckDBPyConnection
) -> None:
    result = run(
        tmp_path,
        entry("expect_column_mean_to_be_between", column="delay", min_value=0),
        entry("expect_column_mean_to_be_between", column="origin", min_value=0),
        entry("expect_column_mean_to_be_between", column="gone", min_value=0),
        entry("expect_column_values_to_be_between", column="origin", min_value=0),
        entry("expect_column_stdev_to_be_between", column="endless", min_value=0),
        entry("expect_column_values_to_be_increasing", column="delay"),
        entry("expect_column_max_to_be_between", column="origin", max_value=9),
        entry("expect_column_values_to_match_regex", column="delay", regex="1"),
        entry("expect_column_values_to_be_between", column="ratio", min_value=0),
    )
    assert [(outcome.success, outcome.problem) for outcome in result.outcomes] == [
        (True, ""),
        (None, "type_mismatch: BinderException"),
        (None, "column_missing: the window does not have it"),
        (None, "type_mismatch: InvalidColumnTypeError"),
        (None, "raised: OutOfRangeException"),
        (None, "not_supported: MetricProviderError"),
        (None, "type_mismatch: TypeError"),
        (None, "type_mismatch: BinderException"),
        (True, ""),
    ]
    assert result.success_share == pytest.approx(2 / 9)


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_values_to_be_between", {"min_value": 0}),
        ("expect_column_values_to_be_in_set", {"value_set": [1]}),
        ("expect_column_distinct_values_to_be_in_set", {"value_set": [1]}),
        ("expect_column_unique_value_count_to_be_between", {"max_value": 5}),
        ("expect_column_mean_to_be_between", {"min_value": 0}),
    ],
)
def test_an_all_null_column_is_no_pass(
    tmp_path: Path, window: duckdb.DuckDBPyConnection, kind: str, kwargs: dict[str, Any]
) -> None:
    outcome = run_one(tmp_path, kind, column="nothing", **kwargs)
    assert (outcome.success, outcome.problem) == (None, "nothing_to_measure: no value but nulls")


def test_an_empty_window_passes_nothing_but_its_schema(tmp_path: Path, window: duckdb.DuckDBPyConnection) -> None:
    window.execute("delete from current")
    result = run(
        tmp_path,
        entry("expect_column_values_to_not_be_null", column="delay"),
        entry("expect_column_values_to_be_between", column="delay", min_value=0),
        entry("expect_column_pair_values_to_be_equal", column_A="delay", column_B="ratio"),
        entry("unexpected_rows_expectation", unexpected_rows_query="select * from {batch} where delay > 5"),
        entry("expect_table_row_count_to_be_between", min_value=1),
        entry("expect_column_to_exist", column="delay"),
    )
    assert [outcome.success for outcome in result.outcomes] == [None, None, None, None, False, True]


def test_no_cell_reaches_the_result_or_a_log_line(
    tmp_path: Path,
    window: duckdb.DuckDBPyConnection,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    result = run(
        tmp_path,
        entry("expect_column_values_to_be_in_set", column="origin", value_set=["EWR"]),
        entry("expect_column_distinct_values_to_equal_set", column="origin", value_set=["EWR"]),
        entry("expect_column_most_common_value_to_be_in_set", column="origin", value_set=["EWR"]),
        entry("expect_column_min_to_be_between", column="origin", min_value=0),
        entry("expect_column_value_lengths_to_equal", column="origin", value=3),
        entry("expect_column_values_to_be_unique", column="origin"),
        entry("unexpected_rows_expectation", unexpected_rows_query="select * from {batch} where length(origin) > 3"),
        entry("unexpected_rows_expectation", unexpected_rows_query="select * from {batch} where origin::int > 3"),
        entry("expect_column_kl_divergence_to_be_less_than", column="origin", threshold=0.1,
              partition_object={"values": ["EWR", "JFK"], "weights": [0.5, 0.5]}),
    )  # fmt: skip
    assert result.outcomes[7].problem == "type_mismatch: ConversionException"
    assert CANARY not in repr(result)
    assert CANARY not in caplog.text
    assert CANARY not in "".join(capfd.readouterr())


def test_great_expectations_may_log_again_afterwards(tmp_path: Path, window: duckdb.DuckDBPyConnection) -> None:
    logger = logging.getLogger("great_expectations")
    level = logger.level
    run(tmp_path, entry("expect_column_to_exist", column="delay"))
    assert logger.level == level
