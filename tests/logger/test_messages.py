"""Of a message only program text is written, however the message was made."""

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.logger.messages import Raised, message_of, program_text
from retrue.logger.scrub import Scrubber
from tests.logger.raising import WAYS, data_alone, formatted, noted

DATA = "zsofia.kovacs@posta.example"


def raised_by(function: Callable[[str], Any], data: str) -> Raised:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is, its message is what is looked at
        function(data)
    traceback = caught.value.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback is not None
    return Raised.of(caught.value, traceback.tb_frame.f_code, traceback.tb_lasti)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
def test_program_text_is_kept_and_data_is_not(way: Callable[[str], Any]) -> None:
    lengths = {"length": len(DATA), "quoted": len(DATA), "noted": len(f"it was {DATA}")}
    told = message_of(raised_by(way, DATA), "program", Scrubber())
    assert told == WAYS[way].format(**lengths)


@given(data=st.text(alphabet=string.ascii_letters + string.digits + " @.-'\"%{}\n", min_size=1, max_size=40))
def test_what_is_kept_is_the_same_whatever_the_data(data: str) -> None:
    assert program_text(raised_by(formatted, data)) in {
        "no fare for <*> in <*> today",
        "no fare for <*> in <*> in <*> today",  # where the data says " in " itself
    }


@given(data=st.text(min_size=1, max_size=60))
def test_data_alone_leaves_its_length(data: str) -> None:
    assert program_text(raised_by(data_alone, data)) == f"<text, {len(data)} characters>"


def test_message_without_its_place_is_no_program_text() -> None:
    assert program_text(Raised.of(ValueError("no fare for Jane"))) == "<text, 16 characters>"


def test_secret_in_the_source_is_scrubbed_too() -> None:
    def leak() -> None:
        raise ValueError("cannot reach postgres://admin:hunter2@db.example/prices")

    told = message_of(raised_by(lambda _: leak(), ""), "program", Scrubber())
    assert told == "cannot reach postgres://<userinfo>@db.example/prices"


def test_whole_message_is_kept_scrubbed_where_asked_for() -> None:
    told = message_of(raised_by(formatted, DATA), "scrubbed", Scrubber())
    assert told == "no fare for <email> in '<email>' today"
    assert message_of(raised_by(noted, DATA), "scrubbed", Scrubber()) == "refused\nit was <email>"


def test_nothing_of_a_message_is_kept_where_only_the_type_is_asked_for() -> None:
    assert message_of(raised_by(formatted, DATA), "type", Scrubber()) == ""


@pytest.mark.parametrize("size", [10**4, 10**6])
def test_long_message_is_bounded(size: int) -> None:
    assert len(message_of(raised_by(formatted, "x" * size), "scrubbed", Scrubber())) < 5_000
    assert message_of(raised_by(data_alone, "x" * size), "program", Scrubber()) == "<text, 4096 characters>"


def test_type_is_told_with_its_module() -> None:
    class LocalError(Exception):
        pass

    assert Raised.of(ValueError()).type == "ValueError"
    assert Raised.of(LocalError()).type == f"{__name__}.test_type_is_told_with_its_module.LocalError"


def test_arguments_of_an_exception_are_not_asked_for_more_than_their_text() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise MemoryError

    assert Raised.of(ValueError(1, Hostile())).text == "<unprintable ValueError>"


def test_notes_that_are_no_text_are_left_out() -> None:
    error = ValueError("x")
    error.__notes__ = ["a note", 3, object()]
    assert Raised.of(error).notes == ("a note",)
    error.__notes__ = 3  # type: ignore[assignment]
    assert Raised.of(error).notes == ()
