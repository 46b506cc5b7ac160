"""The call that is being served, so that a handler or a wrapped model finds it without being handed it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, cast

from retrue.logger.calls import Call

if TYPE_CHECKING:
    from retrue.logger.inference import InferenceLogger

_CURRENT: ContextVar[Call | None] = ContextVar("retrue_current_call", default=None)


def current_call() -> Call:
    """Return the call that the middleware observes in this request, also in the threads that it reaches.

    Elsewhere, such as in a handler's unit test, the answer is a call that takes everything and logs nothing.

    >>> current_call().predicted(1)
    """
    return _CURRENT.get() or _Unobserved()


def observed_call() -> Call | None:
    """Return the call that the middleware observes in this request; None elsewhere."""
    return _CURRENT.get()


@contextmanager
def served(call: Call) -> Iterator[Call]:
    """Make a call the current one."""
    token = _CURRENT.set(call)
    try:
        yield call
    finally:
        _CURRENT.reset(token)


class _Unobserved(Call):
    """A call of no logger."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(cast("InferenceLogger", None), {})

    @property
    def inference_id(self) -> str:
        return ""
