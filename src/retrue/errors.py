"""What can go wrong with a set-up. A bad window is a result, never one of these.

RetrueError
├── ConfigError             retrue.yaml or a value in it; has file, line and key
├── NameRefusedError        a name that could leave its folder or break a URL
├── SourceError             a log or label source that cannot be opened at all
├── SuiteError              an expectation suite that is absent, or smaller once loaded
├── BaselineError           no frozen baseline, or one that is damaged
├── ModelError              a model that cannot be trained, found or trusted
│   └── DigestMismatchError   its bytes are not the ones that were registered
├── LedgerError             the ledger cannot be opened or is newer than this code
│   └── FencedError           another run took over this window; nothing was written
├── ReplayError             no past window that a policy could be replayed on
├── DeliveryError           a notification or a mirror that did not get through
└── ServerError             a server of `retrue up` did not start or answer
"""

from pathlib import Path


class RetrueError(Exception):
    """Base of every error retrue raises on purpose; its message says what to do."""


class ConfigError(RetrueError):
    """A setting that is refused, with the place to mend it. ``message`` is the reason without the place."""

    def __init__(self, message: str, *, file: Path, line: int | None = None, key: str = "") -> None:
        self.message, self.file, self.line, self.key = message, file, line, key
        place = f"{file}:{line}" if line else f"{file}"
        super().__init__(f"{place}: {key + ': ' if key else ''}{message}")


class NameRefusedError(RetrueError):
    """A name outside ``[a-z0-9][a-z0-9._-]{0,63}``."""


class SourceError(RetrueError):
    """A source of logs or labels that cannot be opened at all."""


class SuiteError(RetrueError):
    """An expectation suite that is absent, unreadable or silently smaller once loaded."""


class BaselineError(RetrueError):
    """No frozen baseline for this model version, or one whose digest is wrong."""


class ModelError(RetrueError):
    """A model that cannot be trained, found or trusted."""


class DigestMismatchError(ModelError):
    """The bytes of a model file are not the ones the ledger registered."""


class LedgerError(RetrueError):
    """The ledger cannot be opened, or was written by a newer retrue."""


class FencedError(LedgerError):
    """Another run took over this window while this one worked; nothing was written."""


class ReplayError(RetrueError):
    """There is no past window on which a policy could be replayed."""


class DeliveryError(RetrueError):
    """A notification, a flow trigger or a record that did not get through; it stays in the outbox."""


class ServerError(RetrueError):
    """A server that did not start or does not answer."""

    def __init__(self, message: str, *, name: str, log_path: Path) -> None:
        self.name, self.log_path = name, log_path
        super().__init__(f"{name}: {message} (log: {log_path})")
