import random
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.failures import Failure, fingerprint, group

ERROR = "Traceback (most recent call last):\n{frames}KeyError: {message}\n"
FUNCTIONS = st.lists(
    st.sampled_from(["serve", "predict", "lookup", "encode", "join"]), min_size=1, max_size=5, unique=True
)


def failure(
    functions: list[str], *, root: str = "/srv/app", lines: random.Random | None = None, message: str = "no weather"
) -> Failure:
    chance = lines or random.Random(0)
    frames = "".join(f'  File "{root}/features.py", line {chance.randint(1, 999)}, in {each}\n' for each in functions)
    return Failure(
        error_type="KeyError", message=message, stack=ERROR.format(frames=frames, message=message), status="error"
    )


def ident(functions: list[str], **changed: object) -> str:
    return fingerprint(failure(functions, **changed)).id  # type: ignore[arg-type]


@given(FUNCTIONS, st.randoms(), st.sampled_from(["/srv/app", "/home/jane/work", "C:\\build\\17", "", "."]))
def test_lines_and_folders_do_not_change_the_id(functions: list[str], lines: random.Random, root: str) -> None:
    assert ident(functions, lines=lines, root=root) == ident(functions)


@given(FUNCTIONS, st.integers(), st.uuids(), st.ip_addresses())
def test_values_of_the_message_do_not_change_the_id(
    functions: list[str], number: int, key: object, host: object
) -> None:
    told = f"no weather for row {number} of {key} from {host}"
    assert ident(functions, message=told) == ident(functions, message="no weather for row 1 of 'a' from 10.0.0.1")


@given(FUNCTIONS, FUNCTIONS)
def test_other_functions_are_other_failures(one: list[str], other: list[str]) -> None:
    assert (ident(one) == ident(other)) == (one == other)


def test_other_types_words_and_causes_are_other_failures() -> None:
    plain = failure(["lookup"])
    caused = Failure(
        error_type="KeyError",
        message=plain.message,
        stack=f"{plain.stack}\nThe above exception was the direct cause of the following exception:\n\n{plain.stack}",
        status="error",
    )
    other = failure(["lookup"], message="no fare")
    typed = Failure(error_type="ValueError", message=plain.message, stack=plain.stack, status="error")
    assert len({fingerprint(each).id for each in (plain, caused, other, typed)}) == 4


def test_categories_do_not_split_a_group_that_frames_tell() -> None:
    names = [fingerprint(failure(["lookup"], message=f"no weather for {name}")) for name in ("EWR", "JFK", "New York")]
    assert len({each.id for each in names}) == 1
    assert names[0].message == "no weather for <*>"


@given(st.lists(st.builds(failure, FUNCTIONS), min_size=1, max_size=8), st.randoms())
def test_order_and_company_do_not_change_an_id(failures: list[Failure], chance: random.Random) -> None:
    shuffled = [*failures]
    chance.shuffle(shuffled)
    alone = {each: fingerprint(each).id for each in failures}
    assert {each: found.id for each, found in zip(shuffled, group(shuffled), strict=True)} == alone


def test_another_process_gives_the_same_id() -> None:
    program = (
        "from retrue.failures import Failure, fingerprint\n"
        "print(fingerprint(Failure(error_type='KeyError', message='no weather', stack='', status='error')).id)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (
        done.stdout.strip()
        == fingerprint(Failure(error_type="KeyError", message="no weather", stack="", status="error")).id
    )


def test_ids_of_released_versions_stay_what_they_were() -> None:
    """They are kept in ledgers: whoever changes the rules raises ``EDITION`` knowingly."""
    bare = Failure(error_type="", message="generating core.2275", stack="", status="error")
    assert fingerprint(bare).id == "e58e0d174f31"
    assert ident(["serve", "lookup"]) == "dfb613ae2814"


def test_reasons_say_what_is_shared() -> None:
    found = fingerprint(failure(["serve", "lookup"], message="no weather for 'EWR'"))
    assert found.reasons == (
        "same exception type KeyError",
        "same in-app frames app.features.lookup < app.features.serve",
        "same message 'no weather for <*>'",
    )
    assert found.title == "KeyError in app.features.lookup: no weather for <*>"
    assert found.frames == ("app.features.serve", "app.features.lookup")


LIBRARY = """Traceback (most recent call last):
  File "/opt/lib/python3.11/site-packages/starlette/routing.py", line 715, in __call__
  File "/opt/lib/python3.11/site-packages/sklearn/pipeline.py", line 600, in predict
  File "/opt/lib/python3.11/site-packages/sklearn/utils/validation.py", line 1049, in check_array
ValueError: Input X contains NaN.
"""


def test_innermost_library_frames_stand_in_where_none_is_in_app() -> None:
    found = fingerprint(
        Failure(error_type="ValueError", message="Input X contains NaN.", stack=LIBRARY, status="error")
    )
    assert found.frames == ("sklearn.pipeline.predict", "sklearn.utils.validation.check_array")
    assert found.reasons[1] == (
        "same innermost library frames, as none is in-app: sklearn.utils.validation.check_array < sklearn.pipeline.predict"
    )


def test_wrappers_of_a_server_do_not_change_the_id() -> None:
    without = "\n".join(line for line in LIBRARY.splitlines() if "starlette" not in line)
    one, other = (
        fingerprint(Failure(error_type="ValueError", message="x", stack=stack, status="error"))
        for stack in (LIBRARY, without)
    )
    assert one.id == other.id


def test_type_comes_from_the_stack_where_the_record_has_none() -> None:
    stack = failure(["lookup"]).stack
    assert fingerprint(Failure(error_type="", message="no weather", stack=stack, status="error")).id == ident(
        ["lookup"]
    )


def test_status_stands_in_where_nothing_else_is_known() -> None:
    timeout, rejected = (
        fingerprint(Failure(error_type="", message="", stack="", status=status)) for status in ("timeout", "rejected")
    )
    assert timeout.title == "timeout"
    assert timeout.reasons == ("same status timeout",)
    assert timeout.id != rejected.id


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=500), st.text(max_size=20))
def test_any_text_has_a_bounded_printable_fingerprint(kind: str, message: str, stack: str, status: str) -> None:
    found = fingerprint(Failure(error_type=kind, message=message, stack=stack, status=status))
    assert re.fullmatch("[0-9a-f]{12}", found.id)
    shown = [found.title, found.error_type, found.message, *found.frames, *found.reasons]
    assert all(len(text) < 3000 and text.isprintable() for text in shown)


def test_functions_with_control_characters_are_shown_readably() -> None:
    found = fingerprint(failure(["look\x1b[31mup\0"], root="/srv/\ud800"))
    assert found.title.startswith("KeyError in \ufffd.features.look\ufffd[31mup\ufffd")


@pytest.mark.parametrize("unit", ["\0", "\ud800", "x", "1,", 'File "a", line 1, in b\n', "  at a.b(C.java:1)\n"])
def test_a_megabyte_of_hostile_text_is_survived(unit: str) -> None:
    text = unit * (10**6 // len(unit))
    found = fingerprint(Failure(error_type=text, message=text, stack=text, status=text))
    assert len(found.title) <= 160


@pytest.mark.parametrize("length", [3, 12])
def test_a_message_that_was_not_kept_is_no_message(length: int) -> None:
    kept = fingerprint(failure(["lookup"], message=f"<text, {length} characters>"))
    assert kept.title == "KeyError in app.features.lookup"
    assert kept.message == ""
    assert kept.id == ident(["lookup"], message="")
