"""Does what wins on tuning seeds win on testing seeds? Tuners against each other and the library's defaults, on real
RL.

The protocol of Eimer, Lindauer, Raileanu, "Hyperparameters in Reinforcement Learning and How To Tune Them" (ICML
2023) at a budget that two cores can pay: PPO of stable-baselines3, their small space (learning rate, entropy,
epochs), 5 tuning seeds, 10 testing seeds, 3 repeats of each tuner on other tuning seeds. Every tuner gets the same
FLOPs, PB2 as many runs. All runs go through ``hpo.run`` and are kept in ``benchmarks/cache/``; interrupted and started
again, it goes on.

    python -m benchmarks.rl_seeds            # about forty minutes of one core
    python -m benchmarks.rl_seeds --quick    # one task, two tuners, one repeat
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import hpo
from benchmarks.rl_seeds_table import collect, markdown, write
from studies.reinforcement_learning import SMALL_SPACES, Settings, learner

HERE = Path(__file__).parent
STORAGE = HERE / "cache" / "rl_seeds.db"
TESTING = list(range(1000, 1010))
TUNERS: dict[str, dict[str, Any]] = {
    "random": {"sampler": {"name": "random"}},
    "bayesian": {"sampler": {"name": "bayesian"}},
    "dehb": {"sampler": {"name": "dehb", "mutation": 0.2, "eta": 1.9}},
    "pb2": {"sampler": {"name": "random"}},
}
TASKS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 2048, "n_steps": 256, "batch_size": 128, "configurations": 8, "population": 6},
    "Acrobot-v1": {"steps": 6144, "n_steps": 512, "batch_size": 256, "configurations": 5, "population": 3},
}
#: Of a population's schedules, so many are trained on all tuning seeds: with these its runs are as many as the others'.
FINALISTS = 2
#: The library's own values of what is tuned.
DEFAULTS = {"learning_rate": 3e-4, "ent_coef": 0.0, "n_epochs": 10}


def fixed(task: str) -> dict[str, Any]:
    """What is the same for all: the run's length, and sizes that make it affordable."""
    return {
        "algorithm": "ppo",
        "environment": task,
        "steps": TASKS[task]["steps"],
        "n_steps": TASKS[task]["n_steps"],
        "batch_size": TASKS[task]["batch_size"],
        "parallel": 8,
    }


def budget(task: str) -> float:
    """FLOPs of that many configurations on five seeds with the space's middle number of epochs."""
    settings = Settings("ppo", task, TASKS[task]["steps"], parallel=8)
    weights = sum(int(weight.numel()) for weight in learner(settings, {}, 0).policy.parameters())
    return weights * settings.steps * (2 + 6 * 12.5) * 5 * float(TASKS[task]["configurations"])


def study(task: str, tuner: str, repeat: int) -> dict[str, Any]:
    """The study file of one repeat of a tuner."""
    told = {
        "name": f"{task} {tuner} {repeat}",
        "objective": "studies.reinforcement_learning:train",
        "metric": "return",
        "direction": "maximize",
        "space": SMALL_SPACES["ppo"],
        "fixed": {**fixed(task), "reports": 0},
        "seeds": {"tuning": list(range(5 * repeat, 5 * repeat + 5)), "testing": TESTING},
        "sampler": {**TUNERS[tuner]["sampler"], "seed": repeat},
        "scheduler": {"name": "none"},
        "budget": {"flops": budget(task)},
        "engine": "inline",
    }
    return {
        **told,
        **({"dehb": _stopping, "pb2": _population}[tuner](task, repeat) if tuner in ("dehb", "pb2") else {}),
    }


def _stopping(task: str, repeat: int) -> dict[str, Any]:
    """As many brackets as rungs, as Hyperband has: some configurations are judged late, some never."""
    steps = TASKS[task]["steps"]
    asha = {"name": "asha", "max_t": steps, "grace_period": round(steps / 1.9**2), "reduction_factor": 1.9}
    # Evolution begins once its population is full, with the smallest there is where few configurations are affordable.
    population = 6 if TASKS[task]["configurations"] > 6 else 4
    return {
        "fixed": {**fixed(task), "reports": 2},
        "sampler": {**TUNERS["dehb"]["sampler"], "population": population, "seed": repeat},
        "scheduler": {**asha, "brackets": 3, "seed": repeat},
    }


def _population(task: str, repeat: int) -> dict[str, Any]:
    """Members of all tuning seeds, which may change three times; the others' FLOPs are about those of as many runs."""
    about = TASKS[task]
    pb2 = {"name": "pb2", "perturbation_interval": about["steps"] // 4, "synch": True, "finalists": FINALISTS}
    return {
        "fixed": {**fixed(task), "reports": 3, "checkpoints": True},
        "scheduler": {**pb2, "seed": repeat},
        "budget": {"trials": about["population"]},
        "engine": "ray",
    }


def work(tasks: list[str], tuners: list[str], repeats: int, storage: Path) -> None:
    """All runs that are not in the cache yet; repeats outermost, so that what is there is balanced."""
    storage.parent.mkdir(exist_ok=True)
    for task in tasks:
        _defaults(task, storage)
    for repeat in range(repeats):
        for task in tasks:
            for tuner in tuners:
                hpo.run(study(task, tuner, repeat), storage=storage, progress=False)
                print(f"{task}: {tuner}, repeat {repeat + 1} of {repeats} done", flush=True)


def _defaults(task: str, storage: Path) -> None:
    hpo.evaluate(
        "studies.reinforcement_learning:train",
        [{**fixed(task), **DEFAULTS}],
        TESTING,
        name=f"{task} defaults",
        metric="return",
        direction="maximize",
        storage=storage,
        engine="inline",
        progress=False,
    )


def main() -> None:
    """Run what is missing, then write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--tuners", nargs="*", default=list(TUNERS))
    parser.add_argument("--table-only", action="store_true", help="of what is in the cache")
    parser.add_argument("--storage", type=Path, default=STORAGE)
    given = parser.parse_args()
    tasks = given.tasks[:1] if given.quick else given.tasks
    tuners = ["random", "bayesian"] if given.quick else given.tuners
    repeats = 1 if given.quick else 3
    if not given.table_only:
        work(tasks, tuners, repeats, given.storage)
    found = collect(given.storage, tasks, ["random", "bayesian"] if given.quick else list(TUNERS), repeats)
    write(found, "rl_seeds_quick" if given.quick else "rl_seeds")
    print(markdown(found))


if __name__ == "__main__":
    main()
