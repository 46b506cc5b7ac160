"""Frozen baselines: what a model version is compared with, under ``baselines/<model>/<version>/``.

``reference.parquet`` holds rows, ``baseline.json`` everything else, with the digest of both; a baseline never changes
once written, but for the sake of people (``baseline_changes``). pandas, pyarrow and pydantic's type adapters are imported or built in functions.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrue.errors import BaselineError, NameRefusedError
from retrue.results import (
    Baseline,
    DomainNull,
    DriftCalibration,
    Estimation,
    Profile,
    Provenance,
    RealisedPerformance,
    Reliance,
    TextProfile,
)
from retrue.windows import check_name

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pydantic import TypeAdapter

log = logging.getLogger(__name__)

SCHEMA = 2
SCHEMAS_READ = (1, SCHEMA)  # 1 had no calibration
REFERENCE = "reference.parquet"
DESCRIPTION = "baseline.json"
REFERENCE_ROWS_MAX = 100_000  # five samples of the default size; the profile is of all rows anyway
BASELINE_BYTES_MAX = 100_000_000
_LATER = frozenset({"marginals", "estimation", "reliance", "calibration", "domain", "texts"})
"""Fields that baselines frozen before them do not have: absent where they are empty, or those would have another digest."""
_UNFROZEN = datetime(1970, 1, 1, tzinfo=UTC)


def freeze_baseline(
    folder: Path,
    model: str,
    version: str,
    *,
    reference: pd.DataFrame | Path,
    profile: Profile,
    thresholds: Mapping[str, tuple[str, float]],
    performance: RealisedPerformance | None,
    provenance: Provenance,
    estimation: Estimation | None = None,
    reliance: Reliance | None = None,
    calibration: DriftCalibration | None = None,
    domain: DomainNull | None = None,
    texts: Mapping[str, TextProfile] | None = None,
    seed: int = 0,
) -> Baseline:
    """Write the baseline of a model version, all of it or nothing, and return it.

    Writing the same again, whenever, changes nothing and returns what is there.

    Args:
        folder: The project's ``baselines`` folder.
        reference: Rows as the window's view has them (fields, features under bare names, label), or a Parquet file of
            such rows; of more than 100,000 a seeded sample is kept.
        profile: Of all reference rows, with categories.

    Raises:
        BaselineError: Another baseline of this version is there, or a value is no finite number.
        NameRefusedError: Model or version could leave the folder.
    """
    place = baseline_folder(folder, model, version)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".freezing-", dir=place.parent) as partial:
        given = Baseline(
            model=model,
            version=version,
            profile=profile,
            thresholds=thresholds,
            performance=performance,
            provenance=provenance,
            reference_digest="",
            estimation=estimation,
            reliance=reliance,
            calibration=calibration,
            domain=domain,
            texts=texts or {},
        )
        built = Path(partial) / "baseline"
        baseline = write_baseline(built, given, _reference_table(reference, seed))
        return _put(built, place, baseline, folder)


def read_baseline(folder: Path, model: str, version: str) -> Baseline:
    """Return a frozen baseline after checking both of its digests.

    Raises:
        BaselineError: It is not there, or not as it was frozen.
        NameRefusedError: Model or version could leave the folder.
    """
    return check_baseline(baseline_folder(folder, model, version), model, version)


def check_baseline(place: Path, model: str, version: str) -> Baseline:
    """Return the baseline of a version that lies in a folder, after checking both of its digests.

    Raises:
        BaselineError: It is not there, or not as it was written.
    """
    try:
        baseline = _parse((place / DESCRIPTION).read_bytes(), place)
        found = _file_digest(place / REFERENCE)
    except FileNotFoundError as error:
        raise BaselineError(
            f"version {version} of {model} has no baseline (no {Path(error.filename).name}): run `retrue baseline {model}`"
        ) from error
    except OSError as error:
        raise BaselineError(f"the baseline of {model} version {version} cannot be read: {error.strerror}") from error
    if (baseline.model, baseline.version) != (model, version):
        raise _damaged(place, f"it is that of {baseline.model} version {baseline.version}")
    if found != baseline.reference_digest:
        raise _damaged(place, f"{REFERENCE} has other bytes than were frozen")
    return baseline


def read_reference(folder: Path, model: str, version: str, *, columns: list[str] | None = None) -> pd.DataFrame:
    """Return the frozen rows, or some of their columns; ``read_baseline`` is what checks their digest.

    Raises:
        BaselineError: They are not there or cannot be read.
    """
    frame: pd.DataFrame = reference_table(folder, model, version, columns=columns).to_pandas()
    return frame


def reference_table(folder: Path, model: str, version: str, *, columns: list[str] | None = None) -> pa.Table:
    """Return the same with the types that they have in the file.

    Raises:
        BaselineError: They are not there or cannot be read.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    path = baseline_folder(folder, model, version) / REFERENCE
    try:
        return parquet.read_table(path, columns=columns, partitioning=None, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise BaselineError(f"version {version} of {model} has no baseline: run `retrue baseline {model}`") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise _damaged(path.parent, f"{REFERENCE} cannot be read: {error}") from error


def reference_columns(folder: Path, model: str, version: str) -> tuple[str, ...]:
    """Return the names of the columns of the frozen rows.

    Raises:
        BaselineError: They are not there or cannot be read.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    path = reference_path(folder, model, version)
    try:
        return tuple(parquet.read_schema(path).names)
    except (OSError, pyarrow.ArrowException) as error:
        raise _damaged(path.parent, f"{REFERENCE} cannot be read: {error}") from error


def reference_path(folder: Path, model: str, version: str) -> Path:
    """Return where the frozen rows of a version lie, whether or not they are there.

    Raises:
        NameRefusedError: Model or version could leave the folder.
    """
    return baseline_folder(folder, model, version) / REFERENCE


def baseline_folder(folder: Path, model: str, version: str) -> Path:
    """Return where the files of a version's baseline lie, whether or not they are there.

    Raises:
        NameRefusedError: Model or version could leave the folder.
    """
    check_name(model)
    check_name(version)
    place = folder / model / version
    if not place.resolve().is_relative_to(folder.resolve()):
        raise NameRefusedError(f"{model}/{version} leads out of {folder.name}/ through a link")
    return place


def baseline_versions(folder: Path, model: str) -> tuple[str, ...]:
    """Return the versions of a model that have a baseline, oldest first: numbers by value, others by name before them."""
    home = folder / check_name(model)
    names = [path.parent.name for path in home.glob(f"*/{DESCRIPTION}") if not path.parent.name.startswith(".")]
    return tuple(sorted(names, key=lambda name: (int(name) if name.isdecimal() else -1, name)))


def write_baseline(built: Path, baseline: Baseline, reference: pa.Table) -> Baseline:
    """Write a baseline into a new folder, on the disk for certain, and return it with its digests.

    Raises:
        BaselineError: A value is no finite number.
    """
    import pyarrow.parquet as parquet

    built.mkdir()
    parquet.write_table(reference, built / REFERENCE, compression="zstd", write_page_checksum=True)
    sync(built / REFERENCE)
    given = replace(baseline, reference_digest=_file_digest(built / REFERENCE), digest="")
    digested = _digested(_as_read(given))
    _write_durably(built / DESCRIPTION, _document(digested))
    sync(built)
    return digested


def sync(path: Path) -> None:
    """Have the kernel write a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reference_table(reference: pd.DataFrame | Path, seed: int) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    if isinstance(reference, Path):
        table = parquet.read_table(reference, partitioning=None)
    else:
        table = pa.Table.from_pandas(reference, preserve_index=False)
    if not table.num_rows:
        raise BaselineError("a baseline needs rows: the reference has none")
    return table.take(_sample(table.num_rows, seed)) if table.num_rows > REFERENCE_ROWS_MAX else table


def _sample(rows: int, seed: int) -> Any:
    import numpy as np

    return np.sort(np.random.default_rng(seed).choice(rows, REFERENCE_ROWS_MAX, replace=False))


def _put(built: Path, place: Path, baseline: Baseline, folder: Path) -> Baseline:
    """Move a built baseline to its place, or return the one that is there if it says the same."""
    if not place.exists():
        try:
            built.rename(place)
        except OSError:  # another run was first
            log.info("the baseline of %s version %s was frozen meanwhile", baseline.model, baseline.version)
        else:
            sync(place.parent)
            return baseline
    found = read_baseline(folder, baseline.model, baseline.version)
    if _unfrozen(found) not in (_unfrozen(baseline), _older(_unfrozen(baseline))):
        raise BaselineError(
            f"version {baseline.version} of {baseline.model} has another baseline already; a baseline never changes. "
            f"Remove {folder.name}/{baseline.model}/{baseline.version} if it is wrong, or register a new version"
        )
    return found


def _unfrozen(baseline: Baseline) -> Baseline:
    """The baseline without the time it was frozen and what depends on it: its digest, and the history that widened thresholds."""
    calibrated = baseline.calibration.columns if baseline.calibration else {}
    return replace(
        baseline,
        provenance=replace(baseline.provenance, frozen_at=_UNFROZEN),
        digest="",
        calibration=None,
        thresholds={name: each for name, each in baseline.thresholds.items() if name not in calibrated},
    )


def _older(baseline: Baseline) -> Baseline:
    """The baseline as a retrue wrote it that did not know the later fields."""
    return replace(baseline, reliance=None)


@cache
def _adapter() -> TypeAdapter[Baseline]:
    from pydantic import TypeAdapter

    return TypeAdapter(Baseline)


def _values(baseline: Baseline) -> dict[str, Any]:
    """The baseline's fields; what baselines did not always have is left out where it is absent, so that old digests hold."""
    values: dict[str, Any] = _adapter().dump_python(baseline, warnings=False)
    return {name: value for name, value in values.items() if name not in _LATER or value not in (None, {})}


def _canonical(values: Mapping[str, Any]) -> bytes:
    """JSON with every float as its shortest exact text; order of keys as given, since that of columns means something."""
    try:
        text = json.dumps(values, allow_nan=False, ensure_ascii=False, indent=1, default=_text)
    except ValueError as error:
        raise BaselineError(
            "a baseline holds finite numbers only: a threshold, quantile or metric is NaN or infinite"
        ) from error
    return text.encode("utf-8", "surrogatepass")


def _text(value: object) -> str | int:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Integral):  # numpy's
        return int(value)
    raise TypeError(f"{type(value).__name__} has no JSON form in a baseline")


