"""Drift scores are those of scipy and of published vectors; no column stops another; no name or value of the data runs."""

import json
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from retrue.adapters.drift_evidently import CATEGORIES_MAX, METHODS, measure_drift
from retrue.results import ColumnKind, DriftResult

ROWS = 2_000
HOSTILE = "</script><script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
VECTORS = Path(__file__).parents[3] / "shared/data/expected_drift_vectors/drift_vectors.json"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

NUMBER, TEXT, BOOLEAN = ColumnKind.NUMBER, ColumnKind.TEXT, ColumnKind.BOOLEAN


def measure(
    reference: object, current: object, *, kind: ColumnKind = NUMBER, method: str = "wasserstein"
) -> DriftResult:
    frames = [pd.DataFrame({"a": side}) for side in (reference, current)]
    return measure_drift(*frames, {"a": (method, 0.1)}, {"a": kind}, title="test")[0]


def score(*sides: object, **how: object) -> float:
    result = measure(*sides, **how)  # type: ignore[arg-type]
    assert not result.unmeasurable
    return result.columns[0].score


def normal(*, shift: float = 0.0, seed: int = 0, rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, rows)


def letters(probabilities: list[float], *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(list("abcde"), ROWS, p=probabilities).astype(object)


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("sd", [1e6, 1.0, 0.009, 1e-6, 1e-200])
def test_wasserstein_is_scipys_over_the_sd_of_the_reference(sd: float) -> None:
    reference, current = normal(), normal(shift=0.3, seed=1, rows=500)
    expected = wasserstein_distance(reference, current) / np.std(reference)
    assert score(sd * reference, sd * current) == pytest.approx(expected, rel=1e-9)


def test_wasserstein_from_a_constant_counts_thousandths() -> None:
    assert score(np.full(ROWS, 5e-6), np.full(ROWS, 3e-3)) == pytest.approx(2.995, rel=1e-9)


def test_jensenshannon_on_categories_is_scipys_distance_with_natural_logarithms() -> None:
    before, after = letters([0.5, 0.2, 0.2, 0.1, 0.0]), letters([0.2, 0.2, 0.2, 0.2, 0.2], seed=1)
    shares = [[np.mean(side == letter) for letter in "abcde"] for side in (before, after)]
    assert score(before, after, kind=TEXT, method="jensenshannon") == pytest.approx(jensenshannon(*shares), rel=1e-9)


@pytest.mark.parametrize(("kind", "method"), [(kind, method) for kind in METHODS for method in sorted(METHODS[kind])])
def test_every_allowed_method_is_zero_without_drift_and_grows_with_it(kind: ColumnKind, method: str) -> None:
    if kind is NUMBER:
        sides = [normal(), normal(shift=0.3, seed=1), normal(shift=1, seed=2)]
    elif kind is BOOLEAN:
        sides = [normal() < limit for limit in (0, 0.3, 1)]
    else:
        sides = [letters([0.2] * 5), letters([0.1, 0.3, 0.2, 0.2, 0.2]), letters([0.6, 0.1, 0.1, 0.1, 0.1])]
    none, some, much = (score(sides[0], side, kind=kind, method=method) for side in sides)
    assert none == pytest.approx(0, abs=1e-6)
    assert 0.02 < some < much


@pytest.mark.parametrize("method", ["ks", "chisquare", "TVD", "no such method"])
def test_a_method_that_is_no_distance_for_the_kind_leaves_the_column_unmeasured(method: str) -> None:
    result = measure(normal(), normal(), method=method)
    assert not result.columns
    assert "use one of" in result.unmeasurable[0][1]


@pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not here")
def test_published_hellinger_vector_agrees() -> None:
    (vector,) = [each for each in json.loads(VECTORS.read_text()) if each["m"] == "hellinger_cat"]
    sides = [np.repeat(vector[side]["values"], vector[side]["repeats"]).astype(str) for side in ("ref", "cur")]
    assert score(*sides, kind=TEXT, method="hellinger") == pytest.approx(vector["expected"], abs=vector["tol"])


@pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not here")
def test_published_wasserstein_vectors_agree() -> None:
    vectors = [
        each for each in json.loads(VECTORS.read_text()) if each["m"] == "wasserstein" and "normal" in each["ref"]
    ]
    assert vectors
    for vector in vectors:
        draw = np.random.RandomState(vector["ref"]["np_seed"])
        reference = draw.normal(*vector["ref"]["normal"], vector["ref"]["n"])
        current = draw.normal(*vector["cur"]["normal"], vector["cur"]["n"])
        assert score(reference, current) * np.std(reference) == pytest.approx(vector["expected"], abs=vector["tol"])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation
    before, after = normal(rows=200), normal(shift=0.2, seed=1, rows=200)
    assert score(shuffled(before), shuffled(after)) == pytest.approx(score(before, after), rel=1e-12)


# ---------------------------------------------------------------- columns that are hard to measure


@pytest.mark.parametrize("method", sorted(METHODS[NUMBER]))
@pytest.mark.parametrize("constant", [0.0, 7.0, 1e18])
def test_a_constant_on_both_sides_has_no_drift(method: str, constant: float) -> None:
    assert score(np.full(ROWS, constant), np.full(ROWS, constant), method=method) == 0


def test_a_column_that_became_constant_has_drifted() -> None:
    assert measure(normal(), np.zeros(ROWS)).columns[0].drifted


def test_nulls_and_infinities_are_left_out_of_the_distribution() -> None:
    values = normal()
    spoiled = np.where(np.arange(ROWS) % 50 == 0, np.inf, values)
    spoiled[1::50] = np.nan
    finite = spoiled[np.isfinite(spoiled)]
    assert score(values, spoiled) == pytest.approx(score(values, finite), rel=1e-12)


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1, 2, 3, None] * 100, dtype="Int64"),
        np.array([Decimal("1"), Decimal("2"), Decimal("3"), None] * 100, dtype=object),
        np.array([1, 2.0, 3, None] * 100, dtype=object),
        np.array([1, 2, 3, np.nan] * 100, dtype=np.float32),
    ],
    ids=["Int64", "Decimal", "mixed numbers", "float32"],
)
def test_numbers_are_measured_whatever_holds_them(column: object) -> None:
    assert score(np.array([1.0, 2.0, 3.0] * 100), column) == pytest.approx(0, abs=1e-9)


