"""Gather the findings that wake nobody into one message per model."""

from __future__ import annotations

from collections.abc import Sequence

from retrue.ledger import Digest
from retrue.reports.digest import render_digest
from retrue.stages.monitor import carry_out
from retrue.workspace import Workspace


def make_digests(workspace: Workspace) -> Sequence[Digest]:
    """Make a digest of every model that has something new to tell, and send what waits in the outbox.

    It goes to the blocks under ``notify.digest``, or to those under ``notify.warning`` where there are none.
    """
    digests = [_make(workspace, model) for model in workspace.project.models]
    carry_out(workspace)
    return [digest for digest in digests if digest is not None]


def _make(workspace: Workspace, model: str) -> Digest | None:
    notify = workspace.project.model(model).notify
    blocks = (notify.digest or notify.warning) if notify.info == "digest" else ()
    return workspace.ledger.digests.make(model, blocks=blocks, render=render_digest, now=workspace.now())
