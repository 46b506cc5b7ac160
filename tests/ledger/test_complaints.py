from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from retrue.complaints import PROJECT, Complaint
from retrue.ledger import Ledger, News
from retrue.results import Severity
from tests.ledger.verdicts import NOW, ONCALL, TEAM

HOUR = timedelta(hours=1)


def complaint(model: str = "m", check: str = "schedule.stalled", subject: str = "", **changes: Any) -> Complaint:
    plain: dict[str, Any] = {"severity": Severity.CRITICAL, "message": f"{check}.", "next_step": "Look."}
    return Complaint(model=model, check=check, subject=subject, **{**plain, **changes})


def shown(opened: Sequence[Complaint], resolved: Sequence[Complaint]) -> tuple[str, str]:
    return "subject", " ".join([*(f"+{each.label}" for each in opened), *(f"-{each.label}" for each in resolved)])


def find(ledger: Ledger, *found: Complaint, after: int = 0, other: Sequence[str] = (TEAM,)) -> News:
    receivers = {"m": (ONCALL, ONCALL), "other": other}
    return ledger.complaints.replace(found, receivers=receivers, render=shown, now=NOW + after * HOUR)


def told(ledger: Ledger) -> list[tuple[object, object]]:
    return [(row.payload["block"], row.payload["body"]) for row in ledger.outbox.rows(kind="notify")]


def test_a_complaint_is_told_once_while_it_lasts_and_once_when_it_is_over(ledger: Ledger) -> None:
    assert find(ledger, complaint()).opened == (complaint(),)
    assert find(ledger, complaint(message="Other words."), after=1) == News()
    assert ledger.complaints.list() == (complaint(),)
    assert find(ledger, after=2).resolved == (complaint(),)
    assert find(ledger, after=3) == News()
    assert told(ledger) == [(ONCALL, "+m schedule.stalled"), (ONCALL, "-m schedule.stalled")]


def test_the_same_trouble_again_later_is_a_new_complaint(ledger: Ledger) -> None:
    for after in range(4):
        find(ledger, *([complaint()] if after % 2 == 0 else []), after=after)
    assert [body for _, body in told(ledger)] == ["+m schedule.stalled", "-m schedule.stalled"] * 2


def test_what_is_new_goes_to_each_receiver_in_one_message(ledger: Ledger) -> None:
    find(ledger, complaint(), complaint(check="labels.late"), complaint("other"), complaint(PROJECT, "setup.mlflow"))
    assert told(ledger) == [
        (ONCALL, "+m schedule.stalled +m labels.late +setup.mlflow"),
        (TEAM, "+other schedule.stalled +setup.mlflow"),
    ]


def test_its_end_is_told_to_those_who_heard_of_it_and_still_listen(ledger: Ledger) -> None:
    find(ledger, complaint("other"))
    find(ledger, after=1, other=())
    assert told(ledger) == [(TEAM, "+other schedule.stalled")]


def test_two_subjects_of_one_check_are_two_complaints(ledger: Ledger) -> None:
    find(ledger, complaint(subject="notify"), complaint(subject="record"))
    assert find(ledger, complaint(subject="record"), after=1).resolved == (complaint(subject="notify"),)


def test_a_message_carries_the_gravest_severity_of_what_is_new(ledger: Ledger) -> None:
    find(ledger, complaint(check="labels.late", severity=Severity.WARNING), complaint())
    find(ledger, after=1)
    assert [row.payload["severity"] for row in ledger.outbox.rows(kind="notify")] == ["critical", "info"]
