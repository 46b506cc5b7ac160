"""Model versions and their training runs in MLflow. MLflow is imported in functions.

A version is written with explicit ids, never through MLflow's global active run, and read without MLflow's loaders:
those trust what the model's own files say. Only the file ``model.skops`` is fetched, and only bytes whose SHA-256 the
caller knows are looked at.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from retrue.adapters import models_skops
from retrue.adapters.client_mlflow import (
    again,
    as_tags,
    connect,
    error_code,
    escape_markdown,
    find_or_create_run,
    log_values,
    open_experiment,
    patience,
    ui_url,
)
from retrue.adapters.model_folder_mlflow import fetch_model_file, write_model_folder
from retrue.baselines import DESCRIPTION
from retrue.errors import DigestMismatchError, ModelError
from retrue.recorded_gate import gate_html, gate_json, gate_metrics
from retrue.results import GateResult, RetrainCause
from retrue.windows import check_name

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run

log = logging.getLogger(__name__)

Alias = Literal["champion", "challenger", "previous"]
_COPIED = "baseline"
_NOTE = """\
Trainings of the model **{model}**: one run each, with the data it used, the cause, and how its challenger did against the
champion (`gate.html`). The versions are under *Models* → **{model}**; the alias `champion` is the one that serves.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """How a version came to be.

    Attributes:
        key: Identifies this training for ever, such as cause and attempt: a repeated registration returns its version.
        started_at: When the training began.
        rows: Rows trained on.
        data_digest: SHA-256 of those rows, as the stage defines it.
        cause: Why it was trained; None for a first version.
        params: The estimator's, or what else fixed the training.
        metrics: Finite values, such as the performance on the training's hold-out.
        trusted_types: The model's ``retrain.trusted_types``.
    """

    key: str
    started_at: datetime
    rows: int
    data_digest: str
    cause: RetrainCause | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    trusted_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """A model version in the registry.

    ``sha256`` is that of its model file and belongs in the ledger. ``is_found`` marks one that an earlier, interrupted registration
    left: its file is not the estimator that was handed in.
    """

    model: str
    version: str
    run_id: str
    sha256: str
    is_found: bool = field(default=False, compare=False)


