"""What counts as a failure, and which failures are one group."""

from __future__ import annotations

from retrue.failures.fingerprint import Failure, fingerprint
from tests.stages.project import Shop, day, document, records


def rejected(message: str) -> Failure:
    return Failure(error_type="rejected", message=message, stack="", status="rejected")


def test_rejections_by_different_http_codes_are_different_groups_that_name_the_code() -> None:
    found = {code: fingerprint(rejected(f"http {code}")) for code in (401, 404, 422, 429)}
    assert len({each.id for each in found.values()}) == 4
    assert found[401].title == "rejected: http 401"


def test_other_numbers_stay_values() -> None:
    assert fingerprint(rejected("http 401 after 3 tries")).message == "http <*> after <*> tries"
    assert fingerprint(rejected("quota 401")).id == fingerprint(rejected("quota 402")).id


def test_an_empty_status_is_none(shop: Shop) -> None:
    """Tables of text, such as CSV, have no other way to say nothing."""
    shop.log([{**row, "status": "", "error_type": ""} for row in records(day(0))])
    recorded = document(shop.judge(0).report_dir)
    assert recorded["measurements"]["failures"] == []
    assert not recorded["metrics"].get("system.error_share")


def test_a_log_of_nothing_but_failures_is_judged(shop: Shop) -> None:
    shop.log([{**row, "status": "error", "error_type": "KeyError", "prediction": None} for row in records(day(0))])
    recorded = document(shop.judge(0).report_dir)
    assert recorded["metrics"]["system.error_share"] == 1
    (group,) = recorded["measurements"]["failures"]
    assert group["share"] == 1
