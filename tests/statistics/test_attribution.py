"""Parts of a change: they add up, and on simulations where the truth is known it lies in their intervals."""

from dataclasses import dataclass

import numpy as np
import pytest

from retrue.statistics.attribution import LossSplit, Overlap, compare_inputs, split_loss, split_metric

ROWS = 3000


@dataclass(frozen=True, kw_only=True)
class World:
    """Losses with mean 0.5 + 0.3 tanh(x0) + 0.1 max(x1, 0): inputs shifted in x0, and ``harder`` by as much where x2 > 0."""

    shift: float = 0.0
    harder: float = 0.0
    rows: int = ROWS

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
        x = rng.normal(size=(self.rows, 5))
        x[:, 0] += self.shift
        x[:, 4] = 0.6 * x[:, 0] + 0.8 * x[:, 4]  # goes with x0, and no loss follows from it
        mean = 0.5 + 0.3 * np.tanh(x[:, 0]) + 0.1 * np.maximum(x[:, 1], 0) + self.harder * (x[:, 2] > 0)
        return {f"x{number}": x[:, number] for number in range(5)}, mean + rng.exponential(0.3, self.rows) - 0.3


def compared(world: World, seed: int) -> tuple[Overlap, np.ndarray]:
    rng = np.random.default_rng(seed)
    (before, old), (after, new) = World(rows=world.rows).draw(rng), world.draw(rng)
    overlap = compare_inputs(before, after, before_weight=np.ones(len(old)), after_weight=np.ones(len(new)), seed=seed)
    return overlap, np.concatenate([old, new])


def split(world: World, seed: int = 0) -> LossSplit:
    overlap, loss = compared(world, seed)
    return split_loss(overlap, loss, seed=seed)


def moved_by(shift: float) -> float:
    """How much a shift of x0 adds to the mean loss, by a large draw."""
    x = np.random.default_rng(99).normal(size=2_000_000)
    return float(0.3 * (np.tanh(x + shift) - np.tanh(x)).mean())


@pytest.mark.parametrize(
    "world",
    [World(), World(shift=0.7), World(harder=0.1), World(shift=0.7, harder=0.1), World(shift=-0.5, harder=-0.06)],
    ids=["nothing", "inputs", "relation", "both", "both better"],
)
def test_the_truth_lies_in_the_intervals(world: World) -> None:
    """Of 8 draws at most 2 may miss by chance: 99.4 % of binomial(8, 0.05). x2 is independent of the shift: half are harder."""
    inputs = relation = 0
    for seed in range(8):
        found = split(world, seed)
        inputs += found.inputs.low <= moved_by(world.shift) <= found.inputs.high
        relation += found.relation.low <= world.harder / 2 <= found.relation.high
    assert inputs >= 6
    assert relation >= 6


def test_parts_add_up_to_the_change_of_the_mean() -> None:
    overlap, loss = compared(World(shift=1.2, harder=0.1), seed=1)
    found = split_loss(overlap, loss)
    change = loss[ROWS:].mean() - loss[:ROWS].mean()
    assert found.total.value == pytest.approx(change, abs=1e-12)
    assert found.after - found.before == pytest.approx(change, abs=1e-12)
    parts = found.inputs.value + found.relation.value + found.unsupported.value
    assert parts == pytest.approx(change, abs=1e-12)
    assert sum(each.change.value for each in found.features) + found.remainder == pytest.approx(found.inputs.value)


def test_the_inputs_part_is_put_down_to_the_feature_that_shifted_not_to_the_one_beside_it() -> None:
    found = split(World(shift=0.7))
    assert found.features[0].name == "x0"
    assert found.features[0].change.value > 0.7 * found.inputs.value
    beside = next(each for each in found.features if each.name == "x4")
    assert abs(beside.change.value) < 0.1 * found.inputs.value
    assert abs(found.remainder) < 0.25 * found.inputs.value


def test_inputs_that_only_one_side_has_are_a_part_of_their_own() -> None:
    """A third of after lies where before has nothing; nobody can tell there whether the relation has changed."""
    rng = np.random.default_rng(5)
    (before, old), (after, new) = World().draw(rng), World().draw(rng)
    far = rng.random(ROWS) < 1 / 3
    after["x1"] = np.where(far, 9.0, after["x1"])
    new = new + far * 1.0
    overlap = compare_inputs(before, after, before_weight=np.ones(ROWS), after_weight=np.ones(ROWS))
    found = split_loss(overlap, np.concatenate([old, new]))
    assert overlap.unsupported_share == pytest.approx(far.mean(), abs=0.02)
    assert found.unsupported.value == pytest.approx(far.mean(), abs=0.06)
    assert abs(found.relation.value) < 0.03


