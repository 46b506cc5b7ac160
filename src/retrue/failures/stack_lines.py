"""One line of a stack as runtimes other than Python print it: JVM, .NET, JavaScript, Go, PHP, Ruby, Rust, native. Pure.

The patterns are told apart by their first characters, so that a line is tried by few of them; in none may two neighbours
match the same text, which keeps them linear.
"""

from __future__ import annotations

import re

from retrue.failures.frames import Frame, of_file, of_module, of_package

CAUSE = re.compile(r"\s*(?:Caused by|Suppressed): (?P<type>[\w.$]+)")

_JAVA = re.compile(
    r"\s*at (?:[\w.@-]*/)*(?P<name>[\w.$<>-]+)\("
    r"(?P<place>[\w$-]+\.(?:java|kt|scala|groovy|clj)|Native Method|Unknown Source|SourceFile|<generated>)(?::-?\d+)?\)"
)
_JAVASCRIPT = re.compile(r"\s*at (?:(?P<function>[^()]+) \()?(?P<path>[^()\s][^()]*?):\d+(?::\d+)?\)?$")
_JAVASCRIPT_NATIVE = re.compile(r"\s*at (?P<function>[^()]+) \((?P<path><anonymous>|native)\)$")
_DOTNET = re.compile(r"\s*at (?P<name>[^\s(][^(]*)\([^()]*\)(?: in (?P<place>.+):line \d+)?$")
_DOTNET_ASYNC = re.compile(r"\.<(\w+)>d__\d+(?:`\d+)?\.MoveNext$")
_FIREFOX = re.compile(r"(?P<function>[^@\s]*)@(?P<path>[^@\s]+?):\d+:\d+$")
_GO_PLACE = re.compile(r"\t(?P<path>\S+\.go):\d+")
_GO_FUNCTION = re.compile(r"(?P<name>[\w./%~-]+(?:\(\*?\w+\)\.[\w.]+)?)\(")
_PHP = re.compile(r"#\d+ (?:(?P<path>[^()]+)\(\d+\)|\[internal function\]): (?P<function>[^()]+)\(")
_ANDROID = re.compile(
    r"\s*#\d+ +pc +[0-9a-fA-Fx]+ +(?P<place>\S+)(?: \((?!BuildId)(?P<function>.+?)(?:\+\d+)?\))?(?: \(BuildId: \w+\))?$"
)
_GDB = re.compile(
    r"#\d+ +(?:0x[0-9a-f]+ in )?(?P<function>[^\s(][^(]*?)(?: ?\(.*\))? (?:at|from) (?P<place>\S+?)(?::\d+)?$"
)
_TORCH = re.compile(r"frame #\d+: (?P<function>.+?) \+ 0x[0-9a-f]+ \(0x[0-9a-f]+ in (?P<place>[^()]+)\)$")
_APPLE = re.compile(r"\d+ +(?P<place>\S+(?: \S+){0,3}?) +0x[0-9a-fA-F]+ (?P<function>.+?)(?: \+ \d+)?$")
_RUBY = re.compile(r"(?:\s*(?:\d+: )?from )?(?P<path>\S+\.rb):\d+:in [`'](?P<function>[^']+)'")
_RUST = re.compile(r"\s*\d+: +(?:0x[0-9a-f]+ - )?(?P<function>(?:<|[A-Za-z_])\S.*)$")


def frame_of(line: str, before: str, in_app: tuple[str, ...]) -> Frame | None:
    """Return the frame that a line names, or nothing; Go names the function on the line before its file."""
    start = line.lstrip()[:1]
    if line.lstrip().startswith("at "):
        return _at(line, in_app)
    if start == "#":
        return _numbered(line.lstrip(), in_app)
    if line.startswith("frame #"):
        found = _TORCH.match(line)
        return of_package(found["place"], found["function"], in_app) if found else None
    if start.isdigit():
        return _apple_or_rust(line.lstrip(), in_app)
    if found := _GO_PLACE.match(line):
        return _go(before, found["path"], in_app)
    found = _RUBY.match(line) or _FIREFOX.match(line)
    return of_file(found["path"], found["function"], in_app) if found else None


def _at(line: str, in_app: tuple[str, ...]) -> Frame | None:
    if found := _JAVA.match(line):
        module, _, function = found["name"].rpartition(".")
        return of_module(module, function, "", in_app)
    found = _JAVASCRIPT_NATIVE.match(line) or _JAVASCRIPT.match(line)
    if found and not found["path"].endswith(".rs"):  # the file of a Rust frame, which was on the line before
        return of_file(found["path"], found["function"] or "<anonymous>", in_app)
    if found := _DOTNET.match(line):
        module, _, function = _DOTNET_ASYNC.sub(r".\1", found["name"]).rpartition(".")
        return of_module(module, function, "", in_app)
    return None


def _numbered(line: str, in_app: tuple[str, ...]) -> Frame | None:
    if found := _ANDROID.match(line):
        return of_package(found["place"], found["function"] or "", in_app)
    if found := _PHP.match(line):
        return of_file(found["path"] or "<internal>", found["function"], in_app)
    if found := _GDB.match(line):
        return of_package(found["place"], found["function"], in_app)
    return None


def _apple_or_rust(line: str, in_app: tuple[str, ...]) -> Frame | None:
    if found := _APPLE.match(line):
        return of_package(found["place"], found["function"], in_app)
    if found := _RUST.match(line):
        return of_module("", found["function"], "", in_app)
    return None


def _go(before: str, path: str, in_app: tuple[str, ...]) -> Frame | None:
    found = _GO_FUNCTION.match(before)
    if found is None:
        return None
    module, _, function = found["name"].rpartition("/")
    standard = "." not in f"{module}/".partition("/")[0] and not function.startswith("main.")
    return of_module("", f"{module}/{function}" if module else function, "/usr/lib/go/" if standard else path, in_app)
