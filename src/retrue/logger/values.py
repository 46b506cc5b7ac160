"""Any Python value as a JSON value that orjson writes and a reader tells apart: the type table, and its limits.

Nothing here calls `repr` or `str` on an object it does not know, and no optional package is imported: arrays and
scalars of numpy, pandas, torch and the like are known by the module of their type.

What JSON cannot say is a *tag*, an object with the key ``$``:

    {"$": "nan"}  {"$": "inf"}  {"$": "-inf"}      floats; `decode_special` gives them back
    {"$": "cycle"}  {"$": "deep"}                  a container inside itself, one nested beyond the limit
    {"$": "more", "len": 5000}                     the items of a container beyond the limit

orjson reads tags at full speed, where the bare literal ``NaN`` would need the slow parser of the standard library. A key
of the host's own that starts with ``$`` gets a second one, which `decode_special` takes off again. A value that is not
kept is its *shape*, ``{"type": "str", "len": 12}``.
"""

from __future__ import annotations

import datetime as dt
import sys
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

from retrue.logger.shapes import Json, cut_text, shape, type_name

NUMBER_MAX: Final = 2**63 - 1
DIGITS_BITS_MAX: Final = 4096  # a longer integer has more digits than Python turns into text without a fight
NAME_CHARACTERS_MAX: Final = 200
_SCALARS = frozenset({str, int, float, bool, bytes})
_TENSORS = frozenset({"numpy", "torch", "tensorflow", "jax", "jaxlib", "cupy"})
_SPECIAL: Final[Mapping[str, float]] = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large one value and one record may be; what is beyond is cut, marked and counted."""

    text_characters: int = 4_096
    items: int = 1_000
    """Values in one feature, nested ones included."""
    depth: int = 32
    fields: int = 2_000
    """Features or context fields of one record."""
    record_bytes: int = 65_536

    def __post_init__(self) -> None:
        for name, least in {"text_characters": 64, "items": 1, "depth": 1, "fields": 1, "record_bytes": 1024}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, at least {least} is needed")


class Normaliser:
    """Turns values into JSON values within limits, and counts by reason what it had to change.

    Reasons: ``not_finite``, ``big_integer``, ``surrogate``, ``cut``, ``cycle``, ``key``, ``unknown_type``,
    ``unprintable``.

    >>> counts: Counter[str] = Counter()
    >>> Normaliser(limits=Limits(), counts=counts).value({"x": float("nan"), 1: 2**70})
    {'x': {'$': 'nan'}, '1': '1180591620717411303424'}
    >>> dict(counts)
    {'not_finite': 1, 'key': 1, 'big_integer': 1}
    """

    __slots__ = ("counts", "limits")

    def __init__(self, *, limits: Limits, counts: Counter[str]) -> None:
        self.limits, self.counts = limits, counts

    def value(self, value: object) -> Json:
        """Return a JSON value; never raises, whatever the object does."""
        return _Walk(self.limits, self.counts).step(value)

    def text(self, value: str) -> str:
        """Return text that UTF-8 can hold, cut to the limit with its length and a digest of the whole."""
        if len(value) > self.limits.text_characters:
            self.counts["cut"] += 1
            return cut_text(value, self.limits.text_characters)
        return _sound(value, self.counts)

    def name(self, value: object) -> str:
        """Return a key as text: NFC, bounded, and not mistaken for a tag."""
        if type(value) is not str:
            self.counts["key"] += 1
            value = _key(value)
        name = value if value.isascii() else unicodedata.normalize("NFC", _sound(value, self.counts))
        return name if len(name) <= NAME_CHARACTERS_MAX else cut_text(name, NAME_CHARACTERS_MAX)


def decode_special(value: Json) -> Json:
    """Return a JSON value as it was before `Normaliser`: tags of floats as floats, doubled ``$`` as one.

    Only objects and arrays need it: a reader calls it where ``type(value) in (dict, list)``.

    >>> decode_special([{"$": "-inf"}, {"$$": "nan"}])
    [-inf, {'$': 'nan'}]
    """
    if type(value) is dict:
        special = _SPECIAL.get(value["$"]) if len(value) == 1 and isinstance(value.get("$"), str) else None
        if special is not None:
            return special
        return {(key[1:] if key.startswith("$$") else key): decode_special(each) for key, each in value.items()}
    if type(value) is list:
        return [decode_special(each) for each in value]
    return value


class _Walk:
    """One value on its way: the containers it is inside of, and how many items it may still have."""

    __slots__ = ("_counts", "_left", "_limits", "_path")

    def __init__(self, limits: Limits, counts: Counter[str]) -> None:
        self._limits, self._counts = limits, counts
        self._left = limits.items
        self._path: list[int] = []

    def step(self, value: object) -> Json:
        kind = type(value)
        try:
            known = _TABLE.get(kind)
            if known is not None:
                return known(self, value)
            for family, how in _FAMILIES:
                if issubclass(kind, family):  # isinstance would run the object's own __class__
                    return how(self, value)
            for module, name, how in _IMPORTED:
                if _is_of(kind, module, name):
                    return how(self, value)
            return self._foreign(value)
        except Exception:  # noqa: BLE001 - an object of the host may raise anything; the logger never does
            self._counts["unprintable"] += 1
            return f"<unprintable {type_name(kind)}>"

    def number(self, value: float) -> Json:
        value = float.__float__(value)
        if value - value == 0.0:
            return value
        self._counts["not_finite"] += 1
        return {"$": "nan" if value != value else "inf" if value > 0 else "-inf"}

    def integer(self, value: int) -> Json:
        value = int.__int__(value)
        if -NUMBER_MAX <= value <= NUMBER_MAX:
            return value
        self._counts["big_integer"] += 1
        return str(value) if value.bit_length() <= DIGITS_BITS_MAX else {"type": "int", "bits": value.bit_length()}

    def text(self, value: str) -> str:
        return Normaliser(limits=self._limits, counts=self._counts).text(str.__str__(value))

    def mapping(self, value: dict[object, object]) -> Json:
        return self._inside(value, lambda: self._pairs(value))

    def sequence(self, value: Iterable[object], size: int) -> Json:
        return self._inside(value, lambda: self._items(value, size))

    def _inside(self, container: object, fill: Callable[[], Json]) -> Json:
        if id(container) in self._path:
            self._counts["cycle"] += 1
            return {"$": "cycle"}
        if len(self._path) >= self._limits.depth:
            self._counts["cut"] += 1
            return {"$": "deep"}
        self._path.append(id(container))
        try:
            return fill()
        finally:
            self._path.pop()

    def _pairs(self, value: dict[object, object]) -> Json:
        made: dict[str, Json] = {}
        normaliser = Normaliser(limits=self._limits, counts=self._counts)
        for key, each in list(dict.items(value)):
            if not self._room():
                made |= {"$": "more", "$len": dict.__len__(value)}
                break
            name = normaliser.name(key)
            name = "$" + name if name.startswith("$") else name
            made[unused(name, made, self._counts)] = self.step(each)
        return made

    def _items(self, value: Iterable[object], size: int) -> Json:
        made: list[Json] = []
        for each in value:
            if not self._room():
                made.append({"$": "more", "len": size})
                break
            made.append(self.step(each))
        return made

    def _room(self) -> bool:
        self._left -= 1
        if self._left == -1:
            self._counts["cut"] += 1
        return self._left >= 0

    def _foreign(self, value: object) -> Json:
        """Scalars and arrays of other packages, by duck typing."""
        kind: Any = type(value)
        root = str(kind.__module__).partition(".")[0]
        if root == "pandas" and type_name(kind) in ("NAType", "NaTType"):
            return None
        if root in _TENSORS:
            return self._tensor(value)
        if root == "pyarrow" and hasattr(value, "as_py"):
            return self.step(value.as_py())
        self._counts["unknown_type"] += 1
        return shape(value)

    def _tensor(self, value: Any) -> Json:
        name = type_name(type(value))
        if name == "datetime64":
            return None if value != value else self.text(str(value))
        if name == "timedelta64":
            return None if value != value else float(value / type(value)(1, "s"))
        if not hasattr(value, "tolist"):
            self._counts["unknown_type"] += 1
            return {"type": name}
        dimensions = [int(each) for each in value.shape]
        size = 1
        for each in dimensions:
            size *= each
        if size > self._limits.items or str(getattr(value, "device", "cpu")) != "cpu":
            self._counts["cut"] += 1
            return {"type": name, "shape": dimensions, "dtype": str(value.dtype)[:64]}
        if dimensions:
            return self.step(value.tolist())
        item = value.item() if hasattr(value, "item") else value.tolist()
        return shape(value) if type(item) is type(value) else self.step(item)


def unused(name: str, taken: Container[object], counts: Counter[str]) -> str:
    """Return the name, or where it is taken (two keys became one by NFC or as text) the first free ``name#2``."""
    if name not in taken:
        return name
    counts["key"] += 1
    number = 2
    while f"{name}#{number}" in taken:
        number += 1
    return f"{name}#{number}"


