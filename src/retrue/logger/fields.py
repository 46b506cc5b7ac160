"""What of a record may be written: an allow-list of fields, keyed hashes of ids, and types and lengths of the rest.

`Fields.redact` runs in the logger's own thread, before anything reaches the spool. What no list names is told only by
its type and length, so that forgetting a field costs a figure and never a secret.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, get_args

import orjson

from retrue.logger.messages import Errors
from retrue.logger.names import Action
from retrue.logger.redaction import Redaction
from retrue.logger.scrub import Scrubber
from retrue.logger.shapes import Json, shape, shortened
from retrue.logger.values import Limits, Normaliser

KEY_VARIABLE: Final = "RETRUE_HASH_KEY"
KEY_BYTES_MIN: Final = 16
HASH_CHARACTERS: Final = 32
"""Of the 64 hex digits of HMAC-SHA256: 128 bits, so that no two of 10^15 ids meet."""
_COMMON_ID = re.compile(r"(?=[\d-]*[a-f])[0-9a-f]{8,64}(?:-[0-9a-f]{1,20}){0,4}", re.ASCII)  # no card: it has a letter


class Fields:
    """The lists of fields, and the redaction that follows from them.

    Names are those of features; ``context.<name>`` is a value of the context. ``prediction`` and ``label`` may be listed
    too: their numbers and booleans are always kept, as are scores, but text only when listed, since a model of text
    predicts text. A model of several classes wants ``keep=["prediction", "label"]``, which also keeps the names of the
    classes in ``scores``.

    Args:
        keep: Written as they are.
        hash: Written as a keyed HMAC-SHA256, 32 hex digits: equal values stay equal, nobody without the key can guess.
        drop: Not written at all, not even their names.
        text: Free text, written after scrubbing by value.
        key: Of the hashes, at least 16 bytes; by default the environment variable ``RETRUE_HASH_KEY``.
        errors: Of an exception's message keep only ``"program"`` text (`retrue.logger.messages`), or all of it
            ``"scrubbed"`` by value, or nothing but the ``"type"``.
        scrubber: Another than the built-in one, e.g. with finders of your own.
        limits: How large values and records may be.

    ``keep=Fields.NUMBERS`` keeps every number and boolean among the features: a model of hundreds of numeric columns
    needs no list of them, and a measurement says little about a person. Whole numbers from 10^11 on are not kept by it
    (card and account numbers are that long); list such a field by name. It may stand in a list:
    ``keep=[Fields.NUMBERS, "carrier"]``.

    The id of the caller is always hashed (without a key: its length), an inference id only where it looks like personal
    data, and the endpoint is scrubbed. Names that no list has are written where they look like names of a program.

    Raises:
        TypeError: A list is a bare string, or a name is no text.
        ValueError: A name is in two lists, ``hash`` is asked for and there is no key, or the key is too short.

    >>> fields = Fields(keep=["carrier"], hash=["passenger"], key=b"an example, not secret")
    >>> fields.redact({"features": {"carrier": "UA", "passenger": 17, "note": "call Jane"}, "prediction": 0.5})["features"]
    {'carrier': 'UA', 'passenger': 'a4b0c0d660a99e6dba486080c6dc7c77', 'note': {'type': 'str', 'len': 9}}
    """

    NUMBERS: Final = "<numbers>"

    def __init__(
        self,
        *,
        keep: Collection[str] = (),
        hash: Collection[str] = (),  # noqa: A002 - the word of the published interface
        drop: Collection[str] = (),
        text: Collection[str] = (),
        key: bytes | str | None = None,
        errors: Errors = "program",
        scrubber: Scrubber | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._lists = {
            "keep": _names("keep", (keep,) if keep == Fields.NUMBERS else keep),
            "hash": _names("hash", hash),
            "drop": _names("drop", drop),
            "text": _names("text", text),
        }
        if errors not in get_args(Errors):
            raise ValueError(f"errors is {errors!r}, expected one of {', '.join(get_args(Errors))}")
        self._errors: Errors = errors
        self._key = _key(key, self._lists["hash"])
        self._process_key = os.urandom(32)
        if self._key:
            _digest(self._key, "")  # OpenSSL is loaded now, and not in a request
        self._limits = limits or Limits()
        self._counts: Counter[str] = Counter()
        self._normaliser = Normaliser(limits=self._limits, counts=self._counts)
        asked = bool(self._lists["text"]) or errors == "scrubbed"
        self._scrubber = scrubber or (Scrubber.with_extras() if asked else Scrubber())
        actions = _actions(self._lists)
        self._redaction = Redaction(
            listed=actions,
            others=Action.NUMBER if Fields.NUMBERS in self._lists["keep"] else Action.SHAPE,
            errors=errors,
            normaliser=self._normaliser,
            scrubber=self._scrubber,
            pseudonym=self.pseudonym,
            identify=self.identify,
        )

    def __repr__(self) -> str:
        listed = (f"{name}={sorted(names)}" for name, names in self._lists.items() if names)
        return f"Fields({', '.join((*listed, f'errors={self._errors!r}'))})"

    @property
    def is_quick(self) -> bool:
        """Return whether no free text is scrubbed in a success, which may take milliseconds."""
        return not self._lists["text"]

    @property
    def normalised(self) -> Mapping[str, int]:
        """How often values had to be changed to be written, by reason; `Normaliser` names the reasons."""
        return MappingProxyType(self._counts)

    def describe(self) -> dict[str, Json]:
        """Return the policy as plain data, without the key: what a reader is told of what it finds."""
        lists: dict[str, Json] = {name: sorted(names) for name, names in self._lists.items()}
        return {**lists, "errors": self._errors, "keyed": self._key is not None}

    def redact(self, record: Mapping[str, Any], own: dict[str, Json] | None = None) -> dict[str, Json]:
        """Return the record as it may be written: JSON values throughout, in its order, None left out.

        What is the logger's ``own`` comes first and is written as it is.
        ``error_message`` is a `Raised` or a short constant, ``error_stack`` a sequence of lines and `Raised`. A key
        that no record has is told by the shape of its value. To be called by one thread at a time.
        """
        return self._redaction.record(record, {} if own is None else own)

    def encode(self, record: Mapping[str, Any], own: dict[str, Json] | None = None) -> bytes:
        """Return the redacted record as JSON without line ends, at most ``limits.record_bytes`` of it.

        A larger record loses its largest values first: shapes with a digest, marked ``cut``, stand in their places.
        """
        redacted = self.redact(record, own)
        line = orjson.dumps(redacted)
        if len(line) > self._limits.record_bytes:
            self._counts["cut"] += 1
            line = orjson.dumps(shortened(redacted, self._limits.record_bytes))
        return line

    def pseudonym(self, value: object) -> Json:
        """Return the keyed hash of a value's text, as in ``hash`` fields and caller ids; without a key its length.

        A number and its decimal text have one pseudonym, so that a person's records are found by the text of an id.
        """
        if value is None:
            return None
        plain = value if type(value) is str else self._normaliser.value(value)
        if type(plain) not in (str, int, float, bool):
            return shape(value)
        text = str(plain)
        return _digest(self._key, text) if self._key else f"<{type(value).__name__}, {len(text)} characters>"

    def identify(self, inference_id: object) -> str:
        """Return the id to write: itself, or a keyed hash where it has blanks or looks like personal data; the same for labels.

        Without a key the hash is keyed at random by this process: its records and labels still meet, but labels that
        come from elsewhere do not.
        """
        text = inference_id if type(inference_id) is str else self._normaliser.name(inference_id)
        if _COMMON_ID.fullmatch(text):
            return text
        if not re.search(r"\s", text) and not self._scrubber.personal(text):
            return self._normaliser.name(text)
        self._counts["personal_id"] += 1
        return _digest(self._key or self._process_key, text)


def _names(option: str, names: Collection[str]) -> frozenset[str]:
    if isinstance(names, str | bytes):
        raise TypeError(f"{option} is {names!r}, expected a list of names: {option}=[{names!r}]")
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise TypeError(f"{option} has {wrong[0]!r}, expected names as text")
    if any(name == Fields.NUMBERS for name in names) and option != "keep":
        raise ValueError(f"{option} has {Fields.NUMBERS}, which only keep may have")
    return frozenset(unicodedata.normalize("NFC", name) for name in names)


def _actions(lists: Mapping[str, frozenset[str]]) -> dict[str, Action]:
    actions: dict[str, Action] = {}
    for option, names in lists.items():
        for name in sorted(names - {Fields.NUMBERS}):
            if name in actions:
                raise ValueError(f"{name!r} is in both {actions[name].name.lower()} and {option}: leave it in one")
            actions[name] = Action[option.upper()]
    return actions


def _key(key: bytes | str | None, hashed: Collection[str]) -> bytes | None:
    given = os.environ.get(KEY_VARIABLE) or None if key is None else key
    if given is None and hashed:
        raise ValueError(
            f"hash={sorted(hashed)} needs a key: give key=, or set {KEY_VARIABLE}, to at least {KEY_BYTES_MIN} random "
            "bytes, such as the output of: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    if given is None:
        return None
    if not isinstance(given, bytes | str):
        raise TypeError(f"key is {type(given).__name__}, expected bytes or text")
    made = given.encode() if isinstance(given, str) else given
    if len(made) < KEY_BYTES_MIN:
        raise ValueError(f"the key has {len(made)} bytes, at least {KEY_BYTES_MIN} are needed")
    return made


def _digest(key: bytes, text: str) -> str:
    import hmac

    normal = text if text.isascii() else unicodedata.normalize("NFC", text)
    return hmac.digest(key, normal.encode("utf-8", "replace"), "sha256").hex()[:HASH_CHARACTERS]
