from retrue.complaints import Complaint
from retrue.reports.complaints import render_complaints
from retrue.results import Severity


def complaint(check: str, severity: Severity = Severity.WARNING, message: str = "It is so.") -> Complaint:
    return Complaint(model="m", check=check, severity=severity, message=message, next_step="Look.")


STALLED = complaint("schedule.stalled", Severity.CRITICAL)
LATE = complaint("labels.late")


def test_one_complaint_is_named_in_the_subject() -> None:
    assert render_complaints([STALLED], []) == (
        "[critical] monitoring: m schedule.stalled: opened",
        "- [critical] m schedule.stalled: It is so.\n  Next: Look.\n",
    )
    assert render_complaints([], [LATE])[0] == "monitoring: m labels.late: resolved"


def test_several_are_counted_and_the_gravest_comes_first() -> None:
    subject, body = render_complaints([LATE, STALLED], [complaint("setup.suite")])
    assert subject == "[critical] monitoring: 2 opened, 1 resolved"
    assert [line for line in body.splitlines() if line.startswith("-")] == [
        "- [critical] m schedule.stalled: It is so.",
        "- [warning] m labels.late: It is so.",
        "- resolved: m setup.suite (it was: It is so.)",
    ]


def test_what_a_foreign_error_says_mentions_nobody_and_links_nowhere() -> None:
    _, body = render_complaints([complaint("setup.train", message="<!channel> https://e.vil\n[critical]")], [])
    assert "<!channel>" not in body
    assert "://" not in body
    assert body.count("\n") == 2


def test_a_long_list_ends_in_how_many_more() -> None:
    _, body = render_complaints([complaint(f"c{number}") for number in range(25)], [])
    assert body.endswith("- and 5 more\n")
