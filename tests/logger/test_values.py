"""Any value becomes JSON that a reader tells apart, whatever the object does, within limits."""

import datetime as dt
import enum
import math
import unicodedata
import uuid
from collections import Counter, OrderedDict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.logger.shapes import Json, cut_text, is_shape, shape, shortened
from retrue.logger.values import Limits, Normaliser, decode_special


def normalised(value: object, **limits: int) -> tuple[Json, Counter[str]]:
    counts: Counter[str] = Counter()
    return Normaliser(limits=Limits(**limits), counts=counts).value(value), counts


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Name(str):
    def __str__(self) -> str:
        return "not the text"


Point = namedtuple("Point", "x y")

TABLE: list[tuple[object, Json]] = [
    (None, None),
    (True, True),
    (3, 3),
    (2**63 - 1, 2**63 - 1),
    (2**70, "1180591620717411303424"),
    (-(2**70), "-1180591620717411303424"),
    (2**20_000, {"type": "int", "bits": 20_001}),
    (1.5, 1.5),
    (math.nan, {"$": "nan"}),
    (math.inf, {"$": "inf"}),
    (-math.inf, {"$": "-inf"}),
    ("text", "text"),
    ("a\ud800b", "a\ufffdb"),
    ("\x00\x1b[31m\u2028\r\n", "\x00\x1b[31m\u2028\r\n"),
    (Name("text"), "text"),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    ((1, 2), [1, 2]),
    (Point(1, 2), [1, 2]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset("ba"), ["a", "b"]),
    (deque([1]), [1]),
    (OrderedDict(a=1), {"a": 1}),
    ({1: "a", None: "b", 2.5: "d", (1, 2): "e"}, {"1": "a", "null": "b", "2.5": "d", "<tuple>": "e"}),
    ({"$": "nan", "$x": 1}, {"$$": "nan", "$$x": 1}),
    (Decimal("1.10"), 1.1),
    (Decimal("NaN"), {"$": "nan"}),
    (Decimal("sNaN"), {"$": "nan"}),
    (Decimal("1e999"), {"$": "inf"}),
    (Fraction(1, 4), 0.25),
    (dt.datetime(2013, 1, 5, 6, tzinfo=dt.UTC), "2013-01-05T06:00:00+00:00"),
    (dt.date(2013, 1, 5), "2013-01-05"),
    (dt.time(6), "06:00:00"),
    (dt.timedelta(minutes=1), 60.0),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("a/b"), "a/b"),
    (b"abc", {"type": "bytes", "len": 3}),
    (1j, {"type": "complex"}),
    (object(), {"type": "object"}),
    (np.float32(0.5), 0.5),
    (np.float64("nan"), {"$": "nan"}),
    (np.int64(3), 3),
    (np.uint64(2**64 - 1), "18446744073709551615"),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (np.array(7), 7),
    (np.array([[1.0, np.nan]]), [[1.0, {"$": "nan"}]]),
    (np.datetime64("2013-01-05"), "2013-01-05"),
    (np.datetime64("NaT"), None),
    (np.timedelta64(1, "m"), 60.0),
    (np.longdouble(2), {"type": "longdouble"}),
    (pd.NaT, None),
    (pd.NA, None),
    (pd.Timestamp("2013-01-05", tz="UTC"), "2013-01-05T00:00:00+00:00"),
    (pd.Series([1]), {"type": "Series"}),
    (pa.scalar(3), 3),
]


@pytest.mark.parametrize(("value", "expected"), TABLE, ids=lambda value: type(value).__name__)
def test_every_type_has_its_form(value: object, expected: Json) -> None:
    made, _ = normalised(value)
    assert made == expected
    assert type(made) is type(expected)
    assert orjson.loads(orjson.dumps(made)) == expected


def test_large_arrays_are_told_by_their_shape() -> None:
    made, counts = normalised(np.zeros((100, 100), dtype="float32"))
    assert made == {"type": "ndarray", "shape": [100, 100], "dtype": "float32"}
    assert counts == {"cut": 1}
    assert is_shape(made)


def test_what_was_changed_is_counted_by_reason() -> None:
    _, counts = normalised([math.nan, 2**70, "\ud800", object(), {1: 2}])
    assert counts == {"not_finite": 1, "big_integer": 1, "surrogate": 1, "unknown_type": 1, "key": 1}


SCALARS = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats() | st.text(max_size=20)
NAMES = st.text(max_size=8).map(lambda name: unicodedata.normalize("NFC", name))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4))


