"""Baselines live on without rows of people: their values end with retention, here and in MLflow, and what they measure stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
import yaml

from retrue.baseline_changes import without_values
from retrue.baselines import read_baseline, read_reference
from retrue.marginals import POOLED, profile_before_marginals
from retrue.results import Baseline, Outcome
from retrue.stages.backfill import judge_due
from retrue.stages.freeze import freeze
from retrue.stages.purge import Purged, find_expired, purge
from tests.cli.run import run_json
from tests.stages.project import DAY, FEATURES, FIRST, REFERENCE, Shop, day, labelled_frame, labels, recorders, records
from tests.stages.test_erase import places_of

RARE, NOTE, EXTREME = "canary-of-a-country", "canary-of-a-note", 987654.125
CANARIES = (RARE, NOTE, str(EXTREME), "20250301-7")
AGED = REFERENCE + 30 * DAY  # from then on the oldest reference row is past 30 days


def frame_with_canaries() -> pd.DataFrame:
    """Reference rows of which the seventh has a country, an income and a note of its own."""
    frame = labelled_frame(REFERENCE, 5).assign(note=[f"note {number}" for number in range(2000)])
    frame.loc[7, ["country", "note", "income"]] = [RARE, NOTE, EXTREME]
    return frame


def keep(shop: Shop, **lengths: str) -> None:
    path = shop.root / "retrue.yaml"
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    document["retention"] = lengths
    document["models"][shop.model]["privacy"] = {"free_text": ["features.note"]}
    path.write_text(yaml.safe_dump(document))


def purged(shop: Shop, now: Any = AGED + DAY) -> Purged:
    with shop.open(now=now, carriers=recorders()) as workspace:
        (done,) = purge(workspace)
    return done


def baseline_of(shop: Shop, version: str = "2") -> Baseline:
    return read_baseline(shop.root / "baselines", shop.model, version)


def places(shop: Shop, canary: str) -> list[str]:
    return places_of(shop.root / "baselines", canary)


@pytest.fixture
def noted(shop: Shop) -> Shop:
    """The project with a second version, whose baseline has the canaries; version 1 serves."""
    with shop.open(now=FIRST) as workspace:
        freeze(workspace, shop.model, "2", frame_with_canaries(), (*FEATURES, "note"), source="five good days")
    return shop


def test_rows_end_with_the_features_and_not_before(noted: Shop) -> None:
    keep(noted, features="30d")
    assert purged(noted, AGED).counts["baselines"] == 0
    assert all(places(noted, canary) for canary in CANARIES)
    done = purged(noted, AGED + timedelta(seconds=1))
    assert (done.counts["baselines"], done.problems) == (2, ())
    assert [places(noted, canary) for canary in CANARIES] == [[], [], [], []]
    assert purged(noted).counts["baselines"] == 0


def test_a_baseline_says_what_it_holds_since_when_and_why(noted: Shop) -> None:
    keep(noted, features="30d")
    before = baseline_of(noted)
    purged(noted)
    after = baseline_of(noted)
    assert after.marginals is not None
    assert (after.marginals.made_at, after.marginals.reason) == (AGED + DAY, "retention.features 30d")
    assert set(after.marginals.columns) == set(read_reference(noted.root / "baselines", noted.model, "2").columns)
    assert set(after.marginals.empty) == {"note", "inference_id"}
    assert (after.performance, after.provenance, after.thresholds) == (
        before.performance,
        before.provenance,
        before.thresholds,
    )
    assert after.digest != before.digest
    with noted.open() as workspace:
        assert workspace.ledger.models.baseline_digest(noted.model, "2") == after.digest


def test_schema_and_profile_stay_but_for_what_single_rows_put_into_it(noted: Shop) -> None:
    keep(noted, features="30d")
    before = baseline_of(noted).profile.columns
    rows = read_reference(noted.root / "baselines", noted.model, "2")
    purged(noted)
    after = baseline_of(noted).profile.columns
    aged = read_reference(noted.root / "baselines", noted.model, "2")
    assert aged.dtypes.to_dict() == rows.dtypes.to_dict()
    for name, column in before.items():
        now = after[name]
        assert (now.kind, now.rows, now.nulls, now.null_share) == (
            column.kind,
            column.rows,
            column.nulls,
            column.null_share,
        )
    assert after["age"].mean == pytest.approx(before["age"].mean, abs=0.05)
    assert after["income"].maximum is not None
    assert after["income"].maximum < 50_000
    assert after["country"].categories is not None
    assert set(after["country"].categories) == {"DE", "ES", "FR"}
    assert after["country"].unseen_share == pytest.approx(1 / 2000)
    assert profile_before_marginals(baseline_of(noted).profile).columns["country"].unseen_share is None
    assert (aged["country"] == POOLED).sum() == 1
    assert abs(aged["age"].corr(aged["score"])) < 0.1 < abs(rows["age"].corr(rows["score"]))


@pytest.mark.parametrize(
    ("lengths", "gone", "stays"),
    [
        ({"free_text": "30d"}, [NOTE], [RARE, str(EXTREME), "20250301-7"]),
        ({"labels": "30d"}, [], [NOTE, RARE, str(EXTREME), "20250301-7"]),
    ],
    ids=["free text", "labels"],
)
def test_a_class_ends_in_its_own_columns(
    noted: Shop, lengths: dict[str, str], gone: list[str], stays: list[str]
) -> None:
    keep(noted, **lengths)
    before = read_reference(noted.root / "baselines", noted.model, "2")
    purged(noted)
    after = read_reference(noted.root / "baselines", noted.model, "2")
    assert not any(places(noted, each) for each in gone)
    assert all(places(noted, each) for each in stays)
    changed = "label" if "labels" in lengths else "note"
    assert [name for name in before.columns if not before[name].equals(after[name])] == [changed]
    keep(noted, **lengths, features="40d")
    assert purged(noted, AGED + 11 * DAY).counts["baselines"] == 2
    assert not any(places(noted, each) for each in CANARIES)


def drift_of(shop: Shop, number: int) -> dict[str, float]:
    metrics = shop.judge(number, carriers=recorders(), now=day(number + 1) + timedelta(hours=3)).revision.metrics
    return {name: value for name, value in metrics.items() if name.startswith("drift.") and "multivariate" not in name}


@pytest.mark.parametrize(("method", "moved"), [("wasserstein", 0.01), ("jensenshannon", 0.02)])
def test_drift_of_a_clean_and_of_a_shifted_window_is_nearly_the_same_after(
    shop: Shop, method: str, moved: float
) -> None:
    """Thresholds are 0.3 and 0.2; the windows have 400 rows, the reference 2,000."""
    shop.configure(drift={"numeric": {"method": method, "threshold": 0.3}, "categorical": {"threshold": 0.2}})
    keep(shop, features="3d")
    shop.log(records(day(0)))
    shifted = [{**row, "features.age": row["features.age"] + 15, "features.country": "DE"} for row in records(day(1))]
    shop.log(shifted)
    before = [drift_of(shop, number) for number in (0, 1)]
    digest = baseline_of(shop, "1").digest
    with shop.open(now=day(0)) as workspace:  # before the records' own time is over
        (done,) = purge(workspace)
    assert (done.counts["baselines"], done.counts["features"]) == (1, 0)
    assert baseline_of(shop, "1").digest != digest
    after = [drift_of(shop, number) for number in (0, 1)]
    for was, now in zip(before, after, strict=True):
        assert set(was) == set(now)
        assert max(abs(was[name] - now[name]) for name in was) < moved
    assert before[0]["drift.age"] < 0.3 < before[1]["drift.age"]
    assert before[0]["drift.country"] < 0.2 < before[1]["drift.country"]


def test_a_long_tail_of_categories_is_neither_drift_nor_unseen_afterwards(noted: Shop) -> None:
    """A third of the reference has towns that no five rows share: the baseline knows the share, not the towns."""
    frame = labelled_frame(REFERENCE, 5)
    towns = [f"town {number // 3}" if number % 3 == 0 else "city" for number in range(2000)]
    with noted.open(now=FIRST) as workspace:
        freeze(workspace, noted.model, "3", frame.assign(town=towns), (*FEATURES, "town"), source="five good days")
    tail = [f"town {number // 3}" if number % 3 == 0 else "city" for number in range(400)]
    rows = [{**row, "features.town": town} for row, town in zip(records(day(0), version="3"), tail, strict=True)]
    noted.log(rows)
    keep(noted, features="30d")
    with noted.open(now=AGED + DAY, carriers=recorders()) as workspace:
        purge(workspace)
    judged = noted.judge(0, carriers=recorders())
    assert baseline_of(noted, "3").profile.columns["town"].unseen_share == pytest.approx(1 / 3, abs=0.01)
    assert judged.revision.metrics["drift.town"] < 0.05
    assert "quality.unseen" not in {finding.check for finding in judged.verdict.findings}


def test_what_cannot_be_compared_any_more_is_told_and_is_no_gap(noted: Shop) -> None:
    keep(noted, free_text="30d")
    rows = [{**row, "features.note": f"other {number}"} for number, row in enumerate(records(day(30), version="2"))]
    noted.log(rows)
    noted.label(labels(rows))
    purged(noted)
    judged = noted.judge(30, carriers=recorders(), now=day(31) + timedelta(hours=3))
    assert judged.verdict.outcome is Outcome.HEALTHY, judged.verdict.line
    (skipped,) = [finding for finding in judged.verdict.findings if finding.check == "drift.skipped"]
    assert skipped.message == (
        "Drift of note is not measured: the baseline holds nothing of it any more (retention.free_text 30d)."
    )


def test_windows_that_wait_for_labels_are_not_judged_again_by_themselves(shop: Shop) -> None:
    for number in (0, 1):
        shop.log(records(day(number)))
        shop.judge(number, carriers=recorders(), now=day(number + 1) + timedelta(hours=3))
    shop.log(records(day(2)))
    shop.label(labels(records(day(0))))
    keep(shop, features="10d")
    now = day(3) + timedelta(hours=3)
    with shop.open(now=now, carriers=recorders()) as workspace:
        (done,) = purge(workspace)
        judged = [each.verdict.window.start for each in judge_due(workspace, shop.model, None)]
    assert (done.counts["baselines"], judged) == (1, [day(2)])
    judged_by_hand = shop.judge(0, carriers=recorders(), now=now)
    assert (judged_by_hand.revision.number, judged_by_hand.revision.new) == (2, True)


def prepare(shop: Shop, version: str) -> Baseline:
    """Leave a change as a purge leaves it that is killed before it puts it in place."""
    folder = shop.root / "baselines"
    columns = read_reference(folder, shop.model, version).columns
    return without_values(
        folder,
        shop.model,
        version,
        list(columns),
        nothing_of=["inference_id", "note"],
        reason="a test",
        seed=0,
        now=AGED,
    )


@pytest.mark.parametrize("killed", ["prepared", "registered", "parted", "exchanged"])
def test_a_purge_that_was_killed_on_the_way_is_completed_by_the_next(noted: Shop, killed: str) -> None:
    keep(noted, features="30d")
    home, changed = noted.root / "baselines" / noted.model, prepare(noted, "2")
    if killed != "prepared":
        with noted.open() as workspace:
            workspace.ledger.models.register_baseline(noted.model, "2", changed.digest, AGED)
    if killed in ("parted", "exchanged"):
        (home / "2").rename(home / ".last-2")
    if killed == "exchanged":
        (home / ".next-2").rename(home / "2")
    purged(noted)
    assert [places(noted, canary) for canary in CANARIES] == [[], [], [], []]
    assert sorted(path.name for path in home.iterdir()) == ["1", "2"]
    assert baseline_of(noted) == changed
    with noted.open() as workspace:
        assert workspace.ledger.models.baseline_digest(noted.model, "2") == changed.digest


def test_a_dry_look_counts_and_changes_nothing(noted: Shop) -> None:
    keep(noted, features="30d")
    before = baseline_of(noted)
    with noted.open(now=AGED + DAY) as workspace:
        (found,) = find_expired(workspace)
    assert (found.counts["baselines"], baseline_of(noted)) == (2, before)
    keep(noted, features="3650d")
    with noted.open(now=AGED + DAY) as workspace:
        (found,) = find_expired(workspace)
    assert (found.counts["baselines"], found.oldest_kept["baselines"]) == (0, REFERENCE)


def test_a_damaged_baseline_is_a_problem_and_the_others_go_on(noted: Shop) -> None:
    keep(noted, features="30d")
    (noted.root / "baselines" / noted.model / "1" / "reference.parquet").write_bytes(b"PAR1")
    done = purged(noted)
    assert done.counts["baselines"] == 1
    assert "the baseline of shop version 1" in " ".join(done.problems)
    assert places_of(noted.root / "baselines" / noted.model / "2", RARE) == []


def test_privacy_says_what_baselines_hold_and_for_how_long(noted: Shop) -> None:
    def reference() -> dict[str, str]:
        noted.log(records(day(0)))
        _, report = run_json("privacy", noted.model, "-C", noted.root)
        return next(each for each in report["collected"] if each["what"] == "reference")

    assert (reference()["form"], reference()["kept_for"]) == ("rows of the log", "for ever")
    keep(noted, features="30d")
    assert reference()["kept_for"] == "rows 30d, then marginals for ever"
    purged(noted)
    assert reference()["form"] == "marginals"
