"""Columns of free text as views and embeddings, at freezing and at measuring. Texts themselves go no further than this."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.adapters.embed_model2vec import load_embedder
from retrue.config import ModelSettings, Project
from retrue.errors import ModelError
from retrue.results import EMBEDDING, ColumnDrift, ColumnKind, Profile, TextProfile, Unmeasured
from retrue.stages.functions import user_function
from retrue.statistics.domain_rows import ROWS_MAX, Rows
from retrue.statistics.domain_threshold import domain_threshold
from retrue.statistics.embedding_drift import embedding_auc, embedding_rows
from retrue.statistics.text_profile import is_free_text, profile_text, text_views
from retrue.thresholds import EMBEDDING_METHOD, domain_alpha

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

EMBEDDED_ROWS_MAX = 20_000  # of a baseline: a model takes milliseconds a text
SAMPLED_TEXTS = 2_000  # by which a column is known to be free text

Embedder = Callable[[Sequence[str]], "np.ndarray[Any, Any]"]


def freeze_texts(frame: pd.DataFrame, profile: Profile, settings: ModelSettings) -> Mapping[str, TextProfile]:
    """Return what is kept of the columns of free text, by name, without embeddings."""
    wanted = settings.drift.text.columns
    found = {}
    for name, column in profile.columns.items():
        if column.kind is not ColumnKind.TEXT or not column.measurable or name in ("prediction", "score"):
            continue
        texts = texts_of(frame, name)
        if name in wanted if wanted != "auto" else is_free_text(_some(texts)):
            found[name] = profile_text(name, texts)
    return found


def hide_texts(profile: Profile, texts: Mapping[str, TextProfile]) -> Profile:
    """Return the profile without the values of columns of free text: they are no categories, and somebody's words."""
    hidden = {name: replace(profile.columns[name], categories=None) for name in texts}
    return replace(profile, columns={**profile.columns, **hidden}) if hidden else profile


def with_views(frame: pd.DataFrame, texts: Mapping[str, TextProfile], *, own: bool) -> pd.DataFrame:
    """Return the frame with the views of its texts beside them; ``own`` for the baseline's own rows."""
    views: dict[str, Any] = {}
    for name, profile in texts.items():
        if name in frame.columns and is_textual(frame[name]):
            made = text_views(profile, texts_of(frame, name), own=own)
            views |= {view: values for view, values in made.items() if view not in frame.columns}
    return frame.assign(**views)


def texts_of(frame: pd.DataFrame, name: str) -> list[str | None]:
    """Return a column's texts, None where there is none."""
    return [each if isinstance(each, str) else None for each in frame[name].astype(object)]


def is_textual(column: pd.Series) -> bool:
    """Whether a column still holds texts, or nothing but nulls."""
    import pandas as pd

    return pd.api.types.infer_dtype(column.astype(object), skipna=True) in ("string", "empty")


def freeze_embeddings(
    project: Project,
    frame: pd.DataFrame,
    texts: Mapping[str, TextProfile],
    settings: ModelSettings,
    *,
    window_rows: int,
) -> Mapping[str, TextProfile]:
    """Return the same with the null distribution of their embeddings' drift, where embeddings are wanted.

    Raises:
        ConfigError: The extra ``text`` or the model's folder is missing.
        ModelError: The embedding function cannot be imported, raises, or returns no table of numbers.
    """
    from retrue.statistics.domain_null import REPLAYS, ROWS_MIN, STRETCHES_MIN, calibrate_auc

    embed = embedder(project, settings) if texts else None
    if embed is None:
        return texts
    rows = _spread(len(frame), EMBEDDED_ROWS_MAX)
    share = len(rows) / len(frame)
    stretch = min(round(window_rows * share), ROWS_MAX, len(rows) // STRETCHES_MIN)
    if stretch < ROWS_MIN:
        log.info(
            "embeddings are not compared: %d rows are too few to know how the baseline's own times differ", len(rows)
        )
        return texts
    alpha, seed = domain_alpha(settings, texts=len(texts)), settings.drift.seed
    frozen = {}
    for name, profile in texts.items():
        reference = embedded(embed, texts_of(frame.iloc[rows], name))
        null = calibrate_auc(reference, embedding_auc, rows=stretch, alpha=alpha, seed=seed, replays=REPLAYS)
        frozen[name] = replace(profile, embedding=null)
    return frozen


def measure_embeddings(
    project: Project,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    texts: Mapping[str, TextProfile],
    settings: ModelSettings,
) -> tuple[tuple[ColumnDrift, ...], tuple[Unmeasured, ...]]:
    """Return the drift of each column's embeddings, and what could not be measured of it; both frames in order of time.

    Where the baseline's texts are gone because their time was over, there is neither: a finding tells of it.

    Raises:
        ConfigError: The extra ``text`` or the model's folder is missing.
        ModelError: The embedding function cannot be imported, raises, or returns no table of numbers.
    """
    nulls = {name: text.embedding for name, text in texts.items() if text.embedding is not None}
    nulls = {name: null for name, null in nulls.items() if name in reference.columns and reference[name].notna().any()}
    embed = embedder(project, settings) if nulls else None
    if embed is None:
        return (), ()
    found, missing = [], []
    for name, null in nulls.items():
        if name not in current.columns or not is_textual(current[name]) or not current[name].notna().any():
            missing.append(Unmeasured(part=f"drift of {name}.{EMBEDDING}", reason="no text in the window"))
            continue
        before, now = (
            embedded(embed, texts_of(_thinned(side, limit), name))
            for side, limit in ((reference, ROWS_MAX), (current, null.rows))
        )
        threshold = domain_threshold(null, alpha=domain_alpha(settings, texts=len(texts)), rows=len(now))
        found.append(
            ColumnDrift(
                column=f"{name}.{EMBEDDING}",
                method=EMBEDDING_METHOD,
                score=embedding_auc(before, now),
                threshold=threshold,
                rows=(len(now), len(before)),
            )
        )
    return tuple(found), tuple(missing)


def embedder(project: Project, settings: ModelSettings) -> Embedder | None:
    """Return what makes embeddings of texts, None where none are wanted."""
    text = settings.drift.text
    if text.embed:
        return user_function(project, "drift.text.embed", text.embed)
    if text.model:
        return load_embedder(project.path(text.model), file=project.root / "retrue.yaml")
    return None


def embedded(embed: Embedder, texts: Sequence[str | None]) -> Rows:
    """Return the embeddings of texts; no text is the empty one.

    Raises:
        ModelError: The function raises, or returns no table of finite numbers with a row a text.
    """
    try:
        rows = embedding_rows(np.asarray(embed([each or "" for each in texts])))
    except Exception as error:
        raise ModelError(f"the embedding function fails on {len(texts)} texts: {type(error).__name__}") from error
    if len(rows) != len(texts):
        raise ModelError(f"the embedding function returns {len(rows)} rows for {len(texts)} texts")
    return rows


def _some(texts: Sequence[str | None]) -> list[str | None]:
    return [texts[at] for at in _spread(len(texts), SAMPLED_TEXTS)]


def _thinned(frame: pd.DataFrame, limit: int) -> pd.DataFrame:
    return frame.iloc[_spread(len(frame), limit)]


def _spread(rows: int, limit: int) -> list[int]:
    """Return at most ``limit`` places, evenly spaced."""
    return np.unique(np.linspace(0, rows - 1, min(rows, limit)).astype(np.int64)).tolist() if rows else []
