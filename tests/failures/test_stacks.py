"""Stacks of exceptions that were really raised, and of other runtimes as they print them."""

import traceback
from collections.abc import Callable

import pytest

from retrue.failures.stacks import LONGEST_STACK, Raised, exceptions


def raised_by(body: Callable[[], object]) -> str:
    try:
        body()
    except Exception:  # noqa: BLE001 - whatever the body raises is looked at
        return traceback.format_exc()
    raise AssertionError("nothing was raised")


def keys(raised: Raised) -> list[str]:
    return [frame.key for frame in raised.frames]


def in_app(stack: str, *prefixes: str) -> list[str]:
    return [frame.shown for raised in exceptions(stack, in_app=prefixes) for frame in raised.frames if frame.in_app]


def lookup(rows: dict[str, int]) -> int:
    return rows["visib"]


def test_python_traceback_gives_type_and_functions_outermost_first() -> None:
    (found,) = exceptions(raised_by(lambda: lookup({})))
    assert found.error_type == "KeyError"
    assert keys(found) == ["test_stacks.raised_by", f"test_stacks.{lambda_name()}", "test_stacks.lookup"]


def lambda_name() -> str:
    return (lambda: 0).__name__


def test_source_lines_marks_and_line_numbers_change_nothing() -> None:
    stack = raised_by(lambda: lookup({}))
    bare = "\n".join(line for line in stack.splitlines() if not line.startswith("    "))
    moved = "\n".join(
        line.partition(", line")[0] + ", line 9, in " + line.rpartition(", in ")[2] if ", line " in line else line
        for line in bare.splitlines()
    )
    assert bare != stack
    assert exceptions(stack) == exceptions(bare) == exceptions(moved)


def test_comprehensions_have_no_frame_of_their_own() -> None:
    stack = raised_by(lambda: [lookup({}) for _ in range(1)])
    inlined = stack.replace("in <listcomp>", "in <lambda>")  # what 3.12 and later print
    assert [keys(each) for each in exceptions(stack)] == [keys(each) for each in exceptions(inlined)]


def test_recursion_of_any_depth_is_the_same() -> None:
    def down(depth: int) -> int:
        return even(depth - 1) if depth else lookup({})

    def even(depth: int) -> int:
        return down(depth - 1) if depth else lookup({})

    shallow, deep = (exceptions(raised_by(lambda depth=depth: down(depth))) for depth in (4, 200))
    assert shallow == deep


def test_causes_follow_the_exception_that_was_recorded() -> None:
    def serve() -> None:
        try:
            lookup({})
        except KeyError as error:
            raise ValueError("no weather") from error

    def answer() -> None:
        try:
            serve()
        except ValueError:
            raise RuntimeError("no answer\nand two lines") from None

    def during() -> None:
        try:
            serve()
        except ValueError:
            int("x")

    assert [each.error_type for each in exceptions(raised_by(serve))] == ["ValueError", "KeyError"]
    assert [each.error_type for each in exceptions(raised_by(answer))] == ["RuntimeError"]
    assert [each.error_type for each in exceptions(raised_by(during))] == ["ValueError", "ValueError", "KeyError"]


def test_cause_without_frames_is_kept() -> None:
    stack = raised_by(lambda: raise_from(KeyError("x")))
    assert [each.error_type for each in exceptions(stack)] == ["OSError", "KeyError"]
    assert exceptions(stack)[1].frames == ()


def raise_from(cause: Exception) -> None:
    raise OSError("gone") from cause


def test_exception_groups_have_members_once_and_in_an_order_of_their_own() -> None:
    def failed(body: Callable[[], object]) -> Exception:
        try:
            body()
        except (KeyError, ValueError) as error:
            return error
        raise AssertionError

    def together(*members: Exception) -> None:
        raise ExceptionGroup("several", members)

    missing, wrong = failed(lambda: lookup({})), failed(lambda: int("x"))
    one = exceptions(raised_by(lambda: together(missing, wrong)))
    other = exceptions(raised_by(lambda: together(wrong, missing, failed(lambda: int("x")))))
    assert [each.error_type for each in one] == ["ExceptionGroup", "KeyError", "ValueError"]
    assert [each.error_type for each in other] == [each.error_type for each in one]
    assert keys(one[0])[-1] == "test_stacks.together"


