"""What people read of a window: pages, the Prefect artifact, notifications. Pure but for reading the templates.

Names come from logs and may be hostile; every channel escapes them its own way, and control, bidi and zero-width
characters are shown instead of obeyed. No report holds a cell or a category, but for the values that failing inputs have in
common, of several inferences at least: names, counts and aggregates only.
"""

from retrue.reports.markdown import finding_rows, render_markdown
from retrue.reports.message import render_message
from retrue.reports.quality import render_quality
from retrue.reports.summary import render_summary

__all__ = ["finding_rows", "render_markdown", "render_message", "render_quality", "render_summary"]
