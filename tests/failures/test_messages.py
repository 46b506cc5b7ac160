import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.failures.messages import LONGEST_TEMPLATE, VALUE, one_line, template, without_names


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("column 'age' is not in index", "column <*> is not in index"),
        ('bad value "n/a" for “plan”', "bad value <*> for <*>"),
        ("user's key is missing", "user's key is missing"),
        ("no such file: /srv/app/models/v7/model.pkl", "no such file: <*>"),
        (r"no such file: C:\models\v7\model.pkl", "no such file: <*>"),
        ("GET https://api.example.com/v1?key=7 failed", "GET <*> failed"),
        ("cannot reach feature-store.internal:6379", "cannot reach <*>"),
        ("cannot reach 10.0.0.7:8080 or fe80::1ff:fe23:4567:890a", "cannot reach <*> or <*>"),
        ("mail to jane.doe+x@example.com refused", "mail to <*> refused"),
        ("trace 4bf92f3577b34da6a3ce929d0e0e4736 lost", "trace <*> lost"),
        ("request 123e4567-e89b-12d3-a456-426614174000 lost", "request <*> lost"),
        ("<Model object at 0x7f8c2e10> is not fitted", "<Model object at <*>> is not fitted"),
        ("at 2013-04-04T05:00:00.123Z the clock stopped", "at <*> the clock stopped"),
        ("at Fri Jul 01 08:16:53 PDT 2005 the clock stopped", "at <*> the clock stopped"),
        ("timed out after 30.5 s", "timed out after <*>"),
        ("Tried to allocate 2.00 GiB (15.78 GiB free)", "Tried to allocate <*> (<*> free)"),
        ("model=gpt-4o temperature = 0.7 failed", "model=<*> temperature = <*> failed"),
        ("shapes (3,4) and (5,) differ", "shapes (<*>) and (<*>,) differ"),
        ("expected float64, got int32", "expected float<*>, got int<*>"),
        ("token eyJhbGciOiJIUzI1NiJ9 expired", "token <*> expired"),
        ("flight UA1234 of tail N0EGMQ is late", "flight <*> of tail <*> is late"),
        ("session of user jane opened by user joe", "session of user <*> opened by user <*>"),
        ("unknown row {'carrier': 'XX', 'legs': [1, {'a': 2}]} seen", "unknown row <*> seen"),
        ("ключ 'a' не найден: 17", "ключ <*> не найден: <*>"),
        ("blocks blk_1 blk_-2 blk_3 are gone", "blocks blk_<*> are gone"),
        ("no fare for <*>", "no fare for <*>"),
    ],
)
def test_values_are_replaced_and_words_are_kept(message: str, expected: str) -> None:
    assert template(message) == expected


@pytest.mark.parametrize("items", [["a"], ["a", "b"], [f"column {n}" for n in range(40)]])
def test_lists_of_any_length_are_one_value(items: list[str]) -> None:
    assert template(f"columns {items} are missing") == "columns [<*>] are missing"
    assert template(f"rows {list(range(len(items)))} are bad") == "rows [<*>] are bad"


def test_verbs_of_requests_and_messages_within_messages_are_kept() -> None:
    assert template('10.0.0.1 "POST /v2/x9/infer HTTP/1.1" 500') == '<*> "POST <*>" <*>'
    refused = "Caused by ConnectError('[Errno 111] Connection refused')"
    assert "Connection refused" in template(refused)
    assert template(refused) != template("Caused by ConnectError('[Errno 110] Connection timed out')")


def test_names_are_replaced_only_where_they_are_asked_to_be() -> None:
    assert template("no weather for EWR") == "no weather for EWR"
    assert without_names("no weather for EWR") == without_names("no weather for New York") == "no weather for <*>"
    assert without_names("Weather Service: Connection refused") == "Weather Service: Connection refused"


VALUES = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda number: f"{number:.6f}"),
    st.uuids().map(str),
    st.ip_addresses().map(str),
    st.datetimes().map(lambda at: at.isoformat()),
    st.binary(min_size=8, max_size=40).map(lambda raw: f"0x{raw.hex()}"),
    st.text(string.ascii_letters + string.digits + " ._-", max_size=40).map(lambda text: f'"{text}"'),
    st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=9), min_size=1, max_size=5).map(
        lambda parts: f"/srv/{'/'.join(parts)}"
    ),
    st.integers(1, 10**9).flatmap(lambda number: st.sampled_from([f"{number} ms", f"{number}KB", f"{number} bytes"])),
    st.emails(domains=st.just("example.com")).filter(lambda text: text.replace("@", "").replace(".", "").isalnum()),
)


@given(VALUES, VALUES)
def test_any_value_gives_the_same_template(one: str, other: str) -> None:
    assert template(f"cannot serve {one} to the model") == template(f"cannot serve {other} to the model")


@given(st.text(max_size=2000))
def test_any_text_gives_one_bounded_printable_line(text: str) -> None:
    found = template(text)
    assert len(found) <= LONGEST_TEMPLATE
    assert found.isprintable()
    assert found == template(text)


@given(st.text(max_size=300))
def test_a_template_is_its_own_template(text: str) -> None:
    once = template(template(text))
    assert template(once) == once or VALUE in once


@pytest.mark.parametrize(
    "unit",
    [
        "1,",
        "٣,",
        "a.",
        "'a",
        '"',
        "a=",
        "{",
        "(a",
        "/",
        "a@",
        "x1_",
        "Error('",
        "= ",
        "::",
        "<*>",
        "\ud800",
        "\0",
        "e\u0301",
    ],
)
def test_hostile_text_is_bounded_whatever_its_length(unit: str) -> None:
    assert template(unit * 10**6) == template(unit * (10**6 - 1))


def test_surrogates_and_control_characters_become_readable() -> None:
    assert one_line("a\ud800b\0c\x1b[31m\u2028d") == "a\ufffdb c [31m d"
    assert one_line("e\u0301") == "\u00e9"


def test_words_tell_messages_apart() -> None:
    words = ["weather", "fare", "seat", "gate", "crew", "baggage", "runway"]
    messages = [f"no {one} for {other} {random.Random(one + other).random()}" for one in words for other in words]
    assert len(set(map(template, messages))) == len(messages)
