"""What training needs: the rows, the user's train function, predictions, and out-of-fold predictions."""

from __future__ import annotations

import hashlib
import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrue.config import ModelSettings, Project
from retrue.errors import ModelError
from retrue.labelled import class_name, class_names
from retrue.metrics import NEED_SCORE
from retrue.stages.functions import user_function

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FOLDS = 3  # contiguous in time, so that no fold is predicted from rows of its own days

Train = Callable[["pd.DataFrame", "pd.Series[Any]"], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRows:
    """Labelled records in order of time, features under their bare names, with ``label`` and the log's other columns."""

    frame: pd.DataFrame
    features: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def inputs(self) -> pd.DataFrame:
        return self.frame[list(self.features)]

    @property
    def labels(self) -> pd.Series[Any]:
        return self.frame["label"]

    @property
    def digest(self) -> str:
        """SHA-256 of ids, features and labels, in order."""
        from pandas.util import hash_pandas_object

        rows = hash_pandas_object(self.frame[["inference_id", *self.features, "label"]], index=False)
        return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()

    @property
    def contents(self) -> np.ndarray[Any, Any]:
        """A hash of each row's features and label: equal rows have the same, whatever their ids and times."""
        from pandas.util import hash_pandas_object

        texts = self.frame[[*self.features]].assign(label=self.labels.astype("string"))
        return hash_pandas_object(texts, index=False).to_numpy()

    def split_at(self, moment: pd.Timestamp) -> tuple[LabelledRows, LabelledRows]:
        """Return the rows before a moment and those from it on."""
        later = self.frame["time"] >= moment
        return (
            LabelledRows(frame=self.frame[~later], features=self.features),
            LabelledRows(frame=self.frame[later], features=self.features),
        )


def train_function(project: Project, settings: ModelSettings, load_champion: Callable[[], Any]) -> Train:
    """Return the function that trains a challenger: the user's, or one that refits a clone of the champion.

    Raises:
        ModelError: The user's function cannot be imported; it raises one too when it fails, without the values it met.
    """
    name = settings.retrain.train if settings.retrain else None
    if name is None:
        return lambda features, labels: _clone(load_champion()).fit(features, labels)
    train: Train = user_function(project, "retrain.train", name)
    home = inspect.getmodule(train)

    def named(features: pd.DataFrame, labels: pd.Series[Any]) -> Any:
        try:
            return train(features, labels)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            place = ([frame for frame in frames if home and frame.filename == home.__file__] or frames)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            raise ModelError(f"retrain.train {name} failed in {where} ({type(error).__name__})") from error

    return named


def _clone(estimator: Any) -> Any:
    from sklearn.base import clone

    return clone(estimator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What a model says of some rows: ``prediction`` always, ``score`` where it gives the probability of a class."""

    prediction: np.ndarray[Any, Any]
    score: np.ndarray[Any, Any] | None

    def judged(self, metric: str) -> np.ndarray[Any, Any]:
        """Return what a metric is computed from.

        Raises:
            ModelError: It needs scores and the model gives none.
        """
        if metric not in NEED_SCORE:
            return self.prediction
        if self.score is None:
            raise ModelError(f"{metric} needs scores: the model has no predict_proba")
        return self.score


def predict(estimator: Any, features: pd.DataFrame, settings: ModelSettings) -> Predicted:
    """Return a fitted estimator's predictions, with the positive class's probability for a binary task.

    Raises:
        ModelError: The estimator does not know the positive label.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(
        1, user_api="openmp"
    ):  # beside busy servers, threads that wait for each other take far longer
        return _predict(estimator, features, settings)


def _predict(estimator: Any, features: pd.DataFrame, settings: ModelSettings) -> Predicted:
    prediction = estimator.predict(features)
    if settings.task != "binary" or not hasattr(estimator, "predict_proba"):
        return Predicted(prediction=prediction, score=None)
    classes = class_names(estimator.classes_)
    positive = class_name(settings.performance.positive_label)
    if positive not in classes:
        raise ModelError(f"performance.positive_label {positive!r} is not one of the model's classes {classes}")
    return Predicted(prediction=prediction, score=estimator.predict_proba(features)[:, classes.index(positive)])


def predict_out_of_fold(train: Train, rows: LabelledRows, settings: ModelSettings) -> pd.DataFrame:
    """Return the rows with ``prediction`` and ``score`` of models that did not see them.

    A baseline of a model's predictions on its own training rows would look better than the model can be.
    """
    import numpy as np
    import pandas as pd

    blocks = np.array_split(np.arange(len(rows)), FOLDS)
    parts = []
    for block in blocks:
        rest = np.setdiff1d(np.arange(len(rows)), block)
        estimator = train(rows.inputs.iloc[rest], rows.labels.iloc[rest])
        parts.append(with_predictions(rows.frame.iloc[block], predict(estimator, rows.inputs.iloc[block], settings)))
    return pd.concat(parts)


def with_predictions(frame: pd.DataFrame, predicted: Predicted) -> pd.DataFrame:
    """Return the rows with their ``prediction`` and ``score`` replaced."""
    replaced = frame.assign(prediction=predicted.prediction)
    return replaced if predicted.score is None else replaced.assign(score=predicted.score)


def require_columns(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse rows that lack columns.

    Raises:
        ModelError: With the columns' names.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ModelError(f"{what} lacks {', '.join(missing[:5])}")
