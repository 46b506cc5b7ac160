"""Opening the ledger's database: address, file, transactions, migrations. The only place that knows the two engines apart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, column, create_engine, event, inspect, make_url, select, table, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from retrue.errors import LedgerError
from retrue.ledger.schema import HEAD, VERSION_TABLE, models
from retrue.windows import check_name

BUSY_SECONDS = 30
_MIGRATION_LOCK = 7_238_783  # any number that no other program on the PostgreSQL database takes
_WRITES = "retrue_writes"
_ADD_MODEL = text("INSERT INTO retrue_models (name) VALUES (:name) ON CONFLICT DO NOTHING")


class Store:
    """Transactions on one ledger. Every error of the database comes out as ``LedgerError``."""

    def __init__(self, engine: Engine) -> None:
        self._reader = engine
        self._writer = engine.execution_options(**{_WRITES: True})

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that sees the ledger and changes nothing."""
        with _translated(self._reader.url), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self, model: str | None = None) -> Iterator[Connection]:
        """Begin a transaction that is committed at the end or, on any error, leaves nothing behind.

        Args:
            model: Holds back every other writer of this model until the end; SQLite holds back all writers anyway.
        """
        with _translated(self._writer.url), self._writer.begin() as connection:
            if model is not None:
                _lock(connection, check_name(model))
            yield connection

    def compact(self) -> None:
        """Have SQLite write its file anew, so that no byte of what was deleted stays in it or in its log."""
        if self._reader.dialect.name != "sqlite":
            return
        with _translated(self._reader.url), closing(self._reader.raw_connection()) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let go of all connections."""
        self._reader.dispose()


def open_store(address: str, *, root: Path) -> Store:
    """Connect to a ledger and bring its tables up to date.

    Args:
        address: ``sqlite:///path``, relative to ``root`` unless absolute, or ``postgresql://…``.
        root: The project's folder.

    Raises:
        LedgerError: It cannot be opened, or a newer retrue wrote it.
    """
    url = _resolve(address, root)
    with _translated(url):
        engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
        _migrate(engine)
    return Store(engine)


def _resolve(address: str, root: Path) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        raise LedgerError("the ledger's URL is not understood: write sqlite:///path or postgresql://…") from None
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite":
        raise LedgerError(f"a ledger is kept in sqlite or postgresql, not in {url.drivername!r}")
    if not url.database or url.database == ":memory:":
        raise LedgerError("a ledger in memory forgets what it decided: write sqlite:///path")
    return url.set(database=str(root.absolute() / url.database))


def _sqlite(url: URL) -> Engine:
    file = Path(url.database or "")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise LedgerError(f"the ledger {file} cannot be written: {error.strerror}") from error
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = (
            None  # else the driver begins transactions by itself, and later than BEGIN IMMEDIATE
        )
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(url, hide_parameters=True, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise LedgerError("a ledger in PostgreSQL needs the extra: pip install 'retrue[postgres]'") from error


def _migrate(engine: Engine) -> None:
    """Upgrade to HEAD under a lock, so that of several processes one does it and the others find it done."""
    with engine.connect() as connection:
        if _version(connection) == HEAD:
            return
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        _upgrade(connection, _version(connection))


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar()


def _upgrade(connection: Connection, version: str | None) -> None:
    """Run what is missing. Alembic is imported here: a ledger that is up to date does without."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise LedgerError(
            f"the ledger has schema {version}, written by a newer retrue than this one ({HEAD}): upgrade retrue"
        )
    command.upgrade(config, "head")


def _lock(connection: Connection, model: str) -> None:
    """Make the model's row if need be and hold it: SQLite's write lock is held already and ignores FOR UPDATE."""
    held = select(models.c.name).where(models.c.name == model).with_for_update()
    if connection.execute(held).first() is None:
        connection.execute(_ADD_MODEL, {"name": model})
        connection.execute(held)


@contextmanager
def _translated(url: URL) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        place = url.database if url.get_backend_name() == "sqlite" else f"{url.host}:{url.port or 5432}/{url.database}"
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise LedgerError(f"ledger {place}: {cause}") from error
