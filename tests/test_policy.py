"""Another policy changes what it says, and nothing beside it."""

from datetime import timedelta
from pathlib import Path

import pytest

from retrue.config import ModelSettings
from retrue.config_file import load_policy
from retrue.errors import ConfigError
from tests.test_config import GOOD, load


@pytest.mark.parametrize("models", ["5", "[flight-delay]", "null", "flight-delay", "{other: {}}"])
def test_a_policy_whose_models_are_none_of_ours_is_refused_by_name(tmp_path: Path, models: str) -> None:
    load(tmp_path, GOOD)
    policy = tmp_path / "other.yaml"
    policy.write_text(f"version: 1\nmodels: {models}\n")
    with pytest.raises(ConfigError, match="it says nothing about flight-delay"):
        load_policy(policy, tmp_path, "flight-delay")


def test_a_policy_changes_what_it_says_and_nothing_beside_it(tmp_path: Path) -> None:
    own = load(tmp_path, GOOD + "    system: {max_error_share: 0.02, latency_p95_ms: 35}\n").model("flight-delay")
    changed = policy(
        tmp_path, "system: {max_error_share: 0.05}\ndrift: {false_alarms: 2 per 90d, columns: {wind: {floor: 1}}}"
    )
    assert (changed.system.max_error_share, changed.system.latency_p95_ms) == (0.05, 35)
    assert str(changed.drift.false_alarms) == "2 per 90d"
    assert changed.drift.numeric == own.drift.numeric
    assert changed.drift.columns["temp"] == own.drift.columns["temp"]
    assert changed.drift.columns["wind"].floor == 1
    assert changed.performance == own.performance


def test_a_list_of_a_policy_takes_the_place_of_the_one_that_is_there(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    changed = policy(tmp_path, "retrain: {on: [drift]}")
    assert changed.retrain is not None
    assert changed.retrain.on == ("drift",)


def test_null_in_a_policy_is_no_bound_and_removes_a_block_or_an_entry(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    unbound = policy(tmp_path, "performance: {min: null}\nsystem: {max_error_share: null}")
    assert (unbound.performance.min, unbound.system.max_error_share) == (None, None)
    less = policy(tmp_path, "retrain: null\nwindow: {min_rows: 100}\ndrift: {numeric: null, columns: {temp: null}}")
    assert (less.retrain, less.drift.numeric.threshold, dict(less.drift.columns)) == (None, None, {})
    assert less.window.min_rows == 100
    assert less.window.every == timedelta(days=7)


def policy(folder: Path, text: str) -> ModelSettings:
    file = folder / "other.yaml"
    file.write_text(text)
    return load_policy(file, folder, "flight-delay").settings
