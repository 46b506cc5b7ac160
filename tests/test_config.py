import re
from datetime import timedelta
from pathlib import Path

import pytest

from retrue.config import Project
from retrue.config_file import load_project
from retrue.errors import ConfigError, RetrueError
from tests.builders import settings

GOOD = """\
version: 1
models:
  flight-delay:
    task: binary
    logs: {uri: logs}
    window: {every: 7d, min_rows: 500}
    drift:
      numeric: {method: wasserstein, threshold: 0.1}
      columns:
        temp: {threshold: 0.5}
    performance: {metric: roc_auc, min: 0.60}
    retrain:
      on: [performance]
"""

METHOD = "numeric: {method: wasserstein, threshold: 0.1}"


def load(folder: Path, text: str, **environment: str) -> Project:
    (folder / "retrue.yaml").write_text(text)
    return load_project(folder, environment)


def refusal(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return caught.value


def test_the_projects_own_file_loads() -> None:
    project = load_project(Path(__file__).parents[1], {})
    assert project.model("flight-delay").window.every == timedelta(days=7)


def test_the_key_on_is_a_key_and_not_true(tmp_path: Path) -> None:
    retrain = load(tmp_path, GOOD).model("flight-delay").retrain
    assert retrain is not None
    assert retrain.on == ("performance",)


@pytest.mark.parametrize(
    ("right", "wrong", "line", "key", "hint"),
    [
        ("min_rows", "min_row", 6, "models.flight-delay.window.min_row", "'min_rows'"),
        ("task: binary", "taks: binary", 4, "models.flight-delay.taks", "'task'"),
        ("temp: {threshold", "temp: {treshold", 10, "models.flight-delay.drift.columns.temp.treshold", "'threshold'"),
        ("models:", "model:", 2, "model", "'models'"),
        ("threshold: 0.1}", "threshold: .nan}", 8, "models.flight-delay.drift.numeric.threshold", "finite"),
        ("threshold: 0.1}", "threshold: -1}", 8, "models.flight-delay.drift.numeric.threshold", "greater than 0"),
        ("min: 0.60", "min: 0.9, max: 0.8", 11, "models.flight-delay.performance", "not below"),
        ("min: 0.60", "max: 0.60", 3, "models.flight-delay", "use min"),
        ("min: 0.60", "min: 0.6, min: 0.7", 11, "models.flight-delay.performance.min", "twice"),
        ("roc_auc", "roc_uac", 3, "models.flight-delay", "'roc_auc'"),
        ("wasserstein", "waserstein", 8, "models.flight-delay.drift.numeric.method", "'wasserstein'"),
        ("7d", "7x", 6, "models.flight-delay.window.every", "7d"),
        ("task: binary", "task: ${TASK}", 4, "models.flight-delay.task", ""),
    ],
)
def test_a_refusal_names_line_key_and_the_nearest_valid_one(
    tmp_path: Path, right: str, wrong: str, line: int, key: str, hint: str
) -> None:
    assert right in GOOD
    error = refusal(tmp_path, GOOD.replace(right, wrong, 1))
    assert (error.line, error.key) == (line, key)
    assert hint in str(error)
    assert f"retrue.yaml:{line}" in str(error)


@pytest.mark.parametrize(("written", "read"), [("rows", "rows"), ("1d", timedelta(days=1)), ("6h", timedelta(hours=6))])
def test_a_gate_draws_rows_or_blocks_of_time(tmp_path: Path, written: str, read: object) -> None:
    retrain = load(tmp_path, GOOD + f"      gate: {{resample: {written}}}\n").model("flight-delay").retrain
    assert retrain is not None
    assert retrain.gate.resample == read


@pytest.mark.parametrize(
    ("added", "reason"),
    [
        ("gate: {resample: days}", "write rows, or how long a block lasts, such as 1d, not 'days'"),
        ("gate: {resample: 0d}", "a block lasts longer than nothing"),
        ("holdout: 7d", "holdout 1w holds fewer than the 10 blocks of 1d that the gate needs"),
        ("gate: {resample: 1w}", "holdout 2w holds fewer than the 10 blocks of 1w"),
    ],
)
def test_blocks_that_no_gate_could_use_are_refused_when_the_file_is_read(
    tmp_path: Path, added: str, reason: str
) -> None:
    assert reason in str(refusal(tmp_path, GOOD + f"      {added}\n"))


@pytest.mark.parametrize("name", ["../x", "a/b", "A"])
def test_a_model_name_that_could_leave_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RetrueError, match="refused"):
        load(tmp_path, GOOD.replace("flight-delay", name))


def test_a_model_that_is_not_watched_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'flight-delay'"):
        load(tmp_path, GOOD).model("flight-delai")


