"""The string literals that an exception's message was made of, found in the byte code of who raised it."""

from __future__ import annotations

import dis
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Final

from retrue.logger.message_templates import HOLE

LETTERS_MIN: Final = 3
"""Fewer letters of program text tell nothing."""
_CODE_BYTES_MAX = 40_000  # the byte code of a function of some thousand lines, which takes 50 ms to look at, once
_PLACEHOLDER = re.compile(r"%(?:\(\w{1,64}\))?[-#0 +]{0,4}[\d*]{0,4}(?:\.\d{1,3})?[a-zA-Z%]|\{[^{}]{0,64}\}")


def aligned(text: str, literals: Sequence[str]) -> str | None:
    """Lay literals in their order beside the text: what agrees is told, and what lies between is a hole."""
    told, at = "", 0
    for literal in literals:
        for part in (literal,) if literal in text else _PLACEHOLDER.split(literal):
            found = text.find(part, at) if part else -1
            if found >= 0:
                told += (HOLE if found > at else "") + part
                at = found + len(part)
    if sum(map(str.isalpha, told)) < LETTERS_MIN:
        return None
    return told + (HOLE if at < len(text) else "")


@lru_cache(maxsize=512)
def literals_at(code: CodeType, lasti: int) -> tuple[str, ...] | None:
    """Return the string literals that the statement at ``lasti`` raises with; None where it raises nothing itself."""
    if len(code.co_code) > _CODE_BYTES_MAX:
        return None
    instructions = list(dis.get_instructions(code))
    raising = next((each for each in instructions if each.offset == lasti), None)
    if raising is None or raising.opname != "RAISE_VARARGS":
        return None
    earlier = [each for each in instructions if each.offset < lasti]
    inside = _asserted(earlier) or [each for each in earlier if _within(each, raising)]
    names = {each.argval for each in inside if each.opname.startswith("LOAD_FAST")}
    return (*_strings(inside), *(text for name in sorted(names, key=str) for text in _assigned(earlier, str(name))))


def _asserted(instructions: Sequence[dis.Instruction]) -> list[dis.Instruction]:
    """The instructions that make the message of an ``assert``, whose ``raise`` spans its condition alone."""
    for number in range(len(instructions) - 1, -1, -1):
        if instructions[number].opname == "RAISE_VARARGS":
            break
        if instructions[number].opname == "LOAD_ASSERTION_ERROR":
            return list(instructions[number + 1 :])
    return []


def _assigned(instructions: Sequence[dis.Instruction], name: str) -> Iterator[str]:
    """The literals of the last assignment to a local name, whose value is what the instruction before it leaves."""
    for value, store in reversed(list(pairwise(instructions))):
        if store.opname == "STORE_FAST" and store.argval == name:
            yield from _strings(each for each in instructions if _within(each, value))
            return


def _within(inner: dis.Instruction, outer: dis.Instruction) -> bool:
    """Return whether one instruction's source lies in that of another."""
    start, end = _span(outer)
    first, last = _span(inner)
    return start <= first and last <= end and first < last


def _span(instruction: dis.Instruction) -> tuple[tuple[int, int], tuple[int, int]]:
    at = instruction.positions
    if at is None or at.lineno is None or at.end_lineno is None:
        return (0, 0), (0, 0)
    return (at.lineno, at.col_offset or 0), (at.end_lineno, at.end_col_offset or 0)


def _strings(instructions: Iterable[dis.Instruction]) -> Iterator[str]:
    for each in instructions:
        if each.opname in ("LOAD_CONST", "RETURN_CONST"):
            yield from (text for text in _flat(each.argval) if isinstance(text, str))


def _flat(value: object) -> Iterator[object]:
    if isinstance(value, tuple):
        for each in value:
            yield from _flat(each)
    else:
        yield value


@lru_cache(maxsize=512)
def literals_of(kind: type) -> tuple[str, ...]:
    """The string literals of a class's own ``__init__`` and ``__str__``, without their docstrings."""
    found: list[str] = []
    for method in ("__init__", "__str__"):
        function = next((vars(each)[method] for each in kind.__mro__ if method in vars(each)), None)
        if isinstance(function, FunctionType) and len(function.__code__.co_code) <= _CODE_BYTES_MAX:
            found += (text for text in _strings(dis.get_instructions(function.__code__)) if text != function.__doc__)
    return tuple(found)
