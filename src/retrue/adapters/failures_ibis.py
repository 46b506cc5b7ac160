"""Failures of a window, grouped: counted in the engine, fingerprinted here. ibis and pyarrow are imported inside functions.

Equal failures are counted once in the engine, so that what reaches Python is bounded by the ways of failing, not by the
rows. Of more than ``ALIKE_FROM`` ways those whose messages differ in digits only are first taken as one; what is beyond
``WAYS_MAX`` even so is counted as ``everything else``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from retrue.failures import Failure, Fingerprint, group
from retrue.failures.kinds import FailureKind, failure_kind
from retrue.failures.stories import EVERYTHING_ELSE
from retrue.results import HISTOGRAM_BINS, FailureGroup
from retrue.sources.engine import hash_of
from retrue.sources.files import UNKNOWN_VERSION
from retrue.sources.pulled import PulledWindow, failed_of
from retrue.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

FAILED = "failed"
"""The table of failed records in the window's engine: ``row``, ``group``, ``kind``, ``weight``, and what counts them."""
WAYS_MAX = 10_000
ALIKE_FROM = 1_000
GROUPS_MAX = 200
SAMPLES = 5
COUNTS_MAX = 10_000
MESSAGE_MAX = 2_000  # characters
STACK_END = 8_000  # characters kept of either end of a long stack

GENERATOR = "gen_ai.request.model"

_DIGITS = r"[0-9]+"
_NEEDED = (
    "inference_id", "time", "model_version", "endpoint", "status", "sample_weight", "error_type", "error_message", "error_stack",
    "trace_id", GENERATOR,
)  # fmt: skip

