"""Expectation suites in Great Expectations' own JSON form, checked as they load.

Importing GX takes seconds, so it happens inside the functions.
"""

from __future__ import annotations

import difflib
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrue.adapters.expectation_text import column_of, expected_text
from retrue.errors import SuiteError
from retrue.results import Severity

SUITE_BYTES_MAX = 10_000_000

_ONE_AT_A_TIME = threading.RLock()  # GX keeps its context in a variable of the process


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteEntry:
    """One expectation as the file has it. ``column`` joins several by a comma and is None for the whole table."""

    kind: str
    column: str | None
    severity: Severity
    expected: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSuite:
    """A suite that GX has accepted whole. ``content`` is the file's bytes: part of what can change a verdict."""

    name: str
    content: bytes
    entries: tuple[SuiteEntry, ...]


def load_suite(path: Path) -> LoadedSuite:
    """Read an expectation suite in GX's own JSON form and make sure that GX keeps all of it.

    Raises:
        SuiteError: Absent, no JSON, empty, of an unknown kind or severity, with a wrong argument, or a query that
            does not read the window. Names the position (from 1) and the nearest kind.
    """
    content = _read(path)
    document = _parse(content, path)
    with gx_alone():
        entries = tuple(
            _entry(raw, f"{path}: expectation {number}") for number, raw in enumerate(_raw(document, path), 1)
        )
        kept = len(gx_suite(document, path).expectations)
    if kept != len(entries):
        raise SuiteError(
            f"{path}: Great Expectations kept {kept} of {len(entries)} expectations: one of them is invalid"
        )
    return LoadedSuite(name=str(document["name"]), content=content, entries=entries)


@contextmanager
def gx_alone() -> Iterator[None]:
    """Let one thread use GX, without its log lines: they quote cells and whole tracebacks."""
    logger = logging.getLogger("great_expectations")
    with _ONE_AT_A_TIME:
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            logger.setLevel(level)


def gx_suite(document: Mapping[str, Any], path: Path) -> Any:
    """Build GX's suite; GX logs and drops what it finds invalid, so count what it holds."""
    import great_expectations as gx

    try:
        return gx.ExpectationSuite(**document)
    except (TypeError, ValueError) as error:
        raise SuiteError(f"{path}: Great Expectations refuses the suite: {error}") from error


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SuiteError(f"{path}: no such suite: `retrue baseline` proposes one") from error
    if len(content) > SUITE_BYTES_MAX:
        raise SuiteError(f"{path}: larger than {SUITE_BYTES_MAX} bytes")
    return content


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise SuiteError(f"{path}: an object with name and expectations is expected")
    return document


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _raw(document: Mapping[str, Any], path: Path) -> list[Any]:
    raw = document.get("expectations")
    if not isinstance(raw, list) or not raw:
        raise SuiteError(f"{path}: the suite is empty, so every window would pass")
    return raw


def _entry(raw: Any, place: str) -> SuiteEntry:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str) or not isinstance(raw.get("kwargs"), dict):
        raise SuiteError(f"{place}: an object with type and kwargs is expected")
    kind, kwargs = raw["type"], raw["kwargs"]
    _check_kind(kind, place)
    severity = raw.get("severity", Severity.CRITICAL)  # GX's default
    if severity not in list(Severity):
        raise SuiteError(f"{place}: severity {severity!r}{_nearest(severity, Severity)}: one of {', '.join(Severity)}")
    if any(isinstance(value, dict) and "$PARAMETER" in value for value in kwargs.values()):
        raise SuiteError(f"{place}: $PARAMETER has no value here: write the value itself")
    if "unexpected_rows_query" in kwargs and "{batch}" not in str(kwargs["unexpected_rows_query"]):
        raise SuiteError(f"{place}: the query must read from {{batch}}, which stands for the window")
    _check_arguments(raw, place)
    return SuiteEntry(
        kind=kind,
        column=column_of(kwargs),
        severity=Severity(severity),
        expected=expected_text(kind, kwargs),
        why=_why(raw),
    )


def _why(raw: Mapping[str, Any]) -> str:
    meta = raw.get("meta")
    why = meta.get("why") if isinstance(meta, dict) else None
    return str(why or raw.get("description") or "")


def _check_kind(kind: str, place: str) -> None:
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    known = list_registered_expectation_implementations()
    if kind not in known:
        raise SuiteError(f"{place}: unknown kind {kind!r}{_nearest(kind, known)}")


def _check_arguments(raw: Mapping[str, Any], place: str) -> None:
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    try:
        ExpectationConfiguration(**raw).to_domain_obj()
    except (GreatExpectationsError, TypeError, ValueError) as error:
        raise SuiteError(f"{place} ({raw['type']}): {' '.join(str(error).split())[:300]}") from error


def _nearest(word: object, known: Any) -> str:
    close = difflib.get_close_matches(str(word), [str(name) for name in known], n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