class MlflowRegistry:
    """The registered models of one MLflow server."""

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._client = connect(tracking_uri)

    def register_model(
        self,
        model: str,
        estimator: Any,
        *,
        training: TrainingRecord,
        example: pd.DataFrame | None = None,
        taken: Collection[str] = (),
    ) -> RegisteredVersion:
        """Log a fitted estimator as the next version of a model, with its training run.

        Args:
            example: Some rows of features, for the signature only: they are not stored.
            taken: Versions that came from elsewhere. MLflow counts from 1 whatever they are called; these are left out.

        Raises:
            ModelError: It cannot be written as a skops file of trusted types.
            DeliveryError: MLflow did not take it; calling again with the same key goes on where it stopped.
        """
        check_name(model)
        content = models_skops.dump(estimator, trusted=training.trusted_types)
        with patience(f"registration of {model}"):
            experiment_id = open_experiment(self._client, _experiment(model), _NOTE.format(model=model))
            run = self._training_run(experiment_id, model, training)
            registered = self._version_of(model, run, taken)
            if registered is None:
                registered = self._log_model(model, run, estimator, content, example, training, taken)
            if run.info.status != "FINISHED":
                self._finish(registered, training)
        log.info("registered version %s of %s", registered.version, model)
        return registered

    def load_version(self, model: str, version: str, *, sha256: str, trusted: tuple[str, ...] = ()) -> Any:
        """Return the estimator of a version whose file has this SHA-256.

        Raises:
            DigestMismatchError: The bytes are others than the registered ones; nothing of them was read.
            ModelError: No such version, or a file that ``models_skops.load`` refuses.
            DeliveryError: MLflow did not answer.
        """
        with patience(f"download of {model} version {version}"):
            content = fetch_model_file(self._client, self._tracking_uri, check_name(model), version)
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise DigestMismatchError(
                f"{model} version {version}: its file has SHA-256 {found[:16]}…, {sha256[:16]}… was registered. "
                "It was changed since and was not loaded; roll back, or retrain"
            )
        return models_skops.load(content, trusted=trusted)

    def alias_version(self, model: str, alias: Alias) -> str | None:
        """Return the version an alias points to, None if it points nowhere.

        Raises:
            DeliveryError: MLflow did not answer.
        """
        from mlflow.exceptions import MlflowException

        with patience(f"alias {alias} of {model}"):
            try:
                return str(again(self._client.get_model_version_by_alias, model, alias).version)
            except MlflowException as error:
                if error_code(error) in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
                    return None
                raise

    def move_alias(self, model: str, alias: Alias, version: str | None) -> None:
        """Point an alias to a version, or remove it with None, and read it back.

        MLflow has no compare-and-set: who may move it is decided in the ledger beforehand.

        Raises:
            ModelError: No such version, or the alias points elsewhere right after.
            DeliveryError: MLflow did not answer.
        """
        from mlflow.exceptions import MlflowException

        with patience(f"alias {alias} of {model}"):
            try:
                if version is None:
                    again(self._client.delete_registered_model_alias, model, alias)
                else:
                    again(self._client.set_registered_model_alias, model, alias, version)
            except MlflowException as error:
                if error_code(error) == "RESOURCE_DOES_NOT_EXIST" and version is not None:
                    raise ModelError(f"{model} has no version {version} for the alias {alias}") from error
                if error_code(error) != "RESOURCE_DOES_NOT_EXIST":
                    raise
        found = self.alias_version(model, alias)
        if found != version:
            raise ModelError(
                f"the alias {alias} of {model} was set to version {version} and points to {found}: "
                "somebody else moved it; look before you set it again"
            )

    def versions(self, model: str) -> tuple[str, ...]:
        """Return the registered versions of a model, oldest first.

        Raises:
            DeliveryError: MLflow did not answer.
        """
        with patience(f"versions of {model}"):
            found = again(self._client.search_model_versions, f"name = '{check_name(model)}'")
        return tuple(sorted((str(each.version) for each in found), key=int))

    def log_baseline(self, run_id: str, folder: Path) -> None:
        """Copy a frozen baseline's files into the artifacts of its version's training run, under ``baseline/``.

        ``baseline.json`` comes last, so that the digest in it tells of a whole copy. What was there is overwritten.

        Raises:
            DeliveryError: MLflow did not take them.
        """
        files = [path for path in folder.iterdir() if path.is_file()]
        with patience("copy of the baseline"):
            for file in sorted(files, key=lambda path: (path.name == DESCRIPTION, path.name)):
                again(self._client.log_artifact, run_id, str(file), _COPIED)

    def copied_digest(self, run_id: str) -> str:
        """Return the digest of the baseline in a training run's artifacts; empty where there is none.

        Raises:
            DeliveryError: MLflow did not answer.
        """
        with patience("look at the copy of the baseline"), tempfile.TemporaryDirectory(prefix="retrue-") as folder:
            path = f"{_COPIED}/{DESCRIPTION}"
            if path not in {file.path for file in again(self._client.list_artifacts, run_id, _COPIED)}:
                return ""
            copy = Path(again(self._client.download_artifacts, run_id, path, folder))
            try:
                return str(json.loads(copy.read_bytes())["digest"])
            except (ValueError, KeyError, TypeError):  # not as it was written: to be written again
                return ""

    def record_retraining(self, run_id: str, gate: GateResult, *, cause: RetrainCause | None = None) -> None:
        """Write how a challenger did against the champion into its training run: metrics, ``gate.json``, ``gate.html``.

        The tag ``retrue.gate`` becomes passed or refused, ``retrue.refusals`` says why.

        Raises:
            DeliveryError: MLflow did not take it.
        """
        tags = {"retrue.gate": "passed" if gate.passed else "refused", "retrue.refusals": "\n".join(gate.refusals)}
        with patience("record of the gate"), tempfile.TemporaryDirectory(prefix="retrue-") as folder:
            (Path(folder) / "gate.json").write_text(json.dumps(gate_json(gate, cause), indent=1, allow_nan=False))
            (Path(folder) / "gate.html").write_text(gate_html(gate), encoding="utf-8")
            for file in sorted(Path(folder).iterdir()):
                again(self._client.log_artifact, run_id, str(file))
            run = again(self._client.get_run, run_id)
            log_values(self._client, run_id, gate_metrics(gate), at_ms=run.info.start_time, step=0, tags=tags)

    def version_url(self, model: str, version: str) -> str:
        """Return a version's page in the MLflow UI; empty where the store is no server."""
        return ui_url(self._tracking_uri, "models", model, "versions", version)

    def _training_run(self, experiment_id: str, model: str, training: TrainingRecord) -> Run:
        tags = {"retrue.kind": "training", "retrue.model": model, "mlflow.user": "retrue", **training.tags}
        if training.cause:
            tags["retrue.cause"] = training.cause.message
            tags["retrue.incident"] = training.cause.fingerprint
        start_ms = int(training.started_at.timestamp() * 1000)
        name = f"{model} training {training.started_at:%Y-%m-%d}"
        return find_or_create_run(self._client, experiment_id, training.key, name=name, start_ms=start_ms, tags=tags)

    def _version_of(self, model: str, run: Run, taken: Collection[str]) -> RegisteredVersion | None:
        """Return what an earlier, interrupted registration of this run came to, if it got as far as a version."""
        known = again(self._client.search_model_versions, f"run_id = '{run.info.run_id}'")
        found = [each for each in known if str(each.version) not in taken]
        if not found or "retrue.sha256" not in found[0].tags:
            return None
        return RegisteredVersion(
            model=model,
            version=str(found[0].version),
            run_id=run.info.run_id,
            sha256=found[0].tags["retrue.sha256"],
            is_found=True,
        )

    def _log_model(
        self,
        model: str,
        run: Run,
        estimator: Any,
        content: bytes,
        example: pd.DataFrame | None,
        training: TrainingRecord,
        taken: Collection[str],
    ) -> RegisteredVersion:
        from mlflow.entities import LoggedModelOutput

        run_id, sha256 = run.info.run_id, hashlib.sha256(content).hexdigest()
        logged = self._client.create_logged_model(
            run.info.experiment_id, name=model, source_run_id=run_id, params=dict(training.params), model_type="sklearn"
        )
        with tempfile.TemporaryDirectory(prefix="retrue-") as folder:
            path = Path(folder) / "model"
            write_model_folder(path, estimator, content, example, model_id=logged.model_id, run_id=run_id)
            again(self._client.log_model_artifacts, logged.model_id, str(path))
        again(self._client.finalize_logged_model, logged.model_id, "READY")
        again(self._client.log_outputs, run_id, [LoggedModelOutput(logged.model_id, step=0)])
        self._ensure_registered(model)
        tags = as_tags({"retrue.sha256": sha256, "retrue.data_digest": training.data_digest})
        create = partial(
            self._client.create_model_version,
            model,
            f"models:/{logged.model_id}",
            run_id=run_id,
            await_creation_for=None,
            tags=tags,
            description=_description(training),
            model_id=logged.model_id,
        )
        version = create()
        while str(version.version) in taken:
            number, version = str(version.version), create()
            again(self._client.delete_model_version, model, number)
        listed = json.dumps([{"name": model, "version": str(version.version)}])
        again(self._client.set_logged_model_tags, logged.model_id, {"mlflow.modelVersions": listed})
        return RegisteredVersion(model=model, version=str(version.version), run_id=run_id, sha256=sha256)

    def _ensure_registered(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        note = f"Watched by retrue. `champion` serves; its windows are in the experiment {_watched(model)}."
        try:
            again(self._client.create_registered_model, model, description=note)
        except MlflowException as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                raise

    def _finish(self, registered: RegisteredVersion, training: TrainingRecord) -> None:
        run_id = registered.run_id
        tags = {
            "mlflow.note.content": _description(training),
            "retrue.data_digest": training.data_digest,
            "retrue.sha256": registered.sha256,
            "retrue.model_version": registered.version,
        }
        metrics = {**training.metrics, "rows": float(training.rows)}
        at_ms = int(training.started_at.timestamp() * 1000)
        log_values(self._client, run_id, metrics, at_ms=at_ms, step=0, params=training.params, tags=tags)
        again(self._client.update_run, run_id, name=f"{registered.model} v{registered.version}")
        again(self._client.set_terminated, run_id, "FINISHED")


def _experiment(model: str) -> str:
    return f"{_watched(model)}/training"


def _watched(model: str) -> str:
    return f"retrue/{model}"


def _description(training: TrainingRecord) -> str:
    why = escape_markdown(training.cause.message) if training.cause else "first version"
    return f"Trained on {training.rows:,} rows. Cause: {why}"
