"""Reinforcement learning on classic control: PPO, DQN and SAC of stable-baselines3, as a study's objective.

One training run is :func:`train`: an algorithm learns an environment for a fixed number of environment steps,
then its deterministic policy plays evaluation episodes in an environment of its own. The hyperparameter
spaces are those of Eimer, Lindauer, Raileanu, "Hyperparameters in Reinforcement Learning and How To Tune
Them" (ICML 2023, arXiv 2306.01324).

A seed reaches everything that draws: network initialisation and minibatches (torch), replay and exploration
(numpy), the environment's starts, the action space's samples, and the evaluation's starts. The same seed
gives the same return to the last digit on a CPU.

>>> from studies.reinforcement_learning import train
>>> train({"algorithm": "ppo", "environment": "CartPole-v1", "steps": 20000}, seed=0)  # doctest: +SKIP
{'return': 421.3, 'return_std': 60.2, 'steps': 20000, 'updates': 90, ...}
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import hpo
from scaling.errors import InputError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

__all__ = ["ENVIRONMENTS", "SMALL_SPACES", "SPACES", "Settings", "evaluate", "learner", "split_seed", "train"]

#: The algorithms that can act in each environment, and the return an expert reaches there (gymnasium's own
#: threshold where it states one; for Pendulum what tuned SAC reaches), which is the target of the optimality
#: gap.
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"algorithms": ("ppo", "dqn"), "low": 0.0, "high": 500.0, "target": 475.0},
    "Acrobot-v1": {"algorithms": ("ppo", "dqn"), "low": -500.0, "high": 0.0, "target": -100.0},
    "Pendulum-v1": {"algorithms": ("ppo", "sac"), "low": -2000.0, "high": 0.0, "target": -150.0},
    "MountainCar-v0": {"algorithms": ("ppo", "dqn"), "low": -200.0, "high": 0.0, "target": -110.0},
    "MountainCarContinuous-v0": {"algorithms": ("ppo", "sac"), "low": -100.0, "high": 100.0, "target": 90.0},
}

_LEARNING_RATE = {"type": "float", "low": 1e-6, "high": 1e-2, "log": True}

#: The paper's spaces as a study file's ``space:`` takes them. Names are those of stable-baselines3.
SPACES: dict[str, dict[str, dict[str, Any]]] = {
    "ppo": {
        "learning_rate": _LEARNING_RATE,
        "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
        "n_steps": {"type": "categorical", "choices": [256, 512, 1024, 2048, 4096]},
        "n_epochs": {"type": "int", "low": 5, "high": 20},
        "gae_lambda": {"type": "float", "low": 0.8, "high": 0.9999},
        "clip_range": {"type": "float", "low": 0.0, "high": 0.5},
        "clip_range_vf": {"type": "float", "low": 0.0, "high": 0.5},
        "normalize_advantage": {"type": "categorical", "choices": [True, False]},
        "ent_coef": {"type": "float", "low": 0.0, "high": 0.5},
        "vf_coef": {"type": "float", "low": 0.0, "high": 1.0},
        "max_grad_norm": {"type": "float", "low": 0.0, "high": 1.0},
    },
    "sac": {
        "learning_rate": _LEARNING_RATE,
        "batch_size": {"type": "categorical", "choices": [64, 128, 256, 512]},
        "gradient_steps": {"type": "int", "low": 1, "high": 10},
        "learning_starts": {"type": "int", "low": 10, "high": 10_000, "log": True},
        "buffer_size": {"type": "int", "low": 5_000, "high": 50_000_000, "log": True},
        "tau": {"type": "float", "low": 0.01, "high": 1.0},
        "train_freq": {"type": "int", "low": 1, "high": 1_000, "log": True},
    },
    "dqn": {
        "learning_rate": _LEARNING_RATE,
        "batch_size": {"type": "categorical", "choices": [4, 8, 16, 32]},
        "gradient_steps": {"type": "int", "low": 1, "high": 10},
        "train_freq": {"type": "int", "low": 1, "high": 1_000, "log": True},
        "learning_starts": {"type": "int", "low": 0, "high": 10_000},
        "buffer_size": {"type": "int", "low": 5_000, "high": 50_000_000, "log": True},
        "exploration_fraction": {"type": "float", "low": 0.005, "high": 0.5},
        "exploration_initial_eps": {"type": "float", "low": 0.5, "high": 1.0},
        "exploration_final_eps": {"type": "float", "low": 0.001, "high": 0.2},
    },
}

#: The paper's small form, for PPO: learning rate, entropy coefficient, epochs.
SMALL_SPACES = {"ppo": {name: SPACES["ppo"][name] for name in ("learning_rate", "ent_coef", "n_epochs")}}


@dataclass(frozen=True)
class Settings:
    """What a run is given besides hyperparameters.

    Attributes:
        algorithm: ``ppo``, ``dqn`` or ``sac``.
        environment: A key of :data:`ENVIRONMENTS`.
        steps: Environment steps of training, the same for each configuration: PPO's last, unfinished rollout
            is not trained on rather than paid for by a longer run.
        evaluation_episodes: Episodes that the final policy plays.
        parallel: Copies of the environment that PPO steps side by side, for speed; ``n_steps`` stays the rollout of
            all of them together.
        reports: Intermediate evaluations, evenly spaced (each at the end of the rollout and update under way), for
            early stopping; 0 for none.
        checkpoints: Whether to save weights (and replay) before each report, as population schedulers need to go on
            from another run's. A run that goes on starts new episodes, so its return is no longer that of its seed
            alone.
        time_limit: CPU seconds after which the run fails; CPU time, so that a busy machine changes no result.
    """

    algorithm: str
    environment: str
    steps: int
    evaluation_episodes: int = 10
    parallel: int = 1
    reports: int = 0
    checkpoints: bool = False
    time_limit: float = math.inf


def train(config: Mapping[str, Any], *, seed: int, trial: hpo.Trial | None = None) -> dict[str, float | int]:
    """Train one agent and evaluate it.

    Args:
        config: The fields of :class:`Settings`, and hyperparameters by stable-baselines3's names; those not
            named keep the library's defaults.
        seed: Reaches algorithm, environment, action space and evaluation.
        trial: Receives ``return`` at ``reports`` points of training; its ``fidelity`` shortens ``steps``.

    Returns:
        ``return`` (mean over evaluation episodes, undiscounted), ``return_std`` (over these episodes),
        ``steps``, ``updates`` (gradient steps taken), ``train_seconds``.

    Raises:
        InputError: The environment, the algorithm or a hyperparameter is unknown.
        hpo.Diverged: A weight or the return is no longer finite. Never a number: a network of NaN still
        plays.
        TimeoutError: ``time_limit`` is spent.
    """
    settings, hyperparameters = _parse(config)
    if trial is not None and trial.fidelity < 1:
        settings = replace(settings, steps=max(1, round(settings.steps * trial.fidelity)))
    steps = settings.steps
    with _one_thread():
        started = time.perf_counter()
        model = learner(settings, hyperparameters, seed)
        done = _restore(model, trial) if settings.checkpoints else 0
        if done:  # other draws than those that the run began with
            model.set_random_seed(split_seed(seed, done)[0])
        try:
            model.learn(
                steps - done,
                callback=_supervisor(settings, seed, trial),
                log_interval=None,
                reset_num_timesteps=done == 0,
            )
        except ValueError as error:  # torch refuses to sample from a distribution of NaN
            _require_finite(model, cause=error)
            raise
        train_seconds = time.perf_counter() - started
        returns = evaluate(model, settings, seed)
        updates = _updates(model)
        model.env.close()
    mean = sum(returns) / len(returns)
    spread = math.sqrt(sum((value - mean) ** 2 for value in returns) / len(returns))
    return {
        "return": mean,
        "return_std": spread,
        "steps": min(int(model.num_timesteps), steps),
        "updates": updates,
        "train_seconds": train_seconds,
        "flops": _flops(model),
    }


def split_seed(seed: int, *further: int) -> tuple[int, int]:
    """``seed`` made into two that share no stream with each other or with a neighbour's: learner,
    evaluation. ``further`` numbers make others of it.
    """
    import numpy as np

    learner_seed, evaluation_seed = np.random.SeedSequence([seed, *further]).generate_state(2)
    return int(learner_seed), int(evaluation_seed)


def learner(settings: Settings, hyperparameters: Mapping[str, Any], seed: int) -> BaseAlgorithm:
    """An untrained agent in its environment, everything seeded."""
    import gymnasium
    import stable_baselines3
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv

    algorithm = getattr(stable_baselines3, settings.algorithm.upper())
    environment = DummyVecEnv([lambda: Monitor(gymnasium.make(settings.environment))] * settings.parallel)
    options = deepcopy(dict(hyperparameters))  # the library writes into `policy_kwargs`
    if "buffer_size" in SPACES[settings.algorithm]:
        # A buffer that can hold the whole run never forgets; the rest of 5e7 places would only be memory.
        options["buffer_size"] = max(1, min(options.get("buffer_size", 1_000_000), settings.steps))
    if options.get("clip_range_vf") is not None:
        # The space reaches to 0, which the library asserts against; this is 0 to single precision.
        options["clip_range_vf"] = max(options["clip_range_vf"], 1e-8)
    if settings.parallel > 1:
        options["n_steps"] = max(1, options.get("n_steps", 2048) // settings.parallel)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*truncated mini-batch.*")
        # `seed` goes on to python, numpy, torch, the action space and the training environment.
        agent: BaseAlgorithm = algorithm(
            "MlpPolicy",
            environment,
            seed=split_seed(seed)[0],
            device="cpu",
            verbose=0,
            **options,
        )
    # The library's default makes a folder for every run, even where nothing is written into it.
    agent.set_logger(Logger(folder=None, output_formats=[]))
    return agent


def evaluate(model: BaseAlgorithm, settings: Settings, seed: int) -> list[float]:
    """Undiscounted return of each evaluation episode; the same starts whenever the seed is the same.

    Raises:
        hpo.Diverged: The network or a return is not finite.
    """
    import gymnasium
    import numpy as np

    _require_finite(model)
    seeds = np.random.SeedSequence(split_seed(seed)[1]).generate_state(settings.evaluation_episodes)
    environments = [gymnasium.make(settings.environment) for _ in seeds]
    observations = [env.reset(seed=int(start))[0] for env, start in zip(environments, seeds, strict=True)]
    returns, playing = [0.0] * len(environments), list(range(len(environments)))
    while playing:  # all episodes side by side: one forward pass a step
        actions, _ = model.predict(np.stack([observations[i] for i in playing]), deterministic=True)
        for i, action in zip(tuple(playing), actions, strict=True):
            observations[i], reward, terminated, truncated, _ = environments[i].step(action)
            returns[i] += float(reward)
            if terminated or truncated:
                playing.remove(i)
                environments[i].close()
    for episode, total in enumerate(returns):
        if not math.isfinite(total):
            raise hpo.Diverged(f"the return of evaluation episode {episode} is {total}")
    return returns


def _parse(config: Mapping[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Settings and hyperparameters, or an error that names the key."""
    source = "studies.reinforcement_learning:train"
    names = [field.name for field in fields(Settings)]
    for key in names[:3]:
        if key not in config:
            raise InputError(
                "the configuration lacks it", source=source, key=key, remedy="put it under `fixed:`"
            )
    settings = Settings(**{key: config[key] for key in names if key in config})
    if settings.environment not in ENVIRONMENTS:
        raise InputError(
            f"unknown environment {settings.environment!r}", source=source, key="environment",
            remedy=f"one of {', '.join(ENVIRONMENTS)}",
        )  # fmt: skip
    able = ENVIRONMENTS[settings.environment]["algorithms"]
    if settings.algorithm not in able:
        raise InputError(
            f"{settings.algorithm!r} cannot act in {settings.environment}", source=source, key="algorithm",
            remedy=f"one of {', '.join(able)}",
        )  # fmt: skip
    if settings.parallel > 1 and settings.algorithm != "ppo":
        raise InputError(
            "only PPO steps several environments at once", source=source, key="parallel", remedy="1"
        )
    for key in ("steps", "evaluation_episodes", "parallel"):
        if getattr(settings, key) < 1:
            raise InputError(f"{getattr(settings, key)} is below 1", source=source, key=key)
    hyperparameters = {key: value for key, value in config.items() if key not in names}
    known = SPACES[settings.algorithm].keys() | {
        "gamma",
        "policy_kwargs",
        "target_update_interval",
        "ent_coef",
    }
    for key in hyperparameters.keys() - known:
        raise InputError(
            f"{settings.algorithm} has no such hyperparameter", source=source, key=key,
            remedy=f"one of {', '.join(sorted(known))}",
        )  # fmt: skip
    return settings, hyperparameters


