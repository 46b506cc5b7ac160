import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from examples.flights.data import CATEGORICAL_FEATURES, NUMERIC_FEATURES, landed
from examples.flights.model import train
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


@pytest.fixture(scope="module")
def winter(flights: pd.DataFrame) -> "tuple[pd.DataFrame, pd.Series[int]]":
    return landed(flights[flights["time"] < "2013-04-01"])


@pytest.fixture(scope="module")
def pipeline(winter: "tuple[pd.DataFrame, pd.Series[int]]") -> Pipeline:
    return train(*winter)


def test_the_same_rows_give_the_same_model(winter: "tuple[pd.DataFrame, pd.Series[int]]") -> None:
    features, labels = winter[0].head(10_000), winter[1].head(10_000)
    once, again = train(features, labels), train(features, labels)
    assert np.array_equal(again.predict_proba(winter[0]), once.predict_proba(winter[0]))


def test_later_flights_are_ranked_better_than_by_chance(flights: pd.DataFrame, pipeline: Pipeline) -> None:
    features, labels = landed(flights[(flights["time"] >= "2013-05-01") & (flights["time"] < "2013-06-01")])
    assert roc_auc_score(labels, pipeline.predict_proba(features)[:, 1]) > 0.70


def test_unknown_categories_and_nulls_are_answered(
    winter: "tuple[pd.DataFrame, pd.Series[int]]", pipeline: Pipeline
) -> None:
    odd = winter[0].head(3).copy()
    odd.loc[odd.index[0], ["carrier", "dest"]] = "never seen"
    odd.loc[odd.index[1:], list(CATEGORICAL_FEATURES)] = None
    odd.loc[odd.index[2], list(NUMERIC_FEATURES)] = np.nan
    scores = pipeline.predict_proba(odd)[:, 1]
    assert np.isfinite(scores).all()


def test_columns_are_found_by_name_and_others_ignored(
    winter: "tuple[pd.DataFrame, pd.Series[int]]", pipeline: Pipeline
) -> None:
    rows = winter[0].head(100)
    shuffled = rows[rows.columns[::-1]].assign(another="x")
    assert np.array_equal(pipeline.predict_proba(shuffled), pipeline.predict_proba(rows))


def test_stored_with_one_trusted_type_it_predicts_the_same(
    winter: "tuple[pd.DataFrame, pd.Series[int]]", pipeline: Pipeline
) -> None:
    stored = skops.io.dumps(pipeline)
    assert skops.io.get_untrusted_types(data=stored) == TRUSTED
    loaded = skops.io.loads(stored, trusted=TRUSTED)
    assert np.array_equal(loaded.predict_proba(winter[0]), pipeline.predict_proba(winter[0]))


def test_importing_the_example_loads_no_heavy_library() -> None:
    code = (
        "import sys, examples.flights.data, examples.flights.model, examples.flights.replay;"
        "print({'pandas', 'sklearn', 'duckdb', 'pyarrow', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
