"""Finders of numbers and addresses of persons in text. Each is linear: no pattern can be made to backtrack far.

They expect text as `retrue.logger.scrub` prepares it: NFKC, ASCII digits, no invisible characters, bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from retrue.logger.scrub_checks import (
    CARD_DIGITS,
    IBAN_LENGTHS,
    is_card,
    is_iban,
    is_ipv4,
    is_ipv6,
    national_checks,
    phone_library,
)


class Found(NamedTuple):
    """A place in a text, half-open, and what stands there."""

    kind: str
    start: int
    end: int


Finder = Callable[[str], Iterator[Found]]

_AT = r"[ ]?(?:@|\(at\)|\[at\])[ ]?"
_DOT = r"(?:\.|[ ]?(?:\(dot\)|\[dot\])[ ]?)"
_EMAIL = re.compile(
    rf"(?<![\w.%+-])[\w%+][\w.%+'-]{{0,255}}{_AT}(?:[\w-]{{1,63}}{_DOT}){{1,8}}[^\W\d_]{{2,24}}(?![^\W_])",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"(?<![\d.])\d(?:[ .\-–]{0,2}\d){11,47}", re.ASCII)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ \-]?[A-Za-z0-9])", re.ASCII)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?[\w])", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{3,39}(?:\.\d{1,3}){0,3}(?![\w:])", re.ASCII)
_MAC = re.compile(
    r"(?<![\w:.-])(?:[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2})(?![\w:-])", re.ASCII
)
_SSN = re.compile(r"(?<![\w-])(?!000|666)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])", re.ASCII)
_NINO = re.compile(r"(?<!\w)[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)", re.ASCII)
_GROUP = re.compile(r"(?<!\w)[A-Z0-9]{1,18}(?!\w)", re.ASCII)
_PHONE = re.compile(r"(?<![\w./+(-])(?:\+|\(\+?)?\d(?:[ .\-/()]{0,2}\d){6,16}(?:[ ]?(?:x|ext\.? ?)\d{1,6})?", re.ASCII)
_MORE = re.compile(r"\w|[.,:/-]\d", re.ASCII)
_DATE = re.compile(r"(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4})(?:[ ]?\d{1,2})?", re.ASCII)
_CUE = re.compile(
    r"(?:phone|tel|telephone|mobile|cell|fax|call|dial|whatsapp|sms|desk|office|number is)\W{1,3}(?:\w{1,12}\W{1,3}){0,3}$",
    re.IGNORECASE,
)
_CUE_BEHIND = re.compile(r"\W{1,2}(?:fax|mobile|office|cell|home|work)\b", re.IGNORECASE)
_CUE_CHARACTERS = 40
_NATIONAL_MAX = 200  # places that each cost 0.05 ms; text with more of them is taken for a list of ids
_NATIONAL_CHARACTERS = range(8, 19)
_NATIONAL_DIGITS_MIN = 4  # an Indian PAN has no more
_GROUPS_MAX = 7
_PHONE_DIGITS = range(7, 16)


def find_emails(text: str) -> Iterator[Found]:
    """Addresses of e-mail, also where spaces stand beside the @ or ``(at)`` and ``(dot)`` are written out."""
    if "@" in text or "at)" in text.lower() or "at]" in text.lower():
        yield from (Found("email", *each.span()) for each in _EMAIL.finditer(text) if not _in_url(text, each.start()))


def _in_url(text: str, at: int) -> bool:
    """Return whether it is the password before the host of a URL, which another finder replaces."""
    scheme = text.rfind("://", max(at - 300, 0), at)
    return scheme >= 0 and text[at - 1] in ":/" and not re.search(r"\s", text[scheme:at])


def find_cards(text: str) -> Iterator[Found]:
    """Card numbers, split or not, also where other digits stand right beside them."""
    for run in _DIGITS.finditer(text):
        if text[run.start() - 1 : run.start()] == "+":
            continue  # the sign of a telephone number
        groups = [(each.start() + run.start(), each.end() + run.start()) for each in re.finditer(r"\d+", run.group())]
        yield from _cards(text, groups)


def _cards(text: str, groups: Sequence[tuple[int, int]]) -> Iterator[Found]:
    first = 0
    while first < len(groups):
        last = _card_end(text, groups, first)
        if last is not None:
            yield Found("card", groups[first][0], groups[last][1])
            first = last
        first += 1


def _card_end(text: str, groups: Sequence[tuple[int, int]], first: int) -> int | None:
    """Return the last group of the longest card number that starts with a group."""
    digits, found = "", None
    for number in range(first, len(groups)):
        digits += text[slice(*groups[number])]
        if len(digits) >= CARD_DIGITS.stop:
            break
        if is_card(digits):
            found = number
    return found


def find_ibans(text: str) -> Iterator[Found]:
    """Numbers of bank accounts, split by blanks or hyphens or not, in either case."""
    for begin in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(begin.group()[:2].upper())
        end = _characters_end(text, begin.start(), length) if length else None
        if end is not None and is_iban(re.sub(r"[ \-]", "", text[begin.start() : end])):
            yield Found("iban", begin.start(), end)


def _characters_end(text: str, start: int, count: int) -> int | None:
    """Return where the given number of letters and digits ends, with at most one separator between two."""
    at = start
    while count and at < len(text):
        if text[at].isalnum():
            count -= 1
        elif text[at] not in " -" or text[at - 1] in " -":
            return None
        at += 1
    return at if count == 0 and not text[at : at + 1].isalnum() else None


def find_ips(text: str) -> Iterator[Found]:
    """IPv4 and IPv6 addresses; a version of four numbers looks the same and is taken for one."""
    if text.count(".") >= 3:
        yield from (Found("ip", *each.span()) for each in _IPV4.finditer(text) if is_ipv4(each.group()))
    if text.count(":") >= 2:
        yield from (Found("mac", *each.span()) for each in _MAC.finditer(text))
        yield from (Found("ip", *each.span()) for each in _IPV6.finditer(text) if is_ipv6(each.group()))
    elif "-" in text or "." in text:
        yield from (Found("mac", *each.span()) for each in _MAC.finditer(text))


def find_social_security(text: str) -> Iterator[Found]:
    """US social security numbers and British national insurance numbers, by their form."""
    yield from (Found("ssn", *each.span()) for each in _SSN.finditer(text))
    yield from (Found("national_id", *each.span()) for each in _NINO.finditer(text))


def find_national_ids(text: str) -> Iterator[Found]:
    """Numbers of persons that python-stdnum proves by check digits or dates; nothing where it is not installed."""
    checks = national_checks()
    groups = [each.span() for each in _GROUP.finditer(text)] if checks else []
    for number, (start, end) in enumerate(_windows(text, groups)):
        if number == _NATIONAL_MAX:
            yield Found("national_id", start, len(text))
            return
        if not _DATE.match(text, start) and any(check(text[start:end]) for check in checks):
            yield Found("national_id", start, end)


def _windows(text: str, groups: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Groups of capitals and digits, alone and joined to the next by one separator, that are as long as an id."""
    for first, (start, _) in enumerate(groups):
        size = digits = 0
        for number in range(first, min(first + _GROUPS_MAX, len(groups))):
            begin, end = groups[number]
            if number > first and text[groups[number - 1][1] : begin] not in (" ", "-", ".", "/"):
                break
            size += end - begin
            digits += sum(map(str.isdigit, text[begin:end]))
            if size > _NATIONAL_CHARACTERS.stop:
                break
            if size in _NATIONAL_CHARACTERS and digits >= _NATIONAL_DIGITS_MIN:
                yield start, end


