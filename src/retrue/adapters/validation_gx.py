"""Great Expectations on DuckDB: windows validated inside the engine.

Only counts and aggregates leave this module: GX is asked for no sample of unexpected values, its exceptions become
codes, and its log lines, which quote cells, are held back while it runs. Importing GX takes seconds, so it happens
inside the functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from retrue.adapters.expectation_text import TYPES, observed_text
from retrue.adapters.suite_gx import LoadedSuite, SuiteEntry, gx_alone, gx_suite, load_suite
from retrue.results import ExpectationOutcome, ValidationResult

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.validator.validator import Validator

__all__ = ["LoadedSuite", "SuiteEntry", "load_suite", "validate"]

_FORMAT = {"result_format": {"result_format": "BOOLEAN_ONLY"}}
_CAUSE = re.compile(r"^(?:[a-z_][\w.]*\.)?([A-Z]\w*(?:Error|Exception))(?=:|$)", re.MULTILINE)
_TYPE_ERRORS = frozenset({"BinderException", "ConversionException", "InvalidColumnTypeError", "TypeError"})
_UNSUPPORTED = frozenset({"MetricProviderError", "NotImplementedError"})
_NULLS, _ROWS = "column_values.nonnull.unexpected_count", "table.row_count"
_ABOUT_NULLS = frozenset(
    {
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_be_null",
        "expect_column_proportion_of_non_null_values_to_be_between",
    }
)
_ALWAYS_MEASURABLE = TYPES | {
    "expect_column_to_exist",
    "expect_table_column_count_to_be_between",
    "expect_table_column_count_to_equal",
    "expect_table_columns_to_match_ordered_list",
    "expect_table_columns_to_match_set",
    "expect_table_row_count_to_be_between",
    "expect_table_row_count_to_equal",
}


def validate(
    database: str, table: str, suite: LoadedSuite, *, answered: str = "", answers: Collection[str] = ()
) -> ValidationResult:
    """Run a suite on a table of an open DuckDB database, inside the engine.

    An expectation that raises (missing column, text where a number is expected) does not stop the others: it gets
    success None and a problem. So does one that had no value to look at, which GX would let pass.

    Args:
        database: Name of a database this process holds open, such as ``:memory:retrue_7``.
        table: Table or view in it.
        suite: From `load_suite`.
        answered: Table or view of the rows without those that failed; ``table`` itself where none did.
        answers: Columns of what the model said: expectations on them are of ``answered``, since a failure says nothing.

    Returns:
        One outcome per expectation, in the suite's order.
    """
    expectations = gx_suite(json.loads(suite.content), Path(suite.name)).expectations
    said = {number for number, each in enumerate(expectations) if answered and _needed(each) & set(answers)}
    asked = ((table, sorted({*range(len(expectations))} - said)), (answered, sorted(said)))
    found: dict[int, _Answer] = {}
    for place, numbers in asked:
        if numbers:
            found |= _answers(database, place, expectations, numbers)
    outcomes = (_outcome(entry, found[number]) for number, entry in enumerate(suite.entries))
    return ValidationResult(suite=suite.name, outcomes=tuple(outcomes))


def _answers(
    database: str, table: str, expectations: Sequence[Expectation], numbers: Sequence[int]
) -> dict[int, _Answer]:
    """Evaluate the expectations with these numbers on one table."""
    with gx_alone(), _validator(database, table) as validator:
        columns = frozenset(validator.columns())
        absent = {
            number: _Answer(problem="column_missing: the window does not have it")
            for number in numbers
            if not _needed(expectations[number]) <= columns
        }
        present = [number for number in numbers if number not in absent]
        return absent | _evaluate(validator, expectations, present)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    success: bool | None = None
    observed: str = ""
    problem: str = ""


@contextmanager
def _validator(database: str, table: str) -> Iterator[Validator]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    from retrue.adapters.duckdb_dialect import DRIVER, gx_dialect_module, register

    register()
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    source = context.data_sources.add_sql(uuid4().hex, connection_string=f"{DRIVER}:///{database}")
    asset = source.add_table_asset(table, table_name=table)
    request = asset.add_batch_definition_whole_table("window").build_batch_request()
    validator = context.get_validator(batch_request=request)
    engine: Any = validator.execution_engine
    engine.dialect_module = gx_dialect_module()
    try:
        yield validator
    finally:
        engine.close()
        source.get_engine().dispose()


def _needed(expectation: Expectation) -> set[str]:
    """Return the columns without which an expectation cannot be evaluated."""
    kwargs = expectation.configuration.kwargs
    if expectation.configuration.type == "expect_column_to_exist":
        return set()
    named = (kwargs.get(key) for key in ("column", "column_A", "column_B"))
    return {str(name) for name in (*named, *(kwargs.get("column_list") or ())) if name}


def _evaluate(validator: Validator, expectations: Sequence[Expectation], numbers: Sequence[int]) -> dict[int, _Answer]:
    """Evaluate together what can be: GX puts all metrics into one query, and one bad column fails that query.

    So those that got no answer are evaluated again in halves, neighbours of one column together, until each culprit
    is alone: about 2 log2(n) queries for one bad column.
    """
    if not numbers:
        return {}
    answers, reason = _evaluate_together(validator, expectations, numbers)
    failed = sorted(set(numbers) - set(answers), key=lambda number: (sorted(_needed(expectations[number])), number))
    if len(numbers) == 1:
        return answers | dict.fromkeys(failed, _Answer(problem=reason))
    middle = (len(failed) + 1) // 2
    for half in (failed[:middle], failed[middle:]):
        answers |= _evaluate(validator, expectations, half)
    return answers


def _evaluate_together(
    validator: Validator, expectations: Sequence[Expectation], numbers: Sequence[int]
) -> tuple[dict[int, _Answer], str]:
    """Return the answers that could be had, and why the others could not: the reason is exact for a single one."""
    wanted: dict[int, dict[str, Any]] = {}
    answers: dict[int, _Answer] = {}
    for number in numbers:
        try:
            wanted[number] = _metrics_of(expectations[number], validator)
        except _raisable() as error:
            answers[number] = _Answer(problem=_problem(type(error).__name__))
    everything = [metric for metrics in wanted.values() for metric in metrics.values()]
    try:
        values, aborted = validator.metrics_calculator.compute_metrics(everything)
    except _raisable() as error:
        return answers, _problem(type(error).__name__)
    for number, metrics in wanted.items():
        if all(metric.id in values for metric in metrics.values()):
            answers[number] = _judge(expectations[number], metrics, values, validator)
    traces = (str(info["exception_info"]["exception_traceback"]) for info in aborted.values())
    return answers, _problem(_cause(traces))


def _metrics_of(expectation: Expectation, validator: Validator) -> dict[str, Any]:
    """Return the metrics an expectation needs, and the counts that tell whether it has anything to look at."""
    from great_expectations.validator.metric_configuration import MetricConfiguration

    needs = expectation.get_validation_dependencies(
        execution_engine=validator.execution_engine, runtime_configuration=_FORMAT
    )
    metrics: dict[str, Any] = dict(needs.metric_configurations)
    if expectation.configuration.type in _ALWAYS_MEASURABLE:
        return metrics
    domain = dict(next(iter(metrics.values())).metric_domain_kwargs)
    if "column" in domain:
        metrics[_NULLS] = MetricConfiguration(_NULLS, metric_domain_kwargs=dict(domain), metric_value_kwargs={})
    for key in ("column", "column_A", "column_B", "column_list", "ignore_row_if"):
        domain.pop(key, None)
    metrics[_ROWS] = MetricConfiguration(_ROWS, metric_domain_kwargs=domain, metric_value_kwargs={})
    return metrics


def _judge(expectation: Expectation, metrics: Mapping[str, Any], values: Any, validator: Validator) -> _Answer:
    kind = expectation.configuration.type
    measured = {name: values[metric.id] for name, metric in metrics.items()}
    rows, nulls = measured.get(_ROWS, 0), measured.get(_NULLS)
    if kind not in _ALWAYS_MEASURABLE and (rows == 0 or (rows == nulls and kind not in _ABOUT_NULLS)):
        return _Answer(problem=f"nothing_to_measure: {'no value but nulls' if rows else 'no row'}")
    try:
        result = expectation.metrics_validate(
            metrics=values, execution_engine=validator.execution_engine, runtime_configuration=_FORMAT
        )
    except _raisable() as error:
        return _Answer(problem=_problem(type(error).__name__))
    return _Answer(success=bool(result.success), observed=observed_text(kind, measured, nulls=nulls, rows=rows))


def _raisable() -> tuple[type[Exception], ...]:
    """What evaluating an expectation can raise: GX puts no common base over its own and its engines' errors."""
    from great_expectations.exceptions import GreatExpectationsError
    from sqlalchemy.exc import SQLAlchemyError

    builtin = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
    return (GreatExpectationsError, SQLAlchemyError, *builtin)


def _cause(traces: Iterable[str]) -> str:
    """Return the class of the exception the traceback starts from; nothing else of it, for it may quote a cell."""
    found = next(filter(None, map(_CAUSE.search, traces)), None)
    return found[1] if found else "MetricResolutionError"


def _problem(exception: str) -> str:
    if exception in _TYPE_ERRORS:
        return f"type_mismatch: {exception}"
    return f"{'not_supported' if exception in _UNSUPPORTED else 'raised'}: {exception}"


def _outcome(entry: SuiteEntry, answer: _Answer) -> ExpectationOutcome:
    return ExpectationOutcome(
        kind=entry.kind,
        column=entry.column,
        success=answer.success,
        severity=entry.severity,
        observed=answer.observed,
        expected=entry.expected,
        why=entry.why,
        problem=answer.problem,
    )
