"""The record of a plain success is the same whichever way it is made."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from retrue.logger.calls import Plain
from retrue.logger.records import facts_of, inference_record, plain_record

ENDED = 1_700_000_000_000_000_000
BOOT = "0123456789abcdef"


@pytest.mark.parametrize("features", [{"x": 1.5}, OrderedDict(x=1.5), [1.5, 2.5], None, "text"])
@pytest.mark.parametrize("latency_ms", [None, 0.0, 12.5, -1.0, float("nan"), 1e12, "12"])
def test_a_plain_success_makes_the_record_that_its_facts_make(features: object, latency_ms: float | None) -> None:
    plain: Plain = (features, True, 0.25, latency_ms, ENDED, {})
    own, said = plain_record(plain, 7, 2.0, boot=BOOT, endpoint="POST /predict")
    quick = {**own, **said}
    whole = inference_record(facts_of(plain), 7, 2.0, boot=BOOT, endpoint="POST /predict", now=lambda: 0)
    assert quick == whole
    assert list(own)[:3] == list(whole)[:3] == ["seq", "inference_id", "time"]
    assert quick["time"] == (ENDED - 12_500_000 if latency_ms == 12.5 else ENDED)


def test_what_no_field_is_named_for_is_left_out() -> None:
    record = inference_record({"features": {}, "nonsense": 1}, 1, 1.0, boot=BOOT, endpoint=None, now=lambda: ENDED)
    assert record.keys() == {"seq", "inference_id", "time", "status", "features", "endpoint", "sample_weight"}
