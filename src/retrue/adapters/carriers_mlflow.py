"""Carriers of the outbox that need MLflow: records of judged windows, and the aliases of a model's versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import orjson

from retrue.adapters.record_mlflow import MlflowRecorder, WindowRecord
from retrue.adapters.registry_mlflow import Alias, MlflowRegistry
from retrue.ledger import Ledger

Carrier = Callable[[Mapping[str, object]], Mapping[str, object]]


def record_carrier(ledger: Ledger, root: Path, tracking_uri: str) -> Carrier:
    """Return the carrier that mirrors a revision of the ledger to MLflow with its reports."""
    open_recorder = cache(lambda: MlflowRecorder(tracking_uri))

    def record(payload: Mapping[str, object]) -> Mapping[str, object]:
        recorder = open_recorder()
        revision = ledger.revision(cast(int, payload["revision"]))
        report_dir = root / revision.report_dir
        run_id = recorder.record_window(
            WindowRecord(
                verdict=revision.verdict,
                revision=revision.number,
                step=revision.step,
                metrics=revision.metrics,
                report_dir=report_dir,
                key=revision.verdict.key,
                columns=_encoded_names(report_dir),
                flow_run_url=revision.flow_run_url,
            )
        )
        return {"mlflow_run_id": run_id, "url": recorder.run_url(run_id)}

    return record


def _encoded_names(report_dir: Path) -> Mapping[str, str]:
    """Return the columns whose metric is called otherwise; none if the reports were cleared away."""
    try:
        document: dict[str, Any] = orjson.loads((report_dir / "verdict.json").read_bytes())
    except FileNotFoundError:
        return {}
    names: Mapping[str, str] = document["metric_names"]
    return names


def alias_carrier(ledger: Ledger, tracking_uri: str) -> Carrier:
    """Return the carrier that brings a model's aliases to the state that the ledger decided.

    A version that was registered elsewhere has no alias here: one that pointed to a version of ours is removed, since that
    no longer serves. An alias that somebody else set is left alone.
    """
    open_registry = cache(lambda: MlflowRegistry(tracking_uri))

    def move(payload: Mapping[str, object]) -> Mapping[str, object]:
        model = str(payload["model"])
        ours = ledger.models.registered(model)
        moved: dict[str, object] = {}
        for alias, version in cast(Mapping[Alias, str | None], payload["aliases"]).items():
            known = version if version in ours else None
            if known or open_registry().alias_version(model, alias) in ours:
                open_registry().move_alias(model, alias, known)
                moved[alias] = known
        return moved

    return move
