"""Which records of a frame failed. pandas is imported by callees."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

STATUS_COLUMNS = ("status", "error_type")


def failed_rows(frame: pd.DataFrame) -> pd.Series:
    """Return whether each record failed: a status other than ``ok``, or none but an error type."""
    import pandas as pd

    none = pd.Series(data=None, index=frame.index, dtype="string")
    texts = (frame[name].astype("string") if name in frame.columns else none for name in STATUS_COLUMNS)
    status, error = (text.mask(text == "") for text in texts)
    failed: pd.Series = (status.notna() & (status.str.lower() != "ok")) | (status.isna() & error.notna())
    return failed.astype(bool)
