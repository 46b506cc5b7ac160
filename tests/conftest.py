"""What the whole session shares: one MLflow server, one small project, and no server of the user's."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrue.adapters.processes import QUIET
from retrue.adapters.servers import Server, start_mlflow_server, stop
from tests.stages.project import Shop, build

os.environ.update(QUIET)  # read once, when a tool is first imported
_HOME = tempfile.TemporaryDirectory(prefix="retrue-home-", ignore_cleanup_errors=True)
for name in ("PREFECT_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):  # Prefect and Chromium would write to the user's
    os.environ[name] = f"{_HOME.name}/{name.lower()}"
for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):  # a user's own servers are not to be written to
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def environment_restored() -> Iterator[None]:
    """Leave the environment as it was: MLflow writes its address there, and a command the servers it finds."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An MLflow server, empty at first."""
    server = start_mlflow_server(tmp_path_factory.mktemp("mlflow"))
    yield server
    stop(server)


@pytest.fixture(scope="session")
def mlflow_uri(mlflow_server: Server) -> str:
    """Its address."""
    return mlflow_server.url


@pytest.fixture(scope="session")
def built_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The small project as it was built: to be copied, not used."""
    return build(tmp_path_factory.mktemp("built") / "shop")


@pytest.fixture
def shop(built_shop: Shop, tmp_path: Path) -> Shop:
    """A project of the test's own: version 1 serves and has its baseline and suite, nothing is logged yet."""
    return Shop(root=Path(shutil.copytree(built_shop.root, tmp_path / "shop")))
