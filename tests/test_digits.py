from hypothesis import given
from hypothesis import strategies as st

from retrue.digits import decimal, decimal_all, percent

POSITIVE = st.floats(1e-300, 1e6)


@given(POSITIVE)
def test_nothing_looks_like_nothing(value: float) -> None:
    for decimals in (1, 2, 3, 4):
        assert abs(float(decimal(value, decimals)) - value) <= 0.05 * value + 1e-12 * value
        assert float(percent(value, decimals)[:-1]) > 0


@given(st.lists(st.floats(0.02, 1e6), min_size=1))
def test_usual_numbers_have_their_decimals(values: list[float]) -> None:
    assert decimal_all(values, 3) == [f"{value:.3f}" for value in values]
    assert [percent(value) for value in values] == [f"{value:.2%}" for value in values]


def test_what_stands_together_is_written_alike() -> None:
    assert decimal_all([2e-6, 0.0, 1e-6]) == ["2e-06", "0", "1e-06"]
    assert decimal_all([0.5, 2e-6]) == ["0.500", "0.000"]
    assert decimal_all([]) == []
