"""A message without its values: ``no weather for 'EWR' at 2013-04-04`` becomes ``no weather for <*> at <*>``. Pure.

What varies from one occurrence to the next is replaced by ``<*>``; what is left says which failure it is. The rules know
kinds of values (numbers, hosts, paths, keys …), never the system that wrote the message. Time and length are bounded whatever
the text: so many characters are looked at and kept, and what a rule may repeat is bounded or never given back.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

VALUE = "<*>"
_HOLE = "\ue000"  # stands for VALUE while the rules run: private use, so never in the text they see
LONGEST_MESSAGE = 4000  # characters looked at
LONGEST_TEMPLATE = 300  # characters kept
NESTED_BRACES = 3

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_WEEKDAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:[ ]?[AaPp][Mm]\b)?"
_ZONE = r"(?:[ ]?(?:Z\b|UTC\b|GMT\b|[ECMP][SD]T\b|CES?T\b|[+-]\d\d:?\d\d\b))?"
_HEX = "[0-9a-fA-F]"
_SIZES = r"[kKMGTP]i?[bB](?:ytes?)?|[bB]ytes?|[kMG]?Hz|px|[KMGT]"
_TIMES = r"[nuµm]?s(?:ecs?)?|(?:nano|micro|milli)?sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?|[hmd]|days?|weeks?"
_TLD = r"(?:com|net|org|edu|gov|mil|io|ai|app|dev|cloud|info|biz|local|localdomain|internal|intranet|lan|corp|svc|[a-z]{2})"
_PATH = r"[^\s,;:()\[\]{}'\"<>|=?]"
_DIGITS_GROUPED = r"\d++(?:[.,_]\d++)*+"
_START, _END = r"(?<!\w)", r"(?!\w)"

_QUOTED = re.compile(
    r"(?<![\w\\])(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']{0,500})'|`(?P<back>[^`]{0,500})`)(?!\w)|“[^”]*”|«[^»]*»|‘[^’]{0,500}’(?!\w)"
)
_REQUEST = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE) \S+(?: HTTP/\d(?:\.\d)?)?")
_RAISED = ("Error(", "Exception(", "Warning(")  # what is quoted behind it is a message, not a value
_VALUES = tuple(
    re.compile(pattern)
    for pattern in (
        # URL, e-mail address
        r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s\"'<>]+",
        r"(?<![\w.+-])[\w.+-]{1,64}@\w[\w-]{0,63}(?:\.[\w-]{1,63}){0,8}",
        # path: Windows; absolute, or from a dot or tilde; relative with two slashes
        rf"{_START}[A-Za-z]:\\{_PATH}*",
        rf"(?<![\w/.])(?:~|\.{{1,2}})?/{_PATH}+(?:\?[^\s\"'<>]*)?",
        r"(?<![\w./-])[\w.-]{1,200}(?:/[\w.@-]{1,200}){2,30}/?",
        # date, with or without a time; time
        rf"{_START}\d{{4}}[-/.]\d\d[-/.]\d\d(?:[T _-]\d\d[:.]\d\d(?:[:.]\d\d(?:[.,]\d{{1,9}})?)?{_ZONE})?{_END}",
        rf"{_START}(?:{_WEEKDAY},?[ ])?(?:{_MONTH}[ ]{{1,2}}\d{{1,2}}|\d{{1,2}}[ -]{_MONTH})"
        rf"(?:,?[ -]\d{{4}})?(?:[ ]{_CLOCK}{_ZONE})?(?:[ ]\d{{4}})?{_END}",
        rf"(?<![\w:]){_CLOCK}{_ZONE}(?![\w:])",
        # UUID, memory address, MAC or IPv6 address, digest
        rf"{_START}{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}{_END}",
        rf"{_START}0[xX]{_HEX}+",
        rf"(?<![\w:]){_HEX}{{0,4}}(?::{_HEX}{{0,4}}){{2,15}}(?![\w:])",
        rf"{_START}(?=\d{{0,40}}[a-fA-F]){_HEX}{{8,}}{_END}",
        # IP address or host, with a port; host by its ending
        rf"(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?{_END}",
        r"(?<![\w.-])[A-Za-z0-9][\w-]{0,62}(?:\.[\w-]{1,63}){1,8}:\d{1,5}(?![\w.])",
        rf"(?<![\w.-])[A-Za-z0-9][\w-]{{0,62}}(?:\.[\w-]{{1,63}}){{1,8}}\.{_TLD}(?![\w.(-])",
        r"(?<![\w.-])(?:localhost(?::\d+)?|[a-z][\w-]{0,62}:\d{2,5})(?![\w.:-])",
    )
)
_NUMBERS = tuple(
    re.compile(pattern)
    for pattern in (
        # with a unit or a percentage; plain
        rf"(?:[<>~≈][ ]?)?(?<![\w.])[-+]?{_DIGITS_GROUPED}\.?(?:[eE][-+]?\d+)?[ ]?(?:%|(?:{_SIZES}|{_TIMES}){_END})",
        rf"(?:[<>~≈][ ]?)?(?<!\w)[-+]?{_DIGITS_GROUPED}(?:[eE][-+]?\d+)?{_END}",
    )
)
_BRACED = re.compile(r"\{[^{}]{1,1000}\}")
_ASSIGNED = re.compile(
    r"(?<![\w.=<>!-])([A-Za-z_][\w.-]{0,99} ?= ?)(?<!= =)(?!=)"
    r"(?:\[[^\[\]]{0,500}\]|\([^()]{0,500}\)|(?:(?<==)|(?!\S*=))[^\s,;)\]}&|=]+)"
)
_KEYED = re.compile(r"(?<![\w.:])([A-Za-z_]\w{0,99}:)[A-Za-z_$][\w$]*(?:\.[\w$]+)+")
_USER = re.compile(r"(?i)\b((?:for|of|by|from|to|as|invalid|illegal|unknown) (?:user|account) )[\w.$-]+")
_ARGUMENT = re.compile(r"(?<=\w\()[^()\s]{2,200}(?=\))")
_NAME = re.compile(r"((?<!\w)[a-z][^\WA-Z]* |[:,;] (?=[A-Z][A-Z\d_-]+(?!\w)))[A-Z][\w'-]*(?: [A-Z][\w'-]*)*")
_WORD = re.compile(r"\w[\w.-]*\w|\w")
_PART, _NAMED = re.compile(r"[-_.]+|[^-_.]+"), re.compile(r"([a-z]{2,}|[A-Z][a-z]+)\d+")
_DIGIT, _DIGITS, _LETTER = re.compile(r"\d"), re.compile(r"\d+"), re.compile(r"[^\W\d_]")
_RUN = re.compile(rf"{_HOLE}(?:[\s,;:./|&×x_+#-]{{0,3}}{_HOLE}| \({_HOLE}\))+")
_ROWS = re.compile(rf"([\[({{]){_HOLE}([\])}}])(?:[\s,;]{{0,2}}[\[({{]{_HOLE}[\])}}])+")


def template(message: str) -> str:
    """Return a message with its values replaced by ``<*>``: one line of at most ``LONGEST_TEMPLATE`` characters.

    >>> template("could not convert string to float: 'n/a'")
    'could not convert string to float: <*>'
    >>> template("user 4711 timed out after 30.5 s on 10.0.0.7:8080 (trace 4bf92f3577b34da6)")
    'user <*> timed out after <*> on <*> (trace <*>)'
    """
    text = one_line(message, LONGEST_MESSAGE).replace(VALUE, _HOLE)
    text = _QUOTED.sub(_unquoted, text)
    for rule in _VALUES:
        text = rule.sub(_HOLE, text)
    text = _WORD.sub(_word, text)
    for rule in _NUMBERS:
        text = rule.sub(_HOLE, text)
    for _ in range(NESTED_BRACES):
        text = _BRACED.sub(_HOLE, text)
    text = _KEYED.sub(rf"\1{_HOLE}", _ASSIGNED.sub(rf"\1{_HOLE}", text))
    text = _USER.sub(rf"\1{_HOLE}", _ARGUMENT.sub(_HOLE, text))
    return _bounded(_collapsed(text).replace(_HOLE, VALUE))


def without_names(text: str) -> str:
    """Return a template with its proper names replaced too: capitalised words that begin no sentence and no title.

    Too bold for a message alone; where stack frames say which failure it is, it keeps categories from splitting a group.

    >>> without_names("no weather for New York: Connection refused")
    'no weather for <*>: Connection refused'
    """
    return _collapsed(_NAME.sub(rf"\1{_HOLE}", text.replace(VALUE, _HOLE))).replace(_HOLE, VALUE)


def one_line(text: str, longest: int = 200) -> str:
    """Return the first characters of a text on one line, with neither control characters nor lone surrogates."""
    readable = text[:longest].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    printable = "".join(each if each.isprintable() else " " for each in unicodedata.normalize("NFC", readable))
    return " ".join(printable.split())


def _collapsed(text: str) -> str:
    return _unrepeated(_ROWS.sub(rf"\1{_HOLE}\2", _RUN.sub(_HOLE, text)))


def _unquoted(found: re.Match[str]) -> str:
    request = _REQUEST.match(found["double"] or "")
    if request:
        return f'"{request[1]} {_HOLE}"'
    inner = found["double"] or found["single"]
    return inner if inner and found.string.endswith(_RAISED, 0, found.start()) else _HOLE


def _word(found: re.Match[str]) -> str:
    """Return a word without its digits; whole, where letters and digits alternate as in an identifier."""
    word = found[0]
    if word.isalpha() or not _DIGIT.search(word) or not _LETTER.search(word):
        return word
    parts = _PART.findall(word)
    coded = [part for part in parts if _DIGIT.search(part) and _LETTER.search(part)]
    if len(coded) > 1 or not all(map(_NAMED.fullmatch, coded)):
        return _HOLE
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if not part[0].isalnum():
        return part[0]
    return _DIGITS.sub(_HOLE, part)


def _unrepeated(text: str) -> str:
    """Leave out a word with a value in it that repeats the one before, as lists of keys do."""
    words = text.split(" ")
    return " ".join(
        word for before, word in pairwise(("", *words)) if _HOLE not in word or word.rstrip(",;") != before.rstrip(",;")
    )


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST_TEMPLATE else text[: LONGEST_TEMPLATE - 1] + "…"
