"""What a person sees: both servers' pages and the reports, with a column whose name would take the page over."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import FrameLocator, Page, Request, expect

from retrue.adapters.record_mlflow import MlflowRecorder
from tests.e2e.project import CHANGED, HOSTILE, MODEL
from tests.e2e.story import Story

pytestmark = pytest.mark.timeout(600)  # whoever comes first plays the story: 70 s on two quiet cores

WINDOW = f"{MODEL} {CHANGED:%Y-%m-%d}"
REPORTS = ("summary.html", "quality.html", "drift.html")
LOOKALIKE = HOSTILE.translate(str.maketrans("<>'", "‹›’"))


@pytest.fixture
def asked(page: Page) -> list[str]:
    """The addresses that the page asks for anything."""
    found: list[str] = []

    def note(request: Request) -> None:
        found.append(request.url)

    page.on("request", note)
    return found


def hosts(asked: list[str]) -> set[str]:
    return {urlsplit(url.removeprefix("blob:")).netloc for url in asked}


def artifact_url(story: Story, what: str) -> str:
    found = story.harbour.artifacts(story.runs["backfill"]["id"], WINDOW)[f"{MODEL}-{what}"]
    return f"{story.urls['prefect']}/artifacts/artifact/{found['id']}"


def mlflow_page(story: Story, make: Callable[[MlflowRecorder], str]) -> str:
    return make(MlflowRecorder(story.urls["mlflow"]))


# ---------------------------------------------------------------- Prefect


def test_the_recorded_address_of_a_flow_run_shows_its_steps_and_artifacts(story: Story, page: Page) -> None:
    """It is the address in the tag `retrue.flow_run_url` of the window's MLflow run."""
    tags = story.harbour.window_run(MODEL, CHANGED)["tags"]
    page.goto(tags["retrue.flow_run_url"])
    expect(page.get_by_text(story.runs["backfill"]["name"])).to_be_visible()
    expect(page.get_by_text("Completed").first).to_be_visible()
    page.locator("#artifacts").click()
    for what in ("verdict", "findings", "mlflow"):
        expect(page.get_by_text(f"{MODEL}-{what}").first).to_be_visible()


def test_prefect_shows_the_verdict(story: Story, page: Page, asked: list[str]) -> None:
    page.goto(artifact_url(story, "verdict"))
    expect(page.get_by_role("heading", name=f"{WINDOW}: breached")).to_be_visible()
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert "verdict" in page.title()
    assert hosts(asked) == {urlsplit(story.urls["prefect"]).netloc}


def test_prefect_shows_the_findings_with_the_columns_own_name(story: Story, page: Page, asked: list[str]) -> None:
    page.goto(artifact_url(story, "findings"))
    expect(page.get_by_text("performance.realised", exact=True)).to_be_visible()
    expect(page.get_by_text(HOSTILE, exact=True)).to_be_visible()
    assert "findings" in page.title()
    assert hosts(asked) == {urlsplit(story.urls["prefect"]).netloc}


def test_the_link_in_prefect_leads_to_the_windows_run_in_mlflow(story: Story, page: Page) -> None:
    page.goto(artifact_url(story, "mlflow"))
    link = page.get_by_role("link", name="reports and metrics in MLflow")
    page.goto(str(link.get_attribute("href")))
    expect(page.get_by_role("heading", name=f"{WINDOW} r1")).to_be_visible()


# ---------------------------------------------------------------- MLflow


def test_mlflow_shows_a_windows_run(story: Story, page: Page, asked: list[str]) -> None:
    run_id = story.harbour.window_run(MODEL, CHANGED)["id"]
    page.goto(mlflow_page(story, lambda recorder: recorder.run_url(run_id)))
    expect(page.get_by_role("heading", name=f"{WINDOW} r1")).to_be_visible()
    expect(page.get_by_text("retrue.verdict").first).to_be_visible()
    expect(page.get_by_role("link", name=f"{MODEL} history")).to_be_visible()
    assert hosts(asked) == {urlsplit(story.urls["mlflow"]).netloc}


def test_mlflow_draws_the_models_life(story: Story, page: Page) -> None:
    page.goto(mlflow_page(story, lambda recorder: recorder.charts_url(MODEL)))
    expect(page.get_by_role("heading", name=f"{MODEL} history")).to_be_visible()
    page.get_by_role("searchbox", name="Search metric charts").fill(
        "drift.line"
    )  # charts further down are drawn when seen
    expect(page.get_by_text("drift.line", exact=True).first).to_be_visible()
    chart = page.locator(".js-plotly-plot .scatterlayer .point")
    expect(chart.first).to_be_attached()
    assert page.title().endswith("MLflow")


@pytest.mark.parametrize("report", REPORTS)
def test_mlflow_opens_the_reports(story: Story, page: Page, report: str) -> None:
    run_id = story.harbour.window_run(MODEL, CHANGED)["id"]
    url = mlflow_page(story, lambda recorder: recorder.run_url(run_id))
    page.goto(url.replace(f"/runs/{run_id}", f"/runs/{run_id}/artifacts/{report}"))
    shown = page.frame_locator("iframe")
    expect(shown.get_by_text(WINDOW).first).to_be_visible()
    expect(named(shown, report)).to_be_visible()
    assert "pwned" not in page.title()


# ---------------------------------------------------------------- the reports by themselves


@pytest.mark.parametrize("width", [1400, 640])
@pytest.mark.parametrize("report", REPORTS)
def test_a_report_shows_the_hostile_name_and_asks_nobody_for_anything(
    story: Story, page: Page, asked: list[str], report: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    (folder,) = (story.harbour.state / "reports" / MODEL).glob(f"{CHANGED:%Y-%m-%d}*")
    page.goto((folder / report).as_uri())
    expect(named(page, report)).to_be_visible()
    assert WINDOW in page.title()
    assert asked == [(folder / report).as_uri()]
    if report != "drift.html":  # Evidently's table has a width of its own
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def named(page: Page | FrameLocator, report: str) -> object:
    """Where the page shows the column by its name; Evidently's with look-alikes for markup."""
    return page.get_by_text(LOOKALIKE if report == "drift.html" else HOSTILE).first
