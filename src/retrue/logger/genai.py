"""What a generation's response says of itself: model, tokens, finish reason and, with your prices, cost.

Understood are the responses, and the chunks of streamed ones, of OpenAI (chat completions and responses), Anthropic, Amazon
Bedrock (converse) and Google (generate content), as mappings or as their SDK's objects; no SDK is imported. A count that
a response does not give stays null: nothing is estimated, and prices are never built in. Only names and numbers are taken,
never a prompt or an answer.

    with log.observe({"prompt_kind": "summary"}) as call:
        response = client.chat.completions.create(model="small", messages=messages)
        generated_from(call, response, prices={"small": Price(input=0.15, output=0.60)})
"""

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from retrue.logger.calls import Call

Chunk = TypeVar("Chunk")

FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
"""Where a streamed call's context holds the seconds until its first chunk: the name of OpenTelemetry's conventions."""

_TOKENS_PER_PRICE = 1_000_000
_INPUT = ("input_tokens", "prompt_tokens", "inputTokens", "prompt_token_count", "promptTokenCount")
_OUTPUT = ("output_tokens", "completion_tokens", "outputTokens", "candidates_token_count", "candidatesTokenCount")
_THOUGHTS = ("thoughts_token_count", "thoughtsTokenCount")  # Google's reasoning, beside the answer's count
_CACHED = ("cached_content_token_count", "cachedContentTokenCount")  # within the input's count
_CACHED_DETAILS = (("prompt_tokens_details", "cached_tokens"), ("input_tokens_details", "cached_tokens"))
_CACHE_READ = ("cache_read_input_tokens", "cacheReadInputTokens")  # beside the input's count, not within it
_CACHE_WRITE = ("cache_creation_input_tokens", "cacheWriteInputTokens")
_FINISHED = ("finish_reason", "stop_reason", "stopReason", "finishReason")
_USAGE = ("usage", "usage_metadata", "usageMetadata")
_WRAPPED = ("message", "response", "delta", "metadata", "messageStop")  # where a chunk keeps a part of the response
_MODEL = ("model", "model_version", "modelVersion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one model's tokens cost, in USD per million.

    Attributes:
        input: Tokens of the prompt.
        output: Tokens of the answer, reasoning included.
        cached_input: Tokens of the prompt that were read from the provider's cache; None: as `input`.
        cache_write: Tokens of the prompt that were written to it; None: as `input`.

    >>> Price(input=0.5, output=1.5).of(Usage(input_tokens=2_000, output_tokens=1_000))
    0.0025
    """

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached_input", "cache_write"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value}: a price is a finite number of USD per million tokens, 0 or more")

    def of(self, usage: "Usage") -> float | None:
        """Return what a generation cost, in USD; None where a count is missing, since a part is not the cost."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        read, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
        fresh = max(usage.input_tokens - read - written, 0)
        cached = self.input if self.cached_input is None else self.cached_input
        writing = self.input if self.cache_write is None else self.cache_write
        total = fresh * self.input + read * cached + written * writing + usage.output_tokens * self.output
        return total / _TOKENS_PER_PRICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a response says of itself; None where it does not.

    Attributes:
        model: The model that answered, as the provider names it.
        input_tokens: Tokens of the whole prompt, cached ones included, as OpenTelemetry counts them.
        output_tokens: Tokens of the answer.
        cached_tokens: Those of the input that were read from the provider's cache.
        cache_write_tokens: Those of the input that were written to it.
        finish_reasons: Why the answer ended: of each choice, each once.
    """

    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    finish_reasons: tuple[str, ...] = ()


def usage_of(response: object) -> Usage:
    """Return what a response says of itself.

    >>> usage_of({"model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 2}, "choices": [{"finish_reason": "stop"}]})
    Usage(model='m', input_tokens=9, output_tokens=2, cached_tokens=None, cache_write_tokens=None, finish_reasons=('stop',))
    """
    reading = _Reading()
    reading.add(response)
    return reading.usage()


def generated_from(
    call: Call,
    response: object,
    *,
    model: str | None = None,
    provider: str | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Usage:
    """Write what a response says of itself into the call and return it.

    Args:
        call: The observed call.
        response: The provider's response, as a mapping or an SDK's object.
        model: The model that was asked for; None: the one that answered.
        provider: Who generates, in OpenTelemetry's words (`openai`, `anthropic`, `aws.bedrock` …).
        prices: USD per million tokens by model; the name that answered is looked up first, then the one asked for. A model
            that is not in it has no cost, which is not the same as costing nothing.
    """
    reading = _Reading()
    reading.add(response)
    return _write(call, reading, model, provider, prices)


def generated_by_stream(
    call: Call,
    chunks: Iterable[Chunk],
    *,
    model: str | None = None,
    provider: str | None = None,
    prices: Mapping[str, Price] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Chunk]:
    """Yield the chunks of a streamed response unchanged; what they said is written into the call when they end.

    Also when they end by an error or are read no further. OpenAI counts tokens only if asked to
    (`stream_options={"include_usage": True}`).
    """
    reading, began = _Reading(), clock()
    try:
        for chunk in chunks:
            reading.chunk(call, chunk, began, clock)
            yield chunk
    finally:
        _write(call, reading, model, provider, prices)


async def generated_by_async_stream(
    call: Call,
    chunks: AsyncIterable[Chunk],
    *,
    model: str | None = None,
    provider: str | None = None,
    prices: Mapping[str, Price] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> AsyncIterator[Chunk]:
    """Yield the chunks of a streamed response unchanged, as `generated_by_stream` does."""
    reading, began = _Reading(), clock()
    try:
        async for chunk in chunks:
            reading.chunk(call, chunk, began, clock)
            yield chunk
    finally:
        _write(call, reading, model, provider, prices)


class _Reading:
    """What was read so far, by field; a later chunk corrects an earlier one."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._model: str | None = None
        self._reasons: dict[int, str] = {}
        self._chunks = 0

    def chunk(self, call: Call, chunk: object, began: float, clock: Callable[[], float]) -> None:
        if not self._chunks:
            call.noted(**{FIRST_CHUNK: clock() - began})
        self._chunks += 1
        self.add(chunk)

    def add(self, part: object) -> None:
        """Read a response or a chunk; an object that fails to be read says nothing."""
        try:
            for source in (part, *(_get(part, name) for name in _WRAPPED)):
                if source is not None and not isinstance(source, str):
                    self._read(source)
        except Exception:  # noqa: BLE001 - a foreign object's properties run any code; the host is not to be hurt
            return

    def usage(self) -> Usage:
        counts = self._counts
        return Usage(
            model=self._model,
            input_tokens=_sum(counts, "input", "read", "write"),
            output_tokens=_sum(counts, "output", "thoughts"),
            cached_tokens=counts.get("read", counts.get("cached")),
            cache_write_tokens=counts.get("write"),
            finish_reasons=tuple(dict.fromkeys(self._reasons.values())),
        )

    def _read(self, source: object) -> None:
        self._model = _first(source, _MODEL, str) or self._model
        usage = next((found for name in _USAGE if (found := _get(source, name)) is not None), None)
        for name, keys in (("input", _INPUT), ("output", _OUTPUT), ("read", _CACHE_READ), ("write", _CACHE_WRITE)):
            self._count(name, _first(usage, keys, int))
        self._count("thoughts", _first(usage, _THOUGHTS, int))
        self._count("cached", _first(usage, _CACHED, int))
        for details, key in _CACHED_DETAILS:
            self._count("cached", _first(_get(usage, details), (key,), int))
        choices = _get(source, "choices") or _get(source, "candidates") or []
        for number, choice in enumerate([source, *choices]):
            if reason := _reason(choice):
                self._reasons[number] = reason

    def _count(self, name: str, value: int | None) -> None:
        if value is not None and value >= 0:
            self._counts[name] = value


def _reason(source: object) -> str | None:
    """Return why a choice or a response ended. OpenAI's responses say it by their status."""
    given = next((found for name in _FINISHED if (found := _get(source, name)) is not None), None)
    if given is not None:
        return str(getattr(given, "value", given))  # Google's is an enumeration
    if _get(source, "object") != "response" or not (status := _get(source, "status")):
        return None
    return _first(_get(source, "incomplete_details"), ("reason",), str) or str(status)


def _get(source: object, name: str) -> Any:
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)


def _first(source: object, names: Iterable[str], kind: type[Any]) -> Any:
    """Return the first of the named values that is of this kind; a bool is no number."""
    values = (_get(source, name) for name in names)
    return next((each for each in values if isinstance(each, kind) and not isinstance(each, bool)), None)


def _sum(counts: Mapping[str, int], first: str, *beside: str) -> int | None:
    return counts[first] + sum(counts.get(name, 0) for name in beside) if first in counts else None


def _write(
    call: Call, reading: _Reading, model: str | None, provider: str | None, prices: Mapping[str, Price] | None
) -> Usage:
    usage = reading.usage()
    price = next((prices[name] for name in (usage.model, model) if prices and name and name in prices), None)
    call.generated(
        model=model or usage.model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=price.of(usage) if price else None,
        finish_reason=usage.finish_reasons or None,
        provider=provider,
        response_model=usage.model,
    )
    return usage
