"""All columns at once: the null distribution frozen with a baseline, and the drift of a window.

The learner is imported in functions: scikit-learn takes two seconds.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.config import ModelSettings
from retrue.findings.domain import DOMAIN, DOMAIN_UNFROZEN
from retrue.results import Baseline, ColumnKind, DomainDrift, DomainNull, Profile, TextProfile, Unmeasured
from retrue.statistics.domain_rows import ROWS_MAX, ROWS_MIN, Rows, bounded
from retrue.statistics.domain_threshold import domain_threshold
from retrue.thresholds import domain_alpha, domain_kinds

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def freeze_domain(
    frame: pd.DataFrame,
    profile: Profile,
    settings: ModelSettings,
    texts: Mapping[str, TextProfile],
    *,
    window_rows: int,
) -> DomainNull | None:
    """Return the null distribution of rows in order of time, which all count the same, None where it is switched off or there are too few of them."""
    from retrue.statistics.domain_null import calibrate_domain

    if not settings.drift.multivariate:
        return None
    kinds = {name: kind for name, kind in domain_kinds(profile, settings, texts).items() if name in frame.columns}
    reference = rows_of(frame, kinds)
    embedded = sum(text.embedding is not None for text in texts.values())
    found = calibrate_domain(
        reference,
        window_rows=window_rows,
        alpha=domain_alpha(settings, texts=embedded),
        seed=settings.drift.seed,
    )
    if isinstance(found, str):
        log.info("all columns at once are not compared: %s", found)
        return None
    return found


def measure_domain(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    baseline: Baseline,
    settings: ModelSettings,
    *,
    retyped: Sequence[str] = (),
) -> DomainDrift | Unmeasured:
    """Return how well a window's rows are told from the baseline's.

    Args:
        reference: Frozen rows in order of time, which all count the same.
        current: The window's, likewise; of more than the null distribution has so many are drawn.
        baseline: With its null distribution.
        settings: The model's.
        retyped: Columns that are of another kind by now; they are left out, as missing ones are, since findings tell of them.
    """
    from retrue.statistics.domain import domain_auc, explain_domain

    null = baseline.domain
    if null is None or _apart(baseline, null.columns):
        return domain_unfrozen(baseline)
    known = domain_kinds(baseline.profile, settings, baseline.texts)
    names = [name for name in null.columns if name in known and name in current.columns and name not in retyped]
    if len(names) < 2:
        return Unmeasured(part=DOMAIN, reason=f"{len(names)} of {len(null.columns)} columns are there")
    if len(current) < ROWS_MIN:
        return Unmeasured(part=DOMAIN, reason=f"{len(current)} rows, under {ROWS_MIN}")
    kinds = {name: known[name] for name in names}
    drawn = bounded(rows_of(current, kinds), null.rows, np.random.default_rng(settings.drift.seed))
    sides = rows_of(reference, kinds), drawn
    embedded = sum(text.embedding is not None for text in baseline.texts.values())
    threshold = domain_threshold(null, alpha=domain_alpha(settings, texts=embedded), rows=len(drawn))
    auc = domain_auc(*sides, seed=settings.drift.seed)
    _, parts, relations = explain_domain(*sides, seed=settings.drift.seed) if auc >= threshold else (auc, (), ())
    return DomainDrift(
        auc=auc,
        threshold=threshold,
        reference_rows=min(len(reference), ROWS_MAX),
        current_rows=len(drawn),
        parts=parts,
        relations=relations,
        left_out=null.left_out,
    )


def domain_unfrozen(baseline: Baseline) -> Unmeasured:
    """Say why nothing is judged of all columns at once; it leaves the verdict alone."""
    why = "was frozen without it, or of too few rows or columns"
    if baseline.marginals and baseline.domain:
        why = f"holds each column by itself since {baseline.marginals.made_at:%Y-%m-%d} ({baseline.marginals.reason})"
    return Unmeasured(part=DOMAIN_UNFROZEN, reason=f"the baseline of version {baseline.version} {why}")


def _apart(baseline: Baseline, columns: Sequence[str]) -> bool:
    """Whether the reference no longer holds rows of these columns: shuffled by themselves they have no relations."""
    return baseline.marginals is not None and bool(set(columns) & set(baseline.marginals.columns))


def rows_of(frame: pd.DataFrame, kinds: Mapping[str, ColumnKind]) -> Rows:
    """Return columns of a frame in order of its rows; other values than a column's kind has are null."""
    return Rows(columns={name: _values(frame[name], kind) for name, kind in kinds.items()})


def _values(column: pd.Series, kind: ColumnKind) -> np.ndarray[Any, Any]:
    import pandas as pd

    if kind is ColumnKind.NUMBER:
        with warnings.catch_warnings(action="ignore"):
            return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    values = column.astype(object)
    return values.where(values.notna(), None).to_numpy(dtype=object)
