"""Champion and challenger side by side on a real registry: limits and leakage refuse, with the reason on record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from retrue.results import GateResult
from tests.stages.learning import (
    DAYS,
    RETRAIN,
    Learned,
    another_request,
    asked_as_of_the_last_day,
    champion,
    log_days,
    retrain,
)
from tests.stages.project import REFERENCE, ROWS, Shop, day, records

Copy = Callable[[Shop], Shop]


def gate_of(
    shop: Shop, learned: Learned, mlflow: str, reason: str, *, reference: bool = False, **gate: Any
) -> GateResult:
    """Answer a request of its own with these limits."""
    shop.configure(
        mlflow=mlflow, retrain={**RETRAIN, "include_reference": reference, "gate": {**RETRAIN["gate"], **gate}}
    )
    judged = retrain(shop, another_request(shop, learned.request, reason)).gate
    assert judged is not None
    return judged


def test_limits_that_are_kept_are_recorded_and_one_that_is_not_refuses(
    learned_once: Learned, copied: Copy, mlflow_uri: str
) -> None:
    shop = copied(learned_once.turned)
    gate = gate_of(
        shop, learned_once, mlflow_uri, "limits",
        max_latency_ratio=50, max_size_ratio=2, max_size_mb=0.001, max_calibration_error=0.9,
    )  # fmt: skip
    found = {check.name: check for check in gate.checks}
    assert set(found) == {"leakage", "latency", "size", "size_ratio", "calibration"}
    assert {name for name, check in found.items() if check.refusal} == {"size"}
    assert found["latency"].champion is not None
    assert found["size_ratio"].value == pytest.approx(1, abs=0.1)
    assert gate.refusals == (found["size"].refusal,)
    assert champion(shop) == "1"


def test_nothing_but_leakage_is_measured_unless_asked_for(learned_once: Learned, copied: Copy, mlflow_uri: str) -> None:
    shop = copied(learned_once.turned)
    gate = gate_of(shop, learned_once, mlflow_uri, "no limits")
    assert [check.name for check in gate.checks] == ["leakage"]
    assert gate.passed


def test_an_inference_that_was_trained_on_and_is_judged_by_refuses(
    learned_once: Learned, copied: Copy, mlflow_uri: str
) -> None:
    shop = copied(learned_once.turned)
    known = records(REFERENCE)[0]["inference_id"]
    rows = records(day(DAYS - 1))
    shop.log([{**rows[0], "inference_id": known}, *rows[1:]])
    shop.label([{"inference_id": known, "label": 1, "labelled_at": rows[0]["time"]}], name="again")
    gate = gate_of(shop, learned_once, mlflow_uri, "an id twice", reference=True)
    assert gate.refusals[-1] == (
        f"leakage: 1 of the {ROWS} rows it is judged by are among those it was trained on, by inference_id"
    )


def test_rows_copied_under_new_ids_refuse(learned_once: Learned, copied: Copy, mlflow_uri: str) -> None:
    shop = copied(learned_once.turned)
    day_before, rows = records(day(DAYS - 2)), records(day(DAYS - 1))
    features = [name for name in rows[0] if name.startswith("features.")]
    copies = [
        {**row, **{name: old[name] for name in features}} for row, old in zip(rows[:100], day_before, strict=False)
    ]
    shop.log([*copies, *rows[100:]])
    gate = gate_of(shop, learned_once, mlflow_uri, "copies")
    (refusal,) = gate.refusals
    assert refusal.startswith("leakage: ")
    assert "equal one it was trained on in all features and the label" in refusal


def test_a_champion_from_elsewhere_cannot_be_timed_so_a_limit_refuses(shop: Shop, mlflow_uri: str) -> None:
    """Its model is in no registry; what it logged is enough for the metric, not for the clock."""
    limits = {**RETRAIN["gate"], "max_latency_ratio": 2.0}
    shop.configure(mlflow=mlflow_uri, retrain={**RETRAIN, "gate": limits})
    log_days(shop)
    judged = retrain(shop, asked_as_of_the_last_day(shop))
    assert judged.state == "refused"
    assert "latency cannot be compared: the champion is not in the registry" in judged.reason
