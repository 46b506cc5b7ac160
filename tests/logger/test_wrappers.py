import pickle
from collections.abc import Iterator
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from retrue.logger import Fields, InferenceLogger, Queues
from retrue.logger.current import served
from retrue.logger.wrappers import watched
from tests.logger.serving import on_disk

NAMES = ["age", "basket"]
FRAME = pd.DataFrame({"age": [20, 30, 60, 70], "basket": [1.5, 2.5, 0.5, 4.5]})
BUYS = np.array(["no", "no", "yes", "yes"])


@pytest.fixture
def log(tmp_path: Path) -> Iterator[InferenceLogger]:
    fields = Fields(keep=[Fields.NUMBERS, "country", "prediction", "context.batch_rows", "context.decision"])
    made = InferenceLogger("shop", version="3", to=tmp_path, fields=fields, resources_every=None)
    yield made
    made.close()


@pytest.fixture
def buyers() -> LogisticRegression:
    return LogisticRegression().fit(FRAME, BUYS)


def written(log: InferenceLogger, to: Path) -> list[dict[str, Any]]:
    assert log.flush(10.0)
    return on_disk(to)


def test_each_row_of_a_prediction_is_a_record_with_its_features_by_name(
    log: InferenceLogger, buyers: LogisticRegression, tmp_path: Path
) -> None:
    answer = watched(buyers, log).predict(FRAME)
    assert answer.tolist() == buyers.predict(FRAME).tolist()
    records = written(log, tmp_path)
    assert [record["features"] for record in records] == FRAME.to_dict("records")
    assert [record["prediction"] for record in records] == answer.tolist()
    assert {record["context"]["batch_rows"] for record in records} == {4}
    assert len({record["inference_id"] for record in records}) == 4
    assert len({(record["time"], record["latency_ms"]) for record in records}) == 1


def test_a_probability_is_the_score_of_the_positive_class(
    log: InferenceLogger, buyers: LogisticRegression, tmp_path: Path
) -> None:
    answer = watched(buyers, log).predict_proba(FRAME)
    records = written(log, tmp_path)
    assert [record["score"] for record in records] == answer[:, 1].tolist()
    assert [record["prediction"] for record in records] == buyers.predict(FRAME).tolist()


def test_probabilities_of_several_classes_are_scores_by_class(log: InferenceLogger, tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME, ["a", "b", "c", "a"])
    answer = watched(model, log).predict_proba(FRAME)
    first = written(log, tmp_path)[0]
    assert first["scores"] == dict(zip("abc", answer[0].tolist(), strict=True))
    assert first["prediction"] == model.predict(FRAME)[0]


def test_a_decision_value_is_kept_beside_and_is_no_score(
    log: InferenceLogger, buyers: LogisticRegression, tmp_path: Path
) -> None:
    values = watched(buyers, log).decision_function(FRAME)
    records = written(log, tmp_path)
    assert [record["context"]["decision"] for record in records] == values.tolist()
    assert [record["prediction"] for record in records] == buyers.predict(FRAME).tolist()
    assert "score" not in records[0]


def test_a_detector_without_classes_predicts_its_value(log: InferenceLogger, tmp_path: Path) -> None:
    model = IsolationForest(n_estimators=5, random_state=0).fit(FRAME)
    values = watched(model, log).decision_function(FRAME)
    assert [record["prediction"] for record in written(log, tmp_path)] == values.tolist()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (FRAME.to_numpy(), [{"age": 20.0, "basket": 1.5}]),
        (FRAME.to_numpy().tolist(), [{"age": 20.0, "basket": 1.5}]),
        (csr_matrix(np.array([[0.0, 1.5], [3.0, 0.0]])), [{"basket": 1.5}, {"age": 3.0}]),
    ],
    ids=["array", "lists", "sparse"],
)
def test_rows_without_names_take_those_the_model_was_fitted_with(
    log: InferenceLogger, buyers: LogisticRegression, tmp_path: Path, asked: Any, expected: Any
) -> None:
    with pytest.warns(UserWarning, match="feature names"):
        watched(buyers, log).predict(asked)
    assert [record["features"] for record in written(log, tmp_path)][: len(expected)] == expected


def test_rows_that_nobody_named_are_numbered(log: InferenceLogger, tmp_path: Path) -> None:
    model = LinearRegression().fit(FRAME.to_numpy(), [1.0, 2.0, 3.0, 4.0])
    watched(model, log).predict(FRAME.to_numpy())
    assert written(log, tmp_path)[0]["features"] == {"x0": 20.0, "x1": 1.5}