@given(VALUES)
def test_decoding_gives_back_what_was_written(value: Any) -> None:
    made, counts = normalised(value)
    if "surrogate" not in counts and "key" not in counts:
        assert repr(decode_special(orjson.loads(orjson.dumps(made)))) == repr(value)


class Hostile:
    """An object of which every question raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __len__ = __iter__ = __hash__ = __eq__ = __float__ = __bool__ = __repr__  # type: ignore[assignment]


class HostileArray(Hostile):
    """One that says to be numpy's."""


HostileArray.__module__ = "numpy"


class HostileZone(dt.tzinfo):
    """A time zone that raises."""

    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        raise RuntimeError


class HostileDict(dict[str, int]):
    """A dictionary whose methods raise."""

    def items(self) -> Any:
        raise RuntimeError

    __iter__ = __len__ = items


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Hostile(), {"type": "Hostile"}),
        (HostileArray(), "<unprintable HostileArray>"),
        (dt.datetime(2013, 1, 5, tzinfo=HostileZone()), "<unprintable datetime>"),
        (HostileDict(a=1), {"a": 1}),
        (type("jane@posta.example", (), {})(), {"type": "object"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_hostile_objects_are_told_by_their_type(value: object, expected: Json) -> None:
    assert normalised([value])[0] == [expected]
    assert "type" in shape(value)


def test_containers_inside_themselves_end() -> None:
    cycle: list[object] = [1]
    cycle += [cycle, {"again": cycle}]
    made, counts = normalised(cycle)
    assert made == [1, {"$": "cycle"}, {"again": {"$": "cycle"}}]
    assert counts == {"cycle": 2}


def test_deep_values_end_at_the_limit() -> None:
    deep: object = "bottom"
    for _ in range(100_000):
        deep = [deep]
    made, counts = normalised(deep)
    assert orjson.dumps(made).count(b"[") == 32
    assert counts == {"cut": 1}
    while type(made) is list:
        made = made[0]
    assert made == {"$": "deep"}


def test_values_that_grow_with_their_depth_stay_bounded() -> None:
    wide: object = "x"
    for _ in range(30):
        wide = [wide, wide]
    assert len(orjson.dumps(normalised(wide)[0])) < 20_000


def test_long_containers_end_with_a_mark() -> None:
    assert normalised(list(range(10)), items=3)[0] == [0, 1, 2, {"$": "more", "len": 10}]
    assert normalised({str(number): 1 for number in range(5)}, items=2)[0] == {"0": 1, "1": 1, "$": "more", "$len": 5}


def test_long_text_keeps_its_length_and_a_digest() -> None:
    made, counts = normalised("x" * 5_000_000)
    assert len(made) == 4_096
    assert made.endswith("… <cut, 5000000 characters, sha256 03a7bd518f3e4eca>")
    assert counts == {"cut": 1}
    assert cut_text("é\ud800" * 500, 100).encode()


def test_names_that_become_one_are_told_apart() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    made, counts = normalised({composed: 1, decomposed: 2, decomposed + "!": 3})
    assert made == {composed: 1, f"{composed}#2": 2, f"{composed}!": 3}
    assert counts == {"key": 1}


def test_shapes_tell_type_and_length_alone() -> None:
    told = [shape(value) for value in ("Jane", b"ab", [1, 2], {"a": 1}, 3, 2.5, True, Colour.RED, HostileDict(a=1))]
    assert told == [
        {"type": "str", "len": 4},
        {"type": "bytes", "len": 2},
        {"type": "list", "len": 2},
        {"type": "dict", "len": 1},
        {"type": "int"},
        {"type": "float"},
        {"type": "bool"},
        {"type": "Colour"},
        {"type": "HostileDict", "len": 1},
    ]
    assert all(map(is_shape, told))
    assert not is_shape({"type": "credit", "amount": 3})


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=400) | st.lists(st.integers(0, 9), max_size=99), max_size=99)
)
def test_large_records_are_cut_to_size(features: dict[str, Json]) -> None:
    record = {"seq": 1, "inference_id": "a", "features": features, "error_stack": "é" * 1_500}
    made = shortened(record, 2_500)
    assert len(orjson.dumps(made)) <= 2_500
    assert made["seq"] == 1
    assert record["features"] is features


def test_the_largest_values_are_cut_first() -> None:
    made = shortened({"seq": 1, "features": {"small": "a" * 99, "large": "b" * 3_000, "number": 2}}, 1_000)
    assert made["features"]["small"] == "a" * 99
    assert made["features"]["large"] == {"type": "str", "len": 3_000, "cut": True, "sha256": "5f57da63b0b1af21"}
    assert made["features"]["number"] == 2


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="depth is 0, at least 1"):
        Limits(depth=0)
