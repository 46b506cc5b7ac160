"""How `flight-delay` is trained: named by `retrue.yaml`, called for the first version and for every retraining.

Deterministic: the same rows in the same order give the same model.
"""

from typing import TYPE_CHECKING

from examples.flights.data import CATEGORICAL_FEATURES, NUMERIC_FEATURES

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

SEED = 2013
RARE_ROWS = 50
"""A category seen in fewer training rows than this is pooled with the other rare ones."""


def train(features: "pd.DataFrame", labels: "pd.Series[int]") -> "Pipeline":
    """Return a pipeline fitted to tell late flights from others; `predict_proba(frame)[:, 1]` is P(late).

    The categories are encoded inside the pipeline, from these rows alone. Columns are found by name, and others are
    ignored; an unknown category and a null in any column are read as "missing", which the trees handle.

    The codes go to the trees as numbers. Telling the classifier that they are categories ranked the following months
    worse, and would make a stored model need two more trusted types, `functools.partial` among them.

    Args:
        features: One row per landed flight, with at least the columns `examples.flights.data.FEATURES`.
        labels: 1 late, 0 not, none missing, in the same order as `features`.
    """
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder
    from threadpoolctl import threadpool_limits

    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        min_frequency=RARE_ROWS,
    )
    columns = ColumnTransformer(
        [
            ("categories", encoder, list(CATEGORICAL_FEATURES)),
            ("numbers", "passthrough", list(NUMERIC_FEATURES)),
        ]
    )
    # Days share their weather, so rows are far from independent: few leaves, many rows each, against learning single days.
    classifier = HistGradientBoostingClassifier(
        learning_rate=0.06,
        max_iter=150,
        max_leaf_nodes=15,
        min_samples_leaf=200,
        l2_regularization=10.0,
        early_stopping=False,
        random_state=SEED,
    )
    # One thread: beside busy servers, threads that wait for each other at every node take far longer than one alone.
    with threadpool_limits(1, user_api="openmp"):
        return Pipeline([("columns", columns), ("classifier", classifier)]).fit(features, labels.astype("int64"))
