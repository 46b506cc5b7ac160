"""Direct loss estimation finds the error of a window from its features, and covers the error that is realised."""

import numpy as np
import pytest

from retrue.statistics.direct_loss import estimate_loss, losses_of

ROWS = 4_000


def world(rng: np.random.Generator, rows: int, *, low: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, labels and predictions of a model whose error grows with the first feature."""
    inputs = rng.random((rows, 2))
    inputs[:, 0] = low + (1 - low) * inputs[:, 0]
    predicted = 10 * inputs[:, 1]
    return inputs, predicted + rng.normal(0, 0.2 + 2 * inputs[:, 0]), predicted


@pytest.mark.parametrize(("metric", "seed"), [("mae", 0), ("rmse", 1), ("mae", 2)])
def test_a_window_with_harder_rows_is_estimated_within_its_interval(metric: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    known, truth, said = world(rng, ROWS)
    harder, later, answered = world(rng, 1_000, low=0.7)
    found = estimate_loss(
        metric,
        reference=known,
        losses=losses_of(metric, truth, said),
        reference_weight=np.ones(ROWS),
        window=harder,
        window_weight=np.ones(1_000),
        seed=0,
    )
    realised = losses_of(metric, later, answered).mean() ** (0.5 if metric == "rmse" else 1)
    before = losses_of(metric, truth, said).mean() ** (0.5 if metric == "rmse" else 1)
    assert abs(found.value - realised) < 3 * found.sd
    assert found.value - before > 3 * found.sd  # it sees that the rows are harder


def test_the_order_of_the_windows_rows_and_rows_for_weights_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    known, truth, said = world(rng, 600)
    window = world(rng, 50)[0]
    counts = rng.integers(1, 4, 50)
    fixed = {
        "reference": known,
        "losses": losses_of("mae", truth, said),
        "reference_weight": np.ones(600),
        "seed": 0,
    }
    heavy = estimate_loss("mae", window=window, window_weight=counts.astype(float), **fixed)
    places = rng.permutation(np.repeat(np.arange(50), counts))
    many = estimate_loss("mae", window=window[places], window_weight=np.ones(len(places)), **fixed)
    assert heavy.value == pytest.approx(many.value)


def test_a_reference_whose_blocks_differ_widens_the_interval() -> None:
    steady = np.tile([1.0, 3.0], 500)
    moving = np.repeat([0.5, 3.5, 1.0, 3.0, 2.0], 200)
    inputs = np.zeros((1_000, 1))
    wide, narrow = (
        estimate_loss(
            "mae", reference=inputs, losses=losses, reference_weight=np.ones(1_000), window=inputs,
            window_weight=np.ones(1_000), seed=0,
        )
        for losses in (moving, steady)
    )  # fmt: skip
    assert wide.value == pytest.approx(narrow.value)
    assert wide.sd > 5 * narrow.sd
