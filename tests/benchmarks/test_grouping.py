"""The benchmark of grouping runs as it is called, scores what it should, and the docs quote its last results."""

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.grouping import DATA, HELD_OUT, RESULT, ROOT
from benchmarks.grouping_scores import scores
from hypothesis import given
from hypothesis import strategies as st

KEYS = {
    *("system", "subject", "pairwise_precision", "pairwise_recall", "grouping_accuracy", "over_grouped_share"),
    *("under_grouped_share", "groups", "truth_groups", "held_out"),
}
DOCS = ROOT / "docs" / "failures.md"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.grouping", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Results on a small system of our own, laid out as the data is."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "loghub_dev").mkdir()
    rows = [
        *({"Content": f"no weather for row {number}", "EventId": "E1"} for number in range(6)),
        *(
            {"Content": f"no fare for row {number}, {word}", "EventId": "E2"}
            for number, word in enumerate(["red", "blue"])
        ),
    ]
    with gzip.open(folder / "loghub_dev" / "Own_2k.log_structured.csv.gz", "wt", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=["Content", "EventId"])
        writer.writeheader()
        writer.writerows(rows)
    output = folder / "made" / "grouping.json"
    done = run(str(folder), "--output", str(output), "--without-drain")
    assert done.returncode == 0, done.stderr
    entries: list[dict[str, Any]] = json.loads(output.read_bytes())
    return entries


def test_results_are_one_entry_per_system_and_subject(made: list[dict[str, Any]]) -> None:
    (entry,) = made
    assert set(entry) == KEYS
    assert (entry["system"], entry["subject"]) == ("Own", "retrue")
    assert (entry["grouping_accuracy"], entry["pairwise_precision"]) == (0.75, 1.0)
    assert (entry["under_grouped_share"], entry["over_grouped_share"]) == (0.25, 0.0)
    assert (entry["groups"], entry["truth_groups"]) == (3, 2)


def test_missing_data_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    done = run(str(tmp_path), "--output", str(tmp_path / "grouping.json"))
    assert done.returncode == 1
    assert "name the folder" in done.stderr
    assert not (tmp_path / "grouping.json").exists()


GROUPS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


@given(GROUPS)
def test_scores_do_not_depend_on_names_and_agree_with_pairs_counted_one_by_one(rows: list[tuple[int, int]]) -> None:
    predicted, truth = zip(*rows, strict=True)
    found = scores(predicted, truth)
    assert found == scores([f"g{each}" for each in predicted], [-each for each in truth])
    pairs = [(a, b) for a in range(len(rows)) for b in range(a)]
    together = [pair for pair in pairs if predicted[pair[0]] == predicted[pair[1]]]
    right = [pair for pair in together if truth[pair[0]] == truth[pair[1]]]
    assert found.pairwise_precision == (len(right) / len(together) if together else 1.0)


def test_the_true_groups_score_one_and_one_group_of_all_is_over_grouped() -> None:
    perfect, merged = scores([1, 1, 2], ["a", "a", "b"]), scores([1, 1, 1], ["a", "a", "b"])
    assert (perfect.grouping_accuracy, perfect.over_grouped_share, perfect.under_grouped_share) == (1, 0, 0)
    assert (merged.grouping_accuracy, merged.over_grouped_share, merged.under_grouped_share) == (0, 1, 0)


def test_the_docs_figures_are_those_of_the_last_benchmark() -> None:
    text = DOCS.read_text(encoding="utf-8")
    entries = json.loads(RESULT.read_bytes())
    assert len(entries) == 24
    for entry in entries:
        name = f"{entry['system']}{' †' if entry['system'] in HELD_OUT else ''}"
        shares = (f"{entry[each]:.4f}" for each in ("grouping_accuracy", "pairwise_precision", "pairwise_recall"))
        spread = (f"{entry[each]:.1%}" for each in ("over_grouped_share", "under_grouped_share"))
        told = [name, entry["subject"], *shares, *spread, f"{entry['groups']} of {entry['truth_groups']}"]
        assert f"| {' | '.join(told)} |" in text


def test_no_system_is_grouped_worse_than_by_drain() -> None:
    best: dict[str, dict[str, float]] = {}
    for entry in json.loads(RESULT.read_bytes()):
        best.setdefault(entry["system"], {})[entry["subject"]] = entry["grouping_accuracy"]
    assert all(max(subjects.values()) == subjects["retrue"] for subjects in best.values())


@pytest.mark.skipif(not DATA.is_dir(), reason="the data is not beside the project")
def test_the_kept_results_are_what_retrue_gives_today(tmp_path: Path) -> None:
    done = run("--without-drain", "--output", str(tmp_path / "grouping.json"))
    assert done.returncode == 0, done.stderr
    kept = [each for each in json.loads(RESULT.read_bytes()) if each["subject"] == "retrue"]
    assert json.loads((tmp_path / "grouping.json").read_bytes()) == kept
