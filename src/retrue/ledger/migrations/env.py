"""Run by Alembic: migrates the connection, and within the transaction, that ``retrue.ledger.store`` hands over."""

from alembic import context

from retrue.ledger.schema import VERSION_TABLE, metadata


def migrate() -> None:
    """Run the missing versions on the connection of ``retrue.ledger.store``."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # Alembic's name for this file; a collector of doctests only imports it
    migrate()
