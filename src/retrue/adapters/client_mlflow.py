"""How retrue talks to MLflow: with short patience, safe repetition and its own errors. MLflow is imported in functions.

MLflow's own client repeats every failed request up to seven times, two minutes each, creations included, which makes
ghost runs. Here its repetition is off (``PATIENCE``); a call that may be repeated without harm goes through ``again``,
and a creation is preceded by a search for what it would create.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import urlsplit

from retrue.errors import DeliveryError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_USERINFO = re.compile(r"//[^/@\s]+@")
_TAG_MAX = 8000  # characters of a tag's value; MLflow 3.17 (MAX_TAG_VAL_LENGTH)
_METRICS_MAX = 500  # a batch; MLflow takes 1000 in at most 1 MB, and a name may have 250 characters
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")
_TRIES = 3
_PAUSE_SECONDS = 0.2
_TRANSIENT = frozenset({"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"})
PATIENCE: dict[str, str] = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # s of silence of the server; an upload of 18 MB may take longer in all
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def connect(tracking_uri: str) -> MlflowClient:
    """Return a client of this server, for tracking and registry; nothing is asked of the server yet."""
    with patience("mlflow"):
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def check_answer(tracking_uri: str) -> None:
    """Make sure that MLflow answers, once, within seconds.

    Raises:
        DeliveryError: It does not, or refuses.
    """
    with patience("a look at its experiments"):
        connect(tracking_uri).search_experiments(max_results=1)


@contextmanager
def patience(what: str) -> Iterator[None]:
    """Let MLflow calls in this block fail soon, and raise one error of ours for all of theirs.

    MLflow reads its patience from the environment at each call and takes it from nowhere else, so these variables are
    set for the length of the block.

    Raises:
        DeliveryError: ``what`` did not get through: server down or slow, 5xx, or a refusal.
    """
    before = {name: os.environ.get(name) for name in PATIENCE}
    os.environ.update(PATIENCE)
    try:
        from mlflow.exceptions import MlflowException
        from requests import RequestException

        try:
            yield
        except (MlflowException, RequestException) as error:
            raise DeliveryError(f"{what}: MLflow did not take it: {_first_line(error)}") from error
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def again(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call that may be repeated without harm, up to three times while the server errs or drops it.

    A refused connection and a timeout are not repeated: a server that is down or that slow is left to the next delivery.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    for left in range(_TRIES - 1, -1, -1):
        try:
            return call(*args, **kwargs)
        except (MlflowException, RequestException) as error:
            if not left or not _transient(error):
                raise
            log.info("MLflow: %s; %d tries left", _first_line(error), left)
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")


def open_experiment(client: MlflowClient, name: str, note: str) -> str:
    """Return the id of the experiment of this name: found, restored if somebody deleted it, or created.

    The tag ``mlflow.experimentKind`` says that it is no GenAI experiment, where the UI asks (see ``ui_url``).
    """
    from mlflow.exceptions import MlflowException

    tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": note}
    found = again(client.get_experiment_by_name, name)
    if found is None:
        try:
            return str(again(client.create_experiment, name, tags=tags))
        except MlflowException as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":  # created by another run meanwhile
                raise
            found = again(client.get_experiment_by_name, name)
    if found.lifecycle_stage == "deleted":
        again(client.restore_experiment, found.experiment_id)
    for key, value in tags.items():
        if key not in found.tags:
            again(client.set_experiment_tag, found.experiment_id, key, value)
    return str(found.experiment_id)


def find_run(client: MlflowClient, experiment_id: str, key: str) -> Run | None:
    """Return the run that carries ``key`` in its tag ``retrue.key``, the oldest if there are several, None without."""
    where = f"tags.`retrue.key` = '{key}'"
    found = again(client.search_runs, [experiment_id], where, max_results=1, order_by=["attributes.start_time ASC"])
    return found[0] if found else None


def find_or_create_run(
    client: MlflowClient, experiment_id: str, key: str, *, name: str, start_ms: int, tags: Mapping[str, str]
) -> Run:
    """Return the run that carries ``key`` in its tag ``retrue.key``, creating it once.

    A creation whose answer was lost is found by the next search, so that there is one run whatever happens.
    """

    def attempt() -> Run:
        found = find_run(client, experiment_id, key)
        return found or client.create_run(experiment_id, start_ms, {"retrue.key": key, **as_tags(tags)}, run_name=name)

    return again(attempt)


def log_values(
    client: MlflowClient,
    run_id: str,
    metrics: Mapping[str, float],
    *,
    at_ms: int,
    step: int,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write metrics, then parameters and tags, in as few requests as MLflow allows; the same values again change nothing."""
    from mlflow.entities import Metric, Param, RunTag

    points = [Metric(name, value, at_ms, step) for name, value in metrics.items()]
    parts = [points[at : at + _METRICS_MAX] for at in range(0, len(points), _METRICS_MAX)] or [[]]
    for part in parts[:-1]:
        again(client.log_batch, run_id, metrics=part)
    named = [Param(name, cut(value, 6000)) for name, value in (params or {}).items()]
    labels = [RunTag(name, value) for name, value in as_tags(tags or {}).items()]
    again(client.log_batch, run_id, metrics=parts[-1], params=named, tags=labels)


def as_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags as MLflow takes them: long values cut, with their digest."""
    return {name: cut(value, _TAG_MAX) for name, value in tags.items()}


def cut(text: str, characters: int) -> str:
    """Return a text of at most so many characters; a longer one ends in its SHA-256.

    >>> cut("abc", 80)
    'abc'
    """
    if len(text) <= characters:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: characters - 73]}… sha256:{digest}"


def escape_markdown(text: str) -> str:
    """Return a text that a markdown page shows as it stands, on one line.

    >>> escape_markdown("<b> [x](y)")
    '\\\\<b\\\\> \\\\[x\\\\]\\\\(y\\\\)'
    """
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def error_code(error: Exception) -> str:
    """Return MLflow's name of an error, such as RESOURCE_DOES_NOT_EXIST; empty where it has none."""
    return str(getattr(error, "error_code", ""))


def ui_url(tracking_uri: str, *parts: str) -> str:
    """Return a page of MLflow's UI without credentials; empty where the store is no server.

    It names the UI's mode: without it a new visitor of MLflow 3.17 lands on GenAI pages, whatever the experiment's kind.

    >>> ui_url("http://user:secret@127.0.0.1:5000/", "experiments", "1")
    'http://127.0.0.1:5000/#/experiments/1?workflowType=machine_learning'
    """
    split = urlsplit(tracking_uri)
    if split.scheme not in ("http", "https"):
        return ""
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path.rstrip('/')}/#/{'/'.join(parts)}?workflowType=machine_learning"


def _transient(error: Exception) -> bool:
    from requests import HTTPError

    if isinstance(error, HTTPError):  # an artifact's answer
        return error.response is not None and error.response.status_code >= 500
    return not _timed_out(error) and error_code(error) in _TRANSIENT


def _timed_out(error: Exception) -> bool:
    """Whether the server was silent for too long: MLflow wraps that in its general error, requests in its own."""
    from requests import Timeout
    from urllib3.exceptions import TimeoutError as Silence

    origin = error.__cause__ or error.__context__
    reason = getattr(origin.args[0], "reason", None) if origin and origin.args else None
    return isinstance(origin, Timeout) or isinstance(reason, Silence)


def _first_line(error: Exception) -> str:
    return _USERINFO.sub("//", str(error).strip().partition("\n")[0])[:600]
