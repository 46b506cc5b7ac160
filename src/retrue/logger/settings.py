"""What a logger is told when it is made, checked once: afterwards nothing raises."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retrue.logger.disk import Disk
from retrue.logger.fields import Fields
from retrue.logger.intake import Queues
from retrue.logger.sampling import check_sample
from retrue.logger.spool_folder import check_root

SPOOL_BYTES_MIN: Final = 2**20
RESOURCES_SECONDS_MIN: Final = 0.1
TEXT_CHARACTERS_MAX: Final = 200
_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of `InferenceLogger`; see there."""

    model: str
    version: str
    to: Path
    fields: Fields
    sample: float
    endpoint: str | None
    queues: Queues
    spool_bytes: int
    resources_every: float | None
    clock: Callable[[], int]
    seed: int | None
    disk: Disk

    def __post_init__(self) -> None:
        _check_model(self.model)
        _check_text("version", self.version)
        if self.endpoint is not None:
            _check_text("endpoint", self.endpoint)
        if not isinstance(self.fields, Fields):
            raise TypeError(f"fields is a {type(self.fields).__name__}, give retrue.logger.Fields(keep=[…], …)")
        check_sample(self.sample)
        _check_least("spool_bytes", self.spool_bytes, SPOOL_BYTES_MIN)
        if self.resources_every is not None:
            _check_least("resources_every", self.resources_every, RESOURCES_SECONDS_MIN)
        if not callable(self.clock) or type(self.clock()) is not int:
            raise TypeError("clock is no function that returns whole nanoseconds since 1970, such as time.time_ns")
        for kind in ("labels", "resources"):
            check_root(self.to / kind, kind=kind, model=self.model)


def _check_model(model: object) -> None:
    if not isinstance(model, str) or not _MODEL.fullmatch(model) or ".." in model:
        raise ValueError(
            f"model {str(model)[:80]!r} refused: use 1-64 of a-z 0-9 . _ - , starting with a letter or digit"
        )


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_CHARACTERS_MAX:
        raise ValueError(f"{name} is {str(value)[:80]!r}: a text of 1 to {TEXT_CHARACTERS_MAX} characters is needed")


def _check_least(name: str, value: object, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < float("inf"):
        raise ValueError(f"{name} is {value!r}, a number from {least} on is needed")
