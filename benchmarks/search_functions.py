"""The search alone, beside Optuna's GP sampler, on functions that everybody uses, without noise and with it.

Regret is the true value of the configuration that is reported, above the function's minimum: for ours the best
posterior mean (:func:`hpo.incumbent.choose_among`), for Optuna's its ``best_trial``. Both see the same noise.

    python -m benchmarks.search_functions            # 8 seeds; goes on where it was stopped
    python -m benchmarks.search_functions --quick    # 1 seed
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd

from hpo.incumbent import choose_among
from hpo.samplers import BayesianSampler
from hpo.samplers.observations import observe

Array = npt.NDArray[np.float64]

HERE = Path(__file__).parent
#: Regrets below this count as this.
FLOOR = 1e-5

_HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(unit: Array) -> float:
    """Hartmann-6 above its minimum of -3.32237, on the unit cube."""
    inner = (_HARTMANN_A * (unit - _HARTMANN_P) ** 2).sum(axis=1)
    return 3.32237 - float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-inner))


def branin(unit: Array) -> float:
    """Branin above its minimum of 0.397887, its usual rectangle mapped to the unit square."""
    x, y = 15 * unit[0] - 5, 15 * unit[1]
    bend = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return float(bend + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10) - 0.397887


def levy(unit: Array) -> float:
    """Levy's function, of minimum 0, on [-10, 10] in each dimension."""
    w = 1 + (20 * unit - 11) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)).sum()
    return float(np.sin(np.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2))


@dataclass(frozen=True)
class Case:
    """A function of the unit cube above its minimum, its dimensions, evaluations and standard deviation of noise."""

    function: Callable[[Array], float]
    dimensions: int
    evaluations: int
    noise: float = 0.0


CASES = {
    "Branin": Case(branin, 2, 30),
    "Levy-4": Case(levy, 4, 50),
    "Hartmann-6": Case(hartmann, 6, 60),
    "Branin, noise 2": Case(branin, 2, 30, 2.0),
    "Levy-4, noise 1": Case(levy, 4, 50, 1.0),
    "Hartmann-6, noise 0.1": Case(hartmann, 6, 60, 0.1),
}
METHODS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "foretune": lambda seed: BayesianSampler(seed=seed),
    "Optuna GPSampler": lambda seed: optuna.samplers.GPSampler(seed=seed),
}


def search(case: Case, method: str, seed: int) -> dict[str, float]:
    """One study: regret of the reported configuration and of the best one tried, and CPU seconds."""
    rng = np.random.default_rng([3, seed])
    study = optuna.create_study(sampler=METHODS[method](seed))
    regrets = []
    started = time.process_time()
    for _ in range(case.evaluations):
        trial = study.ask()
        unit = np.array([trial.suggest_float(f"x{k}", 0, 1) for k in range(case.dimensions)])
        regrets.append(case.function(unit))
        study.tell(trial, regrets[-1] + case.noise * rng.normal())
    reported = (
        choose_among(observe(study.trials), "minimize").configuration
        if method == "foretune"
        else study.best_trial.number
    )
    return {
        "reported": regrets[reported],
        "tried": min(regrets),
        "seconds": round(time.process_time() - started, 2),
    }


def collect(seeds: int, cache: Path) -> pd.DataFrame:
    """Results by case, method and seed; those in the cache are not run again."""
    known: dict[tuple[str, str, int], dict[str, Any]] = {}
    if cache.exists():
        for line in cache.read_text().splitlines():
            entry = json.loads(line)
            known[entry["case"], entry["method"], entry["seed"]] = entry
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.open("a") as file:
        for seed in range(seeds):
            for name, case in CASES.items():
                for method in METHODS:
                    if (name, method, seed) not in known:
                        entry = {"case": name, "method": method, "seed": seed, **search(case, method, seed)}
                        known[name, method, seed] = entry
                        file.write(json.dumps(entry) + "\n")
                        file.flush()
    return pd.DataFrame([entry for (*_, seed), entry in known.items() if seed < seeds])


def summarise(results: pd.DataFrame) -> dict[str, Any]:
    """By case: median regrets, and the geometric mean of Optuna's over ours, paired by seed, with its interval."""
    rng = np.random.default_rng(0)
    seeds = results["seed"].nunique()
    draws = rng.integers(seeds, size=(4000, seeds))
    cases: dict[str, Any] = {}
    for name in CASES:
        part = results[results["case"] == name]
        regret = {
            column: part.pivot_table(index="seed", columns="method", values=column).clip(lower=FLOOR)
            for column in ("reported", "tried")
        }
        log = np.log(regret["reported"])
        ratio = (log["Optuna GPSampler"] - log["foretune"]).to_numpy()
        low, high = np.quantile(ratio[draws].mean(axis=1), [0.025, 0.975])
        cases[name] = {
            "reported": {method: float(f"{regret['reported'][method].median():.3g}") for method in METHODS},
            "tried": {method: float(f"{regret['tried'][method].median():.3g}") for method in METHODS},
            "seconds": {
                method: round(float(part[part["method"] == method]["seconds"].mean()), 2)
                for method in METHODS
            },
            "ratio": round(float(np.exp(ratio.mean())), 2),
            "ratio_95": [round(float(np.exp(low)), 2), round(float(np.exp(high)), 2)],
        }
    return {"seeds": seeds, "cases": cases}


def write(summary: dict[str, Any], path: Path) -> None:
    """The summary as JSON, and as a table to read."""
    path.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")
    lines = [
        f"Search on functions, {summary['seeds']} seeds: median regret of the configuration that is reported (of the "
        f"best one tried), and the geometric mean of Optuna's regret over ours, seed by seed (regrets below {FLOOR} "
        "count as this). In brackets: 95 % bootstrap intervals over seeds.",
        "",
        "| | " + " | ".join(METHODS) + " | Optuna's over ours | CPU seconds, " + " and ".join(METHODS) + " |",
        "| --- |" + " --- |" * (len(METHODS) + 2),
    ]
    for name, case in summary["cases"].items():
        cells = [f"{case['reported'][method]:.3g} ({case['tried'][method]:.3g})" for method in METHODS]
        cells.append(f"{case['ratio']:.2f} [{case['ratio_95'][0]:.2f}, {case['ratio_95'][1]:.2f}]")
        cells.append(" and ".join(f"{case['seconds'][method]:.1f}" for method in METHODS))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1 seed, nothing written")
    parser.add_argument("--seeds", type=int, default=8)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seeds = 1 if arguments.quick else arguments.seeds
    summary = summarise(collect(seeds, HERE / "cache" / "search_functions.jsonl"))
    print(json.dumps(summary, indent=1))
    if not arguments.quick:
        write(summary, HERE / "results" / "search_functions")


if __name__ == "__main__":
    main()