class Plain:
    """A model of no library, like those of MLflow's pyfunc."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, data: Any, params: Any = None) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("asked", "answer", "expected"),
    [
        ({"age": [20, 30]}, [1, 2], [({"age": 20}, 1), ({"age": 30}, 2)]),
        ({"age": 20, "country": "FR"}, 1, [({"age": 20, "country": "FR"}, 1)]),
        ([{"age": 20}, {"age": 30}], np.array([1, 2]), [({"age": 20}, 1), ({"age": 30}, 2)]),
        (pd.Series([20, 30], name="age"), pd.Series([1, 2]), [({"age": 20}, 1), ({"age": 30}, 2)]),
        (np.array([20, 30]), (1, 2), [({"x0": 20}, 1), ({"x0": 30}, 2)]),
        (FRAME[:1], pd.DataFrame({"y": [7]}), [({"age": 20, "basket": 1.5}, 7)]),
        (FRAME[:1], pd.DataFrame({"y": [7], "z": [8]}), [({"age": 20, "basket": 1.5}, {"y": 7, "z": 8})]),
        (FRAME[:2], "all well", [({"age": 20, "basket": 1.5}, None), ({"age": 30, "basket": 2.5}, None)]),
        (FRAME[:0], [], []),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), [3], [({"a": 2}, 3)]),
    ],
    ids=[
        "columns",
        "one row",
        "records",
        "series",
        "array",
        "frame",
        "wide frame",
        "one answer for all",
        "none",
        "twice the same name",
    ],
)
def test_whatever_is_asked_is_told_apart_by_row(
    log: InferenceLogger, tmp_path: Path, asked: Any, answer: Any, expected: Any
) -> None:
    assert watched(Plain(answer), log).predict(asked) is answer
    found = [(record["features"], record.get("prediction")) for record in written(log, tmp_path)]
    assert found == expected


def test_ids_are_the_users(log: InferenceLogger, tmp_path: Path) -> None:
    asked = pd.DataFrame({"order": ["o-1", "o-2"], "age": [1, 2]})
    watched(Plain([0, 1]), log, ids=lambda frame: frame["order"], endpoint="nightly").predict(asked)
    records = written(log, tmp_path)
    assert [record["inference_id"] for record in records] == ["o-1", "o-2"]
    assert {record["endpoint"] for record in records} == {"nightly"}


class Broken(RegressorMixin, BaseEstimator):
    def fit(self, rows: Any, y: Any) -> "Broken":
        return self

    def predict(self, rows: Any) -> Any:
        raise ZeroDivisionError("a weight is zero")


def test_a_failing_call_raises_and_each_of_its_rows_is_a_failure(log: InferenceLogger, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="a weight is zero"):
        watched(Broken(), log).predict(FRAME)
    records = written(log, tmp_path)
    assert [record["features"] for record in records] == FRAME.to_dict("records")
    assert {(record["status"], record["error_type"]) for record in records} == {("error", "ZeroDivisionError")}
    assert "predict" in str(records[0]["error_stack"])


def test_a_failing_batch_fills_neither_the_log_nor_the_error_share(log: InferenceLogger, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        watched(Broken(), log, max_failed_rows=10).predict(pd.concat([FRAME] * 1_000))
    records = written(log, tmp_path)
    assert len(records) == 10
    assert {record["context"]["batch_rows"] for record in records} == {4_000}


class Unreadable:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("asked", [Unreadable(), None, object()], ids=["raising", "none", "object"])
def test_rows_that_cannot_be_read_cost_the_caller_nothing(log: InferenceLogger, asked: Any) -> None:
    answer = object()
    assert watched(Plain(answer), log).predict(asked) is answer


def test_one_row_in_an_observed_request_is_that_requests(
    log: InferenceLogger, buyers: LogisticRegression, tmp_path: Path
) -> None:
    with log.observe({}, inference_id="r-1") as call, served(call):
        watched(buyers, log).predict_proba(FRAME[:1])
    (record,) = written(log, tmp_path)
    assert (record["inference_id"], record["features"]) == ("r-1", {"age": 20, "basket": 1.5})
    assert record["prediction"] == "no"
    assert 0 < record["score"] < 0.5


def test_a_failing_row_in_an_observed_request_is_one_failure(log: InferenceLogger, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), log.observe({}) as call, served(call):
        watched(Broken(), log).predict(FRAME[:1])
    (record,) = written(log, tmp_path)
    assert (record["status"], record["features"]) == ("error", {"age": 20, "basket": 1.5})


def test_several_rows_in_an_observed_request_are_records_of_their_own(
    log: InferenceLogger, buyers: LogisticRegression, tmp_path: Path
) -> None:
    with log.observe({}, inference_id="r-1") as call, served(call):
        watched(buyers, log).predict(FRAME)
    assert [record["inference_id"] for record in written(log, tmp_path)].count("r-1") == 1
    assert len(written(log, tmp_path)) == 5


def test_a_watched_estimator_passes_for_the_model_itself(log: InferenceLogger, buyers: LogisticRegression) -> None:
    model = watched(buyers, log)
    check_is_fitted(model)
    assert isinstance(model, LogisticRegression)
    assert is_classifier(model)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.get_params() == buyers.get_params()
    assert model.score(FRAME, BUYS) == buyers.score(FRAME, BUYS)
    assert not hasattr(model, "transform")
    assert "LogisticRegression" in repr(model)
    model.set_params(C=0.5)
    model.note = "kept"
    assert (buyers.C, buyers.note) == (0.5, "kept")


def test_a_clone_is_unfitted_and_watched_and_its_fit_watched_too(log: InferenceLogger, tmp_path: Path) -> None:
    model = clone(watched(LogisticRegression(C=0.5), log))
    assert not model.__sklearn_is_fitted__()
    assert model.fit(FRAME, BUYS).predict(FRAME).shape == (4,)
    assert model.C == 0.5
    assert len(written(log, tmp_path)) == 4


@pytest.mark.parametrize("copied", [copy, deepcopy])
def test_a_copy_logs_to_the_same_place(
    log: InferenceLogger, buyers: LogisticRegression, tmp_path: Path, copied: Any
) -> None:
    copied(watched(buyers, log)).predict(FRAME)
    assert len(written(log, tmp_path)) == 4


def test_a_pickle_holds_the_model_without_the_logger(log: InferenceLogger, buyers: LogisticRegression) -> None:
    restored = pickle.loads(pickle.dumps(watched(buyers, log)))
    assert type(restored) is LogisticRegression
    assert restored.predict(FRAME).tolist() == buyers.predict(FRAME).tolist()


def test_it_works_within_scikit_learns_own_machinery(log: InferenceLogger, tmp_path: Path) -> None:
    rows = pd.concat([FRAME] * 5)
    buys = np.tile(BUYS, 5)
    assert cross_val_score(watched(LogisticRegression(), log), rows, buys, cv=2).shape == (2,)
    make_pipeline(StandardScaler(), watched(LogisticRegression(), log)).fit(rows, buys).predict(rows)
    CalibratedClassifierCV(watched(LogisticRegression(), log), cv=2).fit(rows, buys).predict_proba(rows)
    assert written(log, tmp_path)


def test_only_the_methods_that_are_named_are_logged(
    log: InferenceLogger, buyers: LogisticRegression, tmp_path: Path
) -> None:
    model = watched(buyers, log, methods=["predict_proba"])
    model.predict(FRAME)
    model.predict_proba(FRAME)
    assert len(written(log, tmp_path)) == 4


def test_a_large_batch_is_sampled_and_its_weights_add_up(tmp_path: Path, buyers: LogisticRegression) -> None:
    queues = Queues()
    log = InferenceLogger("shop", version="3", to=tmp_path, sample=0.01, queues=queues, resources_every=None, seed=7)
    watched(buyers, log).predict(pd.concat([FRAME] * 10_000))
    counts = log.close(10.0)
    records = on_disk(tmp_path)
    assert len(records) == counts.on_disk < 1_000
    assert sum(record["sample_weight"] for record in records) == pytest.approx(40_000, rel=0.2)


def test_what_cannot_be_watched_is_refused(log: InferenceLogger) -> None:
    with pytest.raises(TypeError, match="object has none of the methods"):
        watched(object(), log)
    with pytest.raises(ValueError, match="max_failed_rows is 0"):
        watched(Plain(1), log, max_failed_rows=0)


def test_a_saved_mlflow_model_is_watched_as_it_was_loaded(
    log: InferenceLogger, buyers: LogisticRegression, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow makes a database in the working folder
    mlflow = pytest.importorskip("mlflow")
    folder, rows = tmp_path / "model", FRAME.astype(float)
    mlflow.sklearn.save_model(buyers, folder, signature=mlflow.models.infer_signature(rows, BUYS))
    model = watched(mlflow.pyfunc.load_model(str(folder)), log)
    assert model.predict(rows).tolist() == buyers.predict(rows).tolist()
    assert model.metadata.signature is not None
    with pytest.raises(mlflow.MlflowException):
        model.predict(rows[["age"]])
    records = written(log, tmp_path)
    assert [record["status"] for record in records] == ["ok"] * 4 + ["error"] * 4
    assert records[4]["features"] == {"age": 20}
    assert records[4]["error_type"] == "mlflow.exceptions.MlflowException"
