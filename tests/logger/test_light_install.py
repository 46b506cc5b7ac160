"""A model server's environment: retrue's wheel and orjson, nothing else."""

import os
import shutil
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import orjson
import pytest

from tests.logger.serving import on_disk

ROOT = Path(__file__).parents[2]

SERVER = """
    import sys
    from retrue.logger import Fields, InferenceLogger
    log = InferenceLogger("shop", version="3", to=sys.argv[1], fields=Fields(keep=["age"]))
    with log.observe({"age": 3}) as call:
        call.predicted(1)
    log.close()
    outside = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"__main__"}
    print(*sorted(name for name in outside if not name.startswith("_")))
"""


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's interpreter; made without a network."""
    folder = tmp_path_factory.mktemp("light")
    build = ["uv", "build", "--wheel", "--offline", "--no-build-isolation", "--out-dir", str(folder), str(ROOT)]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(build, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    packages = next((folder / "venv").glob("lib/python*/site-packages"))
    shutil.unpack_archive(next(folder.glob("*.whl")), packages, "zip")
    installed = Path(orjson.__file__).parents[1]
    for part in installed.glob("orjson*"):
        shutil.copytree(part, packages / part.name)
    return folder / "venv" / "bin" / "python"


def test_the_logger_works_with_orjson_alone(light: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(light), "-c", textwrap.dedent(SERVER), str(tmp_path)],
        capture_output=True,
        text=True,
        env={},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["orjson", "retrue"]
    (record,) = on_disk(tmp_path)
    assert (record["features"], record["prediction"]) == ({"age": 3}, 1)


@pytest.mark.parametrize("module", ["asgi", "wrappers", "genai"])
def test_what_needs_no_extra_is_imported_without_one(light: Path, module: str) -> None:
    subprocess.run([str(light), "-c", f"import retrue.logger.{module}"], env={}, check=True)


def test_the_rules_and_the_dashboard_are_in_the_wheel(light: Path) -> None:
    files = {path.name for path in light.parents[1].glob("lib/python*/site-packages/retrue/template/observability/*")}
    assert files == {"prometheus.yml", "retrue.rules.yml", "retrue.alerts.yml", "grafana.json"}


def test_what_few_records_need_is_loaded_when_it_is_needed(tmp_path: Path) -> None:
    """OpenSSL alone takes as long to load as half of the logger."""
    late = "{'_hashlib', 'hmac', 'html', 'decimal', 'fractions', 'secrets'}"
    script = f"import sys, retrue.logger; print(*sorted({late} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.split() == []
