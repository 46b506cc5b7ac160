import pytest
from tests import builders

from retrue.findings.data import drift_findings
from retrue.findings.harm import harm_of, leaning
from retrue.results import Reliance, Severity

LEANS = Reliance(
    fidelity=0.9,
    shares={"temp": 0.4, "wind": 0.1, "gate": 0.002, "unsure": 0.005},
    sds={"temp": 0.01, "wind": 0.01, "gate": 0.001, "unsure": 0.01},
)


@pytest.mark.parametrize(
    ("column", "severity"),
    [
        ("temp", Severity.CRITICAL),
        ("wind", Severity.WARNING),
        ("gate", Severity.INFO),
        ("unsure", Severity.WARNING),  # it may be used: 0.005 + 2 · 0.01
        ("score", Severity.WARNING),
        ("new", Severity.WARNING),
    ],
)
def test_a_drift_is_as_grave_as_the_model_leans_on_the_feature(column: str, severity: Severity) -> None:
    (finding,) = drift_findings(
        builders.measurements(drift=builders.drift({column: 0.5})),
        builders.baseline(reliance=LEANS),
        builders.settings(),
    )
    assert finding.severity is severity


def test_the_sentence_says_how_much_the_model_leans_on_it() -> None:
    measured = builders.measurements(drift=builders.drift({"temp": 0.5, "gate": 0.5, "new": 0.5}))
    said = {
        each.scope: each.message
        for each in drift_findings(measured, builders.baseline(reliance=LEANS), builders.settings())
    }
    assert said["temp"].endswith("threshold 0.1; the model leans on it for 40 %.")
    assert said["gate"].endswith("threshold 0.1; the model does not use it.")
    assert said["new"].endswith("threshold 0.1.")


@pytest.mark.parametrize("reliance", [None, Reliance(fidelity=0.4, shares={"gate": 0.0}, sds={"gate": 0.0})])
def test_without_a_faithful_surrogate_every_drift_is_a_warning(reliance: Reliance | None) -> None:
    assert harm_of("gate", reliance) is Severity.WARNING
    assert leaning("gate", reliance) == ""
