"""What `Fields` lets into a record: names on its lists, numbers that a model gave, and shapes of everything else."""

import hashlib
import hmac
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.logger.fields import Fields
from retrue.logger.messages import Raised
from retrue.logger.scrub import Scrubber
from retrue.logger.shapes import is_shape
from retrue.logger.values import Limits

KEY = b"an example, not a secret"
JANE = "zsofia@posta.example"


def redacted(fields: Fields, **record: object) -> dict[str, Any]:
    return fields.redact(record)


def features(fields: Fields, **values: object) -> dict[str, Any]:
    made = fields.redact({"features": values})["features"]
    assert isinstance(made, dict)
    return made


def test_only_listed_fields_are_written() -> None:
    fields = Fields(keep=["carrier", "distance"], drop=["tailnum"])
    assert features(fields, carrier="UA", distance=1400, tailnum="N14228", note="call her", age=31, of=[1, 2]) == {
        "carrier": "UA",
        "distance": 1400,
        "note": {"type": "str", "len": 8},
        "age": {"type": "int"},
        "of": {"type": "list", "len": 2},
    }


def test_numbers_may_be_kept_without_a_list() -> None:
    fields = Fields(keep=Fields.NUMBERS)
    kept = {"a": 1, "b": 0.5, "c": True, "d": np.float32(0.5), "e": [0.1, 0.2], "f": None, "g": math.nan}
    assert features(fields, **kept) == {**kept, "g": {"$": "nan"}}
    told = features(fields, text="31", card=4111111111111111, large=4111111111111111.0, mixed=[1, "a"])
    assert all(map(is_shape, told.values()))
    assert features(Fields(keep=[Fields.NUMBERS, "carrier"]), carrier="UA", x=1) == {"carrier": "UA", "x": 1}


def test_hashes_are_keyed_and_equal_for_equal_text() -> None:
    fields = Fields(hash=["passenger"], key=KEY)
    expected = hmac.new(KEY, b"17", hashlib.sha256).hexdigest()[:32]
    assert features(fields, passenger=17)["passenger"] == expected
    assert features(fields, passenger="17")["passenger"] == expected
    assert fields.pseudonym("17") == expected
    assert fields.pseudonym("cafe\u0301") == fields.pseudonym("caf\u00e9")
    assert fields.pseudonym(None) is None
    assert features(fields, passenger=["17"])["passenger"] == {"type": "list", "len": 1}
    assert Fields(hash=["passenger"], key=KEY + b"!").pseudonym("17") != expected


