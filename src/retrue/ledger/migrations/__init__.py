"""Alembic's environment and versions, run by ``retrue.ledger.store`` when a ledger is opened."""
