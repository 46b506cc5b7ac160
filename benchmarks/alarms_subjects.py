"""Who judges windows for drift: retrue's calibrated thresholds, Evidently's defaults, NannyML's defaults.

Each gives a window one number, its *strength*: from 1 on it alarms. Compared at equal rates of false alarms, strengths are held
against their own quantile on windows without drift instead. Evidently's defaults for a reference of more than 1,000 rows are
the normed Wasserstein distance, and Jensen-Shannon for categories and for numbers of up to five values, at 0.1: computed with retrue's
scorers, which a contract test holds to Evidently's own scores within 1e-9.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit

from benchmarks.alarms_data import Array, Columns, Drawn
from benchmarks.nannyml_peer import REQUIREMENTS
from retrue.results.calibrated import DriftCalibration
from retrue.statistics.calibration import calibrate
from retrue.statistics.counted import present
from retrue.statistics.distances import as_distance, drift_score
from retrue.statistics.domain_rows import Rows, bounded
from retrue.statistics.domain_threshold import domain_threshold
from retrue.statistics.thresholds import limit_of, null_at

EVIDENTLY_THRESHOLD = 0.1
EVIDENTLY_FEW_VALUES = 5
FARTHEST = 500.0  # scales: of a column that never varied, or nearly so
NANNYML = Path(__file__).parents[1] / ".venv" / "nannyml"


def retrue_strengths(drawn: Drawn, alphas: Sequence[float], *, seed: int) -> Mapping[float, list[float]]:
    """Return by rate of false alarms the strength of each window: the farthest column over its limit, floors heeded."""
    rows = len(next(iter(drawn.windows[0].values())))
    calibrated = calibrate(
        drawn.reference,
        drawn.times,
        window_rows=rows,
        alpha=min(alphas),
        seed=seed,
        window_seconds=drawn.window_seconds,
    )
    farthest = [_standardised(calibrated.reference, window, calibrated.found) for window in drawn.windows]
    return {  # 1 at the limit, and in the same order
        alpha: [float(np.exp(each - limit_of(calibrated.found, alpha))) for each in farthest] for alpha in alphas
    }


def retrue_drifted(drawn: Drawn, alpha: float, *, seed: int) -> Mapping[str, list[float | None]]:
    """Return by column how many times its threshold each window is, None where it has not drifted."""
    rows = len(next(iter(drawn.windows[0].values())))
    calibrated = calibrate(
        drawn.reference,
        drawn.times,
        window_rows=rows,
        alpha=alpha,
        seed=seed,
        window_seconds=drawn.window_seconds,
    )
    judged = [calibrated.excess(window) for window in drawn.windows]
    return {name: [found.get(name) for found in judged] for name in calibrated.found.columns}


def _standardised(reference: Columns, window: Columns, found: DriftCalibration) -> float:
    """Return the largest standardised distance of the columns that reach their floor; -inf where none does or none is far."""
    farthest = -np.inf
    for name, column in found.columns.items():
        score = drift_score(reference[name], window[name], column.method)
        location, scale = null_at(column, present(window[name]), present(reference[name]))
        beyond = float(as_distance(np.asarray(score), column.method)) - location
        if score >= column.floor and beyond > 0:
            farthest = max(farthest, beyond / scale if scale else FARTHEST)
    return min(farthest, FARTHEST)


def all_at_once_strengths(drawn: Drawn, alpha: float, *, seed: int) -> list[float]:
    """Return the strength of each window by a classifier that tells it from the reference; 1 at its threshold."""
    from retrue.statistics.domain import domain_auc
    from retrue.statistics.domain_null import calibrate_domain

    reference = Rows(columns=drawn.reference)
    null = calibrate_domain(reference, window_rows=len(next(iter(drawn.windows[0].values()))), alpha=alpha, seed=seed)
    if isinstance(null, str):
        raise TypeError(null)
    strengths = []
    for window in drawn.windows:
        current = bounded(Rows(columns=window).only(null.columns), null.rows, np.random.default_rng(seed))
        auc = domain_auc(reference.only(null.columns), current, seed=seed)
        strengths.append(float(np.exp(logit(auc) - logit(domain_threshold(null, alpha=alpha, rows=len(current))))))
    return strengths


def evidently_strengths(drawn: Drawn) -> list[float]:
    """Return the strength of each window by Evidently's defaults: the largest ratio of a score to its threshold."""
    methods = {name: _evidently_method(values) for name, values in drawn.reference.items()}
    return [
        max(drift_score(drawn.reference[name], window[name], method) for name, method in methods.items())
        / EVIDENTLY_THRESHOLD
        for window in drawn.windows
    ]


def _evidently_method(values: Array) -> str:
    few = values.dtype.kind == "O" or len(np.unique(values)) <= EVIDENTLY_FEW_VALUES
    return "jensenshannon" if few else "wasserstein"


def install_nannyml() -> str:
    """Make NannyML's environment where it is absent; return why that cannot be, empty if it is there."""
    python = NANNYML / "bin" / "python"
    if python.is_file():
        return ""
    steps = (
        [sys.executable, "-m", "venv", str(NANNYML)],
        [str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", *REQUIREMENTS],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip()[-300:]
    return ""


def nannyml_strengths(drawn: Sequence[Drawn], folder: Path) -> list[list[float]]:
    """Return for each reference the strength of each window by NannyML's defaults: mean + 3 sd over chunks of the reference."""
    sizes = {}
    for place, each in enumerate(drawn):
        pd.DataFrame(dict(each.reference)).to_parquet(folder / f"reference-{place}.parquet")
        windows = [pd.DataFrame(dict(window)) for window in each.windows]
        pd.concat(windows).to_parquet(folder / f"windows-{place}.parquet")
        sizes[str(place)] = len(windows[0])
    (folder / "sizes.json").write_text(json.dumps(sizes))
    return [json.loads(line)["ratios"] for line in ask_nannyml("drift", str(folder)).splitlines()]


def ask_nannyml(*arguments: str) -> str:
    """Return what ``nannyml_peer`` prints in NannyML's environment."""
    peer = Path(__file__).with_name("nannyml_peer.py")
    command = [str(NANNYML / "bin" / "python"), str(peer), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
