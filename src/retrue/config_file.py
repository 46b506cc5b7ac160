"""retrue.yaml into settings: variables filled, keys known by line, every refusal with its place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import ValidationError

from retrue.config import (
    AlarmSettings,
    DriftSettings,
    KindRule,
    MethodSettings,
    ModelSettings,
    Project,
    Settings,
    SystemSettings,
    TrafficSettings,
    nearest,
)
from retrue.errors import ConfigError, NameRefusedError

CONFIG_BYTES_MAX = 1_000_000
NODES_MAX = 20_000  # an alias bomb of 20 lines has millions

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Other settings of a model, and where they are written: ``lines`` maps the dotted keys that the file has, from ``models`` on."""

    settings: ModelSettings
    file: Path
    lines: Mapping[str, int]


def load_project(folder: Path, environment: Mapping[str, str] | None = None) -> Project:
    """Read ``retrue.yaml`` of a folder.

    Args:
        folder: The project's root.
        environment: What ``${NAME}`` and ``${NAME:-default}`` stand for; the process environment by default.

    Raises:
        ConfigError: The file is absent, unreadable, or a value in it is refused; has file, line and key.
    """
    file = folder / "retrue.yaml"
    document, lines = _read(file)
    filled = _fill(document, os.environ if environment is None else environment, lines, file, ())
    if not isinstance(filled, dict):
        raise ConfigError("a mapping with version and models is expected", file=file, line=1)
    try:
        return Project.model_validate({**filled, "root": folder.resolve()})
    except ValidationError as error:
        raise _first_refusal(error, lines, file) from error
    except NameRefusedError as error:
        raise ConfigError(str(error), file=file, key="models") from error


def load_policy(file: Path, folder: Path, model: str, environment: Mapping[str, str] | None = None) -> Policy:
    """Read other settings of a model, to be replayed: a whole retrue.yaml, or the keys of its block that differ.

    Args:
        file: Where they are. A file without ``models`` has keys of the model's block: what it does not say stays, at every
            depth. A list or a single value takes the place of the one that is there, null that of a single value as in
            retrue.yaml; null for a mapping removes it, so that its defaults hold.
        folder: The project's root.
        model: The model's name.
        environment: As for ``load_project``.

    Raises:
        ConfigError: The file is absent, unreadable, says nothing about the model, or a value in it is refused.
    """
    if not file.is_file():
        raise ConfigError(
            "no such file: it has another policy, as a retrue.yaml or as keys of the model's block", file=file
        )
    known = os.environ if environment is None else environment
    document, lines = _read(file)
    filled = _fill(document, known, lines, file, ())
    if not isinstance(filled, dict):
        raise ConfigError("a mapping of settings is expected", file=file, line=1)
    models = filled.get("models", {model: None})
    if not isinstance(models, dict) or model not in models:
        raise ConfigError(f"it says nothing about {model}", file=file, line=lines[("models",)], key="models")
    if "models" not in filled:
        filled = _changed(folder / "retrue.yaml", model, filled, known)
        lines = {("models", model, *key): line for key, line in lines.items()}
    try:
        settings = Project.model_validate({**filled, "root": folder.resolve()}).model(model)
    except ValidationError as error:
        raise _first_refusal(error, lines, file) from error
    return Policy(settings=settings, file=file, lines={".".join(key): line for key, line in lines.items()})


