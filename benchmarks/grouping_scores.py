"""How well groups agree with the truth. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Agreement of predicted groups with true ones; shares are of messages.

    ``grouping_accuracy`` is the share of messages whose predicted group holds exactly the messages of their true group
    (Zhu et al. 2019, "Tools and Benchmarks for Automated Log Parsing"). ``over_grouped_share`` is the share in predicted
    groups that hold more than one true group, ``under_grouped_share`` the share whose true group is spread over several.
    """

    pairwise_precision: float
    pairwise_recall: float
    grouping_accuracy: float
    over_grouped_share: float
    under_grouped_share: float
    groups: int
    truth_groups: int


def scores(predicted: Sequence[Hashable], truth: Sequence[Hashable]) -> Scores:
    """Score one prediction.

    >>> scores(["a", "a", "b", "c"], [1, 1, 2, 2])
    Scores(pairwise_precision=1.0, pairwise_recall=0.5, grouping_accuracy=0.5, over_grouped_share=0.0, under_grouped_share=0.5, groups=3, truth_groups=2)
    """
    if len(predicted) != len(truth) or not truth:
        raise ValueError(f"{len(predicted)} predictions for {len(truth)} messages")
    cells = Counter(zip(predicted, truth, strict=True))
    of_predicted, of_truth = Counter(predicted), Counter(truth)
    truths, predictions = defaultdict(set), defaultdict(set)
    for group, label in cells:
        truths[group].add(label)
        predictions[label].add(group)
    together = _pairs(cells)
    right = sum(rows for (group, label), rows in cells.items() if rows == of_predicted[group] == of_truth[label])
    over = sum(rows for group, rows in of_predicted.items() if len(truths[group]) > 1)
    under = sum(rows for label, rows in of_truth.items() if len(predictions[label]) > 1)
    return Scores(
        pairwise_precision=_share(together, _pairs(of_predicted)),
        pairwise_recall=_share(together, _pairs(of_truth)),
        grouping_accuracy=right / len(truth),
        over_grouped_share=over / len(truth),
        under_grouped_share=under / len(truth),
        groups=len(of_predicted),
        truth_groups=len(of_truth),
    )


def _pairs(sizes: Mapping[Any, int]) -> int:
    return sum(comb(rows, 2) for rows in sizes.values())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
