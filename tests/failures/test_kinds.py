import pytest

from retrue.failures.kinds import FailureKind, failure_kind

CRASH, TIMEOUT, AUTHENTICATION, REJECTED = FailureKind


@pytest.mark.parametrize(
    ("status", "error_type", "message", "kind"),
    [
        ("error", "KeyError", "'visib'", CRASH),
        ("error", "", "", CRASH),
        ("500", "", "", CRASH),
        ("error", "HTTP 503", "", CRASH),
        ("timeout", "", "", TIMEOUT),
        ("error", "asyncio.exceptions.TimeoutError", "", TIMEOUT),
        ("error", "ReadTimeout", "timed out", TIMEOUT),
        ("error", "grpc.DEADLINE_EXCEEDED", "", TIMEOUT),
        ("504", "", "", TIMEOUT),
        ("rejected", "", "too long", REJECTED),
        ("error", "openai.RateLimitError", "Error code: 429", REJECTED),
        ("422", "", "", REJECTED),
        ("rejected", "PermissionError", "no such tenant", AUTHENTICATION),
        ("error", "openai.AuthenticationError", "Error code: 401", AUTHENTICATION),
        ("error", "google.api_core.exceptions.Forbidden", "", AUTHENTICATION),
        ("error", "HTTPStatusError", "HTTP status 403", AUTHENTICATION),
        ("error", "RuntimeError", "status_code=401", AUTHENTICATION),
        ("403", "", "", AUTHENTICATION),
    ],
)
def test_a_failure_has_the_kind_its_status_type_and_code_say(
    status: str, error_type: str, message: str, kind: FailureKind
) -> None:
    assert failure_kind(status, error_type, message) is kind


def test_a_file_that_may_not_be_read_is_a_crash_of_the_server() -> None:
    assert failure_kind("error", "PermissionError", "[Errno 13] Permission denied: 'model.skops'") is CRASH


def test_a_number_that_only_looks_like_a_code_is_none() -> None:
    assert failure_kind("error", "ValueError", "expected 401 columns, got 403") is CRASH
