"""What may change a frozen baseline: people who are to be forgotten, and rows whose time is over.

A change is prepared whole beside the baseline (``.next-<version>``), then put in its place. Between the two its digest is
registered; whoever dies on the way leaves something from which the next one goes on. pyarrow is imported in functions.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from retrue.baselines import baseline_folder, check_baseline, read_baseline, reference_table, sync, write_baseline
from retrue.errors import BaselineError
from retrue.marginals import empty_columns, profile_of_marginals, with_marginals
from retrue.results import Baseline, Marginals
from retrue.windows import check_name

if TYPE_CHECKING:
    import pyarrow as pa

_NEXT, _LAST, _BUILDING = ".next-", ".last-", ".changing-"
_UNFINISHED = (_BUILDING, ".freezing-")  # folders of a process that died, or that is at it


def without_rows(folder: Path, model: str, version: str, gone: Callable[[str], bool]) -> Baseline | None:
    """Prepare a baseline without the reference rows of some inferences; None where it has none of them.

    Profile, thresholds, performance and what estimates need, which name nobody, stay as they were frozen; the digests are new.

    Args:
        folder: The project's ``baselines`` folder.
        gone: Whether an ``inference_id`` is one of those to be taken out.

    Raises:
        BaselineError: It is not there, or not as it was frozen.
    """
    import pyarrow as pa

    baseline, table = read_baseline(folder, model, version), reference_table(folder, model, version)
    if "inference_id" not in table.column_names:
        return None
    kept = [each is None or not gone(str(each)) for each in table["inference_id"].to_pylist()]
    return None if all(kept) else _prepare(folder, baseline, table.filter(pa.array(kept)))


def without_values(
    folder: Path,
    model: str,
    version: str,
    columns: Collection[str],
    *,
    nothing_of: Collection[str],
    reason: str,
    seed: int,
    now: datetime,
) -> Baseline:
    """Prepare a baseline of which these columns are marginals; see ``marginals.with_marginals``.

    Raises:
        BaselineError: It is not there, or not as it was frozen.
    """
    baseline, table = read_baseline(folder, model, version), reference_table(folder, model, version)
    aged = with_marginals(table, columns, nothing_of=nothing_of, seed=seed)
    before = baseline.marginals.columns if baseline.marginals else ()
    changed = tuple(name for name in aged.column_names if name in columns or name in before)
    marginals = Marginals(columns=changed, empty=empty_columns(aged, changed), made_at=now, reason=reason)
    profile = profile_of_marginals(baseline.profile, aged, columns)
    return _prepare(folder, replace(baseline, profile=profile, marginals=marginals), aged)


def prepared_changes(folder: Path, model: str) -> tuple[Baseline, ...]:
    """Return the changes that were prepared and not put in place, for whatever reason; one that is damaged is none."""
    found = (_sound(built) for built in sorted((folder / check_name(model)).glob(f"{_NEXT}*")))
    return tuple(each for each in found if each)


def put_change(folder: Path, model: str, version: str) -> None:
    """Put a prepared change in the place of the baseline, of which nothing is left then.

    Raises:
        BaselineError: Another process has put it in place meanwhile.
        NameRefusedError: Model or version could leave the folder.
    """
    place = baseline_folder(folder, model, version)
    prepared, before = place.with_name(_NEXT + version), place.with_name(_LAST + version)
    if place.exists():
        shutil.rmtree(before, ignore_errors=True)
        place.rename(before)
    try:
        prepared.rename(place)
    except FileNotFoundError as error:
        if before.exists():
            before.rename(place)
        raise BaselineError(f"{model} version {version} was changed by another process: do it again") from error
    sync(place.parent)
    shutil.rmtree(before, ignore_errors=True)


def remove_remains(folder: Path, model: str, *, before: datetime) -> None:
    """Remove what processes left that died while they changed baselines, or froze them before a time."""
    for path in _remains(folder / check_name(model), before):
        shutil.rmtree(path, ignore_errors=True)


def _remains(home: Path, before: datetime) -> Iterator[Path]:
    for path in sorted(home.glob(".*")):
        if path.is_symlink() or not path.is_dir():
            continue
        old = datetime.fromtimestamp(path.stat().st_mtime, UTC) < before
        replaced = path.name.startswith(_LAST) and (home / path.name.removeprefix(_LAST)).exists()
        damaged = path.name.startswith(_NEXT) and _sound(path) is None
        if replaced or damaged or (old and path.name.startswith(_UNFINISHED)):
            yield path


def _sound(built: Path) -> Baseline | None:
    try:
        return check_baseline(built, built.parent.name, built.name.removeprefix(_NEXT))
    except BaselineError:
        return None


def _prepare(folder: Path, baseline: Baseline, reference: pa.Table) -> Baseline:
    place = baseline_folder(folder, baseline.model, baseline.version)
    prepared = place.with_name(_NEXT + baseline.version)
    with tempfile.TemporaryDirectory(prefix=_BUILDING, dir=place.parent) as partial:
        built = Path(partial) / "baseline"
        changed = write_baseline(built, baseline, reference)
        shutil.rmtree(prepared, ignore_errors=True)
        built.rename(prepared)
        sync(place.parent)
    return changed
