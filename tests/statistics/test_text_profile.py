"""Texts as numbers: what counts as text, what each view means, and that a baseline keeps no word."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.statistics import text_profile
from retrue.statistics.text_profile import is_free_text, profile_text, text_views

WORDS = ("the", "room", "was", "cold", "and", "food", "staff", "kind", "bed", "soft", "late", "bus", "view", "sea")
PROFILE = profile_text("review", ["The room was cold", "the food was good"] * 5)


def reviews(generator: np.random.Generator, count: int, words: tuple[str, ...] = WORDS) -> list[str]:
    return [" ".join(generator.choice(np.array(words), generator.integers(4, 12))) for _ in range(count)]


def view(name: str, text: str | None) -> object:
    return text_views(PROFILE, [text], own=False)[f"review.{name}"][0]


@pytest.mark.parametrize(
    ("values", "is_text"),
    [
        (reviews(np.random.default_rng(0), 50), True),
        (["部屋はとても寒かったです", "料理がおいしかった", "スタッフが親切でした"], True),
        (["номер был очень холодным", "нам понравилась еда"], True),
        (["New York City", "Los Angeles", "San Antonio"] * 20, False),
        ([f"{number:032x}" for number in range(50)], False),
        ([f"https://host/path-of/{number}" for number in range(50)], False),
        ([f"Name{number} Surname" for number in range(50)], False),
        ([None, None], False),
        ([], False),
    ],
)
def test_sentences_are_text_and_names_codes_and_addresses_are_not(values: list[str | None], is_text: bool) -> None:
    assert is_free_text(values) is is_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The room", {"length": 8, "words": 2, "letter_share": 7 / 8, "space_share": 1 / 8, "upper_share": 1 / 7}),
        ("a1 b22!?", {"digit_share": 3 / 8, "punctuation_share": 2 / 8, "words": 2, "script": "latin"}),
        ("Привет мир", {"script": "cyrillic", "oov_share": 1.0}),
        ("部屋は寒い", {"script": "cjk", "words": 5}),
        ("غرفة باردة", {"script": "arabic", "words": 2}),
        ("12 + 3", {"script": "none"}),
        ("the ROOM was awful", {"oov_share": 0.25}),
    ],
)
def test_the_views_of_a_text(text: str, expected: dict[str, object]) -> None:
    assert {name: view(name, text) for name in expected} == {
        name: pytest.approx(value) if isinstance(value, float) else value for name, value in expected.items()
    }


def test_no_text_has_no_view_and_an_empty_one_has_a_length() -> None:
    assert (view("script", None), np.isnan(view("length", None)), np.isnan(view("oov_share", None))) == (
        None,
        True,
        True,
    )  # type: ignore[call-overload]
    assert (view("length", ""), view("words", ""), view("script", "")) == (0.0, 0.0, "none")
    assert np.isnan(view("letter_share", ""))  # type: ignore[call-overload]


@settings(max_examples=60)
@given(text=st.text(max_size=60))
def test_every_text_there_is_has_views_in_their_ranges(text: str) -> None:
    for name, values in text_views(PROFILE, [text], own=False).items():
        if name.endswith(("_share", "_distance")):
            assert np.isnan(values[0]) or 0 <= values[0] <= 1, name


def test_the_baselines_own_texts_are_as_unknown_as_new_ones_of_their_kind() -> None:
    generator = np.random.default_rng(1)
    words = tuple(f"w{''.join(chr(97 + int(digit)) for digit in str(number))}" for number in range(3000))
    drawn = [reviews(generator, 800, words) for _ in range(2)]
    profile = profile_text("review", drawn[0])
    own, new = (text_views(profile, texts, own=at == 0) for at, texts in enumerate(drawn))
    for name in ("review.oov_share", "review.ngram_distance"):
        error = np.hypot(own[name].std(), new[name].std()) / np.sqrt(800)
        assert abs(own[name].mean() - new[name].mean()) < 3 * error, name
    assert own["review.oov_share"].mean() > 0.05


def test_that_holds_where_more_words_occur_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_profile, "WORDS_MAX", 1000)
    generator = np.random.default_rng(2)
    words = tuple(f"w{''.join(chr(97 + int(digit)) for digit in str(number))}" for number in range(3000))
    drawn = [reviews(generator, 1500, words) for _ in range(2)]
    profile = profile_text("review", drawn[0])
    assert len(profile.common + profile.rare) <= 12 * 1000
    own, new = (text_views(profile, texts, own=at == 0)["review.oov_share"] for at, texts in enumerate(drawn))
    assert abs(own.mean() - new.mean()) < 3 * np.hypot(own.std(), new.std()) / np.sqrt(1500)


def test_another_language_is_far_and_another_sentence_is_near() -> None:
    generator = np.random.default_rng(3)
    profile = profile_text("review", reviews(generator, 500))
    near, far = (
        text_views(profile, texts, own=False)["review.ngram_distance"].mean()
        for texts in (reviews(generator, 100), ["das Zimmer war leider viel zu kalt"] * 5)
    )
    assert near < 0.6 < 0.7 < far


def test_a_baseline_keeps_no_word() -> None:
    profile = profile_text("review", ["Adalbert complained", "Adalbert praised it"] * 5)
    assert "adalbert" not in str(dataclasses.asdict(profile)).lower()


def test_a_number_is_no_new_word() -> None:
    profile = profile_text("review", ["order 17 came late", "order 23 was broken"] * 5)
    assert text_views(profile, ["order 99 late"], own=False)["review.oov_share"][0] == 0


def test_a_word_that_every_text_holds_is_known_to_each_of_them() -> None:
    texts = [f"the {word}" for word in ("room", "bed", "bus", "sea", "tea", "bath")]
    profile = profile_text("review", texts)
    assert text_views(profile, texts, own=True)["review.oov_share"].tolist() == [0.5] * 6
    assert (len(profile.common), profile.rare) == (12, ""), "words that fewer than five texts hold are not kept"
