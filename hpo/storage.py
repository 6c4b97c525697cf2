"""Where studies are kept: a SQLite file, PostgreSQL, a journal, or memory. What is written there: :mod:`hpo.store`."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling.errors import InputError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["DEFAULT_STORAGE", "folder_of", "name_of", "open_storage", "place_of"]

#: Where studies are kept unless said otherwise: a file in the working directory.
DEFAULT_STORAGE = "sqlite:///foretune.db"

#: Attempts to open a database whose tables another process is making.
_PATIENCE = 10


def open_storage(where: str | Path | BaseStorage | None = None, *, must_exist: bool = False) -> BaseStorage:
    """The storage at a URL, a path of a SQLite file, or one that is open already.

    Args:
        where: ``sqlite:///FILE``, ``postgresql://...``, ``journal:///FILE``, ``memory://``, a path, or a storage.
            ``None`` is ``FORETUNE_STORAGE`` from the environment, else ``foretune.db`` in the working directory.
        must_exist: Refuse to create a file.

    Raises:
        InputError: The database is not there, cannot be reached, or is none.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if isinstance(where, optuna.storages.BaseStorage):
        return where
    url = _url(where)
    if url == "memory://":
        return optuna.storages.InMemoryStorage()
    scheme, _, rest = url.partition("://")
    if scheme == "postgresql":
        # SQLAlchemy 2.1 looks for another driver than 2.0 unless told; the extra `postgresql` brings this one.
        url = f"postgresql+psycopg2://{rest}"
    if scheme in ("sqlite", "journal"):
        _check_file(Path(rest.removeprefix("/")), url, must_exist)
    if scheme == "journal":
        from optuna.storages.journal import JournalFileBackend, JournalStorage

        return JournalStorage(JournalFileBackend(rest.removeprefix("/")))
    return _database(url, sqlite=scheme == "sqlite")


def _url(where: str | Path | None) -> str:
    text = str(where) if where is not None else os.environ.get("FORETUNE_STORAGE", DEFAULT_STORAGE)
    return text if "://" in text else f"sqlite:///{text}"


def name_of(where: object) -> str:
    """A storage in words, for messages."""
    return (
        _without_password(_url(where))
        if where is None or isinstance(where, (str, Path))
        else type(where).__name__
    )


def _check_file(path: Path, url: str, must_exist: bool) -> None:
    if must_exist and not path.is_file():
        raise InputError(
            "there is no database", source=url, key="--storage", remedy="check the path, or run a study first"
        )
    if not path.parent.is_dir():
        raise InputError(
            f"there is no folder {path.parent}",
            source=url,
            key="--storage",
            remedy="create it, or fix the path",
        )


def _database(url: str, *, sqlite: bool) -> BaseStorage:
    import sqlalchemy
    from optuna.storages import RDBStorage

    # A writer waits for another one instead of failing: drivers, dashboards and readers share the file.
    options: dict[str, Any] = {"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True}
    try:
        storage = _made_once(lambda: RDBStorage(url, engine_kwargs=options))
    except ImportError:
        raise InputError(
            "cannot be opened: its driver is not installed here",
            source=_without_password(url),
            key="--storage",
            remedy="for PostgreSQL: pip install 'foretune[postgresql]'",
        ) from None
    except (sqlalchemy.exc.SQLAlchemyError, ValueError, RuntimeError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise InputError(
            f"cannot be opened ({reason})",
            source=_without_password(url),
            key="--storage",
            remedy="give a database that is there, such as sqlite:///foretune.db or postgresql://USER@HOST/DATABASE",
        ) from None
    if sqlite:
        _quicken(storage)
    return storage


def _made_once(make: Callable[[], BaseStorage]) -> BaseStorage:
    """Open a database; where another process is making its tables at this very moment, once they are there."""
    import sqlalchemy

    for _ in range(_PATIENCE):
        try:
            return make()
        except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.IntegrityError) as error:
            if "already exists" not in str(error) and "alembic_version" not in str(error):
                raise
            time.sleep(0.2)
    return make()


def _quicken(storage: Any) -> None:
    """Write-ahead log, synced at checkpoints: commits survive kill -9 at a fraction of the cost; readers never wait."""
    import sqlalchemy

    def configure(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    sqlalchemy.event.listen(storage.engine, "connect", configure)
    storage.engine.dispose()  # connections made before now know nothing of it
    storage.engine.connect().close()


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}"


def folder_of(storage: BaseStorage) -> Path | None:
    """Folder of the file that a SQLite storage writes to; ``None`` for any other."""
    url = str(getattr(storage, "url", ""))
    return Path(url.removeprefix("sqlite:///")).resolve().parent if url.startswith("sqlite:///") else None


def place_of(storage: BaseStorage) -> str | None:
    """What tells a storage from every other one; ``None`` of one that only this process sees."""
    url = str(getattr(storage, "url", "")) or None
    if url is None or not url.startswith("sqlite:///"):
        return url
    return str(Path(url.removeprefix("sqlite:///")).resolve())