def test_variables_are_filled_and_an_unset_one_inside_a_text_is_refused(tmp_path: Path) -> None:
    assert load(tmp_path, "mlflow: ${URI}\n" + GOOD, URI="http://127.0.0.1:1").mlflow == "http://127.0.0.1:1"
    assert load(tmp_path, "mlflow: ${URI}\n" + GOOD).mlflow is None
    assert load(tmp_path, "mlflow: ${URI:-x}\n" + GOOD).mlflow == "x"
    with pytest.raises(ConfigError, match="PASSWORD is not set"):
        load(tmp_path, "ledger: postgresql://u:${PASSWORD}@h/d\n" + GOOD)


def test_credentials_do_not_show_in_the_settings_repr(tmp_path: Path) -> None:
    project = load(tmp_path, "ledger: postgresql://u:${PASSWORD}@h/d\n" + GOOD, PASSWORD="hunter2")
    assert "hunter2" not in repr(project)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("- 1", "mapping"),
        ("a: [", "YAML"),
        ("a: !!python/object:os.system x", "YAML"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "\n".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]" for n in range(8)), "aliases"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in str(refusal(tmp_path, text))


def test_an_absent_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="retrue init"):
        load_project(tmp_path)


def test_the_judging_digest_moves_with_a_threshold_but_not_with_a_receiver(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD).model("flight-delay")
    stricter = load(tmp_path, GOOD.replace("min: 0.60", "min: 0.61")).model("flight-delay")
    louder = load(tmp_path, GOOD + "    notify: {critical: [slack-webhook/oncall]}\n").model("flight-delay")
    assert settings.judging_digest(b"") == louder.judging_digest(b"")
    assert len({settings.judging_digest(b""), stricter.judging_digest(b""), settings.judging_digest(b"suite")}) == 3


def test_retention_has_defaults_and_null_keeps_for_ever(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).retention.reports == timedelta(days=90)
    retention = load(tmp_path, GOOD + "retention: {reports: 1d, mlflow: null}\n").retention
    assert (retention.reports, retention.mlflow, retention.outbox) == (timedelta(days=1), None, timedelta(days=90))
    assert retention.prefect == timedelta(days=90)
    assert load(tmp_path, GOOD + "retention: {prefect: null}\n").retention.prefect is None


@pytest.mark.parametrize(
    ("block", "key", "hint"),
    [
        ("{report: 1d}", "retention.report", "'reports'"),
        ("{reports: 0d}", "retention.reports", "at least 1d"),
        ("{prefect: 12h}", "retention.prefect", "at least 1d"),
        ("{flow_runs: 1d}", "retention.flow_runs", "unknown key"),
    ],
)
def test_a_retention_is_refused_with_its_place(tmp_path: Path, block: str, key: str, hint: str) -> None:
    refused = refusal(tmp_path, GOOD + f"retention: {block}\n")
    assert (refused.line, refused.key) == (GOOD.count("\n") + 1, key)
    assert hint in str(refused)


SYSTEM = """\
    system:
      latency_p95_ms: 200
      failures: {min_rows: 10, in_app: [shop]}
      endpoints:
        /generate: {latency_p95_ms: 5000, max_cost_usd_per_1k: 2}
      generators:
        large: {max_output_tokens_per_inference: 800}
"""


def test_endpoints_and_generators_have_bounds_of_their_own(tmp_path: Path) -> None:
    system = load(tmp_path, GOOD + SYSTEM).model("flight-delay").system
    assert (system.max_error_share, system.latency_p95_ms, system.failures.in_app) == (0.01, 200, ("shop",))
    assert system.endpoints["/generate"].latency_p95_ms == 5000
    assert system.endpoints["/generate"].max_error_share is None
    assert system.generators["large"].max_output_tokens_per_inference == 800


@pytest.mark.parametrize(
    ("right", "wrong", "key", "hint"),
    [
        (
            "latency_p95_ms: 5000",
            "latency_95_ms: 5000",
            "system.endpoints./generate.latency_95_ms",
            "'latency_p95_ms'",
        ),
        (
            "max_output_tokens",
            "max_outptu_tokens",
            "system.generators.large.max_outptu_tokens_per_inference",
            "did you mean",
        ),
        ("endpoints:", "endpoint:", "system.endpoint", "'endpoints'"),
        ("min_rows: 10", "min_row: 10", "system.failures.min_row", "'min_rows'"),
        ("min_rows: 10", "min_rows: 0", "system.failures.min_rows", "greater than or equal to 1"),
        (
            "max_cost_usd_per_1k: 2",
            "max_cost_usd_per_1k: .nan",
            "system.endpoints./generate.max_cost_usd_per_1k",
            "finite",
        ),
        ("latency_p95_ms: 200", "max_timeout_share: 1.5", "system.max_timeout_share", "less than or equal to 1"),
    ],
)
def test_a_bound_that_is_none_is_refused_with_the_nearest_key(
    tmp_path: Path, right: str, wrong: str, key: str, hint: str
) -> None:
    assert right in SYSTEM
    error = refusal(tmp_path, GOOD + SYSTEM.replace(right, wrong, 1))
    assert error.key == f"models.flight-delay.{key}"
    assert hint in str(error)


