from collections.abc import AsyncIterator, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from retrue.logger import Call, InferenceLogger
from retrue.logger.genai import (
    FIRST_CHUNK,
    Price,
    Usage,
    generated_by_async_stream,
    generated_by_stream,
    generated_from,
    usage_of,
)
from tests.aio import run_async

PRICES = {"small": Price(input=0.5, output=2.0, cached_input=0.05, cache_write=1.0)}

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "small-2025-01-01",
    "choices": [{"index": 0, "message": {"content": "a secret answer"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "prompt_tokens_details": {"cached_tokens": 400}},
}
RESPONSES = {
    "object": "response",
    "model": "small",
    "status": "incomplete",
    "incomplete_details": {"reason": "max_output_tokens"},
    "usage": {"input_tokens": 30, "output_tokens": 8, "input_tokens_details": {"cached_tokens": 10}},
}
ANTHROPIC = {
    "type": "message",
    "model": "small",
    "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "a secret answer"}],
    "usage": {
        "input_tokens": 100,
        "cache_read_input_tokens": 700,
        "cache_creation_input_tokens": 200,
        "output_tokens": 50,
    },
}
BEDROCK = {"stopReason": "end_turn", "usage": {"inputTokens": 7, "outputTokens": 5, "totalTokens": 12}}
GOOGLE = {
    "modelVersion": "small",
    "candidates": [{"finishReason": "STOP"}, {"finishReason": "MAX_TOKENS"}],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 6},
}


@pytest.fixture
def call(tmp_path: Path) -> Iterator[Call]:
    log = InferenceLogger("chat", version="1", to=tmp_path, resources_every=None)
    with log.observe({}) as observed:
        yield observed


def as_object(value: Any) -> Any:
    """The same as an SDK's object."""
    if isinstance(value, Mapping):
        return SimpleNamespace(**{name: as_object(each) for name, each in value.items()})
    return [as_object(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("form", [dict, as_object])
@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (
            CHAT,
            Usage(
                model="small-2025-01-01",
                input_tokens=1000,
                output_tokens=200,
                cached_tokens=400,
                finish_reasons=("stop",),
            ),
        ),
        (
            RESPONSES,
            Usage(
                model="small", input_tokens=30, output_tokens=8, cached_tokens=10, finish_reasons=("max_output_tokens",)
            ),
        ),
        (
            ANTHROPIC,
            Usage(
                model="small",
                input_tokens=1000,
                output_tokens=50,
                cached_tokens=700,
                cache_write_tokens=200,
                finish_reasons=("end_turn",),
            ),
        ),
        (BEDROCK, Usage(input_tokens=7, output_tokens=5, finish_reasons=("end_turn",))),
        (GOOGLE, Usage(model="small", input_tokens=9, output_tokens=10, finish_reasons=("STOP", "MAX_TOKENS"))),
    ],
    ids=["openai chat", "openai responses", "anthropic", "bedrock", "google"],
)
def test_each_providers_response_is_read_as_a_mapping_and_as_an_object(
    form: Any, response: Any, expected: Usage
) -> None:
    assert usage_of(form(response)) == expected


def test_a_finish_reason_may_be_an_enumeration() -> None:
    reason = Enum("Reason", {"STOP": "stop"})
    assert usage_of(SimpleNamespace(candidates=[SimpleNamespace(finish_reason=reason["STOP"])])).finish_reasons == (
        "stop",
    )


def test_only_names_and_numbers_are_taken(call: Call) -> None:
    generated_from(call, ANTHROPIC, provider="anthropic")
    assert {name: value for name, value in call.facts.items() if name.startswith("gen_ai.") or "tokens" in name} == {
        "input_tokens": 1000,
        "output_tokens": 50,
        "gen_ai.request.model": "small",
        "gen_ai.response.model": "small",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.finish_reasons": ("end_turn",),
    }
    assert "secret" not in str(call.facts)


