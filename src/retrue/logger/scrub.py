"""Free text without what it tells of persons and keys: every find is replaced by its kind, as in ``mail <email>``.

Text is cut to a limit first, then brought to one form: NFKC (full-width digits become ASCII), digits of all scripts,
no invisible characters, escapes of JSON and HTML undone. What takes longer than its budget is not written at all. Names
and addresses of persons need a model of language and are not found: give an adapter such as `presidio_finder`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from time import thread_time
from typing import Final

from retrue.logger.scrub_personal import (
    Finder,
    Found,
    apart,
    find_cards,
    find_emails,
    find_ibans,
    find_ips,
    find_national_ids,
    find_phones,
    find_social_security,
    phones_by_library,
)
from retrue.logger.scrub_secrets import (
    find_encoded,
    find_named_secrets,
    find_random,
    find_tokens,
    find_url_secrets,
)

FINDERS: Final[tuple[Finder, ...]] = (
    find_tokens,
    find_url_secrets,
    find_named_secrets,
    find_emails,
    find_ibans,
    find_cards,
    find_social_security,
    find_ips,
    find_phones,
)
"""The built-in ones, in the order that decides the kind where two finds overlap."""

CHARACTERS_MAX: Final = 4_096
BUDGET_SECONDS: Final = 0.05
"""Of the processor for one text, looked at between finders, which are linear: 4,096 hostile characters take one 1 to 8 ms."""
_WARM_UP = "+44 7700 900123 or 1234567890"
_IDENTIFYING: Final = frozenset({"email", "card", "iban", "ssn", "secret", "userinfo"})
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])", re.ASCII)
_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})", re.ASCII)
_WORTH_A_LOOK = re.compile(r"[@:=%&\\0-9]|[A-Za-z+/_-]{12}|-{5}|[aA][tT][)\]]")
"""Text without any of these holds nothing that a finder could find."""


class Scrubber:
    """Finds and replaces what tells of persons and keys.

    Args:
        finders: What is looked for, the built-in ones by default; add your own to `FINDERS`.
        pseudonym: Turns a find into a short keyed hash that is written beside its kind, ``<email 1d3b…>``, so that two
            mentions of one address can be told to be one. By default finds are only told by their kind.
        characters: Longer text is cut first.
        budget_seconds: Text that takes longer is told by its length alone.

    >>> Scrubber().scrub("card 4111-1111-1111-1111 of jane@example.org")
    'card <card> of <email>'
    """

    def __init__(
        self,
        finders: Sequence[Finder] = FINDERS,
        *,
        pseudonym: Callable[[str], str] | None = None,
        characters: int = CHARACTERS_MAX,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        if characters < 1 or not budget_seconds > 0:
            raise ValueError(f"{characters} characters in {budget_seconds} seconds: both must be above 0")
        self._finders = tuple(finders)
        self._pseudonym = pseudonym
        self._characters = characters
        self._budget_seconds = budget_seconds
        self._all: tuple[Finder, ...] = (*self._finders, partial(find_encoded, hit=self._hit), find_random)

    @classmethod
    def with_extras(cls, regions: Sequence[str] = (), *, budget_seconds: float = BUDGET_SECONDS) -> Scrubber:
        """Return one that also proves national ids by `python-stdnum` where that is installed (extra ``privacy``).

        Args:
            regions: Countries (ISO 3166) whose telephone numbers `phonenumbers` shall look for as well. None by default:
                on labelled sentences it finds no more than the built-in finder (docs/privacy.md), and takes 0.2 ms of
                each text and region.
            budget_seconds: As of the class.
        """
        extra = (find_national_ids, *((phones_by_library(regions),) if regions else ()))
        for find in extra:
            list(find(_WARM_UP))  # these import at their first call, which shall not count as time spent on a text
        return cls((*FINDERS[:-1], *extra, FINDERS[-1]), budget_seconds=budget_seconds)

    def scrub(self, text: str) -> str:
        """Return the text with ``<kind>`` in place of each find; its length alone where it took too long to look."""
        if len(text) <= self._characters and text.isascii() and not _WORTH_A_LOOK.search(text):
            return text
        plain = prepared(text, self._characters)
        found = self._found(plain)
        if found is None:
            return f"<text, {len(text)} characters>"
        scrubbed = self._replaced(plain, found)
        return scrubbed if len(text) <= self._characters else f"{scrubbed}… <cut, {len(text)} characters>"

    def find(self, text: str) -> list[Found]:
        """Return what is found in prepared text, apart and in order.

        Raises:
            TimeoutError: It took longer than the budget.
        """
        found = self._found(text)
        if found is None:
            raise TimeoutError(f"{len(text)} characters took more than {self._budget_seconds} s")
        return found

    def personal(self, text: str) -> bool:
        """Return whether a name or an id holds an address, a card, an account, a number of a person, or a known token.

        Random words and grouped digits are what ids are made of, and do not count.
        """
        if len(text) <= self._characters and text.isascii() and not _WORTH_A_LOOK.search(text):
            return False
        plain = prepared(text, self._characters)
        found = self._found(plain)
        return found is None or any(_identifies(plain, each) for each in found)

    def _found(self, plain: str) -> list[Found] | None:
        until = thread_time() + self._budget_seconds
        if plain.count("-") >= 4:
            plain = _UUID.sub(_masked, plain)
        found: list[Found] = []
        for finder in self._all:
            found += finder(plain)
            if thread_time() > until:
                return None
        return apart(found) if found else found

    def _hit(self, plain: str) -> bool:
        return any(any(True for _ in finder(plain)) for finder in self._finders)

    def _replaced(self, plain: str, found: Sequence[Found]) -> str:
        parts, at = [], 0
        for each in found:
            mark = f" {self._pseudonym(plain[each.start : each.end])}" if self._pseudonym else ""
            parts += [plain[at : each.start], f"<{each.kind}{mark}>"]
            at = each.end
        return "".join((*parts, plain[at:]))


def prepared(text: str, characters: int = CHARACTERS_MAX) -> str:
    """Return text in the one form that finders expect, at most as many characters.

    >>> prepared("４１１１\u200b１１１１ jane\\u0040example.org")
    '41111111 jane@example.org'
    """
    text = text[:characters]
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))[:characters]
        text = "".join(map(_plain_digit, text)) if not text.isascii() else text
    if "&" in text:
        import html

        text = html.unescape(text)
    if "\\u" in text:
        text = _JSON_ESCAPE.sub(_escaped, text)
    return text


def _masked(match: re.Match[str]) -> str:
    """A UUID is no number, though its digits may look like one."""
    return "x" * (match.end() - match.start())


def _plain_digit(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


def _escaped(match: re.Match[str]) -> str:
    code = int(match.group(1), 16)
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)


def _identifies(text: str, found: Found) -> bool:
    if found.kind == "phone":
        return text[found.start] == "+"
    return found.kind in _IDENTIFYING or (found.kind == "encoded" and not text[found.start : found.end].isalnum())
