"""The folders `.retrue/reports/<model>/<window>`: listed and removed. No link is followed out of them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from retrue.errors import NameRefusedError
from retrue.windows import check_name

_HALF_REMOVED = ".purging-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFolder:
    """A window's reports. ``half_removed``: a removal of it died on the way, nobody reads it any more."""

    path: Path
    written_at: datetime
    half_removed: bool


def report_folders(reports: Path, model: str) -> tuple[ReportFolder, ...]:
    """Return a model's report folders by name; links among them, which retrue never makes, are left out.

    Raises:
        NameRefusedError: The model's folder is a link, or its name could leave the reports.
    """
    home = _home(reports, model)
    if not home.is_dir():
        return ()
    with os.scandir(home) as entries:
        found = [
            ReportFolder(
                path=home / entry.name,
                written_at=datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC),
                half_removed=entry.name.startswith(_HALF_REMOVED),
            )
            for entry in entries
            if entry.is_dir(follow_symlinks=False)
        ]
    return tuple(sorted(found, key=lambda folder: folder.path.name))


def remove_report_folder(reports: Path, model: str, folder: ReportFolder) -> None:
    """Remove a folder that ``report_folders`` listed: out of sight at once, then file by file, so that it may die on the way.

    Raises:
        NameRefusedError: It does not lie directly in the model's folder.
        OSError: It cannot be removed.
    """
    home = _home(reports, model)
    if folder.path.parent != home or folder.path.is_symlink():
        raise NameRefusedError(f"{folder.path} does not lie in {home}: not removed")
    doomed = folder.path
    if not folder.half_removed:
        doomed = home / f"{_HALF_REMOVED}{folder.path.name}"
        shutil.rmtree(doomed, ignore_errors=True)  # one that another purge left there
        folder.path.rename(doomed)
    shutil.rmtree(doomed)


def _home(reports: Path, model: str) -> Path:
    home = reports / check_name(model)
    if reports.is_symlink() or home.is_symlink():
        raise NameRefusedError(f"{home} leads out of the project through a link: nothing in it is removed")
    return home
