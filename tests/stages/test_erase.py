"""A person is forgotten: nothing of theirs is left on the disk, everybody else is, and a replay does not bring them back."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from retrue.logger.fields import Fields
from retrue.sources.files import pull_window
from retrue.stages.erase import BEYOND, Erased, erase
from retrue.stages.freeze import freeze
from retrue.stages.purge import purge
from tests.cli.run import run, run_json
from tests.sources.logs import Row
from tests.stages.project import FEATURES, NOW, REFERENCE, Shop, build, day, labelled_frame, labels, records, window

STAND_IN = b"PAR1"  # what another test puts into MLflow for a reference: it holds nothing
ANN = "ann-canary@example.org"
KEY = "a key that is long enough"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A day of 1,000 records of which ten are Ann's, with labels."""
    shop = build(tmp_path / "shop")
    rows = records(day(0), 1000)
    hers = [{**row, "caller_id": ANN if number % 100 == 7 else f"p{number}"} for number, row in enumerate(rows)]
    shop.log(hers)
    shop.log_lines([{**row, "time": row["time"].isoformat()} for row in hers[:10]], name="replayed")
    shop.label(labels(rows))
    return shop


def forget(shop: Shop, subject: str = ANN) -> Erased:
    with shop.open() as workspace:
        (erased,) = erase(workspace, subject, by="a test")
    return erased


def rows_of(shop: Shop, number: int = 0) -> tuple[int, int]:
    """Records of a window, and how many were left out."""
    with shop.open() as workspace:
        settings = workspace.project.model(shop.model)
        erased = workspace.erased(shop.model)
        with pull_window(window(number), settings, root=shop.root, erased=erased) as pulled:
            return pulled.report.rows, pulled.report.erased


