"""What people and model servers do around the deployed flows, in a process of its own: Prefect reads its address once.

`python -m tests.e2e.acting introduce FOLDER WEBHOOK` or `… serve FOLDER DAY…`
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from retrue.adapters.registry_mlflow import MlflowRegistry
from retrue.stages.introduce import introduce
from retrue.stages.training import LabelledRows, predict, with_predictions
from retrue.workspace import Workspace, open_workspace
from tests.e2e.project import BLOCK, DAY, FEATURES, LEARNED, MODEL, SERVED, draw, write_day


def introduce_model(folder: Path, webhook: str) -> None:
    """Tell Prefect where messages go, and make the first version the champion."""
    import pandas as pd

    with open_workspace(folder) as workspace:
        from prefect.blocks.notifications import CustomWebhookNotificationBlock

        message = {"subject": "{{subject}}", "body": "{{body}}"}
        CustomWebhookNotificationBlock(name=BLOCK, url=webhook, json_data=message).save(BLOCK)
        frame = pd.concat([draw(LEARNED + number * DAY) for number in range((SERVED - LEARNED).days)])
        introduce(workspace, MODEL, LabelledRows(frame=frame, features=FEATURES), source="the first days of March")


def serve(folder: Path, *days: str) -> None:
    """Let the champion answer some days' ferries."""
    with open_workspace(folder) as workspace:
        for day in days:
            _serve_day(workspace, datetime.fromisoformat(day))


def _serve_day(workspace: Workspace, day: datetime) -> None:
    models, settings = workspace.ledger.models, workspace.project.model(MODEL)
    version = models.champion(MODEL)
    assert version is not None
    digest = models.version_digest(MODEL, version)
    model = MlflowRegistry(workspace.mlflow).load_version(MODEL, version, sha256=digest)
    frame = draw(day)
    answered = with_predictions(frame, predict(model, frame[list(FEATURES)], settings))
    write_day(workspace.project.root, MODEL, day, answered, version=version)


if __name__ == "__main__":
    what, folder, *words = sys.argv[1:]
    {"introduce": introduce_model, "serve": serve}[what](Path(folder), *words)
