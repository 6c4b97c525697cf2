"""Whether the pooled model's intervals cover, what it says of the loss, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import scaling
from benchmarks.lr_batch_data import Data
from benchmarks.sweep_surface import surface
from scaling.planning import plan

__all__ = ["coverage", "loss_prediction", "speed"]

Array = NDArray[np.float64]


def coverage(data: Data, quick: bool) -> dict[str, Any]:
    """Do 90 % intervals cover the surface's optimum of each cell, when that cell is left out?"""
    result: dict[str, Any] = {}
    every = list(range(len(data.cells)))
    for name, cells in {"all cells": every, "cheap cells": data.cheap}.items():
        hit = {"lr": [], "batch_size": []}  # type: dict[str, list[bool]]
        width = {"lr": [], "batch_size": []}  # type: dict[str, list[float]]
        for left_out in cells[:: 4 if quick else 1]:
            law = scaling.fit(
                data.rows([cell for cell in cells if cell != left_out]),
                law="lr-batch",
                level=False,
                joint=False,
            )
            said = law.answer(data.size(left_out), level=0.9)["predictions"]
            for column, hyper in enumerate(hit):
                low, high = np.log2(said[hyper]["low"]), np.log2(said[hyper]["high"])
                hit[hyper].append(bool(low <= data.surfaces[left_out].best_at[column] <= high))
                width[hyper].append(float(high - low))
        result[name] = {hyper: {"coverage": float(np.mean(hit[hyper])), "cells": len(hit[hyper]),
                                "octaves": float(np.mean(width[hyper]))} for hyper in hit}  # fmt: skip
    return result


def loss_prediction(data: Data, quick: bool) -> dict[str, Any]:
    """R^2 of the loss of every run of the largest cell, predicted from other cells' runs (joint mode).

    Beside it each other test cell, left out in turn; and each run of the largest cell predicted from its own other runs
    by a Gaussian process, which knows that cell's level and walls: what a smooth surface can say at all.
    """
    largest = len(data.cells) - 1
    rest = data.frame[data.frame["cell"] != largest]
    result: dict[str, Any] = {"runs_predicted": len(data.rows([largest]))}
    for share in (0.1, 1.0):
        scores, sane = [], []
        for seed in range((2 if quick else 4) if share < 1 else 1):
            train = rest if share == 1.0 else rest.sample(frac=share, random_state=seed)
            every, near = _loss_scores(data, train, largest)
            scores.append(every)
            sane.append(near)
        result[f"{share:.0%}"] = {"r2": float(np.median(scores)), "r2_worst": float(np.min(scores)),
                                  "r2_within_5_percent": float(np.median(sane)), "draws": len(scores)}  # fmt: skip
    held = data.rows([largest])
    columns = [held[name].to_numpy() for name in ("lr", "batch_size", "loss")]
    own = surface(*columns, keep=np.ones(len(held), dtype=bool))
    result["its own other runs"] = {"r2": _r2(columns[2], own.left_out())}
    result["all runs, its own too"] = {"r2": _loss_scores(data, data.frame, largest)[0]}
    others = [cell for cell in data.test if cell != largest][:: 3 if quick else 1]
    each = [_loss_scores(data, data.frame[data.frame["cell"] != cell], cell)[0] for cell in others]
    result["other test cells"] = {"r2": each, "mean": float(np.mean(each)), "least": float(np.min(each))}
    return result


def _loss_scores(data: Data, train: Any, cell: int) -> tuple[float, float]:
    """R^2 over all runs of a cell, and over those within 5 % of its best."""
    held, size = data.rows([cell]), data.size(cell)
    law = scaling.fit(train, law="lr-batch", bootstrap=0)
    d = np.log2(held[["lr", "batch_size"]].to_numpy()) - law.centre(size)[0]
    x = np.broadcast_to(law.position(size), (len(d), len(law.inputs)))
    # The same as `law.answer` with every hyperparameter held, for all runs at once.
    said = np.exp(law.level.log_loss(size, 0.9)[0] + np.maximum(law.walls.excess(law.basin, d, x), 0.0))
    loss = held["loss"].to_numpy()
    near = loss <= 1.05 * loss.min()
    return _r2(loss, said), _r2(loss[near], said[near])


def _r2(measured: Array, said: Array) -> float:
    return float(1.0 - ((measured - said) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())


def speed(data: Data, quick: bool) -> dict[str, Any]:
    """Processor and wall time of a fit of the whole sweep with 1,000 bootstraps, and of a plan of 32 runs."""
    result: dict[str, Any] = {}
    jobs: dict[str, Callable[[], Any]] = {
        "fit_1000_bootstraps": lambda: scaling.fit(data.frame, law="lr-batch", bootstrap=1000),
        "plan_32_runs": lambda: plan(
            data.frame, target_params=7e9, target_tokens=1.4e12, budget_flops=1e21, batch=32
        ),
    }
    for name, job in jobs.items():
        times = []
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        result[name] = {"wall_s": min(t[0] for t in times), "cpu_s": min(t[1] for t in times)}
    result["runs"] = len(data.frame)
    return result