def test_mixed_objects_are_compared_as_text() -> None:
    mixed = np.array(["a", 1, 2.5, True, None] * 100, dtype=object)
    assert score(mixed, mixed[::-1], kind=TEXT, method="jensenshannon") == 0


def test_categories_of_pandas_and_nullable_booleans_are_measured() -> None:
    flags = pd.array([True, False, None, True] * 100, dtype="boolean")
    assert score(flags, flags, kind=BOOLEAN, method="psi") == 0
    names = pd.Categorical(letters([0.2] * 5))
    assert score(names, letters([0.2] * 5), kind=TEXT, method="psi") == 0


@pytest.mark.parametrize(
    ("column", "kind", "reason"),
    [
        (None, NUMBER, "absent from the window"),
        (np.full(ROWS, np.nan), NUMBER, "no value in the window"),
        (np.full(ROWS, np.inf), NUMBER, "no finite value in the window"),
        (np.full(ROWS, None, dtype=object), TEXT, "no value in the window"),
        (letters([0.2] * 5), NUMBER, "string in the window"),
        (np.array([1.0, "x"] * (ROWS // 2), dtype=object), NUMBER, "mixed in the window"),
        (normal(), TEXT, "floating in the window"),
        (normal() < 0, NUMBER, "boolean in the window"),
        (np.append(normal(), [1e308, -1e308]), NUMBER, "Evidently cannot compute"),
    ],
    ids=[
        "missing",
        "null",
        "infinite",
        "null text",
        "became text",
        "mixed",
        "became number",
        "flag",
        "overflow",
    ],
)
def test_a_column_that_cannot_be_measured_says_why_and_costs_no_other(
    column: object, kind: ColumnKind, reason: str
) -> None:
    rows = ROWS if column is None else len(column)  # type: ignore[arg-type]
    reference = pd.DataFrame({"bad": normal() if kind is NUMBER else letters([0.2] * 5), "good": normal()})
    current = pd.DataFrame({"good": normal(shift=1, seed=1, rows=rows)})
    if column is not None:
        current["bad"] = column
    method = "wasserstein" if kind is NUMBER else "psi"
    thresholds = {"bad": (method, 0.1), "good": ("wasserstein", 0.1)}
    result, page = measure_drift(reference, current, thresholds, {"bad": kind, "good": NUMBER}, title="t")
    assert [(each.column, each.drifted) for each in result.columns] == [("good", True)]
    assert [name for name, _ in result.unmeasurable] == ["bad"]
    assert reason in result.unmeasurable[0][1]
    assert reason in page


def test_empty_frames_and_unknown_kinds_are_unmeasured_with_no_page() -> None:
    frame = pd.DataFrame({"a": normal(), "when": pd.Timestamp(0), "x": 1.0})
    thresholds = dict.fromkeys(frame, ("wasserstein", 0.1))
    kinds = {"a": NUMBER, "when": ColumnKind.TIME}
    result, page = measure_drift(frame, frame.iloc[:0], thresholds, kinds, title="t")
    assert dict(result.unmeasurable) == {
        "a": "no value in the window",
        "when": "no distance compares columns of kind time",
        "x": "no distance compares columns of kind unknown",
    }
    assert page == ""
    assert result.share is None
    assert (result.reference_rows, result.current_rows) == (ROWS, 0)


def test_a_name_that_stands_twice_is_unmeasured() -> None:
    twice = pd.DataFrame(np.ones((5, 2)), columns=["a", "a"])
    result, _ = measure_drift(twice, twice, {"a": ("psi", 0.1)}, {"a": NUMBER}, title="t")
    assert result.unmeasurable == (("a", "stands 2 times in the reference"),)


def test_the_samples_are_not_changed() -> None:
    frame = pd.DataFrame({"a": np.append(normal(), [np.inf, np.nan])})
    before = frame.copy()
    measure_drift(frame, frame, {"a": ("hellinger", 0.1)}, {"a": NUMBER}, title="t")
    pd.testing.assert_frame_equal(frame, before)


def test_an_explosion_of_new_categories_is_bounded_and_drifts_fully() -> None:
    rows = 3 * CATEGORIES_MAX
    before, after = ([f"{side}{number}" for number in range(rows)] for side in "uv")
    assert score(before, after, kind=TEXT, method="jensenshannon") == pytest.approx(np.sqrt(np.log(2)), rel=1e-6)
    assert score(before, before, kind=TEXT, method="jensenshannon") == 0


def test_five_hundred_new_categories_are_drift() -> None:
    before = letters([0.2] * 5)
    after = np.where(np.arange(ROWS) % 2, [f"new {number % 500}" for number in range(ROWS)], before)
    assert score(before, after, kind=TEXT, method="jensenshannon") > 0.4


# ---------------------------------------------------------------- the page


def hostile_page() -> str:
    columns = {
        HOSTILE: normal(),
        HOSTILE + "2": np.array([HOSTILE, "<b>bold</b>"] * (ROWS // 2), dtype=object),
        "\u202ebidi": normal(),
    }
    frame = pd.DataFrame(columns)
    names = list(columns)
    kinds = dict(zip(names, (NUMBER, TEXT, NUMBER), strict=True))
    thresholds = dict.fromkeys(names, ("psi", 0.1)) | {"absent" + HOSTILE: ("psi", 0.1)}
    result, page = measure_drift(frame, frame, thresholds, kinds | {"absent" + HOSTILE: NUMBER}, title=HOSTILE)
    assert [each.column for each in result.columns] == names
    return page


def data_of(page: str) -> str:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return found[1]


def test_hostile_names_and_values_stay_text_in_the_page() -> None:
    page = hostile_page()
    data = data_of(page)
    assert page.lower().count("<script") == page.lower().count("</script") == 3
    assert not set("<>&") & set(data)
    shown = json.dumps(json.loads(data), ensure_ascii=False)
    assert "<" not in shown
    assert "‹/script›‹script›" in shown
    assert "‹b›bold‹/b›" in shown


def test_names_that_look_the_same_stay_apart() -> None:
    frame = pd.DataFrame({"a<": normal(), "a‹": normal()})
    _, page = measure_drift(frame, frame, dict.fromkeys(frame, ("psi", 0.1)), dict.fromkeys(frame, NUMBER), title="t")
    assert "a‹ #2" in json.dumps(json.loads(data_of(page)), ensure_ascii=False)


def test_a_rare_category_and_a_long_one_are_not_written_out() -> None:
    values = np.array(["common"] * 100 + ["rare-canary"] * 4 + ["x" * 400] * 50, dtype=object)
    frame = pd.DataFrame({"a": values})
    _, page = measure_drift(frame, frame.iloc[:104], {"a": ("psi", 0.1)}, {"a": TEXT}, title="t")
    assert "rare-canary" in page, "8 rows on both sides together"
    _, page = measure_drift(frame, frame.iloc[:100], {"a": ("psi", 0.1)}, {"a": TEXT}, title="t")
    assert "rare-canary" not in page
    assert "x" * 41 not in data_of(page)


def test_a_column_of_a_small_unit_is_drawn_in_its_own() -> None:
    frame = pd.DataFrame({"a": normal(shift=5) * 1e-6})
    _, page = measure_drift(frame, frame, {"a": ("wasserstein", 0.1)}, {"a": NUMBER}, title="t")
    row = json.loads(data_of(page))["dashboard"]["widgets"][-1]["params"]["data"][0]
    centres = row["reference"]["x"]
    assert 1e-6 < min(centres) < 4e-6
    assert 6e-6 < max(centres) < 9e-6


def test_the_page_is_self_contained_and_allows_no_host() -> None:
    page = hostile_page()
    assert "default-src 'none'" in page
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:https?:)?//', page)
    assert len(page) < 2_000_000
    assert "\u202e" not in page


def open_in_browser(page: str, folder: Path) -> str:
    file = folder / "drift.html"
    file.write_text(page, encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --virtual-time-budget=8000 --dump-dom"
    command = [str(CHROMIUM), *flags.split(), f"--user-data-dir={folder / 'profile'}", file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def title_of(dom: str) -> str:
    found = re.search(r"<title>(.*?)</title>", dom)
    assert found
    return found[1]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_draws_the_report_and_runs_nothing_of_the_data(tmp_path: Path) -> None:
    dom = open_in_browser(hostile_page(), tmp_path)
    drawn = dom.split('<script type="application/json"')[0]
    assert title_of(dom).startswith("‹/script›"), "the title is the harmless text"
    assert "Drift by column" in drawn
    assert "‹/script›‹script›" in drawn
    assert "<img src=" not in drawn


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_policy_alone_stops_a_script_that_got_into_the_page(tmp_path: Path) -> None:
    page = hostile_page()
    broken_into = page.replace(data_of(page), data_of(page) + HOSTILE)
    open_door = re.sub(r"<meta http-equiv=[^>]*>", "", broken_into)
    assert title_of(open_in_browser(open_door, tmp_path)) == "pwned", "the browser would run it"
    assert title_of(open_in_browser(broken_into, tmp_path)) != "pwned"
