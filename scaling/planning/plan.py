"""`plan`: the next runs to make so that the optimum at a target is known as well as a budget allows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError
from scaling.planning.candidates import candidate_table, run_flops
from scaling.planning.information import Information, candidate_rows, prior_information
from scaling.published import check_inputs
from scaling.runs import Runs, load_runs
from scaling.sweep.pooled import PooledFit, fit_pooled
from scaling.sweep.problem import Prior
from scaling.sweep.table import Sweep, build_sweep, read_centre

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Plan", "choose", "plan"]

Array = NDArray[np.float64]

#: A batch that lowers the expected excess by less than this share of it no longer helps,
_WORTH = 0.05
#: nor does one where the expected excess is below this fraction of the loss.
_NOTHING_LEFT = 5e-5
#: Whether more runs help is judged of so many, where fewer were asked for and the budget pays for them.
_JUDGED = 32
#: Runs of one cell that are weighed together.
_BLOCK = 6


@dataclass(frozen=True)
class Plan:
    """The next runs.

    Attributes:
        runs: ``params``, ``tokens``, hyperparameters, ``flops`` and ``gain`` (by how much each lowers the expected
            excess log loss at the target, given those above it), in the order chosen.
        excess_before: Expected excess loss at the target (fraction) for acting on the law as it stands.
        excess_after: The same after the runs.
        floor: Expected excess from the scatter of cells around any law, which no run at other sizes lowers.
        flops: What the runs cost together.
        helps: Whether they are worth making.
        message: The same in words.
        rows: Rows of the candidates that were given, in the order of ``runs``.
        warnings: What was noticed.
    """

    runs: pd.DataFrame
    excess_before: float
    excess_after: float
    floor: float
    flops: float
    helps: bool
    message: str
    rows: NDArray[np.int64]
    warnings: list[str] = field(default_factory=list)

    def save(self, path: str | Path) -> None:
        """Write the runs as CSV or Parquet, in one step."""
        path = Path(path)
        if not path.resolve().parent.is_dir():
            raise InputError("the folder does not exist", source=str(path), remedy=f"mkdir -p {path.parent}")
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        if path.suffix in (".parquet", ".pq"):
            self.runs.to_parquet(scratch, index=False)
        else:
            self.runs.to_csv(scratch, index=False)
        scratch.replace(path)

    def to_dict(self) -> dict[str, Any]:
        """As ``scaling plan --json`` prints it."""
        return {
            "runs": self.runs.to_dict(orient="records"),
            "expected_excess": {
                "before": self.excess_before,
                "after": self.excess_after,
                "floor": self.floor,
            },
            "flops": self.flops,
            "helps": self.helps,
            "message": self.message,
            "warnings": self.warnings,
        }


def plan(
    runs: str | Path | pd.DataFrame | Mapping[str, Sequence[Any]] | Runs,
    *,
    target_params: float,
    target_tokens: float,
    budget_flops: float,
    batch: int = 32,
    candidates: pd.DataFrame | None = None,
    columns: Mapping[str, str] | str | None = None,
    centre: Mapping[str, Sequence[str]] | str | None = None,
    prior: Prior | None = None,
    target_inputs: Mapping[str, float] | None = None,
) -> Plan:
    """Choose the next runs: those that shrink the expected loss at a target most for what they cost.

    Args:
        runs: Runs so far, in two sizes or more.
        target_params: Parameters of the model that the answer is for.
        target_tokens: Its tokens.
        budget_flops: What the runs may cost together (:func:`scaling.planning.candidates.run_flops`).
        batch: How many runs at most; they can be made in parallel, and the plan counts on all of them.
        candidates: Runs that could be made (``params``, ``tokens``, hyperparameters, perhaps ``flops``); a grid unless
            given.
        columns: Our column names to theirs.
        centre: Hyperparameters and the inputs that their optima depend on, as :func:`scaling.sweep.fit_sweep` takes it.
        prior: What to assume before any run.
        target_inputs: The target's value of the law's other inputs, such as ``active_params``.

    Raises:
        InputError: A target smaller than the data, a budget too small for one run, or what
            :func:`scaling.sweep.fit_sweep` refuses.
    """
    _check_numbers(target_params, target_tokens, budget_flops, batch)
    table = load_runs(runs, columns=columns, require=("loss", "params", "tokens"))
    sweep = build_sweep(table, centre=read_centre(centre, table))
    target = _target(sweep, target_params, target_tokens, target_inputs or {})
    _check_target(sweep.scales, target, table.source)
    fit = fit_pooled(sweep, prior=prior)
    if candidates is None:
        candidates = candidate_table(fit, target, budget_flops)
    else:
        _check_candidates(candidates, sweep)
    chosen, gains, before, after = choose(fit, candidates, target, budget_flops=budget_flops, batch=batch)
    picked = candidates.iloc[chosen].reset_index(drop=True)
    listed = picked[list(dict.fromkeys(("params", "tokens", *sweep.inputs, *sweep.hypers)))].copy()
    listed["flops"] = run_flops(picked)
    listed["gain"] = gains
    floor = _floor(fit, target)
    message, helps = _verdict(before, after, floor, len(listed))
    if not helps and len(chosen) == batch < _JUDGED:
        # A few runs gain little; whether runs help is asked of a batch that could show it.
        more, *_, further = choose(fit, candidates, target, budget_flops=budget_flops, batch=_JUDGED)
        if _verdict(before, further, floor, len(more))[1]:
            share = _share(before, after, len(listed))
            message, helps = f"{share}; {len(more)} runs would bring it to {further:.3%}", True
    warnings = [check.message for check in sweep.checks if check.severity != "info"]
    return Plan(listed, before, after, floor, float(listed["flops"].sum()), helps, message, chosen, warnings)


def _check_numbers(params: float, tokens: float, budget_flops: float, batch: int) -> None:
    check_inputs({"--target-params": params, "--target-tokens": tokens, "--budget-flops": budget_flops})
    if batch < 1:
        raise InputError(f"is {batch}", key="--batch", remedy="ask for one run or more")


def _target(sweep: Sweep, params: float, tokens: float, others: Mapping[str, float]) -> dict[str, float]:
    for name in others:
        if name not in sweep.scales:
            raise InputError(
                "is no input of this law, and would change nothing",
                key=name,
                remedy="name it in `centre`, or leave it out",
            )
    target = check_inputs({"params": params, "tokens": tokens, **others})
    for name in sweep.inputs:
        if name not in target:
            raise InputError(
                f"this law is also written in {name}, which the target lacks",
                key=name,
                remedy=f"give --target {name}=NUMBER",
            )
    return target


def _check_candidates(candidates: pd.DataFrame, sweep: Sweep) -> None:
    """Refuse candidates that lack what the law needs; a blank among them could never be weighed."""
    table = Runs(candidates, "candidates", "")
    names = tuple(dict.fromkeys(("params", "tokens", *sweep.inputs, *sweep.hypers)))
    table.require(*names)
    for name in (*names, *({"flops"} & set(candidates.columns))):
        values = table.values(name)
        if not (np.isfinite(values) & (values > 0)).all():
            row = int(np.argmin(np.isfinite(values) & (values > 0)))
            raise InputError(
                f"row {row + 1} has {float(values[row])!r}, not a finite number above zero",
                source="candidates",
                key=name,
                remedy="leave such rows out",
            )


def choose(
    fit: PooledFit, candidates: pd.DataFrame, target: Mapping[str, float], *, budget_flops: float, batch: int
) -> tuple[NDArray[np.int64], Array, float, float]:
    """Greedy choice among candidates on a fit's posterior; a pure function of its arguments.

    A run's price is its share of the budget plus its share of the batch, so that neither is left over while the other
    runs out.

    Args:
        fit: The pooled model of the runs so far.
        candidates: ``params``, ``tokens`` and the fit's hyperparameters; each row can be chosen once.
        target: Inputs of the target (``params``, ``tokens`` and the law's others).
        budget_flops: What the chosen may cost together.
        batch: How many at most.

    Returns:
        Rows in the order chosen, their gains, and the expected excess log loss before and after.

    Raises:
        InputError: No candidate fits the budget.
    """
    sizes = {
        name: candidates[name].to_numpy(dtype=np.float64) for name in ("params", "tokens", *fit.sweep.inputs)
    }
    cost = run_flops(candidates)
    if not (cost <= budget_flops).any():
        raise InputError(
            f"{budget_flops:.3g} FLOP do not pay for one run: the cheapest candidate costs {cost.min():.3g}",
            key="--budget-flops", remedy=f"give at least {cost.min():.3g}",
        )  # fmt: skip
    x = np.column_stack([np.log2(sizes[name]) for name in fit.sweep.inputs]) - fit.sweep.x_mid
    z = np.log2(candidates[list(fit.sweep.hypers)].to_numpy(dtype=np.float64))
    cell, new_cells = _cells(fit, sizes)
    rows, weights, _ = candidate_rows(fit, x, z, cell, new_cells)
    first = [int(np.argmax(cell == fit.sweep.cells + number)) for number in range(new_cells)]
    new_sizes = x[first].reshape(new_cells, x.shape[1])
    at = np.array([np.log2(float(target[name])) for name in fit.sweep.inputs]) - fit.sweep.x_mid
    information = prior_information(fit, new_sizes, at)
    # Chosen as if the law might wander, reported as the law's own posterior has it.
    plain = prior_information(fit, new_sizes, at, wander=0.0)
    before = plain.expected_excess()
    chosen: list[int] = []
    gains: list[float] = []
    left = float(budget_flops)
    open_ = np.ones(len(cost), dtype=bool)
    while len(chosen) < batch and (open_ & (cost <= left)).any():
        block = _best_block(
            information,
            rows,
            weights,
            cell,
            np.where(open_, cost, np.inf),
            left,
            budget_flops,
            batch,
            batch - len(chosen),
        )
        if not block:
            break
        for row in block:
            information.learn(rows[row], float(weights[row]))
            known = plain.expected_excess()
            plain.learn(rows[row], float(weights[row]))
            gains.append(known - plain.expected_excess())
            chosen.append(row)
            open_[row] = False
            left -= float(cost[row])
    return np.array(chosen, dtype=np.int64), np.array(gains), before, plain.expected_excess()


def _best_block(
    information: Information, rows: Array, weights: Array, cell: NDArray[np.int64], cost: Array, left: float,
    budget: float, batch: int, most: int,
) -> list[int]:  # fmt: skip
    """The few runs of one cell that together gain most for their price.

    Single runs will not do: the first run of a new cell teaches nothing about its optimum (its level is unknown), so
    that a choice run by run would never start one.
    """
    moved = rows @ information.covariance
    seen = moved @ information.loss
    best: tuple[float, list[int]] = (-np.inf, [])
    for number in np.unique(cell):
        members = np.flatnonzero((cell == number) & (cost <= left))
        if not len(members):
            continue
        price = float(cost[members[0]]) / budget + 1.0 / batch
        count = min(_BLOCK, most, len(members), int(left / float(cost[members[0]])))
        gram, loss, weight = moved[members] @ rows[members].T, seen[members].copy(), weights[members]
        picked: list[int] = []
        gained: list[float] = []
        for _ in range(count):
            each = weight * (loss**2).sum(axis=1) / (1.0 + weight * np.diag(gram))
            each[picked] = -np.inf
            at = int(np.argmax(each))
            picked.append(at)
            gained.append(float(each[at]))
            scale = weight[at] / (1.0 + weight[at] * gram[at, at])
            column, row_loss = gram[:, at].copy(), loss[at].copy()
            gram -= scale * np.outer(column, column)
            loss -= scale * np.outer(column, row_loss)
            ratio = sum(gained) / (len(picked) * price)
            if ratio > best[0]:
                best = (ratio, [int(members[index]) for index in picked])
    return best[1]


def _cells(fit: PooledFit, sizes: Mapping[str, Array]) -> tuple[NDArray[np.int64], int]:
    """Which cell each candidate belongs to; sizes not measured yet get new numbers."""
    names = list(dict.fromkeys(("params", "tokens", *fit.sweep.inputs)))
    known = np.column_stack([np.log2(fit.sweep.scales[name]) for name in names])
    wanted = np.column_stack([np.log2(sizes[name]) for name in names])
    unique, index = np.unique(np.round(wanted, 3), axis=0, return_inverse=True)
    distance = np.abs(unique[:, None, :] - known[None, :, :]).max(axis=-1)
    number = np.empty(len(unique), dtype=np.int64)
    new = 0
    for at in range(len(unique)):
        nearest = int(np.argmin(distance[at]))
        if distance[at, nearest] < 0.03:
            number[at] = nearest
        else:
            number[at] = fit.sweep.cells + new
            new += 1
    return number[index.reshape(-1)], new


def _check_target(scales: Mapping[str, Array], target: Mapping[str, float], source: str) -> None:
    compute = target["params"] * target["tokens"]
    largest = int(np.argmax(scales["params"] * scales["tokens"]))
    if compute < float(scales["params"][largest] * scales["tokens"][largest]):
        raise InputError(
            f"the target ({target['params']:.3g} params, {target['tokens']:.3g} tokens) is smaller than the largest "
            f"size already run ({scales['params'][largest]:.3g}, {scales['tokens'][largest]:.3g})",
            source=source, key="--target-params", remedy="a plan is for a larger model; give a larger target",
        )  # fmt: skip


def _floor(fit: PooledFit, target: Mapping[str, float]) -> float:
    at = np.array([np.log2(float(target[name])) for name in fit.sweep.inputs]) - fit.sweep.x_mid
    low, high = fit.sweep.x.min(axis=0), fit.sweep.x.max(axis=0)
    curvature = fit.basin.curvature(np.clip(at, low, high))
    return float((np.diag(curvature) * fit.scatter**2).sum())


def _verdict(before: float, after: float, floor: float, count: int) -> tuple[str, bool]:
    saved = before - after
    if before < _NOTHING_LEFT:
        return f"more runs no longer help: the law costs {before:.3%} at the target already", False
    if saved < _WORTH * before or (saved < 0.1 * floor and before < floor):
        return (
            f"more runs no longer help: {_share(before, after, count)}; cells scatter around any law by about "
            f"{floor:.3%}, which only a run at the target itself would show", False,
        )  # fmt: skip
    return f"{_share(before, after, count)} (and {floor:.3%} that no smaller run can show)", True


def _share(before: float, after: float, count: int) -> str:
    runs = "this run" if count == 1 else f"these {count} runs"
    return f"expected excess loss at the target: {before:.3%} of loss now, {after:.3%} after {runs}"
