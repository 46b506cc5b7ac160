"""The story that these tests look at."""

import pytest

from tests.e2e.story import Story, told


@pytest.fixture
def story(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """What the deployed flows made of the ferries; its servers are up."""
    return told(pytestconfig, tmp_path_factory)
