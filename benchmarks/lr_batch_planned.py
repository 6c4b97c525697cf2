"""Replays of `scaling plan` on measured runs, beside random choice at the same budget."""

from __future__ import annotations

from typing import Any

import numpy as np

import scaling
from benchmarks.lr_batch_data import CHEAP, TEST, Data
from scaling.planning import choose, initial_design
from scaling.runs import load_runs
from scaling.sweep.pooled import fit_pooled
from scaling.sweep.table import build_sweep

__all__ = ["planned", "replay"]

RUNS, BUDGET, FIRST, ROUND = 150, 3.6e20, 30, 24
#: In the midst of the test cells: the size that an answer is wanted for.
TARGET = {"params": 4e8, "tokens": 2e10}


def replay(data: Data, pool: Any, seed: int) -> tuple[list[int], Any]:
    cost = pool["flops"].to_numpy()
    have = [int(row) for row in initial_design(pool, FIRST, budget_flops=BUDGET * FIRST / RUNS, seed=seed)]
    while len(have) < RUNS:
        rest = np.setdiff1d(np.arange(len(pool)), have)
        left = BUDGET - cost[have].sum()
        count = min(ROUND, RUNS - len(have))
        budget = min(left, 1.3 * left * count / (RUNS - len(have)))
        if budget < cost[rest].min():
            break
        fit = fit_pooled(build_sweep(load_runs(pool.iloc[have])))
        chosen, *_ = choose(fit, pool.iloc[rest], TARGET, budget_flops=budget, batch=count)
        have += [int(rest[row]) for row in chosen]
    return have, scaling.fit(pool.iloc[have], law="lr-batch", bootstrap=0, level=False, joint=False)


def _random(pool: Any, seed: int) -> tuple[list[int], Any]:
    cost = pool["flops"].to_numpy()
    have: list[int] = []
    spent = 0.0
    for row in np.random.default_rng(seed).permutation(np.flatnonzero(cost <= CHEAP)):
        if len(have) < RUNS and spent + cost[row] <= BUDGET:
            have.append(int(row))
            spent += cost[row]
    return have, scaling.fit(pool.iloc[have], law="lr-batch", bootstrap=0, level=False, joint=False)


def planned(data: Data, quick: bool) -> dict[str, Any]:
    """Replays of `scaling plan` on the pool of runs below the test cells, beside random choice at the same budget."""
    pool = data.rows([int(cell) for cell in data.cells.index[data.cells["flops"] < TEST]])
    result: dict[str, Any] = {"runs_at_most": RUNS, "budget_flops": BUDGET, "target": TARGET}
    for name, choice in (
        ("plan", lambda seed: replay(data, pool, seed)),
        ("random", lambda seed: _random(pool, seed)),
    ):
        means, maxima, counts, spent, grid = [], [], [], [], []
        for seed in range(4 if quick else 24):
            have, law = choice(seed)
            gaps = data.gaps(law, data.test)
            means.append(float(gaps[:, 0].mean()))
            maxima.append(float(gaps[:, 0].max()))
            grid.append(float(gaps[:, 1].mean()))
            counts.append(len(have))
            spent.append(float(pool["flops"].to_numpy()[have].sum()))
        result[name] = {
            "replays": len(means), "median": float(np.median(means)), "p90": float(np.quantile(means, 0.9)),
            "median_grid": float(np.median(grid)), "median_max": float(np.median(maxima)),
            "runs": float(np.mean(counts)), "flops": float(np.mean(spent)), "flops_most": float(np.max(spent)),
        }  # fmt: skip
    return result
