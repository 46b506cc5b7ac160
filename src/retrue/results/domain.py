"""How far a window's rows can be told from the reference's by all columns at once, and the null distribution of that."""

from __future__ import annotations

from dataclasses import dataclass

from retrue.results.measured import refuse_nan, refuse_outside_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainNull:
    """The AUC of a domain classifier where nothing drifts: stretches of the reference against the rest of it.

    ``location`` and ``scale`` are the mean and the standard deviation of logit(AUC) over ``replays`` stretches of ``rows``
    rows, of which ``stretches`` do not overlap; ``quantiles`` holds (share of replays, AUC). ``threshold`` is that of a window
    of ``rows`` rows at a false-alarm rate of ``alpha``. ``columns`` are those that were compared, in order; ``left_out`` those
    by which stretches of the reference differ on their own, such as counters and dates.
    """

    location: float
    scale: float
    quantiles: tuple[tuple[float, float], ...]
    threshold: float
    alpha: float
    rows: int
    reference_rows: int
    replays: int
    stretches: int
    columns: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_nan("DomainNull", location=self.location, scale=self.scale)
        refuse_outside_unit("DomainNull", threshold=self.threshold, alpha=self.alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPart:
    """A column's share in telling the two sides apart, in 0-1; those of all columns sum to 1."""

    column: str
    part: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationChange:
    """Two columns whose relation has changed.

    ``before`` and ``now`` are rank correlations in the reference and in the window, None where a category or a null is what
    goes with the other column.
    """

    first: str
    second: str
    before: float | None = None
    now: float | None = None

    def __post_init__(self) -> None:
        refuse_nan(f"relation of {self.first} and {self.second}", before=self.before, now=self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainDrift:
    """All columns at once: the AUC of telling window from reference, 0.5 if nothing tells them apart, at most 1.

    ``parts`` ranks the columns by what they contribute, and ``relations`` names pairs, both only where it ``drifted``.
    """

    auc: float
    threshold: float
    reference_rows: int
    current_rows: int
    parts: tuple[ColumnPart, ...] = ()
    relations: tuple[RelationChange, ...] = ()
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_nan("DomainDrift", auc=self.auc, threshold=self.threshold)
        refuse_outside_unit("DomainDrift", auc=self.auc, threshold=self.threshold)

    @property
    def drifted(self) -> bool:
        return self.auc >= self.threshold