def _key(value: object) -> str:
    """Keys as the json module writes them; other objects by their type alone."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and value.bit_length() <= DIGITS_BITS_MAX:
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, dt.date) or _is_of(type(value), "uuid", "UUID"):
        return str(value)
    return f"<{type_name(type(value))}>"


def _sound(text: str, counts: Counter[str]) -> str:
    """Half of a surrogate pair has no UTF-8: it becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        counts["surrogate"] += 1
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _moment(walk: _Walk, value: Any) -> Json:
    """ISO 8601; pandas' NaT is a datetime that does not equal itself."""
    return None if value != value else walk.text(value.isoformat())


def _is_of(kind: type, module: str, name: str) -> bool:
    """Return whether a class is that of a module, or derived from it: of one that nobody has imported there is no object."""
    family = getattr(sys.modules.get(module), name, None)
    return isinstance(family, type) and issubclass(kind, family)


def _decimal(walk: _Walk, value: Any) -> Json:
    """A number of a model is a float; a signalling NaN cannot become one."""
    try:
        return walk.number(float(value))
    except (ValueError, OverflowError, ZeroDivisionError):
        return walk.number(float("nan"))


def _unordered(walk: _Walk, value: Any) -> Json:
    return walk.sequence(sorted(value, key=_order), len(value))


