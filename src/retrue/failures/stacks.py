"""The text of a stack into exceptions and their frames. Pure.

Python's tracebacks, with and without source lines, chained and grouped, are read here; what other runtimes print, by
``stack_lines``. Line numbers, columns, addresses and source lines are read over. Recursion leaves each frame once, so its
depth changes nothing. Time is linear in the length of the text, whose beginning and end are looked at: either may be the
innermost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from retrue.failures.frames import Frame, of_file
from retrue.failures.stack_lines import CAUSE, frame_of

LONGEST_STACK = 100_000  # characters looked at
LONGEST_LINE = 600
MOST_EXCEPTIONS = 20
MOST_FRAMES = 100

_CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_PYTHON_FRAME = re.compile(r'\s*File "(?P<path>[^"]+)", line \d+(?:, in (?P<function>.+))?$')
_PYTHON_ERROR = re.compile(r"(?P<type>[^\W\d][\w.<>]*)(?::.*)?$")
_GROUP_MARGIN = re.compile(r" *[|+] ")
_GROUP_BORDER = re.compile(r" *\+[-+]+(?: (?:\d+|\.\.\.) -+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One exception of a stack: its type, empty where the text does not say it, and its frames, outermost first, each once."""

    error_type: str
    frames: tuple[Frame, ...]


def exceptions(stack: str, *, in_app: Sequence[str] = ()) -> tuple[Raised, ...]:
    """Return the exceptions of a stack: the one that was recorded, then its causes; empty where no frame is found.

    The members of an exception group follow in an order of their own, equal ones once.

    >>> text = 'Traceback (most recent call last):\\n  File "/srv/app/features.py", line 7, in lookup\\nKeyError: 1'
    >>> [(each.error_type, each.frames[0].shown) for each in exceptions(text)]
    [('KeyError', 'app.features.lookup')]
    """
    lines, prefixes = _lines(stack), tuple(in_app)
    if any(_PYTHON_FRAME.match(_GROUP_MARGIN.sub("", line, count=1)) for line in lines):
        border = next((place for place, line in enumerate(lines) if _GROUP_BORDER.match(line)), len(lines))
        recorded = tuple(_python(lines[:border], prefixes))[::-1]
        members = {_identity(each): each for each in _python(lines[border:], prefixes)}
        found = (*recorded, *(members[key] for key in sorted(members)))
    else:
        found = tuple(_other(lines, prefixes))
    return found[:MOST_EXCEPTIONS]


def _lines(stack: str) -> list[str]:
    if len(stack) > LONGEST_STACK:
        stack = f"{stack[: LONGEST_STACK // 2]}\n{stack[-LONGEST_STACK // 2 :]}"
    return [_readable(line.rstrip()[:LONGEST_LINE]) for line in stack.splitlines()]


def _readable(line: str) -> str:
    return (
        line
        if line.isprintable()
        else "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in line)
    )


def _python(lines: Sequence[str], in_app: tuple[str, ...]) -> Iterator[Raised]:
    """Yield the exceptions in the order they are printed: causes first. One without frames is told by its neighbours."""
    frames: list[Frame | None] = []
    bare, ended = "", False
    for line in (*(_GROUP_MARGIN.sub("", each, count=1) for each in lines), _CHAINED[0]):
        frame, error = _PYTHON_FRAME.match(line), _PYTHON_ERROR.match(line)
        if frame:
            frames.append(of_file(frame["path"], frame["function"] or "", in_app))
            ended = False
        elif line in _CHAINED or _GROUP_BORDER.match(line):
            if frames or (bare and not ended):
                yield Raised(error_type="" if frames else bare, frames=_each_once(frames))
            frames, bare, ended = [], "", False
        elif error and frames:
            yield Raised(error_type=error["type"], frames=_each_once(frames))
            frames, ended = [], True
        elif error and not bare:
            bare = error["type"]


def _other(lines: Sequence[str], in_app: tuple[str, ...]) -> Iterator[Raised]:
    """Yield the exceptions of another runtime, the recorded one first, as they are printed; frames come innermost first."""
    error_type, frames, before = "", list[Frame | None](), ""
    for line in lines:
        cause = CAUSE.match(line)
        if cause:
            if frames:
                yield Raised(error_type=error_type, frames=_each_once(reversed(frames)))
            error_type, frames = cause["type"], []
        elif frame := frame_of(line, before, in_app):
            frames.append(frame)
        before = line
    if frames or error_type:
        yield Raised(error_type=error_type, frames=_each_once(reversed(frames)))


def _each_once(frames: Iterable[Frame | None]) -> tuple[Frame, ...]:
    """Return the frames in order, each only where it comes first; at most ``MOST_FRAMES``, those innermost."""
    return tuple({frame.key: frame for frame in frames if frame is not None}.values())[-MOST_FRAMES:]


def _identity(raised: Raised) -> tuple[str, ...]:
    return (raised.error_type, *(frame.key for frame in raised.frames))
