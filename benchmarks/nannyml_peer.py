"""NannyML beside retrue: judges the windows it reads from a folder, in an environment of its own.

NannyML 0.13.1 wants other versions of pandas and SciPy than retrue; so it lives in a folder of its own.

``python nannyml_peer.py drift FOLDER`` reads ``reference-*.parquet`` with ``windows-*.parquet``, windows one after the other, of ``rows``
rows each as ``sizes.json`` says, and prints for each pair the largest ratio of a column's score to its threshold in every window.
``python nannyml_peer.py estimate FOLDER`` reads ``reference.parquet`` and ``weeks.parquet`` with ``time``, ``label``, ``prediction`` and
``score``, and prints what CBPE estimates for each week from Monday on: metric to values and upper confidence boundaries.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

REQUIREMENTS = ("nannyml==0.13.1", "pandas<2.3", "numpy<2.1", "scikit-learn<1.6", "scipy<1.14", "statsmodels<0.16")


def ratios(reference: Any, windows: Any, rows: int) -> list[float]:
    """Return of each window the largest ratio of a column's score to its threshold, by NannyML's defaults."""
    import nannyml  # type: ignore[import-not-found]

    calculator = nannyml.UnivariateDriftCalculator(column_names=list(reference.columns), chunk_size=rows)
    calculator.fit(reference)
    found = calculator.calculate(windows).filter(period="analysis").to_df()
    return [float(each) for each in _largest(found)]


def _largest(found: Any) -> Any:
    values = found.xs("value", axis=1, level=2)
    thresholds = found.xs("upper_threshold", axis=1, level=2)
    return (values / thresholds).max(axis=1)


def estimates(reference: Any, weeks: Any, metrics: list[str]) -> dict[str, dict[str, list[float]]]:
    """Return what CBPE estimates of each week, by its defaults."""
    import nannyml

    estimator = nannyml.CBPE(
        problem_type="classification_binary",
        y_true="label",
        y_pred="prediction",
        y_pred_proba="score",
        timestamp_column_name="time",
        metrics=metrics,
        chunk_period="W",
    )
    estimator.fit(reference)
    found = estimator.estimate(weeks.drop(columns="label")).filter(period="analysis").to_df()
    sides = {"value": "value", "high": "upper_confidence_boundary"}
    return {name: {side: [float(each) for each in found[name, key]] for side, key in sides.items()} for name in metrics}


def main() -> None:
    """Judge what the folder holds."""
    import pandas as pd

    warnings.simplefilter("ignore")
    folder = Path(sys.argv[2])
    if sys.argv[1] == "estimate":
        reference, weeks = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "weeks"))
        print(json.dumps(estimates(reference, weeks, sys.argv[3:])), flush=True)
        return
    sizes = json.loads((folder / "sizes.json").read_text())
    for name, rows in sizes.items():
        reference = pd.read_parquet(folder / f"reference-{name}.parquet")
        windows = pd.read_parquet(folder / f"windows-{name}.parquet")
        print(json.dumps({"name": name, "ratios": ratios(reference, windows, rows)}), flush=True)


if __name__ == "__main__":
    main()
