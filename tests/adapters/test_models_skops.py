"""Model files: what common pipelines write is read back; hostile files are refused and leave no trace."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, SGDClassifier
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeClassifier

from retrue.adapters.models_skops import TRUSTED, dump, load
from retrue.errors import ModelError

RNG = np.random.default_rng(0)
ROWS = pd.DataFrame(
    {
        "a": RNG.normal(size=120),
        "b": RNG.normal(size=120) + 9,
        "c": pd.Categorical(RNG.choice(["x", "y", "z"], 120)),
    }
)
LABELS = (ROWS["a"] + RNG.normal(size=120) > 0).astype(int)


def encoded(estimator: Any) -> Any:
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["a"]),
        (OneHotEncoder(handle_unknown="ignore"), ["c"]),
        (FunctionTransformer(np.log1p), ["b"]),
    )
    return make_pipeline(columns, estimator)


COMMON: dict[str, Any] = {
    "logistic": encoded(LogisticRegression()),
    "sgd": encoded(SGDClassifier(random_state=0)),
    "poisson": encoded(PoissonRegressor()),
    "forest": encoded(RandomForestClassifier(4, random_state=np.random.RandomState(0))),
    "boosting": encoded(GradientBoostingRegressor(n_estimators=4, random_state=0)),
    "histogram boosting with categories": HistGradientBoostingClassifier(max_iter=4),
    "histogram boosting, ordinals": make_pipeline(
        make_column_transformer((OrdinalEncoder(), ["c"]), remainder="passthrough"),
        HistGradientBoostingRegressor(max_iter=4, loss="absolute_error"),
    ),
    "calibrated": CalibratedClassifierCV(encoded(DecisionTreeClassifier(max_depth=3)), cv=2),
    "searched": GridSearchCV(encoded(LogisticRegression()), {"logisticregression__C": [0.1, 1]}, cv=2),
    "threshold": TunedThresholdClassifierCV(encoded(LogisticRegression()), cv=2),
    "stacked": StackingClassifier([("a", encoded(LogisticRegression()))], cv=2),
    "network": encoded(MLPClassifier((3,), max_iter=5)),
    "selected": encoded(make_pipeline(SelectKBest(k=2), LogisticRegression())),
    "target encoded": make_pipeline(
        make_column_transformer((TargetEncoder(cv=2), ["c"]), remainder="passthrough"), LogisticRegression()
    ),
}


@pytest.mark.parametrize("name", COMMON)
@pytest.mark.filterwarnings("ignore")
def test_a_common_model_predicts_the_same_after_a_round_trip(name: str) -> None:
    estimator = COMMON[name].fit(ROWS, LABELS)
    np.testing.assert_array_equal(load(dump(estimator)).predict(ROWS), estimator.predict(ROWS))


def test_the_trusted_names_all_exist_and_none_can_run_code() -> None:
    from importlib import import_module

    for name in TRUSTED:
        module, _, last = name.rpartition(".")
        assert hasattr(import_module(module), last)
        assert module.split(".")[0] in ("sklearn", "numpy", "scipy")
    assert not any(word in name for name in TRUSTED for word in ("partial", "operator", "Method."))


class Own:
    """A class of the user's own."""

    def __init__(self) -> None:
        self.kept = [1, 2]


def test_an_own_class_is_refused_by_name_until_the_setting_lists_it() -> None:
    name = f"{Own.__module__}.Own"
    with pytest.raises(ModelError, match=rf"{name}.*retrain\.trusted_types"):
        dump(Own())
    assert load(dump(Own(), trusted=[name]), trusted=[name]).kept == [1, 2]


def test_an_unbounded_index_structure_is_not_trusted_unasked() -> None:
    with pytest.raises(ModelError, match="KDTree"):
        dump(KNeighborsClassifier(algorithm="kd_tree").fit(ROWS[["a"]], LABELS))


@pytest.mark.parametrize("estimator", [FunctionTransformer(lambda rows: rows), Birch()])
def test_what_skops_cannot_write_is_refused_with_advice(estimator: object) -> None:
    with pytest.raises(ModelError, match="top level"):
        dump(estimator)


@pytest.mark.parametrize("name", ["os.system", "operator.methodcaller", "functools.partial", "builtins.exec", "exec"])
def test_the_setting_cannot_name_what_runs_code(name: str) -> None:
    with pytest.raises(ModelError, match="run code"):
        load(dump(LogisticRegression()), trusted=[name])


