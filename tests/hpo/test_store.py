"""The record in each kind of storage, and what is said where there is none."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from sqlalchemy.exc import IntegrityError, OperationalError

from hpo.storage import name_of, open_storage
from scaling.errors import InputError
from tests.hpo.store_kit import StoreContract


class TestSQLite(StoreContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.url = f"sqlite:///{tmp_path / 'record.db'}"

    def open(self) -> BaseStorage:
        return open_storage(self.url)


class TestMemory(StoreContract):
    @pytest.fixture(autouse=True)
    def _storage(self) -> None:
        self.storage = open_storage("memory://")

    def open(self) -> BaseStorage:
        return self.storage


class TestJournal(StoreContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.url = f"journal:///{tmp_path / 'record.log'}"

    def open(self) -> BaseStorage:
        return open_storage(self.url)


@pytest.mark.skipif(
    "FORETUNE_TEST_POSTGRES" not in os.environ, reason="FORETUNE_TEST_POSTGRES names no server"
)
class TestPostgreSQL(StoreContract):
    @pytest.fixture(autouse=True)
    def _database(self) -> Iterator[None]:
        import sqlalchemy

        server = os.environ["FORETUNE_TEST_POSTGRES"].replace("postgresql://", "postgresql+psycopg2://")
        name = f"foretune_{uuid.uuid4().hex[:12]}"
        engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        self.url = f"{server.rpartition('/')[0]}/{name}"
        yield
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"DROP DATABASE {name} WITH (FORCE)"))

    def open(self) -> BaseStorage:
        return open_storage(self.url)


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no database"):
        open_storage(tmp_path / "none.db", must_exist=True)
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(InputError, match="no folder"):
        open_storage(f"sqlite:///{tmp_path / 'deep' / 'none.db'}")


@pytest.mark.parametrize(
    "url", ["nonsense://x", "postgresql://me:secret@127.0.0.1:1/db", "mysql://nowhere/x"]
)
def test_a_database_that_cannot_be_reached_is_named_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="cannot be opened") as caught:
        open_storage(url)
    assert "secret" not in str(caught.value) and caught.value.key == "--storage"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database at all, but text\n" * 100)
    with pytest.raises(InputError, match="cannot be opened"):
        open_storage(tmp_path / "text.db")


def test_an_open_storage_is_taken_as_it_is() -> None:
    storage = InMemoryStorage()
    assert open_storage(storage) is storage and name_of(storage) == "InMemoryStorage"


def test_the_environment_names_a_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETUNE_STORAGE", str(tmp_path / "mine.db"))
    open_storage()
    assert (tmp_path / "mine.db").is_file()


def test_sqlite_keeps_a_write_ahead_log(tmp_path: Path) -> None:
    import sqlite3

    open_storage(tmp_path / "record.db")
    assert sqlite3.connect(tmp_path / "record.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)


_EXISTS = OperationalError("CREATE TABLE", None, Exception("table studies already exists"))
_TWICE = IntegrityError("INSERT INTO alembic_version", None, Exception("UNIQUE constraint failed"))
_BROKEN = OperationalError("SELECT", None, Exception("disk I/O error"))


@pytest.mark.parametrize(("troubles", "opens"), [([_EXISTS, _TWICE], True), ([_BROKEN], False)])
def test_a_database_that_another_process_is_making_is_waited_for(
    troubles: list[Exception], opens: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, left, naps = optuna.storages.RDBStorage, list(troubles), list[float]()

    def make(*given: Any, **options: Any) -> BaseStorage:
        if left:
            raise left.pop()
        return made(*given, **options)

    monkeypatch.setattr(optuna.storages, "RDBStorage", make)
    monkeypatch.setattr("time.sleep", naps.append)
    if opens:
        assert open_storage(tmp_path / "record.db").get_all_studies() == []
    else:
        with pytest.raises(InputError, match="disk I/O error"):
            open_storage(tmp_path / "record.db")
    assert len(naps) == (2 if opens else 0)
