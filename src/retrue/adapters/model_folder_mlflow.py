"""A model's folder in MLflow: written so that MLflow shows it as its own, read without believing what it says.

MLflow's loaders follow the folder's ``MLmodel``: pickles, code folders, loader modules and a list of trusted types of its
own. Here one file is fetched, by its bare name. MLflow and skops are imported in functions.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrue.adapters.client_mlflow import again, error_code
from retrue.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

MODEL_FILE = "model.skops"


def write_model_folder(
    folder: Path, estimator: Any, content: bytes, example: pd.DataFrame | None, *, model_id: str, run_id: str
) -> None:
    """Write ``MLmodel`` and requirements around the skops file ``content`` into a new folder.

    Args:
        example: Rows of features, for the signature only: they are not stored.
    """
    import mlflow.pyfunc
    import sklearn
    import skops
    import skops.io
    from mlflow.models import Model, infer_signature

    folder.mkdir()
    (folder / MODEL_FILE).write_bytes(content)
    described = Model(run_id=run_id, model_id=model_id, model_uuid=model_id)
    if example is not None:
        with (
            warnings.catch_warnings()
        ):  # it warns of integer columns that may hold nulls one day: the profile sees those
            warnings.simplefilter("ignore", UserWarning)
            described.signature = infer_signature(example, estimator.predict(example))
    mlflow.pyfunc.add_to_model(described, loader_module="mlflow.sklearn", model_path=MODEL_FILE, predict_fn="predict")
    described.add_flavor(
        "sklearn",
        pickled_model=MODEL_FILE,
        sklearn_version=sklearn.__version__,
        serialization_format="skops",
        skops_trusted_types=skops.io.get_untrusted_types(data=content),
    )
    described.save(str(folder / "MLmodel"))
    pinned = f"scikit-learn=={sklearn.__version__}\nskops=={skops.__version__}\n"
    (folder / "requirements.txt").write_text(pinned)


def fetch_model_file(client: MlflowClient, tracking_uri: str, model: str, version: str) -> bytes:
    """Return the bytes of a version's skops file; nothing else of its folder is fetched, and nothing is loaded.

    Raises:
        ModelError: No such version, or none with such a file.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException
    from requests import HTTPError

    absent = ModelError(f"{model} has no version {version} with a file {MODEL_FILE}")
    with tempfile.TemporaryDirectory(prefix="retrue-") as folder:
        try:
            location = str(again(client.get_model_version_download_uri, model, version))
            uri = f"{location.rstrip('/')}/{MODEL_FILE}"
            got = Path(again(download_artifacts, uri, dst_path=folder, tracking_uri=tracking_uri))
        except MlflowException as error:
            if error_code(error) in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise absent from error
            raise
        except HTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                raise absent from error
            raise
        if got.is_symlink() or not got.is_file() or got.parent.resolve() != Path(folder).resolve():
            raise absent
        return got.read_bytes()