GENERATION = "version: 1\nmodels:\n  chat:\n    task: generation\n    logs: {uri: logs}\n"


def test_a_generation_model_has_no_metric(tmp_path: Path) -> None:
    settings = load(tmp_path, GENERATION).model("chat")
    assert (settings.generates, settings.metric) == (True, "")


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("performance: {min: 0.6}", "performance.min is not for generation models"),
        ("performance: {metric: roc_auc}", "performance.metric is not for generation models"),
        ("retrain: {}", "retrain is not for generation models"),
    ],
)
def test_what_compares_predictions_is_refused_for_a_generation_model(tmp_path: Path, block: str, reason: str) -> None:
    assert reason in str(refusal(tmp_path, f"{GENERATION}    {block}\n"))


def test_rules_of_alarms_fall_back_from_kind_to_general_to_built_in(tmp_path: Path) -> None:
    rules = "    alarms: {open: {after: 2, of: 3}, resolve: {after: 3}, kinds: {schema: {open: {after: 1}}}}\n"
    alarms = load(tmp_path, GOOD + rules).model("flight-delay").alarms
    assert [alarms.opening(kind).last for kind in ("schema", "drift", "system")] == [1, 3, 3]
    assert [alarms.resolving(kind).after for kind in ("schema", "drift", "system")] == [3, 3, 3]
    assert alarms.reach == 3


@pytest.mark.parametrize(
    ("rules", "drift", "system"),
    [
        ("{}", (2, 3, 2.0, 2), (1, 1, None, 1)),
        ("{open: {after: 1}, resolve: {after: 1}}", (1, 1, None, 1), (1, 1, None, 1)),
        ("{kinds: {drift: {open: {after: 2}}}}", (2, 2, None, 2), (1, 1, None, 1)),
        ("{kinds: {drift: {open: {after: 3, at_once: 4}}}}", (3, 3, 4.0, 2), (1, 1, None, 1)),
        ("{resolve: {after: 3}, kinds: {drift: {resolve: {after: 4}}}}", (2, 3, 2.0, 4), (1, 1, None, 3)),
    ],
)
def test_the_built_in_rule_of_drift_holds_until_one_is_written(
    tmp_path: Path, rules: str, drift: tuple[object, ...], system: tuple[object, ...]
) -> None:
    """After so many of so many windows it opens, or at once with so many times its threshold; after so many it is over."""
    alarms = load(tmp_path, f"{GOOD}    alarms: {rules}\n").model("flight-delay").alarms
    for kind, rule in (("drift", drift), ("system", system)):
        opening = alarms.opening(kind)
        assert (opening.after, opening.last, opening.at_once, alarms.resolving(kind).after) == rule


