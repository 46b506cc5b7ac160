"""What is kept of an exception: its type, its message for the policy, and where it was raised; no locals.

Taken in the host's thread, since a traceback holds every local variable of its frames for as long as it lives; written out
as text by the drain. Paths lose what lies outside the project, the installed packages and the standard library, so that
no home directory is written.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from types import CodeType, FunctionType, TracebackType
from typing import Final

from retrue.logger.messages import Raised
from retrue.logger.shapes import type_name

FRAMES_FIRST: Final = 4
FRAMES_LAST: Final = 20
CAUSES_MAX: Final = 5
WALKED_MAX: Final = 10_000
"""Frames of a runaway recursion that are counted before the walk is given up."""
STACK_CHARACTERS_MAX: Final = 3_800
CAUSED: Final = "\nThe above exception was the direct cause of the following exception:\n"
DURING: Final = "\nDuring handling of the above exception, another exception occurred:\n"
HEADING: Final = "Traceback (most recent call last):"

_MESSAGE_CHARACTERS = 200  # what a message is taken to need of the stack's length
_ARGUMENTS_DEPTH = 3
_PLAIN = frozenset({str, bytes, int, float, bool, complex, type(None)})
_PACKAGES = ("/site-packages/", "/dist-packages/")
_STDLIB = os.path.dirname(os.__file__).replace(os.sep, "/") + "/"  # noqa: PTH120 - as code objects spell it
_TIMEOUT_NAMES = ("Timeout", "TimedOut", "DeadlineExceeded", "CancelledError")

Frame = tuple[CodeType, int]
"""The code and the line number."""
Site = tuple[type, CodeType | None, int]
"""What failures are told apart by without reading their messages: the type, and the code and line that raised."""
OTHER_SITE: Final = (BaseException, None, 0)
"""Of failures without an exception, and of those beyond the places that are counted apart."""


class Failure:
    """One exception as it was raised, and what led to it."""

    __slots__ = ("cause", "frames", "link", "raised", "skipped")

    def __init__(self, error: BaseException) -> None:
        self.frames, self.skipped, lasti = _frames(error.__traceback__)
        code = self.frames[-1][0] if self.frames else None
        self.raised = _raised(error, code, lasti)
        self.cause: Failure | None = None
        self.link = ""

    @property
    def site(self) -> Site:
        """Return what tells this failure from others."""
        code, line = self.frames[-1] if self.frames else (None, 0)
        return self.raised.kind, code, line


def failure_of(error: BaseException) -> Failure:
    """Return what is kept of an exception and of at most five that led to it."""
    first = last = Failure(error)
    seen = {id(error)}
    for _ in range(CAUSES_MAX):
        before, link = _before(error)
        if before is None or id(before) in seen:
            break
        seen.add(id(before))
        last.cause, last.link = Failure(before), link
        last, error = last.cause, before
    return first


def is_timeout(kind: type) -> bool:
    """Return whether a class of exceptions means that an answer came too late or is no longer waited for.

    True of `TimeoutError`, of a cancelled task (its caller went away, or a deadline passed), and of the classes of other
    packages that say so by their name or a base's.

    >>> is_timeout(TimeoutError), is_timeout(type("ReadTimeout", (OSError,), {})), is_timeout(ValueError)
    (True, True, False)
    """
    return any(base is TimeoutError or any(part in base.__name__ for part in _TIMEOUT_NAMES) for base in kind.__mro__)


def stack_lines(failure: Failure) -> list[str | Raised]:
    """Return the traceback as Python prints it, causes first, without source lines.

    A `Raised` stands where the type and message belong, for the policy to write. Where the whole would be too long the
    earliest lines are left out.
    """
    lines = list(_lines(failure))
    room, kept = STACK_CHARACTERS_MAX, 0
    for line in reversed(lines):
        room -= len(line) + 1 if isinstance(line, str) else _MESSAGE_CHARACTERS
        if room < 0:
            break
        kept += 1
    return lines[-kept:] if kept else []


def site_text(site: Site) -> str:
    """Return a failure's type and place in one line.

    >>> site_text((ValueError, None, 0))
    'ValueError'
    """
    kind, code, line = site
    return type_name(kind) + (f" at {short_path(code.co_filename)}:{line} in {code.co_name}" if code else "")


@lru_cache(maxsize=2_048)
def short_path(path: str) -> str:
    """Return a source file's path from the project, `site-packages` or `lib/python3.x` on; of others only the name."""
    path = path.replace("\\", "/")
    if path.startswith("<"):
        return path
    for marker in _PACKAGES:
        if marker in path:
            return marker[1:] + path.rpartition(marker)[2]
    if path.startswith(_STDLIB):
        return f"lib/python{sys.version_info.major}.{sys.version_info.minor}/" + path.removeprefix(_STDLIB)
    inside = [root for root in _roots() if path.startswith(root)]
    return path.removeprefix(max(inside, key=len)) if inside else path.rpartition("/")[2]


