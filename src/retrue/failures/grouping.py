"""Many failures into groups. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from retrue.failures.fingerprint import Failure, Fingerprint, fingerprint


def group(failures: Sequence[Failure], *, in_app: Sequence[str] = ()) -> tuple[Fingerprint, ...]:
    """Return the fingerprint of each failure, in the same order; failures of one group have the same ``id``."""
    return tuple(fingerprint(failure, in_app=in_app) for failure in failures)
