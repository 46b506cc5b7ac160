"""What of an exception's message is program text, and may therefore be written: default deny.

An exception carries data: ``ValueError(f"no fare for {passenger}")``. What stands in the source is no data, though: the
literals of the very ``raise`` statement, of the assignment to the name that it raises with, and of the exception class's
own ``__init__`` and ``__str__``. A message is laid beside those literals, and only what agrees with them is told; where
data stood, ``<*>`` stands. Messages of the interpreter are told by their templates. So whatever a message holds, nothing
is written that is not in a source file; and it is scrubbed by value all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import Final, Literal

from retrue.logger.message_templates import told_by_template
from retrue.logger.program_text import aligned, literals_at, literals_of
from retrue.logger.scrub import Scrubber
from retrue.logger.shapes import type_name

Errors = Literal["program", "scrubbed", "type"]
"""Of a message keep its program text, all of it scrubbed by value, or nothing but the exception's type."""

TEXT_CHARACTERS_MAX: Final = 4_096
TOLD_CHARACTERS_MAX: Final = 1_000
NOTES_MAX: Final = 8
_UNPRINTABLE = "<unprintable "


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception as it was seen where it was raised: its class, its text, and the place of the ``raise``."""

    kind: type[BaseException]
    text: str
    """``str(error)``, at most ``TEXT_CHARACTERS_MAX`` of it."""
    code: CodeType | None = None
    """The function of the innermost frame of its traceback."""
    lasti: int = -1
    """``tb_lasti`` there."""
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: BaseException, code: CodeType | None = None, lasti: int = -1) -> Raised:
        """Take what is needed of an exception, and nothing that holds its frames; its ``__str__`` may raise."""
        return cls(type(error), _text(error), code, lasti, _notes(error))

    @property
    def type(self) -> str:
        """The name of the class with its module, unless it is built in or of the main program."""
        module = type.__dict__["__module__"].__get__(self.kind)
        name = type.__dict__["__qualname__"].__get__(self.kind).replace("<locals>.", "")
        return f"{module}.{name}" if isinstance(module, str) and module not in ("builtins", "__main__") else str(name)


def message_of(raised: Raised, errors: Errors, scrubber: Scrubber) -> str:
    """Return what may be written of a message and its notes; empty where only the type is asked for.

    >>> message_of(Raised.of(ValueError("could not convert string to float: 'Jane'")), "program", Scrubber())
    'could not convert string to float: <*>'
    >>> message_of(Raised.of(ValueError("no fare for Jane")), "program", Scrubber())
    '<text, 16 characters>'
    """
    if errors == "type":
        return ""
    if errors == "scrubbed":
        return "\n".join(scrubber.scrub(each) for each in (raised.text, *raised.notes))
    told = program_text(raised)[:TOLD_CHARACTERS_MAX]
    return "\n".join((scrubber.scrub(told), *map(length_of, raised.notes)))


def program_text(raised: Raised) -> str:
    """Return the program text of a message with ``<*>`` where data stood; its length where there is none."""
    text = raised.text
    if not text or text.startswith(_UNPRINTABLE):
        return text
    literals = None if raised.code is None else literals_at(raised.code, raised.lasti)
    told = told_by_template(text, raised.code) if literals is None else aligned(text, literals)
    own = literals_of(raised.kind)  # type: ignore[arg-type]  # a class can be hashed: mypy asks the instance
    return told or aligned(text, own) or length_of(text)


def length_of(text: str) -> str:
    """Return what is told of text that is not kept."""
    return f"<text, {len(text)} characters>"


def _text(error: BaseException) -> str:
    kind = type(error)
    try:
        if isinstance(error, BaseExceptionGroup):
            text = error.message
        elif kind.__str__ is KeyError.__str__ and len(error.args) == 1 and type(error.args[0]) is str:
            text = error.args[0]  # its str() is a repr, which escapes
        else:
            text = str(error)
        return str.__str__(text)[:TEXT_CHARACTERS_MAX]
    except Exception:  # noqa: BLE001 - __str__ of an exception is the host's code
        return f"{_UNPRINTABLE}{type_name(kind)}>"


def _notes(error: BaseException) -> tuple[str, ...]:
    notes = BaseException.__dict__["__dict__"].__get__(error).get("__notes__")
    chosen = notes[:NOTES_MAX] if type(notes) is list else []
    return tuple(note[:TEXT_CHARACTERS_MAX] for note in chosen if type(note) is str)
