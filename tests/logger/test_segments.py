import os
import random
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.logger.lines import Lines
from retrue.logger.runs import Run, Runs
from retrue.logger.segments import (
    DAMAGED,
    TORN,
    Footer,
    Header,
    encode_line,
    place_of,
    read_ends,
    read_pieces,
)
from tests.logger.spools import START, Read, lines, payload, segments, write

FIRST, ALL = 15, 60
PAYLOADS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20)).map(orjson.dumps), max_size=20)


def written(payloads: Iterable[bytes]) -> bytes:
    return b"".join(map(encode_line, payloads))


@given(PAYLOADS)
def test_lines_are_read_as_they_were_written(payloads: list[bytes]) -> None:
    pieces = list(read_pieces(BytesIO(written(payloads))))
    assert [(piece.content, piece.reason) for piece in pieces] == [(payload, "") for payload in payloads]


@given(PAYLOADS.filter(bool), st.data())
def test_a_flipped_bit_costs_no_line_but_its_own(payloads: list[bytes], data: st.DataObject) -> None:
    content = bytearray(written(payloads))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    hit = written(payloads)[:place].count(b"\n")
    is_newline = written(payloads)[place] == ord("\n")
    expected = payloads if is_newline else payloads[:hit] + payloads[hit + 1 :]
    found = [piece.content for piece in read_pieces(BytesIO(bytes(content))) if not piece.reason]
    assert found == expected


@given(st.binary(max_size=3000))
def test_any_bytes_are_read_without_an_error(content: bytes) -> None:
    assert (
        b"".join(piece.content for piece in read_pieces(BytesIO(content)) if piece.reason).strip(b"\n")
        == content.strip(b"\n")
        or b"\n" in content
    )
    assert read_ends(BytesIO(content), len(content)).footer is None


def test_last_line_without_an_end_is_torn_and_one_in_the_middle_damaged() -> None:
    good = encode_line(b'{"seq":1}')
    pieces = list(read_pieces(BytesIO(good + b"x\n" + good + good[:-5])))
    assert [(piece.offset, piece.reason) for piece in pieces] == [(0, ""), (19, DAMAGED), (21, ""), (40, TORN)]


def test_place_of_a_record_is_found_wherever_its_fields_stand() -> None:
    assert place_of(payload(7)) == (7, START + 7 * 60 * 10**9)
    trap = {"seq": 3, "inference_id": '"time":1,', "labelled_at": 5, "label": 1}
    assert place_of(orjson.dumps(trap)) == (3, 5)
    assert place_of(orjson.dumps({"seq": 3, "label": {"time": 7}, "labelled_at": 5})) == (3, 5)
    assert place_of(b'{"time":9,"seq":4}') == (4, 9)
    assert place_of(b'{"seq":4}') == (4, 0)
    assert Lines.of([b'{"x":4}']).runs == []
    assert place_of(b'{"x":4}') is place_of(b"[]") is place_of(b"{") is None


def test_footer_tells_what_a_sealed_segment_holds(tmp_path: Path) -> None:
    write(tmp_path, [Lines.of(map(payload, (1, 2, 3, 6, 7, 8, 9, 4)))])
    (path,) = segments(tmp_path)
    with path.open("rb") as stream:
        header, footer, _ = read_ends(stream, path.stat().st_size)
    assert header is not None
    assert footer is not None
    assert (header.model, header.model_version, header.number) == ("m", "1", 1)
    minute = 60 * 10**9
    assert footer.runs == (
        Run(1, 4, START + minute, START + 4 * minute),
        Run(6, 9, START + 6 * minute, START + 9 * minute),
    )
    assert (footer.records, footer.begins, footer.ends) == (8, START + minute, START + 9 * minute)


def test_header_is_taken_from_the_footer_or_a_sibling_where_it_is_damaged(tmp_path: Path) -> None:
    write(tmp_path, [lines(1, 5), lines(6, 9)])
    first, second = segments(tmp_path)
    first.write_bytes(b"#" + first.read_bytes()[1:])
    second.write_bytes(b"#" + second.read_bytes()[1:-4])
    read = Read(tmp_path)
    assert read.numbers == list(range(1, 10))
    assert {row.record["model_version"] for row in read.rows} == {"1"}
    assert [segment.header.number for segment in read.spool.segments] == [1, 2]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=3),
    lambda each: st.lists(each, max_size=3),
)


@given(st.dictionaries(st.sampled_from(Header._fields), JSON), st.dictionaries(st.sampled_from(Footer._fields), JSON))
def test_ends_that_say_nonsense_say_nothing(header: dict[str, object], footer: dict[str, object]) -> None:
    lines = [{"retrue": "segment", "format": 1, **header}, {"retrue": "sealed", "format": 1, "of": header, **footer}]
    content = written(map(orjson.dumps, lines))
    found = read_ends(BytesIO(content), len(content))
    if found.header:
        assert all(type(getattr(found.header, name)) is int for name in ("number", "pid", "opened_at"))


@given(st.lists(st.integers(1, 60)))
def test_runs_hold_the_numbers_that_were_added(numbers: list[int]) -> None:
    runs = Runs()
    new = [runs.add(number, number * 10) for number in numbers]
    assert new == [number not in numbers[:place] for place, number in enumerate(numbers)]
    held = [number for run in runs for number in range(run.first, run.last + 1)]
    assert held == sorted(set(numbers))
    assert all((run.begins, run.ends) == (run.first * 10, run.last * 10) for run in runs)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9))))
