import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command
from typer.testing import CliRunner

from retrue.cli import app
from retrue.config import ModelSettings, Project
from retrue.config_file import load_project

ROOT = Path(__file__).parents[1]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
OWN_MODEL = (ROOT / "docs" / "your-own-model.md").read_text()
README = (ROOT / "README.md").read_text()


def keys(block: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in block.model_fields.items():
        inner = [
            each for each in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(each, type)
        ]
        nested = next((each for each in inner if issubclass(each, BaseModel)), None)
        yield from keys(nested, f"{prefix}{name}.") if nested else [f"{prefix}{name}"]


def test_every_key_of_the_configuration_is_explained() -> None:
    known = [*keys(ModelSettings), *(key for key in keys(Project) if not key.startswith(("root", "models.")))]
    assert len(known) > 60
    unexplained = [key for key in known if not is_explained(key)]
    assert unexplained == []


def is_explained(key: str) -> bool:
    parent, _, last = key.rpartition(".")
    line = next(
        (
            each
            for each in CONFIGURATION.splitlines()
            if f"`{key}`" in each or (f"`.{last}`" in each and parent in each)
        ),
        "",
    )
    return bool(line) or f"`{parent}`" in CONFIGURATION


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"`retrue {name}" in README


def test_the_readmes_figures_are_those_of_the_last_benchmark() -> None:
    for entry in orjson.loads((ROOT / "benchmarks" / "results" / "window.json").read_bytes()):
        assert f"| {entry['rows']:,} |" in README
        assert f"| {entry['seconds']:.2f} | {entry['peak_bytes'] / 1e9:.2f} GB |" in README


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_templates_configuration_loads_and_so_does_the_readmes() -> None:
    for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL):
        assert yaml.safe_load(block)
    template = ROOT / "src" / "retrue" / "template"
    assert load_project(template, {}).models["my-model"].task == "binary"


def test_your_own_model_in_ten_minutes_works_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the page are run as they stand, on records like the one it shows."""
    monkeypatch.chdir(tmp_path)
    run("retrue init watch --model churn")
    monkeypatch.chdir(tmp_path / "watch")
    shown = orjson.loads(re.findall(r"```json\n(.*?)```", OWN_MODEL, re.DOTALL)[0])
    write_records(shown, Path("logs/churn"))
    commands = [
        line.split("  #")[0] for line in re.findall(r"^retrue .*$", OWN_MODEL, re.MULTILINE) if " churn" in line
    ]
    baseline, monitor, status = (
        next(each for each in commands if word in each) for word in ("baseline", "monitor", "status")
    )
    assert "version 1" in run(baseline)
    assert Path("expectations/churn.json").is_file()
    assert "healthy" in run(monitor)
    assert "healthy" in run(status)
    assert sorted(path.name for path in Path(".retrue/reports/churn").glob("*/*.html")) == [
        "drift.html",
        "quality.html",
        "summary.html",
    ]


def write_records(shown: dict[str, object], folder: Path) -> None:
    import numpy as np

    random = np.random.default_rng(1)
    folder.mkdir(parents=True)
    for day in (*(f"2026-10-{day:02d}" for day in range(1, 32)), "2026-11-01"):
        records = [
            {
                **shown,
                "inference_id": f"{day}-{number}",
                "time": f"{day}T{number % 24:02d}:00:00Z",
                "features": {"age": int(random.integers(18, 90)), "plan": str(random.choice(["basic", "plus"]))},
                "score": float(random.random()),
            }
            for number in range(600)
        ]
        (folder / f"{day}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, records)))


def run(command: str) -> str:
    result = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
