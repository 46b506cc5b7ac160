"""Canaries: personal data and secrets that exist nowhere else, one for each class and place, and a scan that finds them."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import random
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq

from retrue.logger.scrub_checks import luhn

CLASSES = ("email", "phone", "card", "ssn", "key", "bearer", "free")
SCAN_CHARACTERS_MIN = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A value to plant, and the part of it that must not be found: what its class has in common is left out."""

    place: str
    kind: str
    value: str
    core: str


class Aviary:
    """Makes canaries and remembers them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.made: list[Canary] = []

    def plant(self, place: str, kind: str) -> str:
        """Return a new canary's value for a place."""
        value, core = getattr(self, f"_{kind}")()
        self.made.append(Canary(place=place, kind=kind, value=value, core=core))
        return str(value)

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(string.ascii_lowercase, k=count))

    def _digits(self, count: int) -> str:
        return "".join(self._random.choices(string.digits, k=count))

    def _email(self) -> tuple[str, str]:
        local = self._letters(12)
        return f"{local}@posta.example", local

    def _phone(self) -> tuple[str, str]:
        digits = "630" + self._digits(7)
        return f"+3{digits}", digits

    def _card(self) -> tuple[str, str]:
        body = "4" + self._digits(14)
        card = next(body + check for check in string.digits if luhn(body + check))
        return card, card

    def _ssn(self) -> tuple[str, str]:
        number = f"{self._random.randint(100, 665)}-{self._random.randint(10, 99)}-{self._random.randint(1000, 9999)}"
        return number, number

    def _key(self) -> tuple[str, str]:
        body = "".join(self._random.choices(string.ascii_uppercase + string.digits, k=16))
        return "AK" + "IA" + body, body

    def _bearer(self) -> tuple[str, str]:
        token = base64.urlsafe_b64encode(self._random.randbytes(24)).decode()
        return f"Bearer {token}", token

    def _free(self) -> tuple[str, str]:
        name = self._letters(10).capitalize()
        return f"{name} lives beside the old mill", name


def hits(folder: Path, canaries: list[Canary]) -> list[tuple[str, Canary, str]]:
    """Return each canary that any byte under a folder holds: the file, the canary, and the writing it was found in."""
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        for content in (path.name.encode(), *contents(path)):
            lower = content.lower()
            found += [
                (path.name, canary, writing)
                for canary in canaries
                for writing, needle in writings(canary.core).items()
                if needle.lower() in lower
            ]
    return found


def contents(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, and what lies in it compressed: gzip, and the pages of Parquet in any codec."""
    data = path.read_bytes()
    yield data
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    if data[:4] == b"PAR1":
        file = pq.ParquetFile(io.BytesIO(data))
        yield str(file.metadata.metadata).encode()
        yield json.dumps(file.read().to_pylist(), default=str, ensure_ascii=False).encode()


def writings(core: str) -> Mapping[str, bytes]:
    """Return the ways in which text may stand in bytes, in lower case where letters may be folded."""
    raw = core.encode()
    ways = {
        "plain": raw,
        "reversed": raw[::-1],
        "in JSON": json.dumps(core)[1:-1].encode(),
        "in a URL": quote(core, safe="").encode(),
        "in HTML": html.escape(core).encode(),
        "in HTML by numbers": "".join(f"&#{ord(each)};" for each in core).encode(),
        "escaped": "".join(f"\\u{ord(each):04x}" for each in core).encode(),
        "hex": raw.hex().encode(),
        "UTF-16": core.encode("utf-16-le"),
        "split by blanks": " ".join(core).encode(),
    }
    return ways | {f"base64 at {offset}": _encoded(raw, offset) for offset in range(3)}


def _encoded(raw: bytes, offset: int) -> bytes:
    """The characters of base64 that depend on nothing but the text, wherever it begins in a group of three."""
    encoded = base64.b64encode(b"\0" * offset + raw)
    first = (offset * 8 + 5) // 6
    last = (offset + len(raw)) * 8 // 6
    return encoded[first:last]
