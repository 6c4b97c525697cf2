"""The seed reaches everything that draws, divergence is no number, all configurations train for the same steps."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("stable_baselines3")

import hpo
from hpo import samplers
from hpo.config import load_config
from hpo.space import Space
from scaling.errors import ForetuneError, InputError
from studies.reinforcement_learning import (
    ENVIRONMENTS,
    SMALL_SPACES,
    SPACES,
    Settings,
    evaluate,
    learner,
    split_seed,
    train,
)

PPO = {
    "algorithm": "ppo",
    "environment": "CartPole-v1",
    "steps": 256,
    "n_steps": 128,
    "evaluation_episodes": 3,
}
SAC = {
    "algorithm": "sac",
    "environment": "Pendulum-v1",
    "steps": 120,
    "learning_starts": 60,
    "train_freq": 10,
    "batch_size": 16,
    "evaluation_episodes": 2,
    "policy_kwargs": {"net_arch": [16]},
}
DQN = {
    "algorithm": "dqn",
    "environment": "CartPole-v1",
    "steps": 200,
    "learning_starts": 100,
    "train_freq": 5,
    "evaluation_episodes": 3,
}


def settled(metrics):
    return {key: value for key, value in metrics.items() if key != "train_seconds"}


def test_a_run_leaves_no_folder_behind(tmp_path, monkeypatch):
    """The library's own logger makes one in the temporary folder for every call of ``learn``."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    train(DQN, seed=0)
    assert not list(tmp_path.glob("SB3*"))


@pytest.mark.parametrize("config", [PPO, SAC, DQN], ids=["ppo", "sac", "dqn"])
def test_the_same_seed_gives_the_same_return_to_the_last_digit(config):
    first, second = train(config, seed=3), train(config, seed=3)
    assert settled(first) == settled(second)
    assert math.isfinite(first["return"])
    assert first["steps"] == config["steps"]


@pytest.mark.slow
def test_another_seed_gives_another_return():
    assert len({train(SAC, seed=seed)["return"] for seed in range(3)}) == 3


class TestTheSeedIsNoLabel:
    """Regression: a sweeper whose seed never reached environment or library. Each place that draws, one by one."""

    settings = Settings("sac", "Pendulum-v1", 100, evaluation_episodes=2)

    def differ(self, draw):
        first, again, other = (np.asarray(draw(seed)) for seed in (5, 5, 6))
        assert (first == again).all()
        assert (first != other).any()

    def test_network_initialisation(self):
        self.differ(lambda seed: next(learner(self.settings, {}, seed).policy.parameters()).detach().numpy())

    def test_starts_of_the_training_environment(self):
        self.differ(lambda seed: learner(self.settings, {}, seed).env.reset())

    def test_samples_of_the_action_space(self):
        self.differ(lambda seed: learner(self.settings, {}, seed).action_space.sample())

    def test_exploration_and_replay(self):
        def draws(seed):
            learner(self.settings, {}, seed)
            return np.random.rand(3)  # noqa: NPY002 (where the library draws from)

        self.differ(draws)

    def test_torch(self):
        import torch

        def draws(seed):
            learner(self.settings, {}, seed)
            return torch.rand(3).numpy()

        self.differ(draws)

    def test_starts_of_evaluation(self):
        model = learner(self.settings, {}, 0)
        self.differ(lambda seed: evaluate(model, self.settings, seed))

    def test_evaluation_starts_elsewhere_than_training_and_than_a_neighbours(self):
        every = [part for seed in range(200) for part in split_seed(seed)]
        assert len(set(every)) == 400


@pytest.mark.slow
def test_evaluation_on_the_way_changes_nothing_of_the_run():
    plain = train({**PPO, "steps": 512}, seed=1, trial=hpo.Trial(seed=1))
    watched = hpo.Trial(seed=1)
    assert settled(train({**PPO, "steps": 512, "reports": 3}, seed=1, trial=watched)) == settled(plain)
    assert [step for step, _ in watched.reports] == [128, 256, 384]
    assert all("return" in metrics for _, metrics in watched.reports)


