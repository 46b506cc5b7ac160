"""scikit-learn models as skops files, loaded only if they hold nothing but audited types. skops is imported in functions.

skops itself decides by the types a file names, which a hostile file may pair with loaders they were not meant for
(CVE-2025-54412, -54413, -54886). So the file's own tree is audited here first: bounded size, flat member names, only
loaders that build data, and no partial but the one scikit-learn makes. Then skops checks the types against ``TRUSTED``,
never against a list out of the file or out of MLflow's ``MLmodel``. Last, tree nodes must point forward and inside: skops
does not check what scikit-learn follows without looking.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retrue.errors import ModelError

MODEL_BYTES_MAX = 2_000_000_000
MEMBERS_MAX = 200_000

# Audited on skops 0.16 and scikit-learn 1.9, in addition to what skops trusts by itself (scikit-learn's estimators, its
# losses and links, numpy arrays, scalars, dtypes and ufuncs): classes that hold data, and functions without effects.
TRUSTED: tuple[str, ...] = (
    "numpy.dtype",
    "scipy.sparse._csc.csc_array",
    "scipy.sparse._csc.csc_matrix",
    "scipy.sparse._csr.csr_array",
    "scipy.sparse._csr.csr_matrix",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
)

_TOP_LEVEL = "Functions and classes must stand at the top level of an importable module"
_PARTIAL = "functools.partial"
_CHECK_ARRAY = "sklearn.utils.validation.check_array"  # HistGradientBoosting with categories wraps it in a partial
_LOADERS = re.compile(
    "(Dict|DefaultDict|List|Set|Tuple|Slice|Bytes|Bytearray|Json|Object|Type|Function|Tree|Loss"
    "|NdArray|MaskedArray|DType|RandomState|RandomGenerator|SparseMatrix)Node"
)
_NEVER = re.compile(
    r"(_ctypes|_io|asyncio|builtins|cloudpickle|code|codecs|ctypes|dill|functools|importlib|io|joblib|marshal"
    r"|multiprocessing|nt|operator|os|pathlib|pickle|posix|pty|runpy|shutil|signal|skops|socket|subprocess|sys"
    r"|tempfile|threading|types)(\..*)?"
)


def dump(estimator: object, *, trusted: Sequence[str] = ()) -> bytes:
    """Return a fitted estimator as a skops file that ``load`` will take.

    Args:
        trusted: The model's ``retrain.trusted_types``.

    Raises:
        ModelError: skops cannot write it, or it holds types that are not trusted; names them.
    """
    import skops.io

    try:
        content: bytes = skops.io.dumps(estimator)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"a {type(estimator).__name__} cannot be written as a skops file: {_first_line(error)} {_TOP_LEVEL}"
        ) from error
    load(content, trusted=trusted)
    return content


def load(source: bytes | Path, *, trusted: Sequence[str] = ()) -> Any:
    """Return the estimator of a skops file, or refuse the file before anything of it is imported or run.

    Args:
        source: The file or its content.
        trusted: The model's ``retrain.trusted_types``, names of types beside ``TRUSTED``. Names of modules that can run
            code (os, operator, builtins …) are refused even here.

    Raises:
        ModelError: No skops file, a damaged or oversized one, one with untrusted types (it names them and the setting),
            or one whose trees point outside themselves.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    known = _known(trusted)
    content = _read(source) if isinstance(source, Path) else source
    functions = _audit(content)
    try:
        estimator = skops.io.loads(content, trusted=[*known, *functions])
    except UntrustedTypesFoundException as error:
        raise _untrusted(content, known) from error
    except Exception as error:  # a damaged file fails in whatever part of numpy, scipy or sklearn it meets
        raise ModelError(
            f"not a model this scikit-learn can read: {type(error).__name__}: {_first_line(error)}"
        ) from error
    _check_trees(estimator)
    return estimator


def _known(trusted: Sequence[str]) -> list[str]:
    refused = sorted(name for name in trusted if _NEVER.fullmatch(name) or "." not in name)
    if refused:
        raise ModelError(f"retrain.trusted_types may not name {', '.join(refused[:5])}: it could run code of the file")
    return [*TRUSTED, *trusted]


