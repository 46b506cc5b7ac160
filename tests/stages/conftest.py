"""Models on the MLflow server, and an import path that each test leaves as it found it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stages.learning import Learned, learn
from tests.stages.project import Shop


@pytest.fixture(autouse=True)
def _own_train_module() -> Iterator[None]:
    """A project's root is put on the path to import its train function from: that of the next test is another one."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("training", None)


@pytest.fixture(scope="session")
def learned_once(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Learned:
    """To be copied by tests that change it."""
    return learn(tmp_path_factory.mktemp("learned") / "shop", mlflow_uri)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Shop], Shop]:
    """Copy a project, ledger and all, so that a test can go on from there."""

    def copy(shop: Shop) -> Shop:
        return Shop(root=Path(shutil.copytree(shop.root, tmp_path / "copy")), model=shop.model)

    return copy
