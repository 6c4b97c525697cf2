"""Where to start: a grid over the parameters that are not linear, the linear ones solved exactly at each point."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scaling.laws.base import Law, Parameter

__all__ = ["grid_starts", "solve_linear"]

Array = NDArray[np.float64]
#: Grid points at most; beyond that a random part of the grid is taken.
LIMIT = 1024
#: Starts for a parameter that declares none, as an exponent or a rate.
DEFAULT = (0.03, 0.1, 0.2, 0.35, 0.6, 1.2)


def _values(parameter: Parameter, inputs: Mapping[str, Array]) -> list[float]:
    """Starts of one parameter; one that declares none may be an exponent of either sign or a scale of an input."""
    if parameter.starts:
        return list(parameter.starts)
    values = [*DEFAULT, *(-value for value in DEFAULT)]
    for column in inputs.values():
        scales = np.quantile(column, [0.1, 0.5, 0.9])
        values += [*scales, *(1.0 / scales)]
    low = 0.0 if parameter.transform == "log" else parameter.low
    return [value for value in values if max(parameter.low, low) < value < parameter.high] or [1.0]


def grid_starts(
    law: Law, inputs: Mapping[str, Array], target: Array, weights: Array, *, seed: int = 0
) -> Array:
    """Starting points for one data set.

    Args:
        law: The law.
        inputs: Its inputs, each of shape ``(n,)``.
        target: Measured values, shape ``(n,)``.
        weights: How often each run counts, shape ``(n,)``.
        seed: Draws the part of the grid that is used where it is too large.

    Returns:
        Natural parameters, shape ``(starts, p)``.
    """
    given = law.starts(inputs, target) if law.starts is not None else None
    linear = set(law.linear)
    free = [parameter for parameter in law.parameters if parameter.name not in linear]
    if given is None:
        axes = [_values(parameter, inputs) for parameter in free]
        count = int(np.prod([len(axis) for axis in axes])) if axes else 1
        if count <= LIMIT:
            grid = np.array(list(itertools.product(*axes)), dtype=np.float64).reshape(count, len(free))
        else:
            rng = np.random.default_rng(seed)
            grid = np.stack([rng.choice(np.asarray(axis), LIMIT) for axis in axes], axis=1)
    else:
        places = [law.names.index(parameter.name) for parameter in free]
        grid = np.asarray(given, dtype=np.float64)[:, places]
    if not linear:
        return grid
    return solve_linear(law, grid, [p.name for p in free], inputs, target, weights)


def solve_linear(
    law: Law, grid: Array, free: list[str], inputs: Mapping[str, Array], target: Array, weights: Array
) -> Array:
    """Fill in the linear parameters by weighted least squares with their sign constraints.

    Weights are ``1 / target**2`` for laws with residuals on logs, to which that is the first approximation.

    Args:
        law: The law.
        grid: Values of the other parameters, shape ``(S, q)``.
        free: Their names.
        inputs: Inputs, each of shape ``(n,)``.
        target: Measured values, shape ``(n,)``.
        weights: Shape ``(n,)``.

    Returns:
        Natural parameters, shape ``(S, p)``.
    """
    outputs = law.separation.parts({name: grid[:, j, None] for j, name in enumerate(free)}, inputs)
    shape = (len(grid), len(target))
    columns = np.stack([np.broadcast_to(np.asarray(o, dtype=np.float64), shape) for o in outputs], axis=1)
    scale = np.sqrt(weights) / (np.abs(target) if law.residuals == "log" else 1.0)
    offset, basis = columns[:, 0], np.nan_to_num(columns[:, 1:] * scale, posinf=0.0, neginf=0.0)
    right = np.nan_to_num((target - offset) * scale)
    with np.errstate(over="ignore"):
        norms = np.sqrt((basis**2).sum(axis=2))
    if not np.isfinite(
        norms
    ).all():  # at odd places of a grid factors are beyond 1e154, whose squares overflow
        peak = np.maximum(np.abs(basis).max(axis=2), 1e-300)
        norms = peak * np.sqrt(((basis / peak[:, :, None]) ** 2).sum(axis=2))
    basis = basis / np.maximum(norms, 1e-300)[:, :, None]
    gram = np.matmul(basis, basis.transpose(0, 2, 1))
    moment = np.matmul(basis, right[:, :, None])[:, :, 0]
    lows = np.array([law.parameters[law.names.index(name)].low for name in law.linear])
    logs = np.array([law.parameters[law.names.index(name)].transform == "log" for name in law.linear])
    solved = _best_subset(gram, moment, positive=logs | (lows >= 0))
    # A searched logarithm needs a value above zero, small enough not to matter and large enough to have a slope.
    size = np.sqrt((right**2).sum(axis=1, keepdims=True))
    solved = np.where(logs & (solved <= 0), 1e-3 * size, solved)
    values = solved / np.maximum(norms, 1e-300)
    theta = np.empty((len(grid), len(law.names)))
    for j, name in enumerate(free):
        theta[:, law.names.index(name)] = grid[:, j]
    for j, name in enumerate(law.linear):
        theta[:, law.names.index(name)] = values[:, j]
    return theta


def _best_subset(gram: Array, moment: Array, positive: NDArray[np.bool_]) -> Array:
    """Least squares with some coefficients held at or above zero: the best of all sets of coefficients left out."""
    count = gram.shape[1]
    best = np.zeros_like(moment)
    gained = np.full(len(moment), -1.0)
    droppable = np.flatnonzero(positive)
    for size in range(len(droppable) + 1):
        for dropped in itertools.combinations(droppable, size):
            kept = np.setdiff1d(np.arange(count), np.asarray(dropped, dtype=np.intp))
            if not len(kept):
                continue
            matrix = gram[:, kept[:, None], kept] + 1e-12 * np.eye(len(kept))
            part = np.linalg.solve(matrix, moment[:, kept][:, :, None])[:, :, 0]
            gain = (part * moment[:, kept]).sum(axis=1)
            better = (gain > gained) & ((part >= 0) | ~positive[kept]).all(axis=1)
            gained = np.where(better, gain, gained)
            full = np.zeros_like(moment)
            full[:, kept] = part
            best = np.where(better[:, None], full, best)
        if size == 0 and (gained >= 0).all():
            break  # nothing had to be left out anywhere
    return best