def _roots() -> Iterator[str]:
    """Folders that programs are imported from, as code objects spell them."""
    for entry in sys.path:
        root = os.path.abspath(entry).replace("\\", "/")  # noqa: PTH100 - as code objects spell it
        if root != "/":
            yield root + "/"


def _before(error: BaseException) -> tuple[BaseException | None, str]:
    if error.__cause__ is not None:
        return error.__cause__, CAUSED
    if isinstance(error, BaseExceptionGroup) and error.exceptions:
        return error.exceptions[0], CAUSED
    return (None if error.__suppress_context__ else error.__context__), DURING


def _raised(error: BaseException, code: CodeType | None, lasti: int) -> Raised:
    """Take the message, unless printing it would run code of values that the exception was given."""
    kind = type(error)
    own = isinstance(kind.__str__, FunctionType) or isinstance(error, BaseExceptionGroup)
    if own or _is_plain(error, _ARGUMENTS_DEPTH):
        return Raised.of(error, code, lasti)
    return Raised(kind, f"<unprintable {type_name(kind)}>", code, lasti)


def _is_plain(error: BaseException, depth: int) -> bool:
    arguments = BaseException.args.__get__(error)  # type: ignore[attr-defined]  # a subclass may name something else so
    return all(
        type(each) in _PLAIN or (depth > 0 and isinstance(each, BaseException) and _is_plain(each, depth - 1))
        for each in arguments
    )


def _frames(traceback: TracebackType | None) -> tuple[list[Frame], int, int]:
    """Return the outermost and innermost frames, how many lie between, and the last instruction of the innermost."""
    walk = _walk(traceback)
    first = list(islice(walk, FRAMES_FIRST))
    last: deque[tuple[CodeType, int, int]] = deque(maxlen=FRAMES_LAST)
    count = 0
    for frame in walk:
        last.append(frame)
        count += 1
    frames = [*first, *last]
    return [(code, line) for code, line, _ in frames], count - len(last), frames[-1][2] if frames else -1


def _walk(traceback: TracebackType | None) -> Iterator[tuple[CodeType, int, int]]:
    for _ in range(WALKED_MAX):
        if traceback is None:
            return
        yield traceback.tb_frame.f_code, traceback.tb_lineno, traceback.tb_lasti
        traceback = traceback.tb_next


def _lines(failure: Failure) -> Iterator[str | Raised]:
    chain = [failure]
    while (cause := chain[-1].cause) is not None:
        chain.append(cause)
    for place, each in enumerate(reversed(chain)):
        if place:
            yield each.link
        if each.frames:
            yield HEADING
        for number, (code, line) in enumerate(each.frames):
            if number == FRAMES_FIRST and each.skipped:
                yield f"  [{each.skipped} frames left out]"
            yield f'  File "{short_path(code.co_filename)}", line {line}, in {code.co_name}'
        yield each.raised
