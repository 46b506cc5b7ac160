"""Bodies of requests and responses: bytes, CSV or JSON into rows of features and into predictions. Pure.

Understood are MLflow's ``dataframe_records``, ``dataframe_split``, ``instances`` and ``inputs``, the ``predictions`` that
answer them, tensors of the V2 protocol and of Seldon, chat messages and completions, and plain lists and objects.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retrue.config.sources import FieldNames
from retrue.sources.formats.gen_ai import completion
from retrue.sources.formats.refused import RefusedEventError
from retrue.sources.formats.tensors import is_tensors, seldon_rows, tensor_rows
from retrue.sources.json_lines import parse_value

Row = dict[str, Any]

_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_FRACTION = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LEADING_ZERO = re.compile(r"[+-]?0\d", re.ASCII)
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}
_PREDICTION, _SCORE = ("prediction", "predicted_label"), ("score", "probability")


def body(data: object, *, encoding: str = "", content_type: str = "") -> Any:
    """Return what a body holds: a JSON value, or a list of rows for CSV.

    Args:
        data: Text, bytes, or a value that was parsed already.
        encoding: ``BASE64`` where the text is of packed bytes; ``CSV`` and ``JSON`` say what it is.
        content_type: Of HTTP; CSV is told from JSON by it.

    Raises:
        RefusedEventError: It is neither.
    """
    if isinstance(data, str) and encoding.upper() == "BASE64":
        try:
            data = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise RefusedEventError("the payload is not base64") from None
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8")
        except UnicodeDecodeError:
            raise RefusedEventError("the payload is not text: image, audio or packed") from None
    if not isinstance(data, str):
        return data
    if encoding.upper() == "CSV" or content_type.partition(";")[0].strip().lower() in ("text/csv", "application/csv"):
        return csv_rows(data)
    return _json_or_csv(data, is_json=encoding.upper() == "JSON" or "json" in content_type.lower())


def _json_or_csv(text: str, *, is_json: bool) -> Any:
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return parse_value(text.encode("utf-8", "replace"))
    except ValueError:
        if not lines:
            return None
    try:  # JSON lines, as batches of some servers are
        return [parse_value(line.encode("utf-8", "replace")) for line in lines]
    except ValueError:
        if is_json:
            raise RefusedEventError("the payload is not valid JSON") from None
    return csv_rows(text)


def csv_rows(text: str) -> list[list[Any]]:
    """Return the rows of headerless CSV, numbers as such.

    >>> csv_rows("5,0.1,,007\\n-1,a,nan,1e3\\n")
    [[5, 0.1, None, '007'], [-1, 'a', nan, 1000.0]]
    """
    try:
        return [[typed(cell) for cell in row] for row in csv.reader(io.StringIO(text), skipinitialspace=True) if row]
    except csv.Error:
        raise RefusedEventError("the payload is not valid CSV") from None


def typed(cell: str) -> Any:
    """Return the value of a cell: a number where it is written as one, null where it is empty, else the text.

    ``007`` is text: a code, not a number.
    """
    text = cell.strip()
    if text == "":
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text) and not _LEADING_ZERO.match(text):
        return float(text)
    return _NOT_FINITE.get(text.lower(), cell)


# ---------------------------------------------------------------- requests


def request_rows(value: Any, names: Sequence[str]) -> list[Row]:
    """Return the features of each row of a request; of nothing, no rows.

    Raises:
        RefusedEventError: Its parts do not fit each other, or the names.
    """
    if value is None:
        return []
    if isinstance(value, Mapping):
        return _of_object(value, names)
    if isinstance(value, list):
        rows = value if any(isinstance(each, list | Mapping) for each in value) else [value]
        return [_named(row, names) for row in rows]
    return [_named([value], names or ("input",))]


def _of_object(value: Mapping[str, Any], names: Sequence[str]) -> list[Row]:
    if "dataframe_records" in value:
        return [_named(row, names) for row in value["dataframe_records"]]
    if "dataframe_split" in value:
        split = value["dataframe_split"]
        return [_named(row, split.get("columns") or names) for row in split["data"]]
    if "instances" in value:
        return [_named(row, names) for row in _listed(value["instances"])]
    if is_tensors(value.get("inputs")):
        return tensor_rows(value["inputs"], names)
    if "inputs" in value:
        return _of_inputs(value["inputs"], names)
    if {"data", "jsonData", "strData", "binData"} & value.keys():
        return [_named(row, found or names) for found, row in seldon_rows(value)]
    return [_named(value, names)]


def _of_inputs(inputs: Any, names: Sequence[str]) -> list[Row]:
    """Rows of MLflow's tensor input: a list, or an object of equally long columns."""
    if not isinstance(inputs, Mapping):
        return [_named(row, names) for row in _listed(inputs)]
    columns = {str(name): _listed(values) for name, values in inputs.items()}
    if len({len(values) for values in columns.values()}) > 1:
        raise RefusedEventError("the columns of the request are not equally long")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _named(row: Any, names: Sequence[str]) -> Row:
    if isinstance(row, Mapping):
        (only,) = row.values() if len(row) == 1 else (None,)
        if isinstance(only, list) and "features" in row:
            return _named(only, names)
        return {str(name): value for name, value in row.items()}
    values = row if isinstance(row, list) else [row]
    if names and len(names) != len(values):
        raise RefusedEventError("the row has more or fewer values than there are names")
    return dict(zip(names or [f"f{number}" for number in range(len(values))], values, strict=True))