def _read(path: Path) -> bytes:
    try:
        if path.is_symlink() or path.stat().st_size > MODEL_BYTES_MAX:
            raise ModelError(f"{path.name} is a link, or larger than {MODEL_BYTES_MAX} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model file {path.name}: {error.strerror}") from error


def _audit(content: bytes) -> list[str]:
    """Refuse a file by its shape alone; return the functions it may hold beside ``TRUSTED``."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_members(archive.infolist())
            schema = json.loads(archive.read("schema.json"))
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        KeyError,
        ValueError,
        RecursionError,
        NotImplementedError,
        EOFError,
    ) as error:
        raise ModelError(f"not a skops file, or a damaged one: {_first_line(error)}") from error
    partials = False
    for node in _nodes(schema):
        loader, name = node["__loader__"], _name(node)
        if loader == "PartialNode" and _is_check_array(node):
            partials = True
        elif not _LOADERS.fullmatch(str(loader)) or name == _PARTIAL:
            raise ModelError(
                f"the model file asks for {name} through {loader}, which could run code: it was not loaded"
            )
    return [_PARTIAL, _CHECK_ARRAY] if partials else []


def _check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    bare = all(name and "/" not in name and "\\" not in name and name not in (".", "..") for name in names)
    if not bare or len(set(names)) < len(names) or len(names) > MEMBERS_MAX:
        raise ModelError("the model file has members with paths, twice the same or too many: it was not loaded")
    if sum(member.file_size for member in members) > MODEL_BYTES_MAX:
        raise ModelError(f"the model file unpacks to more than {MODEL_BYTES_MAX} bytes: it was not loaded")


def _nodes(schema: object) -> Iterator[dict[str, Any]]:
    """Yield every part of a skops tree that names a loader, with no recursion that a deep file could exhaust."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "__loader__" in part:
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _name(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def _is_check_array(node: dict[str, Any]) -> bool:
    content = node.get("content")
    function = content.get("func") if isinstance(content, dict) else None
    if not isinstance(function, dict) or _name(node) != _PARTIAL:
        return False
    return function.get("__loader__") == "FunctionNode" and _name(function) == _CHECK_ARRAY


def _untrusted(content: bytes, known: Sequence[str]) -> ModelError:
    import skops.io

    names = [name for name in skops.io.get_untrusted_types(data=content) if name not in known]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    advice = "If they are yours and safe to build from any values, list them in retrue.yaml under retrain.trusted_types"
    if any("<" in name for name in names):
        advice = _TOP_LEVEL
    return ModelError(f"the model file holds types that are not trusted: {shown}. {advice}")


def _check_trees(estimator: object) -> None:
    """Refuse trees whose nodes point backward or outside, which would hang or crash a prediction."""
    import numpy as np

    for owner, tree in _trees(estimator):
        if hasattr(tree, "children_left"):
            left, right, feature = tree.children_left, tree.children_right, tree.feature
            split = left != -1
            features = min(tree.n_features, getattr(owner, "n_features_in_", tree.n_features))
        else:
            nodes = tree.nodes
            left, right, feature = (nodes[name].astype(np.int64) for name in ("left", "right", "feature_idx"))
            split, features = nodes["is_leaf"] == 0, getattr(owner, "n_features_in_", 0)
        at = np.arange(len(left))[split]
        children = np.concatenate([left[split], right[split]])
        forward = (children > np.concatenate([at, at])).all() and (children < len(left)).all()
        if not len(left) or not forward or not ((feature[split] >= 0) & (feature[split] < features)).all():
            raise ModelError("a decision tree in the model file points outside itself: it was not loaded")


def _trees(estimator: object) -> Iterator[tuple[object, Any]]:
    """Yield every tree of an estimator with the estimator that hands it its rows."""
    import numpy as np

    waiting, seen = [(estimator, estimator)], set()
    while waiting:
        owner, part = waiting.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float | bool | None):
            continue
        seen.add(id(part))
        if type(part).__name__ in ("Tree", "TreePredictor"):
            yield owner, part
        elif isinstance(part, dict):
            waiting.extend((owner, each) for each in part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend((owner, each) for each in part)
        elif isinstance(part, np.ndarray):
            waiting.extend((owner, each) for each in (part.ravel() if part.dtype == object else ()))
        elif hasattr(part, "__dict__"):
            waiting.extend((part, each) for each in vars(part).values())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
