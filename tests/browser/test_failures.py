"""Failure groups as a person sees them: the page of a window, and the trace it leads to."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import mlflow
import pytest
from mlflow import MlflowClient
from playwright.sync_api import Page, expect

from retrue.adapters.traces_mlflow import trace_urls
from retrue.reports import render_summary

SAMPLE = Path(__file__).parents[1] / "reports" / "sample.py"
HOSTILE = "</script><img src=x onerror=\"document.title='pwned'\">"


@pytest.fixture(scope="module")
def sample() -> ModuleType:
    spec = spec_from_file_location("report_sample", SAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("width", [1400, 660, 390])
def test_failures_fit_the_page_and_open_on_a_click(sample: ModuleType, page: Page, tmp_path: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    path = tmp_path / "summary.html"
    path.write_text(render_summary(sample.verdict(), sample.MEASUREMENTS, sample.history(), stories=sample.failures()))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = page.locator(".failure").first
    expect(first.get_by_text("Fails 34x more when origin = EWR and visib is missing")).to_be_visible()
    expect(first.get_by_text("features.to_number")).not_to_be_visible()
    first.locator("summary").click()
    expect(first.get_by_text("features.to_number")).to_be_visible()
    drawn = first.locator("svg.bars").first.bounding_box()
    assert drawn is not None
    assert (drawn["width"] > 60, drawn["height"]) == (True, 24)


@pytest.mark.parametrize("width", [1400, 660, 390])
def test_what_the_serving_processes_used_fits_the_page(
    sample: ModuleType, page: Page, tmp_path: Path, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    path = tmp_path / "summary.html"
    used = replace(sample.MEASUREMENTS, system=replace(sample.SERVING, resources=sample.RESOURCES))
    path.write_text(render_summary(sample.verdict(), used, sample.history(used=True)))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.get_by_role("heading", name="The serving processes")).to_be_visible()
    expect(page.get_by_text("1.87 GB").first).to_be_visible()
    expect(page.get_by_label("Memory of a process")).to_be_visible()


def test_a_failure_with_a_hostile_name_is_shown_and_runs_nothing(
    sample: ModuleType, page: Page, tmp_path: Path
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    path = tmp_path / "summary.html"
    path.write_text(render_summary(sample.verdict(), sample.MEASUREMENTS, (), stories=sample.called(HOSTILE)))
    page.goto(path.as_uri())
    page.locator(".failure summary").first.click()
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.title() == "flight-delay 2013-09-05: healthy"
    assert asked == [path.as_uri()]


def test_the_page_of_a_trace_opens_that_trace(mlflow_uri: str, page: Page) -> None:
    mlflow.set_tracking_uri(mlflow_uri)
    client = MlflowClient(tracking_uri=mlflow_uri)
    span = client.start_trace("predict a delay", experiment_id=client.create_experiment("looked at"))
    client.end_trace(span.trace_id, status="ERROR")
    mlflow.flush_trace_async_logging()
    mlflow.set_tracking_uri("")
    page.goto(trace_urls(mlflow_uri, [span.trace_id])[span.trace_id])
    expect(page.get_by_text("predict a delay").first).to_be_visible()