def _changed(file: Path, model: str, block: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the project's own document with what a block changes in that of a model."""
    document, lines = _read(file)
    own = _fill(document, environment, lines, file, ())
    return {**own, "models": {model: _merged(own["models"][model], block)}}


def _merged(own: Any, change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the keys of another put over its own, mapping by mapping.

    >>> _merged({"system": {"max_error_share": 0.01, "latency_p95_ms": 35}}, {"system": {"max_error_share": 0.02}})
    {'system': {'max_error_share': 0.02, 'latency_p95_ms': 35}}
    """
    kept = dict(own) if isinstance(own, dict) else {}
    for key, value in change.items():
        if isinstance(value, dict):
            kept[key] = _merged(kept.get(key), value)
        elif value is None and isinstance(kept.get(key), dict):
            del kept[key]
        else:
            kept[key] = value
    return kept


Key = tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads the key ``on`` as true; here, as in YAML 1.2, only true and false are booleans."""

    yaml_implicit_resolvers: ClassVar = {  # type: ignore[misc]
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _read(file: Path) -> tuple[Any, Mapping[Key, int]]:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError("no such file: run `retrue init` or change to the project's folder", file=file) from error
    if len(raw) > CONFIG_BYTES_MAX:
        raise ConfigError(f"larger than {CONFIG_BYTES_MAX} bytes", file=file)
    try:
        node = yaml.compose(raw, Loader=_Loader)
        if node is None:
            raise ConfigError("the file is empty", file=file, line=1)
        lines = _lines(node, file)
        return yaml.load(raw, Loader=_Loader), lines  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(
            f"not readable as YAML: {getattr(error, 'problem', error)}", file=file, line=mark.line + 1 if mark else None
        ) from error


def _lines(root: yaml.Node, file: Path) -> Mapping[Key, int]:
    lines: dict[Key, int] = {}
    for number, (key, node) in enumerate(_walk(root, (), file)):
        if number > NODES_MAX:
            raise ConfigError("too many values: does it expand aliases?", file=file)
        lines[key] = node.start_mark.line + 1
    return lines


def _walk(node: yaml.Node, key: Key, file: Path) -> Iterator[tuple[Key, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if name.value in seen:
                raise ConfigError(
                    "the key stands twice", file=file, line=name.start_mark.line + 1, key=".".join((*key, name.value))
                )
            seen.add(name.value)
            yield (*key, str(name.value)), name
            yield from _walk(value, (*key, str(name.value)), file)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*key, str(number)), value
            yield from _walk(value, (*key, str(number)), file)


def _fill(value: Any, environment: Mapping[str, str], lines: Mapping[Key, int], file: Path, key: Key) -> Any:
    """Replace ``${NAME}`` in every string; a value that is nothing but an unset variable becomes null."""
    if isinstance(value, dict):
        return {name: _fill(item, environment, lines, file, (*key, str(name))) for name, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, environment, lines, file, (*key, str(number))) for number, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    whole = _VARIABLE.fullmatch(value)
    if whole and whole[1] not in environment:
        return whole[2]

    def replace(match: re.Match[str]) -> str:
        found = environment.get(match[1], match[2])
        if found is None:
            raise ConfigError(
                f"the environment variable {match[1]} is not set", file=file, line=lines.get(key), key=".".join(key)
            )
        return found

    return _VARIABLE.sub(replace, value)


def _first_refusal(error: ValidationError, lines: Mapping[Key, int], file: Path) -> ConfigError:
    refusals = error.errors(include_url=False)
    refusal = next((each for each in refusals if each["type"] == "extra_forbidden"), refusals[0])
    key = tuple(str(part) for part in refusal["loc"])
    while key and key not in lines:
        key = key[:-1]
    message = refusal["msg"].removeprefix("Value error, ")
    if refusal["type"] == "extra_forbidden":
        message = f"unknown key{nearest(key[-1], _valid_keys(key[:-1]))}"
    elif refusal["type"] == "missing":
        message = f"the key {refusal['loc'][-1]!r} is needed here"
    return ConfigError(message, file=file, line=lines.get(key), key=".".join(key))


def _valid_keys(parent: Key) -> list[str]:
    block: type[Settings] | None = Project
    for part in parent:
        block = _block_of(block, part)
    return [name for name in block.model_fields if name != "root"] if block is not None else []


def _block_of(block: type[Settings] | None, part: str) -> type[Settings] | None:
    """Return the block under a key; the values of a mapping of blocks share one, whatever their names."""
    if block is Project and part == "models":
        return _Models
    if block is _Models:
        return ModelSettings
    if block is DriftSettings and part == "columns":
        return _ColumnOverrides
    if block is _ColumnOverrides:
        return MethodSettings
    if block is SystemSettings and part in ("endpoints", "generators"):
        return _Traffic
    if block is _Traffic:
        return TrafficSettings
    if block is AlarmSettings and part == "kinds":
        return _Kinds
    if block is _Kinds:
        return KindRule
    if block is None or part not in block.model_fields:
        return None
    annotation = block.model_fields[part].annotation
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, Settings)), None)


class _Models(Settings):
    """Stands for ``models``, whose keys are model names."""


class _ColumnOverrides(Settings):
    """Stands for ``drift.columns``, whose keys are column names."""


class _Traffic(Settings):
    """Stands for ``system.endpoints`` and ``system.generators``, whose keys are names of either."""


class _Kinds(Settings):
    """Stands for ``alarms.kinds``, whose keys are kinds of finding."""