def every_byte(root: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet" and content != STAND_IN:
                content += repr(pq.read_table(path).to_pylist()).encode()
            yield path, gzip.decompress(content) if path.suffix == ".gz" else content


def places_of(root: Path, needle: str) -> list[str]:
    return [path.name for path, content in every_byte(root) if needle.encode() in content]


def test_nothing_of_an_erased_person_is_left_and_everybody_else_is(shop: Shop) -> None:
    assert places_of(shop.root, ANN)
    erased = forget(shop)
    assert (erased.removed["records"], erased.removed["labels"]) == (11, 10)
    assert places_of(shop.root, ANN) == []
    assert rows_of(shop) == (990, 0)


def test_a_replayed_record_is_left_out_and_removed_by_the_next_purge(shop: Shop) -> None:
    forget(shop)
    late: list[Row] = [{**records(day(1), 200)[5], "caller_id": ANN}]
    shop.log(late, name="late")
    assert rows_of(shop, 1) == (0, 1)
    with shop.open() as workspace:
        (purged,) = purge(workspace)
    assert purged.counts["erased"] == 1
    assert places_of(shop.root, ANN) == []


def test_a_person_that_the_logger_hashed_is_found_by_name(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HASH_KEY", KEY)
    hashed = str(Fields(key=KEY).pseudonym("bo"))
    shop.log([{**records(day(1), 200)[5], "caller_id": hashed}], name="hashed")
    assert forget(shop, "bo").removed["records"] == 1
    assert places_of(shop.root, hashed) == []


def test_reference_rows_of_the_person_go_and_the_baseline_stays_sound(shop: Shop) -> None:
    frame = labelled_frame(REFERENCE, 5)
    with shop.open() as workspace:
        freeze(workspace, shop.model, "2", frame, FEATURES, source="another span")
    hers, other = (str(frame["inference_id"].iloc[place]) for place in (3, 4))
    answered = records(day(2), 200)
    said = [{**row, "inference_id": each, "caller_id": ANN} for row, each in zip(answered, (hers, other), strict=False)]
    shop.log(said, name="of-the-reference")
    assert forget(shop).removed["reference_rows"] == 4  # two of each version
    with shop.open() as workspace:
        from retrue.baselines import read_baseline, read_reference

        baseline = read_baseline(workspace.project.baselines, shop.model, "2")
        assert workspace.ledger.models.baseline_digest(shop.model, "2") == baseline.digest
        assert hers not in set(read_reference(workspace.project.baselines, shop.model, "2")["inference_id"])


def test_ids_are_crossed_out_in_reports(shop: Shop) -> None:
    judged = shop.judge()
    page = (
        judged.report_dir / "summary.html"
        if judged.report_dir.is_absolute()
        else shop.root / judged.report_dir / "summary.html"
    )
    page.write_text(page.read_text() + "<p>20250310-7</p><p>20250310-70</p>")
    assert forget(shop).removed["reports"] >= 1
    assert "<p>(erased)</p><p>20250310-70</p>" in page.read_text()


def test_the_receipt_says_what_stays_beyond_reach(shop: Shop) -> None:
    assert BEYOND in forget(shop).left
    with shop.open() as workspace:
        (receipt,) = workspace.ledger.erasures.list(shop.model)
    assert (receipt.asked_by, receipt.finished_at, receipt.removed["records"]) == ("a test", NOW, 11)


def test_the_ledger_never_holds_what_a_person_is_called(shop: Shop) -> None:
    forget(shop)
    assert all(ANN.encode() not in path.read_bytes() for path in (shop.root / ".retrue").glob("ledger.db*"))


def test_the_command_asks_first_and_prints_what_was_removed(shop: Shop) -> None:
    assert run("erase", "--subject", ANN, "-C", shop.root).exit_code == 1  # nobody answers
    assert places_of(shop.root, ANN)
    code, (erased,) = run_json("erase", "--subject", ANN, "--yes", "-C", shop.root)
    assert (code, erased["removed"]["records"]) == (0, 11)


def test_privacy_says_form_place_and_time_of_every_field(shop: Shop) -> None:
    code, report = run_json("privacy", shop.model, "-C", shop.root)
    collected = {each["what"]: each for each in report["collected"]}
    assert code == 0
    assert set(FEATURES) <= set(collected["features"]["fields"].split(", "))
    assert (collected["people"]["fields"], collected["people"]["form"]) == ("caller_id", "as logged")
    assert collected["reports"]["kept_for"] == "90d"
    assert collected["features"]["kept_for"] == "for ever"


def test_without_a_key_a_person_does_not_take_others_of_the_same_length_along(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETRUE_HASH_KEY", raising=False)
    shape = str(Fields().pseudonym("ann"))
    shop.log([{**row, "caller_id": shape} for row in records(day(1), 5)], name="unkeyed")
    assert forget(shop, "ann").removed["records"] == 0
    assert rows_of(shop, 1) == (5, 0)


@pytest.mark.parametrize("nobody", ["", " ", "<str, 3 characters>"])
def test_a_name_that_names_nobody_is_refused(shop: Shop, nobody: str) -> None:
    code, told = run_json("erase", "--subject", nobody, "--yes", "-C", shop.root)
    assert (code, told["error"]) == (2, "ModelError")
    assert rows_of(shop) == (1000, 0)


def test_a_key_that_is_too_short_is_a_clear_error(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HASH_KEY", "short")
    code, told = run_json("erase", "--subject", ANN, "--yes", "-C", shop.root)
    assert (code, "RETRUE_HASH_KEY" in told["message"]) == (2, True)


def test_an_id_that_is_a_number_leaves_the_figures_of_reports_alone(shop: Shop) -> None:
    judged = shop.judge()
    folder = judged.report_dir if judged.report_dir.is_absolute() else shop.root / judged.report_dir
    before = {name: (folder / name).read_bytes() for name in ("verdict.json", "summary.html")}
    shop.log([{**records(day(2), 5)[0], "inference_id": "1000", "caller_id": ANN}], name="numbered")
    forget(shop)
    assert b"1000" in before["verdict.json"]
    assert {name: (folder / name).read_bytes() for name in before} == before
