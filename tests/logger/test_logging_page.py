"""docs/logging.md: its blocks run one after the other, as they stand, and do what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from retrue.logger import InferenceLogger, Limits, Queues
from tests.logger.serving import on_disk, serving

PAGE = (Path(__file__).parents[2] / "docs" / "logging.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CUSTOMERS = pd.DataFrame({"age": [20, 30, 60, 70]})
RESPONSE = {
    "model": "small",
    "choices": [{"finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 100},
}


def a_client() -> Any:
    completions = SimpleNamespace(create=lambda **_: RESPONSE)
    return SimpleNamespace(chat=SimpleNamespace(completions=completions))


@pytest.fixture
def read(mlflow_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the page's blocks define, after all of them ran in an empty folder."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {
        "estimator": LogisticRegression().fit(CUSTOMERS, np.array([0, 0, 1, 1])),
        "customers": CUSTOMERS,
        "client": a_client(),
    }
    for block in BLOCKS:
        exec(compile(block.replace("http://127.0.0.1:5000", mlflow_uri), "docs/logging.md", "exec"), names)
    yield names
    for each in names.values():
        if isinstance(each, InferenceLogger):
            each.close()
    names["provider"].shutdown()


def test_the_pages_server_logs_what_it_is_asked(read: dict[str, Any]) -> None:
    with serving(read["app"]) as url:
        answer = httpx.post(f"{url}/predict", json={"age": 41, "plan": "basic", "name": "Jane"}, trust_env=False)
        scraped = httpx.get(f"{url}/metrics/", trust_env=False)
    assert answer.json() == 0.12
    assert "retrue_logger_accepted_total" in scraped.text
    read["log"].close()
    records = [each for each in on_disk(Path("logs/churn")) if each["inference_id"] == answer.headers["x-inference-id"]]
    for record in records:  # one of ten is kept
        assert record["features"] == {"age": 41, "plan": "basic", "name": {"type": "str", "len": 4}}


def test_the_pages_other_calls_reach_the_disk(read: dict[str, Any]) -> None:
    for _ in range(100):
        read["score"]({"age": 41, "plan": "basic"})
    assert read["counted"].flush()
    assert read["traced"].flush()
    read["log"].close()
    assert {each["label"] for each in on_disk(Path("logs/churn/labels"))} == {False}
    assert {each.get("endpoint") for each in on_disk(Path("logs/churn"))} >= {"nightly"}


def test_the_pages_mlflow_model_logs_where_it_is_served(read: dict[str, Any], tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    mlflow.sklearn.save_model(read["estimator"], tmp_path / "inner")
    context = SimpleNamespace(artifacts={"model": str(tmp_path / "inner")})
    model = read["Logged"]()
    model.load_context(context)
    assert list(model.predict(context, CUSTOMERS)) == [0, 0, 1, 1]


def test_the_pages_limits_are_the_defaults() -> None:
    queues, limits = Queues(), Limits()
    shown = [
        f"{queues.records:,}; {queues.bytes >> 20} MiB",
        f"{queues.failure_records:,}; {queues.failure_bytes >> 20} MiB",
        f"{limits.record_bytes >> 10} KiB",
        f"{limits.text_characters:,}; {limits.items:,}; {limits.depth}; {limits.fields:,}",
    ]
    assert [each for each in shown if f"| {each} |" not in PAGE] == []


def test_every_metric_is_on_the_page() -> None:
    prometheus = pytest.importorskip("retrue.logger.prometheus")
    for family in prometheus.PrometheusMetrics().registry.collect():
        assert family.name.removeprefix("retrue_logger_") in PAGE
