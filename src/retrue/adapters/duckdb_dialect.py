"""DuckDB for Great Expectations: SQLAlchemy's DuckDB dialect with results that outlive their connection.

Registered as ``duckdb+retrue://``. Importing this module imports SQLAlchemy and DuckDB, so others name it, they do
not import it at the top.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import duckdb
import sqlalchemy as sa
from duckdb_sqlalchemy import ConnectionWrapper, Dialect, DuckDBExecutionContext
from sqlalchemy.dialects import registry
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

DRIVER = "duckdb+retrue"


class BufferedExecutionContext(DuckDBExecutionContext):  # type: ignore[misc] # untyped
    """Reads every result at once: GX fetches after it has returned the connection, and DuckDB drops rows at rollback."""

    def post_exec(self) -> None:
        """Replace the cursor's fetch strategy by one that already holds the rows."""
        super().post_exec()
        if self.cursor is not None and self.cursor.description:
            rows = self.cursor.fetchall()
            self.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(self.cursor, initial_buffer=rows)


class BufferedDialect(Dialect):  # type: ignore[misc] # untyped
    """The DuckDB dialect with buffered results, connecting with DuckDB's defaults.

    duckdb-sqlalchemy adds a user agent to the configuration, and DuckDB refuses a second connection to an open
    database whose configuration differs.
    """

    execution_ctx_cls = BufferedExecutionContext
    supports_statement_cache = True

    def connect(self, *_arguments: Any, **parameters: Any) -> Any:
        """Open the database that this process has already opened under the same name."""
        return ConnectionWrapper(duckdb.connect(parameters["database"]))


def register() -> None:
    """Make ``duckdb+retrue://`` known to SQLAlchemy; doing it again changes nothing."""
    registry.register("duckdb.retrue", __name__, BufferedDialect.__name__)


def gx_dialect_module() -> SimpleNamespace:
    """Return what GX looks at to write regex and LIKE conditions and to compare column types.

    GX knows no DuckDB: it reads types from SQLAlchemy and refuses patterns. Of the dialects it does know, Dremio
    has DuckDB's very functions, ``REGEXP_MATCHES(column, pattern)`` (found anywhere) and ``LIKE``. Types go by
    SQLAlchemy's names (``Integer``, ``Float``, ``String``) and by DuckDB's (``VARCHAR``, ``HUGEINT``).
    """
    types = {name.upper(): kind for name, kind in BufferedDialect.ischema_names.items()}
    return SimpleNamespace(**{**vars(sa), **types, "__name__": "duckdb", "DremioDialect": BufferedDialect})