def _as_read(baseline: Baseline) -> Baseline:
    """The baseline as a reader will have it: 3 and numpy's 3 become the 3.0 of a field that holds floats."""
    return _adapter().validate_python(json.loads(_canonical(_values(baseline))))


def _digested(baseline: Baseline) -> Baseline:
    content = _canonical({**_values(baseline), "digest": ""})
    return replace(baseline, digest=hashlib.sha256(content).hexdigest())


def _document(baseline: Baseline) -> bytes:
    return _canonical({"schema": SCHEMA, **_values(baseline)}) + b"\n"


def _parse(content: bytes, place: Path) -> Baseline:
    try:
        values = json.loads(content[:BASELINE_BYTES_MAX])
        schema = values.pop("schema")
        if schema not in SCHEMAS_READ:
            raise BaselineError(f"{place.name}/{DESCRIPTION} has schema {schema!r}; this retrue reads up to {SCHEMA}")
        baseline = _adapter().validate_python(values)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise _damaged(place, f"{DESCRIPTION} is no baseline: {type(error).__name__}") from error
    if _digested(baseline).digest != baseline.digest:
        raise _damaged(place, f"{DESCRIPTION} was changed")
    return baseline


def _damaged(place: Path, why: str) -> BaselineError:
    return BaselineError(
        f"the baseline of {place.parent.name} version {place.name} is not as it was frozen: {why}. "
        "Restore its folder from version control or from MLflow (the version's run, baseline/)"
    )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_durably(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    sync(path)
