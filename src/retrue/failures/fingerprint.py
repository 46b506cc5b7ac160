"""What makes two failures the same: a function of the one failure alone, so that ids never depend on order or time. Pure.

The id is made of the type of the exception, the types of its causes, the in-app frames of all of them, and the message
without its values. Where no frame is in-app the innermost frames of the libraries stand in; where there is no stack, type
and message are all there is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from retrue.failures.frames import Frame
from retrue.failures.messages import one_line, template, without_names
from retrue.failures.stacks import Raised, exceptions

EDITION = 1  # raised when the rules change in a way that changes ids
LIBRARY_FRAMES = 8
LONGEST_TITLE = 160
MOST_TOLD = 5
_REDACTED = re.compile(r"<\w{1,20}, \d{1,9} characters>")  # what the logger leaves of a message that it does not keep
_ANSWERED = re.compile(r"http [1-5]\d\d")  # what the middleware says of a rejected request: no value but the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One way of failing as it was recorded; how often it happened stays with the caller."""

    error_type: str
    message: str
    stack: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What failures of one group share, and why they are one group.

    ``id`` is 12 hexadecimal digits; ``message`` is a template without values; ``frames`` is the in-app part of the stack,
    outermost first, each ``module.function``: or the innermost frames of libraries, where no frame is in-app.
    """

    id: str
    title: str
    error_type: str
    message: str
    frames: tuple[str, ...]
    reasons: tuple[str, ...]


def fingerprint(failure: Failure, *, in_app: Sequence[str] = ()) -> Fingerprint:
    """Return the fingerprint of one failure.

    Args:
        failure: Its texts, as long and as strange as they may be.
        in_app: Dotted modules, or folders, whose frames are in-app even where they look like a library's.

    >>> stack = 'Traceback (most recent call last):\\n  File "/srv/app/features.py", line 7, in lookup\\nKeyError: 1'
    >>> found = fingerprint(Failure(error_type="KeyError", message="no weather for 'EWR'", stack=stack, status="error"))
    >>> found.title
    'KeyError in app.features.lookup: no weather for <*>'
    """
    raised = exceptions(failure.stack, in_app=in_app)
    frames = _telling(raised)
    in_own_code = any(_tells(frame) for each in frames for frame in each)
    message = failure.message.strip()
    if not _ANSWERED.fullmatch(message):
        message = "" if _REDACTED.fullmatch(message) else template(message)
    grounds = _Grounds(
        error_type=_type_of(failure, raised),
        status=one_line(failure.status),
        causes=tuple(one_line(each.error_type) for each in raised[1:]),
        frames=frames,
        in_app=in_own_code,
        message=without_names(message) if in_own_code else message,
    )
    return Fingerprint(
        id=grounds.digest(),
        title=grounds.title(),
        error_type=grounds.error_type,
        message=grounds.message,
        frames=grounds.shown(),
        reasons=tuple(grounds.reasons()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grounds:
    """What an id is made of. ``status`` counts only where no type is known."""

    error_type: str
    status: str
    causes: tuple[str, ...]
    frames: Sequence[Sequence[Frame]]
    in_app: bool
    message: str

    @property
    def kind(self) -> str:
        return self.error_type or self.status

    def digest(self) -> str:
        keys = [[frame.key for frame in frames] for frames in self.frames]
        told = json.dumps([EDITION, self.kind, self.causes, keys, self.message])
        return sha256(told.encode()).hexdigest()[:12]

    def shown(self) -> tuple[str, ...]:
        """Return the frames of the recorded exception, or where it has none to tell those of its nearest cause."""
        return next((tuple(frame.shown for frame in frames) for frames in self.frames if frames), ())

    def title(self) -> str:
        frames = self.shown()
        kind = self.error_type or ("" if self.message else self.status)
        place = " in ".join(filter(None, (kind, frames[-1] if frames else "")))
        title = ": ".join(filter(None, (place, self.message)))
        return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"

    def reasons(self) -> Iterator[str]:
        """Yield in words what failures of this group share; innermost frames come first here."""
        if self.kind:
            yield f"same exception type {self.error_type}" if self.error_type else f"same status {self.status}"
        if any(self.causes):
            yield f"same causes {' < '.join(filter(None, self.causes[:MOST_TOLD]))}"
        if frames := self.shown():
            told = [*reversed(frames)][:MOST_TOLD]
            more = f" and {len(frames) - MOST_TOLD} more" if len(frames) > MOST_TOLD else ""
            where = "in-app frames" if self.in_app else "innermost library frames, as none is in-app:"
            yield f"same {where} {' < '.join(told)}{more}"
        if self.message:
            yield f"same message '{self.message}'"


def _type_of(failure: Failure, raised: Sequence[Raised]) -> str:
    named = failure.error_type or (raised[0].error_type if raised else "")
    return one_line(named).removeprefix("builtins.")


def _telling(raised: Sequence[Raised]) -> list[tuple[Frame, ...]]:
    """Return the frames of each exception that tell the failure: the in-app ones, or where none tells the innermost."""
    in_app = [tuple(frame for frame in each.frames if frame.in_app) for each in raised]
    if any(_tells(frame) for frames in in_app for frame in frames):
        return in_app
    return [_innermost(each.frames) for each in raised]


def _tells(frame: Frame) -> bool:
    return frame.in_app and frame.named


def _innermost(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    calling = [frame for frame in frames if not frame.wrapper] or frames
    return tuple(calling[-LIBRARY_FRAMES:])
