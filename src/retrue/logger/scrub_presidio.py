"""Names, addresses and what else a model of language finds, by Presidio's analyzer: a finder to add to the built-in ones.

Presidio is no dependency and brings its own models; the only module that knows it, and it is given, not imported.
It takes milliseconds a text: use it where free text is rare, or in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from retrue.logger.scrub_personal import Finder, Found

SCORE_MIN: Final = 0.35
"""Of Presidio's confidence, 0 to 1: its own default would take every number of nine digits for something."""


class Result(Protocol):
    """What is read of a `presidio_analyzer.RecognizerResult`."""

    entity_type: str
    start: int
    end: int
    score: float


class Analyzer(Protocol):
    """What is called of a `presidio_analyzer.AnalyzerEngine`."""

    def analyze(self, text: str, language: str) -> Sequence[Result]:
        """Return what stands where."""


def presidio_finder(analyzer: Analyzer, *, language: str = "en", score_min: float = SCORE_MIN) -> Finder:
    """Return a finder for `Scrubber((*FINDERS, presidio_finder(AnalyzerEngine())))`.

    Args:
        analyzer: A `presidio_analyzer.AnalyzerEngine`, with the models it needs.
        language: Of the texts.
        score_min: Finds of which Presidio is less sure are left.
    """

    def find(text: str) -> Iterator[Found]:
        for each in analyzer.analyze(text=text, language=language):
            if each.score >= score_min:
                yield Found(each.entity_type.lower(), each.start, each.end)

    return find
