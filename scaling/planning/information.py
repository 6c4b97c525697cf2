"""What a run would teach: the Gaussian posterior of the pooled model, updated run by run.

Around the fit the model is linear, and a run's information does not depend on the loss that it will return. A run of
known size and hyperparameters therefore has a known effect on the covariance of the optimum at the target, and
batches can be chosen greedily, each run counting those chosen before it (Bayesian A-optimal design; Chaloner and
Verdinelli, "Bayesian experimental design: a review", 1995).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.sweep.basin import excess_and_slopes
from scaling.sweep.features import features
from scaling.sweep.pooled import PooledFit, problem_at

__all__ = ["Information", "candidate_rows", "prior_information", "target_loss_matrix"]

Array = NDArray[np.float64]

#: Standard deviation of the log loss of a cell that has not been run.
_LEVEL_SD = 1.0
#: A law is never quite straight: besides the scatter of single cells, its centre is taken to wander by this many
#: octaves over sizes that lie this many octaves apart, so that cells close together do not add up to certainty.
WANDER, _WANDER_RANGE = 0.5, 2.0
#: The width of the basin is extrapolated by its drift no further than this many octaves beyond the cells.
_DRIFT_REACH = 1.0


@dataclass
class Information:
    """Posterior covariance of ``[beta, basin, (offsets, level) of each cell]``.

    Attributes:
        covariance: Shape ``(size, size)``.
        loss: Matrix ``Q`` such that the expected excess log loss at the target is ``trace(Q covariance)``; only its
            factor is kept: ``Q = factor factor'``. Shape ``(size, P)``.
    """

    covariance: Array
    loss: Array

    def expected_excess(self) -> float:
        """Expected excess log loss at the target for acting on what is known."""
        return float(np.einsum("ip,ij,jp->", self.loss, self.covariance, self.loss))

    def learn(self, row: Array, weight: float) -> None:
        """Take one run into account."""
        moved = self.covariance @ row
        self.covariance -= np.outer(moved, moved) * (weight / (1.0 + weight * float(row @ moved)))


def prior_information(
    fit: PooledFit, new_sizes: Array, target: Array, *, wander: float = WANDER
) -> Information:
    """The posterior after a fit, with room for cells that have not been run.

    Args:
        fit: The pooled model of the runs so far.
        new_sizes: Cells that the candidates add, octaves from the middle of the cells. Shape ``(new, F)``.
        target: Position of the target, octaves from the middle of the cells. Shape ``(F,)``.
        wander: Octaves by which the law may wander; 0 takes it at its word.
    """
    problem, weight = problem_at(fit)
    shared, hypers = problem.beta_size + problem.basin_size, problem.hypers
    stride = hypers + 1
    sizes = np.vstack([fit.sweep.x, new_sizes])
    size = shared + stride * len(sizes)
    q, jacobian = problem.excess_and_jacobian(fit.theta)
    robust = problem.robust(weight, problem.profile(problem.sweep.log_loss - q, weight))
    rows = np.zeros((len(q), size))
    rows[:, :shared] = jacobian[:, :shared]
    index = np.arange(len(q))
    for column in range(hypers):
        rows[index, shared + problem.sweep.cell * stride + column] = jacobian[
            index, shared + problem.sweep.cell * hypers + column
        ]
    rows[index, shared + problem.sweep.cell * stride + hypers] = 1.0
    matrix = (rows * robust[:, None]).T @ rows
    matrix[np.arange(shared), np.arange(shared)] += problem.precision[:shared]
    apart = ((sizes[:, None, :] - sizes[None, :, :]) ** 2).sum(axis=-1)
    together = wander**2 * np.exp(-0.5 * apart / _WANDER_RANGE**2)
    for column in range(hypers):
        at = shared + np.arange(len(sizes)) * stride + column
        matrix[np.ix_(at, at)] += np.linalg.inv(together + fit.scatter[column] ** 2 * np.eye(len(sizes)))
    at = shared + np.arange(len(sizes)) * stride + hypers
    matrix[at, at] += 1.0 / _LEVEL_SD**2
    covariance = np.linalg.inv(matrix)
    return Information(np.asarray(0.5 * (covariance + covariance.T)), target_loss_matrix(fit, target, size))


def target_loss_matrix(fit: PooledFit, target: Array, size: int) -> Array:
    """Factor of the quadratic loss of choosing the optimum at the target by the law. Shape ``(size, P)``."""
    low, high = fit.sweep.x.min(axis=0) - _DRIFT_REACH, fit.sweep.x.max(axis=0) + _DRIFT_REACH
    curvature = fit.basin.curvature(np.clip(target, low, high))
    hypers = len(fit.sweep.hypers)
    to_centre = np.zeros((size, hypers))
    start = 0
    for column, names in enumerate(fit.design.names):
        to_centre[start : start + len(names), column] = features(
            names, fit.sweep.inputs, target, fit.design.ratio_mid
        )
        start += len(names)
    return np.asarray(to_centre @ np.linalg.cholesky(curvature))


def candidate_rows(
    fit: PooledFit, x: Array, z: Array, cell: NDArray[np.int64], new_cells: int
) -> tuple[Array, Array, Array]:
    """What each candidate would measure, and how precisely.

    Args:
        fit: The pooled model of the runs so far.
        x: Size of each candidate, octaves from the middle of the cells. Shape ``(candidates, F)``.
        z: log2 of its hyperparameters. Shape ``(candidates, P)``.
        cell: Its cell: one of the fit's, or from ``fit.sweep.cells`` on a new one. Shape ``(candidates,)``.
        new_cells: Number of new cells.

    Returns:
        Rows (shape ``(candidates, size)``), weights and predicted excess (shapes ``(candidates,)``).
    """
    hypers, cells = len(fit.sweep.hypers), fit.sweep.cells
    shared, stride = fit.design.size + fit.layout.size, hypers + 1
    offsets = np.vstack([fit.offsets, np.zeros((new_cells, hypers))])
    d = z - fit.centres(x) - offsets[cell]
    q, in_d, in_basin = excess_and_slopes(fit.theta[fit.design.size : shared], fit.layout, d, x)
    rows = np.zeros((len(q), shared + stride * (cells + new_cells)))
    start = 0
    for column, names in enumerate(fit.design.names):
        block = features(names, fit.sweep.inputs, x, fit.design.ratio_mid)
        rows[:, start : start + len(names)] = -in_d[:, column : column + 1] * block
        start += len(names)
    rows[:, start:shared] = in_basin
    index = np.arange(len(q))
    for column in range(hypers):
        rows[index, shared + cell * stride + column] = -in_d[:, column]
    rows[index, shared + cell * stride + hypers] = 1.0
    return rows, 1.0 / (fit.noise**2 + (fit.misfit * q) ** 2), q
