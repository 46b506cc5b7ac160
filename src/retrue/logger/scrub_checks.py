"""What makes a run of characters a card, an IBAN, an address of a network, a national id or a key: check digits, not looks.

`python-stdnum` and `phonenumbers` are used where they are installed (the extra ``privacy``), and only when asked for.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final

CARD_DIGITS: Final = range(12, 20)
_ISSUERS = re.compile(r"4|5[0-8]|2[2-7]|6|3[04-9]|1800|2131|9792", re.ASCII)
_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

_IBAN_REGISTRY = """\
AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DJ:27 DK:18 DO:28
EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HN:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26
IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28
NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25
SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30"""
IBAN_LENGTHS: Final = {pair[:2]: int(pair[3:]) for pair in _IBAN_REGISTRY.split()}
"""Characters of an IBAN by country, of the registry of ISO 13616."""

_NATIONAL_IDS = """\
be.nn bg.egn br.cpf ch.ssn cn.ric dk.cpr ee.ik es.dni es.nie fi.hetu fr.nir gr.amka hr.oib in_.aadhaar in_.pan
it.codicefiscale kr.rrn lt.asmens mx.curp no.fodselsnummer pl.pesel ro.cnp se.personnummer si.emso tr.tckimlik za.idnr"""
NATIONAL_IDS: Final = tuple(_NATIONAL_IDS.split())
"""Modules of python-stdnum for numbers of persons whose check digits or dates few other numbers pass by chance."""

ENTROPY_BITS_MIN: Final = 3.4
"""Shannon entropy per character: words and paths of programs lie at 2.5 to 3.3, random base64 of 24 characters at 4."""


def is_card(digits: str) -> bool:
    """Return whether digits are the number of a payment card: length, an issuer's prefix, and Luhn's check digit.

    >>> is_card("4111111111111111"), is_card("4111111111111112")
    (True, False)
    """
    if len(digits) not in CARD_DIGITS or not _ISSUERS.match(digits) or len(set(digits)) == 1:
        return False
    return luhn(digits)


def luhn(digits: str) -> bool:
    """Return whether the last digit is Luhn's of the others (ISO/IEC 7812-1, annex B)."""
    numbers = [ord(each) - 48 for each in reversed(digits)]
    return (sum(numbers[::2]) + sum(_LUHN_DOUBLED[each] for each in numbers[1::2])) % 10 == 0


def is_iban(text: str) -> bool:
    """Return whether characters without separators are an IBAN: the country's length, and 1 modulo 97 (ISO 13616).

    >>> is_iban("GB82WEST12345698765432")
    True
    """
    text = text.upper()
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isascii() or not text.isalnum():
        return False
    return int("".join(str(int(each, 36)) for each in text[4:] + text[:4])) % 97 == 1


def is_ipv4(text: str) -> bool:
    from ipaddress import AddressValueError, IPv4Address

    try:
        return bool(IPv4Address(text).packed)
    except AddressValueError:
        return False


def is_ipv6(text: str) -> bool:
    """Return whether text is an IPv6 address that could not as well be a word or a time of day."""
    if text.count(":") < 2 or len(text) < 4 or not any(each.isdigit() for each in text):
        return False
    from ipaddress import AddressValueError, IPv6Address

    try:
        return bool(IPv6Address(text).packed)
    except AddressValueError:
        return False


def is_random(text: str) -> bool:
    """Return whether a word looks drawn by a machine: a key or a token, by its entropy and its mix of characters.

    >>> is_random("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"), is_random("sepal_length_in_centimetres")
    (True, False)
    """
    digits = sum(each.isdigit() for each in text)
    uppers = sum(each.isupper() for each in text)
    lowers = sum(each.islower() for each in text)
    mixed = bool(digits) + bool(uppers) + bool(lowers)
    if mixed < 2 or digits + uppers <= len(text) / 10 or (digits == 0 and _camel_case(text)):
        return False
    return entropy_bits(text) >= ENTROPY_BITS_MIN


def entropy_bits(text: str) -> float:
    """Return the Shannon entropy of the characters of a text, in bits per character."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values())


@cache
def national_checks() -> Sequence[Callable[[str], bool]]:
    """Return the checks of python-stdnum that this installation has; none where it is not installed."""
    return tuple(check for name in NATIONAL_IDS if (check := _stdnum(name)) is not None)


@cache
def phone_library() -> Any:
    """Return the module `phonenumbers`, or None where it is not installed."""
    try:
        return import_module("phonenumbers")
    except ImportError:
        return None


def _stdnum(name: str) -> Callable[[str], bool] | None:
    try:
        check: Callable[[str], bool] = import_module(f"stdnum.{name}").is_valid
    except (ImportError, AttributeError):
        return None

    def guarded(text: str) -> bool:
        try:
            return check(text)
        except (KeyError, IndexError):  # python-stdnum 2.2 on a Chinese number of an unknown county
            return False

    return guarded


def _camel_case(text: str) -> bool:
    """Words of a program set together: each capital begins a run of small letters."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)
    return bool(words) and len(text) / len(words) >= 4
