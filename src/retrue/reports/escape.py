"""Text of unknown origin made safe to show: invisible characters become visible, each channel's marks harmless. Pure."""

from __future__ import annotations

import re
import unicodedata

TEXT_MAX = 2_000  # characters; a column may be called by 10 KB

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, formats such as bidi, surrogates, line separators
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks that show as nothing
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:@$/=^])")
_CELL = re.compile(
    r"[`*<&~]|\\(?=[!-/:-@\[-`{-~])|!(?=\[)|\](?=[(\[])|:(?=//)"  # code, emphasis, tags, entities, escapes, links
    r"|(?<![^\W_])_|_(?![^\W_])|^[>#+=-](?=[>#+=\s-]|$)"  # an underscore within a word is none; marks that begin a block
)
_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "@": "＠", "[": "［", "]": "］", "`": "ˋ", "|": "¦"})


def visible(text: object, *, limit: int = TEXT_MAX) -> str:
    r"""Return text in one line in which every character can be seen, cut at ``limit`` characters.

    >>> visible("a\x1b[31m\u202eb\ud800\n")
    'a\\x1b[31m\\u202eb\\ud800\\n'
    """
    cut = str(text)
    shown = "".join(_shown(character) for character in cut[:limit])
    return f"{shown}…" if len(cut) > limit else shown


def escape_markdown(text: object) -> str:
    r"""Return text that Markdown, with or without HTML, links and mentions, shows as it is.

    >>> escape_markdown("[x](javascript:alert(1)) <b> a|b")
    '\\[x\\]\\(javascript\\:alert\\(1\\)\\) &lt;b&gt; a\\|b'
    """
    marked = _MARKDOWN.sub(r"\\\1", visible(text))
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape_cell(text: object) -> str:
    r"""Return text that a cell of a Prefect table shows as it is: the UI reads Markdown and HTML in it, images included.

    Names and values without such marks stay as they are, for programs that read the table.

    >>> escape_cell("roc_auc"), escape_cell("<img src=x> [x](y)")
    ('roc_auc', '\\<img src=x> [x\\](y)')
    """
    return _CELL.sub(r"\\\g<0>", visible(text))


def escape_plain(text: object) -> str:
    """Return text for chat and mail alike: no mention, link or tag survives in any of them.

    Which block carries a message is the user's choice, so the marks of Slack, Teams, Discord and HTML become
    characters that look like them.

    >>> escape_plain("<!channel> @everyone [x](https://e.vil)")
    '‹!channel› ＠everyone ［x］(https:⁄⁄e.vil)'
    """
    return visible(text).translate(_LOOKALIKES).replace("://", ":⁄⁄")


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE and character not in _FILLERS:
        return character
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or _code(ord(character))


def _code(point: int) -> str:
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