def _supervisor(settings: Settings, seed: int, trial: hpo.Trial | None) -> Any:
    """The callback that ends training at its last step or its time limit, and reports on the way."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Supervisor(BaseCallback):  # type: ignore[misc, unused-ignore]
        deadline = time.process_time() + settings.time_limit
        reported = 0

        def _on_training_start(self) -> None:
            self.reported = self.num_timesteps * (settings.reports + 1) // settings.steps

        def _on_rollout_start(self) -> None:
            # Between an update and the next rollout: amid one, a run that goes on from here would lose its beginning.
            due = self.num_timesteps * (settings.reports + 1) // settings.steps
            if trial is not None and self.reported < min(due, settings.reports):
                self.reported = due
                if settings.checkpoints:
                    trial.save(_state(self.model))
                returns = evaluate(self.model, settings, seed)
                mean = sum(returns) / len(returns)
                trial.report(self.num_timesteps, **{"return": mean, "flops": _flops(self.model)})

        def _on_step(self) -> bool:
            if time.process_time() > self.deadline:
                spent = f"time limit of {settings.time_limit:g} CPU seconds spent"
                raise TimeoutError(f"{spent} at step {self.num_timesteps} of {settings.steps}")
            # Beyond the end, not at it: a rollout that ends exactly there is still trained on.
            return bool(self.num_timesteps <= settings.steps)

    return Supervisor()


def _state(model: BaseAlgorithm) -> dict[str, Any]:
    """What another run needs to go on from here."""
    replay = getattr(model, "replay_buffer", None)
    return {
        "steps": model.num_timesteps,
        "weights": model.get_parameters(),
        "replay": replay,
        "n": model._n_updates,
    }


def _restore(model: BaseAlgorithm, trial: hpo.Trial | None) -> int:
    """Go on from a checkpoint with this run's own hyperparameters; steps that are done."""
    state = trial.restore() if trial is not None else None
    if state is None:
        return 0
    model.set_parameters(state["weights"])
    model.num_timesteps, model._n_updates = state["steps"], state["n"]
    if state["replay"] is not None:
        model.replay_buffer = state["replay"]
    return int(state["steps"])


def _updates(model: BaseAlgorithm) -> int:
    """Gradient steps taken (the library counts PPO's epochs, and DQN's and SAC's steps)."""
    updates = int(model._n_updates)
    if hasattr(model, "n_epochs"):
        updates *= math.ceil(model.n_steps * model.n_envs / model.batch_size)
    return updates


def _flops(model: BaseAlgorithm) -> float:
    """Training so far: 2 a weight for each step's forward pass, 6 for each sample of a gradient step.

    As Kaplan et al. (2020) count; target networks, optimiser and environment are left out.
    """
    weights = sum(weight.numel() for weight in model.policy.parameters() if weight.requires_grad)
    gradient_samples = int(model.batch_size) * _updates(model)
    return float(2 * weights * int(model.num_timesteps) + 6 * weights * gradient_samples)


def _require_finite(model: BaseAlgorithm, cause: Exception | None = None) -> None:
    import torch

    for name, weight in model.policy.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise hpo.Diverged(
                f"weights of {name} are not finite after {model.num_timesteps} steps"
            ) from cause


@contextmanager
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads, and sum in an order of their own on each number of
    them.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
