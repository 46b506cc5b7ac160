"""Finders of keys, tokens and passwords in text, by their published forms, by the name before them, or by chance alone."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from retrue.logger.scrub_checks import is_random
from retrue.logger.scrub_personal import Found

_WORD = r"(?<![A-Za-z0-9])"
_TOKENS = re.compile(
    _WORD
    + "(?:"
    + "|".join(
        (
            r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ABIA|ACCA)[A-Z0-9]{12,20}",  # Amazon
            r"gh[pousr]_[A-Za-z0-9]{16,255}",  # GitHub
            r"github_pat_\w{16,255}",
            r"glpat-[\w-]{16,64}",  # GitLab
            r"xox[a-z]-[A-Za-z0-9-]{8,255}",  # Slack
            r"xapp-[A-Za-z0-9-]{8,255}",
            r"(?:sk|pk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,255}",  # Stripe
            r"sk-[\w-]{16,255}",  # OpenAI, Anthropic
            r"AIza[\w-]{30,40}",  # Google
            r"ya29\.[\w-]{16,255}",
            r"hf_[A-Za-z0-9]{16,64}",  # Hugging Face
            r"npm_[A-Za-z0-9]{30,64}",
            r"pypi-[\w-]{16,255}",
            r"dop_v1_[a-f0-9]{32,80}",  # DigitalOcean
            r"SG\.[\w-]{16,64}\.[\w-]{16,64}",  # SendGrid
            r"eyJ[\w-]{8,4000}\.[\w-]{4,4000}(?:\.[\w-]{0,4000})?",  # JSON Web Token, RFC 7519
        )
    )
    + ")",
    re.ASCII,
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}(?:KEY|CERTIFICATE|MESSAGE)[A-Z0-9 ]{0,20}-----", re.ASCII)
_SCHEME = re.compile(
    r"\b(bearer|basic|token|apikey|digest)[ ]{1,4}([A-Za-z0-9._~+/=-]{8,4000})", re.IGNORECASE | re.ASCII
)
_NAMED = re.compile(
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|auth(?:orization)?"
    r"|token|session(?:[_-]?id)?|credentials?|cookie|signature)([\"']?[ ]{0,2}(?:[:=]|=>|\bis\b)[ ]{0,2}[\"']?)"
    r"([^\s\"',;&<>]{3,4000})",
    re.IGNORECASE,
)
_NAMES = ("pass", "pwd", "secret", "key", "auth", "token", "session", "credential", "cookie", "signature")
_ASSIGNED = re.compile(r"[=\"']|^:$")  # prose has a blank after its colon, and ordinary words behind "is"
_CODED = re.compile(r"[^A-Za-z.,!?)]|.{16}")
_URL = re.compile(r"(?<![A-Za-z0-9])[a-z][a-z0-9+.-]{1,20}://([^\s<>\"']{1,4000})", re.IGNORECASE | re.ASCII)
_RANDOM = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_=-]{20,4000}+", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_WORDLY = re.compile(r"[A-Z]?[a-z]{2,15}\d{0,3}|\d{1,4}|[A-Z]{2,6}", re.ASCII)
_HEX_CHARACTERS_MIN = 32
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{12,4000}+={0,2}", re.ASCII)
_ESCAPED = re.compile(r"\S+")


def find_tokens(text: str) -> Iterator[Found]:
    """Keys and tokens by the prefixes that their issuers publish, and whole blocks of PEM."""
    for begin in _PEM.finditer(text):
        end = text.find("-----", text.find("-----END", begin.end()) + 8) if "-----END" in text[begin.end() :] else -1
        yield Found("secret", begin.start(), len(text) if end < 0 else end + 5)
    yield from (Found("secret", *each.span()) for each in _TOKENS.finditer(text))


def find_named_secrets(text: str) -> Iterator[Found]:
    """What follows ``password=``, ``token:``, ``Bearer`` and the like."""
    for each in _SCHEME.finditer(text):
        value = each.group(2)
        if len(value) >= 20 or any(character.isdigit() for character in value):
            yield Found("secret", *each.span(2))
    lower = text.lower()
    for each in _NAMED.finditer(text) if any(name in lower for name in _NAMES) else ():
        if _ASSIGNED.search(each.group(1)) or _CODED.search(each.group(2)):
            yield Found("secret", *each.span(2))


def find_url_secrets(text: str) -> Iterator[Found]:
    """User and password before the host of a URL, and its query and fragment."""
    for url in _URL.finditer(text) if "://" in text else ():
        start, rest = url.start(1), url.group(1)
        host_end = min((at for at in (rest.find(mark) for mark in "/?#") if at >= 0), default=len(rest))
        user_end = rest.rfind("@", 0, host_end)
        if user_end >= 0:
            yield Found("userinfo", start, start + user_end)
        query = min((at for at in (rest.find(mark) for mark in "?#") if at >= 0), default=len(rest))
        if query + 1 < len(rest):
            yield Found("query", start + query + 1, start + len(rest))


def find_random(text: str) -> Iterator[Found]:
    """Words of 20 characters and more that a machine drew: too much entropy for words and names. UUIDs are none."""
    for each in _RANDOM.finditer(text):
        word = each.group().strip("-_=/+")
        if _HEX.fullmatch(word):
            if len(word) >= _HEX_CHARACTERS_MIN and not word.isdigit():
                yield Found("random", *each.span())
        elif any(is_random(part) for part in _parts(word)):
            yield Found("random", *each.span())


def _parts(word: str) -> Iterator[str]:
    """A path or a name of several words is judged by its parts, and by the whole only where words are the lesser part."""
    parts = re.split(r"[/_+=-]", word)
    yield from (part for part in parts if len(part) >= 16)
    words = sum(len(part) for part in parts if _WORDLY.fullmatch(part))
    if words < len(word) / 2:
        yield "".join(parts)


def find_encoded(text: str, hit: Callable[[str], bool]) -> Iterator[Found]:
    """Words that hold something once they are decoded from base64, hex or percent-encoding."""
    if "%" in text:
        for each in _ESCAPED.finditer(text):
            if "%" in each.group() and hit(unquote(each.group())):
                yield Found("encoded", *each.span())
    for each in _ENCODED.finditer(text):
        if any(hit(plain) for plain in _decoded(each.group())):
            yield Found("encoded", *each.span())


def _decoded(word: str) -> Iterator[str]:
    if _HEX.fullmatch(word) and len(word) % 2 == 0:
        yield from _printable(bytes.fromhex(word))
    bare = word.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        yield from _printable(base64.b64decode(bare + "=" * (-len(bare) % 4)))
    except binascii.Error:
        return


def _printable(data: bytes) -> Iterator[str]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    if text.isprintable():
        yield text
