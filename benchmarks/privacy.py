"""How well scrubbing finds what is personal in sentences: ``python -m benchmarks.privacy`` or ``make bench-privacy``.

The labelled sentences are those of presidio-research (MIT licence): ``synth_dataset_v2.json`` and
``generated_small.json``, each a list of ``{"full_text", "spans": [{"entity_type", "start_position", "end_position"}]}``,
in a folder given by ``--data`` or found beside the project. Precision is the share of finds of a kind that touch a span of
that entity; recall the share of spans of which no letter or digit is left by finds of that kind. ``any`` takes all kinds
together: finds that touch any labelled span, spans of the claimed entities that any find covers.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from retrue.logger.scrub import CHARACTERS_MAX, FINDERS, Scrubber, prepared
from retrue.logger.scrub_personal import Finder, find_national_ids, phones_by_library
from retrue.logger.scrub_presidio import SCORE_MIN

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "privacy.json"
DATA = next(iter(sorted(ROOT.parent.glob("*/data/pii_presidio_synth_v2"))), ROOT.parent / "no-data")
FILES = ("synth_dataset_v2.json", "generated_small.json")
REGIONS = ("US", "GB", "DE", "FR", "IN", "AU")  # where the sentences' numbers are from, as far as they tell
BUDGET_SECONDS = 10.0  # what a text costs is not measured here
PACKAGES = ("python-stdnum", "phonenumbers", "presidio-analyzer")

CLAIMED: Mapping[str, str] = {
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "IP_ADDRESS": "ip",
    "US_SSN": "ssn",
}
"""Entities of the sentences that retrue claims to find, and the kind it calls them."""
ANY = "any"
NOT_CLAIMED = (
    *("PERSON", "STREET_ADDRESS", "ADDRESS", "GPE", "LOCATION", "ORGANIZATION", "DATE_TIME", "TITLE", "AGE", "NRP"),
    *("ZIP_CODE", "DOMAIN_NAME", "US_DRIVER_LICENSE"),
)
"""Entities that only a model of language tells from other words and numbers: an adapter is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A span of a sentence and its entity, or a find and its kind."""

    kind: str
    start: int
    end: int

    def touches(self, other: Place) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A labelled text, in the form in which finders read it."""

    text: str
    spans: Sequence[Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one subject does on one entity."""

    subject: str
    entity: str
    spans: int
    found: int
    finds: int
    right: int

    @property
    def precision(self) -> float:
        return self.right / self.finds if self.finds else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.spans if self.spans else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


Subject = Callable[[str], list[Place]]


def subjects() -> dict[str, Subject]:
    """Return what is measured: retrue with and without libraries, and the peers that are installed, by their patterns."""
    made = {"retrue": _scrubbed(FINDERS)}
    if _version("python-stdnum"):
        made["retrue + python-stdnum"] = _scrubbed((*FINDERS[:-1], find_national_ids, FINDERS[-1]))
    if _version("phonenumbers"):
        made["retrue + phonenumbers"] = _scrubbed((*FINDERS, phones_by_library(REGIONS)))
    if _version("presidio-analyzer"):
        made["presidio patterns"] = _presidio()
    return made


def _scrubbed(finders: Sequence[Finder]) -> Subject:
    scrubber = Scrubber(finders, budget_seconds=BUDGET_SECONDS)
    return lambda text: [Place(kind=each.kind, start=each.start, end=each.end) for each in scrubber.find(text)]


def _presidio() -> Subject:
    """Presidio's recognizers of the claimed entities, without models and the context words that need them."""
    domains: Any = import_module("tldextract.tldextract")
    domains.TLD_EXTRACTOR = domains.TLDExtract(suffix_list_urls=())  # its bundled list, not one from the network
    module = import_module("presidio_analyzer.predefined_recognizers")
    names = ("CreditCard", "Iban", "Email", "Phone", "Ip", "UsSsn")
    recognizers = [getattr(module, f"{name}Recognizer")() for name in names]

    def find(text: str) -> list[Place]:
        return [
            Place(kind=CLAIMED[each.entity_type], start=each.start, end=each.end)
            for recognizer in recognizers
            for each in recognizer.analyze(text, recognizer.supported_entities, None)
            if each.score >= SCORE_MIN
        ]

    return find


def read(folder: Path) -> list[Sentence]:
    """Return the sentences of both files, with spans moved to where they stand after normalisation."""
    return [
        _sentence(each["full_text"], each["spans"])
        for name in FILES
        for each in json.loads((folder / name).read_bytes())
    ]


def _sentence(text: str, spans: Sequence[Mapping[str, int | str]]) -> Sentence:
    def moved(at: int) -> int:
        return len(prepared(text[:at], CHARACTERS_MAX))

    places = [
        Place(
            kind=str(each["entity_type"]),
            start=moved(int(each["start_position"])),
            end=moved(int(each["end_position"])),
        )
        for each in spans
    ]
    return Sentence(text=prepared(text, CHARACTERS_MAX), spans=places)


def score(name: str, subject: Subject, sentences: Sequence[Sentence]) -> Iterator[Score]:
    """Yield the scores of a subject on each claimed entity, and on all together."""
    finds = [subject(each.text) for each in sentences]
    for entity, kind in CLAIMED.items():
        yield _score(name, entity, sentences, finds, {entity}, {entity}, {kind})
    everything = {span.kind for each in sentences for span in each.spans}
    kinds = {find.kind for each in finds for find in each}
    yield _score(name, ANY, sentences, finds, set(CLAIMED), everything, kinds)


def _score(
    subject: str,
    entity: str,
    sentences: Sequence[Sentence],
    finds: Sequence[Sequence[Place]],
    claimed: set[str],
    right: set[str],
    kinds: set[str],
) -> Score:
    spans = found = made = hits = 0
    for sentence, all_finds in zip(sentences, finds, strict=True):
        own = [each for each in all_finds if each.kind in kinds]
        wanted = [each for each in sentence.spans if each.kind in claimed]
        spans += len(wanted)
        found += sum(_covered(sentence.text, each, own) for each in wanted)
        made += len(own)
        hits += sum(any(each.touches(span) for span in sentence.spans if span.kind in right) for each in own)
    return Score(subject=subject, entity=entity, spans=spans, found=found, finds=made, right=hits)


def _covered(text: str, span: Place, finds: Sequence[Place]) -> bool:
    return all(
        any(find.start <= at < find.end for find in finds) for at in range(span.start, span.end) if text[at].isalnum()
    )


def entries(scores: Sequence[Score]) -> list[dict[str, object]]:
    """Return the results as they are kept, one entry a subject and entity."""
    versions = {"python": platform.python_version(), **{name: _version(name) for name in ("retrue", *PACKAGES)}}
    return [
        {
            "subject": each.subject,
            "entity": each.entity,
            "precision": round(each.precision, 3),
            "recall": round(each.recall, 3),
            "f1": round(each.f1, 3),
            "spans": each.spans,
            "finds": each.finds,
            "versions": versions,
        }
        for each in scores
    ]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _kept(output: Path, made: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """The last results of peers that are not installed now."""
    measured = {each["subject"] for each in made}
    before = json.loads(output.read_bytes()) if output.is_file() else []
    return [each for each in before if each["subject"] not in measured]


def show(scores: Sequence[Score], console: Console) -> None:
    """Print one row a subject and entity."""
    table = Table(title="Personal data found in labelled sentences")
    for heading in ("subject", "entity", "spans", "finds", "precision", "recall", "F1"):
        table.add_column(heading, justify="left" if heading in ("subject", "entity") else "right")
    for each in scores:
        shares = (f"{share:.3f}" for share in (each.precision, each.recall, each.f1))
        table.add_row(each.subject, each.entity, f"{each.spans}", f"{each.finds}", *shares)
    console.print(table)
    console.print(f"not claimed: {', '.join(NOT_CLAIMED)}", soft_wrap=True)


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=str(__doc__).partition(":")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the labelled sentences")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the results are written, as JSON")
    given = parser.parse_args()
    console = Console()
    missing = [name for name in FILES if not (given.data / name).is_file()]
    if missing:
        console.print(f"not measured: {given.data} has no {' and no '.join(missing)}", soft_wrap=True)
        sys.exit(0)
    sentences = read(given.data)
    scores = [each for name, subject in subjects().items() for each in score(name, subject, sentences)]
    show(scores, console)
    made = entries(scores)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps([*made, *_kept(given.output, made)], indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {given.output}", soft_wrap=True)


if __name__ == "__main__":
    main()