# ---------------------------------------------------------------- hostile files


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that must not exist whatever was loaded."""
    path = tmp_path / "marker"
    yield path
    assert not path.exists(), "code of the file ran"


def archive(schema: object, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
        target.writestr("schema.json", json.dumps(schema))
    return buffer.getvalue()


def text(value: object) -> dict[str, object]:
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(value)}


def node(loader: str, module: str, name: str, **more: object) -> dict[str, object]:
    return {"__class__": name, "__module__": module, "__loader__": loader, "protocol": 2, **more}


def items(*values: object, kind: str = "tuple") -> dict[str, object]:
    return node(f"{kind.title()}Node", "builtins", kind, content=list(values))


TREE = ("sklearn.tree._tree", "Tree")


def hostile(marker: Path) -> dict[str, bytes]:
    touch = items(text(f"touch {marker}"))
    code = items(text(f"open({str(marker)!r}, 'w')"))
    system = node("FunctionNode", "os", "system")
    nothing = node("DictNode", "builtins", "dict", content={}, key_types=items(kind="list"))
    partial = {"args": touch, "kwds": nothing, "namespace": nothing}
    check_array = node("FunctionNode", "sklearn.utils.validation", "check_array")
    calls = {"a": text(1)}
    method = node("ObjectNode", "sklearn.linear_model._logistic", "LogisticRegression", content=nothing)
    return {
        "function": archive(system),
        "type": archive(node("TypeNode", "os", "system")),
        "object of exec": archive(node("ObjectNode", "builtins", "exec", content=code)),
        "constructor": archive(node("ConstructorFromReduceNode", "os", "system", content=touch)),
        "constructor of a trusted type": archive(node("ConstructorFromReduceNode", *TREE, content=touch)),
        "loss": archive(node("LossNode", "os", "system", content=nothing, __reduce__={"args": touch})),
        "operator": archive(node("OperatorFuncNode", "operator", "methodcaller", attrs=touch)),
        "operator under another name": archive(node("OperatorFuncNode", *TREE, attrs=touch)),
        "method": archive(
            node(
                "MethodNode", "sklearn.linear_model._logistic", "LogisticRegression",
                content={"func": "__class__", "obj": method},
            )
        ),
        "partial": archive(node("PartialNode", "functools", "partial", content={"func": system, **partial})),
        "partial under a trusted name": archive(node("PartialNode", *TREE, content={"func": system, **partial})),
        "partial within the allowed one": archive(
            node(
                "PartialNode", "functools", "partial",
                content={
                    "func": check_array, **partial,
                    "args": items(node("PartialNode", "functools", "partial", content={"func": system, **partial})),
                },
            )
        ),
        "object under the name of the allowed partial": archive(
            items(
                node("PartialNode", "functools", "partial", content={"func": check_array, **partial}),
                node("ObjectNode", "functools", "partial", content=touch),
            )
        ),
        "dictionary that calls": archive(
            node("DictNode", "builtins", "dict", content=calls, key_types=items(system, kind="list"))
        ),
        "unknown loader": archive(node("EvilNode", "builtins", "str")),
        "old protocol": archive(node("FunctionNode", *TREE, protocol=0, content={"module_path": "os", "function": "system"})),
    }  # fmt: skip


@pytest.mark.parametrize("name", hostile(Path("x")))
def test_a_hostile_file_is_refused(name: str, marker: Path) -> None:
    with pytest.raises(ModelError):
        load(hostile(marker)[name])


class Reducing:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (f"touch {self.marker}",)


def test_a_pickle_under_the_name_of_a_skops_file_is_refused(marker: Path, tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(pickle.dumps(Reducing(marker)))
    with pytest.raises(ModelError, match="not a skops file"):
        load(tmp_path / "model.skops")


def test_a_pickle_inside_an_array_file_is_refused(marker: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Reducing(marker)], dtype=object), allow_pickle=True)
    schema = node("NdArrayNode", "numpy", "ndarray", type="numpy", file="a.npy")
    with pytest.raises(ModelError):
        load(archive(schema, **{"a.npy": buffer.getvalue()}))


@pytest.mark.parametrize("member", ["../evil", "/etc/evil", "code/evil.py", "a\\b", ".."])
def test_a_member_with_a_path_is_refused(member: str) -> None:
    with pytest.raises(ModelError, match="paths"):
        load(archive(text(1), **{member: b"x"}))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    content = bytearray(archive(text(1), zeros=b"0"))
    size_at = content.index(b"PK\x01\x02") + 24  # the directory's word on the unpacked size
    content[size_at : size_at + 4] = (4_000_000_000).to_bytes(4, "little")
    with pytest.raises(ModelError, match="unpacks to more"):
        load(bytes(content))


def test_deep_nesting_is_refused_not_a_crash() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("schema.json", deep)
    with pytest.raises(ModelError):
        load(buffer.getvalue())


def test_a_truncated_or_empty_file_is_refused(tmp_path: Path) -> None:
    content = dump(LogisticRegression().fit(ROWS[["a"]], LABELS))
    for cut in (0, 10, len(content) // 2, len(content) - 1):
        with pytest.raises(ModelError):
            load(content[:cut])
    with pytest.raises(ModelError, match="cannot read"):
        load(tmp_path / "absent.skops")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real.skops").write_bytes(dump(LogisticRegression()))
    (tmp_path / "model.skops").symlink_to(tmp_path / "real.skops")
    with pytest.raises(ModelError, match="link"):
        load(tmp_path / "model.skops")


def _outside(nodes: Any) -> None:
    nodes["left_child" if "left_child" in nodes.dtype.names else "left"][0] = 10_000


def _backward(nodes: Any) -> None:
    nodes["right_child" if "right_child" in nodes.dtype.names else "right"][0] = 0


def _foreign_feature(nodes: Any) -> None:
    nodes["feature" if "feature" in nodes.dtype.names else "feature_idx"][0] = 9_000


@pytest.mark.parametrize("harm", [_outside, _backward, _foreign_feature])
@pytest.mark.parametrize("kind", ["tree", "histogram boosting"])
def test_a_tree_that_points_outside_itself_is_refused(kind: str, harm: Callable[[Any], None]) -> None:
    if kind == "tree":
        model = RandomForestClassifier(2, random_state=0).fit(ROWS[["a", "b"]], LABELS)
        tree = model.estimators_[1].tree_
        state = tree.__getstate__()
        harm(state["nodes"])
        tree.__setstate__(state)
    else:
        model = HistGradientBoostingClassifier(max_iter=2).fit(ROWS[["a", "b"]], LABELS)
        harm(model._predictors[1][0].nodes)
    content = skops.io.dumps(model)
    with pytest.raises(ModelError, match="points outside"):
        load(content)
