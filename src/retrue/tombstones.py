"""Whom a log may no longer hold: erased people, known by salted digests of what identified them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstones:
    """Digests of the subjects that were erased, and of the ids of their inferences; ``columns`` name people.

    A record goes when one of ``columns`` holds a subject, a label when its inference is one of ``inferences``.
    """

    salt: str = ""
    columns: tuple[str, ...] = ()
    subjects: frozenset[str] = frozenset()
    inferences: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.subjects or self.inferences)

    def names(self, value: object) -> bool:
        """Tell whether a value of one of ``columns`` names an erased subject."""
        return value is not None and digest_of(self.salt, value) in self.subjects

    def covers(self, inference_id: object) -> bool:
        """Tell whether an inference was one of an erased subject's."""
        return inference_id is not None and digest_of(self.salt, inference_id) in self.inferences


NOBODY = Tombstones()


def digest_of(salt: str, value: object) -> str:
    """Return the salted SHA-256 of a value's text, in hex, as the engine's ``sha256(salt || value)`` gives it.

    >>> digest_of("", "abc")[:8]
    'ba7816bf'
    """
    return hashlib.sha256(f"{salt}{value}".encode("utf-8", "surrogatepass")).hexdigest()


def digests_of(salt: str, values: Iterable[object]) -> frozenset[str]:
    """Return the digests of several values."""
    return frozenset(digest_of(salt, value) for value in values)
