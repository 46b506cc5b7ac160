"""Free text as numbers that any drift score takes: length, characters, script, trigrams, unknown words. Pure.

No language is assumed: characters are told by their Unicode class, words are runs of letters and digits, and in scripts without
spaces every character is one. What is kept of a baseline are shares of trigrams and digests of words, never a word.

Sources: character n-gram profiles: Cavnar & Trenkle (1994), N-gram-based text categorization, SDAIR; hashing them: Weinberger et
al. (2009), Feature hashing for large scale multitask learning, ICML. Unicode Standard Annex 24 (scripts).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from retrue.results.text import TEXT_VIEWS, TextProfile

Floats = np.ndarray[Any, np.dtype[np.float64]]
Values = np.ndarray[Any, Any]

TEXT_DISTINCT_SHARE = 0.3  # of a column's values: names of cities repeat, sentences do not
TEXT_WORDS = 3.0  # on average, parted by spaces: ids, addresses of pages and codes have none
CHARACTERS_MAX = 2_000  # of a text, from its beginning, are looked at beyond its length
WORDS_MAX = 20_000  # digests kept, of the words that most texts hold
WORD_TEXTS = 5  # texts that must hold a word for its digest to be kept: rarer ones may name somebody
BUCKETS = 1_024  # of trigrams
_DIGEST_BYTES = 6
_DIGEST_DIGITS = 2 * _DIGEST_BYTES
_SPACELESS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W_{_SPACELESS}]+")
_DIGIT = re.compile(r"\d")
_MULTIPLIERS = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D], dtype=np.uint32)  # primes of xxHash32
_SCRIPTS = {
    **{
        word: word.lower()
        for word in ("LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "HANGUL", "THAI")
    },
    **dict.fromkeys(("CJK", "HIRAGANA", "KATAKANA"), "cjk"),
}


def is_free_text(values: Iterable[str | None]) -> bool:
    """Whether a column holds free text rather than categories or codes.

    It does where at least ``TEXT_DISTINCT_SHARE`` of its values differ and they have ``TEXT_WORDS`` words on average.

    >>> is_free_text(["the room was cold", "we liked the food a lot", None])
    True
    >>> is_free_text(["New York City", "New York City", "New York City", "Los Angeles"] * 5)
    False
    >>> is_free_text(["a3f9-77d0", "b812-0c4e", "9d01-5fe2"])
    False
    """
    texts = [each for each in values if each is not None]
    if not texts or len(set(texts)) / len(texts) < TEXT_DISTINCT_SHARE:
        return False
    return sum(_spaced_words(each[:CHARACTERS_MAX]) for each in texts) / len(texts) >= TEXT_WORDS


def profile_text(column: str, texts: Sequence[str | None]) -> TextProfile:
    """Return what a baseline keeps of its texts, shape (rows,); None is no text.

    >>> profile = profile_text("review", ["cold room"] * 5 + ["warm room"])
    >>> profile.texts, len(profile.common), len(profile.rare)
    (6, 12, 12)
    """
    held = [each for each in texts if each is not None]
    counts: Counter[str] = Counter()
    for text in held:
        counts.update(set(_words(text)))
    least = _least(counts)
    profile = sum((_trigram_shares(each) for each in held), np.zeros(BUCKETS)) / max(len(held), 1)
    return TextProfile(
        column=column,
        texts=len(held),
        common="".join(sorted(_digest(word) for word, count in counts.items() if count > least)),
        rare="".join(sorted(_digest(word) for word, count in counts.items() if count == least)),
        trigrams=tuple(np.round(profile, 8).tolist()),
    )


def text_views(profile: TextProfile, texts: Sequence[str | None], *, own: bool) -> Mapping[str, Values]:
    """Return the views of texts by name, each shape (rows,): floats with NaN, ``script`` objects with None.

    Args:
        profile: Of the baseline's texts.
        texts: Those of the baseline or of a window; None has no view, an empty one has length 0 and no shares.
        own: The texts are those of which the profile was made: each is compared with the others only, so that it is as
            unknown to them as a new one.

    ``ngram_distance`` is 1 less the cosine of the text's trigrams and the baseline's, in 0-1. ``oov_share`` is the share of a
    text's words that the baseline does not know.

    >>> profile = profile_text("review", ["cold room"] * 5)
    >>> views = text_views(profile, ["Cold food!", None], own=False)
    >>> views["review.oov_share"].tolist(), views["review.script"].tolist()
    ([0.5, nan], ['latin', None])
    """
    known = _Known(profile, own=own)
    rows = [_view(each, known) for each in texts]
    columns = zip(*rows, strict=True) if rows else ([] for _ in TEXT_VIEWS)
    named = zip(TEXT_VIEWS, columns, strict=True)
    return {
        f"{profile.column}.{view}": np.array(values, dtype=object if view == "script" else float)
        for (view, _), values in named
    }


def _least(counts: Counter[str]) -> int:
    """Return how many texts must hold a word for it to be kept: as many as leave at most ``WORDS_MAX`` words.

    >>> _least(Counter({"the": 900, "room": 700}))
    5
    """
    of_count = Counter(counts.values())
    kept = 0
    for count in sorted(of_count, reverse=True):
        kept += of_count[count]
        if kept > WORDS_MAX:
            return max(count + 1, WORD_TEXTS)
    return WORD_TEXTS


class _Known:
    """A baseline's words and trigrams, against which single texts are held."""

    def __init__(self, profile: TextProfile, *, own: bool) -> None:
        self._digests = _split(profile.common) | (set() if own else _split(profile.rare))
        self._words: dict[str, bool] = {}
        self._texts = profile.texts if own else 0
        self._trigrams = np.array(profile.trigrams)

    def unknown_share(self, words: Sequence[str]) -> float:
        for word in words:
            if word not in self._words:
                self._words[word] = _digest(word) in self._digests
        return sum(not self._words[word] for word in words) / len(words) if words else float("nan")

    def distance(self, shares: Floats) -> float:
        others = self._trigrams if self._texts < 2 else (self._trigrams * self._texts - shares) / (self._texts - 1)
        size = float(np.linalg.norm(shares) * np.linalg.norm(others))
        return 1 - min(max(float(shares @ others) / size, 0.0), 1.0) if size else float("nan")


