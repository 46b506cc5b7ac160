"""docs/formats.md: its examples load, and it names every format and setting."""

import re
from pathlib import Path

import pytest
import yaml

from retrue.config.sources import FORMAT_KEYS, LABEL_FORMATS
from retrue.config_file import load_project
from retrue.errors import ConfigError
from retrue.sources.formats import FORMATS

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: yaml.safe_load(text)["logs"]["format"])
def test_every_example_loads_in_a_models_block(tmp_path: Path, example: str) -> None:
    block = {"task": "binary", **yaml.safe_load(example)}
    (tmp_path / "retrue.yaml").write_text(yaml.safe_dump({"version": 1, "models": {"m": block}}))
    assert load_project(tmp_path, {}).model("m").logs.format in PAGE


def test_every_format_and_setting_is_on_the_page() -> None:
    assert {yaml.safe_load(each)["logs"]["format"] for each in EXAMPLES} >= set(FORMATS) - {"csv"}
    for name in (*FORMAT_KEYS, *{key for keys in FORMAT_KEYS.values() for key in keys}):
        assert f"`{name}" in PAGE or f"{name}:" in PAGE, name


def test_formats_with_labels_are_those_the_settings_allow() -> None:
    read_by_engine = {"retrue", "parquet"}
    assert set(LABEL_FORMATS) == {name for name, each in FORMATS.items() if each.labels} | read_by_engine


GOOD = """\
version: 1
models:
  m:
    task: binary
    logs:
      uri: logs
      format: bentoml
      timezone: Europe/Paris
    labels:
      uri: labels
      format: csv
      columns:
        label: y
"""


@pytest.mark.parametrize(
    ("right", "wrong", "line", "key", "hint"),
    [
        ("format: bentoml", "format: bentml", 7, "models.m.logs.format", "'bentoml'"),
        ("timezone: Europe", "timezon: Europe", 8, "models.m.logs.timezon", "'timezone'"),
        ("Europe/Paris", "Europe/Pariss", 8, "models.m.logs.timezone", "Europe/Paris"),
        ("label: y", "labl: y", 13, "models.m.labels.columns.labl", "'label'"),
        ("format: bentoml", "format: kserve", 5, "models.m.logs", "timezone is not read in format kserve"),
        ("format: csv", "format: kserve", 11, "models.m.labels.format", "writes no labels"),
        ("format: csv", "format: seldon\n      delimiter: ';'", 9, "models.m.labels", "delimiter is not read"),
        ("uri: labels", "uri: labels\n      encoding: utf-9", 11, "models.m.labels.encoding", "unknown encoding"),
        ("uri: labels", "uri: labels\n      time_unit: d", 11, "models.m.labels.time_unit", "'s', 'ms', 'us' or 'ns'"),
        ("uri: labels", "uri: labels\n      names: [a, a]", 11, "models.m.labels.names", "'a' stands twice"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line_and_the_nearest_key(
    tmp_path: Path, right: str, wrong: str, line: int, key: str, hint: str
) -> None:
    (tmp_path / "retrue.yaml").write_text(GOOD)
    load_project(tmp_path, {})
    (tmp_path / "retrue.yaml").write_text(GOOD.replace(right, wrong, 1))
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path, {})
    assert (caught.value.line, caught.value.key) == (line, key)
    assert hint in str(caught.value)


def test_a_payload_format_maps_only_what_lies_in_payloads(tmp_path: Path) -> None:
    (tmp_path / "retrue.yaml").write_text(GOOD.replace("format: csv", "format: seldon").replace("label: y", "time: ts"))
    with pytest.raises(ConfigError, match=r"columns\.time is not read in format seldon"):
        load_project(tmp_path, {})