def test_the_price_is_found_by_the_model_that_answered_then_by_the_one_asked_for(call: Call) -> None:
    generated_from(call, CHAT, model="small", prices=PRICES)
    assert call.facts["cost_usd"] == pytest.approx((600 * 0.5 + 400 * 0.05 + 200 * 2.0) / 1e6)
    assert call.facts["gen_ai.request.model"] == "small"
    exact = {**PRICES, "small-2025-01-01": Price(input=0, output=1.0)}
    generated_from(call, CHAT, model="small", prices=exact)
    assert call.facts["cost_usd"] == pytest.approx(200 / 1e6)


def test_tokens_read_from_and_written_to_a_cache_have_their_own_price() -> None:
    cost = PRICES["small"].of(usage_of(ANTHROPIC))
    assert cost == pytest.approx((100 * 0.5 + 700 * 0.05 + 200 * 1.0 + 50 * 2.0) / 1e6)


@pytest.mark.parametrize(
    ("response", "prices"),
    [(CHAT, {"large": Price(input=1, output=1)}), (CHAT, None), ({"model": "small"}, PRICES), (BEDROCK, PRICES)],
    ids=["unknown model", "no prices", "no counts", "no model"],
)
def test_an_unknown_cost_is_none_and_not_nothing(call: Call, response: Any, prices: Any) -> None:
    generated_from(call, response, prices=prices)
    assert call.facts.get("cost_usd") is None


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="input is"):
        Price(input=value, output=1)


class Hostile:
    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        return "hostile"


@pytest.mark.parametrize(
    "response",
    [None, "text", 3, [], {"usage": 3}, {"usage": {"prompt_tokens": "many", "output_tokens": True}}, Hostile()],
    ids=str,
)
def test_what_says_nothing_is_no_usage(call: Call, response: object) -> None:
    assert generated_from(call, response) == Usage()


CHUNKS: list[dict[str, Any]] = [
    {"model": "small", "choices": [{"delta": {"content": "He"}, "finish_reason": None}], "usage": None},
    {"model": "small", "choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None},
    {"model": "small", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 2}},
]
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"model": "small", "usage": {"input_tokens": 11, "output_tokens": 1}}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "He"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
]
COMPLETED: list[dict[str, Any]] = [
    {"type": "response.created", "response": {"object": "response", "model": "small", "status": "in_progress"}},
    {
        "type": "response.completed",
        "response": {
            "object": "response",
            "model": "small",
            "status": "completed",
            "usage": {"input_tokens": 11, "output_tokens": 2},
        },
    },
]


def ticking() -> Any:
    moments = iter([10.0, 10.25, 99.0])
    return lambda: next(moments)


@pytest.mark.parametrize("chunks", [CHUNKS, EVENTS, COMPLETED], ids=["openai chat", "anthropic", "openai responses"])
def test_a_streams_usage_is_known_at_its_end(call: Call, chunks: list[dict[str, Any]]) -> None:
    passed = list(generated_by_stream(call, iter(chunks), prices=PRICES, clock=ticking()))
    assert passed == chunks
    assert (call.facts["input_tokens"], call.facts["output_tokens"]) == (11, 2)
    assert call.facts["gen_ai.response.finish_reasons"] in (("stop",), ("end_turn",), ("completed",))
    assert call.facts["cost_usd"] == pytest.approx((11 * 0.5 + 2 * 2) / 1e6)
    assert call.facts["context"] == {FIRST_CHUNK: 0.25}


def test_an_async_stream_is_read_alike(call: Call) -> None:
    async def chunks() -> AsyncIterator[dict[str, Any]]:
        for chunk in CHUNKS:
            yield chunk

    async def read() -> list[dict[str, Any]]:
        return [chunk async for chunk in generated_by_async_stream(call, chunks())]

    assert run_async(read()) == CHUNKS
    assert call.facts["output_tokens"] == 2


def test_a_stream_that_breaks_says_what_it_had(call: Call) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield EVENTS[0]
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        list(generated_by_stream(call, broken()))
    assert call.facts["input_tokens"] == 11


def test_a_stream_that_is_left_early_says_what_it_had(call: Call) -> None:
    stream = generated_by_stream(call, iter(EVENTS))
    next(stream)
    stream.close()
    assert call.facts["gen_ai.response.model"] == "small"
