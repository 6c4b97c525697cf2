"""The record of studies in an Optuna storage. The only place that knows how it is laid out there.

A study is one or more *sections*, each an Optuna study of its own: ``NAME`` (or ``NAME/SCALE`` at each scale) holds
the tuning runs, and ``NAME::testing`` the sealed ones, which no sampler, scheduler or callback is handed. A
configuration is an Optuna trial, its runs are user attributes of that trial, each written once when the run has
finished. A trial is RUNNING while its configuration may get more runs; then it is told the mean over its seeds, or that
it failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpo.ledger import RUN_PREFIX, Ledger, RunRecord, run_key
from hpo.storage import place_of

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

    from hpo.space import Space

__all__ = ["SECTION", "Section", "sections_of", "study_names"]

#: User attribute of an Optuna study that says which part of which Foretune study it is.
SECTION = "foretune"
#: User attribute of a trial with the whole configuration, fixed values included.
CONFIG = "config"
#: User attribute of a trial saying why its configuration was entered: ``incumbent``, ``baseline``, ...
ROLE = "role"


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
