"""What every sampler must do: Optuna's own contract, and ours on top.

A test module subclasses both classes and gives the fixture ``sampler``, a function that makes a new sampler of seed 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler

try:
    from optuna.testing.pytest_samplers import BasicSamplerTestCase
except ModuleNotFoundError:

    class BasicSamplerTestCase:  # type: ignore[no-redef]
        def test_optunas_contract(self) -> None:
            pytest.skip("this Optuna publishes no contract for samplers")


from hpo.ledger import Atom, RunRecord, run_key

Make = Callable[[], BaseSampler]


def mixed(trial: optuna.Trial) -> float:
    """Every kind of parameter: float, logarithmic, integer, categorical and conditional."""
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    layers = trial.suggest_int("layers", 1, 4)
    kind = trial.suggest_categorical("kind", ["sgd", "adam"])
    momentum = trial.suggest_float("momentum", 0.0, 0.9, step=0.1) if kind == "sgd" else 0.5
    return abs(lr - 1e-3) * 100 + layers * 0.1 + momentum


class OptunaContract(BasicSamplerTestCase):
    """Optuna's public contract for samplers."""


class OurContract:
    """What studies of ours ask of a sampler beyond Optuna's contract."""

    @pytest.fixture
    def sampler(self) -> Make:
        raise NotImplementedError

    def test_same_seed_proposes_the_same(self, sampler: Make) -> None:
        def run() -> list[dict[str, Any]]:
            study = optuna.create_study(sampler=sampler())
            study.optimize(mixed, n_trials=14)
            return [trial.params for trial in study.trials]

        assert run() == run()

    def test_goes_on_after_failed_runs(self, sampler: Make) -> None:
        study = optuna.create_study(sampler=sampler())

        def failing(trial: optuna.Trial) -> float:
            value = mixed(trial)
            if trial.number % 3 == 0:
                raise ValueError("diverged")
            return value if trial.number % 3 == 1 else float("nan")

        study.optimize(failing, n_trials=14, catch=(ValueError,))
        assert len(study.trials) == 14

    def test_goes_on_when_all_have_failed(self, sampler: Make) -> None:
        study = optuna.create_study(sampler=sampler())
        study.optimize(lambda trial: mixed(trial) * float("nan"), n_trials=14)
        assert all(trial.state == optuna.trial.TrialState.FAIL for trial in study.trials)

    def test_many_may_be_under_way(self, sampler: Make) -> None:
        study = optuna.create_study(sampler=sampler())
        under_way = [study.ask() for _ in range(4)]
        for _ in range(4):
            for trial in under_way:
                study.tell(trial, mixed(trial))
            under_way = [study.ask() for _ in range(4)]
        assert len({trial.number for trial in under_way}) == 4

    def test_reads_trials_that_are_still_in_a_race(self, sampler: Make) -> None:
        study = optuna.create_study(sampler=sampler())
        for number in range(14):
            trial = study.ask()
            value = mixed(trial)
            for seed in range(1 + number % 3):
                record = RunRecord(
                    Atom(trial.number, seed), "complete", value + 0.01 * seed, started=float(number)
                )
                trial.set_user_attr(run_key(seed), record.to_dict())
            diverged = RunRecord(Atom(trial.number, 9), "diverged", error="NaN")
            if number % 4 == 3:
                trial.set_user_attr(run_key(9), diverged.to_dict())
        assert len(study.trials) == 14
