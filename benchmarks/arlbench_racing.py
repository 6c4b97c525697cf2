"""Racing with our sampler against fixed seeds and a plain race, on ARLBench's landscapes of reward.

256 configurations x 10 seeds a task, at full length. Each repeat draws 5 tuning seeds and spends 60 trainings; regret
is that of the chosen configuration's mean on the other 5 seeds against the best of the 256, as a share of the range of
configuration means. A run that diverged is a failure: a configuration that diverges on a testing seed scores as the
worst of the task.

    python -m benchmarks.arlbench_racing            # 200 repeats; goes on where it was stopped
    python -m benchmarks.arlbench_racing --quick    # 4 repeats
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd

from hpo.allocation import Done, Propose
from hpo.allocation.racing import Racing
from hpo.incumbent import Estimate, Incumbent, choose
from hpo.ledger import Atom, Ledger, RunRecord, run_key
from hpo.samplers import BayesianSampler
from scaling.datasets import data_path

Array = npt.NDArray[np.float64]

HERE = Path(__file__).parent
BUDGET, TUNING = 60, 5
TASKS = [
    *("atari_phoenix_dqn", "atari_qbert_dqn", "box2d_bipedal_walker_sac", "box2d_lunar_lander_dqn"),
    *("brax_halfcheetah_sac", "brax_hopper_sac", "cc_acrobot_dqn", "cc_cartpole_ppo", "cc_mountain_car_dqn"),
    *("cc_pendulum_sac", "minigrid_door_key_ppo", "minigrid_empty_random_ppo"),
]
# Searched on a logarithmic scale in ARLBench's own spaces; batch sizes are powers of two.
LOGARITHMIC = {"learning_rate", "buffer_epsilon", "reward_scale"}
# Every so many repeats our race is also run with random proposals, to tell its part from the sampler's.
RANDOM = 10


class Task:
    """One landscape.

    Attributes:
        table: ``256 x 10``; performance by configuration and seed, NaN where the run diverged.
        configurations: The 256, each with the parameters that are active.
        space: Distribution of each parameter.
    """

    def __init__(self, name: str) -> None:
        runs = pd.read_csv(data_path(f"arlbench/{name}.csv.gz"))
        runs = runs[runs["budget"] == runs["budget"].max()]
        table = runs.pivot_table(index="run_id", columns="seed", values="performance", dropna=False)
        first = runs.drop_duplicates("run_id").set_index("run_id").loc[table.index]
        columns = [column for column in first if column.startswith("hp_config.")]
        self.table: Array = table.to_numpy(dtype=float)
        self.configurations = [
            {column.removeprefix("hp_config."): value for column, value in row.items() if not _missing(value)}
            for row in first[columns].astype(object).to_dict("records")
        ]
        names = sorted({name for configuration in self.configurations for name in configuration})
        self.space = {name: _distribution(name, self.configurations) for name in names}
        means = np.nanmean(self.table, axis=1)
        self.worst = float(np.nanmin(means))
        self.range = float(np.nanmax(means)) - self.worst

    def tested(self, seeds: Array) -> Array:
        """``256``; mean on testing seeds, the worst of the task where one diverged."""
        means = self.table[:, seeds].mean(axis=1)
        return np.where(np.isnan(means), self.worst, means)


def _missing(value: Any) -> bool:
    return isinstance(value, float) and np.isnan(value)


def _distribution(name: str, configurations: list[dict[str, Any]]) -> optuna.distributions.BaseDistribution:
    values = [configuration[name] for configuration in configurations if name in configuration]
    if isinstance(values[0], bool | np.bool_ | str):
        return optuna.distributions.CategoricalDistribution(sorted(set(values)))
    low, high = min(values), max(values)
    log = name in LOGARITHMIC or name.endswith("batch_size")
    if isinstance(low, int | np.integer):
        return optuna.distributions.IntDistribution(int(low), int(high), log=log)
    return optuna.distributions.FloatDistribution(float(low), float(high), log=log)


def fixed_seeds(configurations: int, seeds: int) -> Callable[[Array, Array], int]:
    """Random configurations, each on that many seeds; the best mean is chosen."""

    def policy(values: Array, order: Array) -> int:
        chosen = order[:configurations]
        return int(chosen[np.argmax(_mean(values[chosen, :seeds]))])

    return policy


def plain_race(values: Array, order: Array) -> int:
    """36 random configurations on one seed, the best 8 on two, 5 on four, 3 on five."""
    left = order[:36]
    for keep, seeds in ((8, 1), (5, 2), (3, 4), (1, 5)):
        left = left[np.argsort(-_mean(values[left, :seeds]), kind="stable")[:keep]]
    return int(left[0])


def _mean(values: Array) -> Array:
    means = values.mean(axis=1)
    return np.where(np.isnan(means), -np.inf, means)


def race(task: Task, values: Array, seed: int, proposals: str) -> tuple[Incumbent, list[int], list[int]]:
    """One study of ours: the product's race, sampler and incumbent on a table.

    Args:
        task: The landscape.
        values: ``256 x 5``; performance on the tuning seeds.
        seed: Of the sampler, and of the order of random proposals.
        proposals: ``bayesian``, or ``random``.

    Returns:
        The incumbent, rows of the configurations tried, runs of each.
    """
    rows = {_key(configuration): row for row, configuration in enumerate(task.configurations)}
    order = np.random.default_rng([seed, 1]).permutation(len(rows))
    candidates = [task.configurations[row] for row in order]
    sampler: optuna.samplers.BaseSampler = (
        BayesianSampler(seed=seed, space=task.space, candidates=candidates, startup=12)
        if proposals == "bayesian"
        else InOrder(task.space, candidates)
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    allocation = Racing(range(TUNING), BUDGET, "maximize", space=task.space)
    ledger = Ledger()
    trials: dict[int, optuna.Trial] = {}
    tried: list[int] = []
    while not isinstance(move := allocation.next(ledger), Done):
        if isinstance(move, Propose):
            trial = study.ask()
            params = {name: _suggest(trial, name, task.space[name]) for name in trial.relative_params}
            number = trial.number
            trials[number] = trial
            ledger.propose(number, params)
            tried.append(rows[_key(params)])
        else:
            number = move.configuration
        value = float(values[tried[number], move.seed])
        record = RunRecord(Atom(number, move.seed), "complete", value, started=float(len(ledger)))
        if np.isnan(value):
            record = RunRecord(Atom(number, move.seed), "diverged", started=float(len(ledger)))
        ledger.add(record)
        trials[number].set_user_attr(run_key(move.seed), record.to_dict())
    incumbent = choose(ledger, "maximize", space=task.space)
    return incumbent, tried, [len(ledger.of(number)) for number in range(len(tried))]


class InOrder(optuna.samplers.RandomSampler):
    """Proposes given configurations one after the other."""

    def __init__(self, space: dict[str, Any], candidates: list[dict[str, Any]]) -> None:
        super().__init__(seed=0)
        self._space, self._candidates = space, candidates

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """That of the configuration of this number."""
        return {name: self._space[name] for name in self._candidates[trial.number]}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """The configuration of this number."""
        return self._candidates[trial.number]


def _suggest(trial: optuna.Trial, name: str, distribution: optuna.distributions.BaseDistribution) -> Any:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    low, high, log = distribution.low, distribution.high, distribution.log
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return trial.suggest_int(name, low, high, log=log)
    return trial.suggest_float(name, low, high, log=log)


def _key(configuration: dict[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(configuration.items())


def repeat(task: Task, number: int) -> dict[str, Any]:
    """All methods once, on the same tuning and testing seeds."""
    rng = np.random.default_rng([20, number])
    seeds = rng.permutation(task.table.shape[1])
    values, tested = task.table[:, seeds[:TUNING]], task.tested(seeds[TUNING:])
    order = rng.permutation(len(tested))
    best = tested.max()

    def regret(row: int) -> float:
        return float(best - tested[row]) / task.range

    started = time.process_time()
    incumbent, tried, runs = race(task, values, number, "bayesian")
    seconds = time.process_time() - started
    chosen = tried[incumbent.configuration]
    held_out = task.table[chosen, seeds[TUNING:]]
    full = np.array([_mean(values[[row]])[0] for row in tried])
    result = {
        "foretune": regret(chosen),
        "plain race": regret(plain_race(values, order)),
        "random 60 x 1": regret(fixed_seeds(60, 1)(values, order)),
        "random 20 x 3": regret(fixed_seeds(20, 3)(values, order)),
        "random 12 x 5": regret(fixed_seeds(12, 5)(values, order)),
        "known: best of 60 random": regret(int(order[:60][np.argmax(tested[order[:60]])])),
        "known: best of those tried": regret(tried[int(np.argmax(tested[tried]))]),
        "known: those tried on all tuning seeds": regret(tried[int(np.argmax(full))]),
        "configurations": len(tried),
        "chosen runs": runs[incumbent.configuration],
        **_held(incumbent.estimate, held_out),
        "diverged when tuned": bool(np.isnan(values[chosen]).any()),
        "diverged when tested": bool(np.isnan(held_out).any()),
        "seconds": round(seconds, 3),
    }
    if number % RANDOM == RANDOM - 1:
        at_random, race_tried, _ = race(task, values, number, "random")
        result[METHODS[-2]] = regret(race_tried[at_random.configuration])
        result[KNOWN[1]] = regret(race_tried[int(np.argmax(tested[race_tried]))])
    return result


def _held(estimate: Estimate, held_out: Array) -> dict[str, bool]:
    """Where the mean on the testing seeds lies; that it is the mean of few is allowed for with two standard errors."""
    mean, error = float(held_out.mean()), float(held_out.std(ddof=1)) / math.sqrt(len(held_out))
    half = (estimate.high - estimate.low) / 2
    return {
        HELD[0]: estimate.low <= mean <= estimate.high,
        HELD[1]: mean < estimate.low,
        HELD[2]: abs(mean - estimate.value) <= math.hypot(half, 2 * error),
    }


def collect(repeats: int, cache: Path) -> pd.DataFrame:
    """Results by task and repeat; those in the cache are not run again."""
    known: dict[tuple[str, int], dict[str, Any]] = {}
    if cache.exists():
        for line in cache.read_text().splitlines():
            entry = json.loads(line)
            known[entry["task"], entry["repeat"]] = entry
    cache.parent.mkdir(parents=True, exist_ok=True)
    tasks = {name: Task(name) for name in TASKS}
    with cache.open("a") as file:
        for number in range(repeats):
            for name, task in tasks.items():
                if (name, number) not in known:
                    known[name, number] = {"task": name, "repeat": number, **repeat(task, number)}
                    file.write(json.dumps(known[name, number]) + "\n")
                    file.flush()
    return pd.DataFrame([entry for (_, number), entry in known.items() if number < repeats])


METHODS = [
    "random 60 x 1",
    "random 20 x 3",
    "random 12 x 5",
    "plain race",
    "our race, random proposals (every tenth)",
    "foretune",
]
# Of the incumbent's 95 % interval; a testing mean that does not exist, of a configuration that diverged, is a miss.
HELD = ["holds the testing mean", "promises more", "holds it, its own error allowed for"]
KNOWN = [
    "known: best of 60 random",
    "known: best of those tried at random (every tenth)",
    "known: best of those tried",
    "known: those tried on all tuning seeds",
]


def summarise(results: pd.DataFrame) -> dict[str, Any]:
    """Mean and median over tasks, with 95 % intervals of a bootstrap over repeats within tasks, paired by repeat."""
    table = {
        name: results.pivot_table(index="task", columns="repeat", values=name).dropna(axis=1).to_numpy()
        if name in results
        else np.full((len(TASKS), 1), np.nan)
        for name in METHODS + KNOWN
    }
    rng = np.random.default_rng(0)
    tasks, repeats = table["foretune"].shape
    rows = np.arange(tasks)[None, :, None]
    draws = {n: rng.integers(n, size=(2000, tasks, n)) for n in {v.shape[1] for v in table.values()}}
    boot = {name: values[rows, draws[values.shape[1]]].mean(axis=2) for name, values in table.items()}
    difference = boot["plain race"] - boot["foretune"]
    pendulum = results[results["task"] == "cc_pendulum_sac"]
    # Entries of a cache from before it held intervals have none.
    held = results.dropna(subset=HELD).astype(dict.fromkeys(HELD, float))

    def interval(sample: Array) -> list[float]:
        return [round(float(q), 4) for q in np.quantile(sample, [0.025, 0.975])]

    def both(name: str) -> dict[str, Any]:
        means = table[name].mean(axis=1)
        return {
            "mean": round(float(means.mean()), 4),
            "mean_95": interval(boot[name].mean(axis=1)),
            "median": round(float(np.median(means)), 4),
            "median_95": interval(np.median(boot[name], axis=1)),
            "tasks": dict(zip(sorted(TASKS), means.round(4).tolist(), strict=True)),
        }

    return {
        "repeats": repeats,
        "regret": {name: both(name) for name in METHODS + KNOWN},
        "plain race minus foretune": {
            "mean": round(float((table["plain race"] - table["foretune"]).mean()), 4),
            "mean_95": interval(difference.mean(axis=1)),
        },
        "interval": {
            name: {
                "mean": round(float(held[name].mean()), 3),
                "tasks": held.groupby("task")[name].mean().round(3).to_dict(),
            }
            for name in HELD
        },
        "studies with an interval": len(held),
        "pendulum": {
            "studies": len(pendulum),
            "chose a configuration that diverged when tuned": int(pendulum["diverged when tuned"].sum()),
            "chose a configuration that diverged on a testing seed": int(
                pendulum["diverged when tested"].sum()
            ),
        },
        "configurations tried": round(float(results["configurations"].mean()), 1),
        "seconds of CPU a study": round(float(results["seconds"].mean()), 2),
    }


def write(summary: dict[str, Any], path: Path) -> None:
    """The summary as JSON, and as a table to read."""
    path.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")
    lines = [
        f"Normalised regret on ARLBench, {len(TASKS)} tasks, {summary['repeats']} repeats, {BUDGET} trainings each, "
        f"{TUNING} tuning seeds; lower is better. In brackets: 95 % bootstrap intervals.",
        "",
        "| method | mean over tasks | median over tasks |",
        "| --- | --- | --- |",
    ]
    for name, entry in summary["regret"].items():
        mean, median = entry["mean_95"], entry["median_95"]
        lines.append(
            f"| {name} | {entry['mean']:.3f} [{mean[0]:.3f}, {mean[1]:.3f}] "
            f"| {entry['median']:.3f} [{median[0]:.3f}, {median[1]:.3f}] |"
        )
    gap, pendulum = summary["plain race minus foretune"], summary["pendulum"]
    lines += [
        "",
        f"Plain race minus foretune: {gap['mean']:.3f} [{gap['mean_95'][0]:.3f}, {gap['mean_95'][1]:.3f}]. "
        f"Configurations tried: {summary['configurations tried']}. CPU seconds a study: "
        f"{summary['seconds of CPU a study']}.",
        "",
        f"Pendulum: of {pendulum['studies']} studies, "
        f"{pendulum['chose a configuration that diverged when tuned']} chose a configuration that diverges on a "
        "tuning seed (seeds it was not run on included), "
        f"{pendulum['chose a configuration that diverged on a testing seed']} one that does on a testing "
        "seed.",
        "",
        "The incumbent's 95 % interval "
        + ", ".join(f"{name}: {entry['mean']:.1%}" for name, entry in summary["interval"].items())
        + f" (of {summary['studies with an interval']} studies; by task in the last columns).",
        "",
        "| task | " + " | ".join([*summary["regret"], *HELD]) + " |",
        "| --- |" + " --- |" * (len(summary["regret"]) + len(HELD)),
    ]
    for task in sorted(TASKS):
        shown = [*summary["regret"].values(), *summary["interval"].values()]
        cells = " | ".join(f"{entry['tasks'][task]:.3f}" for entry in shown)
        lines.append(f"| {task} | {cells} |")
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="4 repeats, nothing written")
    parser.add_argument("--repeats", type=int, default=200)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    repeats = 4 if arguments.quick else arguments.repeats
    summary = summarise(collect(repeats, HERE / "cache" / "arlbench_racing.jsonl"))
    print(json.dumps(summary, indent=1))
    if not arguments.quick:
        write(summary, HERE / "results" / "arlbench_racing")


if __name__ == "__main__":
    main()