def test_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HASH_KEY", KEY.decode())
    assert Fields(hash=["a"]).pseudonym("x") == Fields(hash=["a"], key=KEY).pseudonym("x")
    assert Fields().describe()["keyed"] is True


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keep": "carrier"}, TypeError, r"keep is 'carrier', expected a list of names: keep=\['carrier'\]"),
        ({"drop": [3]}, TypeError, "drop has 3, expected names as text"),
        ({"keep": ["a"], "drop": ["a"]}, ValueError, "'a' is in both keep and drop"),
        ({"keep": ["a"], "text": ["a"]}, ValueError, "'a' is in both keep and text"),
        ({"hash": ["a"]}, ValueError, "needs a key: give key=, or set RETRUE_HASH_KEY"),
        ({"key": b"short"}, ValueError, "the key has 5 bytes, at least 16"),
        ({"key": 3}, TypeError, "key is int"),
        ({"errors": "all"}, ValueError, "errors is 'all', expected one of program, scrubbed, type"),
        ({"drop": [Fields.NUMBERS]}, ValueError, "only keep may have"),
    ],
)
def test_wrong_lists_are_refused_with_the_reason(
    options: Mapping[str, Any], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETRUE_HASH_KEY", raising=False)
    with pytest.raises(error, match=message):
        Fields(**options)


def test_key_is_never_shown() -> None:
    fields = Fields(keep=["carrier"], hash=["passenger"], key=KEY)
    assert KEY.decode() not in repr(fields) + str(vars(fields)["_lists"]) + orjson.dumps(fields.describe()).decode()
    assert repr(fields) == "Fields(keep=['carrier'], hash=['passenger'], errors='program')"


def test_free_text_is_kept_scrubbed() -> None:
    told = features(Fields(text=["note", "chat"]), note=f"mail {JANE}", chat={"who": JANE, "said": [f"I am {JANE}"]})
    assert told == {"note": "mail <email>", "chat": {"who": "<email>", "said": ["I am <email>"]}}


def test_answers_are_numbers_unless_they_are_listed() -> None:
    record = {"prediction": "cat", "scores": {"cat": 0.9, "dog": 0.1}, "label": "dog", "score": 0.9}
    assert Fields().redact(record) == {"prediction": {"type": "str", "len": 3}, "label": {"type": "str", "len": 3}, "score": 0.9}  # fmt: skip
    assert Fields(keep=["prediction", "label"]).redact(record) == record
    assert Fields(text=["prediction"]).redact({"prediction": f"ask {JANE}"}) == {"prediction": "ask <email>"}
    numbers = {"prediction": [0.5, 1], "scores": {"0": 0.25, "1": 0.75}, "label": True}
    assert Fields().redact({**numbers, "scores": {0: 0.25, 1: np.float64(0.75)}}) == numbers
    assert Fields().redact({"prediction": 4111111111111111}) == {"prediction": {"type": "int"}}


def test_context_is_listed_by_its_own_names() -> None:
    fields = Fields(keep=["context.region", "tenant"])
    assert fields.redact({"context": {"region": "eu", "tenant": "x"}, "features": {"region": "eu", "tenant": "x"}}) == {
        "context": {"region": "eu", "tenant": {"type": "str", "len": 1}},
        "features": {"region": {"type": "str", "len": 2}, "tenant": "x"},
    }


def test_callers_are_hashed_or_told_by_length() -> None:
    assert Fields(key=KEY).redact({"caller_id": JANE})["caller_id"] == Fields(key=KEY).pseudonym(JANE)
    assert Fields().redact({"caller_id": JANE})["caller_id"] == "<str, 20 characters>"


def test_inference_ids_are_kept_unless_they_are_personal() -> None:
    fields = Fields()
    assert fields.identify("0123456789abcdef-17") == "0123456789abcdef-17"
    assert fields.identify("4111111111111111") != "4111111111111111"
    assert fields.identify("order/2013-01-05/0017") == "order/2013-01-05/0017"
    made = fields.identify(JANE)
    assert len(made) == 32
    assert fields.identify("of Zsofia Kovacs") != "of Zsofia Kovacs"
    assert made == fields.redact({"inference_id": JANE})["inference_id"]
    assert made != Fields().identify(JANE)
    assert Fields(key=KEY).identify(JANE) == Fields(key=KEY).pseudonym(JANE)
    assert fields.normalised == {"personal_id": 4}


def test_endpoints_lose_their_query_and_what_is_personal() -> None:
    assert (
        redacted(Fields(), endpoint=f"POST /users/{JANE}/predict?token=abc#x")["endpoint"] == "POST /users/<*>/predict"
    )


def test_names_that_no_list_has_are_written_only_if_they_look_like_a_programs() -> None:
    told = features(
        Fields(), **{"distance": 1, "petal width (cm)": 1, JANE: 1, "Zsofia Kovacs": 1, "card_4111111111111111": 1}
    )
    assert list(told) == [
        *("distance", "petal width (cm)", "<name, 20 characters>", "<name, 13 characters>", "<name, 21 characters>"),
    ]
    assert list(features(Fields(keep=["Zsofia Kovacs"]), **{"Zsofia Kovacs": 1})) == ["Zsofia Kovacs"]


def test_names_without_end_are_taken_for_data() -> None:
    fields = Fields()
    told = [next(iter(features(fields, **{f"user_{number}": 1}))) for number in range(1_200)]
    assert told[999] == "user_999"
    assert told[1_000] == "<name, 9 characters>"


def test_names_are_nfc_and_those_that_clash_are_told_apart() -> None:
    fields = Fields(keep=["caf\u00e9"])
    assert fields.redact({"features": {"cafe\u0301": 1, "caf\u00e9": 2, 3: 4}}) == {
        "features": {"caf\u00e9#2": 1, "caf\u00e9": 2, "3": {"type": "int"}}
    }


def test_features_without_names_have_one() -> None:
    assert Fields().redact({"features": "tell me of Jane"}) == {"features": {"value": {"type": "str", "len": 15}}}
    assert Fields(keep=Fields.NUMBERS).redact({"features": np.array([1.0, 2.0])}) == {"features": {"value": [1.0, 2.0]}}


def test_too_many_features_leave_the_listed_ones() -> None:
    fields = Fields(keep=["wanted"], limits=Limits(fields=3))
    told = features(fields, **{f"x{number}": 1 for number in range(9)}, wanted=2)
    assert list(told) == ["wanted", "x0", "x1"]
    assert fields.normalised["cut"] == 1


def test_wrong_types_in_the_records_own_fields_are_left_out() -> None:
    made = redacted(
        Fields(), seq=1, latency_ms=JANE, request_bytes=np.int64(3), trace_id=JANE, span_id="00f0", status=JANE, cost_usd=math.nan
    )  # fmt: skip
    assert redacted(Fields(), trace_id="4111111111111111") == {}
    assert made == {"seq": 1, "request_bytes": 3, "span_id": "00f0", "status": "<name, 20 characters>"}


def test_a_key_that_no_record_has_is_told_by_its_shape() -> None:
    assert Fields().redact({"passenger": "Jane", JANE: 1}) == {
        "passenger": {"type": "str", "len": 4},
        "<name, 20 characters>": {"type": "int"},
    }


def test_reasons_of_the_program_are_kept_as_messages_and_other_text_is_not() -> None:
    assert redacted(Fields(), error_message="quota") == {"error_message": "quota"}
    assert redacted(Fields(), error_message="http 429") == {"error_message": "http 429"}
    assert redacted(Fields(), error_message="no fare for zsofia") == {"error_message": "<text, 18 characters>"}
    assert redacted(Fields(), error_message=f"{JANE} has none") == {"error_message": "<text, 29 characters>"}
    assert redacted(Fields(errors="scrubbed"), error_message=f"{JANE} has none") == {
        "error_message": "<email> has none"
    }


def test_stacks_hold_frames_and_messages_by_the_policy() -> None:
    stack = ["Traceback:", "  line 3, in predict", Raised.of(ValueError(f"no fare for {JANE}"))]
    assert redacted(Fields(), error_stack=stack)["error_stack"].splitlines() == [
        *("Traceback:", "  line 3, in predict", "ValueError: <text, 32 characters>"),
    ]
    assert redacted(Fields(errors="type"), error_stack=stack)["error_stack"].endswith("\nValueError")
    assert redacted(Fields(), error_stack=f"ValueError: {JANE}") == {"error_stack": ""}


def test_generations_tell_their_models_but_no_text() -> None:
    made = Fields().redact(
        {"gen_ai.request.model": "gpt-4.1-mini", "gen_ai.response.finish_reasons": ["stop", JANE], "input_tokens": 3}
    )
    for model in ("claude-3-5-sonnet-20241022", "Qwen/Qwen2.5-7B-Instruct", "ft:gpt-4o-2024-08-06:org::a1"):
        assert Fields().redact({"gen_ai.request.model": model}) == {"gen_ai.request.model": model}
    assert made == {
        "gen_ai.request.model": "gpt-4.1-mini",
        "gen_ai.response.finish_reasons": ["stop", "<name, 20 characters>"],
        "input_tokens": 3,
    }


def test_large_records_are_cut_to_the_limit() -> None:
    fields = Fields(keep=["a", "b"], limits=Limits(record_bytes=2_000, text_characters=4_000))
    line = fields.encode({"seq": 1, "features": {"a": "x" * 3_900, "b": "y"}})
    assert len(line) <= 2_000
    assert orjson.loads(line)["features"]["b"] == "y"
    assert orjson.loads(line)["features"]["a"]["cut"] is True
    assert fields.normalised == {"cut": 1}


def test_another_scrubber_may_be_given() -> None:
    assert features(Fields(text=["note"], scrubber=Scrubber(())), note=JANE) == {"note": JANE}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=20,
)
RECORD_KEYS = st.sampled_from(
    [
        *(
            "seq",
            "time",
            "features",
            "context",
            "prediction",
            "label",
            "score",
            "scores",
            "caller_id",
            "endpoint",
            "status",
        ),
        *("error_message", "error_stack", "error_type", "trace_id", "gen_ai.response.finish_reasons", "other"),
    ]
)


@given(
    st.dictionaries(RECORD_KEYS, ANY),
    st.sampled_from([Fields(), Fields(keep=Fields.NUMBERS, text=["prediction"], key=KEY)]),
)
def test_any_record_becomes_one_line_of_json(record: dict[str, Any], fields: Fields) -> None:
    line = fields.encode(record)
    assert b"\n" not in line
    assert isinstance(orjson.loads(line), dict)


@given(st.dictionaries(st.text(), st.text(alphabet="abcdefghij", min_size=9), max_size=5), ANY)
def test_nothing_of_unlisted_text_is_written(values: dict[str, str], nested: object) -> None:
    line = Fields().encode(
        {"features": {**values, "nested": [values, nested]}, "context": values, "prediction": values}
    )
    assert not any(value.encode() in line for value in values.values() if value not in values)
    told = orjson.loads(line)
    assert all(is_shape(each) for each in (*told["features"].values(), *told["context"].values(), told["prediction"]))
