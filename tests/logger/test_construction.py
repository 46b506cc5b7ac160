from pathlib import Path
from typing import Any

import pytest

from retrue.logger import CLOSED, Fields, InferenceLogger, Queues
from retrue.logger.segments import MARKER
from tests.logger.conftest import OpenLog
from tests.logger.serving import on_disk

KEEP = Fields(keep=["x", "prediction"], errors="program")


def written(log: InferenceLogger, root: Path) -> list[dict[str, Any]]:
    assert log.flush()
    return on_disk(root)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"model": "../up"}, ValueError),
        ({"model": "UPPER"}, ValueError),
        ({"model": None}, ValueError),
        ({"version": ""}, ValueError),
        ({"version": 3}, ValueError),
        ({"sample": 10}, ValueError),
        ({"fields": ["x"]}, TypeError),
        ({"endpoint": 5}, ValueError),
        ({"observers": [object()]}, TypeError),
        ({"resources_every": 0.0}, ValueError),
        ({"spool_bytes": 10}, ValueError),
        ({"clock": 5}, TypeError),
    ],
)
def test_misuse_is_refused_at_construction(options: dict[str, Any], error: type[Exception], tmp_path: Path) -> None:
    chosen = {"model": "m", "version": "1", "to": tmp_path, **options}
    with pytest.raises(error):
        InferenceLogger(**chosen)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("queues", [{"records": 0}, {"bytes": -1}, {"failure_records": 1.5}])
def test_queue_without_room_is_refused(queues: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Queues(**queues)


def test_folder_of_another_model_or_open_to_all_is_refused(open_log: OpenLog, tmp_path: Path) -> None:
    open_log().close()
    with pytest.raises(ValueError, match="inferences of m"):
        InferenceLogger("other", version="1", to=tmp_path)
    labels = tmp_path / "labels"
    labels.mkdir()
    labels.chmod(0o777)
    with pytest.raises(ValueError, match="anybody"):
        InferenceLogger("m", version="1", to=tmp_path)


def test_folders_and_files_are_the_owners_alone(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(to=tmp_path / "logs", resources_every=60.0)
    log.record({})
    log.label("id", 1)
    log.flush()
    kinds = [path.parent.name for path in sorted(tmp_path.rglob(MARKER))]
    assert kinds == ["labels", "resources", "logs"] or sorted(kinds) == ["labels", "logs", "resources"]
    assert not [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077]


def test_a_logger_is_closed_at_the_end_of_its_block(tmp_path: Path) -> None:
    with InferenceLogger("m", version="1", to=tmp_path) as log:
        log.record({}, prediction=1)
    assert log.record({}, prediction=1) is CLOSED
    assert list(tmp_path.glob("segments/*/*.seg"))