def _order(value: object) -> tuple[str, str]:
    """The scalars of a set stand in the same order in every process."""
    return type_name(type(value)), str(value) if type(value) in _SCALARS else ""


def _enum(walk: _Walk, value: Enum) -> Json:
    return walk.step(value._value_) if not isinstance(value._value_, Enum) else shape(value)


_How = Callable[[_Walk, Any], Json]
_TABLE: Mapping[type, _How] = {
    type(None): lambda walk, value: None,
    bool: lambda walk, value: value,
    int: _Walk.integer,
    float: _Walk.number,
    str: _Walk.text,
    dict: _Walk.mapping,
    list: lambda walk, value: walk.sequence(value, len(value)),
    tuple: lambda walk, value: walk.sequence(value, len(value)),
}
_FAMILIES: tuple[tuple[Any, _How], ...] = (
    (Enum, _enum),
    (str, _Walk.text),
    (int, _Walk.integer),
    (float, _Walk.number),
    (dict, _Walk.mapping),
    (list, lambda walk, value: walk.sequence(list.__iter__(value), list.__len__(value))),
    (tuple, lambda walk, value: walk.sequence(tuple.__iter__(value), tuple.__len__(value))),
    ((set, frozenset), _unordered),
    (deque, lambda walk, value: walk.sequence(deque.__iter__(value), deque.__len__(value))),
    ((dt.date, dt.time), _moment),
    (dt.timedelta, lambda walk, value: walk.number(dt.timedelta.total_seconds(value))),
    (PurePath, lambda walk, value: walk.text(str(value))),
    ((bytes, bytearray, memoryview, complex), lambda walk, value: shape(value)),
)
_IMPORTED: tuple[tuple[str, str, _How], ...] = (
    ("decimal", "Decimal", _decimal),
    ("fractions", "Fraction", _decimal),
    ("uuid", "UUID", lambda walk, value: walk.text(str(value))),
)