REST = Fingerprint(
    id=EVERYTHING_ELSE,
    title="everything else",
    error_type="",
    message="",
    frames=(),
    reasons=(f"not among the {WAYS_MAX:,} commonest ways of failing, or the {GROUPS_MAX} largest groups",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The failures of a window in its engine's table ``FAILED``.

    ``groups`` are largest first, as in the table's column ``group``. ``weights`` maps a kind of failure to its weighted
    number, 0 where there is none. ``inferences`` is the weighted number of all records.
    """

    groups: tuple[FailureGroup, ...]
    weights: Mapping[FailureKind, float]
    inferences: float

    @property
    def shares(self) -> Mapping[str, float]:
        """The share of all inferences that failed, by kind."""
        return {kind.value: share_of(weight, self.inferences) for kind, weight in self.weights.items()}


def narrow(pulled: PulledWindow, names: Sequence[str]) -> ir.Table:
    """Return the window's table with these columns only: the cost of an expression grows with its table's columns."""
    import ibis

    table = pulled.expression()
    return ibis.table({name: table[name].type() for name in names if name in table.columns}, name=pulled.table)


def share_of(part: float, whole: float) -> float:
    """Return a share in 0-1, 0 of nothing."""
    return min(max(part / whole, 0.0), 1.0) if whole else 0.0


def measure_failures(pulled: PulledWindow, window: Window, *, in_app: Sequence[str] = ()) -> Failures | None:
    """Group the failures of a window, largest group first; None where the log does not say what failed.

    Args:
        pulled: The window, inside its block. Its engine gets the table ``FAILED``.
        window: What the histograms divide.
        in_app: Modules of the user's own code, whose frames tell failures apart.
    """
    table = narrow(pulled, _NEEDED)
    failed = failed_of(table)
    if failed is None:
        return None
    ((inferences,),) = pulled.engine.fetch(table.aggregate(total=table.sample_weight.sum()))
    rows = _columns(table.mutate(row=table.rowid()).filter(failed))
    prints, statuses = _mark(pulled, rows, window, in_app)
    return Failures(
        groups=tuple(_groups(pulled, prints, statuses, float(inferences or 0), window)),
        weights=_weights(pulled),
        inferences=float(inferences or 0),
    )


def _columns(failed: ir.Table) -> ir.Table:
    """Return failed records under names of our own, texts cut and never null."""
    import ibis

    def text(name: str, absent: str = "") -> ir.StringValue:
        return failed[name].fill_null(absent) if name in failed.columns else ibis.literal(absent)

    stack = text("error_stack")
    ends = stack.left(STACK_END) + "\n" + stack.right(STACK_END)
    return failed.select(
        row=failed.row,
        identity=failed.inference_id,
        at=failed.time,
        weight=failed.sample_weight,
        version=text("model_version", UNKNOWN_VERSION),
        endpoint=text("endpoint"),
        generator=text(GENERATOR),
        trace=text("trace_id"),
        status=text("status", "error").lower(),
        error_type=text("error_type"),
        message=text("error_message").left(MESSAGE_MAX),
        stack=ibis.ifelse(stack.length() > 2 * STACK_END, ends, stack),
    )


def _mark(
    pulled: PulledWindow, rows: ir.Table, window: Window, in_app: Sequence[str]
) -> tuple[list[Fingerprint], list[str]]:
    """Write the table of failed records with their groups; return the groups' fingerprints and statuses by number."""
    import ibis
    import pyarrow as pa

    engine = pulled.engine
    key = _key(rows, message=rows.message, stack=rows.stack)
    ((ways,),) = engine.fetch(rows.aggregate(ways=key.nunique()))
    if ways > ALIKE_FROM:
        key = _key(rows, message=rows.message.re_replace(_DIGITS, "0"), stack=rows.stack)
    keyed = rows.mutate(key=key)
    found = _ways(pulled, keyed)
    prints = group([failure for _, _, failure in found], in_app=in_app)
    numbers, kept, statuses = _number(found, prints)
    marks = {
        "key": pa.array([key for key, _, _ in found], pa.uint64()),
        "group": pa.array([numbers.get(each.id, len(kept)) for each in prints], pa.int32()),
        "kind": pa.array([failure_kind(each.status, each.error_type, each.message) for _, _, each in found], pa.string()),
    }  # fmt: skip
    with engine.registered(pa.table(marks)) as lent:
        marked = keyed.left_join(engine.table(lent), "key")
        unmarked = ibis.ifelse(marked.status.isin(("timeout", "rejected")), marked.status, FailureKind.CRASH.value)
        seconds = max((window.end - window.start).total_seconds(), 1.0)
        since = marked.at.epoch_seconds() - int(window.start.timestamp())
        table = marked.select(
            "row", "identity", "at", "weight", "version", "endpoint", "generator", "trace",
            group=marked.group.fill_null(len(kept)),
            kind=marked.kind.fill_null(unmarked),
            bin=(since * HISTOGRAM_BINS / seconds).floor().cast("int64").clip(0, HISTOGRAM_BINS - 1),
        )  # fmt: skip
        engine.create(FAILED, table)
    return [*kept, REST], [*statuses, "error"]


def _key(rows: ir.Table, *, message: ir.Value, stack: ir.Value) -> ir.Value:
    import ibis

    return hash_of()(ibis.struct({"t": rows.error_type, "m": message, "s": stack, "u": rows.status}))


def _ways(pulled: PulledWindow, keyed: ir.Table) -> list[tuple[int, int, Failure]]:
    import ibis

    ways = keyed.group_by("key").aggregate(
        rows=keyed.count(),
        error_type=keyed.error_type.min(),
        message=keyed.message.min(),
        stack=keyed.stack.min(),
        status=keyed.status.min(),
    )
    found = pulled.engine.fetch(ways.order_by(ibis.desc("rows"), "key").limit(WAYS_MAX))
    return [
        (key, rows, Failure(error_type=error_type, message=message, stack=stack, status=status))
        for key, rows, error_type, message, stack, status in found
    ]


def _number(
    found: Sequence[tuple[int, int, Failure]], prints: Sequence[Fingerprint]
) -> tuple[dict[str, int], list[Fingerprint], list[str]]:
    """Number the largest groups by their rows, then id; each has the status and the words of its commonest failure."""
    rows: Counter[str] = Counter()
    first: dict[str, tuple[Fingerprint, str]] = {}
    for (_, count, failure), each in zip(found, prints, strict=True):
        rows[each.id] += count
        first.setdefault(each.id, (each, failure.status))
    largest = sorted(rows, key=lambda identity: (-rows[identity], identity))[:GROUPS_MAX]
    numbers = {identity: number for number, identity in enumerate(largest)}
    return numbers, [first[identity][0] for identity in largest], [first[identity][1] for identity in largest]


def _groups(
    pulled: PulledWindow, prints: Sequence[Fingerprint], statuses: Sequence[str], inferences: float, window: Window
) -> list[FailureGroup]:
    table = pulled.engine.table(FAILED)
    sums = table.group_by("group").aggregate(
        rows=table.count(), weight=table.weight.sum(), first=table["at"].min(), last=table["at"].max()
    )
    versions, endpoints = _counted(pulled, "version"), _counted(pulled, "endpoint")
    bins = _counted(pulled, "bin")
    samples, traces = _drawn(pulled, "identity"), _drawn(pulled, "trace")
    return [
        FailureGroup(
            id=prints[number].id,
            title=prints[number].title,
            error_type=prints[number].error_type,
            message=prints[number].message,
            frames=tuple(prints[number].frames),
            reasons=tuple(prints[number].reasons),
            status=statuses[number],
            rows=rows,
            weight=float(weight),
            share=share_of(float(weight), inferences),
            versions=versions[number],
            endpoints={name: count for name, count in endpoints[number].items() if name},
            first_at=_utc(first),
            last_at=_utc(last),
            histogram=tuple(bins[number].get(place, 0) for place in range(HISTOGRAM_BINS)),
            samples=tuple(samples[number]),
            traces=tuple(traces[number]),
        )
        for number, rows, weight, first, last in sorted(pulled.engine.fetch(sums))
    ]


def _counted(pulled: PulledWindow, column: str) -> Mapping[int, Mapping[Any, int]]:
    """Count rows of each group by the values of a column, commonest first; the rarest of very many are left out."""
    import ibis

    table = pulled.engine.table(FAILED)
    counts = table.group_by("group", column).aggregate(rows=table.count())
    found: dict[int, dict[Any, int]] = defaultdict(dict)
    for number, value, rows in pulled.engine.fetch(counts.order_by(ibis.desc("rows"), column).limit(COUNTS_MAX)):
        found[number][value] = rows
    return found


def _drawn(pulled: PulledWindow, column: str) -> Mapping[int, list[str]]:
    """Draw a few values of each group, the same from the same records in any order, and of the same records where possible."""
    import ibis

    table = pulled.engine.table(FAILED)
    given = table.filter(table[column] != "")
    place = ibis.row_number().over(group_by=given.group, order_by=[hash_of()(given.identity), given.identity])
    ranked = given.select("group", value=given[column], place=place)
    found: dict[int, dict[str, None]] = defaultdict(dict)
    few = ranked.filter(ranked.place < SAMPLES).order_by("group", "place").select("group", "value")
    for number, value in pulled.engine.fetch(few):
        found[number][value] = None
    return defaultdict(list, {number: list(values) for number, values in found.items()})


def _weights(pulled: PulledWindow) -> Mapping[FailureKind, float]:
    table = pulled.engine.table(FAILED)
    found = dict(pulled.engine.fetch(table.group_by("kind").aggregate(weight=table.weight.sum())))
    return {kind: float(found.get(kind.value, 0.0)) for kind in FailureKind}


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
