"""Names of fields, endpoints and classes: program text mostly, and data where a host makes names of data.

A name that no list of `Fields` has is written where it looks like a name of a program, holds nothing of a person, and is
one of the first thousand: a dictionary keyed by people has no end. Of other names only their length is written. Whoever
has columns called otherwise lists them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from retrue.logger.scrub import Scrubber

REMEMBERED_MAX: Final = 1_000
"""Names that no list has, remembered by one process; later ones are taken for data."""
ENDPOINT_CHARACTERS_MAX: Final = 256
_NAME = re.compile(
    r"[^\W\d][\w./:\[\]<>-]{0,127}"  # an identifier, or several with dots, hyphens or slashes
    r"|[a-z0-9_().%/+-]{1,24}(?: [a-z0-9_().%/+-]{1,24}){0,3}"  # at most four small words, such as "petal width (cm)"
)
_CONSTANT = re.compile(r"[A-Za-z][\w.-]{0,63}(?: \d{1,4})?", re.ASCII)  # such as "quota" and "http 429"
_SEGMENT = re.compile(r"[\w.{}:$*<>~@-]{0,64}", re.ASCII)
_LONG_NUMBER = re.compile(r"\d{9}", re.ASCII)


class Action(IntEnum):
    """What is done with a value."""

    SHAPE = 0
    NUMBER = 1
    KEEP = 2
    HASH = 3
    TEXT = 4
    DROP = 5


class Names:
    """What is done with the values of one dictionary, by name: those listed, and those learnt on the way."""

    def __init__(self, listed: Mapping[str, Action], others: Action, scrubber: Scrubber) -> None:
        self.known: dict[str, tuple[str, int]] = {name: (name, int(action)) for name, action in listed.items()}
        """The name as it is written, and what is done with its value."""
        self.listed = frozenset(listed)
        self._others, self._scrubber = int(others), scrubber
        self._learnt = 0

    def learn(self, name: str) -> tuple[str, int]:
        """Return how an unknown name is written, and what is done with its value."""
        if name in self.known:  # as NFC or as text of a key that was none
            return self.known[name]
        written = safe_name(name, self._scrubber) if self._learnt < REMEMBERED_MAX else hidden(name)
        if written == name:
            self._learnt += 1
            self.known[name] = (name, self._others)
        return written, self._others


def safe_name(name: str, scrubber: Scrubber) -> str:
    """Return a name that looks like one of a program, or its length.

    >>> [safe_name(name, Scrubber()) for name in ("petal width (cm)", "jane@example.org", "Jane Doe")]
    ['petal width (cm)', '<name, 16 characters>', '<name, 8 characters>']
    """
    looks = _NAME.fullmatch(name) and not _LONG_NUMBER.search(name)
    return name if looks and scrubber.scrub(name) == name else hidden(name)


def is_constant(text: str, scrubber: Scrubber) -> bool:
    """Return whether text is one word of a program, perhaps with a small number behind it."""
    return bool(_CONSTANT.fullmatch(text)) and scrubber.scrub(text) == text


def safe_endpoint(text: str, scrubber: Scrubber) -> str:
    """Return method and path without a query, each part of the path that may be data as ``<*>``.

    >>> safe_endpoint("POST /users/jane@example.org/fares/UA?key=1", Scrubber())
    'POST /users/<*>/fares/UA'
    """
    method, blank, path = re.split(r"[?#]", text, maxsplit=1)[0][:ENDPOINT_CHARACTERS_MAX].rpartition(" ")
    if not _CONSTANT.fullmatch(method):
        method = "<*>" if method else ""
    parts = (part if _SEGMENT.fullmatch(part) and scrubber.scrub(part) == part else "<*>" for part in path.split("/"))
    return method + blank + "/".join(parts)


def hidden(name: str) -> str:
    """Return what is told of a name that is not written."""
    return f"<name, {len(name)} characters>"
