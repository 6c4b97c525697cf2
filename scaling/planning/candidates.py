"""Runs that could be made next: sizes below the target, hyperparameters around what the law says there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError
from scaling.sweep.pooled import PooledFit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["candidate_table", "initial_design", "run_flops"]

Array = NDArray[np.float64]

#: Octaves from the predicted optimum that are worth trying.
_OFFSETS = np.array([-2.5, -1.5, -0.75, 0.0, 0.75, 1.5, 2.5])
_SIZE_STEP = 2.0
_MAX_SIZES = 40
#: Sizes lie on one line where their logarithms correlate so, or one of them moves by fewer octaves.
_COLLINEAR, _CONSTANT = 0.999, 0.05
#: Counts from which on a fraction means nothing.
_COUNTED = 1000.0


def run_flops(table: pd.DataFrame) -> Array:
    """Cost of runs: their ``flops`` where given, else 6ND, N being the active parameters where those are told.

    Args:
        table: ``params`` and ``tokens``; perhaps ``flops`` or ``active_params``.

    Returns:
        FLOP. Shape ``(rows,)``.
    """
    if "flops" in table:
        return table["flops"].to_numpy(dtype=np.float64)
    params = table["active_params" if "active_params" in table else "params"]
    return np.asarray(6.0 * params.to_numpy(dtype=np.float64) * table["tokens"].to_numpy(dtype=np.float64))


def candidate_table(fit: PooledFit, target: Mapping[str, float], budget_flops: float) -> pd.DataFrame:
    """Candidates on a grid: the measured sizes, and sizes between the smallest and the target in steps of two.

    Inputs of the law besides ``params`` and ``tokens`` (width, active parameters) follow these, in sizes that have not
    been measured, as they did from cell to cell and on to the target.

    Args:
        fit: The pooled model of the runs so far.
        target: ``params``, ``tokens`` and the law's other inputs.
        budget_flops: No run may cost more.

    Raises:
        InputError: Not even the smallest measured size fits the budget.
    """
    import pandas as pd

    sizes = _sizes(fit, target)
    table = pd.DataFrame({"params": sizes[:, 0], "tokens": sizes[:, 1], **_others(fit, sizes, target)})
    cost = run_flops(table)
    if not (cost <= budget_flops).any():
        raise InputError(
            f"{budget_flops:.3g} FLOP do not pay for one run: the smallest size costs {cost.min():.3g}",
            key="--budget-flops",
            remedy=f"give at least {cost.min():.3g}",
        )
    table = table[cost <= budget_flops].reset_index(drop=True)
    x = np.log2(table[list(fit.sweep.inputs)].to_numpy(dtype=np.float64)) - fit.sweep.x_mid
    centres = fit.centres(x)
    grid = np.stack(np.meshgrid(*[_OFFSETS] * len(fit.sweep.hypers), indexing="ij"), axis=-1)
    grid = grid.reshape(-1, len(fit.sweep.hypers))
    # Both far off the optimum at once teaches the walls, not the bottom.
    grid = grid[np.abs(grid).sum(axis=1) <= 3.3]
    rows = (centres[:, None, :] + grid[None, :, :]).reshape(-1, grid.shape[1])
    made = table.loc[np.repeat(np.arange(len(table)), len(grid))].reset_index(drop=True)
    for column, name in enumerate(fit.sweep.hypers):
        values = 2.0 ** rows[:, column]
        made[name] = _whole(values) if name == "batch_size" else values
    return made


def _others(fit: PooledFit, sizes: Array, target: Mapping[str, float]) -> dict[str, Array]:
    """The law's other inputs at each size; the measured sizes come first."""
    named = {}
    measured = len(fit.sweep.x)
    logs = np.log2(np.vstack([sizes[:measured], [target["params"], target["tokens"]]]))
    basis = np.column_stack([np.ones(len(logs)), logs])
    for name in fit.sweep.inputs:
        if name in ("params", "tokens"):
            continue
        known = np.append(np.log2(fit.sweep.scales[name]), np.log2(target[name]))
        slopes = np.linalg.lstsq(basis, known, rcond=None)[0]
        new = np.column_stack([np.ones(len(sizes) - measured), np.log2(sizes[measured:])]) @ slopes
        named[name] = 2.0 ** np.concatenate([known[:-1], new])
    return named


def _whole(counts: Array) -> Array:
    """Parameters and tokens are whole numbers; small values may be in another unit, such as millions."""
    return np.where(counts >= _COUNTED, np.round(counts), counts)


def _one_line(logs: Array) -> bool:
    """Whether params and tokens of the measured sizes move together, so that no other sizes should be made."""
    spread = np.ptp(logs, axis=0)
    if len(logs) < 3 or spread.min() < _CONSTANT:
        return True
    return abs(float(np.asarray(np.corrcoef(logs.T))[0, 1])) > _COLLINEAR


