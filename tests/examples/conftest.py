import pandas as pd
import pytest
from examples.flights.data import load_flights


@pytest.fixture(scope="session")
def flights() -> pd.DataFrame:
    return load_flights()
