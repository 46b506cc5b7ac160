"""The rules, alerts and dashboard that are shipped, on a real Prometheus: Debian's package `prometheus`."""

import json
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from retrue.adapters import processes
from retrue.adapters.processes import HOST, call
from retrue.logger import InferenceLogger
from retrue.logger.prometheus import PrometheusMetrics
from tests.logger.serving import wait_for

SHIPPED = Path(__file__).parents[2] / "src" / "retrue" / "template" / "observability"
UNIT_TESTS = Path(__file__).with_name("alerts.test.yml")
DASHBOARD: dict[str, Any] = json.loads((SHIPPED / "grafana.json").read_text())
EXPRESSIONS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}
VARIABLES = {"$__rate_interval": "5s", "$__range": "1m", "$model": ".*", "$version": ".*"}
RULES: list[dict[str, Any]] = [
    rule
    for name in ("retrue.rules.yml", "retrue.alerts.yml")
    for group in yaml.safe_load((SHIPPED / name).read_text())["groups"]
    for rule in group["rules"]
]

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="Debian's package prometheus is not installed")
needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="Debian's package prometheus is not installed"
)


def promtool(*arguments: str, folder: Path = SHIPPED) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_configuration_and_its_rules_are_sound() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "retrue.rules.yml", "retrue.alerts.yml")


@needs_promtool
def test_alerts_fire_where_they_should_and_only_there(tmp_path: Path) -> None:
    for file in (*SHIPPED.glob("*.yml"), UNIT_TESTS):
        shutil.copy(file, tmp_path)
    promtool("test", "rules", UNIT_TESTS.name, folder=tmp_path)


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    cases = yaml.safe_load(UNIT_TESTS.read_text())["tests"]
    fired = {each["alertname"] for case in cases for each in case["alert_rule_test"] if each["exp_alerts"]}
    assert fired == {rule["alert"] for rule in RULES if "alert" in rule}


class Prometheus:
    """A Prometheus that scrapes every second."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        found = call(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        result: list[dict[str, Any]] = found["data"]["result"]
        return result

    def api(self, path: str) -> Any:
        return call(f"{self.url}/api/v1/{path}")["data"]


def busy(log: InferenceLogger) -> None:
    """Let everything happen that a panel shows."""
    for number in range(2_000):
        log.record({}, latency_ms=float(number % 50), endpoint="POST /predict")
    with log.observe({}, endpoint="POST /chat") as generation:
        generation.generated(model="small", input_tokens=300, output_tokens=20, cost_usd=0.01)
    log.record({}, error=KeyError("x"), latency_ms=1.0, endpoint="POST /predict")
    log.record({}, status="rejected", latency_ms=1.0, endpoint="POST /predict")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """The shipped configuration on a model server that is busy, with seconds for minutes."""
    folder = tmp_path_factory.mktemp("prometheus")
    for file in SHIPPED.glob("*.yml"):
        (folder / file.name).write_text(file.read_text().replace("[5m]", "[5s]"))
    metrics = PrometheusMetrics()
    log = InferenceLogger("shop", version="3", to=folder / "logs", observers=[metrics], resources_every=None)
    metrics.follow(log)
    server, _ = metrics.serve(0)
    settings = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [f"{HOST}:{server.server_port}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    port = processes.free_port(preferred=0)
    command = [
        shutil.which("prometheus") or "",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
    ]
    process = processes.spawn(command, environment={}, log_path=folder / "prometheus.log")
    made = Prometheus(f"http://{HOST}:{port}")
    try:
        assert processes.becomes_ready(process, lambda: bool(call(f"{made.url}/-/ready")), within_seconds=30)
        for _ in range(8):
            busy(log)
            time.sleep(1)
        yield made
    finally:
        processes.stop(process, grace_seconds=10)
        server.shutdown()
        server.server_close()
        log.close()


def filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


@needs_prometheus
def test_a_live_model_server_is_scraped(prometheus: Prometheus) -> None:
    (target,) = prometheus.api("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


@needs_prometheus
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_panel_of_the_dashboard_shows_data(prometheus: Prometheus, name: str) -> None:
    found = wait_for(lambda: prometheus.query(filled(EXPRESSIONS[name])))
    assert all(each["value"][1] != "NaN" for each in found)


@needs_prometheus
@pytest.mark.parametrize("name", [rule["record"] for rule in RULES if "record" in rule])
def test_every_recorded_series_has_data(prometheus: Prometheus, name: str) -> None:
    (found, *_) = wait_for(lambda: prometheus.query(name))
    assert found["metric"]["model"] == "shop"


@needs_prometheus
def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == len(RULES)
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}


@needs_prometheus
def test_the_variables_of_the_dashboard_list_models_and_versions(prometheus: Prometheus) -> None:
    assert prometheus.api("label/model/values") == ["shop"]
    assert prometheus.api("label/version/values") == ["3"]


def test_the_dashboard_names_only_metrics_that_are_made() -> None:
    metrics = PrometheusMetrics()
    made = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    families = {family.name for family in metrics.registry.collect()} | made
    for expression in (*EXPRESSIONS.values(), *(rule["expr"] for rule in RULES)):
        for word in expression.replace("(", " ").replace("{", " ").replace("[", " ").split():
            if word.startswith("retrue_"):
                assert word.removesuffix("_total").removesuffix("_bucket") in families, word
