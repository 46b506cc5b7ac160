"""What every block of retrue.yaml shares: frozen settings, and the types of their values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from retrue.times import parse_duration

Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Base of every block: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint naming the known word closest to this one, or nothing if none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def function_name(text: str) -> str:
    """Return a name as ``module:function``.

    Raises:
        ValueError: It is written otherwise.
    """
    if not re.fullmatch(r"[\w.]+:\w+", text):
        raise ValueError(f"write it as module:function, not {text!r}")
    return text
