"""Bootstrap of the pooled model: whole cells and single runs reweighted, one Newton step each, all at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling.sweep.pooled import PooledFit, problem_at

__all__ = ["bootstrap_coefficients"]

Array = NDArray[np.float64]


def bootstrap_coefficients(fit: PooledFit, replicates: int, seed: int) -> Array:
    """Coefficients of the law under random weights.

    Cells and runs get independent exponential weights (the Bayesian bootstrap, Rubin 1981); each replicate takes one
    Gauss-Newton step from the optimum, the offset of each cell being eliminated in its own block. Deviations are
    scaled up by the degrees of freedom that the coefficients use.

    Returns:
        Shape ``(replicates, coefficients)``.
    """
    problem, weight = problem_at(fit)
    q, jacobian = problem.excess_and_jacobian(fit.theta)
    residual = problem.profile(problem.sweep.log_loss - q, weight)
    robust = problem.robust(weight, residual)
    residual = problem.profile(problem.sweep.log_loss - q, robust)
    jacobian = problem.profile(jacobian, robust)
    shared, size = problem.beta_size + problem.basin_size, problem.hypers
    generator = np.random.default_rng(seed)
    matrix = np.broadcast_to(np.diag(problem.precision[:shared]), (replicates, shared, shared)).copy()
    gradient = np.broadcast_to(
        -problem.precision[:shared] * (fit.theta - problem.mean)[:shared], (replicates, shared)
    ).copy()
    for cell in range(problem.cells):
        rows = np.flatnonzero((problem.sweep.cell == cell) & (robust > 0))
        own = slice(shared + cell * size, shared + (cell + 1) * size)
        block = np.hstack([jacobian[rows, :shared], jacobian[rows, own]])
        cell_weight = generator.exponential(size=(replicates, 1))
        run_weight = cell_weight * generator.exponential(size=(replicates, len(rows))) * robust[rows]
        width = shared + size
        products = (block[:, :, None] * block[:, None, :]).reshape(len(rows), -1)
        curvature = (run_weight @ products).reshape(replicates, width, width)
        slope = run_weight @ (block * residual[rows, None])
        inner = curvature[:, shared:, shared:] + cell_weight[:, :, None] * np.diag(problem.precision[own])
        inner_slope = slope[:, shared:] - cell_weight * problem.precision[own] * fit.theta[own]
        cross = np.linalg.solve(inner, curvature[:, shared:, :shared])
        matrix += curvature[:, :shared, :shared] - np.swapaxes(curvature[:, shared:, :shared], 1, 2) @ cross
        gradient += slope[:, :shared] - np.einsum("rpf,rp->rf", cross, inner_slope)
    steps = np.linalg.solve(matrix, gradient[:, :, None])[:, :, 0]
    freedom = max(len(names) for names in fit.design.names)
    inflate = np.sqrt(problem.cells / max(problem.cells - freedom, 1))
    return np.asarray(fit.theta[: fit.design.size] + inflate * steps[:, : fit.design.size])
