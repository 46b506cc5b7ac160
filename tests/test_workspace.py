"""Opening a project: whose servers it talks to, and who carries what out."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from retrue.adapters.servers import Server
from retrue.errors import ConfigError, LedgerError, ModelError
from retrue.workspace import adopt_servers, name_window, open_workspace, utc_now
from tests.stages.project import MODEL, NOW, Shop, day

SERVERS = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SERVERS:  # set first, so that whatever a test leaves there is undone
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def carriers(folder: Path) -> set[str]:
    with open_workspace(folder) as workspace:
        return set(workspace.carriers)


def test_without_servers_nothing_is_carried_out_here(shop: Shop) -> None:
    assert carriers(shop.root) == set()
    assert [name for name in SERVERS if name in os.environ] == []


def test_each_server_brings_the_carriers_of_its_effects(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert carriers(shop.root) == {"notify", "event", "retrain"}
    shop.configure(mlflow="http://127.0.0.1:9")
    assert carriers(shop.root) == {"notify", "event", "retrain", "record", "alias"}


def test_a_server_kept_on_the_folder_is_found(shop: Shop, mlflow_server: Server) -> None:
    (shop.root / ".retrue").rename(shop.root / "ledger")
    (shop.root / ".retrue").symlink_to(mlflow_server.log_path.parents[1])
    path = shop.root / "retrue.yaml"
    settings = path.read_text().replace("mlflow: null", "mlflow: ${MLFLOW_TRACKING_URI}")
    path.write_text(settings + "ledger: sqlite:///ledger/ledger.db\n")
    with open_workspace(shop.root) as workspace:
        assert workspace.mlflow == mlflow_server.url == os.environ["MLFLOW_TRACKING_URI"]
        assert set(workspace.carriers) == {"record", "alias"}


def test_a_server_that_is_named_wins_over_the_one_that_runs_here(
    shop: Shop, mlflow_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    (shop.root / ".retrue").rename(shop.root / "ledger")
    (shop.root / ".retrue").symlink_to(mlflow_server.log_path.parents[1])
    assert adopt_servers(shop.root)["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9"


def test_what_needs_mlflow_says_how_to_get_it(shop: Shop) -> None:
    with shop.open() as workspace, pytest.raises(ModelError, match="or MLFLOW_TRACKING_URI, or run `retrue up`"):
        _ = workspace.mlflow


def test_the_ledger_lies_in_the_project_whatever_the_working_folder(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    with open_workspace(shop.root) as workspace:
        assert workspace.ledger.models.champion(MODEL) == "1"
    assert (shop.root / ".retrue" / "ledger.db").is_file()


def test_a_deliverer_is_named_by_machine_and_process(shop: Shop) -> None:
    with open_workspace(shop.root) as workspace:
        assert workspace.worker == f"{socket.gethostname()}:{os.getpid()}"
        assert workspace.now is utc_now
    assert utc_now().utcoffset() is not None


def test_a_project_that_cannot_be_opened_says_why(tmp_path: Path, shop: Shop) -> None:
    with pytest.raises(ConfigError, match="no such file: run `retrue init`"), open_workspace(tmp_path / "nowhere"):
        pass
    (shop.root / ".retrue" / "ledger.db").write_bytes(b"no database" * 100)
    with pytest.raises(LedgerError), open_workspace(shop.root):
        pass


def test_a_run_is_named_after_model_and_window(shop: Shop) -> None:
    assert name_window(shop.root, MODEL, "2025-03-11") == "shop 2025-03-10"
    assert name_window(shop.root, MODEL, day(1)) == "shop 2025-03-10"
    assert name_window(shop.root, MODEL, None, now=lambda: NOW) == "shop 2025-04-19"


@pytest.mark.parametrize(
    ("model", "end"), [("other", None), ("../x", None), (MODEL, "2025-03-11T06:00Z"), (MODEL, "soon")]
)
def test_a_run_that_cannot_be_named_after_a_window_has_the_models_name(shop: Shop, model: str, end: str | None) -> None:
    assert name_window(shop.root, model, end) == model
