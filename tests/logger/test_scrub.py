"""Finders of personal data and secrets: what they find, what they leave, and that hostile text does not hold them up."""

import base64
import hashlib
import re
import string
import uuid
from dataclasses import dataclass
from itertools import pairwise
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.logger.scrub import FINDERS, Scrubber, prepared
from retrue.logger.scrub_checks import is_card, is_iban, luhn, national_checks
from retrue.logger.scrub_personal import Found, apart, phones_by_library
from retrue.logger.scrub_presidio import presidio_finder

SCRUBBER = Scrubber()
FOUND = {
    "write to zsofia@posta.example": "write to <email>",
    "write to O'Neill+x@mail.posta.example.": "write to <email>.",
    "zsofia (at) posta (dot) example": "<email>",
    "'zsofia @ posta.example'": "'<email>'",
    "ｚｓｏｆｉａ＠ｐｏｓｔａ．ｅｘａｍｐｌｅ": "<email>",
    "zso\u200bfia@pos\u00adta.example": "<email>",
    "zsofia%40posta.example": "<encoded>",
    "zsofia\\u0040posta.example": "<email>",
    "zsofia&#64;posta.example": "<email>",
    "4111111111111111 12/27 123": "<card> 12/27 123",
    "paid by 4111-1111-1111-1111.": "paid by <card>.",
    "４１１１ １１１１ １１１１ １１１１": "<card>",
    "٤١١١١١١١١١١١١١١١": "<card>",
    "378282246310005 of Amex": "<card> of Amex",
    "to GB82 WEST 1234 5698 7654 32 please": "to <iban> please",
    "gb82west12345698765432": "<iban>",
    "call +36 30 123 4567 now": "call <phone> now",
    "(415) 555-2671 x12": "<phone>",
    "my number is 5552671": "my number is <phone>",
    "from 203.0.113.9:8080": "from <ip>:8080",
    "at 2001:db8::8a2e:370:7334": "at <ip>",
    "at 00:1B:44:11:3a:b7": "at <mac>",
    "ssn 536-90-4399": "ssn <ssn>",
    "NI AB 12 34 56 C": "NI <national_id>",
    "https://zsofia:pass@shop.example/cart?id=7#top": "https://<userinfo>@shop.example/cart?<query>",
    "password=hunter2": "password=<secret>",
    '{"api_key": "abcdef"}': '{"api_key": "<secret>"}',
    "Authorization: Bearer abc123def456": "Authorization: Bearer <secret>",
    "AK" + "IA" + "IOSFODNN7EXAMPLE": "<secret>",
    "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0k1L2": "<secret>",
    "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc": "<secret>",
    "xo" + "xb-123456789012-abcdef": "<secret>",
    "ey" + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N": "<secret>",
    "-----BEGIN PRIVATE " + "KEY-----\nMIIB\n-----END PRIVATE " + "KEY----- after": "<secret> after",
}
LEFT = (
    "X has 14 features, but RandomForestClassifier is expecting 25 features as input",
    "shapes (128, 64, 3) and (128, 64) not aligned: 64 (dim 1) != 128 (dim 0)",
    "1 000 000 rows in 12.345678 s",
    "2024-05-01 12:00:00.123456",
    "2024-05-01T12:00:00Z to 2024-06-01",
    "line 1 column 123456789 (char 0)",
    "price 12,345,678.90 in [0.1, 0.25, 0.33333333]",
    "<object at 0x7f8a12345678>",
    "at 1719323123456 ms",
    "Tried to allocate 20.00 MiB (GPU 0; 15.78 GiB total)",
    "0.000123 0.99921",
    "numpy==1.26.4 on Python 3.11.7",
    "token: invalid, the secret is out, password is required",
    "/usr/lib/python3.11/site-packages/sklearn/ensemble/_forest.py",
    "feature sepal_length_in_centimetres of DataFrameGroupByTransformer not found",
    "flight UA1545 N14228 EWR 2013-01-05",
    "KeyError: 'visib'",
)


@pytest.mark.parametrize("text", FOUND)
def test_personal_data_and_secrets_are_replaced_by_their_kind(text: str) -> None:
    assert SCRUBBER.scrub(text) == FOUND[text]