@pytest.mark.parametrize(
    ("rules", "key", "said"),
    [
        ("{open: {after: 3, of: 2}}", "alarms.open", "after 3 of 2 windows never comes"),
        ("{open: {after: 2, at_once: 0.5}}", "alarms.open.at_once", "greater than or equal to 1"),
        ("{open: {after: 2, at_once: .nan}}", "alarms.open.at_once", "finite"),
        ("{open: {after: 2, at_once: .inf}}", "alarms.open.at_once", "finite"),
        ("{kinds: {drfit: {}}}", "alarms.kinds.drfit", "'drift'"),
        ("{kinds: {drift: {opens: {}}}}", "alarms.kinds.drift.opens", "'open'"),
        ("{resolve: {after: 0}}", "alarms.resolve.after", "greater than or equal to 1"),
        ("{healthy: [2013-04-04]}", "alarms.healthy.0", "a span is written 2013-04-04..2013-04-25"),
        ("{healthy: [2013-04-25..2013-04-04]}", "alarms.healthy.0", "starts before it ends"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_place(tmp_path: Path, rules: str, key: str, said: str) -> None:
    error = refusal(tmp_path, f"{GOOD}    alarms: {rules}\n")
    assert error.key == f"models.flight-delay.{key}"
    assert said in str(error)


def test_thresholds_change_what_is_judged_and_not_what_is_measured(tmp_path: Path) -> None:
    def digests(drift: str = "", **blocks: str) -> tuple[str, str]:
        text = GOOD.replace(METHOD, drift or METHOD)
        for name, block in blocks.items():
            text += f"    {name}: {block}\n"
        model = load(tmp_path, text).model("flight-delay")
        return model.judging_digest(b""), model.measuring_digest(b"")

    judging, measuring = digests()
    for drift, blocks in (
        ("numeric: {method: wasserstein, threshold: 0.4}", {}),
        (f"{METHOD}\n      max_share: 0.5", {}),
        (f"{METHOD}\n      false_alarms: 2 per 90d", {}),
        ("numeric: {method: wasserstein, threshold: 0.1, floor: 0.3}", {}),
        ("", {"quality": "{max_null_rise: 0.2}"}),
        ("", {"system": "{max_error_share: 0.2, failures: {min_rows: 9}}"}),
    ):
        other = digests(drift, **blocks)
        assert other[0] != judging
        assert other[1] == measuring
    assert digests("", alarms="{open: {after: 2}}") == (judging, measuring)
    for drift, blocks in (
        ("numeric: {method: psi}", {}),
        (f"{METHOD}\n      sample_rows: 500", {}),
        ("", {"system": "{endpoints: {/a: {latency_p95_ms: 9}}}"}),
        ("", {"columns": "{ignore: [temp]}"}),
    ):
        assert digests(drift, **blocks)[1] != measuring


@pytest.mark.parametrize(
    ("slices", "reason"),
    [
        ("max_slice_drop: 0.05", "name their columns under performance.slices"),
        ("slices: [origin, origin]", "origin is named twice"),
        ("slices: [origin], max_slice_drop: 0", "greater than 0"),
        ("slices: [origin], max_slice_drop: .nan", "max_slice_drop"),
        ("slices: [origin], min_slice_rows: 1", "min_slice_rows"),
    ],
)
def test_slices_that_could_not_be_judged_are_refused(tmp_path: Path, slices: str, reason: str) -> None:
    text = GOOD.replace("min: 0.60}", f"min: 0.60, {slices}}}")
    assert reason in str(refusal(tmp_path, text))


# ---------------------------------------------------------------- the gate


@pytest.mark.parametrize(
    ("gate", "blocks", "message"),
    [
        ({"test": "mcnemar"}, {"performance": {"metric": "accuracy"}}, "counts rows one by one: write resample: rows"),
        ({"test": "mcnemar", "resample": "rows"}, {}, "mcnemar compares accuracy, not roc_auc"),
        ({"test": "mcnemar", "resample": "rows", "min_gain": 0.1}, {}, "min_gain must be 0"),
        ({"watch": True, "resample": "rows"}, {}, "watch compares blocks of time"),
        ({"watch": True, "shadow": True}, {}, "choose one"),
        ({"shadow": True, "shadow_windows": 3}, {"window": {"every": "1d"}}, "3 of 1d hold fewer than the 10 blocks of 1d"),
        ({"max_calibration_error": 0.1}, {"task": "multiclass", "performance": {}}, "is for binary models"),
        ({"max_size_mb": 0}, {}, "greater than 0"),
    ],
)  # fmt: skip
def test_a_gate_that_contradicts_itself_is_refused(
    gate: dict[str, object], blocks: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        settings(retrain={"gate": gate}, **blocks)


def test_a_gate_that_is_watched_or_has_a_shadow_loads() -> None:
    watched = settings(retrain={"holdout": "14d", "gate": {"watch": True, "watch_for": "60d"}}).retrain
    assert watched is not None
    assert watched.watched_blocks == 44
    assert settings(window={"every": "7d"}, retrain={"holdout": "1d", "gate": {"shadow": True}}).retrain is not None


def test_the_rate_of_false_alarms_gives_each_window_its_chance(tmp_path: Path) -> None:
    drift = load(tmp_path, GOOD).model("flight-delay").drift
    assert str(drift.false_alarms) == "1 per 90d"
    assert drift.false_alarms.chance(timedelta(days=7)) == pytest.approx(7 / 90)
    assert drift.false_alarms.chance(timedelta(days=90)) == 0.2  # never more than one window in five
    often = GOOD.replace("    drift:\n", "    drift:\n      false_alarms: 0.5 per 4w\n")
    assert load(tmp_path, often).model("flight-delay").drift.false_alarms.chance(timedelta(weeks=1)) == 0.125


@pytest.mark.parametrize("written", ["1", "0 per 90d", "-1 per 90d", "1 per 90", "one per 90d", "1 per 0d"])
def test_a_rate_that_is_none_is_refused_with_an_example(tmp_path: Path, written: str) -> None:
    error = refusal(tmp_path, GOOD.replace("    drift:\n", f"    drift:\n      false_alarms: {written}\n"))
    assert (error.line, error.key) == (8, "models.flight-delay.drift.false_alarms")
    assert "1 per 90d" in str(error)
