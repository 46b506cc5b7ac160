import os
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert, text

import retrue.ledger
from retrue.errors import LedgerError
from retrue.ledger import Ledger, store
from retrue.ledger.schema import HEAD, VERSION_TABLE, incidents, metadata, models, mutes
from tests.ledger.verdicts import DROP, NOW, commit, verdict


def sqlite_file(root: Path) -> Path:
    return root / "state" / "ledger.db"


def test_a_sqlite_ledger_is_made_under_the_root_and_is_the_owners_alone(tmp_path: Path) -> None:
    with Ledger.open("sqlite:///state/ledger.db", root=tmp_path) as ledger:
        commit(ledger, verdict(0, DROP))
        modes = {file.name: file.stat().st_mode & 0o777 for file in sqlite_file(tmp_path).parent.iterdir()}
    assert modes["ledger.db"] == modes["ledger.db-wal"] == 0o600
    assert sqlite_file(tmp_path).parent.stat().st_mode & 0o077 == 0


def test_sqlite_writes_ahead_waits_for_others_and_checks_references(tmp_path: Path) -> None:
    with Ledger.open("sqlite:///state/ledger.db", root=tmp_path) as ledger, ledger._store.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}


def test_opening_again_keeps_what_was_judged(empty_url: str, tmp_path: Path) -> None:
    with Ledger.open(empty_url, root=tmp_path) as ledger:
        commit(ledger, verdict(0, DROP))
    with Ledger.open(empty_url, root=tmp_path) as ledger:
        assert ledger.find(verdict(0, DROP).key) is not None


def test_a_ledger_of_a_newer_retrue_is_refused(empty_url: str, tmp_path: Path) -> None:
    with Ledger.open(empty_url, root=tmp_path) as ledger, ledger._store.write() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="schema 9999, written by a newer retrue"):
        Ledger.open(empty_url, root=tmp_path)


def test_migrations_make_exactly_the_tables_of_the_schema(ledger: Ledger) -> None:
    with ledger._store.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(retrue.ledger.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_mutes_of_an_older_ledger_survive_its_upgrade(empty_url: str, tmp_path: Path) -> None:
    """SQLite makes the table anew to let a mute have no end."""
    url = store._resolve(empty_url, tmp_path)
    engine = (store._sqlite if url.get_backend_name() == "sqlite" else store._postgresql)(url)
    config = Config()
    config.set_main_option("script_location", str(Path(retrue.ledger.__file__).with_name("migrations")))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(insert(models).values(name="m"))
        row = {
            "fingerprint": "f" * 32, "model": "m", "check_name": "c", "scope": "", "severity": "warning", "message": "", "state": "open",
            "opened_window": NOW, "last_window": NOW, "attempt": 0, "episode": 1, "flapping": False, "told": [],
        }  # fmt: skip
        connection.execute(insert(incidents).values(row))
        muted = {"fingerprint": "f" * 32, "until": NOW, "reason": "known", "muted_by": "ada", "muted_at": NOW}
        connection.execute(insert(mutes).values(muted))
    engine.dispose()
    with Ledger.open(empty_url, root=tmp_path) as ledger:
        (mute,) = ledger.incidents.tell("ffff").mutes
        assert (mute.until, mute.reason, mute.by) == (NOW, "known", "ada")
        ledger.incidents.mute("ffff", until=None, reason="known", by="ada", now=NOW)
        assert ledger.incidents.mutes(NOW)[0].until is None


def test_a_schema_of_someone_elses_beside_it_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with create_engine(url).begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('mlflow')"))
        connection.execute(text("CREATE TABLE metrics (key TEXT)"))
    with Ledger.open(url, root=tmp_path) as ledger:
        assert commit(ledger, verdict(0, DROP)).new


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://u:s3cret@h/d", "sqlite or postgresql"),
        ("sqlite://", "in memory forgets"),
        ("sqlite:///:memory:", "in memory forgets"),
        ("s3cret", "not understood"),
        ("postgresql://u:s3cret@127.0.0.1:1/d?password=s3cret", "127.0.0.1:1/d"),
    ],
)
def test_an_address_that_cannot_be_opened_is_refused_without_its_password(
    url: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(LedgerError, match=problem) as refused:
        Ledger.open(url, root=tmp_path)
    assert "s3cret" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.db: file is not a database"):
        Ledger.open("sqlite:///ledger.db", root=tmp_path)


def test_a_ledger_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be written"):
        Ledger.open("sqlite:///file/ledger.db", root=tmp_path)


def test_an_error_of_the_database_shows_no_values(tmp_path: Path) -> None:
    with Ledger.open("sqlite:///ledger.db", root=tmp_path) as ledger:
        with sqlite3.connect(tmp_path / "ledger.db") as other:
            other.execute("DROP TABLE retrue_versions")
        with pytest.raises(LedgerError) as failed:
            ledger.models.register_version("m", "1", sha256="s3cret", kind="skops", run_id="r", now=NOW)
    assert "s3cret" not in str(failed.value) + str(failed.value.__cause__)


def test_opening_a_ledger_twice_does_not_import_alembic_again(tmp_path: Path) -> None:
    import subprocess
    import sys

    Ledger.open("sqlite:///ledger.db", root=tmp_path).close()
    code = (
        "import sys; from pathlib import Path; from retrue.ledger import Ledger;"
        f"Ledger.open('sqlite:///ledger.db', root=Path({str(tmp_path)!r})); sys.exit('alembic' in sys.modules)"
    )
    source = str(Path(retrue.ledger.__file__).parents[2])
    ran = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ, "PYTHONPATH": source})
    assert ran.returncode == 0
