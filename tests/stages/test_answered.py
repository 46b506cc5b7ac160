"""What a suite expects of answers it expects of the inferences that did not fail."""

from __future__ import annotations

import json

import pytest

from tests.sources.logs import Row
from tests.stages.project import ROWS, Shop, day, document, records

NOT_NULL = "expect_column_values_to_not_be_null"


def expect(shop: Shop, *columns: str) -> None:
    path = shop.root / "expectations" / "shop.json"
    suite = json.loads(path.read_text())
    suite["expectations"] = [
        {"type": NOT_NULL, "kwargs": {"column": each}, "severity": "critical", "meta": {"why": "always there"}}
        for each in columns
    ]
    path.write_text(json.dumps(suite))


def with_failures(count: int, **failure: object) -> list[Row]:
    rows = records(day(0))
    gone = {"prediction": None, "score": None, **failure}
    return [{**row, **gone} if number < count else row for number, row in enumerate(rows)]


def unmet(shop: Shop) -> list[str]:
    judged = shop.judge()
    found = document(judged.report_dir)["findings"]
    return [each["scope"] for each in found if each["check"] == f"expectation.{NOT_NULL}"]


def test_an_answer_that_a_failure_lacks_breaks_no_expectation(shop: Shop) -> None:
    expect(shop, "prediction", "score", "age")
    shop.log(with_failures(40, status="error"))
    assert unmet(shop) == []


def test_an_answer_that_is_missing_without_a_failure_breaks_it(shop: Shop) -> None:
    expect(shop, "prediction", "score", "age")
    shop.log(with_failures(40))
    assert unmet(shop) == ["prediction", "score"]


def test_a_feature_is_expected_of_failed_inferences_too(shop: Shop) -> None:
    expect(shop, "age")
    shop.log(with_failures(40, status="timeout", **{"features.age": None}))
    assert unmet(shop) == ["age"]


@pytest.mark.parametrize("count", [ROWS])
def test_a_window_in_which_everything_failed_is_breached_and_not_healthy(shop: Shop, count: int) -> None:
    expect(shop, "prediction")
    shop.log(with_failures(count, status="error"))
    judged = shop.judge()
    assert judged.verdict.outcome.value == "breached"
    assert "schema.missing" not in {each.check for each in judged.verdict.findings}
