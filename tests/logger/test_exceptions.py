import re
import sys
import traceback
from pathlib import Path

import pytest

from retrue.logger.exceptions import (
    CAUSES_MAX,
    FRAMES_FIRST,
    FRAMES_LAST,
    STACK_CHARACTERS_MAX,
    Failure,
    failure_of,
    is_timeout,
    short_path,
    site_text,
    stack_lines,
)
from retrue.logger.messages import Raised


def caught(act) -> BaseException:  # type: ignore[no-untyped-def]
    try:
        act()
    except BaseException as error:  # noqa: BLE001 - any is looked at
        return error
    raise AssertionError("nothing was raised")


def text(failure: Failure) -> str:
    lines = [f"{each.type}: {each.text}" if isinstance(each, Raised) else each for each in stack_lines(failure)]
    return "\n".join(lines)


def standard(error: BaseException) -> str:
    """What Python prints, without source lines and marks below them, and with the paths that we print."""
    printed = "".join(traceback.format_exception(error))
    kept = [line for line in printed.splitlines() if not line.startswith("    ")]
    return re.sub(r'File "([^"]+)"', lambda found: f'File "{short_path(found[1])}"', "\n".join(kept))


def fail() -> None:
    raise ValueError("first")


def fail_because() -> None:
    try:
        fail()
    except ValueError as error:
        raise IndexError("second") from error


def fail_while_failing() -> None:
    try:
        fail()
    except ValueError:
        raise LookupError("second") from caught(fail_because)


def fail_hiding() -> None:
    try:
        fail()
    except ValueError:
        raise LookupError("second") from None


def fail_in_another() -> None:
    try:
        fail()
    except ValueError:
        raise LookupError("second")  # noqa: B904 - that is what is tested


@pytest.mark.parametrize("act", [fail, fail_while_failing, fail_hiding, fail_in_another])
def test_stack_is_what_python_prints_without_source_lines(act) -> None:  # type: ignore[no-untyped-def]
    error = caught(act)
    assert text(failure_of(error)) == standard(error)


def test_cause_that_leads_back_to_itself_ends() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert text(failure_of(first)).count("ValueError") == 2


def test_long_chain_of_causes_is_cut() -> None:
    error = last = ValueError("0")
    for number in range(50):
        last.__cause__ = ValueError(str(number))
        last = last.__cause__  # type: ignore[assignment]
    assert text(failure_of(error)).count("ValueError") == CAUSES_MAX + 1


def test_group_is_told_with_its_first_member() -> None:
    group = caught(lambda: (_ for _ in ()).throw(ExceptionGroup("several", [caught(fail), ValueError()])))
    told = text(failure_of(group))
    assert "in fail\n" in told
    assert told.index("ValueError: first") < told.index("ExceptionGroup: several")


def test_deep_stack_keeps_both_ends() -> None:
    def recurse(depth: int) -> None:
        if not depth:
            fail()
        recurse(depth - 1)

    failure = failure_of(caught(lambda: recurse(500)))
    assert len(failure.frames) == FRAMES_FIRST + FRAMES_LAST
    assert failure.skipped == 504 - FRAMES_FIRST - FRAMES_LAST
    lines = text(failure).splitlines()
    assert ", in caught" in lines[1]
    assert lines[-2].endswith(", in fail")
    assert f"  [{failure.skipped} frames left out]" in lines


def test_stack_too_long_loses_its_beginning() -> None:
    error = caught(fail)
    for _ in range(CAUSES_MAX):
        outer = caught(lambda: exec(compile("raise ValueError('x')", "n" * 2_000 + ".py", "exec")))
        outer.__cause__, error = error, outer
    told = stack_lines(failure_of(error))
    assert sum(len(line) for line in told if isinstance(line, str)) <= STACK_CHARACTERS_MAX
    assert isinstance(told[-1], Raised)


def test_failures_of_one_place_share_a_site_and_those_of_another_do_not() -> None:
    sites = [failure_of(caught(act)).site for act in (fail, fail, fail_because, fail_hiding)]
    assert sites[0] == sites[1]
    assert len(set(sites)) == 3
    assert re.fullmatch(r"ValueError at \S*test_exceptions.py:\d+ in fail", site_text(sites[0]))


def test_message_is_taken_only_where_no_value_of_the_hosts_runs_code() -> None:
    class Loud:
        def __str__(self) -> str:
            raise AssertionError("asked")

        __repr__ = __str__

    class OwnError(Exception):
        def __str__(self) -> str:
            return "own"

    assert failure_of(ValueError("x", 3, None)).raised.text == "('x', 3, None)"
    assert failure_of(ValueError(ValueError("inner"))).raised.text == "inner"
    assert failure_of(OwnError(Loud())).raised.text == "own"
    assert failure_of(ValueError(Loud())).raised.text == "<unprintable ValueError>"


def test_timeouts_are_told_by_their_name_or_a_bases() -> None:
    late = type("APITimeoutError", (ConnectionError,), {})
    assert is_timeout(type("Own", (late,), {}))
    assert is_timeout(type("DeadlineExceeded", (Exception,), {}))
    assert not is_timeout(ConnectionError)


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("<string>", "<string>"),
        ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>"),
        ("/home/jane/venv/lib/python3.11/site-packages/sklearn/base.py", "site-packages/sklearn/base.py"),
        ("C:\\Users\\jane\\venv\\Lib\\site-packages\\sklearn\\base.py", "site-packages/sklearn/base.py"),
        ("/usr/lib/python3/dist-packages/yaml/loader.py", "dist-packages/yaml/loader.py"),
        (traceback.__file__, f"lib/python3.{sys.version_info.minor}/traceback.py"),
        ("/home/jane/secret/app.py", "app.py"),
    ],
)
def test_paths_hold_no_home_directory(path: str, short: str) -> None:
    assert short_path(path) == short


def test_paths_of_the_project_start_at_the_longest_folder_it_is_imported_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "src"), "/"])
    assert short_path(str(tmp_path / "src" / "shop" / "model.py")) == "shop/model.py"
    assert short_path(str(tmp_path / "serve.py")) == "serve.py"
