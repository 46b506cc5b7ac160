from pathlib import Path

from retrue.ledger import Ledger
from tests.ledger.conftest import Racers
from tests.ledger.verdicts import NOW, commit, serve, verdict, week


def test_processes_that_open_a_new_ledger_at_once_all_get_it(empty_url: str, tmp_path: Path, racers: Racers) -> None:
    assert racers.race("open_only", empty_url, tmp_path) == [None, None, None]


def test_processes_that_judge_the_same_windows_write_each_once(
    ledger: Ledger, empty_url: str, tmp_path: Path, racers: Racers
) -> None:
    answers = racers.race("commit_weeks", empty_url, tmp_path)
    judged = [week(number) for number in range(10) if ledger.revisions(week(number))]
    assert sum(answers) == len(judged) == 10  # type: ignore[arg-type]
    assert all(len(ledger.revisions(window)) == 1 for window in judged)
    assert ledger.outbox.counts()["record", "pending"] == len(judged)


def test_deliverers_at_once_never_take_the_same_row(
    ledger: Ledger, empty_url: str, tmp_path: Path, racers: Racers
) -> None:
    for number in range(20):
        commit(ledger, verdict(number))
    answers = racers.race("take", empty_url, tmp_path)
    taken = [row for answer in answers for row in answer]  # type: ignore[attr-defined]
    assert sorted(taken) == [row.id for row in ledger.outbox.rows(kind="event")]


def test_of_challengers_promoted_at_once_one_becomes_champion(
    ledger: Ledger, empty_url: str, tmp_path: Path, racers: Racers
) -> None:
    serve(ledger, "1")
    for version in ("2", "3", "4"):
        ledger.models.register_version("m", version, sha256="a" * 64, kind="skops", run_id="r", now=NOW)
    answers = racers.race("promote", empty_url, tmp_path)
    (winner,) = [answer for answer in answers if answer is not None]
    assert ledger.models.champion("m") == winner
    assert [move.version for move in ledger.models.promotions("m")] == [winner, "1"]
