"""What generation calls say of themselves: OpenTelemetry's and OpenInference's attributes, and completions. Pure.

Sources: OpenTelemetry semantic conventions for generative AI; Arize OpenInference semantic conventions; the chat
completions, responses and messages of OpenAI, Anthropic and Gemini.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

Row = dict[str, Any]

_NAMES = {
    "gen_ai.request.model": ("gen_ai.request.model", "llm.model_name", "mlflow.llm.model"),
    "gen_ai.response.model": ("gen_ai.response.model",),
    "gen_ai.provider.name": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "mlflow.llm.provider"),
    "gen_ai.response.finish_reasons": ("gen_ai.response.finish_reasons",),
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
}
_NUMBERS = ("input_tokens", "output_tokens")


def generation(attributes: Mapping[str, Any]) -> Row:
    """Return the fields of a record that a span's attributes give, whichever convention they follow.

    >>> generation({"llm.model_name": '"m1"', "llm.token_count.prompt": "3"})
    {'gen_ai.request.model': 'm1', 'input_tokens': 3}
    """
    found: Row = {}
    for field, names in _NAMES.items():
        value = next((unwrapped(attributes[name]) for name in names if name in attributes), None)
        kept = _count(value) if field in _NUMBERS else _text(value)
        if kept is not None:
            found[field] = kept
    return found


def unwrapped(value: Any) -> Any:
    """Return a value that stands as JSON inside a string, or as it stands.

    >>> unwrapped('"m1"'), unwrapped('{"a": 1}'), unwrapped("plain"), unwrapped(3)
    ('m1', {'a': 1}, 'plain', 3)
    """
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return int(value)


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return str(value) if value not in (None, "") else None


def usage(value: Any) -> Row:
    """Return the tokens of a usage object, by any of the names they go by."""
    if not isinstance(value, Mapping):
        return {}
    names = {
        "input_tokens": ("input_tokens", "prompt_tokens", "promptTokenCount"),
        "output_tokens": ("output_tokens", "completion_tokens", "candidatesTokenCount"),
    }
    found = {
        field: next((_count(value[name]) for name in each if name in value), None) for field, each in names.items()
    }
    return {field: count for field, count in found.items() if count is not None}


def completion(answer: Mapping[str, Any]) -> Row:
    """Return the fields of a record that a chat's or a text's completion gives; nothing where it is none."""
    if isinstance(answer.get("choices"), list):
        contents = [_content(choice) for choice in answer["choices"]]
        reasons = [choice.get("finish_reason") for choice in answer["choices"]]
    elif isinstance(answer.get("candidates"), list):
        contents = [_parts(each.get("content")) for each in answer["candidates"]]
        reasons = [each.get("finishReason") for each in answer["candidates"]]
    elif isinstance(answer.get("content"), list) and "stop_reason" in answer:
        contents, reasons = [_parts({"parts": answer["content"]})], [answer["stop_reason"]]
    else:
        return {}
    found: Row = {"prediction": next(iter(contents), None)}
    if model := _text(answer.get("model") or answer.get("modelVersion")):
        found["gen_ai.response.model"] = model
    if given := [reason for reason in reasons if reason]:
        found["gen_ai.response.finish_reasons"] = _text(given)
    return found | usage(answer.get("usage") or answer.get("usageMetadata"))


def _content(choice: Mapping[str, Any]) -> Any:
    message = choice.get("message")
    return message.get("content") if isinstance(message, Mapping) else choice.get("text")


def _parts(content: Any) -> str | None:
    parts = content.get("parts") if isinstance(content, Mapping) else None
    texts = [part["text"] for part in parts or () if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    return "".join(texts) or None
