"""The frame of every page: a locked-down document, escaped by default, invisible characters made visible."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from retrue.reports.escape import visible
from retrue.results import Outcome, Verdict

if TYPE_CHECKING:
    from jinja2 import Environment


NAME_MAX = 160  # characters of a column's name


def render(template: str, **values: Any) -> str:
    """Return a page of ``templates/``. Every value is escaped, but for what is ``Markup``."""
    return _environment().get_template(template).render(**values)


def verdict_line(verdict: Verdict) -> dict[str, str]:
    """Split the verdict's line into its outcome, for colour, and the rest; of several reasons only the first."""
    word, _, rest = verdict.line.partition(" ")
    if verdict.outcome is Outcome.INCONCLUSIVE:
        more = f" (and {len(verdict.reasons) - 1} more)" if len(verdict.reasons) > 1 else ""
        rest = verdict.reasons[0] + more
    return {"word": word, "rest": rest}


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("retrue.reports"),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clip"] = lambda name: visible(name, limit=NAME_MAX)
    return environment


def _finalize(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
