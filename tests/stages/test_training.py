"""What training is made of: predictions of the right class, folds that never saw their own days, the user's function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.svm import LinearSVC

from retrue.config import ModelSettings
from retrue.errors import ModelError
from retrue.stages.training import (
    FOLDS,
    LabelledRows,
    predict,
    predict_out_of_fold,
    require_columns,
    train_function,
)
from tests.builders import settings
from tests.stages.project import FEATURES, REFERENCE, TRAIN, Shop, labelled_frame


@pytest.fixture(scope="module")
def rows() -> LabelledRows:
    return LabelledRows(frame=labelled_frame(REFERENCE, 2), features=FEATURES)


def binary(positive: str | int = 1) -> ModelSettings:
    return settings(performance={"metric": "roc_auc", "positive_label": positive})


class _Days:
    """Says which days it was trained on: a prediction is right if its own day is not among them."""

    def __init__(self, days: set[int]) -> None:
        self.days = days

    def predict(self, features: pd.DataFrame) -> np.ndarray[Any, Any]:
        return features["day"].isin(self.days).to_numpy()


def test_out_of_fold_predictions_are_of_models_that_never_saw_those_days() -> None:
    frame = pd.DataFrame({"inference_id": range(9), "day": np.repeat([1, 2, 3], 3), "label": 0})
    given = LabelledRows(frame=frame, features=("day",))
    predicted = predict_out_of_fold(lambda features, _: _Days(set(features["day"])), given, settings())
    assert FOLDS == 3
    assert list(predicted["inference_id"]) == list(range(9))
    assert not predicted["prediction"].any()


@pytest.mark.parametrize(("positive", "share"), [(1, 0.75), (0, 0.25), ("1", 0.75)])
def test_the_score_is_that_of_the_positive_label(positive: str | int, share: float) -> None:
    model = DummyClassifier(strategy="prior").fit([[0]] * 4, [1, 1, 1, 0])
    predicted = predict(model, pd.DataFrame({"x": [0.0]}), binary(positive))
    assert predicted.judged("roc_auc").tolist() == [share]
    assert predicted.judged("accuracy").tolist() == [1]


@pytest.mark.parametrize("classes", [[0.0, 1.0], [False, True], ["0", "1.0"]], ids=str)
def test_a_positive_label_is_found_however_the_model_writes_it(classes: list[object]) -> None:
    model = DummyClassifier(strategy="prior").fit([[0]] * 4, [classes[1]] * 3 + [classes[0]])
    assert predict(model, pd.DataFrame({"x": [0.0]}), binary(1)).judged("roc_auc").tolist() == [0.75]


def test_a_positive_label_that_the_model_does_not_know_is_refused() -> None:
    model = DummyClassifier().fit([[0], [0]], ["no", "yes"])
    with pytest.raises(ModelError, match=r"positive_label '1' is not one of the model's classes \['no', 'yes'\]"):
        predict(model, pd.DataFrame({"x": [0.0]}), binary())


@pytest.mark.parametrize("model", [LinearSVC(), LinearRegression()], ids=lambda model: type(model).__name__)
def test_a_metric_of_scores_refuses_a_model_without_probabilities(model: Any) -> None:
    model.fit([[0.0], [1.0]], [0, 1])
    predicted = predict(model, pd.DataFrame({"x": [0.0, 1.0]}), binary())
    assert predicted.score is None
    with pytest.raises(ModelError, match="roc_auc needs scores: the model has no predict_proba"):
        predicted.judged("roc_auc")


def test_the_digest_of_rows_is_that_of_ids_features_and_labels_in_order(rows: LabelledRows) -> None:
    def digest(frame: pd.DataFrame) -> str:
        return LabelledRows(frame=frame, features=FEATURES).digest

    assert digest(rows.frame.assign(latency_ms=0.0).reset_index(drop=True)) == rows.digest
    assert digest(rows.frame.iloc[::-1]) != rows.digest
    for name in ("inference_id", "age", "label"):
        changed = rows.frame.copy()
        changed.loc[0, name] = "id" if name == "inference_id" else changed.loc[1, name] + 1
        assert digest(changed) != rows.digest


def test_the_users_function_is_found_in_the_projects_folder(shop: Shop, rows: LabelledRows) -> None:
    shop.configure(retrain={"train": "training:train"})
    with shop.open() as workspace:
        train = train_function(workspace.project, workspace.project.model(shop.model), no_champion)
    assert train(rows.inputs, rows.labels).predict(rows.inputs.head(3)).shape == (3,)


def no_champion() -> Any:
    raise AssertionError("the champion is not needed")


@pytest.mark.parametrize(
    "spoil", [str.upper, lambda _: "import nothing_of_this_name", lambda _: ""], ids=["syntax", "import", "none"]
)
def test_a_function_that_cannot_be_imported_is_refused(shop: Shop, spoil: Callable[[str], str]) -> None:
    (shop.root / "training.py").write_text(spoil(TRAIN))
    shop.configure(retrain={"train": "training:train"})
    with shop.open() as workspace, pytest.raises(ModelError, match=r"retrain\.train training:train cannot be imported"):
        train_function(workspace.project, workspace.project.model(shop.model), no_champion)


def test_a_function_that_fails_says_where_and_shows_no_value(shop: Shop, rows: LabelledRows) -> None:
    (shop.root / "training.py").write_text(
        "def train(features, labels):\n    return features['no such column'].mean()\n"
    )
    shop.configure(retrain={"train": "training:train"})
    with shop.open() as workspace:
        train = train_function(workspace.project, workspace.project.model(shop.model), no_champion)
    with pytest.raises(ModelError) as refusal:
        train(rows.inputs, rows.labels)
    assert str(refusal.value) == "retrain.train training:train failed in training.py:2 (KeyError)"


def test_missing_columns_are_named(rows: LabelledRows) -> None:
    require_columns(rows.frame, FEATURES, "the log")
    with pytest.raises(ModelError, match="the log lacks tenure"):
        require_columns(rows.frame, ["age", "tenure"], "the log")
