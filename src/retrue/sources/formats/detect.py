"""Which format files are in, by what they hold, and which of their columns could be which field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from retrue.config.sources import LogSettings
from retrue.errors import SourceError
from retrue.sources.formats.cloud_events import cloud_events
from retrue.sources.formats.cutting import aside_on_failure, csv_events
from retrue.sources.formats.events import Context, Event
from retrue.sources.json_lines import open_stream, parse_value
from retrue.sources.listing import SourceFile
from retrue.sources.set_aside import Tally
from retrue.sources.spans import EPOCH, LAST, Span
from retrue.sources.spool_files import is_spooled

FILES_MAX = 20
EVENTS_MAX = 5
MANIFEST_BYTES = 100_000
_EVERYTHING = Span(time="time", start=EPOCH, end=LAST, wanted=lambda name: True)
_GUESSES = {
    "inference_id": ("inference_id", "request_id", "event_id", "prediction_id", "id", "uuid", "meta.id"),
    "time": ("time", "timestamp", "ts", "event_time", "created_at", "datetime", "logged_at", "at"),
    "prediction": ("prediction", "pred", "y_pred", "predicted", "predicted_label", "output", "yhat", "class"),
    "score": ("score", "probability", "proba", "confidence"),
    "latency_ms": ("latency_ms", "duration_ms", "took_ms", "elapsed_ms", "response_time_ms"),
    "status": ("status", "status_code", "http_status", "outcome"),
    "model_version": ("model_version", "version"),
    "label": ("label", "ground_truth", "target", "y_true", "actual"),
    "labelled_at": ("labelled_at", "labeled_at", "label_time", "label_timestamp"),
}
_UNITS = (("s", 1e8, 1e11), ("ms", 1e11, 1e14), ("us", 1e14, 1e17), ("ns", 1e17, 1e20))  # 1973 to 5138


def detect(files: Sequence[SourceFile]) -> str | None:
    """Return the format that most of a few files are in, None where there are none that can be told."""
    step = max(len(files) // FILES_MAX, 1)
    votes = Counter(name for file in files[::step][:FILES_MAX] if (name := _format_of(file)))
    return votes.most_common(1)[0][0] if votes else None


def _format_of(file: SourceFile) -> str | None:
    if is_spooled(file.name):
        return "retrue"
    if _is_manifest(file):
        return "sagemaker"
    found = {name for event in first_events(file) if (name := _of_keys(event, file.name.lower()))}
    return next(iter(sorted(found, key=_rank)), None)


def _rank(name: str) -> int:
    """A system's own format says more than a general one."""
    return ("jsonl", "csv", "parquet").index(name) + 1 if name in ("jsonl", "csv", "parquet") else 0


def first_events(file: SourceFile) -> list[Mapping[str, Any]]:
    """Return the first events of a file as objects; of Parquet its columns, without values."""
    name = file.name.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        return list(_schema_of(file))
    cut = csv_events if name.endswith((".csv", ".tsv")) else cloud_events
    events = cut(file, Context(settings=LogSettings(uri=""), span=_EVERYTHING, tally=Tally()))
    return [event.value for event in islice(_sound(events), EVENTS_MAX)]


def _sound(events: Iterator[Event]) -> Iterator[Event]:
    return (event for event in islice(events, 200) if isinstance(event.value, Mapping))


def _schema_of(file: SourceFile) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with aside_on_failure(file, Tally()), file.remote.reach() if file.remote else file.open() as stream:
            yield dict.fromkeys(pq.read_schema(stream).names)
    except pa.ArrowException:
        return


def _is_manifest(file: SourceFile) -> bool:
    try:
        with open_stream(file) as stream:
            value = parse_value(stream.read(MANIFEST_BYTES))
    except (OSError, EOFError, ValueError, SourceError):
        return False
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and list(value[0]) == ["prefix"]


def _of_keys(event: Mapping[str, Any], name: str) -> str:
    keys = set(event)
    kind = str(event.get("type", "")) + str(event.get("headers", ""))
    rules = {
        "sagemaker": bool({"captureData", "groundTruthData", "SageMakerInferenceId"} & keys),
        "seldon": "io.seldon" in kind or "RequestId" in (event.get("_source") or keys) or "hits" in keys,
        "kserve": "org.kubeflow.serving" in kind or {"reqType", "bytes"} <= keys,
        "bentoml": "bento_meta" in keys or {"meta_data", "columns"} <= keys or _is_bento_row(event),
        "databricks": "databricks_request_id" in keys or {"invocation_id", "event_time"} <= keys,
        "vertex": {"logging_time", "request_id"} <= keys or {"raw_data", "raw_prediction"} <= keys,
        "mlflow": isinstance(event.get("info"), Mapping) and "data" in keys,
        "retrue": "inference_id" in keys
        and bool({"time", "labelled_at"} & keys)
        and not name.endswith((".csv", ".tsv")),
    }
    found = next((each for each, applies in rules.items() if applies), "")
    ending = "parquet" if name.endswith(".parquet") else "csv" if ".csv" in name or ".tsv" in name else "jsonl"
    return found or ending


def _is_bento_row(event: Mapping[str, Any]) -> bool:
    """A row of BentoML has an id of digits in text, and a local time in text, beside columns of its own."""
    request, time = event.get("request_id"), event.get("timestamp")
    return isinstance(request, str) and request.isdigit() and isinstance(time, str) and "T" in time


def guess(files: Sequence[SourceFile]) -> dict[str, Any]:
    """Return settings that could map the columns of files that are in no system's format: ``columns``, ``time_unit``."""
    events = next((found for file in files[:FILES_MAX] if (found := first_events(file))), [])
    if not events:
        return {}
    flat = dict(_flat(events[0]))
    by_name = {name.lower().rpartition(".")[2]: name for name in reversed(flat)}
    columns: dict[str, Any] = {}
    for field, names in _GUESSES.items():
        chosen = next(
            (by_name[each] for each in names if each in by_name and by_name[each] not in columns.values()), None
        )
        if chosen is not None:
            columns[field] = chosen
    unit = _unit_of(flat.get(columns.get("time", "")))
    kept = {field: name for field, name in columns.items() if field != name and field not in ("label", "labelled_at")}
    return {
        "columns": kept | {"features": _features(events[0])},
        **({"time_unit": unit} if unit else {}),
    }


def _features(event: Mapping[str, Any]) -> str:
    """Where the features could be: an object of that name, or every column that is nothing else."""
    for name, value in event.items():
        if isinstance(value, Mapping) and name.lower() in ("features", "inputs", "input"):
            return name
        inner = value if isinstance(value, Mapping) else {}
        for each in inner:
            if each.lower() in ("features", "inputs") and isinstance(inner[each], Mapping):
                return f"{name}.{each}"
    return "*"


def _flat(event: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in event.items():
        if isinstance(value, Mapping) and prefix.count(".") < 2:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _unit_of(value: Any) -> str | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return next((unit for unit, low, high in _UNITS if low <= number < high), None)