def find_phones(text: str) -> Iterator[Found]:
    """Numbers that look like telephones: digits in groups that are no date, or bare ones beside a word such as ``call``."""
    for each in _PHONE.finditer(text):
        start, end = each.span()
        before = text[max(start - _CUE_CHARACTERS, 0) : start]
        cued = bool(_CUE.search(before) or _CUE_BEHIND.match(text, end))
        if not _MORE.match(text, end) and _is_phone(each.group(), cued):
            yield Found("phone", start, end)


def _is_phone(number: str, cued: bool) -> bool:
    plain = re.split(r"x|ext", number, maxsplit=1)[0]
    groups = re.findall(r"\d+", plain)
    digits = "".join(groups)
    if len(digits) not in _PHONE_DIGITS or _DATE.match(number) or len(set(digits)) == 1 or _is_decimal(plain, groups):
        return False
    if cued or number.startswith(("+", "(")):
        return True
    if len(groups) == 1:
        return digits.startswith("0") and len(digits) in (10, 11)
    if len(groups) == 2:
        return (len(groups[0]), len(groups[1])) == (3, 4) or (digits.startswith("0") and len(digits) >= 9)
    return max(map(len, groups)) >= 3 or len(groups) >= 4


def _is_decimal(number: str, groups: Sequence[str]) -> bool:
    """Return whether it is rather fractions, or a large number in groups of three that ends in thousands."""
    if "." in number and not number.startswith(("+", "(")):
        return len(groups) == 2 or bool(re.search(r"[ \-/()]", number))
    return len(groups) > 1 and all(each == "000" for each in groups[1:])


def phones_by_library(regions: Sequence[str]) -> Finder:
    """Return a finder of the numbers that are valid in a region (ISO 3166 codes) or with a country's prefix.

    It is that of `phonenumbers`, and finds nothing where that is not installed.
    """

    def find(text: str) -> Iterator[Found]:
        library = phone_library()
        for region in regions if library and re.search(r"\d.{0,4}\d.{0,4}\d", text) else ():
            for each in library.PhoneNumberMatcher(text, region):
                if not _is_decimal(each.raw_string, re.findall(r"\d+", each.raw_string)):
                    yield Found("phone", each.start, each.end)

    return find


def apart(found: Sequence[Found]) -> list[Found]:
    """Return places that do not overlap: of two that do, one that covers both, of the kind that comes first in the list."""
    ranked = sorted(((each.start, -each.end, rank) for rank, each in enumerate(found)))
    made: list[tuple[int, int, int]] = []
    for start, end, rank in ((start, -end, rank) for start, end, rank in ranked):
        if made and start < made[-1][1]:
            begin, until, best = made.pop()
            start, end, rank = begin, max(until, end), min(best, rank)
        made.append((start, end, rank))
    return [Found(found[rank].kind, start, end) for start, end, rank in made]
