"""The record of studies in an Optuna storage. The only place that knows how it is laid out there.

A study is one or more *sections*, each an Optuna study of its own: ``NAME`` (or ``NAME/SCALE`` at each scale) holds
the tuning runs, and ``NAME::testing`` the sealed ones, which no sampler, scheduler or callback is handed. A
configuration is an Optuna trial, its runs are user attributes of that trial, each written once when the run has
finished. A trial is RUNNING while its configuration may get more runs; then it is told the mean over its seeds, or that
it failed.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.ledger import RUN_PREFIX, Ledger, RunRecord, run_key
from scaling.errors import InputError

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

    from hpo.space import Space

__all__ = [
    "DEFAULT_STORAGE",
    "SECTION",
    "Section",
    "folder_of",
    "name_of",
    "open_storage",
    "place_of",
    "sections_of",
    "study_names",
]

#: Where studies are kept unless said otherwise: a file in the working directory.
DEFAULT_STORAGE = "sqlite:///foretune.db"

#: Attempts to open a database whose tables another process is making.
_PATIENCE = 10

#: User attribute of an Optuna study that says which part of which Foretune study it is.
SECTION = "foretune"
#: User attribute of a trial with the whole configuration, fixed values included.
CONFIG = "config"
#: User attribute of a trial saying why its configuration was entered: ``incumbent``, ``baseline``, ...
ROLE = "role"


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


class Section:
    """One part of a study: configurations and their runs, at one scale, for tuning or for testing.

    Attributes:
        name: Of the Optuna study.
        attributes: What was written when it was created: ``study``, ``phase``, ``scale`` and the definition.
    """

    def __init__(self, storage: BaseStorage, name: str) -> None:
        import optuna

        self.name = name
        self._storage = storage
        # The sampler is given with each proposal; this one is never asked.
        self._study = optuna.load_study(
            study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler(seed=0)
        )
        self._study_id = storage.get_study_id_from_name(name)
        self._trial_ids: dict[int, int] = {}
        self.attributes: dict[str, Any] = dict(self._study.user_attrs.get(SECTION, {}))

    @classmethod
    def create(
        cls, storage: BaseStorage, name: str, direction: str, attributes: Mapping[str, Any]
    ) -> Section:
        """Open the section called ``name``, made first if it is not there; attributes are those of its creation."""
        import optuna
        from optuna.study import StudyDirection

        known = {entry.study_name: entry.user_attrs for entry in storage.get_all_studies()}
        if not known.get(name):  # made by a driver that was killed before it could say what for: say it now
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=[StudyDirection[direction.upper()]],
                load_if_exists=True,
            )
            study.set_user_attr(SECTION, dict(attributes))
        return cls(storage, name)

    @property
    def place(self) -> str | None:
        """Where it is kept, the same for every process that opens it; ``None`` where no other can."""
        return place_of(self._storage)

    @property
    def study(self) -> optuna.Study:
        """The Optuna study itself."""
        return self._study

    def attribute(self, key: str) -> Any:
        """A user attribute of the section."""
        return self._storage.get_study_user_attrs(self._study_id).get(key)

    def set_attribute(self, key: str, value: Any) -> None:
        """Write a user attribute of the section."""
        self._storage.set_study_user_attr(self._study_id, key, value)

    def propose(self, space: Space, sampler: optuna.samplers.BaseSampler) -> tuple[int, dict[str, Any]]:
        """Have ``sampler`` draw a new configuration; its number and its values."""
        self._study.sampler = sampler
        trial = self._study.ask()
        self._trial_ids[trial.number] = trial._trial_id
        return trial.number, space.suggest(trial)

    def enter(self, config: Mapping[str, Any], role: str) -> int:
        """Enter a configuration as given; its number."""
        import optuna

        attributes = {CONFIG: dict(config), ROLE: role}
        template = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, user_attrs=attributes)
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=template)
        number = self._storage.get_trial_number_from_id(trial_id)
        self._trial_ids[number] = trial_id
        return number

    def give_role(self, number: int, role: str) -> None:
        """Say why a configuration is here; one that had the role before keeps it as ``earlier ROLE``."""
        for other, its in self.roles().items():
            if role in its.split(", ") and other != number:
                words = [f"earlier {word}" if word == role else word for word in its.split(", ")]
                self._storage.set_trial_user_attr(self._id(other), ROLE, ", ".join(words))
        words = [word for word in self.roles().get(number, "").split(", ") if word]
        if role not in words:
            self._storage.set_trial_user_attr(self._id(number), ROLE, ", ".join([*words, role]))

    def commit(self, record: RunRecord) -> None:
        """Write a finished run. Once: what is written is never changed."""
        key = run_key(record.atom.seed, record.atom.fidelity)
        self._storage.set_trial_user_attr(self._id(record.atom.configuration), key, record.to_dict())

    def settle(self, number: int, runs: Sequence[RunRecord]) -> None:
        """End a configuration: the mean over its runs if all completed, pruned if one was stopped, else failed."""
        from optuna.trial import TrialState

        # Not study.tell: it reads the trial back twice and asks the sampler, for a third of a run's whole overhead.
        statuses = {run.status for run in runs}
        trial_id = self._id(number)
        if statuses == {"complete"}:
            values = [run.value for run in runs if run.value is not None]
            self._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [sum(values) / len(values)])
        elif "pruned" in statuses <= {"pruned", "complete"}:
            last = next(run for run in reversed(runs) if run.status == "pruned")
            assert last.value is not None
            self._storage.set_trial_intermediate_value(trial_id, int(last.metrics.get("step", 1)), last.value)
            self._storage.set_trial_state_values(trial_id, TrialState.PRUNED, [last.value])
        else:
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)

    def ledger(self) -> Ledger:
        """All configurations and finished runs, in the order they were proposed."""
        ledger = Ledger()
        for trial in self.trials():
            self._trial_ids[trial.number] = trial._trial_id
            if trial.state.is_finished() and not any(key.startswith(RUN_PREFIX) for key in trial.user_attrs):
                continue  # given up before it was a configuration: the driver was killed while it was being proposed
            ledger.propose(trial.number, trial.user_attrs.get(CONFIG) or trial.params)
            for key, stored in trial.user_attrs.items():
                if key.startswith(RUN_PREFIX):
                    ledger.add(RunRecord.from_dict(stored))
        return ledger

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """The Optuna trials."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def unfinished(self) -> set[int]:
        """Numbers of the configurations that may get more runs."""
        from optuna.trial import TrialState

        states = (TrialState.RUNNING,)
        return {
            trial.number
            for trial in self._storage.get_all_trials(self._study_id, deepcopy=False, states=states)
        }

    def roles(self) -> dict[int, str]:
        """Why each configuration was entered, of those that were given."""
        return {
            trial.number: str(trial.user_attrs[ROLE]) for trial in self.trials() if ROLE in trial.user_attrs
        }

    def _id(self, number: int) -> int:
        if number not in self._trial_ids:
            self._trial_ids[number] = self._storage.get_trial_id_from_study_id_trial_number(
                self._study_id, number
            )
        return self._trial_ids[number]


def sections_of(storage: BaseStorage, study: str) -> list[Section]:
    """The sections of a study in the order they were created."""
    found = [
        entry
        for entry in storage.get_all_studies()
        if entry.user_attrs.get(SECTION, {}).get("study") == study
    ]
    return [Section(storage, entry.study_name) for entry in sorted(found, key=lambda entry: entry._study_id)]


def study_names(storage: BaseStorage) -> list[str]:
    """The Foretune studies of a storage in the order they were created."""
    entries = sorted(storage.get_all_studies(), key=lambda entry: entry._study_id)
    names = [entry.user_attrs.get(SECTION, {}).get("study") for entry in entries]
    return list(dict.fromkeys(str(name) for name in names if name))
