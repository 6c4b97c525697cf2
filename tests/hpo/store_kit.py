"""What every storage must do as a study's record. Subclass :class:`StoreContract` and give ``open``."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from hpo.ledger import Atom, RunRecord
from hpo.space import Space
from hpo.store import Section, sections_of, study_names

SPACE = Space.model_validate(
    {
        "x": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "kind": {"type": "categorical", "choices": ["a", "b"]},
        "extra": {"type": "int", "low": 1, "high": 9, "when": {"kind": "b"}},
    }
)


def about(study: str = "s", phase: str = "tuning", **more: Any) -> dict[str, Any]:
    return {"study": study, "phase": phase, "metric": "loss", "direction": "minimize", **more}


def complete(number: int, seed: int, value: float) -> RunRecord:
    metrics = {"loss": value, "text": "ü\n'", "nothing": None, "list": [1, 2]}
    return RunRecord(Atom(number, seed), "complete", value, metrics, 1.5, 1e9, None, {"host": "h"})


class StoreContract:
    """The contract. ``open`` gives the same store each time, as a new process would open it."""

    def open(self) -> BaseStorage:
        raise NotImplementedError

    @pytest.fixture
    def section(self) -> Section:
        return Section.create(self.open(), "s", "minimize", about())

    def propose(self, section: Section, seed: int = 0) -> tuple[int, dict[str, Any]]:
        return section.propose(SPACE, optuna.samplers.RandomSampler(seed=seed))

    def test_what_is_written_is_read_again(self, section: Section) -> None:
        proposals = dict(self.propose(section, seed) for seed in range(4))
        records = [
            complete(0, 0, 1.25),
            complete(0, 1, 1 / 3),
            RunRecord(Atom(2, 0), "failed", error="Trace\nback"),
        ]
        for record in records:
            section.commit(record)
        ledger = Section(self.open(), "s").ledger()
        assert ledger.params == proposals and ledger.configurations() == [0, 1, 2, 3]
        assert [*ledger.of(0), *ledger.of(2)] == records

    def test_configurations_run_until_they_are_settled(self, section: Section) -> None:
        for seed in range(4):
            self.propose(section, seed)
        assert section.unfinished() == {0, 1, 2, 3}
        good = [complete(0, 0, 1.0), complete(0, 1, 3.0)]
        half = [complete(1, 0, 1.0), RunRecord(Atom(1, 1), "diverged", error="nan")]
        stopped = [RunRecord(Atom(2, 0), "pruned", 4.5, {"loss": 4.5, "step": 7})]
        for number, runs in enumerate((good, half, stopped)):
            for run in runs:
                section.commit(run)
            section.settle(number, runs)
        assert section.unfinished() == {3}
        trials = Section(self.open(), "s").trials()
        assert [trial.state for trial in trials] == [
            TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING
        ]  # fmt: skip
        assert trials[0].value == 2.0
        assert trials[1].values is None, "a mean over the seeds that survived"
        assert trials[2].intermediate_values == {7: 4.5}

    def test_a_settled_configuration_cannot_change(self, section: Section) -> None:
        self.propose(section)
        run = complete(0, 0, 1.0)
        section.commit(run)
        section.settle(0, [run])
        with pytest.raises(RuntimeError):  # Optuna has given it a name since
            section.commit(complete(0, 1, 2.0))

    def test_given_configurations_keep_their_role(self, section: Section) -> None:
        number = section.enter({"x": 5.0, "free": "text"}, "baseline")
        section.commit(complete(number, 7, 1.0))
        again = Section(self.open(), "s")
        assert again.roles() == {number: "baseline"} and again.ledger().params == {
            number: {"x": 5.0, "free": "text"}
        }

    def test_a_trial_given_up_before_its_first_run_is_no_configuration(self, section: Section) -> None:
        self.propose(section)
        section.settle(0, [])
        assert Section(self.open(), "s").ledger().params == {}

    def test_sections_are_found_by_study(self, section: Section) -> None:
        storage = self.open()
        Section.create(storage, "s::testing", "minimize", about(phase="testing"))
        Section.create(storage, "other", "minimize", about("other"))
        optuna.create_study(storage=storage, study_name="somebody else's")
        assert study_names(storage) == ["s", "other"]
        assert [part.name for part in sections_of(storage, "s")] == ["s", "s::testing"]

    def test_making_a_section_again_changes_nothing(self, section: Section) -> None:
        self.propose(section)
        again = Section.create(self.open(), "s", "minimize", about(note="new"))
        assert "note" not in again.attributes and again.ledger().configurations() == [0]

    def test_a_section_whose_maker_was_killed_is_finished(self) -> None:
        storage = self.open()
        optuna.create_study(storage=storage, study_name="half", direction="maximize")
        section = Section.create(storage, "half", "maximize", about("half"))
        assert section.attributes["study"] == "half"

    def test_attributes_of_a_section(self, section: Section) -> None:
        assert section.attribute("openings") is None
        section.set_attribute("openings", [{"who": "me"}])
        assert Section(self.open(), "s").attribute("openings") == [{"who": "me"}]
