"""Carriers of the outbox that need a Prefect server: notifications, events, retraining runs. Prefect is imported inside."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from retrue.errors import DeliveryError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from prefect.events import RelatedResource

RETRAIN_DEPLOYMENT = "retrain/retrain"


def send_notification(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Send a message through the user's notification block of that name, ``type-slug/name``.

    Raises:
        DeliveryError: No such block, or the receiver refused or did not answer. Its text holds no address: webhook
            URLs are secrets.
    """
    import httpx

    name = str(payload["block"])
    block = _load_block(name)
    raising = getattr(block, "raise_on_failure", nullcontext)  # without it, Apprise blocks log a failure and return
    try:
        with raising():
            block.notify(body=str(payload["body"]), subject=str(payload["subject"]))
    except httpx.HTTPStatusError as error:
        raise DeliveryError(f"{name}: the receiver answered {error.response.status_code}") from None
    except Exception as error:  # noqa: BLE001 - a block is its author's code; its errors may hold the address
        raise DeliveryError(f"{name}: not delivered ({type(error).__name__})") from None
    return {"block": name}


def _load_block(name: str) -> Any:
    import httpx
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    try:
        block = Block.load(name, validate=True)
    except ValueError as error:
        raise DeliveryError(f"no block {name}: create it in the Prefect UI under Blocks") from error
    except LookupError as error:
        raise DeliveryError(f"block {name} is of a type whose package is not installed here") from error
    except (httpx.HTTPError, OSError, RuntimeError) as error:
        raise DeliveryError(f"block {name} could not be read: {type(error).__name__}") from error
    if not isinstance(block, NotificationBlock):
        raise DeliveryError(f"block {name} is no notification block")
    return block


def emit_event(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Emit a Prefect event about a model; the payload's dedup key gives the event its id, so that it is told once.

    It is posted: Prefect's own ``emit_event`` only queues, and drops the event where the server does not answer.

    Raises:
        DeliveryError: The server did not take it.
    """
    import uuid

    import httpx
    from prefect.client.orchestration import get_client
    from prefect.events import Event, Resource

    facts = {name: value for name, value in payload.items() if name not in ("event", "dedup_key")}
    about = {"prefect.resource.id": f"retrue.model.{payload['model']}", "prefect.resource.name": str(payload["model"])}
    event = Event(
        event=str(payload["event"]),
        resource=Resource(root=about),
        related=_flow_run(),
        payload=facts,
        id=uuid.uuid5(uuid.NAMESPACE_URL, str(payload["dedup_key"])),
    )
    try:
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=[event.model_dump(mode="json")])
    except (httpx.HTTPError, OSError, RuntimeError) as error:
        raise DeliveryError(f"event {event.event} was not taken: {type(error).__name__}") from error
    return {"event_id": str(event.id)}


def _flow_run() -> list[RelatedResource]:
    """Return the flow run that this happens in, as its page lists its events; none outside of one."""
    from prefect.events import RelatedResource
    from prefect.runtime import flow_run

    if not flow_run.id:
        return []
    run = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}
    return [RelatedResource(root={**run, "prefect.resource.name": str(flow_run.name)})]


def start_retraining(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Start the deployed retraining flow; the same request starts one run, whatever became of it.

    Raises:
        DeliveryError: The deployment is not there or the server does not answer.
    """
    import httpx
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    try:
        run = run_deployment(
            RETRAIN_DEPLOYMENT,
            parameters={"model": payload["model"], "cause": payload["request_id"]},
            flow_run_name=f"{payload['model']} {str(payload['as_of'])[:10]}",
            timeout=0,
            idempotency_key=str(payload["dedup_key"]),
            as_subflow=False,
        )
    except ObjectNotFound as error:
        raise DeliveryError(f"no deployment {RETRAIN_DEPLOYMENT}: run `prefect deploy --all`") from error
    except (httpx.HTTPError, OSError, RuntimeError) as error:
        raise DeliveryError(f"{RETRAIN_DEPLOYMENT} could not be started: {type(error).__name__}") from error
    return {"flow_run_id": str(cast("FlowRun", run).id)}
