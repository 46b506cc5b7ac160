import numpy as np
import pytest

from retrue.statistics.blocks import single
from retrue.statistics.distances import code, drift_score
from retrue.statistics.power import detectable_share, detectable_shift

RNG = np.random.default_rng(0)
VALUES = RNG.normal(10, 3, 10_000)
LABELS = RNG.choice(["a", "b", "c"], 10_000, p=[0.6, 0.3, 0.1])
DRAWS = single(10_000, 1000, 200, RNG)


@pytest.mark.parametrize(("method", "threshold"), [("wasserstein", 0.12), ("jensenshannon", 0.09), ("psi", 0.3)])
def test_four_windows_of_five_show_the_detectable_shift(method: str, threshold: float) -> None:
    shift = detectable_shift(VALUES, DRAWS, method, threshold)
    assert shift is not None
    limit = threshold if method != "psi" else threshold**2
    fresh = [RNG.normal(10 + shift * 3, 3, 1000) for _ in range(200)]
    seen = np.mean([drift_score(VALUES, window, method) >= limit for window in fresh])
    assert 0.6 < seen < 0.97


def test_a_shift_that_the_score_takes_for_a_thousandth_of_itself_is_not_detectable() -> None:
    """Scored in its own unit, a standard deviation of 1e-6 counts as 0.001."""
    assert detectable_shift(VALUES * 1e-6 / 3, DRAWS, "wasserstein", 0.05) is None
    assert detectable_shift(VALUES * 1e-4 / 3, DRAWS, "wasserstein", 0.05) == pytest.approx(0.5, abs=0.1)


def test_four_windows_of_five_show_the_detectable_share() -> None:
    share = detectable_share(code(LABELS, "jensenshannon"), DRAWS, "jensenshannon", 0.06)
    assert share is not None
    moved = share / (1 - float((LABELS == "b").mean()))  # of all rows; some of them are "b" already
    fresh = [np.where(RNG.random(1000) < moved, "b", RNG.choice(LABELS, 1000)) for _ in range(200)]
    seen = np.mean([drift_score(LABELS, window, "jensenshannon") >= 0.06 for window in fresh])
    assert 0.6 < seen < 0.97


def test_a_higher_threshold_hides_more_and_too_high_a_one_everything() -> None:
    found = [detectable_shift(VALUES, DRAWS, "wasserstein", each) for each in (0.1, 0.2, 1.0)]
    assert found == sorted(found, key=lambda each: each or 0)
    assert detectable_shift(VALUES, DRAWS, "wasserstein", 9.0) is None
    assert detectable_share(code(LABELS, "jensenshannon"), DRAWS, "jensenshannon", 0.9) is None


def test_a_constant_text_shows_a_new_category() -> None:
    same = np.full(2000, "a")
    share = detectable_share(code(same, "jensenshannon"), single(2000, 500, 20, RNG), "jensenshannon", 0.05)
    assert share == pytest.approx(0.007, abs=0.002)