@pytest.mark.parametrize("n_steps", [64, 100, 300])
def test_every_configuration_trains_for_the_same_steps(n_steps):
    found = train({**PPO, "n_steps": n_steps, "batch_size": 32, "n_epochs": 1}, seed=0)
    assert found["steps"] == 256
    assert found["updates"] == (256 // n_steps) * math.ceil(n_steps / 32)


def test_half_the_fidelity_is_half_the_steps():
    assert train(PPO, seed=0, trial=hpo.Trial(fidelity=0.5))["steps"] == 128


@pytest.mark.slow
def test_parallel_environments_keep_the_rollout():
    one, four = (train({**PPO, "parallel": copies}, seed=0) for copies in (1, 4))
    assert one["updates"] == four["updates"]
    assert one["steps"] == four["steps"]


def test_weights_that_are_not_finite_are_divergence_and_never_a_return():
    # A network of NaN still plays: the largest of NaN is action 0.
    with pytest.raises(hpo.Diverged, match="not finite"):
        train({**DQN, "learning_rate": 1e30}, seed=0)


def test_a_distribution_of_nan_is_divergence_too():
    with pytest.raises(hpo.Diverged):
        train({**PPO, "learning_rate": 1e30, "max_grad_norm": 1e30}, seed=0)


def test_a_diverged_run_has_no_value_in_a_study_and_is_not_chosen():
    """Regression: a NaN stored as the smallest positive number, the best of all where returns are negative."""
    study = hpo.run(
        {
            "name": "diverges",
            "objective": train,
            "metric": "return",
            "direction": "maximize",
            "space": {"learning_rate": {"type": "categorical", "choices": [1e30]}},
            "fixed": DQN,
            "seeds": {"tuning": [0], "testing": []},
            "budget": {"trials": 1},
            "engine": "inline",
            "sampler": {"name": "random"},
        },
        storage="memory://",
        progress=False,
    )
    (run,) = study.records()
    assert (run.status, run.value) == ("diverged", None)
    with pytest.raises(ForetuneError, match="no configuration"):
        _ = study.incumbent


def test_the_time_limit_ends_a_run_with_a_reason():
    with pytest.raises(TimeoutError, match="time limit of 0 CPU seconds spent at step"):
        train({**PPO, "time_limit": 0.0}, seed=0)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"environment": "Pong"}, "environment"),
        ({"environment": "Pendulum-v1", "algorithm": "dqn"}, "algorithm"),
        ({"algorithm": "a2c"}, "algorithm"),
        ({"learning_rte": 1e-3}, "learning_rte"),
        ({"steps": 0}, "steps"),
        ({"algorithm": "dqn", "parallel": 2}, "parallel"),
    ],
)
def test_what_cannot_be_is_named(change, key):
    with pytest.raises(InputError) as caught:
        train({**PPO, **change}, seed=0)
    assert caught.value.key == key


@pytest.mark.parametrize("algorithm", list(SPACES))
def test_spaces_are_those_that_a_study_file_takes(algorithm):
    space = Space.model_validate(SPACES[algorithm]) if hasattr(Space, "model_validate") else None
    assert {"ppo": 11, "sac": 7, "dqn": 9}[algorithm] == len(SPACES[algorithm])
    assert space is None or set(space.root) == set(SPACES[algorithm])


def test_the_small_form_is_part_of_the_full_one():
    assert SMALL_SPACES["ppo"].items() <= SPACES["ppo"].items()
    assert set(SMALL_SPACES["ppo"]) == {"learning_rate", "ent_coef", "n_epochs"}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", list(SPACES))
@pytest.mark.parametrize("end", ["low", "high"])
def test_both_ends_of_every_space_can_be_trained(algorithm, end):
    config = {
        name: spec[end] if end in spec else spec["choices"][-(end == "high")]
        for name, spec in SPACES[algorithm].items()
    }
    config |= {"steps": 64, "evaluation_episodes": 1, "algorithm": algorithm}
    config["environment"] = next(
        name for name, known in ENVIRONMENTS.items() if algorithm in known["algorithms"]
    )
    try:
        found = train(config, seed=0)
    except hpo.Diverged:
        return
    assert math.isfinite(found["return"])


def test_the_callers_config_is_left_alone():
    config = {**SAC, "policy_kwargs": {"net_arch": [16]}}
    train(config, seed=0)
    assert config["policy_kwargs"] == {"net_arch": [16]}


@pytest.mark.slow
@pytest.mark.parametrize("config", [PPO, SAC], ids=["ppo", "sac"])
def test_a_population_scheduler_goes_on_from_another_runs_weights(config):
    config = {**config, "reports": 1, "checkpoints": True}
    first = hpo.Trial()
    whole = train(config, seed=0, trial=first)
    second = hpo.Trial()
    second._saved = first._saved
    went_on = train({**config, "learning_rate": 1e-4}, seed=0, trial=second)
    assert went_on["steps"] == whole["steps"] == config["steps"]
    assert went_on["updates"] == whole["updates"]  # no rollout that was under way is lost
    assert len(second.reports) == 0  # the only report was before the checkpoint was taken up


CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("rl_*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_study_files_hold_the_papers_spaces_and_are_valid(path):
    config = load_config(path)
    told = yaml.safe_load(path.read_text())
    algorithm = told["fixed"]["algorithm"]
    assert told["space"] in (SPACES[algorithm], SMALL_SPACES.get(algorithm))
    assert algorithm in ENVIRONMENTS[told["fixed"]["environment"]]["algorithms"]
    assert len(config.seeds.tuning) == 5
    assert len(config.seeds.testing) == 10
    assert config.sampler.name in samplers.NAMES
