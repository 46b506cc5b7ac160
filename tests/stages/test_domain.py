"""All columns at once and columns of text, from the frozen baseline to the pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrue.baselines import read_baseline, read_reference
from retrue.errors import ConfigError, ModelError
from retrue.results import EMBEDDING, Baseline
from retrue.stages.freeze import freeze, freeze_from_log
from retrue.stages.monitor import Judged
from retrue.stages.purge import purge
from tests.sources.logs import Row
from tests.stages.project import (
    DAY,
    FEATURES,
    FIRST,
    MODEL,
    REFERENCE,
    SETTINGS,
    Shop,
    day,
    document,
    recorders,
    records,
)

DAYS = 8
EMBED = '''\
"""How the shop makes embeddings: a text's length and its share of a few letters."""

import numpy as np


def embed(texts):
    return np.array([[len(text), *(text.count(letter) / max(len(text), 1) for letter in "aeiou")] for text in texts])


def wrong(texts):
    return np.zeros((1, 2))
'''
NOUNS = ("room", "food", "staff", "bed", "view", "sea", "bus", "bill", "tea", "bath", "desk", "lamp")
KINDS = ("cold", "good", "kind", "soft", "late", "dear", "loud", "calm", "dark", "warm")


def together(rows: list[Row], *, sign: int = 1) -> list[Row]:
    """The records with incomes that go with age, or against it; each column by itself is the same."""
    ages, incomes = (sorted(row[f"features.{name}"] for row in rows) for name in ("age", "income"))
    draw = np.random.default_rng(len(rows) + sign)
    rank = np.argsort(np.argsort([sign * row["features.age"] + draw.normal(0, 8) for row in rows]))
    assert len(ages) == len(incomes)
    return [{**row, "features.income": incomes[at]} for row, at in zip(rows, rank, strict=True)]


def reviewed(rows: list[Row], *, foreign: bool = False) -> list[Row]:
    draw = np.random.default_rng(len(rows) + int(rows[0]["time"].timestamp()))

    def review() -> str:
        said = [f"the {draw.choice(NOUNS)} was {draw.choice(KINDS)}" for _ in range(draw.integers(2, 5))]
        return "Комната была холодной, а еда невкусной" if foreign else " and ".join(said)

    return [{**row, "features.review": review()} for row in rows]


def frame_of(rows: list[Row]) -> pd.DataFrame:
    names = {name: name.removeprefix("features.") for name in rows[0]}
    return pd.DataFrame(rows).rename(columns=names).assign(label=None)


def made(root: Path, make: Any, features: tuple[str, ...] = FEATURES, **drift: object) -> Shop:
    shop = Shop(root=root)
    root.mkdir(parents=True)
    (root / "embedding.py").write_text(EMBED)
    shop.configure(drift={"multivariate": True, **SETTINGS["drift"], **drift}, expectations=None, labels=None)
    rows = [row for number in range(DAYS) for row in make(records(REFERENCE + number * DAY))]
    with shop.open(now=FIRST) as workspace:
        freeze(workspace, MODEL, "1", frame_of(rows), features, source="eight good days")
    return shop


def breaches(judged: Judged) -> list[str]:
    return [finding.label for finding in judged.verdict.findings if finding.severity.breaches]


def baseline_of(shop: Shop) -> Baseline:
    return read_baseline(shop.root / "baselines", MODEL, "1")


@pytest.fixture(scope="module")
def related(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return made(tmp_path_factory.mktemp("related") / "shop", together)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    features = (*FEATURES, "review")
    return made(tmp_path_factory.mktemp("written") / "shop", reviewed, features, text={"embed": "embedding:embed"})


def test_a_baseline_is_frozen_with_what_its_own_days_differ_by(related: Shop) -> None:
    null = baseline_of(related).domain
    assert null is not None
    assert (null.rows, null.stretches, null.columns) == (400, 8, FEATURES)
    assert 0.52 <= null.threshold < 0.75


def test_a_relation_that_turned_round_is_a_finding_while_no_column_drifts(related: Shop) -> None:
    related.log(together(records(day(0))))
    assert breaches(related.judge(0)) == []
    related.log(together(records(day(1)), sign=-1))
    judged = related.judge(1)
    assert breaches(judged) == ["drift.multivariate"]
    finding = judged.verdict.findings[0]
    assert "the relation of age with income" in finding.message
    content = document(judged.report_dir)
    assert content["metrics"]["drift.multivariate"] > content["metrics"]["drift.multivariate.threshold"]
    assert {each["column"] for each in content["measurements"]["domain"]["parts"][:2]} == {"age", "income"}
    page = (judged.report_dir / "summary.html").read_text()
    assert "All columns at once" in page
    assert content["metrics"]["drift.share"] == 0


def test_it_can_be_switched_off(related: Shop, tmp_path: Path) -> None:
    shop = made(tmp_path / "shop", together, multivariate=False)
    assert baseline_of(shop).domain is None
    shop.log(together(records(day(1)), sign=-1))
    judged = shop.judge(1)
    assert breaches(judged) == []
    assert "frozen without it" not in (judged.report_dir / "summary.html").read_text()


def test_a_baseline_without_it_reads_as_before_and_says_so_without_changing_the_verdict(tmp_path: Path) -> None:
    shop = made(tmp_path / "shop", together, multivariate=False)
    written = json.loads((shop.root / "baselines" / MODEL / "1" / "baseline.json").read_text())
    assert not {"domain", "texts"} & written.keys(), "as a baseline of before"
    shop.configure(drift={"multivariate": True, **SETTINGS["drift"]}, expectations=None, labels=None)
    shop.log(together(records(day(1)), sign=-1))
    judged = shop.judge(1)
    assert breaches(judged) == []
    assert "the baseline of version 1 was frozen without it" in (judged.report_dir / "summary.html").read_text()


def test_a_window_without_most_columns_is_told_by_their_absence(related: Shop) -> None:
    kept = ("features.age",)
    rows = [{k: v for k, v in row.items() if not k.startswith("features.") or k in kept} for row in records(day(2))]
    related.log(rows)
    judged = related.judge(2)
    assert set(breaches(judged)) == {f"schema.missing({name})" for name in FEATURES if name != "age"}
    assert "drift of all columns at once could not be measured: 1 of 5 columns are there" in judged.verdict.reasons


def test_a_baseline_that_became_marginals_has_no_relations_to_compare_and_says_so(tmp_path: Path) -> None:
    shop = made(tmp_path / "shop", lambda rows: reviewed(together(rows)), (*FEATURES, "review"))
    shop.log(reviewed(together(records(day(0)))))
    before = shop.judge(0)
    assert breaches(before) == []
    configuration = shop.root / "retrue.yaml"
    configuration.write_text(configuration.read_text() + "retention: {features: 3d}\n")
    with shop.open(now=day(0), carriers=recorders()) as workspace:
        assert purge(workspace)[0].counts["baselines"] == 1
    after = shop.judge(0)
    assert breaches(after) == []
    assert "drift.multivariate" not in document(after.report_dir)["metrics"]
    reason = "the baseline of version 1 holds each column by itself since 2025-03-10 (retention.features 3d)"
    assert reason in (after.report_dir / "summary.html").read_text()
    scores = [document(each.report_dir)["metrics"] for each in (before, after)]
    assert abs(scores[0]["drift.review.oov_share"] - scores[1]["drift.review.oov_share"]) < 0.05


def test_free_text_is_compared_by_its_views_and_its_words_are_nowhere(written: Shop) -> None:
    baseline = baseline_of(written)
    assert set(baseline.texts) == {"review"}
    assert baseline.profile.columns["review"].categories is None
    assert {"review.length", "review.oov_share"} < set(baseline.thresholds)
    assert "review" not in baseline.thresholds
    assert baseline.domain is not None
    assert "review.script" in baseline.domain.columns
    assert "review.length" in read_reference(written.root / "baselines", MODEL, "1").columns
    description = (written.root / "baselines" / MODEL / "1" / "baseline.json").read_text()
    assert not [word for word in NOUNS if f"the {word}" in description]
    assert len(description) < 200_000


def test_a_usual_day_of_texts_is_healthy_and_another_language_is_not(written: Shop) -> None:
    written.log(reviewed(records(day(0))))
    judged = written.judge(0)
    assert breaches(judged) == []
    assert f"drift.review.{EMBEDDING}" in document(judged.report_dir)["metrics"]
    written.log(reviewed(records(day(1)), foreign=True))
    judged = written.judge(1)
    found = {each.scope for each in judged.verdict.findings}
    assert {"review.script", "review.oov_share", "review.ngram_distance", "review.embedding"} <= found
    for page in judged.report_dir.iterdir():
        assert "Комната" not in page.read_text()
        assert "холодной" not in page.read_text()


def test_a_window_whose_text_is_gone_is_not_healthy(written: Shop) -> None:
    written.log(records(day(2)))
    judged = written.judge(2)
    assert "drift of review.embedding could not be measured: no text in the window" in judged.verdict.reasons
    assert "schema.missing(review)" in judged.verdict.line


def test_an_embedding_function_that_returns_too_few_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the embedding function returns 1 rows for \d+ texts"):
        made(tmp_path / "shop", reviewed, (*FEATURES, "review"), text={"embed": "embedding:wrong"})


def test_a_model_that_is_not_there_is_said_and_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"drift\.text\.model: no folder .*: a model is never fetched"):
        made(tmp_path / "shop", reviewed, (*FEATURES, "review"), text={"model": "models/none"})


def test_a_person_may_name_the_columns_of_text(tmp_path: Path) -> None:
    shop = made(tmp_path / "shop", reviewed, (*FEATURES, "review"), multivariate=False, text={"columns": ["country"]})
    assert set(baseline_of(shop).texts) == {"country"}


def test_a_short_baseline_has_no_null_and_its_windows_are_judged_as_before(tmp_path: Path) -> None:
    shop = Shop(root=tmp_path / "shop")
    shop.root.mkdir()
    shop.configure(drift={"multivariate": True}, expectations=None, labels=None)
    shop.log(records(day(0)))
    with shop.open() as workspace:
        assert freeze_from_log(workspace, MODEL, start=None, end=None).domain is None
    shop.log(records(day(1)))
    assert shop.judge(1).verdict.line.startswith("healthy")
