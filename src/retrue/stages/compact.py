"""Turn what a model's logger has sealed into Parquet files, so that windows are read fast and the spool stays small."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retrue.config import LabelSettings, LogSettings, Project, WindowSettings
from retrue.errors import SourceError
from retrue.sources.compaction import Compacted, Cut, compact_spool, spool_roots, utc_day
from retrue.sources.listing import source_folder

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def compact(project: Project, model: str) -> Compacted:
    """Compact the spools in a model's folders of logs and labels; where there is nothing to do, nothing is done.

    A folder that cannot be written to stays as it is: segments are read as they lie.
    """
    settings = project.model(model)
    cut = window_cut(settings.window)
    done = Compacted()
    for root in sorted({root for each in (settings.logs, settings.labels) for root in _roots(each, project.root)}):
        try:
            done += compact_spool(root, cut=cut) or Compacted()
        except OSError as error:
            log.warning("a log of %s could not be compacted (%s)", model, type(error).__name__)
    if done.segments:
        log.info("%s: %d segments became %d Parquet files", model, done.segments, done.files)
    return done


def window_cut(settings: WindowSettings) -> Cut:
    """Return the borders of Parquet files: those of days and of windows, so that a window reads whole files."""
    grid = settings.grid
    if settings.timezone == "UTC" and not settings.every % timedelta(days=1):
        return utc_day

    def cut(at: int) -> int:
        border = grid.floor(_EPOCH + timedelta(microseconds=at // 1000))
        return max(utc_day(at), (border - _EPOCH) // _MICROSECOND * 1000)

    return cut


def _roots(source: LogSettings | LabelSettings | None, root: Path) -> Iterator[Path]:
    if source is None or source.format != "retrue":
        return
    try:
        yield from spool_roots(source_folder(source.uri, root))
    except SourceError:  # elsewhere than in a folder: whoever reads it says so
        return
