import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.statistics.false_discovery import discoveries

THROMBOLYSIS = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
                0.7590, 1.0]  # fmt: skip
"""The 15 p-values of Benjamini & Hochberg (1995), §3.2."""
CHANCES = st.lists(st.floats(0, 1), max_size=30)


def test_the_published_example_has_four_discoveries() -> None:
    assert sum(discoveries(THROMBOLYSIS, false_share=0.05)) == 4


def test_under_any_dependence_the_published_example_keeps_three() -> None:
    """Its divisor is the harmonic number of 15, 3.318: 0.0019 lies under 3 · 0.05 / (15 · 3.318) = 0.0030, 0.0095 over 0.0040."""
    assert sum(discoveries(THROMBOLYSIS, false_share=0.05, dependent=True)) == 3


@given(CHANCES, st.floats(0.001, 0.5))
def test_discoveries_agree_with_scipys_adjusted_p_values(chances: list[float], share: float) -> None:
    from scipy.stats import false_discovery_control

    for dependent, method in ((False, "bh"), (True, "by")):
        adjusted = false_discovery_control(chances, method=method) if chances else np.empty(0)
        if not np.isclose(adjusted, share, rtol=1e-9).any():
            assert list(discoveries(chances, false_share=share, dependent=dependent)) == (adjusted <= share).tolist()


@given(CHANCES, st.integers(0, 50))
def test_the_more_was_looked_at_the_fewer_are_discoveries(chances: list[float], more: int) -> None:
    few = discoveries(chances, false_share=0.1, looked_at=len(chances) + more)
    assert all(one <= other for one, other in zip(few, discoveries(chances, false_share=0.1), strict=True))


@pytest.mark.parametrize("bad", [float("nan"), -0.1, 1.1])
def test_a_chance_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="0-1"):
        discoveries([0.1, bad], false_share=0.05)


def test_more_p_values_than_looks_are_refused() -> None:
    with pytest.raises(ValueError, match="1 looks"):
        discoveries([0.1, 0.2], false_share=0.05, looked_at=1)