PYTHON = """Traceback (most recent call last):
  File "/usr/lib/python3.11/threading.py", line 975, in run
  File "/opt/venv/lib/python3.11/site-packages/uvicorn/protocols/http/h11_impl.py", line 407, in run_asgi
  File "/srv/app/serve/__init__.py", line 12, in predict
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "<string>", line 3, in __init__
  File "/opt/venv/lib/python3.11/site-packages/flights/weather.py", line 80, in lookup
  File "/opt/venv/lib/python3.11/site-packages/pandas/core/indexing.py", line 80, in __getitem__
  File "pandas/_libs/index.pyx", line 153, in pandas._libs.index.IndexEngine.get_loc
KeyError: 'visib'
"""


def test_installed_frozen_and_generated_code_is_not_in_app() -> None:
    assert in_app(PYTHON) == ["app.serve.predict"]


def test_frames_the_user_names_are_in_app() -> None:
    assert in_app(PYTHON, "flights") == ["app.serve.predict", "flights.weather.lookup"]
    assert in_app(PYTHON, "app.serve") == ["app.serve.predict"]
    assert in_app(PYTHON, "weather.look") == ["app.serve.predict"]  # only whole parts of a name


def test_files_that_are_numbered_are_told_apart_and_hashes_of_bundles_are_not() -> None:
    def key(path: str) -> str:
        return keys(exceptions(f"f@/srv/{path}:1:1")[0])[0]

    assert key("resnet18.js") != key("resnet50.js")
    assert key("main-3f2a9c1b7d.js") == key("main-00c4d5e6f7.js")


def test_notebook_cells_are_in_app() -> None:
    cell = '  File "/tmp/ipykernel_71/2901.py", line 1, in <module>\n  File "<stdin>", line 1, in f\nKeyError: 1\n'
    assert in_app(cell) == ["ipykernel_71.0.<module>", "<stdin>.f"]


