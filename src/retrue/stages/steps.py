"""How a stage's steps are run: plainly here, as tasks inside a flow run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Step(Protocol):
    """Runs one named piece of work and returns its value, so that a flow can show each piece by name."""

    def __call__(self, name: str, work: Callable[[], T]) -> T: ...


def directly(name: str, work: Callable[[], T]) -> T:
    """Run the work with nothing around it, as the CLI does."""
    return work()