def test_slices_add_up_to_every_part() -> None:
    overlap, loss = compared(World(shift=0.7, harder=0.2), seed=2)
    high = overlap.matrix[:, 2] > np.median(overlap.matrix[:, 2])
    found = split_loss(overlap, loss, slices=[("low", ~high), ("high", high)])
    for part in ("total", "inputs", "relation", "unsupported"):
        whole = getattr(found, part).value
        assert sum(getattr(each, part) for each in found.slices) == pytest.approx(whole, abs=1e-12)
    low, hard = found.slices
    assert hard.relation > 5 * abs(low.relation)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    rng = np.random.default_rng(7)
    (before, old), (after, new) = World().draw(rng), World(harder=0.2).draw(rng)
    weight = np.where(after["x2"] > 0, 2.0, 1.0)
    overlap = compare_inputs(before, after, before_weight=np.ones(ROWS), after_weight=weight)
    found = split_loss(overlap, np.concatenate([old, new]))
    assert found.after == pytest.approx(np.average(new, weights=weight))
    assert found.relation.value == pytest.approx(0.1, abs=0.04)
    assert found.inputs.value == pytest.approx(found.total.value - 0.1, abs=0.04)


@pytest.mark.parametrize(("shift", "harder"), [(0.8, 0.0), (0.0, 0.25)], ids=["inputs", "relation"])
def test_a_metric_that_is_no_mean_is_split_by_weighting_both_sides_alike(shift: float, harder: float) -> None:
    """The root of the mean, as a stand-in for any metric of weighted rows."""
    world = World(shift=shift, harder=harder)
    overlap, loss = compared(world, seed=3)
    rng = np.random.default_rng(0)
    counts = [rng.multinomial(ROWS, np.full(ROWS, 1 / ROWS), size=60) for _ in range(2)]

    def root_of_mean(after: bool, weight: np.ndarray) -> tuple[float, np.ndarray]:
        rows = loss[ROWS:] if after else loss[:ROWS]
        drawn = (counts[after] * weight) @ rows / (counts[after] * weight).sum(axis=1)
        return float(np.sqrt(np.average(rows, weights=weight))), np.sqrt(np.maximum(drawn, 0))

    found = split_metric(overlap, root_of_mean)
    assert found.inputs.value + found.relation.value == pytest.approx(found.total.value)
    large, small = (found.inputs, found.relation) if shift else (found.relation, found.inputs)
    assert large.low > 0.03
    assert small.low < 0.01
    assert small.high > -0.01
    assert abs(small.value) < 0.3 * large.value


def test_categories_and_missing_values_are_inputs_too() -> None:
    rng = np.random.default_rng(8)
    kind = rng.choice(["a", "b", None], 2000, p=[0.6, 0.3, 0.1])
    later = rng.choice(["a", "b", None], 2000, p=[0.2, 0.7, 0.1])
    losses = [np.where(each == "b", 1.0, 0.5) + rng.normal(0, 0.1, 2000) for each in (kind, later)]
    overlap = compare_inputs(
        {"kind": kind.astype(object)}, {"kind": later.astype(object)}, before_weight=np.ones(2000),
        after_weight=np.ones(2000),
    )  # fmt: skip
    found = split_loss(overlap, np.concatenate(losses))
    assert found.inputs.value == pytest.approx(0.2, abs=0.03)
    assert abs(found.relation.value) < 0.02


def test_rows_that_come_in_clumps_do_not_pass_for_a_changed_relation() -> None:
    """Every hour has luck of its own and nothing changed: by rows the intervals would miss 0 in most draws, by stretches they do not."""
    by_rows = by_stretches = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        sides = [World().draw(rng) for _ in range(2)]
        hour = np.arange(ROWS) * 12 // ROWS
        losses = [loss + rng.normal(0, 0.15, 12)[hour] for _, loss in sides]
        times = {"before_time": np.arange(ROWS), "after_time": np.arange(ROWS)}
        for given in ({}, times):
            overlap = compare_inputs(
                sides[0][0], sides[1][0], before_weight=np.ones(ROWS), after_weight=np.ones(ROWS), seed=seed, **given
            )
            relation = split_loss(overlap, np.concatenate(losses)).relation
            missed = not relation.low <= 0 <= relation.high
            by_rows += missed and not given
            by_stretches += missed and bool(given)
    assert by_rows >= 4
    assert by_stretches <= 2
