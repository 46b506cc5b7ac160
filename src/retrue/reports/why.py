"""Slices and the parts of a change as rows of tables. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from retrue.digits import decimal_all
from retrue.reports.figures import count, metric, share
from retrue.results import Attribution, Interval, Measurements, Slice, Slices, Unmeasured

FEATURES_MAX = 5
SLICES_MAX = 12

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhySection:
    """What a page shows of a window's slices and of a change; empty where there is nothing.

    ``parts`` share out the change of the metric, ``features`` what inputs make of ``loss``, ``by_slice`` all of that.
    """

    metric: str
    loss: str
    change: str = ""
    parts: tuple[Row, ...] = ()
    features: tuple[Row, ...] = ()
    by_slice: tuple[Row, ...] = ()
    slices: tuple[Row, ...] = ()
    moved: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()


def why_section(measurements: Measurements) -> WhySection:
    """Return the tables of a window."""
    slices, found = measurements.slices, measurements.attribution
    split = found if isinstance(found, Attribution) else None
    name = measurements.performance.metric if measurements.performance else ""
    return WhySection(
        metric=name,
        loss=split.loss if split else slices.loss if slices else "",
        change="" if split is None else f"{metric(split.before)} to {metric(split.after)}",
        parts=tuple(_parts(split)) if split else (),
        features=tuple(_features(split)) if split else (),
        by_slice=tuple(_by_slice(split)) if split else (),
        slices=tuple(_slice(each) for each in slices.slices[:SLICES_MAX]) if slices else (),
        moved=tuple(_moved(slices)) if slices else (),
        notes=tuple(_notes(slices, found)),
    )


def _parts(split: Attribution) -> Iterator[Row]:
    yield _part("Changed inputs", split.inputs)
    yield _part("Changed relation of inputs and outcome", split.relation)
    if split.unsupported is not None and split.unsupported_share > 0:
        yield _part(f"Inputs the baseline hardly has ({share(split.unsupported_share)} of rows)", split.unsupported)


def _features(split: Attribution) -> Iterator[Row]:
    yield from (_part(each.name, each.change) for each in split.features[:FEATURES_MAX])
    rest = sum(each.change.value for each in split.features[FEATURES_MAX:]) + split.remainder
    yield {"name": "all others, and what no single feature makes", "value": _signed(rest)[0], "interval": ""}


def _by_slice(split: Attribution) -> Iterator[Row]:
    for each in sorted(split.slices, key=lambda part: -abs(part.total))[:SLICES_MAX]:
        total, inputs, relation = _signed(each.total, each.inputs + each.unsupported, each.relation)
        yield {"name": each.name, "total": total, "inputs": inputs, "relation": relation}


def _part(name: str, change: Interval) -> Row:
    value, low, high = _signed(change.value, change.low, change.high)
    return {"name": name, "value": value, "interval": f"{low} to {high}"}


def _slice(each: Slice) -> Row:
    return {
        "name": str(each),
        "rows": count(each.rows),
        "metric": "" if each.metric is None else metric(each.metric.value),
        "interval": "" if each.metric is None else f"{metric(each.metric.low)} to {metric(each.metric.high)}",
        "reference": "" if each.reference is None else metric(each.reference.value),
        "loss": metric(each.loss.value),
        "outside": metric(each.outside_loss),
        "failed": "" if each.failure_share is None else share(each.failure_share.value),
        "over": "unmet" if each.over_bound else "",
        "kind": "" if each.declared else "found",
    }


def _moved(slices: Slices) -> Iterator[Row]:
    for each in slices.moved:
        yield {
            "name": str(each),
            "share": share(each.share),
            "reference": share(each.reference_share),
            "ratio": f"{each.ratio.value:.2g}",
            "interval": f"{each.ratio.low:.2g} to {each.ratio.high:.2g}",
        }


def _notes(slices: Slices | None, split: Attribution | Unmeasured | None) -> Iterator[str]:
    if slices is not None and slices.found:
        yield (
            "Slices marked found were searched for on one half of the labelled rows; their figures are of the other half, "
            "and at most 5% of those told are expected to be chance"
        )
    if slices is not None and slices.unmeasurable:
        named = "; ".join(f"{name}: {reason}" for name, reason in slices.unmeasurable[:3])
        more = f"; and {len(slices.unmeasurable) - 3} more" if len(slices.unmeasurable) > 3 else ""
        yield f"Not judged: {named}{more}"
    if isinstance(split, Unmeasured):
        yield f"What the change comes from cannot be told: {split.reason}"
    elif split is not None:
        yield f"The change is split on {count(split.rows_after)} rows of the window and {count(split.rows_before)} of the baseline"


def _signed(*values: float) -> list[str]:
    return decimal_all(values, sign="+")
