"""Features that a logger did not keep are no columns: nothing can be measured of a type and a length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrue.logger import Fields, InferenceLogger
from tests.sources.logs import START, pull, record, write_lines

SHAPE = {"type": "str", "len": 3}


def test_what_the_logger_did_not_keep_is_named_and_no_feature(tmp_path: Path) -> None:
    log = InferenceLogger("m", version="1", to=tmp_path / "logs", fields=Fields(keep=["x"]))
    for number in range(5):
        log.record({"x": 1.0, "name": "ann", "age": 40 + number, "tags": ["a"]}, time=START, prediction=1)
    log.close(5)
    with pull(tmp_path) as pulled:
        assert (pulled.features, pulled.unkept) == (("x",), ("age", "name", "tags"))
        assert not {"age", "name", "tags"} & set(pulled.columns)


@pytest.mark.parametrize("value", [{"type": "str", "len": 3, "more": 1}, {"kind": "str"}, [1], {"type": 7}])
def test_other_nested_values_stay(tmp_path: Path, value: object) -> None:
    write_lines(tmp_path / "logs" / "a.jsonl", [record(0, **{"features.n": value}), record(1, **{"features.n": SHAPE})])
    with pull(tmp_path) as pulled:
        assert "n" in pulled.features
        assert pulled.unkept == ()


def test_arrays_and_large_numbers_that_were_not_kept_are_no_features_either(tmp_path: Path) -> None:
    log = InferenceLogger("m", version="1", to=tmp_path / "logs", fields=Fields(keep=["x"]))
    log.record({"x": 1.0, "embedding": np.zeros(512), "account": 2**70, "raw": b"ab"}, time=START, prediction=1)
    log.close(5)
    with pull(tmp_path) as pulled:
        assert pulled.features == ("x",)


def test_a_feature_with_a_quote_in_its_name_is_dropped_as_well(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs" / "a.jsonl", [record(0, **{'features.a"b': SHAPE})])
    with pull(tmp_path) as pulled:
        assert pulled.unkept == ('a"b',)
