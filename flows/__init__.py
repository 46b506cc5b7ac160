"""Prefect flows, one a file: they only schedule."""
