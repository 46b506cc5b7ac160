"""Frozen baselines: exact round trips, written whole or not at all, never changed, never outside their folder."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.baselines import (
    REFERENCE_ROWS_MAX,
    baseline_versions,
    freeze_baseline,
    read_baseline,
    read_reference,
    reference_path,
)
from retrue.errors import BaselineError, NameRefusedError
from retrue.results import (
    Baseline,
    ColumnCalibration,
    ColumnKind,
    ColumnProfile,
    DriftCalibration,
    Interval,
    Profile,
    Provenance,
    RealisedPerformance,
    Reliance,
)

FROZEN = datetime(2013, 4, 1, 12, 30, tzinfo=UTC)
ROWS = pd.DataFrame({"distance": [0.1, 2.5, float("nan")], "carrier": ["AA", "B6", None], "label": [0, 1, 0]})


def profile(minimum: float = 0.1, name: str = "distance") -> Profile:
    number = ColumnProfile(
        name=name, kind=ColumnKind.NUMBER, type="float64", rows=3, nulls=1, null_share=1 / 3,
        minimum=minimum, maximum=2.5, mean=1.3, sd=1.2, quantiles=((0.5, 1.3), (0.9, 2.26)), distinct=2,
    )  # fmt: skip
    text = ColumnProfile(
        name="carrier", kind=ColumnKind.TEXT, type="string", rows=3, nulls=1, null_share=1 / 3, distinct=2,
        categories={"AA": 0.5, "B6": 0.5},
    )  # fmt: skip
    return Profile(rows=3, columns={name: number, "carrier": text})


def freeze(folder: Path, version: str = "1", *, frozen_at: datetime = FROZEN, **changed: object) -> Baseline:
    interval = Interval(value=0.66, low=0.64, high=0.68)
    arguments: dict[str, object] = {
        "reference": ROWS,
        "profile": profile(),
        "thresholds": {"distance": ("wasserstein", 0.1), "carrier": ("jensenshannon", 0.1)},
        "performance": RealisedPerformance(
            metric="roc_auc", metrics={"roc_auc": interval}, labelled_rows=3, coverage_share=1.0
        ),
        "provenance": Provenance(
            source="logs", start=FROZEN - timedelta(days=90), end=FROZEN, rows=3, frozen_at=frozen_at
        ),
    }
    return freeze_baseline(folder, "flight-delay", version, **(arguments | changed))  # type: ignore[arg-type]


def test_a_baseline_reads_back_equal_with_its_rows(tmp_path: Path) -> None:
    frozen = freeze(tmp_path)
    assert read_baseline(tmp_path, "flight-delay", "1") == frozen
    assert frozen.thresholds["distance"] == ("wasserstein", 0.1)
    pd.testing.assert_frame_equal(read_reference(tmp_path, "flight-delay", "1"), ROWS)
    assert list(read_reference(tmp_path, "flight-delay", "1", columns=["label"])) == ["label"]


@given(minimum=st.floats(allow_nan=False, allow_infinity=False), name=st.text(max_size=20).filter("carrier".__ne__))
def test_every_finite_number_and_every_name_survives_exactly(
    tmp_path_factory: pytest.TempPathFactory, minimum: float, name: str
) -> None:
    folder = tmp_path_factory.mktemp("baselines")
    freeze(folder, profile=profile(minimum, name))
    assert read_baseline(folder, "flight-delay", "1").profile.columns[name].minimum == minimum


def test_integers_and_numpy_numbers_freeze_as_the_floats_they_mean(tmp_path: Path) -> None:
    counted = Profile(
        rows=np.int64(3),  # type: ignore[arg-type]
        columns={
            "n": ColumnProfile(
                name="n", kind=ColumnKind.NUMBER, type="int64", rows=3, nulls=0, null_share=0, minimum=np.float64(3)
            )
        },
    )
    frozen = freeze(tmp_path, profile=counted)
    assert read_baseline(tmp_path, "flight-delay", "1") == frozen
    assert frozen.profile.columns["n"].minimum == 3.0


def test_freezing_the_same_later_keeps_what_is_there(tmp_path: Path) -> None:
    first = freeze(tmp_path)
    assert freeze(tmp_path, frozen_at=FROZEN + timedelta(days=1)) == first


def test_another_baseline_of_the_same_version_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    first = freeze(tmp_path)
    with pytest.raises(BaselineError, match="never changes"):
        freeze(tmp_path, thresholds={"distance": ("wasserstein", 0.2)})
    with pytest.raises(BaselineError, match="never changes"):
        freeze(tmp_path, reference=ROWS.head(2))
    assert read_baseline(tmp_path, "flight-delay", "1") == first


def test_a_failed_freeze_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="finite"):
        freeze(tmp_path, thresholds={"distance": ("wasserstein", float("inf"))})
    with pytest.raises(BaselineError, match="has none"):
        freeze(tmp_path, reference=ROWS.head(0))
    assert list((tmp_path / "flight-delay").iterdir()) == []


def test_a_missing_baseline_says_what_to_run(tmp_path: Path) -> None:
    for read in (read_baseline, read_reference):
        with pytest.raises(BaselineError, match="retrue baseline flight-delay"):
            read(tmp_path, "flight-delay", "7")


@pytest.mark.parametrize("edit", ["row", "threshold", "digest", "truncated", "schema", "moved"])
def test_a_tampered_baseline_is_refused(tmp_path: Path, edit: str) -> None:
    freeze(tmp_path)
    place = tmp_path / "flight-delay" / "1"
    text = (place / "baseline.json").read_text()
    if edit == "row":
        ROWS.assign(label=1).to_parquet(place / "reference.parquet")
    elif edit == "threshold":
        (place / "baseline.json").write_text(text.replace("0.1", "0.9", 1))
    elif edit == "digest":
        document = json.loads(text)
        (place / "baseline.json").write_text(json.dumps(document | {"reference_digest": "0" * 64}))
    elif edit == "truncated":
        (place / "baseline.json").write_text(text[: len(text) // 2])
    elif edit == "schema":
        (place / "baseline.json").write_text(text.replace('"schema": 2', '"schema": 3'))
    else:
        place.rename(place.with_name("2"))
    with pytest.raises(BaselineError):
        read_baseline(tmp_path, "flight-delay", "2" if edit == "moved" else "1")


@pytest.mark.parametrize("version", ["../1", "..", "", "a/b", ".hidden", "1\n"])
def test_a_version_that_could_leave_its_folder_is_refused(tmp_path: Path, version: str) -> None:
    for act in (lambda: freeze(tmp_path, version), lambda: read_baseline(tmp_path, "flight-delay", version)):
        with pytest.raises(NameRefusedError):
            act()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "flight-delay").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NameRefusedError, match="link"):
        freeze(tmp_path / "baselines")


def test_more_rows_than_the_bound_are_sampled_in_order_and_the_same_each_time(tmp_path: Path) -> None:
    many = pd.DataFrame({"n": range(REFERENCE_ROWS_MAX + 500)})
    many.to_parquet(tmp_path / "many.parquet")
    first = freeze(tmp_path / "a", reference=many)
    again = freeze(tmp_path / "b", reference=tmp_path / "many.parquet")
    kept = read_reference(tmp_path / "a", "flight-delay", "1")
    assert len(kept) == REFERENCE_ROWS_MAX
    assert kept["n"].is_monotonic_increasing
    assert kept.equals(read_reference(tmp_path / "b", "flight-delay", "1"))
    assert first.profile == again.profile


def test_a_flipped_byte_in_the_rows_is_noticed_even_without_the_digest(tmp_path: Path) -> None:
    freeze(tmp_path, reference=pd.DataFrame({"n": np.random.default_rng(0).normal(size=2000)}))
    path = reference_path(tmp_path, "flight-delay", "1")
    start = parquet.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start + 2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=r"reference\.parquet"):
        read_reference(tmp_path, "flight-delay", "1")


def test_versions_are_listed_by_number_and_half_written_ones_are_not(tmp_path: Path) -> None:
    for version in ("10", "9", "2", "first"):
        freeze(tmp_path, version)
    (tmp_path / "flight-delay" / "11").mkdir()
    assert baseline_versions(tmp_path, "flight-delay") == ("first", "2", "9", "10")
    assert baseline_versions(tmp_path, "other") == ()


RELIANCE = Reliance(fidelity=0.93, shares={"distance": 0.81, "carrier": 0.19}, sds={"distance": 0.01, "carrier": 0.01})


def test_what_the_model_leans_on_is_frozen_with_it(tmp_path: Path) -> None:
    freeze(tmp_path, reliance=RELIANCE)
    assert read_baseline(tmp_path, "flight-delay", "1").reliance == RELIANCE


def test_a_baseline_of_before_there_was_a_reliance_reads_as_it_did(tmp_path: Path) -> None:
    """Its file names no reliance, and its digest is that of such a file."""
    old = freeze(tmp_path)
    assert "reliance" not in json.loads((tmp_path / "flight-delay" / "1" / "baseline.json").read_text())
    assert read_baseline(tmp_path, "flight-delay", "1") == old
    assert freeze(tmp_path, reliance=RELIANCE).reliance is None  # to freeze the same rows again changes nothing


CALIBRATION = DriftCalibration(
    columns={
        "distance": ColumnCalibration(
            method="wasserstein", numeric=True, rows=3, reference_rows=3, location=0.1, scale=0.02,
            floor=0.05, threshold=0.1, detectable=None, quantiles=((0.5, 0.05),),
        )
    },
    window_seconds=604800.0, alpha=7 / 90, tail=((0.5, 0.0), (0.1, 1.0)), replays=500, stretches=13, blocks="rows one by one",
)  # fmt: skip


def test_a_calibration_reads_back_equal(tmp_path: Path) -> None:
    assert freeze(tmp_path, calibration=CALIBRATION).calibration == CALIBRATION
    assert read_baseline(tmp_path, "flight-delay", "1").calibration == CALIBRATION


def test_a_baseline_of_the_first_schema_reads_as_one_without_calibration(tmp_path: Path) -> None:
    frozen = freeze(tmp_path)
    place = tmp_path / "flight-delay" / "1" / "baseline.json"
    text = place.read_text()
    assert '"calibration"' not in text  # its digest is that of a file that never had the field
    place.write_text(text.replace('"schema": 2', '"schema": 1'))
    assert read_baseline(tmp_path, "flight-delay", "1") == frozen
    assert frozen.calibration is None


def test_history_that_came_since_does_not_make_another_baseline_of_the_same_rows(tmp_path: Path) -> None:
    frozen = freeze(tmp_path, calibration=CALIBRATION)
    wider = replace(CALIBRATION, stretches=20)
    assert freeze(tmp_path, calibration=wider) == frozen
    with pytest.raises(BaselineError, match="another baseline"):
        freeze(tmp_path, calibration=wider, reference=ROWS.head(2))