@pytest.mark.parametrize("text", LEFT)
def test_text_of_programs_is_left_as_it_is(text: str) -> None:
    assert SCRUBBER.scrub(text) == text


@given(number=st.integers(0, 10**15 - 1), separator=st.sampled_from(["", " ", "-", "."]))
def test_every_card_is_found_however_it_is_split(number: int, separator: str) -> None:
    body = f"4{number:014d}"[:15]
    card = next(body + check for check in string.digits if luhn(body + check))
    split = separator.join(card[at : at + 4] for at in range(0, 16, 4))
    assert SCRUBBER.scrub(f"paid by {split}, thanks") == "paid by <card>, thanks"


@given(local=st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9]{1,10})?", fullmatch=True), domain=st.from_regex(r"[a-z]{1,12}\.[a-z]{2,6}", fullmatch=True))  # fmt: skip
def test_every_address_is_found_plain_and_in_base64(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    assert SCRUBBER.scrub(f"to {address} today") == "to <email> today"
    encoded = base64.b64encode(address.encode()).decode()
    if len(encoded.rstrip("=")) >= 12:
        assert address not in SCRUBBER.scrub(encoded)
        assert encoded.rstrip("=") not in SCRUBBER.scrub(f"got {encoded}")


def test_random_keys_are_found_in_any_alphabet() -> None:
    keys = [hashlib.sha256(b"%d" % number).digest() for number in range(2_000)]
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode, bytes.hex):
        written = [str(alphabet(key), "ascii") if alphabet is not bytes.hex else key.hex() for key in keys]
        missed = [key for key in written if key in SCRUBBER.scrub(f"key {key} given")]
        assert len(missed) <= 2, missed


@given(st.uuids())
def test_uuids_are_no_personal_data(number: uuid.UUID) -> None:
    assert not SCRUBBER.personal(str(number))
    assert SCRUBBER.scrub(f"request {number} failed") == f"request {number} failed"


@given(st.text(max_size=300))
def test_any_text_is_scrubbed_without_an_error_and_twice_is_as_once(text: str) -> None:
    once = SCRUBBER.scrub(text)
    assert "@posta.example" not in once
    assert Scrubber().scrub(once) == once


@given(st.lists(st.builds(lambda kind, start, size: Found(kind, start, start + size), st.sampled_from("abc"), st.integers(0, 50), st.integers(1, 9))))  # fmt: skip
def test_places_are_set_apart_and_cover_all_of_what_was_found(found: list[Found]) -> None:
    made = apart(found)
    assert {at for each in made for at in range(each.start, each.end)} == {
        at for each in found for at in range(each.start, each.end)
    }
    assert all(one.end <= other.start for one, other in pairwise(made))


