import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sources.logs import START, pull, record, records, write_lines, write_parquet

from retrue.adapters.profile_ibis import (
    CATEGORIES_MAX,
    QUANTILE_ROWS,
    compare_schema,
    profile_file,
    profile_window,
)
from retrue.errors import SourceError
from retrue.results import ColumnKind, ColumnProfile, Profile

NAN, INFINITY = math.nan, math.inf


def profiled(root: Path, columns: list[str], **options: Any) -> Profile:
    with pull(root) as pulled:
        return profile_window(pulled, columns, options.pop("categories", {}), **options)


def of(root: Path, values: list[Any], *, weights: list[float] | None = None, **options: Any) -> ColumnProfile:
    """The profile of a feature with these values."""
    rows = [record(number, **{"features.x": value}) for number, value in enumerate(values)]
    for row, weight in zip(rows, weights or (), strict=bool(weights)):
        row["sample_weight"] = weight
    write_parquet(root / "logs/a.parquet", rows)
    return profiled(root, ["x"], **options).columns["x"]


def test_numbers_are_measured_as_numpy_measures_them(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(5, 2, 1000)
    found = of(tmp_path, list(values))
    assert (found.kind, found.type, found.rows, found.nulls, found.nans) == (ColumnKind.NUMBER, "DOUBLE", 1000, 0, 0)
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    assert found.mean == pytest.approx(values.mean())
    assert found.sd == pytest.approx(values.std(ddof=1))
    assert dict(found.quantiles) == pytest.approx({share: np.quantile(values, share) for share, _ in found.quantiles})
    assert found.distinct == pytest.approx(1000, rel=0.1)


def test_nulls_nan_and_infinities_are_counted_apart(tmp_path: Path) -> None:
    found = of(tmp_path, [1.0, 2.0, 3.0, None, NAN, NAN, INFINITY, -INFINITY, INFINITY, 4.0])
    assert (found.nulls, found.nans, found.infinities) == (1, 2, 3)
    assert (found.null_share, found.infinite_share) == (0.3, 0.3)
    assert (found.minimum, found.maximum, found.mean) == (1.0, 4.0, 2.5)
    assert found.sd == pytest.approx(np.std([1, 2, 3, 4], ddof=1))


def test_half_nulls_and_two_percent_infinities_are_exact(tmp_path: Path) -> None:
    assert of(tmp_path / "a", [None, 1.5] * 50).null_share == 0.5
    assert of(tmp_path / "b", [INFINITY, *[1.0] * 49] * 2).infinite_share == pytest.approx(0.02)


@pytest.mark.parametrize("values", [[None] * 3, [NAN] * 3], ids=["null", "nan"])
def test_column_without_values_is_not_measurable(tmp_path: Path, values: list[float | None]) -> None:
    found = of(tmp_path, values)
    assert found.null_share == 1
    assert (found.minimum, found.mean, found.sd, found.quantiles) == (None, None, None, ())


def test_all_null_column_has_no_kind_to_compare(tmp_path: Path) -> None:
    before = of(tmp_path / "a", [1.0, 2.0])
    now = of(tmp_path / "b", [None, None])
    difference = compare_schema(Profile(rows=2, columns={"x": before}), Profile(rows=2, columns={"x": now}))
    assert difference.retyped == ()
    assert not now.measurable


def test_one_row_has_no_deviation(tmp_path: Path) -> None:
    found = of(tmp_path, [2.5])
    assert (found.rows, found.mean, found.sd) == (1, 2.5, None)


def test_empty_window_is_profiled_with_zero_rows(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(-600), record(5000)])
    found = profiled(tmp_path, ["x", "carrier"], categories={"carrier": ["AA"]})
    assert found.rows == 0
    assert {column.null_share for column in found.columns.values()} == {0.0}
    assert found.columns["carrier"].unseen_share == 0