OTHERS = {
    "java": (
        "java.lang.IllegalStateException: no model\n"
        "\tat com.shop.Scorer.lambda$score$3(Scorer.java:41)\n"
        "\tat com.shop.Scorer$$EnhancerBySpringCGLIB$$1a2b3c.score(<generated>)\n"
        "\tat java.base/java.lang.reflect.Method.invoke(Method.java:566)\n"
        "\tat app//com.shop.Main.main(Main.java:7)\n"
        "Caused by: java.io.IOException: gone\n\tat com.shop.Store.read(Store.java:9)\n\t... 2 more\n",
        ["com.shop.Main.main", "com.shop.Scorer$$.score", "com.shop.Scorer.score.<lambda>", "com.shop.Store.read"],
    ),
    "dotnet": (
        "System.DivideByZeroException: Attempted to divide by zero.\n"
        "   at Shop.Scorer.Score(Row row) in /src/Shop/Scorer.cs:line 22\n"
        "   at Shop.Api.<PostAsync>d__3.MoveNext()\n"
        "   at System.Runtime.CompilerServices.TaskAwaiter.ThrowForNonSuccess(Task task)\n",
        ["Shop.Api.PostAsync", "Shop.Scorer.Score"],
    ),
    "javascript": (
        "TypeError: x is undefined\n    at async score (/srv/web/score.js:3:11)\n    at Array.map (<anonymous>)\n"
        "    at /srv/web/routes.js:8:2\n    at Layer.handle (/srv/web/node_modules/express/lib/layer.js:95:5)\n",
        ["web.routes.<anonymous>", "web.score.score"],
    ),
    "firefox": ("score@https://shop.example/static/app.js:3:11\n@https://shop.example/index.js:1:1\n", ["index", "static.app.score"]),
    "go": (
        "panic: boom\n\ngoroutine 1 [running]:\nnet/http.(*conn).serve(0xc000123, {0x1, 0x2})\n\t/usr/local/go/src/net/http/server.go:1 +0x1\n"
        "github.com/shop/score.(*Model).Predict.func2.1(...)\n\t/src/score/model.go:33\nmain.main()\n\t/src/main.go:7 +0x1d\n",
        ["main.main", "github.com/shop/score.(*Model).Predict.func"],
    ),
    "php": (
        "#0 /srv/vendor/laravel/Pipeline.php(12): Illuminate\\Pipeline->then(Object(Closure))\n"
        "#1 /srv/app/Scorer.php(7): App\\Scorer->score(Array)\n#2 {main}\n",
        ["App\\Scorer->score"],
    ),
    "ruby": ("score.rb:3:in `divide'\n\tfrom /srv/app/score.rb:7:in 'Object#score'\n\tfrom /usr/lib/ruby/gems/3.1/rack.rb:1:in `call'\n", ["app.score.Object#score", "score.divide"]),
    "rust": (
        "stack backtrace:\n   0: rust_begin_unwind\n             at /rustc/9fc6b4/library/std/src/panicking.rs:1:5\n"
        "   1: scorer::model::predict::h0123456789abcdef\n             at ./src/model.rs:7:9\n   2: core::ops::function::FnOnce::call_once\n",
        ["scorer::model::predict"],
    ),
    "torch": (
        "frame #0: c10::Error::Error(c10::SourceLocation, std::string) + 0x57 (0x7f1 in /usr/lib/libc10.so)\n"
        "frame #1: score(at::Tensor const&) + 0x1f (0x7f2 in /srv/ext/libscore.so)\n",
        ["libscore.so.score"],
    ),
    "android": (
        "      #00 pc 0000000000001a2b  /system/lib64/libc.so (abort+88)\n"
        "      #01 pc 00000000000abcde  /data/app/com.shop-1/lib/arm64/libscore.so (Scorer::score(int)+12) (BuildId: ab12)\n",
        ["libscore.so.Scorer::score"],
    ),
    "apple": (
        "0   CoreFoundation                      0x00000001a2b3c4d5 __exceptionPreprocess + 220\n"
        "1   Shop                                0x0000000100a0b0c0 -[Scorer score:] + 36\n",
        ["Shop.-[Scorer score:]"],
    ),
    "gdb": ("#0  0x00007f in score (x=3) at score.c:12\n#1  0x0000 in main () from /srv/bin/server\n", ["server.main", "score.c.score"]),
}  # fmt: skip


@pytest.mark.parametrize("runtime", sorted(OTHERS))
def test_stacks_of_other_runtimes_are_read(runtime: str) -> None:
    stack, expected = OTHERS[runtime]
    assert in_app(stack) == expected


@pytest.mark.parametrize("runtime", sorted(OTHERS))
def test_lines_and_addresses_of_other_runtimes_change_nothing(runtime: str) -> None:
    stack, _ = OTHERS[runtime]
    moved = stack.replace(":7", ":1234").replace("0x7f", "0xabc").replace("(12)", "(99)").replace("line 22", "line 7")
    assert [keys(each) for each in exceptions(moved)] == [keys(each) for each in exceptions(stack)]


def test_causes_of_java_have_their_types() -> None:
    assert [each.error_type for each in exceptions(OTHERS["java"][0])] == ["", "java.io.IOException"]


@pytest.mark.parametrize(
    "text", ["", "no stack at all", "Traceback (most recent call last):", "\0\ud800" * 9, "at at at"]
)
def test_text_that_is_no_stack_has_no_frames(text: str) -> None:
    assert not any(each.frames for each in exceptions(text))


@pytest.mark.parametrize(
    "unit", ['  File "', "at a(", "#0 pc 0 (", "\n", "  | ", "frame #0: a + 0x1 ", "Caused by: a\n", ".isra.1"]
)
def test_hostile_stacks_are_bounded_whatever_their_length(unit: str) -> None:
    found = exceptions(PYTHON + unit * (2 * 10**6 // len(unit)))
    assert len(found) <= 20
    assert all(len(frame.key) <= LONGEST_STACK for each in found for frame in each.frames)