HOSTILE = [
    *(
        "a",
        "@",
        "1",
        "1 ",
        "a@",
        "a.@",
        "-----BEGIN ",
        "-----BEGIN KEY-----",
        "1.1.1.",
        "::",
        "eyJa",
        "%20",
        "(at)",
        "+1(",
    ),
    *(
        "token ",
        "a:b@",
        "http://",
        "x=1&",
        "AB12 ",
        "GB82 ",
        "a-",
        "pass",
        "_token",
        "Zz9-",
        "4 ",
        "444444 ",
        "(1",
        "1(",
    ),
    *("a@a.", "\\u0040", "&#64;", "a'", "00:", "bearer ", "secret is ", "١", "ﷺ"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_in_step_with_the_length_of_hostile_text(piece: str) -> None:
    scrubber = Scrubber(characters=2**16, budget_seconds=60.0)

    def seconds(size: int) -> float:
        text = (piece * size)[:size]
        started = thread_time()
        scrubber.scrub(text)
        return thread_time() - started

    small, large = min(seconds(4_096) for _ in range(3)), seconds(32_768)
    assert large < 32 * max(small, 0.01)  # of processor time; eight times the text, and a quadratic one takes 64 times


def test_text_that_takes_too_long_is_not_written() -> None:
    hurried = Scrubber(budget_seconds=1e-9)
    assert hurried.scrub("call zsofia@posta.example") == "<text, 25 characters>"
    assert hurried.personal("zsofia@posta.example")
    with pytest.raises(TimeoutError):
        hurried.find("zsofia@posta.example")


def test_long_text_is_cut_before_it_is_looked_at() -> None:
    assert Scrubber(characters=10).scrub("x" * 50 + " zsofia@posta.example") == "xxxxxxxxxx… <cut, 71 characters>"


def test_card_among_other_digits_is_found() -> None:
    assert SCRUBBER.scrub("order 12 4111 1111 1111 1111 99") == "order 12 <card> 99"
    assert SCRUBBER.scrub("12345678901234567890123") == "12345678901234567890123"


def test_finds_may_be_told_apart_by_a_keyed_hash() -> None:
    scrubber = Scrubber(pseudonym=lambda found: f"#{len(found)}")
    assert scrubber.scrub("zsofia@posta.example") == "<email #20>"


def test_a_finder_of_ones_own_joins_the_others() -> None:
    def staff(text: str) -> "list[Found]":
        return [Found("staff", *each.span()) for each in re.finditer(r"\bEMP\d{4}\b", text)]

    assert Scrubber((*FINDERS, staff)).scrub("EMP1234 or zsofia@posta.example") == "<staff> or <email>"  # type: ignore[arg-type]


def test_ids_of_programs_are_not_personal_but_addresses_are() -> None:
    assert not any(
        map(SCRUBBER.personal, ("order-2024-05-17-0001", "0123456789abcdef-17", "req_8fJk2LmN", "EWR/UA/1545"))
    )
    assert all(map(SCRUBBER.personal, ("zsofia@posta.example", "u/4111111111111111", "+36301234567", "536-90-4399")))


def test_checks_refuse_what_only_looks_right() -> None:
    assert not is_card("4111111111111112")
    assert not is_card("1111111111111117")
    assert not is_iban("GB82WEST12345698765433")
    assert not is_iban("GB82WEST1234569876543")


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Scrubber(characters=0)
    with pytest.raises(ValueError, match="above 0"):
        Scrubber(budget_seconds=float("nan"))


def test_escapes_of_half_a_pair_are_no_character() -> None:
    assert prepared("a\\ud83db") == "a\ufffdb"


@pytest.mark.skipif(not national_checks(), reason="python-stdnum is not installed")
def test_national_ids_are_proved_by_their_library() -> None:
    scrubber = Scrubber.with_extras()
    for number in ("44051401359", "54362315K", "2 95 10 99 126 111 93", "390.533.447-05"):
        assert scrubber.scrub(f"id {number} here") == "id <national_id> here", number
    assert "54362315K" not in scrubber.scrub("54362315K " * 300)
    assert scrubber.scrub("EWR 54362315K 2024") == "EWR <national_id> 2024"


def test_telephones_are_also_found_by_their_library() -> None:
    pytest.importorskip("phonenumbers")
    find = phones_by_library(["GB"])
    assert [(each.start, each.end) for each in find("ring 0121 496 0123 now")] == [(5, 18)]


@dataclass
class Named:
    """A result as Presidio gives it."""

    entity_type: str
    start: int
    end: int
    score: float


class NameAnalyzer:
    """A double of Presidio's analyzer that knows one name, and is unsure of each lower-case word."""

    def analyze(self, text: str, language: str) -> list[Named]:
        names = [Named("PERSON", *each.span(), 0.85) for each in re.finditer("Zsofia Kovacs", text)]
        return names + [Named("NRP", *each.span(), 0.1) for each in re.finditer(r"\b[a-z]+\b", text)]


def test_names_are_found_with_an_adapter_to_presidio() -> None:
    scrubber = Scrubber((*FINDERS, presidio_finder(NameAnalyzer())))
    assert scrubber.scrub("12 mails of Zsofia Kovacs: zsofia@posta.example") == "12 mails of <person>: <email>"
    assert Scrubber().scrub("12 mails of Zsofia Kovacs") == "12 mails of Zsofia Kovacs"
