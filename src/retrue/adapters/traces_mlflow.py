"""Traces of an experiment out of an MLflow server, as the objects that its files hold. MLflow is imported in functions.

The client's own search is called page by page.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from retrue.adapters.client_mlflow import again, connect, patience, ui_url
from retrue.errors import SourceError
from retrue.sources.spans import Span

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Trace

PAGE_ROWS = 100  # spans come with their traces: a page is some megabytes at most
TICKS_PER_MS = 1000

log = logging.getLogger(__name__)


def read_traces(tracking_uri: str, experiment: str, span: Span) -> Iterator[Mapping[str, Any]]:
    """Yield the traces of an experiment that began in a span, oldest first, with their spans.

    A trace reaches the server some time after its call: windows are judged after `settle` has passed. For labels, which can
    be logged on a trace long after its call, all traces that began before the span's end are read.

    Args:
        tracking_uri: Of the server.
        experiment: Name or id.
        span: In which the calls began.

    Raises:
        DeliveryError: The server does not answer or refuses.
        SourceError: It has no such experiment.
    """
    client = connect(tracking_uri)
    experiment_id = _experiment_id(client, experiment)
    labels = span.time == "labelled_at"
    first = 0 if labels else span.start_ticks // TICKS_PER_MS
    last = -(-span.end_ticks // TICKS_PER_MS)
    where = f"attributes.timestamp_ms >= {first} AND attributes.timestamp_ms < {last}"
    token: str | None = None
    while True:
        page = _page(client, experiment_id, where, token, spans=not labels)
        yield from (_plain(trace) for trace in page)
        token = page.token
        if not token:
            return


def _experiment_id(client: MlflowClient, experiment: str) -> str:
    with patience(f"the traces of {experiment}"):
        found = again(client.get_experiment_by_name, experiment)
        if found is None and experiment.isdigit():
            found = _by_id(client, experiment)
    if found is None:
        raise SourceError(f"MLflow has no experiment {experiment!r}: write its name or its id")
    return str(found.experiment_id)


def _by_id(client: MlflowClient, experiment: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return again(client.get_experiment, experiment)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _page(client: MlflowClient, experiment_id: str, where: str, token: str | None, *, spans: bool) -> Any:
    with patience("the traces of an experiment"):
        return again(
            client.search_traces,
            locations=[experiment_id],
            filter_string=where,
            max_results=PAGE_ROWS,
            order_by=["attributes.timestamp_ms ASC"],
            page_token=token,
            include_spans=spans,
        )


def _plain(trace: Trace) -> Mapping[str, Any]:
    plain: dict[str, Any] = trace.to_dict()
    return plain


def trace_urls(tracking_uri: str, traces: Sequence[str]) -> Mapping[str, str]:
    """Return the pages of traces in MLflow's UI by their ids; those that the server does not know are left out.

    Args:
        tracking_uri: Of the server.
        traces: Ids of OpenTelemetry in hexadecimal, or of MLflow with ``tr-`` before them.

    Raises:
        DeliveryError: The server does not answer or refuses.
    """
    client = connect(tracking_uri)
    urls = {}
    for trace in traces:
        own = trace if trace.startswith("tr-") else f"tr-{trace}"
        with patience(f"the trace {own}"):
            experiment_id = _experiment_of(client, own)
        if experiment_id and (page := ui_url(tracking_uri, "experiments", experiment_id, "traces")):
            urls[trace] = f"{page}&selectedEvaluationId={quote(own)}"
    return urls


def _experiment_of(client: MlflowClient, trace: str) -> str | None:
    from mlflow.exceptions import MlflowException

    try:
        return str(again(client.get_trace, trace, display=False).info.experiment_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"):
            return None
        raise
