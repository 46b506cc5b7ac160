"""Events of other runtimes as failures: their frames written as each runtime prints a stack, and copies with other values.

A copy is the same failure at another time: other line numbers, addresses, hosts, folders, and other values in its message.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrue.failures import Failure

COPIES = 4
ROOTS = ("/srv/app", "/home/build/agent-7/work", "/opt/releases/20240131", "/var/www")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One failure of the data with its true group."""

    failure: Failure
    truth: str


def events(folder: Path, *, distinct: bool) -> list[Event]:
    """Return the events of a folder, each followed by its copies.

    With ``distinct`` those that are known to be one issue each; else the others, true groups being what has the same types,
    messages, functions.
    """
    found = []
    for path in sorted(folder.glob("*/*.json")):
        event = json.loads(path.read_bytes())
        if path.name.startswith("mobile1-x") is not distinct:
            continue
        truth = path.stem if distinct else json.dumps(_content(event))
        for number in range(COPIES + 1):
            found.append(Event(failure=_failure(event, random.Random(f"{path.stem} {number}"), number), truth=truth))
    return found


def _content(event: Json) -> object:
    told = [
        (each.get("type"), each.get("value"), [_names(frame) for frame in _frames(each)]) for each in _exceptions(event)
    ]
    return told or _message(event)


def _names(frame: Json) -> tuple[Any, ...]:
    return (frame.get("module"), frame.get("function"), frame.get("filename"))


def _failure(event: Json, chance: random.Random, number: int) -> Failure:
    raised = _exceptions(event)[::-1]  # causes come first in the data
    platform = str(event.get("platform"))
    change = _Change(chance=chance if number else None)
    stack = (
        _python(raised, change) if platform in ("python", "crystal", "nonsense") else _printed(raised, platform, change)
    )
    recorded = raised[0] if raised else {}
    return Failure(
        error_type=recorded.get("type") or "",
        message=change.message((recorded.get("value") or "") if raised else _message(event)),
        stack=stack,
        status="error",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What differs in a copy; without chance, nothing."""

    chance: random.Random | None

    def number(self, given: object) -> int:
        return self.chance.randint(1, 4000) if self.chance else int(str(given or 1))

    def address(self) -> str:
        return f"{self.chance.getrandbits(40) if self.chance else 4096:016x}"

    def path(self, path: str) -> str:
        if self.chance is None or not path.startswith(("/home", "/srv", "/mnt", "/Users", "file:///mnt")):
            return path
        return f"{self.chance.choice(ROOTS)}/{path.removeprefix('file://').split('/', 3)[-1]}"

    def message(self, text: str) -> str:
        """Give numbers, hexadecimal addresses and instances of installed packages other digits of the same kind."""
        if self.chance is None:
            return text
        text = re.sub(r"0x[0-9a-f]+", lambda _: f"0x{self.address().lstrip('0')}", text)
        return re.sub(r"(?<![\w.])\d+(?![\w.])", lambda _: str(self.number(0)), text)


def _exceptions(event: Json) -> list[Json]:
    given = event.get("exception") or {}
    values = given.get("values") if isinstance(given, dict) else given
    return [each for each in values or [] if each]


def _frames(exception: Json) -> Sequence[Json]:
    return [frame for frame in (exception.get("stacktrace") or {}).get("frames") or [] if frame]


def _message(event: Json) -> str:
    for given in (event.get("logentry"), event.get("message")):
        text = (given.get("formatted") or given.get("message")) if isinstance(given, dict) else given
        if text:
            return str(text)
    return ""


def _python(raised: Sequence[Json], change: _Change) -> str:
    parts = []
    for each in raised[::-1]:
        lines = [
            f'  File "{change.path(str(frame.get("abs_path") or frame.get("filename")))}", line {change.number(frame.get("lineno"))}, in {frame.get("function")}'
            for frame in _frames(each)
        ]
        heading = ["Traceback (most recent call last):", *lines] if lines else []
        parts.append("\n".join([*heading, f"{each.get('type')}: {each.get('value')}"]))
    return "\n\nDuring handling of the above exception, another exception occurred:\n\n".join(parts)


def _printed(raised: Sequence[Json], platform: str, change: _Change) -> str:
    lines: list[str] = []
    for place, each in enumerate(raised):
        lines.append(
            f"{'Caused by: ' if place else ''}{each.get('type')}: {str(each.get('value')).splitlines()[0] if each.get('value') else ''}"
        )
        lines += _lines(_frames(each)[::-1], platform, change)
    return "\n".join(lines)


def _lines(frames: Sequence[Json], platform: str, change: _Change) -> Iterator[str]:
    for place, frame in enumerate(frames):
        function, module = frame.get("function") or "", frame.get("module") or ""
        path = change.path(str(frame.get("abs_path") or frame.get("filename") or ""))
        line, package = change.number(frame.get("lineno")), frame.get("package") or ""
        if platform == "java":
            yield f"\tat {module}.{function}({(frame.get('filename') or 'Unknown Source').split(':')[0]}:{line})"
        elif platform == "csharp":
            yield f"   at {module}.{function}()" + (f" in {path}:line {line}" if path else "")
        elif platform == "javascript":
            yield f"    at {function} ({path}:{line}:{change.number(1)})"
        elif platform == "go":
            yield f"{module}.{function}(0x{change.address()})\n\t{path}:{line} +0x1b"
        elif platform == "php":
            yield f"#{place} {path}({line}): {function}()"
        elif platform == "cocoa":
            yield f"{place:<4}{package.rpartition('/')[2] or '???'}   0x{change.address()} {function or '<redacted>'} + {line}"
        else:
            yield f"      #{place:02} pc {change.address()}  {package or '<unknown>'} ({function or '??'}+{line})"
