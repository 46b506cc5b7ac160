"""Redaction of one record, key by key; the hot loop of the logger's thread. `retrue.logger.fields` says what is meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from retrue.logger.messages import Errors, Raised, length_of, message_of
from retrue.logger.names import REMEMBERED_MAX, Action, Names, hidden, is_constant, safe_endpoint, safe_name
from retrue.logger.scrub import Scrubber
from retrue.logger.shapes import SHAPES, Json, cut_text, is_numeric, shape
from retrue.logger.values import NUMBER_MAX, Normaliser, unused

IDENTIFIER_MIN: Final = 10**11
"""A whole number from here on is taken for an identifier where no list names its field: cards have 12 digits and more."""
STACK_CHARACTERS_MAX: Final = 16_384
REASONS_MAX: Final = 16
UNNAMED: Final = "value"
"""The name of features that came without names."""

_NUMBERS = (
    *("seq", "time", "received_at", "latency_ms", "sample_weight", "request_bytes"),
    *("input_tokens", "output_tokens", "cost_usd", "labelled_at"),
)
_WORDS = (
    *("status", "model", "model_version", "error_type", "source"),
    *("gen_ai.request.model", "gen_ai.response.model", "gen_ai.provider.name"),
)
_INTEGER_MIN, _BELOW = -NUMBER_MAX, -IDENTIFIER_MIN
_HEX = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_SHAPE, _KEEP, _NUMBER, _DROP = map(int, (Action.SHAPE, Action.KEEP, Action.NUMBER, Action.DROP))


class Redaction:
    """A policy made ready: one function for each key of a record, one action for each name of a feature."""

    def __init__(
        self,
        *,
        listed: Mapping[str, Action],
        others: Action,
        errors: Errors,
        normaliser: Normaliser,
        scrubber: Scrubber,
        pseudonym: Callable[[object], Json],
        identify: Callable[[object], str],
    ) -> None:
        self._normaliser, self._scrubber, self._pseudonym = normaliser, scrubber, pseudonym
        self._errors: Errors = errors
        self._counts, self._limits = normaliser.counts, normaliser.limits
        self._kept_classes = listed.get("prediction") == Action.KEEP
        features = Names(_group("features.", listed), others, scrubber)
        context = Names(_group("context.", listed), Action.SHAPE, scrubber)
        prediction, label = (listed.get(name, Action.NUMBER) for name in ("prediction", "label"))
        self._word = self._remembering(lambda text: safe_name(text, scrubber))
        self._line = self._remembering(scrubber.scrub)
        self._rules: Mapping[str, Callable[[Any], Json]] = {
            **dict.fromkeys(_NUMBERS, self._number),
            **dict.fromkeys(_WORDS, self._word),
            "inference_id": identify,
            "caller_id": self._caller,
            "endpoint": self._remembering(lambda text: safe_endpoint(text, scrubber)),
            "trace_id": self._hexadecimal,
            "span_id": self._hexadecimal,
            "gen_ai.response.finish_reasons": self._reasons,
            "features": partial(self._named, features),
            "context": partial(self._named, context),
            "prediction": partial(self._applied, prediction),
            "label": partial(self._applied, label),
            "score": self._measured,
            "scores": self._scores,
            "error_message": self._message,
            "error_stack": self._stack,
        }

    def record(self, record: Mapping[str, Any], made: dict[str, Json]) -> dict[str, Json]:
        """Return what is made already, and the record as it may be written."""
        rules = self._rules
        for name, value in record.items():
            if value is None:
                continue
            rule = rules.get(name)
            if rule is None:
                made[safe_name(self._normaliser.name(name), self._scrubber)] = shape(value)
                continue
            value = rule(value)
            if value is not None:
                made[name] = value
        return made

    def _named(self, names: Names, values: Any) -> dict[str, Json]:
        """Values of the common built-in types take no further call."""
        if type(values) is not dict:
            values = dict(values) if isinstance(values, dict) else {UNNAMED: values}
        if len(values) > self._limits.fields:
            values = self._fewer(names, values)
        made: dict[str, Json] = {}
        known, characters, shapes = names.known, self._limits.text_characters, SHAPES
        for name, value in values.items():
            entry = known.get(name) if type(name) is str else None
            written, action = entry or self._learnt(names, name, made, values)
            kind = type(value)
            if action == _KEEP:
                if (
                    (kind is float and value - value == 0.0)
                    or (kind is str and len(value) <= characters and value.isascii())
                    or (kind is int and _INTEGER_MIN <= value <= NUMBER_MAX)
                    or kind is bool
                ):
                    made[written] = value
                    continue
            elif action == _DROP:
                continue
            elif action == _NUMBER and (kind is float or kind is int) and _BELOW < value < IDENTIFIER_MIN:
                made[written] = value
                continue
            elif action == _SHAPE and kind in shapes:
                made[written] = shapes[kind]
                continue
            elif action <= _NUMBER and kind is str:
                made[written] = {"type": "str", "len": len(value)}
                continue
            made[written] = self._applied(action, value)
        return made

    def _learnt(
        self, names: Names, name: object, made: Mapping[str, object], values: Mapping[object, object]
    ) -> tuple[str, int]:
        written, action = names.learn(self._normaliser.name(name))
        if written == name:
            return written, action
        self._counts["name"] += 1
        return unused(written, made.keys() | values.keys(), self._counts), action

    def _fewer(self, names: Names, values: Mapping[object, object]) -> dict[object, object]:
        """Fields beyond the limit are left out, those that no list names first."""
        self._counts["cut"] += 1
        listed = [name for name in values if type(name) is str and name in names.listed]
        chosen = set(listed[: self._limits.fields])
        left = self._limits.fields - len(chosen)
        others = [name for name in values if type(name) is not str or name not in names.listed][:left]
        return {name: values[name] for name in (*listed[: self._limits.fields], *others)}

    def _applied(self, action: int, value: object) -> Json:
        if value is None or action == Action.DROP:
            return None
        if action == Action.KEEP:
            return self._normaliser.value(value)
        if action == Action.NUMBER:
            return self._measured(value)
        if action == Action.HASH:
            return self._pseudonym(value)
        if action == Action.TEXT:
            return self._scrubbed(self._normaliser.value(value))
        return shape(value)

    def _measured(self, value: Any) -> Json:
        """Numbers, booleans and lists of them, as long as they are no identifiers; anything else by its shape."""
        kind = type(value)
        if (kind is float or kind is int) and _BELOW < value < IDENTIFIER_MIN:
            return value
        if kind is bool:
            return value
        plain = self._normaliser.value(value)
        return plain if is_numeric(plain, IDENTIFIER_MIN) else shape(value)

    def _number(self, value: Any) -> Json:
        kind = type(value)
        if (kind is int or kind is float) and _INTEGER_MIN <= value <= NUMBER_MAX:
            return value
        plain = self._normaliser.value(value)
        return plain if type(plain) in (int, float) else None

    def _caller(self, value: object) -> Json:
        made = self._pseudonym(value)
        return made if type(made) is str else hidden(str(made))

    def _scores(self, values: Any) -> Json:
        """Classes are names: kept with the predictions, else only where they are numbers; a score is a number."""
        if not isinstance(values, dict):
            return None
        made: dict[str, Json] = {}
        for name, value in list(values.items())[: self._limits.items]:
            text = self._normaliser.name(name)
            if self._kept_classes or (len(text) <= 11 and text.lstrip("-").isdecimal()) or text in ("true", "false"):
                made[unused(text, made, self._counts)] = self._measured(value)
        return made or None

    def _hexadecimal(self, value: object) -> Json:
        """The id of a trace or span; digits alone may be a card's."""
        if type(value) is not str or not _HEX.fullmatch(value) or (value.isdigit() and self._scrubber.personal(value)):
            return None
        return value

    def _reasons(self, values: object) -> Json:
        several = values if type(values) in (list, tuple) else [values]
        return [self._word(each) for each in several[:REASONS_MAX]]  # type: ignore[index]

    def _message(self, value: object) -> str:
        """What an exception said, or a short constant of the program, such as why it rejected a request."""
        if isinstance(value, Raised):
            return message_of(value, self._errors, self._scrubber)
        text = self._normaliser.text(value if type(value) is str else "")
        if self._errors == "scrubbed":
            return self._scrubber.scrub(text)
        return text if is_constant(text, self._scrubber) else length_of(text)

    def _stack(self, value: object) -> str:
        lines: Iterable[object] = value if type(value) in (list, tuple) else ()  # type: ignore[assignment]
        told = "\n".join(self._raised(each) if isinstance(each, Raised) else self._line(each) for each in lines)
        return told if len(told) <= STACK_CHARACTERS_MAX else cut_text(told, STACK_CHARACTERS_MAX)

    def _raised(self, raised: Raised) -> str:
        kind, message = self._word(raised.type), self._message(raised)
        return f"{kind}: {message}" if message else kind

    def _remembering(self, look: Callable[[str], str]) -> Callable[[Any], str]:
        """Return a function that looks once at each text: words of a program come again and again."""
        seen: dict[str, str] = {}

        def told(value: object) -> str:
            known = seen.get(value) if type(value) is str else None
            if known is None:
                text = self._normaliser.name(value)
                known = look(text)
                if len(seen) < REMEMBERED_MAX and text == value:
                    seen[text] = known
            return known

        return told

    def _scrubbed(self, value: Json) -> Json:
        if type(value) is str:
            return self._scrubber.scrub(value)
        if type(value) is list:
            return [self._scrubbed(each) for each in value]
        if type(value) is dict:
            made: dict[str, Json] = {}
            for name, each in value.items():
                made[unused(safe_name(name, self._scrubber), made, self._counts)] = self._scrubbed(each)
            return made
        return value


def _group(prefix: str, listed: Mapping[str, Action]) -> dict[str, Action]:
    """Return the actions of features or of the context, by bare names."""
    others = ("context.",) if prefix == "features." else ("",)
    bare = {name: action for name, action in listed.items() if not name.startswith(others)}
    return bare | {name.removeprefix(prefix): action for name, action in listed.items() if name.startswith(prefix)}
