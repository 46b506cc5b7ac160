"""Look at logs and labels of any format before they are judged, say what was understood, and convert them."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from retrue.adapters.traces_mlflow import read_traces
from retrue.config import LabelSettings, LogSettings, Project
from retrue.config.sources import FORMAT_KEYS, LABEL_FORMATS, MAPPED_FORMATS
from retrue.errors import ConfigError, SourceError
from retrue.sources.engine import Engine
from retrue.sources.formats.detect import detect, guess
from retrue.sources.places import Place
from retrue.sources.set_aside import Tally
from retrue.sources.spool_files import is_spooled
from retrue.sources.survey import TABLE, Survey, Surveyed, survey, write_parquet

LOGS, LABELS = "logs", "labels"
_PERHAPS_LABELS = "if the place holds labels, look at it with --labels"
_USERINFO = re.compile(r"//[^/@\s]+@")
_NUMBERED = re.compile(r"f\d+")
_LOST = {
    "status": "failures are not judged",
    "latency_ms": "latency is not judged",
    "prediction": "drift of predictions is not measured, nor performance that needs them",
    "score": "performance that needs scores, such as roc_auc, is not measured",
    "model_version": "all records count as version unknown: set model_version",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a place of logs or labels holds. ``detected`` is the format that its content shows, None where none does.

    ``missing`` maps a field that no record has to what is lost by that; ``joined`` counts labels whose record is there, None
    where there are no records to join. ``suggestion`` is a block of retrue.yaml.
    """

    part: str
    settings: LogSettings | LabelSettings
    detected: str | None
    endings: Mapping[str, int]
    survey: Survey
    missing: Mapping[str, str] = field(default_factory=dict)
    joined: int | None = None
    suggestion: str = ""
    written: tuple[Path, ...] = ()

    @property
    def uri(self) -> str:
        """The address, without a user's name and password."""
        return _USERINFO.sub("//", self.settings.uri)

    @property
    def outcome(self) -> str:
        """``healthy``, ``breached`` where something was set aside, ``inconclusive`` where nothing could be read."""
        if not self.survey.rows:
            return "inconclusive"
        return "breached" if self.survey.set_aside else "healthy"

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        found = self.survey
        return {
            "part": self.part,
            "uri": self.uri,
            "format": self.settings.format,
            "detected": self.detected,
            "outcome": self.outcome,
            "files": dict(self.endings),
            "files_read": found.files_read,
            "records": found.rows,
            "duplicates": found.duplicates,
            "start": found.start,
            "end": found.end,
            "fields": dict(found.fields),
            "features": dict(found.features),
            "values": {name: dict(counts) for name, counts in found.values.items()},
            "labels_joined": self.joined,
            "set_aside": [{"place": e.place, "reason": e.reason, "count": e.count} for e in found.set_aside],
            "set_aside_share": found.set_aside_share,
            "notes": dict(found.notes),
            "missing": dict(self.missing),
            "suggestion": self.suggestion,
            "written": [str(path) for path in self.written],
        }


def sources_of(project: Project, model: str) -> list[LogSettings | LabelSettings]:
    """Return the places of a model: its logs, and its labels where it has any.

    Raises:
        ConfigError: No such model.
    """
    settings = project.model(model)
    return [each for each in (settings.logs, settings.labels) if each is not None]


def source_at(uri: str, form: str | None, further: str, *, labels: bool) -> LogSettings | LabelSettings:
    """Return settings of an address that no retrue.yaml has; without a format it is found by content.

    Args:
        uri: A folder or address.
        form: Its format.
        further: More settings as YAML, such as ``{timezone: Europe/Paris}``.
        labels: Whether it holds labels.

    Raises:
        ConfigError: A setting is refused.
        SourceError: The place cannot be opened, or no format shows.
    """
    made = LabelSettings if labels else LogSettings
    try:
        more = yaml.safe_load(further or "{}")
        if not isinstance(more, Mapping):
            raise ConfigError("write settings as {key: value, …}", file=Path("--settings"))
        if form is None:
            found, _ = _look(LogSettings(uri=uri))
            if found is None:
                raise SourceError(f"{uri} holds nothing whose format shows: name it with --format")
            form = found
        return made.model_validate({"uri": uri, "format": form, **more})
    except yaml.YAMLError as error:
        raise ConfigError("not readable as YAML", file=Path("--settings")) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(first["msg"].removeprefix("Value error, "), file=Path("--settings"), key=key) from error


def check(
    sources: Sequence[LogSettings | LabelSettings],
    root: Path = Path(),
    *,
    model: str | None = None,
    to: Path | None = None,
) -> list[Checked]:
    """Read all that places hold and say what was understood; with ``to`` write it there as retrue's own Parquet.

    Args:
        sources: Places of logs and of labels.
        root: Where relative folders start.
        model: Whose records are meant, where records name a model.
        to: A new folder: logs are written into ``logs`` in it, labels into ``labels``.

    Raises:
        SourceError: A place cannot be opened, or ``to`` has other files already.
    """
    if to is not None and to.exists() and any(to.iterdir()):
        raise SourceError(f"{to} is not empty: name a new folder")
    with ExitStack() as stack:
        surveyed = [(each, stack.enter_context(_surveyed(each, root))) for each in sources]
        logs = next((found.engine for each, found in surveyed if isinstance(each, LogSettings)), None)
        return [_checked(each, found, root, logs=logs, model=model, to=to) for each, found in surveyed]


