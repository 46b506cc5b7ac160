"""The carriers where no Prefect server answers, or where a block is broken: a refusal that waits, never a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
from prefect.blocks.abstract import NotificationBlock
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from retrue.adapters import carriers_prefect
from retrue.errors import DeliveryError

MESSAGE = {"block": "custom-webhook/oncall", "subject": "s", "body": "b", "dedup_key": "notify:1"}
EVENT = {"event": "retrue.window.judged", "model": "m", "dedup_key": "event:1"}
REQUEST = {"model": "m", "request_id": "m:f:1", "as_of": "2013-04-11T02:00:00+00:00", "dedup_key": "retrain:1"}


@pytest.fixture
def _nobody_answers() -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        yield


@pytest.mark.usefixtures("_nobody_answers")
@pytest.mark.parametrize(
    ("carrier", "payload"),
    [
        pytest.param(carriers_prefect.send_notification, MESSAGE, id="notify"),
        pytest.param(carriers_prefect.emit_event, EVENT, id="event"),
        pytest.param(carriers_prefect.start_retraining, REQUEST, id="retrain"),
    ],
)
def test_an_effect_waits_while_the_prefect_server_is_down(
    carrier: Callable[[Mapping[str, object]], object], payload: Mapping[str, object]
) -> None:
    with pytest.raises(DeliveryError):
        carrier(payload)


class Broken(NotificationBlock):
    """A receiver of a user's own, with a bug."""

    def notify(self, body: str, subject: str | None = None) -> None:
        raise KeyError("https://hooks.example/T0P-S3CR3T")


def test_a_block_that_breaks_is_a_refusal_without_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carriers_prefect, "_load_block", lambda _name: Broken())
    with pytest.raises(DeliveryError, match="custom-webhook/oncall: not delivered \\(KeyError\\)") as refused:
        carriers_prefect.send_notification(MESSAGE)
    assert "S3CR3T" not in str(refused.value)