def _sizes(fit: PooledFit, target: Mapping[str, float]) -> Array:
    """Params and tokens, the measured ones first. Shape ``(sizes, 2)``."""
    measured = np.column_stack([fit.sweep.scales["params"], fit.sweep.scales["tokens"]])
    logs = np.log2(measured)
    if _one_line(logs):
        # One line of sizes: new ones stay on it, or the law in one variable would not hold.
        along = np.arange(logs[:, 0].min(), np.log2(target["params"]) + 1e-9, np.log2(_SIZE_STEP))
        if np.ptp(logs[:, 0]) > _CONSTANT:
            slope, start = np.polyfit(logs[:, 0], logs[:, 1], 1)
            new = np.column_stack([along, start + slope * along])
        else:
            tokens = np.arange(logs[:, 1].min(), np.log2(target["tokens"]) + 1e-9, np.log2(_SIZE_STEP))
            new = np.column_stack([np.full(len(tokens), logs[:, 0].mean()), tokens])
        return _whole(np.vstack([measured, 2.0**new]))
    axes = [
        np.geomspace(
            low, max(high, low), max(int(np.log2(max(high / low, 1.0)) / np.log2(_SIZE_STEP)) + 1, 1)
        )
        for low, high in zip(measured.min(axis=0), (target["params"], target["tokens"]), strict=True)
    ]
    new = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    # Nobody trains far from the ratios that have been run or are asked for; a straight law must not be tested there.
    ratios = np.append(measured[:, 1] / measured[:, 0], target["tokens"] / target["params"])
    ratio = new[:, 1] / new[:, 0]
    new = new[(ratio >= ratios.min() / 1.5) & (ratio <= ratios.max() * 1.5)]
    new = new[np.argsort(new.prod(axis=1))][:_MAX_SIZES]
    apart = np.abs(np.log2(new)[:, None, :] - logs[None, :, :]).max(axis=-1).min(axis=1) > 0.3
    return _whole(np.vstack([measured, new[apart]]))


def initial_design(
    candidates: pd.DataFrame, count: int, *, budget_flops: float, cells: int = 6, seed: int = 0
) -> NDArray[np.int64]:
    """Rows of a candidate table to run before anything is known.

    A few affordable sizes far apart, and in each of them hyperparameters far apart, the corners of the grid left out.

    Args:
        candidates: ``params``, ``tokens`` and hyperparameters (``lr``, ``batch_size``).
        count: Runs to choose.
        budget_flops: What they may cost together, 6ND each.
        cells: Sizes to spread them over.
        seed: Of the choice.

    Raises:
        InputError: The budget does not pay for one run of each of two sizes.
    """
    generator = np.random.default_rng(seed)
    sizes = np.log2(candidates[["params", "tokens"]].to_numpy(dtype=np.float64))
    unique, cell = np.unique(np.round(sizes, 3), axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    cost = 6.0 * 2.0 ** unique.sum(axis=1)
    share = budget_flops / count
    affordable = np.flatnonzero(cost <= max(3.0 * share, np.sort(cost)[: min(2, len(cost))].max()))
    if cost[affordable].min() * 2 > budget_flops:
        raise InputError(
            f"{budget_flops:.3g} FLOP do not pay for two runs", key="--budget-flops",
            remedy=f"give at least {2 * cost.min():.3g}",
        )  # fmt: skip
    chosen_cells = _spread(unique[affordable], min(cells, len(affordable)), generator)
    names = [name for name in ("lr", "batch_size") if name in candidates]
    z = np.log2(candidates[names].to_numpy(dtype=np.float64))
    picked: list[int] = []
    # Cheapest first: what a dear size cannot use must not be missing for the others, or one size would take it all.
    chosen_cells = sorted(chosen_cells, key=lambda at: float(cost[affordable[at]]))
    per_cell = [np.flatnonzero(cell == affordable[at]) for at in chosen_cells]
    quota = np.full(len(per_cell), count // len(per_cell))
    quota[: count % len(per_cell)] += 1
    spent = 0.0
    for number, (rows, most) in enumerate(zip(per_cell, quota, strict=True)):
        inner, price = _inner(z[rows]), float(cost[cell[rows[0]]])
        share = (budget_flops - spent) / (len(per_cell) - number)
        wanted = min(int(most), len(inner), max(int(share / price), int(spent + price <= budget_flops)))
        picked += [int(rows[inner[at]]) for at in _spread(z[rows[inner]], wanted, generator)]
        spent += wanted * price
    return np.array(picked, dtype=np.int64)


def _inner(z: Array) -> NDArray[np.int64]:
    """Rows in the middle of the ranges: the corners are where runs diverge."""
    low, high = np.quantile(z, 0.05, axis=0), np.quantile(z, 0.95, axis=0)
    scaled = (z - low) / np.maximum(high - low, 1e-9) - 0.5
    return np.flatnonzero((scaled**2).sum(axis=1) <= 0.36)


def _spread(points: Array, count: int, generator: np.random.Generator) -> list[int]:
    """Greedy farthest points from a random start; each axis scaled to its range."""
    scaled = (points - points.min(axis=0)) / np.maximum(np.ptp(points, axis=0), 1e-9)
    chosen = [int(generator.integers(len(points)))][:count]
    while len(chosen) < count:
        distance = np.sqrt(((scaled[:, None, :] - scaled[chosen][None, :, :]) ** 2).sum(axis=-1)).min(axis=1)
        distance[chosen] = -1.0
        # A little noise breaks the ties of a grid.
        chosen.append(int(np.argmax(distance * generator.uniform(0.9, 1.0, len(distance)))))
    return chosen