def test_merged_runs_hold_the_numbers_of_all(pairs: list[tuple[int, int]]) -> None:
    runs = Runs(Run(first, first + more, 0, 0) for first, more in pairs)
    held = [number for run in runs for number in range(run.first, run.last + 1)]
    assert held == sorted({number for first, more in pairs for number in range(first, first + more + 1)})


# ---------------------------------------------------------------- one good spool, damaged in every way


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 records in two segments, 45 of them in the second."""
    root = tmp_path_factory.mktemp("good")
    write(root, [lines(1, FIRST), lines(FIRST + 1, ALL)])
    return root


def damaged(good: Path, root: Path, content: bytes, *, number: int = 2) -> Read:
    for path in (*segments(good), *good.rglob("tally"), good / "retrue-spool.json"):
        copy = root / path.relative_to(good)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    segments(root)[number - 1].write_bytes(content)
    return Read(root)


def test_spool_cut_at_every_byte_of_its_last_4_kb_keeps_every_whole_record(good: Path, tmp_path: Path) -> None:
    content = segments(good)[1].read_bytes()
    ends = [place for place, byte in enumerate(content) if byte == ord("\n")]
    damaged(good, tmp_path, content)
    path = segments(tmp_path)[1]
    for cut in range(len(content) - 1, len(content) - 4097, -1):
        os.truncate(path, cut)
        read = Read(tmp_path)
        whole = sum(end <= cut for end in ends) - 1  # the header is no record; a record without its newline is whole
        assert read.numbers == list(range(1, FIRST + min(whole, ALL - FIRST) + 1)), cut
        assert read.lost == ALL - len(read.rows), cut


def test_200_flipped_bits_cost_at_most_a_record_each_and_all_are_counted(good: Path, tmp_path: Path) -> None:
    content = segments(good)[1].read_bytes()
    draw = random.Random(7)
    for _ in range(200):
        place = draw.randrange(len(content))
        flipped = bytes(byte ^ (1 << draw.randrange(8)) if at == place else byte for at, byte in enumerate(content))
        read = damaged(good, tmp_path, flipped)
        hit = content[:place].count(b"\n") + FIRST
        expected = [
            number for number in range(1, ALL + 1) if number != hit or hit == FIRST or content[place] == ord("\n")
        ]
        assert read.numbers == expected
        assert read.lost == ALL - len(expected)


def test_200_flipped_bits_in_one_segment_leave_the_other_records(good: Path, tmp_path: Path) -> None:
    content = bytearray(segments(good)[1].read_bytes())
    draw = random.Random(8)
    hit = set()
    for _ in range(200):
        place = draw.randrange(len(content))
        hit.add(bytes(segments(good)[1].read_bytes())[:place].count(b"\n") + FIRST)
        content[place] ^= 1 << draw.randrange(8)
    read = damaged(good, tmp_path, bytes(content))
    assert set(read.numbers) >= set(range(1, ALL + 1)) - hit - {number + 1 for number in hit}
    assert read.lost == ALL - len(read.rows)


def test_zeroed_page_costs_the_records_on_it(good: Path, tmp_path: Path) -> None:
    content = segments(good)[1].read_bytes()
    start = content.index(b"\n", 1000) + 1
    read = damaged(good, tmp_path, content[:start] + b"\0" * 2048 + content[start + 2048 :])
    gone = content[:start].count(b"\n") + FIRST, content[: start + 2048].count(b"\n") + FIRST
    assert read.numbers == [number for number in range(1, ALL + 1) if not gone[0] <= number <= gone[1]]
    assert read.lost == ALL - len(read.rows)
    assert [bad.reason for bad in read.bad] == [DAMAGED]


def test_empty_and_newer_segments_are_set_aside_and_the_others_read(good: Path, tmp_path: Path) -> None:
    newer = orjson.dumps({"retrue": "segment", "format": 2, "what": "ever"})
    for content, reason in {
        b"": "a sealed segment without content",
        encode_line(newer) + b"?": "format 2 of a newer version: upgrade retrue to read it",
    }.items():
        read = damaged(good, tmp_path, content)
        assert read.numbers == list(range(1, FIRST + 1))
        assert (list(read.names_aside.values()), read.lost) == ([reason], ALL - FIRST)


def test_missing_duplicated_and_misnamed_segments_are_counted_exactly(good: Path, tmp_path: Path) -> None:
    read = damaged(good, tmp_path, segments(good)[0].read_bytes(), number=2)
    assert (read.numbers, read.lost) == (list(range(1, FIRST + 1)), ALL - FIRST)
    first, second = segments(tmp_path)
    first.unlink()
    second.rename(second.with_name("whatever.seg"))
    assert (Read(tmp_path).numbers, Read(tmp_path).lost) == (list(range(1, FIRST + 1)), ALL - FIRST)


def test_link_in_place_of_a_segment_is_not_followed(good: Path, tmp_path: Path) -> None:
    damaged(good, tmp_path, b"")
    path = segments(tmp_path)[1]
    path.unlink()
    path.symlink_to(segments(good)[1])
    read = Read(tmp_path)
    assert list(read.names_aside.values()) == ["a symbolic link"]
    assert read.numbers == list(range(1, FIRST + 1))
