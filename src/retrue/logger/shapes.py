"""What is told of values that are not kept, or not whole: their shape, and marks with a length and a digest."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import orjson

Json = Any
"""None, bool, int, float, str, list[Json] or dict[str, Json]: what orjson writes."""

_MARK_BYTES = 96  # of a shape with a digest: replacing less saves nothing
_GROUPS = ("features", "context", "scores")
_SIZED: tuple[Any, ...] = (str, bytes, bytearray, dict, list, tuple, set, frozenset, deque)
SHAPES: Final[Mapping[type, dict[str, Json]]] = {
    kind: {"type": kind.__name__} for kind in (int, float, bool, complex, dt.datetime, dt.date)
}
"""What is told of values that have no length."""
_SHAPE_KEYS = frozenset({"type", "len", "bits", "shape", "dtype", "sha256", "cut"})


def shape(value: object) -> dict[str, Json]:
    """Return what is told of a value that is not kept: its type, and its length where it is built in and has one.

    >>> shape("Jane"), shape(3.5), shape([1, 2])
    ({'type': 'str', 'len': 4}, {'type': 'float'}, {'type': 'list', 'len': 2})
    """
    kind = type(value)
    known = SHAPES.get(kind)
    if known is not None:
        return known
    for built_in in _SIZED:
        if issubclass(kind, built_in):
            return {"type": type_name(kind), "len": built_in.__len__(value)}
    return {"type": type_name(kind)}


def type_name(kind: type) -> str:
    """Return the name of a class, which is program text, unless somebody made it of something else."""
    name = type.__dict__["__name__"].__get__(kind)
    return name if name.isidentifier() and len(name) <= 64 else "object"


def cut_text(text: str, characters: int) -> str:
    """Return the beginning of a text with a mark: how long it was, and 16 hex digits of the SHA-256 of the whole."""
    mark = f"… <cut, {len(text)} characters, sha256 {_digest(text.encode('utf-8', 'replace'))}>"
    start = text[: max(characters - len(mark), 0)]
    return start.encode("utf-8", "replace").decode("utf-8") + mark


def is_shape(value: Json) -> bool:
    """Return whether a value read from a log stands for one that was not kept."""
    return type(value) is dict and type(value.get("type")) is str and value.keys() <= _SHAPE_KEYS


def is_shape_text(text: str) -> bool:
    """Return whether a text is the JSON of such a value, as columns of mixed kinds hold it."""
    if not text.startswith("{"):
        return False
    try:
        return is_shape(orjson.loads(text))
    except orjson.JSONDecodeError:
        return False


def is_numeric(value: Json, below: int) -> bool:
    """Return whether a JSON value is a number within bounds, a boolean, a float's tag, null, or a list of such."""
    if type(value) is list:
        return all(is_numeric(each, below) for each in value)
    if type(value) is dict:
        return "$" in value or "shape" in value
    if type(value) in (int, float):
        return bool(-below < value < below) or not float(value).is_integer()
    return type(value) is bool or value is None


def shortened(record: dict[str, Json], size_bytes: int) -> dict[str, Json]:
    """Return a redacted record of at most so many bytes, its largest values replaced by shapes with a digest.

    Where too many small values make it large, all features and the whole context are left out.
    """
    made = {key: dict(value) if key in _GROUPS and type(value) is dict else value for key, value in record.items()}
    places = [(made, key) for key in made if key not in _GROUPS and type(made[key]) in (str, list, dict)]
    places += [(made[group], key) for group in _GROUPS if type(made.get(group)) is dict for key in made[group]]
    sizes = sorted(
        ((len(orjson.dumps(holder[key])), number) for number, (holder, key) in enumerate(places)), reverse=True
    )
    excess = len(orjson.dumps(made)) - size_bytes
    for size, number in sizes:
        if excess <= 0 or size <= _MARK_BYTES:
            break
        holder, key = places[number]
        value = holder[key]
        holder[key] = cut_text(value, 256) if holder is made and isinstance(value, str) else _cut_mark(value)
        excess -= size - len(orjson.dumps(holder[key]))
    if excess > 0:
        made |= {group: {} for group in _GROUPS if group in made}
    return made


def _cut_mark(value: Json) -> dict[str, Json]:
    return {
        "type": type(value).__name__,
        "len": len(value) if type(value) in (str, list, dict) else 1,
        "cut": True,
        "sha256": _digest(orjson.dumps(value)),
    }


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()[:16]
