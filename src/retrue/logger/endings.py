"""How a call ended, by what was said of it, and in which trace it was."""

from __future__ import annotations

import sys
from typing import Final

from retrue.logger.calls import Facts
from retrue.logger.exceptions import OTHER_SITE, Site, failure_of, is_timeout

MODULES: Final = sys.modules
TRACING: Final = "opentelemetry.trace"
"""Among the modules where the host uses OpenTelemetry."""


def concluded(facts: Facts) -> Site | None:
    """Say how a call ended by what was said of it; return where it failed, None if it did not."""
    error = facts.get("error")
    status = facts.get("status")
    is_ok = status is None or (type(status) is str and status == "ok")
    if isinstance(error, GeneratorExit) or not isinstance(error, BaseException):
        facts.pop("error", None)
        return None if is_ok else OTHER_SITE
    failure = failure_of(error)
    facts["error"] = failure
    facts["error_type"] = failure.raised.type
    if is_ok:
        facts["status"] = "timeout" if is_timeout(failure.raised.kind) else "error"
    return failure.site


def trace(facts: Facts) -> None:
    """Say in which trace the call is, if there is one."""
    if facts.get("trace_id") is None:
        span = MODULES[TRACING].get_current_span().get_span_context()
        if span.is_valid:
            facts["trace_id"], facts["span_id"] = f"{span.trace_id:032x}", f"{span.span_id:016x}"