def _view(text: str | None, known: _Known) -> tuple[float | str | None, ...]:
    if text is None:
        return tuple(None if view == "script" else float("nan") for view, _ in TEXT_VIEWS)
    seen = text[:CHARACTERS_MAX]
    words = _words(text)
    classes: Counter[str] = Counter()
    scripts: Counter[str] = Counter()
    for character, count in Counter(seen).items():
        kind, script = _class(character)
        classes[kind] += count
        classes["L"] += count if kind in ("Lu", "Lo") else 0
        if script:
            scripts[script] += count
    letters, size = classes["L"], len(seen)
    shares = (letters, classes["N"], classes["P"], classes["Z"])
    return (
        float(len(text)),
        float(len(words)),
        *(part / size if size else float("nan") for part in shares),
        classes["Lu"] / letters if letters else float("nan"),
        max(sorted(scripts), key=lambda each: scripts[each]) if scripts else "none",
        known.distance(_trigram_shares(text)),
        known.unknown_share(words),
    )


@lru_cache(maxsize=65_536)
def _class(character: str) -> tuple[str, str]:
    """Return a character's class (``Lu`` upper case, ``Lo`` other letter, ``N``, ``P`` with symbols, ``Z``) and a letter's script."""
    category = unicodedata.category(character)
    if category[0] in "LM":
        word = unicodedata.name(character, "OTHER").replace("-", " ").split(maxsplit=1)[0]
        return "Lu" if category in ("Lu", "Lt") else "Lo", _SCRIPTS.get(word, "other")
    if character.isspace():
        return "Z", ""
    return {"N": "N", "P": "P", "S": "P"}.get(category[0], "C"), ""


def _words(text: str) -> list[str]:
    """Return the words of a text in small letters, digits as 0, so that a new number is no new word."""
    return _WORD.findall(_DIGIT.sub("0", text[:CHARACTERS_MAX].casefold()))


def _spaced_words(text: str) -> int:
    """Return how many words a reader sees: runs between spaces; in scripts without spaces two characters are one."""
    spaceless = len(re.findall(f"[{_SPACELESS}]", text))
    return len(text.split()) + spaceless // 2


def _digest(word: str) -> str:
    return blake2b(word.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()


def _split(digests: str) -> set[str]:
    return {digests[at : at + _DIGEST_DIGITS] for at in range(0, len(digests), _DIGEST_DIGITS)}


def _trigram_shares(text: str) -> Floats:
    """Return the shares of a text's trigrams by bucket, shape (BUCKETS,), of small letters between two spaces."""
    padded = f" {_DIGIT.sub('0', text[:CHARACTERS_MAX].casefold())} "
    codes = np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if len(codes) < 3:
        return np.zeros(BUCKETS)
    mixed = codes[:-2] * _MULTIPLIERS[0] ^ codes[1:-1] * _MULTIPLIERS[1] ^ codes[2:] * _MULTIPLIERS[2]
    buckets = (mixed * _MULTIPLIERS[0]) >> np.uint32(22)  # the ten highest bits
    shares: Floats = np.bincount(buckets, minlength=BUCKETS) / len(buckets)
    return shares
