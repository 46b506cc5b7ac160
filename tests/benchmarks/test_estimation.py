"""The benchmark of estimates is as good as what is published, where the sample data is there."""

import pytest
from benchmarks.estimation import TABLES, car_loan, published
from tests.statistics.car_loan import folder


def test_car_loan_is_estimated_as_well_as_published() -> None:
    data = folder("nannyml_car_loan").parent
    if not (data / TABLES).is_dir():
        pytest.skip("no published tables beside the project")
    ours = {row["case"]: row for row in car_loan(data, ["roc_auc", "accuracy"])}
    theirs = {row["case"]: row for row in published(data / TABLES)}
    assert set(ours) == set(theirs) == {"car loan, roc_auc", "car loan, accuracy"}
    for case, row in ours.items():
        assert (row["size"], row["trials"], row["count"]) == (5_000, 10, 10)
        assert row["mean_absolute_error"] == pytest.approx(theirs[case]["mean_absolute_error"], abs=1e-4)