# ---------------------------------------------------------------- responses


def response_rows(value: Any, outputs: Sequence[str], columns: FieldNames) -> list[Row]:
    """Return the fields of a record that a response gives, one for each row it answers; of nothing, no rows.

    A value without a name is the prediction, or what ``outputs`` call it. A completion of a chat is one row.

    Raises:
        RefusedEventError: Its parts do not fit each other, or the names.
    """
    if value is None:
        return []
    if isinstance(value, Mapping) and (generated := completion(value)):
        return [generated]
    return [_answer(row, outputs, columns) for row in _answers(value)]


def _answers(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        if "predictions" in value:
            yield from _listed(value["predictions"])
        elif is_tensors(value.get("outputs")):
            yield from (_unwrapped(row) for row in tensor_rows(value["outputs"], ()))
        elif {"data", "jsonData", "strData", "binData"} & value.keys():
            for names, row in seldon_rows(value):
                fits = isinstance(row, list) and len(names) == len(row)
                yield dict(zip(names, row, strict=True)) if fits else row
        else:
            yield value
    elif isinstance(value, list):
        yield from value
    else:
        yield value


def _unwrapped(row: Row) -> Any:
    return next(iter(row.values())) if len(row) == 1 else row


def _answer(row: Any, outputs: Sequence[str], columns: FieldNames) -> Row:
    if isinstance(row, list):
        if outputs and len(outputs) != len(row):
            raise RefusedEventError("the response has more or fewer values than there are outputs")
        if not outputs:
            return {"prediction": row[0] if len(row) == 1 else row}
        row = dict(zip(outputs, row, strict=True))
    elif not isinstance(row, Mapping):
        return {outputs[0] if outputs else "prediction": row}
    return _picked(row, columns)


def _picked(row: Mapping[str, Any], columns: FieldNames) -> Row:
    """The prediction and score of a response's object: those the settings name, else those it calls so itself."""
    prediction, score = (
        _first(row, [named] if named else usual)
        for named, usual in ((columns.prediction, _PREDICTION), (columns.score, _SCORE))
    )
    picked = {}
    if score is not None:
        picked["score"] = row[score]
    if prediction is not None:
        picked["prediction"] = row[prediction]
    elif not picked:
        picked["prediction"] = next(iter(row.values())) if len(row) == 1 else dict(row)
    return picked


def _first(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in row), None)


def failure(code: object, answer: Any) -> Row:
    """Return status and error of an HTTP status code; of none, nothing.

    408 and 504 are timeouts, other codes of 400 rejections, those of 500 errors.
    """
    number = int(code) if isinstance(code, int | float) or (isinstance(code, str) and code.isdigit()) else None
    if number is None:
        return {}
    if 200 <= number < 400:
        return {"status": "ok"}
    status = "timeout" if number in (408, 504) else "rejected" if number < 500 else "error"
    found = {"status": status, "error_type": f"HTTP {number}"}
    if isinstance(answer, Mapping):
        error = answer.get("error")
        inner = error.get("message") if isinstance(error, Mapping) else error
        message = next((each for each in (answer.get("message"), inner) if isinstance(each, str)), None)
        found |= {"error_message": message} if message else {}
        found |= {"error_type": code} if isinstance(code := answer.get("error_code"), str) else {}
    return found


# ---------------------------------------------------------------- records


def records(event_id: str, requests: Sequence[Row], answers: Sequence[Row], each: Row, once: Row) -> Iterator[Row]:
    """Yield the records of one event: the first has the event's id, the n-th ``<event>#<n>``, from 2.

    Args:
        event_id: Of the event.
        requests: Features of each row; empty where the request was not logged.
        answers: Fields of each answer; empty where the response was not logged.
        each: Fields of every record, such as time and latency.
        once: Fields of the first alone, such as tokens, which are of the whole call.

    Raises:
        RefusedEventError: As many requests as answers are needed where both are there.
    """
    if requests and answers and len(requests) != len(answers):
        raise RefusedEventError("the request and the response have different numbers of rows")
    for number in range(max(len(requests), len(answers), 1)):
        yield {
            **each,
            **(once if number == 0 else {}),
            "inference_id": row_id(event_id, number),
            **({f"features.{name}": value for name, value in requests[number].items()} if requests else {}),
            **(answers[number] if answers else {}),
        }


def row_id(event_id: str, number: int) -> str:
    """Return the id of a row of an event, from 0; labels of many rows have the same ids.

    >>> row_id("a", 0), row_id("a", 1)
    ('a', 'a#2')
    """
    return event_id if number == 0 else f"{event_id}#{number + 1}"