@contextmanager
def _surveyed(settings: LogSettings | LabelSettings, root: Path) -> Iterator[Surveyed]:
    with tempfile.TemporaryDirectory(prefix="retrue-fetched-") as fetched:
        place = Place(settings=settings, root=root, cache=Path(fetched), traces=read_traces)
        with survey(place, labels=isinstance(settings, LabelSettings)) as found:
            yield found


def _checked(
    settings: LogSettings | LabelSettings,
    found: Surveyed,
    root: Path,
    *,
    logs: Engine | None,
    model: str | None,
    to: Path | None,
) -> Checked:
    labels = isinstance(settings, LabelSettings)
    part = LABELS if labels else LOGS
    detected, endings = _look(settings, root)
    return Checked(
        part=part,
        settings=settings,
        detected=detected,
        endings=endings,
        survey=found.survey,
        missing=_lost(found.survey, settings, model),
        joined=_joined(found, logs) if labels and logs is not None else None,
        suggestion=_suggestion(part, settings, detected, found.survey, root),
        written=tuple(write_parquet(found, to / part, labels=labels)) if to else (),
    )


def _look(settings: LogSettings | LabelSettings, root: Path = Path()) -> tuple[str | None, Mapping[str, int]]:
    """Return the format that a place's content shows, and how many files it has by ending."""
    with tempfile.TemporaryDirectory(prefix="retrue-fetched-") as fetched:
        place = Place(settings=settings, root=root, cache=Path(fetched))
        if place.is_server:
            return "mlflow", {}
        files = place.files(Tally(), holds=lambda name: True)
        endings = Counter(_ending(file.name) for file in files)
        return detect(files), dict(endings.most_common())


def _ending(name: str) -> str:
    if is_spooled(name):
        return "segments"
    base = name.rpartition("/")[2].lower()
    return base[base.index(".") :] if "." in base and len(base) - base.index(".") < 20 else "other"


def _lost(found: Survey, settings: LogSettings | LabelSettings, model: str | None) -> Mapping[str, str]:
    """Return what cannot be measured, by the field that is missing."""
    if isinstance(settings, LabelSettings):
        return {}
    if not found.rows:
        return {"records": _PERHAPS_LABELS} if found.set_aside and settings.format in LABEL_FORMATS else {}
    missing = {name: lost for name, lost in _LOST.items() if not found.fields.get(name)}
    failures = sum(count for status, count in found.values.get("status", {}).items() if status.lower() != "ok")
    if failures and not found.fields.get("error_type"):
        missing["error_type"] = f"{failures} failures are counted and cannot be grouped"
    if not found.features:
        missing["features"] = "drift of inputs is not measured, nor which inputs fail"
    elif all(_NUMBERED.fullmatch(name) for name in found.features):
        missing["names"] = "the columns of requests have no names: set names, in order"
    named = found.values.get("model", {})
    if model and named and model not in named:
        missing["model"] = f"records are of {', '.join(named)}: only those of {model}, or of no model, are read"
    return missing


def _joined(labels: Surveyed, logs: Engine) -> int:
    """Count the labels whose inference is among the records."""
    if not labels.survey.rows or TABLE not in logs.backend.list_tables():
        return 0
    ids = labels.engine.fetch_arrow(labels.engine.table(TABLE).select("inference_id").distinct())
    with logs.registered(ids) as lent:
        ((count,),) = logs.fetch(logs.table(lent).semi_join(logs.table(TABLE), "inference_id").count())
    return int(count)


def _suggestion(
    part: str, settings: LogSettings | LabelSettings, detected: str | None, found: Survey, root: Path
) -> str:
    """A block of retrue.yaml that reads this place, with what it seems to need."""
    form = detected or settings.format
    block: dict[str, Any] = {"uri": _USERINFO.sub("//", settings.uri), "format": form}
    given = settings.model_dump(mode="json", exclude_unset=True, exclude={"uri", "format"})
    if form == settings.format:
        block |= given
    elif form in MAPPED_FORMATS:
        block |= _guessed(settings, root)
    reasons = " ".join([*(entry.reason for entry in found.set_aside), *found.notes])
    if "set timezone" in reasons and "timezone" in FORMAT_KEYS[form]:
        block.setdefault("timezone", "UTC")
    if "set time_unit" in reasons and "time_unit" in FORMAT_KEYS[form]:
        block |= {name: value for name, value in _guessed(settings, root).items() if name == "time_unit"}
    if form in MAPPED_FORMATS and "columns" not in block and not found.rows:
        block |= _guessed(settings, root)
    return yaml.safe_dump({part: block}, sort_keys=False, allow_unicode=True, width=120).strip()


def _guessed(settings: LogSettings | LabelSettings, root: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="retrue-fetched-") as fetched:
        place = Place(settings=settings, root=root, cache=Path(fetched))
        return guess(place.files(Tally(), holds=lambda name: True))
