import os
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from retrue.logger import InferenceLogger, Queues
from retrue.logger.prometheus import OTHER, PrometheusMetrics
from tests.logger.serving import serving

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
MODEL = {"model": "shop", "version": "3"}
AT = {**MODEL, "endpoint": "POST /predict"}


def scraped(url: str) -> Samples:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


class Shop:
    """A logger whose metrics are scraped over HTTP."""

    def __init__(self, to: Path, **settings: object) -> None:
        self.metrics = PrometheusMetrics(max_values=3)
        self.log = InferenceLogger(
            "shop",
            version="3",
            to=to,
            observers=[self.metrics],
            endpoint="POST /predict",
            resources_every=None,
            **settings,  # type: ignore[arg-type]
        )
        self.metrics.follow(self.log)
        self.server, self.thread = self.metrics.serve(0)

    def scrape(self) -> Samples:
        return scraped(f"http://127.0.0.1:{self.server.server_port}/metrics")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        self.log.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.close()


def test_every_call_is_counted_by_status_with_its_latency(shop: Shop) -> None:
    for _ in range(3):
        with shop.log.observe({}) as call:
            call.predicted(1)
    with pytest.raises(KeyError), shop.log.observe({}):
        raise KeyError("x")
    with shop.log.observe({}) as call:
        call.rejected("quota")
    shop.log.record({}, latency_ms=40.0, status="timeout")
    found = shop.scrape()
    counted = {status: value(found, "retrue_inferences_total", **AT, status=status) for status in STATUSES}
    assert counted == {"ok": 3, "error": 1, "rejected": 1, "timeout": 1}
    assert value(found, "retrue_failures_total", **AT, status="error", error_type="KeyError") == 1
    assert value(found, "retrue_failures_total", **AT, status="timeout", error_type="timeout") == 1
    assert value(found, "retrue_inference_latency_seconds_count", **AT) == 6
    within = {le: value(found, "retrue_inference_latency_seconds_bucket", **AT, le=le) for le in ("0.025", "0.05")}
    assert within == {"0.025": 5, "0.05": 6}


STATUSES = ("ok", "error", "timeout", "rejected")


def test_a_status_that_did_not_happen_yet_is_there_as_zero(shop: Shop) -> None:
    shop.log.record({})
    assert value(shop.scrape(), "retrue_inferences_total", **AT, status="timeout") == 0


def test_calls_that_sampling_leaves_out_are_counted_all_the_same(tmp_path: Path) -> None:
    shop = Shop(tmp_path, sample=0.0)
    for _ in range(20):
        shop.log.record({})
    found = shop.scrape()
    shop.close()
    assert value(found, "retrue_inferences_total", **AT, status="ok") == 20
    assert value(found, "retrue_logger_sampled_out_total", **MODEL) == 20
    assert value(found, "retrue_logger_accepted_total", **MODEL) == 0


def test_tokens_and_cost_are_summed_by_the_generating_model(shop: Shop) -> None:
    for _ in range(2):
        with shop.log.observe({}) as call:
            call.generated(model="small", input_tokens=30, output_tokens=7, cost_usd=0.25)
    with shop.log.observe({}) as call:
        call.generated(model="small", response_model="small-2", output_tokens=5)
    found = shop.scrape()
    assert value(found, "retrue_tokens_total", **MODEL, generator="small", type="input") == 60
    assert value(found, "retrue_tokens_total", **MODEL, generator="small", type="output") == 14
    assert value(found, "retrue_tokens_total", **MODEL, generator="small-2", type="output") == 5
    assert value(found, "retrue_cost_usd_total", **MODEL, generator="small") == 0.5
    assert value(found, "retrue_cost_usd_total", **MODEL, generator="small-2") is None


def test_a_label_has_a_bounded_number_of_values(shop: Shop) -> None:
    for number in range(10):
        shop.log.record({}, endpoint=f"POST /{number}", error=type(f"Error{number}", (Exception,), {})())
    found = shop.scrape()
    for label in ("endpoint", "error_type"):
        values = {dict(labels)[label] for name, labels in found if name == "retrue_failures_total"}
        assert len(values) == 4
        assert OTHER in values
    others = [
        each for (name, labels), each in found.items() if name == "retrue_failures_total" and OTHER in str(labels)
    ]
    assert sum(others) == 7


def test_what_the_logger_says_of_itself_is_as_fresh_as_the_scrape(shop: Shop) -> None:
    shop.log.record({})
    assert shop.log.flush()
    assert value(shop.scrape(), "retrue_logger_written_total", **MODEL) == 1
    for _ in range(4):
        shop.log.record({})
    assert shop.log.flush()
    found = shop.scrape()
    assert value(found, "retrue_logger_accepted_total", **MODEL) == 5
    assert value(found, "retrue_logger_written_total", **MODEL) == 5
    assert value(found, "retrue_logger_queue_records", **MODEL) == 0


def test_records_refused_under_pressure_are_counted_by_reason(tmp_path: Path) -> None:
    shop = Shop(tmp_path, queues=Queues(records=16))
    for _ in range(5_000):
        shop.log.record({})
    found, counts = shop.scrape(), shop.log.stats().counts
    shop.close()
    told = {
        dict(labels)["reason"]: each for (name, labels), each in found.items() if name == "retrue_logger_shed_total"
    }
    assert {reason: count for reason, count in told.items() if count} == counts.shed
    assert sum(told.values()) > 0
    assert {"full", "broken"} <= told.keys()


def test_metrics_are_mounted_in_the_server_itself(shop: Shop) -> None:
    app = FastAPI()
    app.mount("/metrics", shop.metrics.app())
    shop.log.record({})
    with serving(app) as url:
        assert value(scraped(f"{url}/metrics/"), "retrue_inferences_total", **AT, status="ok") == 1


def test_two_models_share_one_registry(tmp_path: Path) -> None:
    metrics = PrometheusMetrics(registry=CollectorRegistry())
    for version in ("1", "2"):
        log = InferenceLogger("shop", version=version, to=tmp_path, observers=[metrics], resources_every=None)
        metrics.follow(log)
        log.record({})
        log.close()
    served = {key: each for key, each in collected(metrics).items() if key[0] == "retrue_inferences_total"}
    assert sum(served.values()) == 2
    assert {dict(labels)["version"] for _, labels in served} == {"1", "2"}


def collected(metrics: PrometheusMetrics) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


WORKERS = """
    import os, sys, urllib.request
    from retrue.logger import InferenceLogger
    from retrue.logger.prometheus import PrometheusMetrics

    metrics = PrometheusMetrics()
    log = InferenceLogger("shop", version="3", to=sys.argv[1], observers=[metrics], resources_every=None)
    metrics.follow(log)
    for worker in range(3):
        if not os.fork():
            for _ in range(10 * (worker + 1)):
                log.record({})
            log.close()
            metrics.refresh()
            os._exit(0)
    for _ in range(3):
        os.wait()
    server, _ = metrics.serve(0)
    print(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}").read().decode())
    os._exit(0 if sys.stdout.flush() is None else 1)
"""


def test_workers_that_share_a_folder_are_summed_in_any_ones_scrape(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WORKERS), str(tmp_path / "logs")],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "shared"), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    totals = {
        sample.name: sample.value
        for family in text_string_to_metric_families(done.stdout)
        for sample in family.samples
        if sample.labels.get("status", "ok") == "ok" and "le" not in sample.labels
    }
    assert totals["retrue_inferences_total"] == 60
    assert totals["retrue_logger_accepted_total"] == 60
    assert totals["retrue_logger_written_total"] == 60
