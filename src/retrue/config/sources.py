"""Where logs and labels are, which columns count, and how time is cut into windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from retrue.config.base import Duration, Settings
from retrue.times import parse_time
from retrue.windows import Grid, Window


class LogSettings(Settings):
    """Where inference logs are: a folder of Parquet and JSON lines files."""

    uri: str
    format: Literal["retrue"] = "retrue"


class LabelSettings(Settings):
    """Where labels arrive and how long they may take; later ones no longer change a verdict."""

    uri: str
    horizon: Duration = timedelta(days=30)


class ColumnSettings(Settings):
    """Which columns are features, and what prediction and score are called in the log."""

    features: Literal["auto"] | tuple[str, ...] = "auto"
    prediction: str = "prediction"
    score: str | None = "score"
    ignore: tuple[str, ...] = ()


class WindowSettings(Settings):
    """How the time line is cut, and how many rows a window needs to be judged."""

    every: Duration = timedelta(days=1)
    settle: Duration = timedelta(hours=2)
    min_rows: int = Field(default=500, ge=1)
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _on_a_grid(self) -> Self:
        self.grid  # noqa: B018 - builds the grid, which checks length and zone
        return self

    @property
    def grid(self) -> Grid:
        try:
            return Grid(every=self.every, zone=self.timezone)
        except KeyError as error:
            raise ValueError(f"unknown timezone {self.timezone!r}") from error

    def window_ending(self, model: str, end: datetime | str | None, *, now: datetime) -> Window:
        """Return the window that ends at a time, the newest one that has settled by default.

        Raises:
            ValueError: No window ends there, or the text is no time.
        """
        if end is None:
            return self.grid.latest(model, now=now, settle=self.settle)
        at = parse_time(end) if isinstance(end, str) else end
        return self.grid.window_ending(model, at if at.tzinfo else at.replace(tzinfo=UTC))
