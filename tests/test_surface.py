"""What others hold on to: exported names, deployments with their parameters, the suites that are kept here."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import great_expectations as gx
import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule

import retrue
from retrue.adapters.carriers_prefect import RETRAIN_DEPLOYMENT
from retrue.adapters.flow_prefect import TAG
from retrue.adapters.purge_prefect import FLOWS
from retrue.adapters.servers import WORK_POOL
from retrue.adapters.suite_gx import load_suite
from retrue.config_file import load_project

ROOT = Path(__file__).parents[1]
DEPLOYMENTS = {"repository": ROOT / "prefect.yaml", "template": ROOT / "src" / "retrue" / "template" / "prefect.yaml"}


def deployments(where: str) -> Mapping[str, Any]:
    document = yaml.safe_load(DEPLOYMENTS[where].read_text())
    return {each["name"]: each for each in document["deployments"]}


def every_deployment() -> Iterator[Any]:
    for where in DEPLOYMENTS:
        for name, each in deployments(where).items():
            yield pytest.param(each, id=f"{where} {name}")


def load(path: Path) -> ModuleType:
    """Load a flow's file as Prefect does: by its path."""
    spec = importlib.util.spec_from_file_location(f"deployed_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flow_of(deployment: Mapping[str, Any]) -> Flow[Any, Any]:
    file, _, name = deployment["entrypoint"].partition(":")
    flow = getattr(load(ROOT / file), name)
    assert isinstance(flow, Flow)
    return flow


def test_every_exported_name_is_there_and_no_other_public_one() -> None:
    assert list(retrue.__all__) == sorted(retrue.__all__)
    assert set(retrue.__all__) <= set(dir(retrue))
    assert all(getattr(retrue, name) is not None for name in retrue.__all__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", retrue.__version__)


# ---------------------------------------------------------------- deployments


@pytest.mark.parametrize("deployment", every_deployment())
def test_every_deployment_leads_to_a_flow_that_takes_its_parameters(deployment: Mapping[str, Any]) -> None:
    flow = flow_of(deployment)
    assert flow.name == deployment["name"]
    properties, required = set(flow.parameters.properties), set(flow.parameters.required or ())
    assert set(deployment.get("parameters", {})) <= properties
    for schedule in deployment.get("schedules", ()):
        given = set(schedule.get("parameters", {})) | set(deployment.get("parameters", {}))
        assert required <= given <= properties
        assert CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
    assert deployment["work_pool"]["name"] == WORK_POOL
    assert deployment["description"]
    assert TAG in deployment["tags"], "by it `retrue purge` knows the runs as ours"
    assert deployment["name"] in FLOWS


@pytest.mark.parametrize("deployment", every_deployment())
def test_a_run_is_named_by_its_parameters_alone(deployment: Mapping[str, Any]) -> None:
    flow = flow_of(deployment)
    if isinstance(flow.flow_run_name, str):
        fields = set(re.findall(r"{(\w+)", flow.flow_run_name))
        assert fields <= set(flow.parameters.required or ())


def test_the_schedules_are_those_of_the_models_that_are_watched() -> None:
    models = load_project(ROOT, {}).models
    scheduled = [each["parameters"]["model"] for each in deployments("repository")["monitor"]["schedules"]]
    assert sorted(scheduled) == sorted(models)
    assert [each["parameters"]["model"] for each in deployments("template")["monitor"]["schedules"]] == ["my-model"]


def test_a_new_project_has_the_same_deployments_and_every_flow_has_one() -> None:
    ours, new = deployments("repository"), deployments("template")
    assert {name: {**each, "schedules": None} for name, each in ours.items()} == {
        name: {**each, "schedules": None} for name, each in new.items()
    }
    assert {f"{path.stem}" for path in (ROOT / "flows").glob("[a-z]*.py")} == set(ours)


def test_the_monitor_starts_a_deployment_that_exists() -> None:
    flow, _, name = RETRAIN_DEPLOYMENT.partition("/")
    assert flow_of(deployments("repository")[name]).name == flow


@pytest.mark.parametrize("path", [*DEPLOYMENTS.values(), ROOT / "retrue.yaml", *(ROOT / "flows").glob("*.py")], ids=str)
def test_no_file_that_is_deployed_knows_a_machine(path: Path) -> None:
    text = path.read_text()
    assert str(ROOT) not in text
    assert not re.search(r"(?<![\w:/.}])/(?:home|root|work|tmp|Users|usr|opt|mnt|var|etc)/", text)


@pytest.mark.parametrize("path", sorted((ROOT / "flows").glob("[a-z]*.py")), ids=lambda path: path.name)
def test_flows_stay_thin(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


# ---------------------------------------------------------------- suites


@pytest.mark.parametrize("path", sorted((ROOT / "expectations").glob("*.json")), ids=lambda path: path.stem)
def test_every_suite_loads_here_and_in_plain_great_expectations(path: Path) -> None:
    ours = load_suite(path)
    document = json.loads(path.read_text())
    plain = gx.ExpectationSuite(**document)
    assert len(ours.entries) == len(plain.expectations) == len(document["expectations"]) > 20
    assert [entry["meta"]["why"] for entry in document["expectations"] if not entry["meta"]["why"].strip()] == []


def test_every_watched_model_has_its_suite() -> None:
    project = load_project(ROOT, {})
    assert all(project.path(each.expectations).is_file() for each in project.models.values() if each.expectations)