def test_huge_values_lose_their_deviation_only(tmp_path: Path) -> None:
    rows = [
        record(number, **{"features.x": sign * 1e308, "features.y": float(number)})
        for number, sign in enumerate((1, -1, 1))
    ]
    write_parquet(tmp_path / "logs/a.parquet", rows)
    found = profiled(tmp_path, ["x", "y"]).columns
    assert (found["x"].maximum, found["x"].sd) == (1e308, None)
    assert found["y"].sd == 1.0


def test_column_the_window_lacks_is_left_out_and_an_extra_one_is_seen(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a/logs/a.parquet", records(5))
    write_parquet(tmp_path / "b/logs/a.parquet", [record(0, **{"features.new": 1.0})])
    before = profiled(tmp_path / "a", ["x", "carrier", "absent"])
    with pull(tmp_path / "b") as pulled:
        now = profile_window(pulled, [name for name in pulled.features if name != "x"], {})
    difference = compare_schema(before, now)
    assert (difference.missing, difference.extra) == (("x",), ("new",))


def test_number_that_became_text_is_retyped(tmp_path: Path) -> None:
    write_lines(tmp_path / "a/logs/a.jsonl", records(5))
    write_lines(tmp_path / "b/logs/a.jsonl", [*records(4), record(4, **{"features.x": "12.5"})])
    difference = compare_schema(profiled(tmp_path / "a", ["x"]), profiled(tmp_path / "b", ["x"]))
    assert difference.retyped == (("x", ColumnKind.NUMBER, ColumnKind.TEXT),)


def test_whole_and_fractional_numbers_are_both_numbers(tmp_path: Path) -> None:
    assert of(tmp_path / "a", [1, 2]).kind is ColumnKind.NUMBER
    assert of(tmp_path / "b", [1, 2]).type == "BIGINT"
    assert of(tmp_path / "c", [True, False]).kind is ColumnKind.BOOLEAN


def test_new_categories_are_counted_by_rows(tmp_path: Path) -> None:
    values = ["AA"] * 300 + ["UA"] * 190 + [f"new-{number}" for number in range(500)] + [None] * 10
    found = of(tmp_path, values, categories={"x": ["AA", "UA", "DL"]})
    assert (found.unseen, found.distinct) == (500, 502)
    assert found.unseen_share == pytest.approx(0.5)
    assert found.categories is None


def test_column_without_known_categories_has_no_unseen_ones(tmp_path: Path) -> None:
    found = of(tmp_path, ["AA", "UA"])
    assert (found.unseen, found.unseen_share) == (None, None)


def test_booleans_have_the_categories_true_and_false(tmp_path: Path) -> None:
    found = of(tmp_path, [True, True, True, False, None], with_categories=True, categories={"x": ["true"]})
    assert found.categories == {"true": 0.75, "false": 0.25}
    assert found.unseen == 1


def test_baseline_keeps_categories_commonest_first_up_to_the_cap(tmp_path: Path) -> None:
    found = of(tmp_path / "a", ["b", "a", "a", None], with_categories=True)
    assert found.categories is not None
    assert list(found.categories.items()) == [("a", pytest.approx(2 / 3)), ("b", pytest.approx(1 / 3))]
    ids = of(tmp_path / "b", [f"id-{number}" for number in range(CATEGORIES_MAX + 1)], with_categories=True)
    assert (ids.categories, ids.distinct) == (None, CATEGORIES_MAX + 1)


def test_hostile_names_are_measured(tmp_path: Path) -> None:
    name = '</script><script>alert(1)</script>"; DROP TABLE x; --'
    write_parquet(tmp_path / "logs/a.parquet", [record(0, **{f"features.{name}": 1.5})])
    assert profiled(tmp_path, [name]).columns[name].mean == 1.5


def test_shares_and_moments_are_weighted(tmp_path: Path) -> None:
    found = of(tmp_path, [1.0, None, NAN, INFINITY, 3.0], weights=[1, 2, 3, 4, 10])
    assert found.null_share == pytest.approx(5 / 20)
    assert found.infinite_share == pytest.approx(4 / 20)
    assert found.mean == pytest.approx((1 + 30) / 11)
    assert (found.nulls, found.nans, found.infinities) == (1, 1, 1)


@pytest.mark.parametrize(("bad", "nans", "infinities"), [(NAN, 1, 0), (-INFINITY, 0, 1)])
def test_weighted_rows_may_have_nan_or_infinities_alone(tmp_path: Path, bad: float, nans: int, infinities: int) -> None:
    found = of(tmp_path, [1.0, 2.0, bad], weights=[1, 1, 2])
    assert (found.nans, found.infinities) == (nans, infinities)
    assert (found.null_share, found.infinite_share) == (nans / 2, infinities / 2)


def test_weight_stands_for_so_many_equal_rows(tmp_path: Path) -> None:
    values = [float(value) for value in np.random.default_rng(1).normal(size=200)]
    weights = [float(1 + number % 3) for number in range(200)]
    repeated = np.repeat(values, [int(weight) for weight in weights])
    found = of(tmp_path, values, weights=weights)
    assert found.mean == pytest.approx(repeated.mean())
    assert found.sd == pytest.approx(repeated.std(), rel=0.01)
    expected = {share: np.quantile(repeated, share, method="inverted_cdf") for share, _ in found.quantiles}
    assert dict(found.quantiles) == pytest.approx(expected)


def test_unseen_share_and_categories_are_weighted(tmp_path: Path) -> None:
    found = of(tmp_path, ["a", "b"], weights=[1, 3], categories={"x": ["a"]}, with_categories=True)
    assert (found.unseen, found.unseen_share) == (1, 0.75)
    assert found.categories == {"b": 0.75, "a": 0.25}


def test_quantiles_of_many_rows_come_from_a_part_that_stays_the_same(tmp_path: Path) -> None:
    rows = 4 * QUANTILE_ROWS
    for name, order in (("a", 1), ("b", -1)):
        numbers = np.arange(rows)[::order]
        columns = {"inference_id": numbers.astype(str), "time": [START] * rows, "features.x": numbers / rows}
        (tmp_path / name / "logs").mkdir(parents=True)
        pq.write_table(pa.table(columns), tmp_path / name / "logs/a.parquet")
    found, again = (dict(profiled(tmp_path / name, ["x"]).columns["x"].quantiles) for name in "ab")
    assert found == again
    assert found == pytest.approx({share: share for share in found}, abs=0.01)
    assert found[0.5] != pytest.approx(0.5, abs=1e-6)


def test_file_is_profiled_with_categories(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "reference.parquet", [{"x": 1.0, "c": "a"}, {"x": 3.0, "c": "b"}])
    found = profile_file(path)
    assert found.rows == 2
    assert found.columns["x"].mean == 2
    assert found.columns["c"].categories == {"a": 0.5, "b": 0.5}
    assert set(profile_file(path, ["x"]).columns) == {"x"}


def test_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reference.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        profile_file(tmp_path / "reference.parquet")


def test_predictions_of_failed_inferences_are_no_nulls_of_the_model(tmp_path: Path) -> None:
    rows = [record(number, prediction=None, score=None, status="error") for number in range(40)]
    rows += [record(40 + number, sample_weight=2.0) for number in range(9)]
    rows += [record(49, prediction=None, score=0.5)]
    write_parquet(tmp_path / "logs/a.parquet", rows)
    found = profiled(tmp_path, ["x", "prediction", "score"])
    assert (found.rows, found.columns["x"].rows, found.columns["score"].rows) == (50, 50, 10)
    assert found.columns["score"].null_share == 0
    assert found.columns["prediction"].null_share == pytest.approx(1 / 19)
    assert list(found.columns) == ["x", "prediction", "score"]
