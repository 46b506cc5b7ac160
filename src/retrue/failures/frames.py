"""One frame of a stack: what names it, without what changes between builds and hosts, and whether it is in-app. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

LONGEST_NAME = 200
REMEMBERED = 4096  # frames: most stacks of a program share theirs

_LIBRARY_PATH = re.compile(
    "|".join(
        (
            r"(?:^|/)(?:lib(?:64)?/python\d(?:\.\d+)?/|[Ll]ib/)?(?:site|dist)-packages/",
            r"(?:^|/)lib(?:64)?/python\d(?:\.\d+)?/|/Python\d{2,3}(?:-\d\d)?/Lib/|(?:^|/)python\d*\.zip/",
            r"(?:^|/)(?:node_modules|vendor|gems|pkg/mod|rustc|\.cargo)/|^(?:node:|internal/|webpack/)",
            r"^/?(?:usr/)?lib(?:32|64|exec)?/|^/(?:system|apex|odm|product)/|^/System/Library/|^[A-Za-z]:/Windows/",
            r"\.dylib$|(?:^|/)(?:lib(?:c|m|dl|art|gcc_s|pthread|stdc\+\+|log)|ld-[\w.-]+|linux-vdso)\.so[.\d]*$",
            r"(?:^|/)retrue/(?:logger|adapters)/",
        )
    )
)
_SITE = re.compile(r"^[a-z][a-z-]{0,20}://[^/]*")
_MADE_UP = re.compile(
    r"^\d+$|(?<=[-_])[0-9a-f]{8,}$|(?<=<ipython-input-)[\w-]+"
)  # cells of notebooks, hashes of bundles
_USERS_PSEUDO_FILE = re.compile(r"<(?:stdin|console|ipython-input.{0,80}|input|cell.{0,40})>")
_PLATFORMS = (
    *("java", "javax", "jdk", "sun", "com.sun", "kotlin", "kotlinx", "scala", "groovy", "clojure", "jakarta"),
    *("android", "androidx", "com.android", "com.google.android", "dalvik", "libcore"),
    *("org.springframework", "org.apache", "org.eclipse", "org.hibernate", "org.junit", "io.netty", "reactor", "akka"),
    *("System", "Microsoft", "Windows", "Illuminate", "Symfony"),
)
_NATIVE_PLATFORMS = (
    "std",
    "core",
    "alloc",
    "tokio",
    "__gnu_cxx",
    "boost",
    "rust_begin_unwind",
    "__rust_begin_short_backtrace",
)
_APPLE = re.compile(
    r"AV\w+|AppKit|Audio\w+|CFNetwork|Core[A-Z]\w+|Foundation|FrontBoardServices|GLEngine|GameKit|GraphicsServices|HIToolbox"
    r"|IOKit|ImageIO|JavaScriptCore|MapKit|Metal|OpenGL(?:ES)?|PhotosUI|QuartzCore|Security|StoreKit|SystemConfiguration"
    r"|UIKit(?:Core)?|Web(?:Core|Kit|KitLegacy)|dyld"
)
_WRAPPERS = re.compile(
    r"^(?:asyncio|concurrent|threading|contextlib|functools|runpy|importlib|multiprocessing|socketserver|wsgiref"
    r"|anyio|starlette|uvicorn|hypercorn|gunicorn|fastapi\.(?:routing|applications)|flask\.app|werkzeug|django\.core\.handlers"
    r"|celery|prefect|tornado|mlflow\.pyfunc|sentry_sdk|opentelemetry|wrapt|tenacity|decorator|retrue)(?:\.|$)"
    r"|^(?:java\.lang\.(?:reflect|Thread|invoke)|java\.util\.concurrent|jdk\.internal|sun\.reflect|System\.Runtime\."
    r"(?:ExceptionServices|CompilerServices)|System\.Threading|node:internal|internal/)"
)

_FUNCTION_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"::h[0-9a-f]{16}$", ""),  # Rust: hash of the build
        (r"\$\$(?:Lambda|EnhancerBy\w{1,40}|FastClassBy\w{1,40}|SpringCGLIB)\$\$?.*$", "$$"),  # made at run time
        (r"^lambda\$(\w{1,100})\$\d+$", r"\1.<lambda>"),
        (r"<lambda_[0-9a-f]{8,40}>", "<lambda>"),
        (r"^<(\w{1,100})>[bdcg]__\w{1,40}(?:\.MoveNext)?$", r"\1"),  # C#: closures and state machines
        (r"(\.func\d+)(?:\.\d+)*$", ".func"),  # Go
        (r"^(?:async |new |Object\.|Module\.)+", ""),  # JavaScript
        (r"_block_invoke(?:_\d+)?$", "_block"),
        (r"^__\d+(?=[-+]\[)", ""),
        (r"closure #\d+ ", "closure "),
        (r"(?:\.(?:isra|part|constprop|cold|lto_priv|\d+))+$", ""),  # gcc, LLVM
        (r" \[clone [^\]]{0,80}\]", ""),
        (r"0x[0-9a-fA-F]+", "0x"),
        (r"(?<=[$#_])\d+(?!\w)", "0"),  # numbered closures and anonymous classes
        (r"[0-9a-f]{16,}", "0"),
    )
)
_COMPILED = (".pyx", ".pxi", ".pxd")  # Cython: its paths do not say that it is installed
_INLINED = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})  # no frames of their own since Python 3.12
_UNNAMED = re.compile(
    r"|\?+|<(?:redacted|unknown|anonymous|compiler-generated|symbol stripped|stripped application code)>"
    r"|stripped_application_code|0x"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One call. ``key`` tells it from others and does not depend on folders, lines or builds; ``shown`` is for people.

    A frame without a name of its own (stripped, redacted) is not ``named``. ``in_app`` is false for libraries; a
    ``wrapper`` is library code that only passes the call on.
    """

    key: str
    shown: str
    in_app: bool
    named: bool
    wrapper: bool


