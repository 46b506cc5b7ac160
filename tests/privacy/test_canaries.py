"""The canary run: personal data and secrets in every place of a record, and none in any byte that the logger writes.

The positive control plants the same with everything opened and must find it in every place: else the scan is blind.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrue.logger import Fields, InferenceLogger
from retrue.logger.scrub import Scrubber
from retrue.sources.compaction import compact_spool
from tests.privacy.canaries import CLASSES, Aviary, Canary, hits

PLACES = (
    *("feature", "nested value", "nested key", "feature name", "number", "bytes", "prediction", "class", "context"),
    *(
        "context name",
        "caller_id",
        "inference_id",
        "endpoint",
        "trace_id",
        "message",
        "argument",
        "note",
        "cause",
        "local",
    ),
    *(
        "group",
        "key error",
        "type of exception",
        "model",
        "finish reason",
        "reason",
        "label",
        "label's id",
        "label's source",
    ),
    *("unknown fact", "features as text"),
)
UNSAID = frozenset({"local", "unknown fact", "bytes", "caller_id"})
"""Places that not even an open policy writes."""


def plant_all(log: InferenceLogger, aviary: Aviary) -> None:
    """Put one canary of each class in every place that a host can put anything in."""
    for kind in CLASSES:
        _answered(log, aviary, kind)
        _failing(log, aviary, kind)
        log.record(aviary.plant("features as text", kind))
        with log.observe({}) as call:
            call.rejected(aviary.plant("reason", kind))
        log.label(
            aviary.plant("label's id", kind), aviary.plant("label", kind), source=aviary.plant("label's source", kind)
        )


def _answered(log: InferenceLogger, aviary: Aviary, kind: str) -> None:
    def new(place: str) -> str:
        return aviary.plant(place, kind)

    features: dict[object, object] = {
        "passenger": new("feature"),
        "nested": {"deep": [{"deeper": new("nested value"), new("nested key"): 1}]},
        new("feature name"): 1.5,
        "raw": new("bytes").encode(),
    }
    if kind == "card":
        features["account"] = int(new("number"))
    call: Any
    with log.observe(
        features,
        inference_id=new("inference_id"),
        caller_id=new("caller_id"),
        endpoint=f"POST /users/{new('endpoint')}/predict",
        context={"who": new("context"), new("context name"): 1},
        trace_id=new("trace_id"),
    ) as call:
        call.predicted(new("prediction"), score=0.5, scores={new("class"): 0.5})
        call.generated(model=new("model"), input_tokens=3, output_tokens=9, finish_reason=new("finish reason"))
    facts: Any = {"whatever": new("unknown fact")}
    with contextlib.suppress(TypeError):
        log.record({}, **facts)


def _failing(log: InferenceLogger, aviary: Aviary, kind: str) -> None:
    def new(place: str) -> str:
        return aviary.plant(place, kind)

    def fail(message: str) -> None:
        secret = new("local")
        try:
            raise ValueError(f"no fare for {new('cause')}")
        except ValueError as cause:
            error = RuntimeError(f"cannot price {message}", new("argument"))
            error.add_note(f"it was {new('note')}")
            raise error from cause
        finally:
            assert secret

    def missing(key: str) -> None:
        raise KeyError(key)

    def several(message: str) -> None:
        raise ExceptionGroup(message, [ValueError(message)])

    def named(name: str) -> None:
        raise type(name, (Exception,), {})("strange")

    for place, function in {
        "message": fail,
        "key error": missing,
        "group": several,
        "type of exception": named,
    }.items():
        with contextlib.suppress(Exception), log.observe({}):
            function(new(place))


def logged(folder: Path, fields: Fields) -> list[Canary]:
    """Run the logger over all canaries, write, close and compact; return the canaries."""
    aviary = Aviary(seed=7)
    log = InferenceLogger("flight-delay", version="3", to=folder, fields=fields, resources_every=1.0)
    plant_all(log, aviary)
    counts = log.close(timeout=20.0)
    assert counts.queued == 0
    return aviary.made


def told(found: list[tuple[str, Canary, str]]) -> list[str]:
    return sorted({f"{canary.kind} of {canary.place} in {name} ({writing})" for name, canary, writing in found})


@pytest.mark.parametrize(
    "fields",
    [
        Fields(),
        Fields(keep=Fields.NUMBERS, errors="type"),
        Fields(hash=["passenger", "prediction", "label"], key=b"an example, not a secret"),
    ],
    ids=["default", "numbers", "hashed"],
)
def test_no_canary_is_in_any_byte_written_by_default(fields: Fields, tmp_path: Path) -> None:
    made = logged(tmp_path, fields)
    assert {canary.place for canary in made} == set(PLACES)
    assert told(hits(tmp_path, made)) == []
    for root in (tmp_path, tmp_path / "labels"):
        compact_spool(root)
        assert list(root.glob("*.parquet"))
    assert told(hits(tmp_path, made)) == []


def test_scrubbed_text_holds_no_canary_that_a_finder_claims_to_find(tmp_path: Path) -> None:
    """People's names in free text are what scrubbing does not find: they need a finder of one's own."""
    text = ["passenger", "nested", "context.who", "prediction", "label", "value"]
    made = logged(tmp_path, Fields(text=text, errors="scrubbed"))
    claimed = [canary for canary in made if canary.kind != "free"]
    assert told(hits(tmp_path, claimed)) == []
    assert told(hits(tmp_path, made)) != []


def test_the_scan_finds_every_canary_where_everything_is_opened(tmp_path: Path) -> None:
    """The positive control: the scan is not blind, and each place is one that values reach the disk by."""
    text = ["passenger", "nested", "context.who", "label", "value", "account"]
    names = [canary.value for canary in logged(tmp_path / "rehearsal", Fields()) if canary.place.endswith(" name")]
    listed = [f"context.{name}" for name in names]
    open_fields = Fields(keep=["prediction"], text=[*text, *names, *listed], errors="scrubbed", scrubber=Scrubber(()))
    made = logged(tmp_path / "open", open_fields)
    seen = {canary.place for _, canary, _ in hits(tmp_path / "open", made)}
    assert seen == set(PLACES) - UNSAID
    compact_spool(tmp_path / "open")
    parquet = {canary.place for name, canary, _ in hits(tmp_path / "open", made) if name.endswith(".parquet")}
    assert parquet >= {"feature", "prediction", "message", "feature name"}


def test_the_scan_sees_through_every_writing(tmp_path: Path) -> None:
    aviary = Aviary(seed=1)
    value = aviary.plant("anywhere", "email").partition("@")[0]
    (tmp_path / "a.gz").write_bytes(gzip.compress(value.encode()))
    (tmp_path / "b.txt").write_bytes(value[::-1].upper().encode())
    pq.write_table(pa.table({"a": [f"({value})"]}), tmp_path / "c.parquet", compression="zstd")
    (tmp_path / "d.txt").write_bytes(base64.b64encode(f"ab{value}!".encode()))
    (tmp_path / value).write_bytes(b"")
    assert {name for name, _, _ in hits(tmp_path, aviary.made)} == {"a.gz", "b.txt", "c.parquet", "d.txt", value}
