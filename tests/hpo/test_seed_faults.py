"""Faults seen in published tuners, which must not be found here: one test each, through the whole of a study."""

import importlib.util
import math
from collections import defaultdict

import pytest
from optuna.trial import TrialState

import hpo

TUNING, TESTING = [3, 1, 4], [100, 101]
ALLOCATIONS = ["fixed"] + (["racing"] if importlib.util.find_spec("hpo.allocation.racing") else [])


def study(objective, *, allocation="fixed", direction="maximize", runs=36, testing=TESTING, **more):
    return hpo.run(
        {
            "name": "faults",
            "objective": objective,
            "metric": "return",
            "direction": direction,
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
            "seeds": {"tuning": TUNING, "testing": testing, "allocation": allocation},
            "sampler": {"name": "random", "seed": 0},
            "budget": {"runs": runs},
            "engine": "inline",
            **more,
        },
        storage="memory://",
        progress=False,
    )


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_every_configuration_is_scored_on_its_own_seeds(allocation):
    """``res[j*k + k]`` where ``j*S + k`` was meant: only the first configuration met its own seeds."""
    called = defaultdict(list)

    def train(config, *, seed, trial):
        called[config["x"]].append(seed)
        return {"return": config["x"] + 10 * seed}

    found = study(train, allocation=allocation)
    ledger = found.scales[0].ledger
    for number in ledger.configurations():
        x = ledger.params[number]["x"]
        runs = ledger.of(number)
        tuned = [seed for seed in called[x] if seed in TUNING]
        assert tuned == TUNING[: len(tuned)], "each meets the same seeds in the same order"
        assert [(run.atom.seed, run.value) for run in runs] == [(seed, x + 10 * seed) for seed in tuned]
    for trial in found.scales[0].tuning.trials():
        if trial.state == TrialState.COMPLETE:
            seeds = [run.atom.seed for run in ledger.of(trial.number)]
            assert trial.value == pytest.approx(trial.params["x"] + 10 * sum(seeds) / len(seeds))


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_no_mean_over_the_seeds_that_did_not_crash(allocation):
    """``nanmean`` over survivors rewards the fragile: here they shine, but fail on the third seed."""

    def train(config, *, seed, trial):
        fragile = config["x"] > 0.3
        if fragile and seed == TUNING[-1]:
            raise RuntimeError("crashed")
        return {"return": 1000.0 if fragile else config["x"]}

    found = study(train, allocation=allocation, runs=60)
    ledger = found.scales[0].ledger
    for trial in found.scales[0].tuning.trials():
        if any(run.value is None for run in ledger.of(trial.number)):
            assert trial.state == TrialState.FAIL
            assert trial.value is None
    whole = [
        n
        for n in ledger.configurations()
        if len(ledger.of(n)) == 3 and all(run.value for run in ledger.of(n))
    ]
    if whole:
        chosen = ledger.of(found.incumbent.configuration)
        assert all(run.value is not None for run in chosen)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_a_run_that_is_not_finite_is_never_the_best(allocation, direction, bad):
    """NaN stored as the smallest positive float is the best of all scores where returns are negative."""

    def train(config, *, seed, trial):
        return {"return": bad if config["x"] > 0.4 else -500.0 - config["x"]}

    found = study(train, allocation=allocation, direction=direction)
    lost = [run for run in found.records() if run.status == "diverged"]
    assert lost
    assert all(run.value is None for run in lost)
    assert found.incumbent.config["x"] <= 0.4
    assert -502 < found.incumbent.estimate.value < -499


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_the_seed_that_is_recorded_is_the_seed_that_was_run(allocation):
    """A seed that is a label never reaches what draws."""

    def train(config, *, seed, trial):
        assert trial.seed == seed
        return {"return": float(seed), "seen": seed}

    found = study(train, allocation=allocation)
    for run in [*found.records("tuning"), *found.records("testing")]:
        assert run.atom.seed == run.metrics["seen"] == run.value
    assert {run.atom.seed for run in found.records("testing")} == set(TESTING)


@pytest.mark.parametrize(
    "sampler", ["random", pytest.param("bayesian", marks=pytest.mark.slow), "dehb", "tpe", "cmaes", "sobol"]
)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_no_tuner_is_handed_a_testing_seed(allocation, sampler):
    tested = []

    def train(config, *, seed, trial):
        tested.append(seed in TESTING)
        return {"return": -((config["x"] - 0.5) ** 2)}

    found = study(train, allocation=allocation, runs=24, sampler={"name": sampler, "seed": 0})
    assert not any(tested[: len(found.records("tuning"))])
    assert sum(tested) == len(TESTING)
    stored = [str(trial.user_attrs) + str(trial.system_attrs) for trial in found.scales[0].tuning.trials()]
    assert not any("'seed': 10" in text for text in stored)


def test_early_stopping_judges_a_configuration_once_and_not_again_on_each_seed():
    """Judged anew on seeds that differ in difficulty, hardly a configuration would finish its seeds."""

    def train(config, *, seed, trial):
        hard = 5.0 if seed == TUNING[1] else 0.0
        for step in (1, 3, 9):
            trial.report(step, **{"return": config["x"] * step - hard})
        return {"return": 9 * config["x"] - hard}

    rule = {"name": "asha", "max_t": 9, "grace_period": 1, "reduction_factor": 3}
    found = study(train, scheduler=rule, runs=60, direction="maximize")
    ledger = found.scales[0].ledger
    stopped = [n for n in ledger.configurations() if ledger.of(n)[-1].status == "pruned"]
    whole = [n for n in ledger.configurations() if [run.status for run in ledger.of(n)] == ["complete"] * 3]
    assert stopped
    assert whole
    assert len(stopped) + len(whole) == len(ledger.configurations())
    assert all(len(ledger.of(n)) == 1 for n in stopped)
    assert found.incumbent.configuration in whole
