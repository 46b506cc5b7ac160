"""A private in-memory DuckDB database with a name, so that other clients of this process can open the same one.

It spills into a private temporary folder and asks the network for nothing. ibis, duckdb and pyarrow are imported inside
functions: the command line starts without them.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

MEMORY_SHARE = 0.5  # of the machine's or the container's memory; what does not fit is spilled to disk
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An open database. ``database`` is the name under which ``duckdb.connect`` opens the same one."""

    database: str
    backend: Any

    def table(self, name: str) -> ir.Table:
        """Return a table or view of this database as an expression."""
        return self.backend.table(name)

    def types(self, name: str) -> Mapping[str, str]:
        """Return what the engine calls the types of a table's columns, such as ``DOUBLE``."""
        return {column: kind for column, kind, *_ in self.backend.con.execute(f'DESCRIBE "{name}"').fetchall()}

    def fetch(self, expression: ir.Expr) -> list[tuple[Any, ...]]:
        """Run an expression and return its rows; for aggregates and other small results."""
        rows: list[tuple[Any, ...]] = self.backend.con.execute(self.backend.compile(expression)).fetchall()
        return rows

    def fetch_arrow(self, expression: ir.Expr) -> pa.Table:
        """Run an expression and return its rows as Arrow; for bounded results."""
        return self.backend.con.execute(self.backend.compile(expression)).to_arrow_table()

    def create(self, name: str, expression: ir.Expr) -> None:
        """Materialise an expression as a table, in place of an earlier one of that name."""
        self.execute(f'CREATE OR REPLACE TABLE "{name}" AS {self.backend.compile(expression)}')

    def view(self, name: str, expression: ir.Expr) -> None:
        """Keep an expression as a view, in place of an earlier one of that name."""
        self.execute(f'CREATE OR REPLACE VIEW "{name}" AS {self.backend.compile(expression)}')

    def delete(self, name: str, rows: ir.Table) -> None:
        """Delete from a table the rows whose ``rowid`` an expression of one column returns."""
        self.execute(f'DELETE FROM "{name}" WHERE rowid IN ({self.backend.compile(rows)})')  # noqa: S608 - compiled

    def append(self, name: str, rows: pa.Table) -> None:
        """Copy Arrow rows into a table, made on the first call; columns are matched by position."""
        with self.registered(rows) as source:
            self.execute(f'CREATE TABLE IF NOT EXISTS "{name}" AS FROM "{source}" LIMIT 0')
            self.execute(f'INSERT INTO "{name}" FROM "{source}"')

    def parquet(self, paths: Sequence[Path], **options: object) -> ir.Table:
        """Return Parquet files of one schema as a lazy table: nothing but their footers is read yet."""
        return self.backend.read_parquet([str(path) for path in paths], hive_partitioning=False, **options)

    def execute(self, statement: str) -> None:
        """Run one statement made of names of ours and compiled expressions, never of input."""
        self.backend.con.execute(statement)

    @contextmanager
    def registered(self, rows: pa.Table) -> Iterator[str]:
        """Lend Arrow rows to the engine under a name of their own, without copying them."""
        name = f"lent_{uuid.uuid4().hex}"
        self.backend.con.register(name, rows)
        try:
            yield name
        finally:
            self.backend.con.unregister(name)


@contextmanager
def open_engine() -> Iterator[Engine]:
    """Open an empty database that is gone, with its spilled files, when the block ends."""
    import ibis

    database = f":memory:retrue_{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="retrue-", ignore_cleanup_errors=True) as spill:
        backend = ibis.duckdb.connect(database)
        engine = Engine(database=database, backend=backend)
        engine.execute(f"SET memory_limit = '{_memory_bytes() // 2**20}MiB'")
        engine.execute("SET temp_directory = '{}'".format(spill.replace("'", "''")))
        engine.execute("SET preserve_insertion_order = false")
        engine.execute("SET autoinstall_known_extensions = false")
        engine.execute("SET autoload_known_extensions = false")
        try:
            yield engine
        finally:
            backend.con.close()


@cache
def hash_of() -> Any:
    """Return the engine's 64-bit hash of any value, null and nested ones included, as a function on columns."""
    import ibis
    import ibis.expr.datatypes as dt

    def engine_hash(value):  # type: ignore[no-untyped-def]  # a value of any type
        raise NotImplementedError

    engine_hash.__annotations__["return"] = dt.uint64
    return ibis.udf.scalar.builtin(name="hash")(engine_hash)


@cache
def sha256_of() -> Any:
    """Return the engine's SHA-256 of a text, in hex, as a function on columns."""
    import ibis

    def sha256(text: str) -> str:
        raise NotImplementedError

    return ibis.udf.scalar.builtin(sha256)


def _memory_bytes() -> int:
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    if _CGROUP_LIMIT.is_file() and (limit := _CGROUP_LIMIT.read_text().strip()).isdigit():
        limits.append(int(limit))
    return int(min(limits) * MEMORY_SHARE)
