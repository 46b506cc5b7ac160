"""The benchmark of scrubbing runs as it is called, scores what it should, and the docs quote its last results."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.privacy import ANY, CLAIMED, DATA, FILES, NOT_CLAIMED, RESULT, ROOT, Place, Sentence, score

ENTRY = {"subject", "entity", "precision", "recall", "f1", "spans", "finds", "versions"}
DOCS = ROOT / "docs" / "privacy.md"


def run(*options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.privacy", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sentences(folder: Path) -> Path:
    """Two labelled sentences: one find that is right, one that is wrong, one span that is missed."""
    text = "mail jane@posta.example, card 4111111111111112, from 203.0.113.9"
    spans = [(5, 23, "EMAIL_ADDRESS"), (30, 46, "CREDIT_CARD"), (0, 4, "PERSON")]
    labelled = {
        "full_text": text,
        "spans": [{"entity_type": kind, "start_position": start, "end_position": end} for start, end, kind in spans],
    }
    for name in FILES:
        (folder / name).write_text(json.dumps([labelled] if name == FILES[0] else []))
    return folder


def test_results_are_one_entry_per_subject_and_entity(tmp_path: Path) -> None:
    output = tmp_path / "made" / "privacy.json"
    output.parent.mkdir()
    absent = {"subject": "a peer that is not installed", "entity": ANY}
    output.write_text(json.dumps([absent]))
    run("--data", str(sentences(tmp_path)), "--output", str(output))
    *entries, kept = json.loads(output.read_bytes())
    assert kept == absent
    own = {entry["entity"]: entry for entry in entries if entry["subject"] == "retrue"}
    assert set(own) == {*CLAIMED, ANY}
    assert all(set(entry) == ENTRY for entry in entries)
    assert (own["EMAIL_ADDRESS"]["precision"], own["EMAIL_ADDRESS"]["recall"]) == (1.0, 1.0)
    assert (own["CREDIT_CARD"]["recall"], own["IP_ADDRESS"]["precision"]) == (0.0, 0.0)
    assert (own[ANY]["precision"], own[ANY]["recall"]) == (0.5, 0.5)


def test_a_span_is_found_only_if_nothing_of_it_is_left() -> None:
    sentence = Sentence(text="call 555-1234 now", spans=[Place(kind="PHONE_NUMBER", start=5, end=13)])
    for end, recall in ((13, 1.0), (12, 0.0)):
        made = list(score("half", lambda _, end=end: [Place(kind="phone", start=5, end=end)], [sentence]))
        (phone,) = [each for each in made if each.entity == "PHONE_NUMBER"]
        assert (phone.precision, phone.recall) == (1.0, recall)


def test_absent_sentences_are_said_and_nothing_is_written(tmp_path: Path) -> None:
    printed = run("--data", str(tmp_path), "--output", str(tmp_path / "privacy.json"))
    assert "not measured" in printed
    assert not (tmp_path / "privacy.json").exists()


def test_the_docs_figures_are_those_of_the_last_benchmark() -> None:
    docs = DOCS.read_text()
    rows = [line for line in docs.splitlines() if line.startswith("| ") and line.count("|") == 7]
    assert rows[0].startswith("| subject")
    assert rows[1:] == [row(entry) for entry in json.loads(RESULT.read_bytes())]


def row(entry: dict[str, Any]) -> str:
    figures = (f"{entry[each]:.3f}" for each in ("precision", "recall", "f1"))
    return f"| {' | '.join((entry['subject'], entry['entity'], str(entry['spans']), *figures))} |"


@pytest.mark.skipif(not DATA.is_dir(), reason="the labelled sentences are not beside the project")
def test_every_entity_of_the_sentences_is_claimed_or_said_not_to_be() -> None:
    known = {*CLAIMED, *NOT_CLAIMED}
    found = {span["entity_type"] for name in FILES for each in json.loads((DATA / name).read_bytes()) for span in each["spans"]}  # fmt: skip
    assert found == known


@pytest.mark.skipif(not DATA.is_dir(), reason="the labelled sentences are not beside the project")
def test_the_kept_figures_are_what_the_code_does(tmp_path: Path) -> None:
    output = tmp_path / "privacy.json"
    run("--output", str(output))
    made = {(entry["subject"], entry["entity"]): entry["f1"] for entry in json.loads(output.read_bytes())}
    kept = {(entry["subject"], entry["entity"]): entry["f1"] for entry in json.loads(RESULT.read_bytes())}
    assert made.items() <= kept.items()
