"""Figures between two marks of a page, so that nobody edits them by hand."""

from __future__ import annotations

from pathlib import Path


def write_between(page: Path, begin: str, end: str, figures: str) -> bool:
    """Replace what stands between two marks of a page; false where it has none."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        return False
    page.write_text(f"{before}{begin}\n\n{figures}\n\n{end}{after}", encoding="utf-8")
    return True
