"""Why a window is what it is: its weak slices, what a change comes from, what a model leans on. Shares are in 0-1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from retrue.results.failures import Condition
from retrue.results.measured import Interval, refuse_nan, refuse_outside_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The labelled rows of a window for which ``conditions`` hold.

    ``declared`` ones come from the settings, the others were found. ``rows`` counts all labelled rows in it, ``share`` is
    their weighted share. ``loss`` is the mean loss of its rows, ``outside_loss`` that of the others; ``metric`` is the judged
    metric on it and ``reference`` the same on the baseline's rows of the slice, None where it has no value or too few rows.
    The figures of a found slice are of the half of the rows it was not found on. ``drop`` is by how much the metric is worse
    than on those reference rows, in units of the metric, and ``drop_chance`` the p-value of its exceeding the bound of the
    settings, None where there is no bound. ``failure_share`` is that of all inferences in the slice.
    """

    conditions: tuple[Condition, ...]
    declared: bool
    rows: int
    share: float
    loss: Interval
    outside_loss: float
    metric: Interval | None = None
    reference: Interval | None = None
    drop: Interval | None = None
    drop_chance: float | None = None
    over_bound: bool = False
    failure_share: Interval | None = None

    def __post_init__(self) -> None:
        refuse_outside_unit("Slice", share=self.share, drop_chance=self.drop_chance)
        refuse_nan("Slice", outside_loss=self.outside_loss)

    def __str__(self) -> str:
        return " and ".join(map(str, self.conditions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Inputs that are commoner in the window than in the reference: the ``share`` of each, and how often more with its interval."""

    conditions: tuple[Condition, ...]
    share: float
    reference_share: float
    ratio: Interval

    def __post_init__(self) -> None:
        refuse_outside_unit("Moved", share=self.share, reference_share=self.reference_share)

    def __str__(self) -> str:
        return " and ".join(map(str, self.conditions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """Slices of a window: declared ones in their order, then those found, weakest first.

    ``loss`` names what is averaged per row, ``rows`` counts labelled rows examined, ``tested`` the found conditions that were
    put to the test. ``moved`` are inputs that became commoner. ``unmeasurable`` holds (slice, reason).
    """

    loss: str
    rows: int
    tested: int
    slices: tuple[Slice, ...] = ()
    moved: tuple[Moved, ...] = ()
    unmeasurable: tuple[tuple[str, str], ...] = ()

    @property
    def declared(self) -> tuple[Slice, ...]:
        return tuple(each for each in self.slices if each.declared)

    @property
    def found(self) -> tuple[Slice, ...]:
        return tuple(each for each in self.slices if not each.declared)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a change, in units of what changed."""

    name: str
    change: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicePart:
    """What the rows of one slice add to a change: ``total`` = ``inputs`` + ``relation`` + ``unsupported``."""

    name: str
    total: float
    inputs: float
    relation: float
    unsupported: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """A change of a measure split into what comes from its inputs and what from a changed relation.

    ``total`` is after less before, in units of ``measure``, and equals ``inputs`` + ``relation`` + ``unsupported``:
    ``relation`` is the change on inputs that both sides have, ``unsupported`` that of inputs which hardly occur on the other
    side, None where the measure cannot be split there (it is then in ``inputs``). ``unsupported_share`` is the share of the
    window's rows that are such inputs. ``loss_total`` is the change of ``loss``, a mean over rows. ``features`` are parts of
    what its inputs make of it, largest first, and add up to that with ``remainder``; ``slices`` add up to ``loss_total``.
    """

    measure: str
    before: float
    after: float
    total: Interval
    inputs: Interval
    relation: Interval
    unsupported: Interval | None
    unsupported_share: float
    loss: str
    loss_total: Interval
    features: tuple[Part, ...]
    remainder: float
    slices: tuple[SlicePart, ...] = ()
    rows_before: int = 0
    rows_after: int = 0

    def __post_init__(self) -> None:
        refuse_nan("Attribution", before=self.before, after=self.after, remainder=self.remainder)
        refuse_outside_unit("Attribution", unsupported_share=self.unsupported_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """How much a model leans on each feature, as its answers show.

    ``fidelity`` is the share of the answers' variance that a surrogate learned from the features explains on rows it has not
    seen, 1 at best. ``shares`` are of what the surrogate loses when a feature is shuffled; features that go together
    are shuffled together and each has their share, so that they may add up to more than 1. ``sds`` are standard deviations over folds and shuffles.
    """

    fidelity: float
    shares: Mapping[str, float] = field(default_factory=dict)
    sds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_nan("Reliance", fidelity=self.fidelity, **self.sds)
        refuse_outside_unit("Reliance", **self.shares)
