import re
import tomllib
from pathlib import Path

import pytest

from retrue.complaints import BREAKING, version_complaints


@pytest.mark.parametrize(
    ("name", "version", "breaks"),
    [
        ("sqlalchemy", "2.0.58", False),
        ("sqlalchemy", "2.1.0b1", True),
        ("pandas", "3.0.6", False),
        ("pandas", "3.1.0", True),
        ("pandas", "10.0", True),
        ("duckdb", "1.5.6", False),
        ("duckdb", "2.0.0", True),
        ("fastapi", "0.150.9", False),
        ("fastapi", "0.151.0", True),
        ("fastapi", "unknown", False),
        ("numpy", "99", False),
    ],
)
def test_versions_that_are_known_to_break_it_are_critical(name: str, version: str, breaks: bool) -> None:
    found = list(version_complaints({name: version}))
    assert [(each.subject, each.severity.value) for each in found] == ([(name, "critical")] if breaks else [])


def test_the_caps_of_pyproject_keep_out_exactly_what_is_known_to_break() -> None:
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    caps = dict(re.findall(r"^(\w+)[^<\n]*<([\d.]+)", "\n".join(pyproject["project"]["dependencies"]), re.M))
    assert {name: caps[name] for name in BREAKING} == {
        name: ".".join(map(str, first)) for name, (first, _) in BREAKING.items()
    }
