"""What kind of failure a record holds, out of its status, its exception's type and an HTTP status code. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

_AUTHENTICATION = re.compile(
    r"un_?authenticated|un_?authori[sz]ed|authentication|not_?authenticated|forbidden|permission_?(?:error|denied)|access_?denied"
    r"|(?:invalid|bad|missing|expired)_?(?:api_?)?(?:key|token|credentials?|signature)|(?:token|signature|credentials?)_?expired",
    re.IGNORECASE,
)
_TIMEOUT = re.compile(r"time_?d?_?out|deadline_?exceeded", re.IGNORECASE)
_REJECTED = re.compile(r"rate_?limit|too_?many_?requests|quota_?exceeded|request_?validation", re.IGNORECASE)
_CODE = re.compile(r"(?:^|\b(?:http|status|code)(?:[ _]?(?:status|code))?)[^\w]{0,3}([45]\d\d)\b", re.IGNORECASE)
_OF_FILES = re.compile(r"\[Errno \d+\]")

_AUTHENTICATION_CODES = frozenset({"401", "403", "407", "511"})
_TIMEOUT_CODES = frozenset({"408", "504"})


class FailureKind(StrEnum):
    """Why an inference failed: the model server broke, was too slow, or refused the caller or the call."""

    CRASH = "crash"
    TIMEOUT = "timeout"
    AUTHENTICATION = "authentication"
    REJECTED = "rejected"


def failure_kind(status: str, error_type: str = "", message: str = "") -> FailureKind:
    """Return the kind of a failure.

    Authentication comes first, then timeouts, then rejections: each by what the exception's type is called, by the record's
    status, or by an HTTP status code in status, type or message. 401, 403, 407 and 511 are authentication, 408 and 504
    timeouts, every other 4xx is a rejection. All else is a crash, a ``PermissionError`` of a file too.

    >>> failure_kind("error", "KeyError"), failure_kind("rejected", "PermissionError")
    (<FailureKind.CRASH: 'crash'>, <FailureKind.AUTHENTICATION: 'authentication'>)
    >>> failure_kind("error", "HTTPError", "401 Client Error: Unauthorized for url")
    <FailureKind.AUTHENTICATION: 'authentication'>
    """
    name = error_type.rpartition(".")[2]
    if _AUTHENTICATION.search(name) and not _OF_FILES.match(message):
        return FailureKind.AUTHENTICATION
    code = next((found[1] for text in (status, error_type, message) if (found := _CODE.search(text[:200]))), "")
    if code in _AUTHENTICATION_CODES:
        return FailureKind.AUTHENTICATION
    if status == "timeout" or _TIMEOUT.search(name) or code in _TIMEOUT_CODES:
        return FailureKind.TIMEOUT
    if status == "rejected" or _REJECTED.search(name) or code.startswith("4"):
        return FailureKind.REJECTED
    return FailureKind.CRASH