@lru_cache(maxsize=REMEMBERED)
def of_file(path: str, function: str, in_app: tuple[str, ...]) -> Frame | None:
    """Return the frame of a language whose modules are files, or nothing for one that was inlined."""
    function = clean_function(function)
    if function in _INLINED:
        return None
    path = _SITE.sub("", path.replace("\\", "/"))[-1000:]
    library = _LIBRARY_PATH.search(path)
    unowned = path.endswith(_COMPILED) or (path.startswith("<") and not _USERS_PSEUDO_FILE.fullmatch(path))
    parts = _module_parts(path[library.end() :] if library else path)
    module = ".".join(parts)
    chosen = _chosen(module, in_app)
    shown = ".".join(parts[-4:] if library else parts[-2:]) if chosen is None else module[chosen:]
    qualified = any(mark in function for mark in ("\\", "::", "->"))  # says its class itself
    return Frame(
        key=function if qualified else _joined(parts[-1] if parts else "", function),
        shown=function if qualified else _joined(shown, function),
        in_app=chosen is not None or not (library or unowned),
        named=not _UNNAMED.fullmatch(function),
        wrapper=bool(library and _WRAPPERS.match(module)),
    )


@lru_cache(maxsize=REMEMBERED)
def of_module(module: str, function: str, place: str, in_app: tuple[str, ...]) -> Frame:
    """Return the frame of a language that names modules (Java, C#, Go, native code); ``place`` is its file or package."""
    place = place.replace("\\", "/")[-1000:]
    whole = _joined(clean_function(module), clean_function(function))
    library = _LIBRARY_PATH.search(place) or _APPLE.fullmatch(place) or _of_platform(module or function)
    chosen = _chosen(whole, in_app) is not None or _chosen(place.replace("/", "."), in_app) is not None
    return Frame(
        key=whole,
        shown=whole,
        in_app=chosen or not library,
        named=not _UNNAMED.fullmatch(clean_function(function)),
        wrapper=bool(_WRAPPERS.match(whole)),
    )


def of_package(place: str, function: str, in_app: tuple[str, ...]) -> Frame:
    """Return the frame of native code, whose module is the file it was linked into."""
    package = place.replace("\\", "/").rpartition("/")[2]
    return of_module("" if _UNNAMED.fullmatch(package) else package, function, place, in_app)


def clean_function(name: str) -> str:
    """Return a function's name without what the compiler or the build put into it.

    >>> clean_function("core::ops::call_once::h0123456789abcdef"), clean_function("lambda$predict$3")
    ('core::ops::call_once', 'predict.<lambda>')
    """
    name = _without_arguments(name[:1000].strip())
    for rule, replacement in _FUNCTION_RULES:
        name = rule.sub(replacement, name)
    return name.replace("<locals>.", "")[:LONGEST_NAME]


def _without_arguments(name: str) -> str:
    """Cut the argument list of ``a::b(int, char const*)``; not of ``(anonymous namespace)::b`` or ``a.(*b).c``."""
    at = name.find("(", 1)
    while at > 0 and name[at - 1] in ".:":
        at = name.find("(", at + 1)
    return name[:at].strip() if at > 0 and "[" not in name[:at] else name


def _module_parts(path: str) -> list[str]:
    path = path.partition("?")[0]
    parts = [part for part in path.split("/") if part not in ("", ".", "..") and not part.endswith(":")]
    if not parts:
        return []
    stem = parts[-1] if parts[-1].startswith("<") else parts[-1].split(".")[0] or parts[-1]
    if stem in ("__init__", "__main__", "index") and len(parts) > 1:
        return parts[:-1]
    return [*parts[:-1], _MADE_UP.sub("0", stem)]


def _chosen(module: str, prefixes: Sequence[str]) -> int | None:
    """Return where one of the prefixes begins in a dotted module, at the borders of its parts."""
    for prefix in prefixes:
        wanted = "." + prefix.replace("/", ".").strip(".") + "."
        at = f".{module}.".find(wanted)
        if len(wanted) > 2 and at >= 0:
            return at
    return None


def _of_platform(name: str) -> bool:
    if name.partition("::")[0] in _NATIVE_PLATFORMS:
        return True
    return any(name == each or name.startswith((f"{each}.", f"{each}$")) for each in _PLATFORMS)


def _joined(module: str, function: str) -> str:
    return f"{module}.{function}" if module and function else module or function
