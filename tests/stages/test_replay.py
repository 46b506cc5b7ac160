"""Replaying a policy over past windows: a day that drifted by itself, and a drift that lasts."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from retrue.baseline_changes import without_rows
from retrue.errors import ConfigError, ReplayError
from retrue.results import Change
from retrue.stages.backfill import judge_span
from retrue.stages.baseline_rows import put_in_place
from retrue.stages.freeze import freeze
from retrue.stages.purge import purge
from retrue.stages.replay import BESIDE, FROM_RECORD, RECORDED, Comparison, replay
from tests.cli.run import run, run_json
from tests.sources.logs import Row
from tests.stages.project import (
    DAY,
    FEATURES,
    MODEL,
    NOW,
    REFERENCE,
    SETTINGS,
    Shop,
    day,
    labelled_frame,
    labels,
    recorders,
    records,
    window,
)

DAYS, ODD, SINCE = 17, 5, 12
WELL = (day(0), day(SINCE))
CONFIRMED = {"alarms": {"kinds": {"drift": {"open": {"after": 2, "of": 3}, "resolve": {"after": 2}}}}}


def rows(number: int) -> list[Row]:
    """Records of a day; on the odd one and the last ones the old buy."""
    usual = records(day(number))
    if number != ODD and number < SINCE:
        return usual
    return [{**row, "features.age": 36 + row["features.age"] / 2.5} for row in usual]


@pytest.fixture(scope="module")
def judged_once(built_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(root=Path(shutil.copytree(built_shop.root, tmp_path_factory.mktemp("judged") / "shop")))
    for number in range(DAYS):
        shop.log(rows(number))
    with shop.open() as workspace:
        assert len(list(judge_span(workspace, MODEL, day(0), day(DAYS)))) == DAYS
    return shop


@pytest.fixture
def judged(judged_once: Shop, tmp_path: Path) -> Shop:
    return Shop(root=Path(shutil.copytree(judged_once.root, tmp_path / "judged")))


def policy(shop: Shop, **block: object) -> Path:
    path = shop.root / "other.yaml"
    path.write_text(yaml.safe_dump(block))
    return path


def compare(shop: Shop, *, healthy: bool = True, **block: object) -> Comparison:
    with shop.open() as workspace:
        return replay(workspace, MODEL, policy(shop, **block), healthy=[WELL] if healthy else [])


def openings(compared: Comparison) -> list[list[tuple[str, int]]]:
    return [
        [(each.incident.scope, (each.window.start - day(0)) // DAY) for each in run.steps if each.change is Change.OPENED]
        for run in (compared.present, compared.other)
    ]  # fmt: skip


def test_two_of_three_days_would_not_have_told_of_the_odd_one(judged: Shop) -> None:
    compared = compare(judged, **CONFIRMED)
    assert openings(compared) == [[("age", ODD), ("age", SINCE)], [("age", SINCE + 1)]]
    assert (compared.present.false_alarms, compared.other.false_alarms) == (1, 0)
    assert compared.present.alarm_rate == pytest.approx(2 / (DAYS / 90))
    assert compared.present.false_alarm_rate == pytest.approx(1 / (SINCE / 90))
    assert list(compared.present.ways) == list(compared.other.ways) == [RECORDED], "alarms change no verdict"


def test_the_present_policy_opens_and_resolves_what_the_ledger_did(judged: Shop) -> None:
    compared = compare(judged, **CONFIRMED)
    with judged.open() as workspace:
        (incident,) = workspace.ledger.incidents.list(MODEL)
        steps = workspace.ledger.incidents.tell(incident.fingerprint).steps
    done = [(each.window, each.change) for each in steps if each.change in (Change.OPENED, Change.RESOLVED)]
    assert [(each.window, each.change) for each in compared.present.steps] == done
    assert (incident.opened_window, incident.episode) == (day(SINCE), 2)


def test_other_thresholds_are_judged_from_what_is_recorded(judged: Shop) -> None:
    for log in judged.root.glob("logs/*"):
        log.unlink()  # nothing is read from them
    loose = {"numeric": {"threshold": 90}, "categorical": {"threshold": 0.2}, "multivariate": False}
    compared = compare(judged, drift=loose)
    assert openings(compared)[1] == []
    assert {how: len(each) for how, each in compared.other.ways.items()} == {FROM_RECORD: DAYS}


def test_a_window_judged_from_the_record_has_the_verdict_that_judging_it_has(judged: Shop) -> None:
    strict = {
        "drift": {"numeric": {"threshold": 0.02}, "categorical": {"threshold": 0.02}, "multivariate": False},
        "system": {"latency_p95_ms": 5},
    }
    compared = compare(judged, **strict)
    judged.configure(**strict)
    for each in compared.other.windows[:: DAYS // 3]:
        with judged.open() as workspace:
            (again,) = judge_span(workspace, MODEL, each.verdict.window.start, each.verdict.window.end)
        assert again.revision.new
        assert again.verdict == each.verdict
        assert any(finding.check == "system.latency_p95" for finding in again.verdict.findings)


def test_another_method_is_measured_again_from_the_log(judged: Shop) -> None:
    with judged.open() as workspace:
        measured = {"numeric": {"method": "jensenshannon", "threshold": 0.3}}
        other = policy(judged, drift=measured, alarms={"open": {"after": 1}})
        compared = replay(workspace, MODEL, other, start=day(ODD - 1), end=day(ODD + 1))
    ((how, windows),) = compared.other.ways.items()
    assert how == "measured again from the log: the policy measures otherwise"
    assert list(windows) == [window(ODD - 1), window(ODD)]
    assert openings(compared)[1] == [("age", ODD)]


def test_windows_without_reports_or_verdicts_are_measured_again(judged: Shop) -> None:
    (report,) = judged.root.glob(f".retrue/reports/{MODEL}/{day(1):%Y-%m-%d}*")
    (report / "verdict.json").unlink()
    judged.log(records(day(DAYS)))
    with judged.open() as workspace:
        other = policy(judged, quality={"max_null_rise": 0.01})
        compared = replay(workspace, MODEL, other, start=day(0), end=day(DAYS + 1))
    ways = {how.removeprefix("measured again from the log: "): list(each) for how, each in compared.other.ways.items()}
    assert ways["its measurements are gone"] == [window(1)]
    assert ways["it was never judged"] == [window(DAYS)]
    assert len(ways[FROM_RECORD]) == DAYS - 1


def test_a_window_whose_log_is_not_whole_any_more_is_left_out_of_both(judged: Shop) -> None:
    judged.log(rows(1)[:300])
    compared = compare(judged, drift={"sample_rows": 300})
    assert [each.start for each, _ in compared.skipped] == [day(1)]
    assert "its log has 300 of 400 rows left" in compared.skipped[0][1]
    assert len(compared.present.windows) == len(compared.other.windows) == DAYS - 1


def keep(shop: Shop, **lengths: str) -> None:
    """Have a purge end values of records."""
    path = shop.root / "retrue.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "retention": lengths}))
    with shop.open(carriers=recorders()) as workspace:
        (done,) = purge(workspace)
    assert done.counts["features"] > 0
    assert done.counts["baselines"] == 1


def test_a_purge_changes_no_verdict_of_a_policy_that_changes_none(judged: Shop) -> None:
    keep(judged, features="20d")
    compared = compare(judged, quality={"max_duplicate_share": 0.011})
    assert openings(compared) == [[("age", ODD), ("age", SINCE)]] * 2
    assert {how: len(each) for how, each in compared.other.ways.items()} == {FROM_RECORD: DAYS}
    for ours, theirs in zip(compared.present.windows, compared.other.windows, strict=True):
        assert theirs.verdict == replace(ours.verdict, config_digest=theirs.verdict.config_digest)


def test_a_window_past_the_retention_of_records_is_left_out_and_not_measured_again(judged: Shop) -> None:
    keep(judged, features="30d")
    with judged.open() as workspace:
        other = policy(judged, drift={"sample_rows": 300})
        compared = replay(workspace, MODEL, other, start=day(SINCE - 1), end=day(SINCE + 1))
    assert compared.skipped == (
        (window(SINCE - 1), "the policy measures otherwise, and its records are past their retention of 30d"),
    )
    with judged.open() as workspace, pytest.raises(ReplayError, match="past their retention of 30d"):
        replay(workspace, MODEL, other, start=day(0), end=day(2))
    assert compared.present.ways == {BESIDE: [window(SINCE)]}
    assert compared.other.ways == {"measured again from the log: the policy measures otherwise": [window(SINCE)]}


def test_labels_that_came_later_count_for_both_policies_or_for_none(judged: Shop) -> None:
    judged.label(labels(rows(ODD), sign=-1))
    with judged.open() as workspace:
        other = policy(judged, drift={"sample_rows": 300})
        compared = replay(workspace, MODEL, other, start=day(ODD), end=day(ODD + 1))
    for judgements in (compared.present, compared.other):
        assert "performance.drop" in {each.incident.check for each in judgements.steps}


def test_windows_are_judged_from_the_record_when_people_have_left_the_baseline(judged: Shop) -> None:
    with judged.open() as workspace:
        left = without_rows(workspace.project.baselines, MODEL, "1", lambda inference: inference.endswith("-7"))
        assert left is not None
        put_in_place(workspace, left)
    compared = compare(judged, quality={"max_duplicate_share": 0.011})
    assert {how: len(each) for how, each in compared.other.ways.items()} == {FROM_RECORD: DAYS}


def test_windows_that_another_baseline_judged_are_measured_again(judged: Shop) -> None:
    shutil.rmtree(judged.root / "baselines" / MODEL / "1")
    with judged.open(now=NOW + DAY) as workspace:
        freeze(workspace, MODEL, "1", labelled_frame(REFERENCE, 4), FEATURES, source="four good days")
        other = policy(judged, quality={"max_duplicate_share": 0.011})
        compared = replay(workspace, MODEL, other, start=day(0), end=day(1))
    assert list(compared.other.ways) == ["measured again from the log: its baseline is another one now"]
    assert list(compared.present.ways) == [BESIDE]


def test_a_replay_writes_nothing(judged: Shop) -> None:
    other = policy(judged, drift={"sample_rows": 300})

    def state() -> dict[str, str]:
        files = (
            path for path in judged.root.rglob("*") if path.is_file() and path.suffix not in (".db-wal", ".db-shm")
        )
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    with judged.open():  # the last connection folds SQLite's log into its file
        pass
    before = state()
    with judged.open() as workspace:
        replay(workspace, MODEL, other, start=day(ODD), end=day(ODD + 2))
    assert state() == before


def test_a_whole_configuration_is_a_policy_too(judged: Shop) -> None:
    document = {"version": 1, "models": {MODEL: {**SETTINGS, **CONFIRMED}}}
    assert openings(compare(judged, **document))[1] == [("age", SINCE + 1)]
    with pytest.raises(ConfigError, match=f"it says nothing about {MODEL}"):
        compare(judged, version=1, models={"another": SETTINGS})


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"drift": {"numeric": {"treshold": 0.1}}}, "unknown key .did you mean 'threshold'"),
        ({"alarms": {"open": {"after": 3, "of": 2}}}, "after 3 of 2 windows never comes"),
        ({"drift": {"columns": {"incom": {"threshold": 1.0}}}}, "no column 'incom'"),
    ],
)
def test_a_policy_that_is_refused_says_where(judged: Shop, block: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compare(judged, **block)


@pytest.mark.parametrize("beside", [{}, {"sample_rows": 300}], ids=["judged from the record", "measured again"])
def test_a_column_that_a_policy_mistypes_is_refused_in_its_own_file(judged: Shop, beside: dict[str, object]) -> None:
    drift = {"columns": {"agee": {"threshold": 1.0}}, **beside}
    with (
        judged.open() as workspace,
        pytest.raises(ConfigError, match="no column 'agee'") as refused,
    ):
        replay(workspace, MODEL, policy(judged, drift=drift), start=day(0), end=day(1))
    assert (refused.value.file, refused.value.line) == (judged.root / "other.yaml", 2)
    assert refused.value.key == f"models.{MODEL}.drift.columns"


def test_a_column_that_the_project_mistypes_is_refused_in_the_projects_file(judged: Shop) -> None:
    judged.configure(retrain={"train": "training:train", "gate": {"slices": ["agee"]}})
    with pytest.raises(ConfigError, match="no column 'agee'") as refused:
        compare(judged, quality={"max_null_rise": 0.1})
    assert refused.value.file == judged.root / "retrue.yaml"


def test_nothing_to_replay_is_said(shop: Shop, judged: Shop) -> None:
    with pytest.raises(ReplayError, match="was ever judged"):
        compare(shop, **CONFIRMED)
    with judged.open() as workspace, pytest.raises(ReplayError, match="no window of shop could be replayed"):
        replay(workspace, MODEL, policy(judged, **CONFIRMED), start=day(0), end=day(0) + DAY / 2)


def test_a_healthy_span_without_a_window_is_refused_and_named(judged: Shop) -> None:
    year_before = (WELL[0].replace(year=2024), WELL[1].replace(year=2024))
    with (
        judged.open() as workspace,
        pytest.raises(ReplayError, match="from 2024-03-10 to 2024-03-22 holds no whole window"),
    ):
        replay(workspace, MODEL, policy(judged, **CONFIRMED), healthy=[WELL, year_before])
    command = ("replay", MODEL, "--policy", policy(judged, **CONFIRMED), "-C", judged.root)
    assert run(*command, "--healthy", "2024-03-10..2024-03-22").exit_code == 2


def test_any_alarm_counts_where_the_settings_mark_no_window_that_was_replayed(judged: Shop) -> None:
    compared = compare(judged, healthy=False, alarms={"healthy": ["2024-03-10..2024-03-22"]})
    assert (compared.other.alarms, compared.other.healthy_windows, compared.outcome) == (2, (), "breached")


def test_the_command_shows_both_policies_and_exits_by_false_alarms(judged: Shop) -> None:
    span = f"{WELL[0]:%Y-%m-%d}..{WELL[1]:%Y-%m-%d}"
    command = ("replay", MODEL, "--policy", policy(judged, **CONFIRMED), "-C", judged.root)
    shown = run(*command, "--healthy", span)
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split())
    assert "alarms (incidents opened) │ 2 │ 1" in text
    assert "false alarms in them │ 1 │ 0" in text
    assert "other.yaml: 17 as recorded" in text
    code, facts = run_json(*command)
    assert (code, facts["other"]["alarms"], facts["other"]["false_alarms"]) == (1, 1, None)
    assert [each["change"] for each in facts["present"]["changes"]] == ["opened", "resolved", "opened"]
    assert run("replay", MODEL, "--policy", "nowhere.yaml", "-C", judged.root).exit_code == 2
    assert run(*command, "--healthy", "2025-03-10").exit_code == 2


def test_spans_marked_healthy_in_the_settings_count(judged: Shop) -> None:
    marked = {"healthy": [f"{WELL[0]:%Y-%m-%d}..{WELL[1]:%Y-%m-%d}"]}
    compared = compare(judged, healthy=False, alarms=marked)
    assert (compared.other.false_alarms, compared.outcome) == (1, "breached")


def test_the_report_says_since_when(judged: Shop) -> None:
    (folder,) = judged.root.glob(f".retrue/reports/{MODEL}/{day(DAYS - 1):%Y-%m-%d}*")
    for page in ("summary.html", "verdict.md"):
        text = (folder / page).read_text().replace("\\", "")
        assert f"udden, since the window of {day(SINCE):%Y-%m-%d}" in text


def test_an_open_incident_is_shown_with_the_date_of_its_change(judged: Shop) -> None:
    (incident,) = run_json("incidents", "list", "-C", judged.root)[1]
    shown = run("incidents", "show", incident["fingerprint"], "-C", judged.root).stdout
    assert f"changed     sudden, since the window of {day(SINCE):%Y-%m-%d}" in shown
