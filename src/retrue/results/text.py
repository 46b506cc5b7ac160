"""What a baseline keeps of a column of free text: numbers and digests, never a word of it."""

from __future__ import annotations

from dataclasses import dataclass

from retrue.results.domain import DomainNull
from retrue.results.measured import ColumnKind

TEXT_VIEWS: tuple[tuple[str, ColumnKind], ...] = (
    ("length", ColumnKind.NUMBER),
    ("words", ColumnKind.NUMBER),
    ("letter_share", ColumnKind.NUMBER),
    ("digit_share", ColumnKind.NUMBER),
    ("punctuation_share", ColumnKind.NUMBER),
    ("space_share", ColumnKind.NUMBER),
    ("upper_share", ColumnKind.NUMBER),
    ("script", ColumnKind.TEXT),
    ("ngram_distance", ColumnKind.NUMBER),
    ("oov_share", ColumnKind.NUMBER),
)
"""What is measured of each text, with its kind."""

EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextProfile:
    """The texts of a baseline as a whole.

    ``common`` and ``rare`` are digests of its words, 12 hexadecimal digits each, sorted, without a separator; those in ``rare``
    would be unknown if one text less held them. ``trigrams`` are the shares of character trigrams by bucket. ``embedding`` is
    the null distribution of the embeddings' drift, None where there are none.
    """

    column: str
    texts: int
    common: str
    rare: str
    trigrams: tuple[float, ...]
    embedding: DomainNull | None = None

    @property
    def views(self) -> dict[str, ColumnKind]:
        """The columns that stand for this one, such as ``review.length``, with their kinds."""
        return {f"{self.column}.{view}": kind for view, kind in TEXT_VIEWS}
