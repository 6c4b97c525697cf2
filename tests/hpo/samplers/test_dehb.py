"""DEHB's search in plain Optuna studies."""

import math

import numpy as np
import optuna
import pytest

from hpo.samplers.dehb import DEHBSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)


def bowl(trial):
    x = trial.suggest_float("x", -5, 5)
    y = trial.suggest_float("y", 1e-5, 1e-1, log=True)
    n = trial.suggest_int("n", 1, 16)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    return (x - 1) ** 2 + (math.log10(y) + 3) ** 2 + 0.05 * (n - 7) ** 2 + (kind != "b")


def best(sampler, trials, direction="minimize"):
    study = optuna.create_study(sampler=sampler, direction=direction)
    sign = 1 if direction == "minimize" else -1
    study.optimize(lambda trial: sign * bowl(trial), n_trials=trials)
    return sign * study.best_value


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_it_finds_better_than_random_search_in_both_directions(direction):
    ours = [best(DEHBSampler(seed=seed, mutation=0.5), 80, direction) for seed in range(3)]
    random = [best(optuna.samplers.RandomSampler(seed=seed), 80) for seed in range(3)]
    assert np.median(ours) < 0.8 * np.median(random)


def test_the_same_seed_proposes_the_same_and_another_does_not():
    def proposals(seed):
        study = optuna.create_study(sampler=DEHBSampler(seed=seed))
        study.optimize(bowl, n_trials=20)
        return [trial.params for trial in study.trials]

    assert proposals(1) == proposals(1)
    assert proposals(1) != proposals(2)


def test_it_goes_on_from_the_storage_alone():
    study = optuna.create_study(sampler=DEHBSampler(seed=0))
    study.optimize(bowl, n_trials=20)
    study.sampler = DEHBSampler(seed=5)
    study.optimize(bowl, n_trials=40)
    targets = [trial.system_attrs.get("dehb:target") for trial in study.trials]
    assert targets[6:] == [k % 6 for k in range(54)]
    assert np.mean(sorted(t.value for t in study.trials[40:])) < np.mean([t.value for t in study.trials[:6]])


def test_an_offspring_takes_its_targets_slot_only_if_it_is_no_worse():
    study = optuna.create_study()
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    for k, value in enumerate([4.0, 3.0, 2.0, 1.0]):
        study.add_trial(optuna.trial.create_trial(params={"x": k / 10}, distributions=space, value=value))
    for x, value, slot in [(0.8, 5.0, 0), (0.9, 2.5, 1)]:
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": x}, distributions=space, value=value, system_attrs={"dehb:target": slot}
            )
        )
    from hpo.samplers.encoding import Encoding

    slots, everyone, offspring = DEHBSampler(population=4)._replay(study, Encoding(space))
    assert [slot.vector[0] for slot in slots] == pytest.approx([0.0, 0.9, 0.2, 0.3])
    assert (len(everyone), offspring) == (6, 2)


def test_a_configuration_trained_further_keeps_its_slot_against_one_stopped_early():
    study = optuna.create_study()
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    for k in range(4):
        study.add_trial(optuna.trial.create_trial(params={"x": k / 10}, distributions=space, value=3.0))
    study.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.PRUNED,
            params={"x": 0.9},
            distributions=space,
            intermediate_values={10: 0.1},  # better, but at a tenth of the training
            system_attrs={"dehb:target": 0},
        )
    )
    from hpo.samplers.encoding import Encoding

    slots, _, _ = DEHBSampler(population=4)._replay(study, Encoding(space))
    assert slots[0].vector[0] == pytest.approx(0.0)


def test_failed_trials_and_nan_are_no_members():
    study = optuna.create_study(sampler=DEHBSampler(seed=1, mutation=0.5))

    def fragile(trial):
        x = trial.suggest_float("x", 0, 1)
        if x > 0.7:
            raise ValueError
        return float("nan") if x > 0.6 else x

    study.optimize(fragile, n_trials=60, catch=(ValueError,))
    assert study.best_value < 0.2
    assert all(trial.params["x"] <= 0.6 for trial in study.trials if trial.value is not None)


def test_with_hyperbands_pruner_it_spends_less_and_still_finds_it():
    def curve(trial):
        final = bowl(trial)
        for step in range(1, 28):
            trial.report(final + 10 / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return final

    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=27, reduction_factor=3)
    study = optuna.create_study(sampler=DEHBSampler(seed=0, eta=3, mutation=0.5), pruner=pruner)
    study.optimize(curve, n_trials=150)
    steps = sum(max(trial.intermediate_values) for trial in study.trials)
    assert steps < 0.7 * 150 * 27
    assert study.best_value < 1.5


def test_conditional_parameters_are_drawn_and_nothing_breaks():
    def tree(trial):
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return trial.suggest_float("x", 0, 1)
        return 1 + trial.suggest_float("z", 0, 1)

    study = optuna.create_study(sampler=DEHBSampler(seed=0))
    study.optimize(tree, n_trials=40)
    assert study.best_params["kind"] == "a"


@pytest.mark.parametrize("options", [{"population": 3}, {"crossover": 1.5}, {"mutation": 0}, {"eta": 1}])
def test_settings_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError):
        DEHBSampler(**options)
